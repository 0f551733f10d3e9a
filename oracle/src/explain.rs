//! What the two judges disagree about, and why that is right.
//!
//! Most classes are a rule of the gate that can be taken away. A difference belongs to such a class where the gate
//! without that rule says what the oracle says, and with any smaller change it does not; and where the request itself
//! shows what the rule is about, found out here without the gate.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use portcullis_core::halt::{Reason, Violation};

use crate::calls::Call;
use serde_json::Value;

use crate::document::{Document, Rule, without};
use crate::evidence;
use crate::judges::{Complaint, Ours, Refused, Said, Theirs};

/// Each class of disagreement with its reason. Nothing else is explained.
pub const CLASSES: &[(&str, &str)] = &[
    (
        "unknown fields",
        "the gate refuses fields that a schema does not name, where the schema names any; OpenAPI lets them pass",
    ),
    ("formats", "the gate asserts `format`; the oracle takes it for a comment, as JSON Schema lets it"),
    (
        "fields of answers",
        "the gate refuses `readOnly` fields in requests; the oracle lets them pass (OpenAPI says SHOULD NOT)",
    ),
    (
        "required in answers only",
        "a `readOnly` field that is required is required in answers alone (OpenAPI 3.0 section 4.7.24.1); the oracle \
         wants it in requests too",
    ),
    (
        "discriminators",
        "the gate holds the discriminating field to the alternative that it names; the oracle does not look at it",
    ),
    (
        "null where it is meant",
        "the gate takes null where `nullable` has no `type` beside it, or an `enum` that leaves null out; the oracle \
         is told of neither",
    ),
    (
        "a member twice",
        "the gate refuses what two readers could read differently: a JSON member twice (RFC 8259 section 4)",
    ),
    (
        "a parameter twice",
        "the gate refuses a parameter twice that is no list: readers take the first, or the last; the oracle takes \
         the first",
    ),
    (
        "whole numbers as texts",
        "`7.0` in a parameter is no integer to the gate: it is text, and most readers of integers refuse it; JSON \
         Schema, which knows numbers only, does not say",
    ),
    (
        "deep objects",
        "OpenAPI defines `deepObject` for objects whose fields are plain; the gate reads `name[a][b]`, `name[0]` and a \
         bare `name` as real clients write them, the oracle one level of keys",
    ),
    (
        "texts of more than one type",
        "a parameter or form field of more than one type is text to the oracle (too strict, as it says itself); the \
         gate reads it as each type that its schema takes",
    ),
    (
        "paths that are the same",
        "two templates that differ in the names of their parameters alone, which OpenAPI forbids and real documents \
         have: the gate joins their methods, the oracle knows those of one",
    ),
    (
        "unexpected body",
        "the gate refuses a body where the document has none; the oracle does not look at it",
    ),
];

/// What came of one request.
#[derive(Debug)]
pub enum Outcome {
    BothAccept,
    BothRefuse,
    /// The oracle could not say.
    Unsaid(String),
    Explained(&'static str),
    Unexplained(String),
}

/// Both judges of one document.
pub struct Court {
    document: Document,
    /// The document as the gate is given it.
    given: Value,
    ours: Ours,
    /// The gate without some of its rules: one for each set that was asked for.
    lenient: [OnceCell<Ours>; 1 << Rule::ALL.len()],
    theirs: Theirs,
}

impl Court {
    pub fn new(document: Document) -> Result<Self, String> {
        let given = document.source().clone();
        Self::with_gate(document, given)
    }

    /// A court whose gate reads the document as `given`, and not as it is.
    pub fn with_gate(document: Document, given: Value) -> Result<Self, String> {
        let ours = Ours::new(given.clone(), false)?;
        let theirs = Theirs::new(&document)?;
        let lenient = [const { OnceCell::new() }; 1 << Rule::ALL.len()];
        Ok(Self { document, given, ours, lenient, theirs })
    }

    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The gate without the rules.
    fn without(&self, rules: &BTreeSet<Rule>) -> &Ours {
        let at: usize = rules.iter().map(|rule| 1 << *rule as usize).sum();
        let is_open = rules.contains(&Rule::UnknownFields);
        self.lenient[at]
            .get_or_init(|| Ours::new(without(&self.given, rules), is_open).expect("it was compiled before"))
    }

    /// Asks both.
    pub fn judge(&self, call: &Call) -> Outcome {
        let ours = self.ours.ask(call);
        let theirs = self.theirs.ask(call);
        match (&ours, &theirs) {
            (_, Said::Unchecked(why)) => Outcome::Unsaid(why.first().cloned().unwrap_or_default()),
            (_, Said::Lost) => Outcome::Unsaid("a path item that cannot be read".to_owned()),
            (Ok(()), Said::Accepts) => Outcome::BothAccept,
            (Err(refused), Said::NoPath)
                if matches!(refused.reason, Reason::UnknownRoute | Reason::AmbiguousPath) =>
            {
                Outcome::BothRefuse
            }
            (Err(refused), Said::NoMethod) if refused.reason == Reason::MethodNotAllowed => {
                Outcome::BothRefuse
            }
            (Err(_), Said::Refuses(_)) => Outcome::BothRefuse,
            (Err(refused), Said::Accepts) => match self.stricter(call, refused) {
                Some(class) => Outcome::Explained(class),
                None => Outcome::Unexplained(format!("only the gate refuses: {refused:?}")),
            },
            (Ok(()), Said::Refuses(why)) => match self.looser(call, why) {
                Some(class) => Outcome::Explained(class),
                None => Outcome::Unexplained(format!("only the oracle refuses: {why:?}")),
            },
            (_, Said::NoMethod) if self.document.has_twin(&call.operation) => {
                Outcome::Explained("paths that are the same")
            }
            _ => Outcome::Unexplained(format!("ours {ours:?}, theirs {theirs:?}")),
        }
    }

    /// Why the gate alone refuses.
    fn stricter(&self, call: &Call, refused: &Refused) -> Option<&'static str> {
        match refused.reason {
            Reason::UnexpectedBody => {
                return (!self.document.takes_body(&call.operation)).then_some("unexpected body");
            }
            Reason::BodyMalformed if refused.detail.starts_with("duplicate key") => {
                return evidence::has_member_twice(call.body.as_deref()?).then_some("a member twice");
            }
            _ => {}
        }
        let by_itself = |refused: &Refused| {
            let classes = refused.violations.iter().map(|one| self.by_itself(call, one));
            classes.collect::<Option<Vec<_>>>().and_then(|all| all.first().copied())
        };
        if let Some(class) = by_itself(refused) {
            return Some(class);
        }
        let all = [Rule::UnknownFields, Rule::Formats, Rule::Answers, Rule::Discriminators];
        let rules = self
            .fewest(&all, |gate| gate.ask(call).map_or_else(|left| by_itself(&left).is_some(), |()| true))?;
        let sent = evidence::Sent::of(call);
        let shows = |rule: &Rule| match rule {
            Rule::UnknownFields => sent.names_unknown(&self.document),
            Rule::Formats => {
                // A format is told where nothing else is wrong.
                let others: BTreeSet<Rule> = rules.iter().copied().filter(|one| one != rule).collect();
                let left = self.without(&others).ask(call).err();
                call.kind.ends_with(": not the format")
                    || left.is_some_and(|left| {
                        left.violations.iter().any(|one| evidence::breaks_format(&sent, one))
                    })
            }
            Rule::Answers => sent.names_answers(&self.document),
            Rule::Discriminators => sent.names_discriminator(&self.document),
            Rule::Null => false,
        };
        rules.iter().all(shows).then(|| rules.first().map(|rule| rule.class()))?
    }

    /// The class of a violation that needs no look at the rest.
    fn by_itself(&self, call: &Call, one: &Violation) -> Option<&'static str> {
        let is_twice = one.message == "is sent twice" && evidence::is_sent_twice(call, &one.at);
        let is_pointed =
            one.message == "must be of type integer" && evidence::is_whole_with_point(call, &one.at);
        if is_twice {
            return Some("a parameter twice");
        }
        if is_pointed {
            return Some("whole numbers as texts");
        }
        let is_composed =
            || self.document.written(&call.operation, &one.at).is_some_and(|one| one.is_composed());
        if call.kind != "valid" && evidence::is_sent_twice(call, &one.at) && is_composed() {
            return Some("texts of more than one type");
        }
        // Right requests have one reading in the gate, whatever the other judge makes of them.
        (call.kind != "valid" && self.is_deep(call, &one.at)).then_some("deep objects")
    }

    /// Whether a place is written as a deep object in a way that OpenAPI does not define.
    fn is_deep(&self, call: &Call, place: &str) -> bool {
        let written = self.document.written(&call.operation, place);
        written.is_some_and(|one| {
            one.is_deeper() || one.style == "deepObject" && evidence::is_beyond_deep_object(call, place)
        })
    }

    /// Why the oracle alone refuses.
    fn looser(&self, call: &Call, why: &[Complaint]) -> Option<&'static str> {
        let by_itself = |one: &&Complaint| {
            let is_composed = || {
                let written = self.document.written(&call.operation, &one.at);
                written.is_some_and(|one| one.is_composed()) && evidence::is_text(call, &one.at)
            };
            match () {
                () if self.is_deep(call, &one.at) => Some("deep objects"),
                () if is_composed() => Some("texts of more than one type"),
                () => None,
            }
        };
        let left: Vec<&Complaint> = why.iter().filter(|one| by_itself(one).is_none()).collect();
        if left.is_empty() {
            return why.first().as_ref().and_then(by_itself);
        }
        let rules = self.fewest(&[Rule::Answers, Rule::Null], |gate| gate.ask(call).is_err())?;
        let sent = evidence::Sent::of(call);
        let shows = |rule: &Rule| match rule {
            Rule::Answers => left.iter().any(|one| {
                one.message.ends_with("is required and was not sent") && self.document.is_read_only(&one.at)
            }),
            Rule::Null => sent.has_null(),
            _ => false,
        };
        let class =
            |rule: &Rule| if *rule == Rule::Answers { "required in answers only" } else { rule.class() };
        rules.iter().all(shows).then(|| rules.first().map(class))?
    }

    /// The fewest of `rules` without which the gate is as wanted.
    fn fewest(&self, rules: &[Rule], is_wanted: impl Fn(&Ours) -> bool) -> Option<BTreeSet<Rule>> {
        for rule in rules {
            let one = BTreeSet::from([*rule]);
            if is_wanted(self.without(&one)) {
                return Some(one);
            }
        }
        let mut left: BTreeSet<Rule> = rules.iter().copied().collect();
        if !is_wanted(self.without(&left)) {
            return None;
        }
        for rule in rules {
            let mut fewer = left.clone();
            fewer.remove(rule);
            if is_wanted(self.without(&fewer)) {
                left = fewer;
            }
        }
        Some(left)
    }
}

impl Rule {
    fn class(self) -> &'static str {
        match self {
            Self::UnknownFields => "unknown fields",
            Self::Formats => "formats",
            Self::Answers => "fields of answers",
            Self::Discriminators => "discriminators",
            Self::Null => "null where it is meant",
        }
    }
}
