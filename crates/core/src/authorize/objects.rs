//! Object rules: whose the objects that a request names must be, and what proves it.
//!
//! [`OperationRules`] are compiled per operation. What the request itself proves is judged at once; what only the
//! answer, the upstream, a store or a lookup can prove is left as [`Obligations`] that later phases must meet
//! before anything leaves.

use http::{HeaderMap, HeaderName, StatusCode};
use smol_str::SmolStr;

use super::expose::{Exposure, Properties, filter};
use super::places::{Place, Sent};
use super::scan::{Pointer, Reading, Scalar, elements, find};
use super::who::{Who, claim};
use crate::contract::OperationIndex;
use crate::identify::Principal;
use crate::request::Head;

/// The object rules of a route, by operation.
#[derive(Debug, Clone, Default)]
pub struct ObjectRules {
    operations: Vec<OperationRules>,
}

impl ObjectRules {
    /// Takes the rules of each operation, by its [`OperationIndex`].
    pub fn new(operations: Vec<OperationRules>) -> Self {
        Self { operations }
    }

    /// The rules of an operation; `None` where it has none.
    pub fn of(&self, operation: OperationIndex) -> Option<&OperationRules> {
        let rules = self.operations.get(usize::try_from(operation.0).ok()?)?;
        (!rules.is_empty()).then_some(rules)
    }
}

/// The object rules of one operation.
#[derive(Debug, Clone, Default)]
pub struct OperationRules {
    /// What the objects that the request names are bound to.
    pub bound: Vec<Bound>,
    /// Names that stand in more than one place and are not bound: the places must agree.
    pub agreements: Vec<Agreement>,
    /// How the elements of its answer are judged.
    pub lists: Vec<ListRule>,
    /// What it creates and the gate remembers.
    pub creates: Option<Creation>,
    /// Who sees and sends which properties; empty: everybody all.
    pub exposures: Vec<Exposure>,
    /// What names objects and needs no owner for a while.
    pub waived: Vec<Waived>,
}

/// A name that needs no owner until a moment. From then on the operation is closed, as it would be without the waiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waived {
    /// The parameter, as the configuration names it.
    pub parameter: Box<str>,
    /// When the waiver ends, in seconds since the epoch.
    pub until: i64,
}

/// One object that a request names, and whose it must be.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The parameter, as the configuration names it.
    pub parameter: Box<str>,
    /// Where it may stand.
    pub places: Vec<Place>,
    /// Whether the operation declares it, so that it must be sent: leaving it out may not mean everybody's.
    pub is_declared: bool,
    /// What says whose it is.
    pub owner: Owner,
    /// The claim that must say the same: its name, or a path of names with dots between.
    pub equals: Box<str>,
    /// Who is not bound.
    pub unless: Vec<Who>,
}

/// What says whose an object is.
#[derive(Debug, Clone)]
pub enum Owner {
    /// The identifier itself: it is the owner's.
    Named,
    /// The request's body.
    Body(Pointer),
    /// The answer: this one, or for what is not read but done, the one to a probe.
    Answer {
        /// Where in the answer.
        owner: Pointer,
        /// The reading that is done first.
        probe: Option<Probe>,
    },
    /// What the gate remembers of creations of this kind.
    Created(Box<str>),
    /// The lookup of that index.
    Lookup(u16),
}

/// A reading of the same object, done before it is written.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The operation that reads it.
    pub operation: OperationIndex,
    /// Its path below the base path: texts and names of parameters.
    pub path: Vec<Segment>,
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Itself.
    Text(Box<str>),
    /// The value of a parameter.
    Parameter(Box<str>),
}

/// Places that name one thing.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// Its name.
    pub name: Box<str>,
    /// Where it may stand.
    pub places: Vec<Place>,
}

/// How the elements of an answer are judged.
#[derive(Debug, Clone)]
pub struct ListRule {
    /// Where the list is.
    pub items: Pointer,
    /// Where in an element its owner is.
    pub owner: Pointer,
    /// The claim that must say the same.
    pub equals: Box<str>,
    /// Whether one foreign element refuses the answer; otherwise foreign ones are left out.
    pub refuses: bool,
    /// Who is not bound.
    pub unless: Vec<Who>,
}

/// What an operation creates.
#[derive(Debug, Clone)]
pub struct Creation {
    /// The kind of [`Owner::Created`].
    pub kind: Box<str>,
    /// Where the answer says its identifier.
    pub id: CreatedId,
    /// The claim that is remembered as its owner.
    pub owner: Box<str>,
}

/// Where an answer says the identifier of what was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreatedId {
    /// In its body.
    Body(Pointer),
    /// In the last segment of this header, as of `Location`.
    Header(HeaderName),
}

/// Why a request or an answer is refused by an object rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// Nobody in particular owns nothing.
    #[error("object rule `{0}`: the caller is anonymous")]
    Anonymous(Box<str>),
    /// There is nothing to compare with.
    #[error("object rule `{0}`: the caller has no usable claim `{1}`")]
    NoClaim(Box<str>, Box<str>),
    /// Leaving an identifier out may not mean everybody's objects.
    #[error("object rule `{0}`: the operation declares the parameter and the request lacks it")]
    Missing(Box<str>),
    /// Query, header, cookie or body can be read in two ways.
    #[error("object rule `{0}`: the {1} has more than one reading")]
    Ambiguous(Box<str>, &'static str),
    /// One request, two objects.
    #[error("object rule `{0}`: the request names it twice, and differently")]
    Disagree(Box<str>),
    /// Somebody else's.
    #[error("object rule `{0}`: the parameter is not the caller's claim `{1}`")]
    Differs(Box<str>, Box<str>),
    /// Somebody else's, by what the body says.
    #[error("object rule `{0}`: the body's `{1}` is not the caller's")]
    BodyDiffers(Box<str>, Box<str>),
    /// Somebody else's, by what the answer says.
    #[error("object rule `{0}`: the owner in the answer is not the caller")]
    Foreign(Box<str>),
    /// The answer names no owner.
    #[error("object rule `{0}`: the answer names no owner: {1}")]
    Unowned(Box<str>, String),
    /// Foreign elements in a list, where that refuses it.
    #[error("{0} elements of the answer are not the caller's")]
    ForeignElements(u32),
    /// The list cannot be judged.
    #[error("the elements of the answer cannot be judged: {0}")]
    Unlisted(String),
    /// No property filter names the caller.
    #[error("no `expose` names the caller")]
    NotExposed,
    /// A body with properties that the caller may not send.
    #[error("the body has {0} properties that the caller may not send")]
    NotAccepted(u32),
    /// An answer with properties that the caller may not see.
    #[error("the answer has {0} properties that the caller may not see")]
    NotShown(u32),
    /// A body that the filter cannot read.
    #[error("a body cannot be filtered: {0}")]
    Unfiltered(String),
    /// What named an object without an owner may do so no longer.
    #[error("object rule `{0}`: its waiver has ended, and nothing says whose the object is")]
    WaiverEnded(Box<str>),
}

impl ObjectError {
    /// The parameter that names an object which is not the caller's; `None` where none is denied by its identifier.
    pub fn denied(&self) -> Option<&str> {
        match self {
            Self::Disagree(name)
            | Self::Differs(name, _)
            | Self::BodyDiffers(name, _)
            | Self::Foreign(name)
            | Self::Unowned(name, _) => Some(name),
            _ => None,
        }
    }
}

/// What must still be proven, or done, before the answer leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Obligations {
    /// Objects whose owner the request does not prove.
    pub owed: Vec<Owed>,
    /// Lists to be judged: the rule's index, and what the owner of each element must be.
    pub lists: Vec<(usize, SmolStr)>,
    /// Indices of the property filters that name the caller; `None` where there are none.
    pub exposed: Option<Vec<usize>>,
    /// Whose the created object is to be.
    pub creator: Option<SmolStr>,
}

/// An object whose owner the request does not prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Index of its rule in [`OperationRules::bound`].
    pub bound: usize,
    /// The identifier.
    pub identifier: SmolStr,
    /// Who its owner must be.
    pub owner: SmolStr,
}

/// What may leave of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// The body to send; `None` where it is the one that came.
    pub body: Option<Vec<u8>>,
    /// Foreign elements that were left out.
    pub foreign: u32,
    /// Properties that were left out.
    pub dropped: u32,
}

impl Obligations {
    /// Whether the whole answer is needed to meet them.
    pub fn needs_answer(&self, rules: &OperationRules) -> bool {
        let reads = |owed: &Owed| {
            rules.bound.get(owed.bound).is_some_and(|b| matches!(b.owner, Owner::Answer { probe: None, .. }))
        };
        !self.lists.is_empty()
            || self.creator.is_some()
            || self.exposed.is_some()
            || self.owed.iter().any(reads)
    }
}

impl OperationRules {
    /// Whether nothing is asked of this operation.
    pub fn is_empty(&self) -> bool {
        self.bound.is_empty()
            && self.agreements.is_empty()
            && self.lists.is_empty()
            && self.creates.is_none()
            && self.exposures.is_empty()
            && self.waived.is_empty()
    }

    /// Refuses where a waiver has ended, whatever the request names: leaving a name out may not mean everybody's.
    fn unexpired(&self, now: i64) -> Result<(), ObjectError> {
        match self.waived.iter().find(|waived| waived.until <= now) {
            Some(waived) => Err(ObjectError::WaiverEnded(waived.parameter.clone())),
            None => Ok(()),
        }
    }

    /// Judges what the request itself proves; returns what remains to be proven, if anything does. `now` is in
    /// seconds since the epoch.
    pub(super) fn judge(
        &self,
        principal: &Principal,
        sent: &Sent<'_>,
        now: i64,
    ) -> Result<Option<Box<Obligations>>, ObjectError> {
        self.unexpired(now)?;
        let mut obligations = Obligations::default();
        for (index, bound) in self.bound.iter().enumerate() {
            if let Some((identifier, owner)) = bound.judge(principal, sent)? {
                obligations.owed.push(Owed { bound: index, identifier, owner });
            }
        }
        for agreement in &self.agreements {
            let values = sent.values(&agreement.name, &agreement.places)?;
            agreed(&agreement.name, &values)?;
        }
        for (index, list) in self.lists.iter().enumerate() {
            if !list.unless.iter().any(|who| who.names(principal)) {
                obligations.lists.push((index, expected(principal, "list", &list.equals)?));
            }
        }
        if let Some(creation) = &self.creates {
            obligations.creator = Some(expected(principal, &creation.kind, &creation.owner)?);
        }
        obligations.exposed = self.exposed(principal, sent)?;
        Ok((obligations != Obligations::default()).then(|| Box::new(obligations)))
    }

    /// Judges a request that nobody sent, as [`authorize`](super::authorize()) would: for explanations. It proves nothing.
    ///
    /// # Errors
    /// As for a request.
    pub fn suppose(
        &self,
        principal: &Principal,
        path: &[(Box<str>, Box<str>)],
        head: &Head,
        body: &[u8],
        now: i64,
    ) -> Result<Option<Box<Obligations>>, ObjectError> {
        let sent = Sent { path, query: head.query.as_deref(), headers: &head.headers, body };
        self.judge(principal, &sent, now)
    }

    /// Whether a request of this operation must name an object.
    pub fn binds(&self) -> bool {
        self.bound.iter().any(|bound| bound.is_declared)
    }

    /// Whether properties of its bodies are for some callers only.
    pub fn exposes(&self) -> bool {
        !self.exposures.is_empty()
    }

    /// Judges one message of a stream by the scalar fields at its top, as a request is judged before it is sent.
    /// `now` is in seconds since the epoch.
    ///
    /// # Errors
    /// As for a request; also where the fields themselves do not prove whose an object is, for nothing asks further.
    pub fn judge_message(
        &self,
        principal: &Principal,
        fields: &[(Box<str>, Box<str>)],
        now: i64,
    ) -> Result<(), ObjectError> {
        self.unexpired(now)?;
        let sent = Sent { path: fields, query: None, headers: &HeaderMap::new(), body: b"" };
        for bound in &self.bound {
            if bound.judge(principal, &sent)?.is_some() {
                let why = "a message of a stream does not prove it".to_owned();
                return Err(ObjectError::Unowned(bound.parameter.clone(), why));
            }
        }
        Ok(())
    }

    fn exposed(&self, principal: &Principal, sent: &Sent<'_>) -> Result<Option<Vec<usize>>, ObjectError> {
        if self.exposures.is_empty() {
            return Ok(None);
        }
        let names = |exposure: &Exposure| exposure.to.iter().any(|who| who.names(principal));
        let all = self.exposures.iter().enumerate().filter(|(_, exposure)| names(exposure));
        let all: Vec<usize> = all.map(|(index, _)| index).collect();
        if all.is_empty() {
            return Err(ObjectError::NotExposed);
        }
        if !sent.body.is_empty() {
            let sets: Vec<&Properties> =
                all.iter().filter_map(|index| Some(&self.exposures.get(*index)?.requests)).collect();
            let filtered = filter(sent.body, &sets).map_err(|e| ObjectError::Unfiltered(e.to_string()))?;
            if filtered.dropped > 0 {
                return Err(ObjectError::NotAccepted(filtered.dropped));
            }
        }
        Ok(Some(all))
    }

    /// Judges the owner that an answer with `status` names: only an answer that shows the object need name it.
    ///
    /// # Errors
    /// A foreign object, one whose owner is not said, and an answer that is neither the object nor an error.
    pub fn judge_answer(
        &self,
        obligations: &Obligations,
        status: StatusCode,
        body: &[u8],
    ) -> Result<(), ObjectError> {
        for owed in &obligations.owed {
            let Some(bound) = self.bound.get(owed.bound) else { continue };
            if let Owner::Answer { owner, probe: None } = &bound.owner {
                judge_owner(&bound.parameter, owner, status, body, &owed.owner)?;
            }
        }
        Ok(())
    }

    /// Judges what a probe answered.
    ///
    /// # Errors
    /// As [`judge_answer`](Self::judge_answer), and anything but a reading of the object.
    pub fn judge_probe(&self, owed: &Owed, status: StatusCode, body: &[u8]) -> Result<(), ObjectError> {
        let Some(Bound { parameter, owner: Owner::Answer { owner, .. }, .. }) = self.bound.get(owed.bound)
        else {
            return Ok(());
        };
        if !status.is_success() {
            return Err(ObjectError::Unowned(parameter.clone(), format!("the probe was answered {status}")));
        }
        judge_owner(parameter, owner, status, body, &owed.owner)
    }

    /// Leaves of an answer what the caller may have. Only answers of success are judged: they show objects.
    ///
    /// # Errors
    /// Foreign elements or properties where these refuse the answer, and answers that cannot be read.
    pub fn rewrite(
        &self,
        obligations: &Obligations,
        status: StatusCode,
        body: &[u8],
    ) -> Result<Rewritten, ObjectError> {
        let mut rewritten = Rewritten::default();
        if !status.is_success() || body.is_empty() {
            return Ok(rewritten);
        }
        for (index, owner) in &obligations.lists {
            let Some(list) = self.lists.get(*index) else { continue };
            let (left, foreign) = list.keep(rewritten.body.as_deref().unwrap_or(body), owner)?;
            rewritten.foreign += foreign;
            rewritten.body = left.or(rewritten.body);
        }
        if let Some(exposed) = &obligations.exposed {
            let all: Vec<&Exposure> = exposed.iter().filter_map(|index| self.exposures.get(*index)).collect();
            let sets: Vec<&Properties> = all.iter().map(|exposure| &exposure.answers).collect();
            let filtered = filter(rewritten.body.as_deref().unwrap_or(body), &sets)
                .map_err(|error| ObjectError::Unfiltered(error.to_string()))?;
            if filtered.dropped > 0 && all.iter().any(|exposure| exposure.refuses) {
                return Err(ObjectError::NotShown(filtered.dropped));
            }
            rewritten.dropped = filtered.dropped;
            rewritten.body = filtered.body.or(rewritten.body);
        }
        Ok(rewritten)
    }
}

impl Creation {
    /// The identifier that an answer of success says; `None` where it says none.
    pub fn identifier(&self, headers: &HeaderMap, body: &[u8]) -> Option<SmolStr> {
        match &self.id {
            CreatedId::Body(pointer) => owner_in(body, pointer),
            CreatedId::Header(name) => {
                let mut all = headers.get_all(name).iter();
                let (Some(only), None) = (all.next(), all.next()) else { return None };
                let path = only.to_str().ok()?.split(['?', '#']).next()?;
                let last = path.trim_end_matches('/').rsplit('/').next()?;
                let last = percent_encoding::percent_decode_str(last).decode_utf8().ok()?;
                (!last.is_empty()).then(|| SmolStr::new(last))
            }
        }
    }
}

impl Bound {
    /// What is owed for it: the identifier and who its owner must be.
    pub(crate) fn judge(
        &self,
        principal: &Principal,
        sent: &Sent<'_>,
    ) -> Result<Option<(SmolStr, SmolStr)>, ObjectError> {
        let values = sent.values(&self.parameter, &self.places)?;
        if values.is_empty() && !self.is_declared {
            return Ok(None);
        }
        // SMUGGLING: to some upstreams `;` ends a pair, and another value of the parameter could stand behind it.
        if sent.query.is_some_and(|query| query.contains(';')) {
            return Err(ObjectError::Ambiguous(self.parameter.clone(), "query"));
        }
        if self.unless.iter().any(|who| who.names(principal)) {
            return agreed(&self.parameter, &values).map(|_| None);
        }
        if let Principal::Anonymous = principal {
            return Err(ObjectError::Anonymous(self.parameter.clone()));
        }
        let Some(first) = values.first() else { return Err(ObjectError::Missing(self.parameter.clone())) };
        let owner = expected(principal, &self.parameter, &self.equals)?;
        if let Owner::Named = self.owner {
            let is_own = values.iter().all(|value| **value == *owner);
            let differs = || ObjectError::Differs(self.parameter.clone(), self.equals.clone());
            return if is_own { Ok(None) } else { Err(differs()) };
        }
        agreed(&self.parameter, &values)?;
        if let Owner::Body(pointer) = &self.owner {
            let said = find(sent.body, pointer, Reading::Client);
            let is_own = matches!(said, Ok(Some(Scalar::Text(said))) if said == owner);
            let differs =
                || ObjectError::BodyDiffers(self.parameter.clone(), pointer.to_string().into_boxed_str());
            return if is_own { Ok(None) } else { Err(differs()) };
        }
        Ok(Some((SmolStr::new(first), owner)))
    }
}

impl ListRule {
    /// The text without its foreign elements, `None` where it has none; and how many it had.
    fn keep(&self, body: &[u8], owner: &str) -> Result<(Option<Vec<u8>>, u32), ObjectError> {
        let all = elements(body, &self.items).map_err(|error| ObjectError::Unlisted(error.to_string()))?;
        let all = all.ok_or_else(|| ObjectError::Unlisted(format!("no list at `{}`", self.items)))?;
        let is_own = |raw: &&serde_json::value::RawValue| {
            let said = find(raw.get().as_bytes(), &self.owner, Reading::Upstream);
            matches!(said, Ok(Some(Scalar::Text(said))) if said == owner)
        };
        let own: Vec<_> = all.iter().copied().filter(is_own).collect();
        let foreign = u32::try_from(all.len().saturating_sub(own.len())).unwrap_or(u32::MAX);
        let (Some(first), Some(last), true) = (all.first(), all.last(), foreign > 0) else {
            return Ok((None, 0));
        };
        if self.refuses {
            return Err(ObjectError::ForeignElements(foreign));
        }
        // The elements are borrowed from the body: their place in it is where they lie in memory.
        let at = |raw: &str| raw.as_ptr().addr().checked_sub(body.as_ptr().addr());
        let parts = at(first.get())
            .and_then(|from| body.get(..from))
            .zip(at(last.get()).and_then(|from| body.get(from.checked_add(last.get().len())?..)));
        let (before, after) = parts.ok_or_else(|| ObjectError::Unlisted("an element out of place".into()))?;
        let mut out = Vec::with_capacity(body.len());
        out.extend_from_slice(before);
        for (index, raw) in own.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(raw.get().as_bytes());
        }
        out.extend_from_slice(after);
        Ok((Some(out), foreign))
    }
}

/// Who the owner must be: what the caller's claim says.
fn expected(principal: &Principal, rule: &str, path: &str) -> Result<SmolStr, ObjectError> {
    match principal {
        Principal::Anonymous => Err(ObjectError::Anonymous(rule.into())),
        Principal::Identity(identity) => {
            claim(identity, path).ok_or_else(|| ObjectError::NoClaim(rule.into(), path.into()))
        }
    }
}

/// The owner that a JSON text names; `None` where it names none, or more than one.
pub fn owner_in(body: &[u8], pointer: &Pointer) -> Option<SmolStr> {
    match find(body, pointer, Reading::Upstream).ok()?? {
        Scalar::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// All values are the same.
fn agreed<T: PartialEq>(name: &str, values: &[T]) -> Result<(), ObjectError> {
    let is_one = values.windows(2).all(|pair| matches!(pair, [a, b] if a == b));
    if is_one { Ok(()) } else { Err(ObjectError::Disagree(name.into())) }
}

fn judge_owner(
    parameter: &str,
    owner: &Pointer,
    status: StatusCode,
    body: &[u8],
    expected: &str,
) -> Result<(), ObjectError> {
    let unowned = |why: String| Err(ObjectError::Unowned(parameter.into(), why));
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error && (!status.is_success() || body.is_empty()) {
        // A redirect, a part, "not modified": the object may be behind it, and nobody says whose it is.
        return unowned(format!("status {status}"));
    }
    match find(body, owner, Reading::Upstream) {
        Ok(Some(Scalar::Text(said))) if said == expected => Ok(()),
        Ok(Some(Scalar::Text(_))) => Err(ObjectError::Foreign(parameter.into())),
        // An error that shows no object has no owner.
        _ if is_error => Ok(()),
        Ok(Some(Scalar::Other)) => unowned(format!("`{owner}` is no text")),
        Ok(None) => unowned(format!("nothing at `{owner}`")),
        Err(error) => unowned(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
