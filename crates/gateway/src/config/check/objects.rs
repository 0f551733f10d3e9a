//! Whose objects are: owners, tenants, lists, waivers, and which properties are shown to whom.

use http::HeaderName;
use portcullis_core::authorize::{CreatedId, Place as Stands, Pointer, Who};

use super::Checker;
use crate::config::contract::Names;
use crate::config::file;
use crate::config::read::{At, OneOrMany};
use crate::config::settings::{Expose, List, Object, ObjectOwner, Waiver};
use crate::config::tree::Span;

const OWNERS: &str = "`claim:NAME`, `response:/POINTER`, `body:/POINTER` or `created-by`";
const CALLERS: &str = "`anyone`, `role:NAME`, `scope:NAME` or `claim:NAME=VALUE`";

impl Checker<'_, '_> {
    pub(super) fn objects(&mut self, written: Vec<At<file::Object>>, names: Option<&Names>) -> Vec<Object> {
        let mut objects: Vec<Object> = Vec::new();
        for At { at, value } in written {
            let Some(object) = self.object(at, value, names) else { continue };
            let is_twice = objects.iter().any(|other| {
                let is_named = |one: &Object| matches!(one.owner, Some(ObjectOwner::Named));
                is_named(other)
                    && is_named(&object)
                    && (&other.parameter, &other.equals, &other.operations, &other.also)
                        == (&object.parameter, &object.equals, &object.operations, &object.also)
            });
            if is_twice {
                self.warning("repeated-name", at, "the same rule is written twice");
                continue;
            }
            objects.push(object);
        }
        objects
    }

    fn object(&mut self, at: Span, written: file::Object, names: Option<&Names>) -> Option<Object> {
        if let (Some(parameter), Some(names)) = (&written.parameter, names)
            && written.also.is_empty()
        {
            self.parameter(parameter, names);
        }
        for operation in written.operations.iter().flatten() {
            self.operation(operation, names);
        }
        let is_tenant = written.tenant.is_some();
        if let (true, Some(first)) = (is_tenant, written.operations.iter().flatten().next()) {
            self.error("contradiction", first.at, "a tenant is asked of every operation")
                .help("leave out `operations`, or write `owner`");
        }
        let sources = [written.owner.as_ref().map(|o| o.at), written.tenant.as_ref().map(|t| t.at)];
        let sources = sources.into_iter().chain([written.lookup.as_ref().map(|l| l.at)]).flatten();
        if let Some(second) = sources.clone().nth(1) {
            self.error("contradiction", second, "one thing says whose an object is")
                .expected("one of `owner`, `tenant` and `lookup`");
            return None;
        }
        let is_missing = written.list.is_none() && (written.parameter.is_none() || sources.count() == 0);
        if is_missing {
            let missing = if written.parameter.is_none() { "parameter" } else { "owner" };
            self.error("missing-key", at, format!("`{missing}` is missing"))
                .expected("a `parameter` with its `owner`, `tenant` or `lookup`, or a `list`");
        }
        let list = written.list.map(|list| self.list(list, names));
        let also = written.also.iter().map(|one| self.stands(one)).collect::<Option<Vec<_>>>();
        let equals = match &written.equals {
            None => Some(if is_tenant { "tenant" } else { "sub" }.to_owned()),
            Some(equals) => self.claim(equals),
        };
        let unless = self.callers(written.unless);
        let mut named = None;
        let owner = match (written.owner.or(written.tenant), written.lookup) {
            (Some(owner), _) => {
                let owner = self.owner(&owner, written.created, written.probe, names);
                let (owner, claim) = owner?;
                if let (Some(_), Some(equals)) = (&claim, &written.equals) {
                    self.error("contradiction", equals.at, "`claim:` says already what it is compared with");
                }
                named = claim;
                Some(owner)
            }
            (None, Some(lookup)) => Some(ObjectOwner::Lookup(Box::new(self.lookup(lookup)?))),
            (None, None) => None,
        };
        if is_missing {
            return None;
        }
        Some(Object {
            parameter: written.parameter.map(|parameter| parameter.value).unwrap_or_default(),
            also: also?,
            operations: written.operations.unwrap_or_default().into_iter().map(|one| one.value).collect(),
            owner,
            equals: named.or(equals)?,
            unless: unless?,
            list: match list {
                Some(list) => Some(list?),
                None => None,
            },
            place: self.report.place(at),
        })
    }

    fn parameter(&mut self, parameter: &At<String>, names: &Names) {
        let is_known =
            names.parameters.iter().chain(&names.properties).any(|name| same(name, &parameter.value));
        if !is_known {
            let message = format!("the contract has no parameter `{}`", parameter.value);
            let known = names.parameters.iter().chain(&names.properties).map(String::as_str);
            self.error("unknown-parameter", parameter.at, message).nearest(&parameter.value, known);
        }
    }

    /// The owner, and for `claim:` the claim.
    fn owner(
        &mut self,
        owner: &At<String>,
        created: Option<At<file::Created>>,
        probe: Option<At<String>>,
        names: Option<&Names>,
    ) -> Option<(ObjectOwner, Option<String>)> {
        if let (Some(probe), false) = (&probe, owner.value.starts_with("response:")) {
            self.error("contradiction", probe.at, "only `response:` is proven by a probe");
        }
        if let (Some(created), false) = (&created, owner.value == "created-by") {
            self.error("contradiction", created.at, "only `created-by` says what creates it");
        }
        if let Some(probe) = &probe {
            self.operation(probe, names);
        }
        let pointer = |text: &str| At { at: owner.at, value: text.to_owned() };
        if let Some(text) = owner.value.strip_prefix("response:") {
            let owner = self.pointer(&pointer(text))?;
            return Some((ObjectOwner::Answer { owner, probe: probe.map(|probe| probe.value) }, None));
        }
        if let Some(text) = owner.value.strip_prefix("body:") {
            return Some((ObjectOwner::Body(self.pointer(&pointer(text))?), None));
        }
        if owner.value == "created-by" {
            let Some(At { value: created, at }) = created else {
                self.error("missing-key", owner.at, "`created` is missing")
                    .expected("what creates it, as `created: { by: createOrder, id: /id }`");
                return None;
            };
            let by = self.operations(created.by, names);
            let id = created.id.unwrap_or(At { at, value: "/id".to_owned() });
            let id = match id.value.strip_prefix("header:") {
                Some(name) => CreatedId::Header(self.header(&At { at: id.at, value: name.to_owned() })?),
                None => CreatedId::Body(self.pointer(&id)?),
            };
            return Some((ObjectOwner::Created { by, id }, None));
        }
        match owner.value.strip_prefix("claim:").filter(|claim| !claim.is_empty()) {
            Some(claim) => Some((ObjectOwner::Named, Some(claim.to_owned()))),
            None => {
                self.error("bad-value", owner.at, format!("`{}` is not an owner", owner.value))
                    .expected(OWNERS);
                None
            }
        }
    }

    fn list(&mut self, written: At<file::List>, names: Option<&Names>) -> Option<List> {
        let At { at, value } = written;
        let operations = self.operations(value.operations, names);
        let items = value.items.unwrap_or(At { at, value: String::new() });
        Some(List {
            operations,
            items: self.pointer(&items)?,
            owner: self.pointer(&value.owner?)?,
            refuses: value.foreign == Some(file::Excess::Refuse),
        })
    }

    fn operations(&mut self, written: Option<OneOrMany<At<String>>>, names: Option<&Names>) -> Vec<String> {
        let all = written.map(|all| all.0).unwrap_or_default();
        for operation in &all {
            self.operation(operation, names);
        }
        all.into_iter().map(|operation| operation.value).collect()
    }

    pub(super) fn pointer(&mut self, written: &At<String>) -> Option<Pointer> {
        match Pointer::parse(&written.value) {
            Ok(pointer) => Some(pointer),
            Err(error) => {
                self.error("bad-pointer", written.at, format!("`{}` is not a JSON pointer", written.value))
                    .help(error.to_string());
                None
            }
        }
    }

    fn header(&mut self, written: &At<String>) -> Option<HeaderName> {
        let header = written.value.parse::<HeaderName>().ok();
        if header.is_none() {
            self.error("bad-value", written.at, format!("`{}` is not the name of a header", written.value));
        }
        header
    }

    fn stands(&mut self, written: &At<String>) -> Option<Stands> {
        let rest = |text: &str| At { at: written.at, value: text.to_owned() };
        match written.value.split_once(':') {
            Some(("body", pointer)) => self.pointer(&rest(pointer)).map(Stands::Body),
            Some(("header", name)) => self.header(&rest(name)).map(Stands::Header),
            Some(("query", name)) if !name.is_empty() => Some(Stands::Query(name.into())),
            Some(("cookie", name)) if !name.is_empty() => Some(Stands::Cookie(name.into())),
            _ => {
                self.error("bad-value", written.at, format!("`{}` is not a place", written.value))
                    .expected("`body:/POINTER`, `query:NAME`, `header:NAME` or `cookie:NAME`");
                None
            }
        }
    }

    fn claim(&mut self, written: &At<String>) -> Option<String> {
        let claim = written.value.strip_prefix("claim:").filter(|claim| !claim.is_empty());
        if claim.is_none() {
            self.error("bad-value", written.at, format!("`{}` is not a claim", written.value))
                .expected("`claim:` and the name of a claim, such as `claim:sub`");
        }
        claim.map(str::to_owned)
    }

    pub(super) fn callers(&mut self, written: Option<OneOrMany<At<String>>>) -> Option<Vec<Who>> {
        let mut callers = Some(Vec::new());
        for one in written.map(|all| all.0).unwrap_or_default() {
            match (Who::parse(&one.value), &mut callers) {
                (Some(who), Some(all)) => all.push(who),
                (Some(_), None) => {}
                (None, _) => {
                    self.error("bad-value", one.at, format!("`{}` names no callers", one.value))
                        .expected(CALLERS);
                    callers = None;
                }
            }
        }
        callers
    }

    /// Who answers for something, where somebody is named.
    pub(super) fn author(&mut self, written: Option<At<String>>) -> Option<String> {
        let written = written?;
        if written.value.trim().is_empty() {
            self.error("bad-value", written.at, "`by` names nobody").expected("a person or a group");
        }
        Some(written.value)
    }

    pub(super) fn waivers(&mut self, written: Vec<At<file::Waiver>>, names: Option<&Names>) -> Vec<Waiver> {
        let mut waivers = Vec::new();
        for At { at, value } in written {
            for operation in value.operations.iter().flatten() {
                self.operation(operation, names);
            }
            let (Some(parameter), Some(reason)) = (value.parameter, value.reason) else { continue };
            if let Some(names) = names {
                self.parameter(&parameter, names);
            }
            if reason.value.trim().is_empty() {
                self.error("bad-value", reason.at, "a waiver has a reason")
                    .expected("why nobody need own it");
            }
            let until = value.until.as_ref().map(|until| (until.at, until.value.parse().ok()));
            if let Some((at, None)) = until {
                self.error("bad-value", at, "this is not a day").expected("a day as `2027-01-31`");
            }
            waivers.push(Waiver {
                parameter: parameter.value,
                stands_in: match value.place {
                    None => "",
                    Some(file::WaiverPlace::Path) => "path",
                    Some(file::WaiverPlace::Query) => "query",
                    Some(file::WaiverPlace::Header) => "header",
                    Some(file::WaiverPlace::Cookie) => "cookie",
                    Some(file::WaiverPlace::Body) => "body",
                },
                operations: value.operations.unwrap_or_default().into_iter().map(|one| one.value).collect(),
                reason: reason.value,
                by: self.author(value.by),
                until: until.and_then(|(_, day)| day),
                place: self.report.place(at),
            });
        }
        waivers
    }

    pub(super) fn exposures(&mut self, written: Vec<At<file::Expose>>, names: Option<&Names>) -> Vec<Expose> {
        let mut exposures = Vec::new();
        for At { at, value } in written {
            let operations = self.operations(value.operations, names);
            let to = self.callers(value.to);
            let answers = value.properties.as_deref().and_then(|all| self.pointers(all));
            let requests = value.requests.as_deref().map(|all| self.pointers(all));
            let (Some(to), Some(answers)) = (to, answers) else { continue };
            let requests = match requests {
                None => answers.clone(),
                Some(Some(requests)) => requests,
                Some(None) => continue,
            };
            let refuses = value.excess == Some(file::Excess::Refuse);
            let place = self.report.place(at);
            exposures.push(Expose { operations, to, answers, requests, refuses, place });
        }
        exposures
    }

    fn pointers(&mut self, written: &[At<String>]) -> Option<Vec<Pointer>> {
        let all: Vec<_> = written.iter().map(|one| self.pointer(one)).collect();
        all.into_iter().collect()
    }
}

/// Names of headers have no case.
fn same(known: &str, written: &str) -> bool {
    known == written || (known.contains('-') && known.eq_ignore_ascii_case(written))
}
