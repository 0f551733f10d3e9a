//! What the two judges disagree about, and why that is right.

use std::cell::OnceCell;

use portcullis_core::halt::Reason;

use crate::calls::Call;
use crate::document::Document;
use crate::judges::{Ours, Refused, Said, Theirs};

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
        "two readings",
        "the gate refuses what two readers could read differently: a member twice, an encoded slash or dot",
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
    ours: Ours,
    open: OnceCell<Ours>,
    lenient: OnceCell<Ours>,
    theirs: Theirs,
}

impl Court {
    pub fn new(document: Document) -> Result<Self, String> {
        let ours = Ours::new(document.root.clone(), false)?;
        let theirs = Theirs::new(&document.root)?;
        Ok(Self { document, ours, open: OnceCell::new(), lenient: OnceCell::new(), theirs })
    }

    pub fn document(&self) -> &Document {
        &self.document
    }

    fn open(&self) -> &Ours {
        self.open.get_or_init(|| Ours::new(self.document.root.clone(), true).expect("it was compiled before"))
    }

    /// The gate where it takes all that it is stricter about by design.
    fn lenient(&self) -> &Ours {
        self.lenient
            .get_or_init(|| Ours::new(self.document.lenient(false), true).expect("it was compiled before"))
    }

    /// Asks both.
    pub fn judge(&self, call: &Call) -> Outcome {
        let ours = self.ours.ask(call);
        let theirs = self.theirs.ask(call);
        match (&ours, &theirs) {
            (_, Said::Unchecked(why)) => Outcome::Unsaid(why.first().cloned().unwrap_or_default()),
            (_, Said::Lost) => Outcome::Unsaid("a path item that cannot be read".to_owned()),
            (Ok(()), Said::Accepts) => Outcome::BothAccept,
            (Err(refused), Said::NoPath) if refused.reason == Reason::UnknownRoute => Outcome::BothRefuse,
            (Err(refused), Said::NoMethod) if refused.reason == Reason::MethodNotAllowed => {
                Outcome::BothRefuse
            }
            (Err(_), Said::Refuses(_)) => Outcome::BothRefuse,
            (Err(refused), Said::Accepts) => self.stricter(call, refused),
            (Ok(()), Said::Refuses(why)) => self.looser(call, why),
            _ => Outcome::Unexplained(format!("ours {ours:?}, theirs {theirs:?}")),
        }
    }

    fn stricter(&self, call: &Call, refused: &Refused) -> Outcome {
        if refused.reason == Reason::UnexpectedBody {
            return Outcome::Explained("unexpected body");
        }
        if refused.reason == Reason::AmbiguousPath
            || refused.detail.contains("twice") && call.kind == "field twice"
        {
            return Outcome::Explained("two readings");
        }
        if self.open().ask(call).is_ok() {
            return Outcome::Explained("unknown fields");
        }
        if self.lenient().ask(call).is_ok() {
            let is_answer = call.kind.ends_with("field of answers");
            return Outcome::Explained(if is_answer { "fields of answers" } else { "formats" });
        }
        Outcome::Unexplained(format!("only the gate refuses: {refused:?}"))
    }

    fn looser(&self, _: &Call, why: &[String]) -> Outcome {
        Outcome::Unexplained(format!("only the oracle refuses: {why:?}"))
    }
}
