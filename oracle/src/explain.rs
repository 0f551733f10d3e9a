//! What the two judges disagree about, and why that is right.
//!
//! Most classes are a rule of the gate that can be taken away. A difference belongs to such a class where the gate
//! without that rule says what the oracle says, and with any smaller change it does not; and where the request itself
//! shows what the rule is about, found out here without the gate.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use portcullis_core::halt::{Reason, Violation};

use crate::calls::{Call, FORM};
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
        "the gate refuses `readOnly` fields in requests, and where it is written beside a reference; the oracle lets \
         them pass (OpenAPI says SHOULD NOT)",
    ),
    (
        "required in answers only",
        "a `readOnly` field that is required is required in answers alone (OpenAPI 3.0 section 4.7.24.2); the oracle \
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
        "paths that overlap",
        "two templates fit the path, and neither is concrete where the other is not: OpenAPI leaves the choice to tools \
         (3.0 section 4.7.8.2); the gate takes the one with more fixed text and joins those that differ in names alone",
    ),
    (
        "paths with two readings",
        "the gate refuses what servers decode or resolve differently (RFC 3986 sections 6.2.2 and 7.3): an encoded \
         slash, backslash, dot, percent sign or control, an empty segment; the oracle decodes once",
    ),
    (
        "headers with two readings",
        "the gate refuses headers that override the method, such as `X-HTTP-Method-Override`, also where a document \
         declares them: what was judged is what the upstream must do",
    ),
    (
        "encoded bodies",
        "the gate refuses a body with a `Content-Encoding`, which it could not look into; the oracle is given bytes that \
         are not encoded, whatever the header says",
    ),
    (
        "segments with two readings",
        "a segment that can be split between its parameters in two ways is no path to the gate; the oracle takes the \
         first way",
    ),
    (
        "free objects in queries",
        "an exploded object in a query is its fields (RFC 6570 section 3.2.8); where they are free, the gate takes any \
         name, the oracle none",
    ),
    (
        "objects in forms",
        "a field of a form with fields of its own is JSON (OpenAPI 3.0 section 4.7.14.4); the oracle looks for its \
         fields beside it",
    ),
    (
        "lists of names and values",
        "an object in a list has a value for each name (OpenAPI 3.0 section 4.7.12.3); the oracle leaves out a name \
         without one",
    ),
    (
        "JSON that is called a text",
        "`text/json` is JSON to the gate (WHATWG MIME Sniffing section 4.6), and text to the oracle",
    ),
    (
        "texts with fields",
        "a text that has fields by its schema, such as `text/xml`, is not read by the gate; the oracle takes it for a \
         string and refuses any",
    ),
    (
        "tokens in queries",
        "the gate refuses a bearer token in a query wherever it comes (RFC 9700 section 4.3.2); the oracle knows no \
         credentials",
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
        let (theirs, operation) = self.theirs.ask(call);
        let class = match (&ours, &theirs) {
            (_, Said::Unchecked(why)) => return Outcome::Unsaid(why.first().cloned().unwrap_or_default()),
            (_, Said::Lost) => return Outcome::Unsaid("a path item that cannot be read".to_owned()),
            (Ok(()), Said::Accepts) => return Outcome::BothAccept,
            (Err(refused), Said::NoPath)
                if [Reason::UnknownRoute, Reason::AmbiguousPath, Reason::AmbiguousHeader]
                    .contains(&refused.reason) =>
            {
                return Outcome::BothRefuse;
            }
            (Err(refused), Said::NoMethod)
                if [Reason::MethodNotAllowed, Reason::AmbiguousPath, Reason::AmbiguousHeader]
                    .contains(&refused.reason) =>
            {
                return Outcome::BothRefuse;
            }
            (Err(_), Said::Refuses(_)) => return Outcome::BothRefuse,
            // A path that should be unknown may be another one: the difference is about that.
            (Err(refused), Said::Accepts) => {
                let call = Call { operation: operation.clone().unwrap_or_default(), ..call.clone() };
                self.stricter(&call, refused)
            }
            (Ok(()), Said::Refuses(why)) => {
                let call = Call { operation: operation.clone().unwrap_or_default(), ..call.clone() };
                self.looser(&call, why)
            }
            _ => None,
        };
        let is_other = operation.is_some_and(|operation| operation != call.operation);
        let class = class
            .or_else(|| self.overlaps(call, is_other, &ours, &theirs).then_some("paths that overlap"))
            .or_else(|| self.is_split(call, &ours).then_some("segments with two readings"));
        class.map_or_else(
            || Outcome::Unexplained(format!("ours {ours:?}, theirs {theirs:?}")),
            Outcome::Explained,
        )
    }

    /// Whether the judges take the path for different templates, which OpenAPI leaves to them.
    fn overlaps(&self, call: &Call, is_other: bool, ours: &Result<(), Refused>, theirs: &Said) -> bool {
        let is_no_method = |refused: &Refused| refused.reason == Reason::MethodNotAllowed;
        let is_routed = is_other
            || matches!(theirs, Said::NoMethod)
            || ours.as_ref().is_err_and(is_no_method)
            || matches!(theirs, Said::Refuses(all) if all.iter().any(|one| one.at.starts_with("path:")))
            || ours.as_ref().is_err_and(|one| one.violations.iter().any(|one| one.at.starts_with("path:")));
        is_routed && self.document.has_overlap(&call.path)
    }

    /// Whether the gate knows no such path, because a segment of it can be read in two ways.
    fn is_split(&self, call: &Call, ours: &Result<(), Refused>) -> bool {
        ours.as_ref().is_err_and(|one| one.reason == Reason::UnknownRoute)
            && self.document.has_two_splits(&call.path)
    }

    /// Why the gate alone refuses.
    fn stricter(&self, call: &Call, refused: &Refused) -> Option<&'static str> {
        if let Some(class) = self.at_once(call, refused) {
            return Some(class);
        }
        let all = [Rule::UnknownFields, Rule::Formats, Rule::Answers, Rule::Discriminators];
        let is_explained =
            |gate: &Ours| gate.ask(call).map_or_else(|left| self.at_once(call, &left).is_some(), |()| true);
        let rules = self.fewest(&all, is_explained)?;
        let (sent, fields) = (evidence::Sent::of(call), self.document.fields(&call.operation));
        let shows = |rule: &Rule| match rule {
            Rule::UnknownFields => sent.names_unknown(&fields),
            Rule::Formats => {
                // A format is told where nothing else is wrong.
                let others: BTreeSet<Rule> = rules.iter().copied().filter(|one| one != rule).collect();
                let left = self.without(&others).ask(call).err();
                call.kind.ends_with(": not the format")
                    || left.is_some_and(|left| {
                        left.violations.iter().any(|one| evidence::breaks_format(&fields, &sent, one))
                    })
            }
            Rule::Answers => sent.names_answers(&fields),
            Rule::Discriminators => sent.names_discriminator(&self.document),
            Rule::Null => false,
        };
        rules.iter().all(shows).then(|| rules.first().map(|rule| rule.class()))?
    }

    /// The class of a refusal for which no rule of the gate has to be taken away.
    fn at_once(&self, call: &Call, refused: &Refused) -> Option<&'static str> {
        let is_twice = refused.detail.starts_with("duplicate key");
        match refused.reason {
            Reason::UnexpectedBody => {
                (!self.document.takes_body(&call.operation)).then_some("unexpected body")
            }
            Reason::BodyMalformed if is_twice => {
                evidence::has_member_twice(call.body.as_deref()?).then_some("a member twice")
            }
            Reason::BodyMalformed | Reason::BodyInvalid if evidence::media(call) == "text/json" => {
                Some("JSON that is called a text")
            }
            Reason::AmbiguousPath => evidence::has_odd_path(call).then_some("paths with two readings"),
            Reason::AmbiguousHeader => evidence::has_override(call).then_some("headers with two readings"),
            Reason::MediaTypeUnsupported => evidence::is_encoded(call).then_some("encoded bodies"),
            Reason::CredentialInvalid => evidence::has_token_in_query(call).then_some("tokens in queries"),
            _ => {
                let classes = refused.violations.iter().map(|one| self.by_itself(call, one));
                classes.collect::<Option<Vec<_>>>().and_then(|all| all.first().copied())
            }
        }
    }

    /// The class of a violation that needs no look at the rest.
    fn by_itself(&self, call: &Call, one: &Violation) -> Option<&'static str> {
        let is_twice = one.message == "is sent twice" && evidence::is_sent_twice(call, &one.at);
        let is_integer = one.message.starts_with("must be of type") && one.message.contains("integer");
        let is_pointed = is_integer && evidence::is_whole_with_point(call, &one.at);
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
        if call.kind != "valid" && self.document.is_free_object(&call.operation, &one.at) {
            return Some("free objects in queries");
        }
        if call.kind != "valid" && self.is_field_of_json(call, &one.at) {
            return Some("objects in forms");
        }
        if one.message == "must be a list of names and values" && evidence::is_no_list_of_pairs(call, &one.at)
        {
            return Some("lists of names and values");
        }
        // Right requests have one reading in the gate, whatever the other judge makes of them.
        (call.kind != "valid" && self.is_deep(call, &one.at)).then_some("deep objects")
    }

    /// Whether a place is, or is in, a field of a form that has fields of its own.
    fn is_field_of_json(&self, call: &Call, place: &str) -> bool {
        let top =
            place.strip_prefix('/').and_then(|rest| rest.split('/').next()).map(|name| format!("/{name}"));
        let written = top.and_then(|top| self.document.written(&call.operation, &top));
        evidence::media(call) == FORM && written.is_some_and(|one| one.style == "form" && one.is_object())
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
                () if self.document.is_free_object(&call.operation, &one.at) => {
                    Some("free objects in queries")
                }
                () if self.is_field_of_json(call, &one.at) => Some("objects in forms"),
                () if evidence::media(call) == "text/json"
                    && one.message.ends_with("got string")
                    && one.at.is_empty() =>
                {
                    Some("JSON that is called a text")
                }
                () if evidence::is_text_with_fields(call, one) => Some("texts with fields"),
                () => None,
            }
        };
        let left: Vec<&Complaint> = why.iter().filter(|one| by_itself(one).is_none()).collect();
        if left.is_empty() {
            return why.first().as_ref().and_then(by_itself);
        }
        let all = [Rule::Answers, Rule::Null, Rule::Discriminators, Rule::UnknownFields];
        let rules = self.fewest(&all, |gate| gate.ask(call).is_err())?;
        let (sent, fields) = (evidence::Sent::of(call), self.document.fields(&call.operation));
        let shows = |rule: &Rule| match rule {
            Rule::Answers => left.iter().any(|one| {
                one.message.ends_with("is required and was not sent") && fields.is_read_only(&one.at)
                    || one.message.starts_with("does not match any of") && fields.has_answers()
            }),
            Rule::Null => sent.has_null(),
            // What tells the alternatives apart is what the oracle does not look at.
            Rule::Discriminators | Rule::UnknownFields => {
                left.iter().any(|one| one.message.ends_with("schemas in `oneOf`; exactly one is required"))
            }
            Rule::Formats => false,
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
