//! Text as a model may read it, whatever it was wrapped in.
//!
//! [`views`] undoes what hides a text from detectors: characters that are not seen or look like others, letters drawn
//! apart, digits for letters, escapes, base64, hexadecimal, rotation by 13, writing backwards. What was encoded is
//! *replaced* by what it says, so that an encoding alone says nothing. Markup is read too: what it hides becomes a
//! view of its own. Every view knows where in the original each of its bytes comes from.
//!
//! The bounds: two layers of encoding ([`LAYERS`]), 16 views ([`VIEWS`]), 64 KiB of decoded text ([`DECODED_BYTES`]).
//! What lies beyond them stays as it was written, is read so, and [`Signal::Bounded`] says that there was more.
//!
//! Plain text of ASCII costs one pass and no allocation.

mod alike;
mod decode;
mod hidden;
mod letters;
mod map;
mod scan;
mod turned;
mod unicode;
mod words;

use std::borrow::Cow;
use std::ops::Range;

pub use self::map::Map;
use self::scan::{Hints, scan};

/// How many layers of encoding are undone.
pub const LAYERS: usize = 2;
/// How many views a text has at most.
pub const VIEWS: usize = 16;
/// How many bytes are decoded at most.
pub const DECODED_BYTES: usize = 64 << 10;
/// How often a text is gone through: what one step undoes may show what another can undo.
const ROUNDS: usize = 8;
/// The shortest hidden text that is worth a view, in bytes.
const HIDDEN_BYTES: usize = 8;

/// A text, every way a model may read it.
#[derive(Debug)]
pub struct Views<'t> {
    whole: View<'t>,
    more: Vec<View<'t>>,
    signals: Signals,
}

/// One way to read a text.
#[derive(Debug, Clone)]
pub struct View<'t> {
    text: Cow<'t, str>,
    map: Map,
}

/// What a text was found to be wrapped in. Most of it is harmless alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Letters as Unicode tags, which nothing shows. Nobody writes these by accident.
    Tags,
    /// The direction of text was overridden (U+202D, U+202E): it is shown in another order than it is read.
    Bidi,
    /// Characters without width, or control characters, between others.
    ZeroWidth,
    /// Variation selectors in a row, which carry bytes.
    Selectors,
    /// Characters of private use.
    PrivateUse,
    /// Letters of one script among those of another that look the same.
    Homoglyphs,
    /// Letters drawn apart.
    Spaced,
    /// Digits and signs for letters.
    Leet,
    /// Base64 or base64url.
    Base64,
    /// Hexadecimal.
    Hex,
    /// Percent escapes.
    Percent,
    /// Character references of HTML.
    Entities,
    /// Escapes with a backslash.
    Escapes,
    /// Letters rotated by 13.
    Rot13,
    /// Written backwards.
    Reversed,
    /// Markup hides a text.
    Hidden,
    /// More than the bounds allow was encoded or hidden.
    Bounded,
}

/// Which signals were seen, each with the place in the original where it was seen first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    seen: Vec<(Signal, Range<usize>)>,
    /// Of the text that is being read; what is added is translated by it.
    map: Map,
}

impl Signal {
    /// Whether it is a finding by itself: no honest text has it.
    pub const fn is_suspicious(self) -> bool {
        matches!(self, Self::Tags | Self::Bidi | Self::Selectors)
    }

    /// The stable name, for evidence and labels.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Bidi => "bidi",
            Self::ZeroWidth => "zero-width",
            Self::Selectors => "selectors",
            Self::PrivateUse => "private-use",
            Self::Homoglyphs => "homoglyphs",
            Self::Spaced => "spaced",
            Self::Leet => "leet",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Percent => "percent",
            Self::Entities => "entities",
            Self::Escapes => "escapes",
            Self::Rot13 => "rot13",
            Self::Reversed => "reversed",
            Self::Hidden => "hidden",
            Self::Bounded => "bounded",
        }
    }
}

impl Signals {
    /// Notes a signal at a range of the text that is being read.
    fn add(&mut self, signal: Signal, range: Range<usize>) {
        if self.seen.iter().all(|(known, _)| *known != signal) {
            let range = if self.map.is_identity() { range } else { self.map.origin(range) };
            self.seen.push((signal, range));
        }
    }
}

impl<'t> View<'t> {
    /// The text itself.
    fn whole(text: &'t str) -> Self {
        Self { text: Cow::Borrowed(text), map: Map::identity(text.len()) }
    }

    /// What is read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// From its bytes to those of the original.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// Puts what a step made of the text in its place; whether it made anything.
    fn take(&mut self, step: unicode::Step) -> bool {
        let Some((text, map)) = step else { return false };
        self.map = map.after(&self.map);
        self.text = Cow::Owned(text);
        true
    }

    fn part(&self, range: Range<usize>) -> Option<Self> {
        let text = self.text.get(range.clone())?.to_owned();
        Some(Self { text: Cow::Owned(text), map: self.map.part(range) })
    }
}

impl<'t> Views<'t> {
    /// The canonical view: the whole text, with all that was undone.
    pub fn canonical(&self) -> &View<'t> {
        &self.whole
    }

    /// All views: the canonical one, then the text as markup shows it and what it hides, if it does.
    pub fn iter(&self) -> impl Iterator<Item = &View<'t>> {
        std::iter::once(&self.whole).chain(&self.more)
    }

    /// What the text was wrapped in, each once, with the bytes of the original where it was seen first.
    pub fn signals(&self) -> impl Iterator<Item = (Signal, Range<usize>)> {
        self.signals.seen.iter().cloned()
    }

    /// Whether `signal` was seen.
    pub fn has(&self, signal: Signal) -> bool {
        self.signals.seen.iter().any(|(known, _)| *known == signal)
    }
}

/// Every way to read `text`, within the bounds of this module.
pub fn views(text: &str) -> Views<'_> {
    let mut views = Views { whole: View::whole(text), more: Vec::new(), signals: Signals::default() };
    let mut room = DECODED_BYTES;
    let mut hints = scan(text);
    let mut layers = 0;
    for _ in 0..ROUNDS {
        hints = characters(hints, &mut views);
        // Before words are read: the digits of an escape stand for no letters.
        let mut next = views.whole.clone();
        let mut signals = views.signals.clone();
        let is_encoded = hints.has(Hints::ENCODED | Hints::ESCAPED | Hints::STRANGE);
        if is_encoded && decoded(hints, &mut next, &mut room, &mut signals) {
            if layers == LAYERS {
                let end = views.whole.text.len();
                views.signals.map = views.whole.map.clone();
                views.signals.add(Signal::Bounded, 0..end);
                break;
            }
            layers += 1;
            (views.whole, views.signals) = (next, signals);
        } else {
            views.signals = signals;
            if !drawn(hints, &mut views) {
                break;
            }
        }
        hints = scan(views.whole.text());
    }
    if hints.has(Hints::MARKUP) {
        markup(&mut views);
    }
    views
}

/// Undoes what was done to single characters. Answers what the text asks for afterwards.
fn characters(hints: Hints, views: &mut Views<'_>) -> Hints {
    if !hints.has(Hints::WIDE) {
        return hints;
    }
    let Views { whole, signals, .. } = views;
    signals.map = whole.map.clone();
    let made = unicode::strip(&whole.text, signals);
    whole.take(made);
    let made = unicode::compose(&whole.text);
    whole.take(made);
    signals.map = whole.map.clone();
    let made = unicode::fold(&whole.text, signals);
    whole.take(made);
    scan(&whole.text)
}

/// Undoes what was done to words; whether there was anything.
fn drawn(hints: Hints, views: &mut Views<'_>) -> bool {
    let Views { whole, signals, .. } = views;
    let mut is_changed = false;
    if hints.has(Hints::SPACED) {
        signals.map = whole.map.clone();
        let made = words::join(&whole.text, signals);
        is_changed |= whole.take(made);
    }
    if hints.has(Hints::LEET | Hints::SPACED) {
        signals.map = whole.map.clone();
        let made = words::unleet(&whole.text, signals);
        is_changed |= whole.take(made);
    }
    is_changed
}

/// Undoes one layer of encoding; whether there was one.
fn decoded(hints: Hints, view: &mut View<'_>, room: &mut usize, signals: &mut Signals) -> bool {
    let mut is_changed = false;
    if hints.has(Hints::ESCAPED) {
        signals.map = view.map.clone();
        let made = decode::escapes(&view.text, room, signals);
        is_changed |= view.take(made);
    }
    if hints.has(Hints::ENCODED) {
        signals.map = view.map.clone();
        let made = decode::encoded(&view.text, room, signals);
        is_changed |= view.take(made);
    }
    if hints.has(Hints::STRANGE) {
        signals.map = view.map.clone();
        let made = turned::turn(&view.text, signals);
        is_changed |= view.take(made);
    }
    is_changed
}

/// Adds the views that markup asks for.
fn markup(views: &mut Views<'_>) {
    let whole = &views.whole;
    let markup = hidden::read(&whole.text);
    if let Some((text, map)) = markup.shown(&whole.text) {
        views.more.push(View { text: Cow::Owned(text), map: map.after(&whole.map) });
    }
    views.signals.map = whole.map.clone();
    for range in markup.hidden {
        let text = whole.text.get(range.clone()).unwrap_or_default();
        if text.trim().len() < HIDDEN_BYTES {
            continue;
        }
        if views.more.len() + 1 >= VIEWS {
            views.signals.add(Signal::Bounded, range);
            break;
        }
        views.signals.add(Signal::Hidden, range.clone());
        views.more.extend(whole.part(range));
    }
}

#[cfg(test)]
mod tests;
