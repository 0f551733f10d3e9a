//! What the contracts name against what was called: operations that nobody calls, deprecated ones that somebody still
//! calls, and paths that were asked for and that no contract has.
//!
//! All of it is read from records. Of an unknown path a record keeps no identifier, so neither does this.

mod report;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::explain::Desk;

/// Most callers of one operation, and networks of one unknown path, that are told apart.
const MOST_CALLERS: usize = 20;
/// Most unknown paths that are told apart; the others are counted together.
const MOST_PATHS: usize = 1_000;

/// What was called, from records.
#[derive(Debug, Default)]
pub struct Calls {
    operations: BTreeMap<(SmolStr, SmolStr), Called>,
    unknown: BTreeMap<(SmolStr, String), Asked>,
    others: u64,
    oldest: Option<i64>,
    records: u64,
    unreadable: u64,
}

#[derive(Debug, Default)]
struct Called {
    passed: u64,
    refused: u64,
    last: i64,
    callers: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Asked {
    count: u64,
    last: i64,
    is_known_path: bool,
    networks: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Line {
    time: Timestamp,
    method: SmolStr,
    path: Option<String>,
    route: Option<SmolStr>,
    operation: Option<SmolStr>,
    principal: Option<Who>,
    client: Option<String>,
    reason: Option<SmolStr>,
}

#[derive(Deserialize)]
struct Who {
    issuer: Option<String>,
    subject: Option<String>,
}

impl Calls {
    /// Reads one more text of records, one JSON object a line. `from` is when a call begins to count, in seconds since
    /// the epoch. Lines that are no records are counted.
    pub fn read(&mut self, text: &str, from: i64) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Line>(line) {
                Ok(line) => self.add(line, from),
                Err(_) => self.unreadable = self.unreadable.saturating_add(1),
            }
        }
    }

    fn add(&mut self, line: Line, from: i64) {
        let time = line.time.as_second();
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        if time <= from {
            return;
        }
        self.records = self.records.saturating_add(1);
        if let Some(path) = line.path {
            let key = (line.method, path);
            if self.unknown.len() >= MOST_PATHS && !self.unknown.contains_key(&key) {
                self.others = self.others.saturating_add(1);
                return;
            }
            let asked = self.unknown.entry(key).or_default();
            asked.count = asked.count.saturating_add(1);
            asked.last = asked.last.max(time);
            asked.is_known_path |= line.reason.as_deref() == Some("method_not_allowed");
            note(&mut asked.networks, line.client);
            return;
        }
        let Some(operation) = line.route.zip(line.operation) else { return };
        let called = self.operations.entry(operation).or_default();
        let count = if line.reason.is_none() { &mut called.passed } else { &mut called.refused };
        *count = count.saturating_add(1);
        called.last = called.last.max(time);
        let caller = line.principal.map(|who| match (who.issuer, who.subject) {
            (Some(issuer), Some(subject)) => format!("{issuer}/{subject}"),
            _ => "anonymous".to_owned(),
        });
        note(&mut called.callers, caller);
    }
}

fn note(known: &mut BTreeSet<String>, one: Option<String>) {
    if known.len() < MOST_CALLERS {
        known.extend(one);
    }
}

/// All that was found.
#[derive(Debug, Serialize)]
pub struct RoutesReview {
    /// From when on a call counts.
    pub from: String,
    /// When the review was made.
    pub at: String,
    /// Records that count.
    pub records: u64,
    /// Since when there are records at all.
    pub recorded_since: Option<String>,
    /// Lines that are no records.
    pub unreadable: u64,
    /// Operations of all contracts.
    pub operations: usize,
    /// Operations that nobody called.
    pub never_called: Vec<Idle>,
    /// Operations that are deprecated and that somebody called.
    pub deprecated_called: Vec<StillCalled>,
    /// Operations that were called and always refused.
    pub always_refused: Vec<StillCalled>,
    /// What was asked for and is in no contract, most often first.
    pub unknown: Vec<Unknown>,
    /// Calls of further unknown paths, which are too many to be told apart.
    pub unknown_others: u64,
}

/// An operation that nobody called.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Idle {
    /// The API, in the configuration.
    pub api: SmolStr,
    /// Its id.
    pub operation: SmolStr,
    /// Its method.
    pub method: SmolStr,
    /// Its path in the contract.
    pub path: SmolStr,
    /// Whether the contract says that it is deprecated: then nothing stands against removing it.
    pub deprecated: bool,
}

/// An operation and who called it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct StillCalled {
    /// The API, in the configuration.
    pub api: SmolStr,
    /// Its id.
    pub operation: SmolStr,
    /// How often it was called and answered.
    pub answered: u64,
    /// How often it was called and refused, or broke.
    pub refused: u64,
    /// When it was called last.
    pub last: String,
    /// Some of its callers, issuer and subject.
    pub callers: Vec<String>,
}

/// What was asked for and is in no contract.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The method.
    pub method: SmolStr,
    /// The path, its identifiers replaced by `{id}`.
    pub path: String,
    /// How often.
    pub count: u64,
    /// When last.
    pub last: String,
    /// Whether a contract has the path with other methods.
    pub is_known_path: bool,
    /// Some of the networks that asked for it.
    pub networks: Vec<String>,
}

/// Compares `calls` with what the contracts of `desk` name. `from` and `now` are in seconds since the epoch.
pub fn review(desk: &Desk, calls: &Calls, from: i64, now: i64) -> RoutesReview {
    let mut review = RoutesReview {
        from: moment(from),
        at: moment(now),
        records: calls.records,
        recorded_since: calls.oldest.map(moment),
        unreadable: calls.unreadable,
        operations: 0,
        never_called: Vec::new(),
        deprecated_called: Vec::new(),
        always_refused: Vec::new(),
        unknown: unknown(calls),
        unknown_others: calls.others,
    };
    for route in desk.routes().iter() {
        for operation in route.contract.operations() {
            review.operations = review.operations.saturating_add(1);
            let key = (SmolStr::from(&*route.name), SmolStr::from(&*operation.id));
            let Some(called) = calls.operations.get(&key) else {
                let path = smol_str::format_smolstr!("{}{}", route.base_path, operation.template);
                let method = operation.method.as_str().into();
                let (api, operation, deprecated) = (key.0, key.1, operation.deprecated);
                review.never_called.push(Idle { api, operation, method, path, deprecated });
                continue;
            };
            if operation.deprecated {
                review.deprecated_called.push(still(&key, called));
            } else if called.passed == 0 {
                review.always_refused.push(still(&key, called));
            }
        }
    }
    review.never_called.sort_by(|one, other| (&one.api, &one.path).cmp(&(&other.api, &other.path)));
    review
}

fn still((api, operation): &(SmolStr, SmolStr), called: &Called) -> StillCalled {
    StillCalled {
        api: api.clone(),
        operation: operation.clone(),
        answered: called.passed,
        refused: called.refused,
        last: moment(called.last),
        callers: called.callers.iter().cloned().collect(),
    }
}

fn unknown(calls: &Calls) -> Vec<Unknown> {
    let row = |((method, path), asked): (&(SmolStr, String), &Asked)| Unknown {
        method: method.clone(),
        path: path.clone(),
        count: asked.count,
        last: moment(asked.last),
        is_known_path: asked.is_known_path,
        networks: asked.networks.iter().cloned().collect(),
    };
    let mut all: Vec<Unknown> = calls.unknown.iter().map(row).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.count));
    all
}

fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn desk() -> Desk {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/roles/portcullis.yaml");
        Desk::open(&example).unwrap()
    }

    fn line(age: i64, more: &serde_json::Value) -> String {
        let mut line = json!({ "time": moment(NOW - age), "method": "GET", "client": "192.0.2.0/24" });
        let (line_members, more) = (line.as_object_mut().unwrap(), more.as_object().unwrap().clone());
        line_members.extend(more);
        format!("{line}\n")
    }

    fn called(age: i64, operation: &str, reason: Option<&str>) -> String {
        let principal = json!({ "kind": "token", "issuer": "corp", "subject": "<p7>" });
        let mut more = json!({ "route": "clinic", "operation": operation, "principal": principal });
        if let Some(reason) = reason {
            more["reason"] = reason.into();
        }
        line(age, &more)
    }

    fn reviewed(lines: &[String]) -> RoutesReview {
        let mut calls = Calls::default();
        calls.read(&lines.concat(), NOW - 100);
        review(&desk(), &calls, NOW - 100, NOW)
    }

    #[test]
    fn what_nobody_calls_and_what_no_contract_has_is_told() {
        let unknown = |age, path: &str, reason: &str| line(age, &json!({ "path": path, "reason": reason }));
        let review = reviewed(&[
            called(1, "getPatient", None),
            called(2, "getPatient", Some("forbidden")),
            called(3, "deletePatient", Some("forbidden")),
            // Before the window.
            called(500, "getOpeningHours", None),
            unknown(4, "/admin", "not_found"),
            unknown(5, "/users/{id}", "not_found"),
            unknown(6, "/users/{id}", "not_found"),
            unknown(7, "/hours", "method_not_allowed"),
            "no record\n".to_owned(),
        ]);
        assert_eq!((review.records, review.unreadable), (7, 1));
        let idle: Vec<&str> = review.never_called.iter().map(|one| one.operation.as_str()).collect();
        assert!(idle.contains(&"getOpeningHours") && !idle.contains(&"getPatient"), "{idle:?}");
        assert_eq!(review.never_called.len() + 2, review.operations);
        let refused: Vec<_> =
            review.always_refused.iter().map(|one| (one.operation.as_str(), one.refused)).collect();
        assert_eq!(refused, [("deletePatient", 1)]);
        let unknown: Vec<_> =
            review.unknown.iter().map(|one| (one.path.as_str(), one.count, one.is_known_path)).collect();
        assert_eq!(unknown, [("/users/{id}", 2, false), ("/admin", 1, false), ("/hours", 1, true)]);
        for text in [review.text(), review.html(), review.json().to_string()] {
            assert!(text.contains("getOpeningHours") && text.contains("/users/{id}"), "{text}");
        }
        assert!(review.html().contains("corp/&lt;p7&gt;") && !review.html().contains("<p7>"));
    }

    #[test]
    fn too_many_paths_are_counted_together() {
        let lines: Vec<String> = (0..MOST_PATHS + 5)
            .map(|n| line(1, &json!({ "path": format!("/p{n}"), "reason": "not_found" })))
            .collect();
        let review = reviewed(&lines);
        assert_eq!((review.unknown.len(), review.unknown_others), (MOST_PATHS, 5));
    }
}
