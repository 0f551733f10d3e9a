//! From the object rules of an API to the rules of each of its operations; and what was left unbound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::{HeaderName, Method};
use jiff::civil::Date;
use portcullis_core::authorize::{
    Agreement, Bound, Creation, Exposure, ListRule, ObjectRules, OperationRules, Owner, Place as Stands,
    Pointer, Probe, Properties, Segment, Waived,
};
use portcullis_core::contract::{Contract, Location, Operation, OperationIndex};

use super::lookup::Lookup;
use super::postgres::Pools;
use crate::config::settings::{Api, Object, ObjectOwner, Waiver, over};
use crate::config::{Diagnostic, Taken, Takes};

/// So many unbound parameters are listed each by itself.
const LISTED: usize = 50;

/// What the object rules of an API come to.
#[derive(Debug, Default)]
pub(crate) struct Binding {
    /// Per operation.
    pub(crate) rules: ObjectRules,
    /// What is wrong.
    pub(crate) problems: Vec<Diagnostic>,
    /// What is worth knowing.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Whom a gate asks whose objects are.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// By the index in the rules.
    pub(crate) lookups: Vec<Arc<Lookup>>,
    /// Connections to databases, which lookups and the gate's memory share.
    pub(crate) pools: Pools,
}

/// Binds the operations of an API. `sources` are the gate's; those of this API are put behind them. Waivers that
/// ended before `today` hold no more.
pub(crate) fn bind(api: &Api, contract: &Contract, sources: &mut Sources, today: Date) -> Binding {
    let mut binder = Binder {
        api,
        contract,
        takes: api.contract.takes(),
        today,
        lookups: BTreeMap::new(),
        used: BTreeSet::new(),
        waived: BTreeSet::new(),
        unbound: BTreeMap::new(),
        binding: Binding::default(),
    };
    binder.compile_lookups(sources);
    let rules = contract.operations().iter().map(|operation| binder.operation(operation)).collect();
    binder.binding.rules = ObjectRules::new(rules);
    binder.report();
    binder.binding
}

struct Binder<'a> {
    api: &'a Api,
    contract: &'a Contract,
    takes: Vec<Takes>,
    today: Date,
    /// By index of the object rule.
    lookups: BTreeMap<usize, u16>,
    /// Indices of object rules that bind something.
    used: BTreeSet<usize>,
    /// Indices of waivers that waive something.
    waived: BTreeSet<usize>,
    /// What is not bound: where it is declared, its name, and the operations.
    unbound: BTreeMap<String, (String, Vec<String>)>,
    binding: Binding,
}

impl Binder<'_> {
    fn compile_lookups(&mut self, Sources { lookups, pools }: &mut Sources) {
        for (index, object) in self.api.objects.iter().enumerate() {
            let Some(ObjectOwner::Lookup(settings)) = &object.owner else { continue };
            let compiled = Lookup::compile(settings, pools).map_err(|error| error.to_string());
            match compiled.and_then(|one| Ok((u16::try_from(lookups.len()).map_err(|e| e.to_string())?, one)))
            {
                Ok((at, lookup)) => {
                    self.lookups.insert(index, at);
                    lookups.push(Arc::new(lookup));
                }
                Err(error) => self.binding.problems.push(object.place.error("bad-upstream", error)),
            }
        }
    }

    fn operation(&mut self, operation: &Operation) -> OperationRules {
        let empty = Takes { operation: operation.id.to_string(), names: Vec::new() };
        let takes =
            self.takes.iter().find(|takes| *takes.operation == *operation.id).unwrap_or(&empty).clone();
        let mut rules = OperationRules::default();
        for (index, object) in self.api.objects.iter().enumerate() {
            if let Some(bound) = self.bound(index, object, operation, &takes) {
                self.used.insert(index);
                rules.bound.push(bound);
            }
            rules.lists.extend(list(object, operation));
            if let Some(creation) = creation(self.api, object, operation) {
                if rules.creates.is_some() {
                    let message = format!("`{}` creates two things", operation.id);
                    self.binding.problems.push(object.place.error("contradiction", message));
                }
                rules.creates = Some(creation);
            }
        }
        rules.exposures = exposures(self.api, operation);
        self.account(&takes, &mut rules);
        rules.waived = self.ending(&takes, &rules);
        rules
    }

    fn bound(
        &mut self,
        index: usize,
        object: &Object,
        operation: &Operation,
        takes: &Takes,
    ) -> Option<Bound> {
        let written = object.owner.as_ref()?;
        if !(object.operations.is_empty() || object.operations.iter().any(|one| **one == *operation.id)) {
            return None;
        }
        let mut places: Vec<Stands> = takes
            .names
            .iter()
            .filter(|taken| is_same(taken, &object.parameter))
            .filter(|taken| self.waiver(takes, taken).is_none())
            .filter_map(stands)
            .collect();
        // Another place of an object is one where the operation has the object, or is named.
        let also = object.also.iter().filter(|_| !places.is_empty() || !object.operations.is_empty());
        for also in also.collect::<Vec<_>>() {
            if !places.contains(also) && is_taken(also, operation) {
                places.push(also.clone());
            }
        }
        let is_declared = !places.is_empty();
        let owner = match written {
            ObjectOwner::Named => Owner::Named,
            _ if !is_declared => return None,
            ObjectOwner::Body(_) if !operation.takes_body() => return None,
            ObjectOwner::Body(pointer) => Owner::Body(pointer.clone()),
            ObjectOwner::Answer { owner, probe } => {
                // A reading is its own proof, unless its answer names no owner and another one is named.
                let named = probe.as_deref().filter(|named| **named != *operation.id);
                let probe = match (operation.method == Method::GET, named) {
                    (true, None) => None,
                    (_, named) => Some(self.probe(object, operation, named)?),
                };
                Owner::Answer { owner: owner.clone(), probe }
            }
            ObjectOwner::Created { .. } => Owner::Created(kind(self.api, object)),
            ObjectOwner::Lookup(_) => Owner::Lookup(*self.lookups.get(&index)?),
        };
        // SMUGGLING: the operation does not declare it there, and the upstream may read it all the same.
        let mut undeclared = vec![Stands::Query(object.parameter.as_str().into())];
        if self.api.allow_unknown_fields && takes_json(operation) {
            undeclared.push(Stands::Body(Pointer::member(&object.parameter)));
        }
        for place in undeclared {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Some(Bound {
            parameter: object.parameter.as_str().into(),
            places,
            is_declared,
            owner,
            equals: object.equals.as_str().into(),
            unless: object.unless.clone(),
        })
    }

    /// The reading that proves whose an object is before it is written.
    fn probe(&mut self, object: &Object, write: &Operation, named: Option<&str>) -> Option<Probe> {
        let has = |operation: &Operation, name: &str| operation.parameter(Location::Path, name).is_some();
        let fits = |read: &Operation| {
            let mut names = read.parameters.iter();
            let is_known = |name: &str| *name == object.parameter || has(write, name);
            read.method == Method::GET
                && names.all(|one| match one.location {
                    Location::Path => is_known(&one.name),
                    _ => !one.required,
                })
        };
        let operations = self.contract.operations().iter().enumerate();
        let found = match named {
            Some(named) => {
                operations.clone().find(|(_, read)| *read.id == *named).filter(|(_, read)| fits(read))
            }
            None => {
                let above = |read: &Operation| {
                    let rest = write.template.strip_prefix(&*read.template);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                let readers =
                    operations.clone().filter(|(_, read)| fits(read) && has(read, &object.parameter));
                let nearest = readers.clone().filter(|(_, read)| above(read));
                let nearest = nearest.max_by_key(|(_, read)| read.template.len());
                // Where none is above it, one that ends with the object and is the only one will do.
                let end = format!("{{{}}}", object.parameter);
                let mut only = readers.filter(|(_, read)| read.template.ends_with(&end));
                nearest.or_else(|| only.next().filter(|_| only.next().is_none()))
            }
        };
        let Some((index, read)) = found else {
            let message = match named {
                Some(named) => format!("`{named}` does not read what `{}` writes", write.id),
                None => format!("no operation reads what `{}` writes", write.id),
            };
            let mut problem = object.place.error("no-probe", message);
            problem.expected(
                "a `GET` operation whose path parameters the write has as well, as `probe: getOrder`",
            );
            self.binding.problems.push(problem);
            return None;
        };
        let operation = OperationIndex(u32::try_from(index).ok()?);
        Some(Probe { operation, path: segments(&read.template) })
    }

    /// Names that stand in two places agree, and what names an object is bound or waived.
    fn account(&mut self, takes: &Takes, rules: &mut OperationRules) {
        let mut free: BTreeMap<String, Vec<Stands>> = BTreeMap::new();
        for taken in takes.names.iter().filter(|taken| taken.is_identifier) {
            let place = stands(taken);
            let is_there =
                |bound: &Bound| bound.is_declared && place.iter().any(|p| bound.places.contains(p));
            if rules.bound.iter().any(is_there) {
                continue;
            }
            if let Some(waiver) = self.waiver(takes, taken) {
                self.waived.insert(waiver);
                continue;
            }
            free.entry(taken.name.to_ascii_lowercase()).or_default().extend(place);
            let (_, operations) =
                self.unbound.entry(taken.pointer.clone()).or_insert_with(|| (taken.name.clone(), Vec::new()));
            if !operations.contains(&takes.operation) {
                operations.push(takes.operation.clone());
            }
        }
        // A waiver says that nobody owns it, not that one request may name two.
        for taken in takes.names.iter().filter(|taken| taken.is_identifier) {
            let waived = self.waiver(takes, taken).and_then(|index| self.api.waivers.get(index));
            if let (Some(place), Some("")) = (stands(taken), waived.map(|waiver| waiver.stands_in)) {
                free.entry(taken.name.to_ascii_lowercase()).or_default().push(place);
            }
        }
        for (name, places) in free.into_iter().filter(|(_, places)| places.len() > 1) {
            rules.agreements.push(Agreement { name: name.into(), places });
        }
    }

    /// The waiver that holds for a name of an operation.
    fn waiver(&self, takes: &Takes, taken: &Taken) -> Option<usize> {
        let holds = |waiver: &Waiver| {
            is_about(waiver, takes, taken) && waiver.until.is_none_or(|until| self.today <= until)
        };
        self.api.waivers.iter().position(holds)
    }

    /// What is only waived for a while in an operation, and until when: by the waiver that holds longest.
    fn ending(&self, takes: &Takes, rules: &OperationRules) -> Vec<Waived> {
        let is_needed = |taken: &&Taken| {
            let is_named = self.api.objects.iter().any(|object| {
                is_same(taken, &object.parameter)
                    && (object.operations.is_empty() || object.operations.contains(&takes.operation))
            });
            let place = stands(taken);
            let is_there = |bound: &Bound| place.iter().any(|place| bound.places.contains(place));
            (taken.is_identifier || is_named) && !rules.bound.iter().any(is_there)
        };
        let until = |taken: &Taken| {
            let about = self.api.waivers.iter().filter(|waiver| is_about(waiver, takes, taken));
            let ends: Option<Vec<i64>> = about.map(|waiver| waiver.until.map(over)).collect();
            ends?.into_iter().max()
        };
        let needed = takes.names.iter().filter(is_needed);
        let ending = needed
            .filter_map(|taken| Some(Waived { parameter: taken.name.as_str().into(), until: until(taken)? }));
        ending.collect()
    }

    fn report(&mut self) {
        for (index, object) in self.api.objects.iter().enumerate() {
            if object.owner.is_some() && !self.used.contains(&index) && self.binding.problems.is_empty() {
                let message = format!("no operation has `{}` so that this could bind it", object.parameter);
                self.binding.problems.push(object.place.error("unused-rule", message));
            }
        }
        for (index, waiver) in self.api.waivers.iter().enumerate() {
            match waiver.until {
                Some(until) if until < self.today => {
                    let message = format!("the waiver of `{}` ended on {until}", waiver.parameter);
                    let mut problem = waiver.place.error("waiver-ended", message);
                    problem.help("bind the parameter, or look at the reason again and write a later day");
                    self.binding.problems.push(problem);
                }
                _ if !self.waived.contains(&index) => {
                    let message = format!("nothing needs this waiver of `{}`", waiver.parameter);
                    self.binding.warnings.push(waiver.place.warning("unused-waiver", message));
                }
                _ => {}
            }
        }
        self.report_unbound();
    }

    fn report_unbound(&mut self) {
        let count = self.unbound.len();
        if count == 0 {
            return;
        }
        if self.api.allows_unbound {
            let names: BTreeSet<&str> = self.unbound.values().map(|(name, _)| name.as_str()).collect();
            let names: Vec<String> = names.into_iter().take(8).map(|name| format!("`{name}`")).collect();
            let message = format!("what names an object is not bound to its owner: {}", names.join(", "));
            let mut warning = self.api.place.warning("unbound-object", message);
            warning.help("bind each in `objects` or write why not in `waive`, then remove `unbound: allow`");
            self.binding.warnings.push(warning);
            return;
        }
        for (pointer, (name, operations)) in self.unbound.iter().take(LISTED) {
            let of = operations.iter().take(4).map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
            let message = format!("`{name}` names an object and is bound to no owner in {of}");
            let mut problem = self.api.contract.at(pointer).error("unbound-object", message);
            problem.help(format!(
                "bind it in `objects` of `{}`, or say why nobody owns it in `waive`",
                self.api.name
            ));
            self.binding.problems.push(problem);
        }
        if let Some(more) = count.checked_sub(LISTED).filter(|more| *more > 0) {
            let message = format!("{more} more parameters name objects and are bound to no owner");
            self.binding.problems.push(self.api.place.error("unbound-object", message));
        }
    }
}

/// Whether a waiver is about a name of an operation, whether or not it still holds.
fn is_about(waiver: &Waiver, takes: &Takes, taken: &Taken) -> bool {
    is_same(taken, &waiver.parameter)
        && (waiver.stands_in.is_empty() || waiver.stands_in == taken.stands_in)
        && (waiver.operations.is_empty() || waiver.operations.contains(&takes.operation))
}

fn is_same(taken: &Taken, name: &str) -> bool {
    *taken.name == *name || (taken.stands_in == "header" && taken.name.eq_ignore_ascii_case(name))
}

fn stands(taken: &Taken) -> Option<Stands> {
    let name = || taken.name.as_str().into();
    if !taken.is_readable {
        return None;
    }
    Some(match taken.stands_in {
        "path" => Stands::Path(name()),
        "query" => Stands::Query(name()),
        "header" => Stands::Header(taken.name.parse::<HeaderName>().ok()?),
        "cookie" => Stands::Cookie(name()),
        _ => Stands::Body(Pointer::member(&taken.name)),
    })
}

fn takes_json(operation: &Operation) -> bool {
    operation.body.iter().flat_map(|body| &body.content).any(|media| media.range.ends_with("json"))
}

/// Whether an operation can have something in a place that the configuration names.
fn is_taken(place: &Stands, operation: &Operation) -> bool {
    match place {
        Stands::Body(_) => operation.takes_body(),
        Stands::Path(name) => operation.parameter(Location::Path, name).is_some(),
        Stands::Query(name) => operation.parameter(Location::Query, name).is_some(),
        Stands::Header(name) => operation.parameter(Location::Header, name.as_str()).is_some(),
        Stands::Cookie(name) => operation.parameter(Location::Cookie, name).is_some(),
    }
}

fn kind(api: &Api, object: &Object) -> Box<str> {
    format!("{}/{}", api.name, object.parameter).into()
}

fn creation(api: &Api, object: &Object, operation: &Operation) -> Option<Creation> {
    let Some(ObjectOwner::Created { by, id }) = &object.owner else { return None };
    by.iter().any(|one| **one == *operation.id).then(|| Creation {
        kind: kind(api, object),
        id: id.clone(),
        owner: object.equals.as_str().into(),
    })
}

fn list(object: &Object, operation: &Operation) -> Option<ListRule> {
    let list = object.list.as_ref()?;
    list.operations.iter().any(|one| **one == *operation.id).then(|| ListRule {
        items: list.items.clone(),
        owner: list.owner.clone(),
        equals: object.equals.as_str().into(),
        refuses: list.refuses,
        unless: object.unless.clone(),
    })
}

fn exposures(api: &Api, operation: &Operation) -> Vec<Exposure> {
    let named = api.exposures.iter().filter(|one| one.operations.iter().any(|name| **name == *operation.id));
    let compiled = named.map(|one| Exposure {
        to: one.to.clone(),
        answers: Properties::new(&one.answers),
        requests: Properties::new(&one.requests),
        refuses: one.refuses,
    });
    compiled.collect()
}

fn segments(template: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        segments.push(Segment::Text(text.into()));
        segments.push(Segment::Parameter(name.into()));
        rest = after;
    }
    segments.push(Segment::Text(rest.into()));
    segments
}
