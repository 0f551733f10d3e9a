//! What was granted against what was used: grants never used, rights that grew, grants that end, a narrower book.
//!
//! What was used is read from records: the ids of the policies that allowed each call. Nothing here changes a file.

mod diff;
mod narrow;
pub(crate) mod page;
mod report;
mod rights;
mod waivers;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use portcullis_core::policy::ActionSpec;
use portcullis_core::roles::{Book, Grant, Role, RolePolicy};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::config::settings::Roles;
use crate::explain::Desk;

pub use narrow::Narrowed;
pub use rights::{CedarPolicy, Former, FormerReview, Holders, Right, Rights, Term};
pub use waivers::{WaiverKind, WaiverReview};

const DAY: i64 = 24 * 60 * 60;

/// How long before its end a grant is said to end soon.
const SOON: i64 = 30 * DAY;

/// What a review is asked to look at.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The present, in seconds since the epoch.
    pub now: i64,
    /// How far back a use counts, in seconds.
    pub window: i64,
    /// For how long a grant may be unused, in seconds.
    pub unused_for: i64,
}

/// What was used, from records.
#[derive(Debug, Default)]
pub struct Usage {
    policies: BTreeMap<SmolStr, Used>,
    principals: BTreeMap<String, PrincipalUse>,
    /// Time of the oldest record of all.
    oldest: Option<i64>,
    /// Records within the window.
    records: u64,
    /// Lines that are no records.
    unreadable: u64,
}

#[derive(Debug, Default, Clone)]
struct Used {
    /// Within the window.
    count: u64,
    /// Of all records, also those before the window.
    last: i64,
    /// By operation: how often within the window, and when last of all.
    actions: BTreeMap<SmolStr, (u64, i64)>,
    principals: BTreeSet<String>,
}

#[derive(Debug, Default, Clone)]
struct PrincipalUse {
    roles: BTreeSet<SmolStr>,
    policies: BTreeMap<SmolStr, u64>,
    last: i64,
}

#[derive(Deserialize)]
struct Line {
    time: Timestamp,
    route: Option<SmolStr>,
    operation: Option<SmolStr>,
    principal: Option<Who>,
    #[serde(default)]
    roles: Vec<SmolStr>,
    #[serde(default)]
    policies: Vec<SmolStr>,
}

#[derive(Deserialize)]
struct Who {
    issuer: Option<String>,
    subject: Option<String>,
}

impl Usage {
    /// Reads one more text of records, one JSON object a line. Lines that are no records are counted.
    pub fn read(&mut self, text: &str, frame: Frame) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Line>(line) {
                Ok(line) => self.add(&line, frame),
                Err(_) => self.unreadable = self.unreadable.saturating_add(1),
            }
        }
    }

    fn add(&mut self, line: &Line, frame: Frame) {
        let time = line.time.as_second();
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        let is_within = time > frame.now.saturating_sub(frame.window);
        let count = u64::from(is_within);
        self.records = self.records.saturating_add(count);
        let actions: Vec<SmolStr> = match (&line.route, &line.operation) {
            (Some(route), Some(operation)) => {
                called(operation).map(|one| smol_str::format_smolstr!("{route}.{one}")).collect()
            }
            _ => Vec::new(),
        };
        let who = match &line.principal {
            Some(Who { issuer: Some(issuer), subject: Some(subject) }) => format!("{issuer}/{subject}"),
            Some(_) => "anonymous".to_owned(),
            None => return,
        };
        for policy in &line.policies {
            let used = self.policies.entry(policy.clone()).or_default();
            used.count = used.count.saturating_add(count);
            used.last = used.last.max(time);
            for action in &actions {
                let (uses, last) = used.actions.entry(action.clone()).or_default();
                (*uses, *last) = (uses.saturating_add(count), (*last).max(time));
            }
            if is_within {
                used.principals.insert(who.clone());
            }
        }
        if is_within {
            let one = self.principals.entry(who).or_default();
            one.roles.extend(line.roles.iter().cloned());
            one.last = one.last.max(time);
            for policy in &line.policies {
                let count = one.policies.entry(policy.clone()).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// The use of one grant: by its policies, for callers with and without credentials together, and by what an
    /// earlier file called otherwise, where that was the same role and an operation that the grant names.
    fn of(
        &self,
        role: &Role,
        grant: &Grant,
        index: usize,
        known: &[RolePolicy],
        actions: &[ActionSpec],
    ) -> Used {
        let mut all = Used::default();
        let prefix = format!("{}{}/", portcullis_core::roles::PREFIX, role.name);
        for (id, used) in self.policies.iter().filter(|(id, _)| id.starts_with(&prefix)) {
            match known.iter().find(|policy| policy.id == *id) {
                Some(policy) if policy.grant != index => continue,
                Some(_) | None => {}
            }
            let covered = actions.iter().filter(|action| grant.covers(action)).map(ActionSpec::name);
            let mut is_touched = false;
            for (name, (count, last)) in covered.filter_map(|name| used.actions.get_key_value(&name)) {
                is_touched = true;
                all.count = all.count.saturating_add(*count);
                all.last = all.last.max(*last);
                let (uses, _) = all.actions.entry(name.clone()).or_default();
                *uses = uses.saturating_add(*count);
            }
            if is_touched {
                all.principals.extend(used.principals.iter().cloned());
            }
        }
        all
    }
}

/// All that a review found.
#[derive(Debug, Serialize)]
pub struct Review {
    /// From when on a use counts.
    pub from: String,
    /// When it was made.
    pub at: String,
    /// Records within the window.
    pub records: u64,
    /// Since when there are records at all.
    pub recorded_since: Option<String>,
    /// Lines that are no records.
    pub unreadable: u64,
    /// Every grant.
    pub grants: Vec<GrantUse>,
    /// The operator's own permits, by how often each allowed a call.
    pub policies: Vec<(SmolStr, u64)>,
    /// Every caller in the window.
    pub principals: Vec<PrincipalReview>,
    /// What was waived in writing.
    pub waivers: Vec<WaiverReview>,
    /// Rights that the older roles file or review did not give.
    pub grew: Vec<Grown>,
    /// What a later review is compared with.
    pub rights: Rights,
    /// What `--ci` fails for.
    pub failures: Vec<String>,
    /// A narrower roles file, as a unified diff; empty when every grant was used.
    pub patch: String,
}

/// One grant and its use.
#[derive(Debug, Clone, Serialize)]
pub struct GrantUse {
    /// The id of its policy.
    pub id: SmolStr,
    /// The role.
    pub role: SmolStr,
    /// What it names.
    pub action: SmolStr,
    /// Where it is written.
    pub line: u32,
    /// How often it allowed a call.
    pub used: u64,
    /// When it did last, in all records.
    pub last_used: Option<String>,
    /// How many callers used it.
    pub callers: usize,
    /// The operations that it names and that nobody called by it.
    pub unused_operations: Vec<SmolStr>,
    /// Why it was given.
    pub reason: Option<String>,
    /// Who answers for it.
    pub by: Option<String>,
    /// When it ends.
    pub until: Option<String>,
    /// Whether it has ended, or will soon.
    pub end: Option<End>,
}

/// What is to be said of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// It is past.
    Ended,
    /// It is less than 30 days away.
    Soon,
}

/// One caller.
#[derive(Debug, Clone, Serialize)]
pub struct PrincipalReview {
    /// Issuer and subject.
    pub principal: String,
    /// The roles that it had.
    pub roles: Vec<SmolStr>,
    /// What it used.
    pub used: Vec<(SmolStr, u64)>,
    /// What its roles grant, and it did not use.
    pub unused: Vec<SmolStr>,
    /// Roles that it had, and of which it used nothing.
    pub unused_roles: Vec<SmolStr>,
    /// When it called last.
    pub last: String,
}

/// A right that grew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grown {
    /// The role; `Cedar` for the operator's own policies.
    pub role: SmolStr,
    /// What it has now and had not before.
    pub what: String,
    /// Whether somebody wrote why.
    pub has_reason: bool,
}

/// Makes a review. `former` is an older roles file, or an older review.
pub fn review(desk: &Desk, roles: &Roles, usage: &Usage, former: Option<&Former>, frame: Frame) -> Review {
    let actions = desk.policy().specs();
    let compiled = portcullis_core::roles::compile(&roles.book, actions);
    let grants = grants(roles, &compiled.policies, usage, actions, frame);
    let rights = Rights::of(&roles.book, actions).with_cedar(desk.policy());
    let before = former.map(|former| former.rights(actions));
    let older = match former {
        Some(Former::Review(review)) => Some(review.waivers.as_slice()),
        Some(Former::File(_)) | None => None,
    };
    let grew = before.as_ref().map(|before| rights::grown(before, &rights, older.is_some(), frame.now));
    let grew = grew.unwrap_or_default();
    let waivers = waivers::waivers(&desk.settings, actions, older, frame);
    let narrowed = narrow::narrow(desk, roles, &grants);
    let mut failures = failures(roles, before.as_ref(), &grants, &grew, usage, frame);
    let ended = waivers.iter().filter(|one| one.end == Some(End::Ended) && one.kind == WaiverKind::Owner);
    failures.extend(ended.map(|one| format!("{}: {}: the waiver has ended", one.place, one.of)));
    let is_role = |id: &str| id.starts_with(portcullis_core::roles::PREFIX);
    let ids = desk.policy().permits().filter(|id| !is_role(id));
    let count = |id: &SmolStr| usage.policies.get(id).map_or(0, |used| used.count);
    Review {
        from: day(frame.now.saturating_sub(frame.window)),
        at: moment(frame.now),
        records: usage.records,
        recorded_since: usage.oldest.map(moment),
        unreadable: usage.unreadable,
        policies: ids.map(|id| (id.clone(), count(id))).collect(),
        principals: principals(&roles.book, &compiled.policies, usage),
        grants,
        waivers,
        grew,
        rights,
        failures,
        patch: diff::unified(&roles.file.name, &roles.file.text, &narrowed.text),
    }
}

fn grants(
    roles: &Roles,
    policies: &[RolePolicy],
    usage: &Usage,
    actions: &[ActionSpec],
    frame: Frame,
) -> Vec<GrantUse> {
    let mut all = Vec::new();
    for role in &roles.book.roles {
        for (index, grant) in role.grants.iter().enumerate() {
            let own = policies.iter().filter(|one| one.role == role.name && one.grant == index);
            let own: Vec<&RolePolicy> = own.collect();
            let used = usage.of(role, grant, index, policies, actions);
            let covered = actions.iter().filter(|action| grant.covers(action)).map(ActionSpec::name);
            let is_unused = |name: &SmolStr| used.actions.get(name).is_none_or(|(uses, _)| *uses == 0);
            all.push(GrantUse {
                // The last one is for callers with a token; it has no mark after it.
                id: own.last().map(|one| one.id.clone()).unwrap_or_default(),
                role: role.name.clone(),
                action: grant.action.clone(),
                line: roles.place(grant.mark).at.line,
                used: used.count,
                last_used: (used.last > 0).then(|| moment(used.last)),
                callers: used.principals.len(),
                unused_operations: covered.filter(|name| is_unused(name)).collect(),
                reason: grant.reason.clone().or_else(|| role.reason.clone()),
                by: grant.by.clone().or_else(|| role.by.clone()),
                until: grant.until.map(moment),
                end: end(grant.until, frame),
            });
        }
    }
    all
}

fn principals(book: &Book, policies: &[RolePolicy], usage: &Usage) -> Vec<PrincipalReview> {
    let all = usage.principals.iter().map(|(name, one)| {
        let mut unused_roles = Vec::new();
        let mut unused = BTreeSet::new();
        for role in one.roles.iter().filter_map(|role| book.role(role)) {
            let closure = book.closure(role);
            let is_in = |policy: &&RolePolicy| closure.iter().any(|role| role.name == policy.role);
            let own: Vec<&RolePolicy> =
                policies.iter().filter(is_in).filter(|policy| !policy.id.ends_with("@anonymous")).collect();
            let is_used = |policy: &&&RolePolicy| one.policies.contains_key(&policy.id);
            if own.iter().filter(is_used).count() == 0 {
                unused_roles.push(role.name.clone());
            }
            unused.extend(own.iter().filter(|policy| !is_used(policy)).map(|policy| policy.id.clone()));
        }
        PrincipalReview {
            principal: name.clone(),
            roles: one.roles.iter().cloned().collect(),
            used: one.policies.iter().map(|(id, count)| (id.clone(), *count)).collect(),
            unused: unused.into_iter().collect(),
            unused_roles,
            last: moment(one.last),
        }
    });
    all.collect()
}

/// A grant that the older file has as well is not new.
fn is_new(before: Option<&Rights>, grant: &GrantUse) -> bool {
    let is_it = |(role, action): &(SmolStr, SmolStr)| *role == grant.role && *action == grant.action;
    before.is_some_and(|before| !before.grants.iter().any(is_it))
}

/// Whether something has ended, or will soon.
fn end(until: Option<i64>, frame: Frame) -> Option<End> {
    match until?.saturating_sub(frame.now) {
        ..=0 => Some(End::Ended),
        1..=SOON => Some(End::Soon),
        _ => None,
    }
}

fn failures(
    roles: &Roles,
    before: Option<&Rights>,
    grants: &[GrantUse],
    grew: &[Grown],
    usage: &Usage,
    frame: Frame,
) -> Vec<String> {
    let mut failures = Vec::new();
    let limit = frame.now.saturating_sub(frame.unused_for);
    let days = frame.unused_for / DAY;
    let place = |grant: &GrantUse| format!("{}:{}", roles.file.name, grant.line);
    // Records that do not reach back that far cannot show that a grant was unused for so long.
    let reaches = usage.oldest.is_some_and(|oldest| oldest <= limit);
    for grant in grants.iter().filter(|grant| reaches && !is_new(before, grant)) {
        let last = grant.last_used.as_deref().and_then(|last| last.parse::<Timestamp>().ok());
        if last.is_none_or(|last| last.as_second() <= limit) {
            failures.push(format!("{}: `{}` was not used for {days} days", place(grant), grant.id));
        }
    }
    for grant in grants.iter().filter(|grant| grant.end == Some(End::Ended)) {
        failures.push(format!("{}: `{}` has ended and is still written", place(grant), grant.id));
    }
    for one in grew.iter().filter(|one| !one.has_reason) {
        let whose = if one.role == rights::CEDAR {
            rights::CEDAR.to_owned()
        } else {
            format!("the role `{}`", one.role)
        };
        failures.push(format!("{whose} {}, and nobody wrote why", one.what));
    }
    failures
}

fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

fn day(seconds: i64) -> String {
    moment(seconds).chars().take(10).collect()
}

/// What a record says was called: one operation, or the root fields of a graph's operations, or what a message to a tool
/// server needs, with `+` between.
fn called(operation: &str) -> impl Iterator<Item = &str> {
    const SEVERAL: [&str; 5] = ["query.", "mutation.", "completion.", "prompts.", "resources."];
    let is_one_of_several = |one: &str| SEVERAL.iter().any(|before| one.starts_with(before));
    let are_several = operation.split('+').all(is_one_of_several);
    operation.split(if are_several { '+' } else { '\0' })
}

#[cfg(test)]
mod tests;
