//! What is done about findings, and what the operator says of content.

use portcullis_inspect::detect::Detector;

use super::{ContentRule, Field, JudgeUse};

/// What is done about a kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The detector does not run.
    Off,
    /// Recorded.
    Observe,
    /// Replaced by a part of itself.
    Mask,
    /// Replaced by a token on the way to a model, and given back in its answer.
    Tokenise,
    /// Replaced by a placeholder.
    Redact,
    /// Stops the request or answer.
    Block,
}

/// How what documents and tools wrote goes to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// As it is.
    Off,
    /// Behind a fence.
    On,
    /// Behind a fence, its words joined by a mark.
    Mark,
}

/// A level for each kind of detector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detectors {
    /// Personal data.
    pub pii: Level,
    /// API keys and private keys.
    pub secrets: Level,
    /// Phrases that override a model's instructions.
    pub injection: Level,
    /// Signs of a role that the writer does not have.
    pub roles: Level,
    /// Scripts and the like in text.
    pub active_content: Level,
    /// Links and images that carry data out.
    pub links: Level,
    /// Code that is dangerous to run.
    pub code: Level,
    /// Text that gives orders, as the classifier sees it; of prompts and of what tools say.
    pub classifier: Level,
    /// Text that gives orders, as the encoder sees it; of prompts only.
    pub encoder: Level,
    /// How what documents and tools wrote is fenced; of prompts only.
    pub fence: Fence,
    /// Whether a canary is put behind the operator's text; of prompts only.
    pub canary: bool,
    /// The operator's text in answers of models.
    pub leak: Level,
    /// Detectors that do not run though their kind does.
    pub except: Vec<Detector>,
    /// Hosts that links may lead to, in lower case; empty: any, as long as no data goes there.
    pub hosts: Vec<String>,
    /// Values that are no finding; each means something.
    pub allow: Vec<String>,
    /// Fields where something else is done.
    pub fields: Vec<Field>,
    /// Rules of the operator's own.
    pub rules: Vec<ContentRule>,
    /// The judge that is asked; of prompts and answers only.
    pub judge: Option<JudgeUse>,
    /// Media types that may pass unread, in lower case; `None` where no detectors were written.
    pub unread: Option<Vec<String>>,
}

impl Detectors {
    /// `none`: nothing runs.
    pub const NONE: Self = Self::of([Level::Off; 6]);
    /// The default of an API's `inspect`.
    pub const INSPECT: Self =
        Self::of([Level::Off, Level::Off, Level::Observe, Level::Observe, Level::Off, Level::Off])
            .with(Level::Observe, Level::Off);
    /// The default of an API's `screen`.
    pub const SCREEN: Self =
        Self::of([Level::Observe, Level::Observe, Level::Off, Level::Off, Level::Off, Level::Off]);
    /// The default of a model's `prompt`.
    pub const PROMPT: Self = Self::reading(
        [Level::Off, Level::Off, Level::Block, Level::Off, Level::Off, Level::Observe],
        if cfg!(feature = "ml") { Level::Observe } else { Level::Off },
    )
    .with(Level::Redact, Level::Off);
    /// The default of a model's `answer`.
    pub const ANSWER: Self =
        Self::of([Level::Redact, Level::Redact, Level::Off, Level::Redact, Level::Redact, Level::Off])
            .with(Level::Off, Level::Redact);

    /// The default of a tool server's `arguments`.
    pub const ARGUMENTS: Self =
        Self::of([Level::Off, Level::Observe, Level::Observe, Level::Observe, Level::Off, Level::Off])
            .with(Level::Observe, Level::Off);
    /// The default of a tool server's `results`.
    pub const RESULTS: Self = Self::of([
        Level::Observe,
        Level::Redact,
        Level::Block,
        Level::Observe,
        Level::Redact,
        Level::Observe,
    ])
    .with(Level::Redact, Level::Off);

    /// Whether anything is replaced by tokens.
    pub fn tokenises(&self) -> bool {
        self.pii == Level::Tokenise
            || self.fields.iter().any(|field| field.levels.first() == Some(&Level::Tokenise))
    }

    /// The same with these levels of `roles` and `leak`.
    const fn with(mut self, roles: Level, leak: Level) -> Self {
        self.roles = roles;
        self.leak = leak;
        self
    }

    /// These levels, `code`, `roles` and what belongs to prompts or answers off, nothing left out, and no host listed.
    const fn of(levels: [Level; 6]) -> Self {
        Self::reading(levels, Level::Off)
    }

    /// As [`Self::of`], with an encoder.
    const fn reading(
        [pii, secrets, injection, active_content, links, classifier]: [Level; 6],
        encoder: Level,
    ) -> Self {
        Self {
            pii,
            secrets,
            injection,
            active_content,
            links,
            code: Level::Off,
            roles: Level::Off,
            classifier,
            encoder,
            fence: Fence::Off,
            canary: false,
            leak: Level::Off,
            except: Vec::new(),
            hosts: Vec::new(),
            allow: Vec::new(),
            fields: Vec::new(),
            rules: Vec::new(),
            judge: None,
            unread: None,
        }
    }
}
