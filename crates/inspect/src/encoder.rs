//! Whether a text tries to give orders to a model: a small transformer over pieces of words, in a hundred languages.
//!
//! It reads what [`crate::linear`] counts: the same readings of a text ([`crate::normal`]), by who wrote it, in
//! windows that overlap, all of it however long up to [`WINDOWS`]. The window that looks worst speaks for the text,
//! less an allowance for how many there were. It takes milliseconds for each window, so it is not asked in passing:
//! whoever calls it has threads for it and a limit of time, and says through `goes_on` whether it is still wanted.
//!
//! The weights are made by `tools/train` and lie in `models/encoder.bin`, thresholds and allowances with them; what
//! they were measured to do is in `models/encoder.md`.

mod file;
mod network;
mod pieces;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use self::file::File;
use self::network::{Network, Tools};
use self::pieces::{Piece, Pieces};
use crate::linear::{Channel, Score};
use crate::normal::views;

/// Pieces of a window, without its two ends.
pub const WIDTH: usize = 96;
/// How far apart windows begin.
pub const STRIDE: usize = 80;
/// The most windows of one text; a longer one is not read: see [`Unread::TooLong`].
pub const WINDOWS: usize = 256;
/// The most bytes of a window's pieces that are worth cutting: what is longer has too many windows in any script.
const PIECE_BYTES: usize = 48;
/// Windows that are counted through at once.
const BATCH: usize = 8;
/// Allowances: for texts of up to 1, 2, 4, 8 … windows.
const STEPS: usize = 12;
/// From so many capitals on a text may be written in capitals.
const CAPITALS: usize = 12;
/// Pieces with a meaning of their own.
const BEGIN: u32 = 1;
const END: u32 = 2;
const UNKNOWN: u32 = 3;

/// The weights that come with the program.
const SHIPPED: &[u8] = include_bytes!("../models/encoder.bin");

/// The model, ready.
pub struct Encoder {
    pieces: Pieces,
    network: Network,
    heads: [Head; 2],
}

/// What a channel's values mean.
#[derive(Debug)]
struct Head {
    /// Where a value becomes a finding.
    threshold: f32,
    allowances: [f32; STEPS],
}

/// Why a text was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It has more than [`WINDOWS`] windows.
    #[error("too long")]
    TooLong,
    /// Nobody waits for it any more.
    #[error("late")]
    Late,
    /// The arithmetic failed.
    #[error("failed")]
    Failed,
}

/// A window: its bytes in the original text, and its pieces with their ends.
struct Window {
    range: Range<usize>,
    pieces: Vec<u32>,
}

impl Encoder {
    /// Takes a file of weights; `None` if it is not one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (pieces, network, heads) = File::read(bytes)?;
        Some(Self { pieces, network, heads })
    }

    /// The model that comes with the program. Takes tens of milliseconds. A test proves that it can be read.
    pub fn shipped() -> Option<Self> {
        Self::read(SHIPPED)
    }

    /// Reads all views of a text as one that `channel` wrote. `goes_on` is asked between windows.
    ///
    /// # Errors
    /// [`Unread`] for a text that was not read to its end: nothing is known of it then.
    pub fn score(
        &self,
        channel: Channel,
        text: &str,
        mut goes_on: impl FnMut() -> bool,
    ) -> Result<Score, Unread> {
        let head = match channel {
            Channel::User => 0,
            Channel::Document => 1,
        };
        let (windows, tools) = (self.windows(text)?, Tools::default());
        let (mut worst, mut range) = (f32::NEG_INFINITY, 0..0);
        for batch in windows.chunks(BATCH) {
            if !goes_on() {
                return Err(Unread::Late);
            }
            let pieces: Vec<&[u32]> = batch.iter().map(|window| window.pieces.as_slice()).collect();
            let values = self.network.judge(&tools, &pieces).map_err(|_| Unread::Failed)?;
            for (window, values) in batch.iter().zip(values) {
                let value = values.get(head).copied().unwrap_or(f32::INFINITY);
                if value > worst {
                    (worst, range) = (value, window.range.clone());
                }
            }
        }
        let head = self.heads.get(head).ok_or(Unread::Failed)?;
        let probability = sigmoid(worst - head.allowance(windows.len()));
        Ok(Score { probability, threshold: sigmoid(head.threshold), range })
    }

    /// What each head says of each window of the canonical view, before any allowance: for calibration.
    pub fn values(&self, text: &str) -> Option<Vec<[f32; 2]>> {
        let (windows, tools) = (self.windows(text).ok()?, Tools::default());
        let mut out = Vec::with_capacity(windows.len());
        for batch in windows.chunks(BATCH) {
            let pieces: Vec<&[u32]> = batch.iter().map(|window| window.pieces.as_slice()).collect();
            out.extend(self.network.judge(&tools, &pieces).ok()?);
        }
        Some(out)
    }

    /// How many pieces a text has as it is written.
    pub fn count(&self, text: &str) -> usize {
        self.pieces.cut(text).len()
    }

    fn windows(&self, text: &str) -> Result<Vec<Window>, Unread> {
        if text.len() > WINDOWS * STRIDE * PIECE_BYTES {
            return Err(Unread::TooLong);
        }
        let mut windows = Vec::new();
        for view in views(text).iter() {
            let pieces = self.pieces.cut(&aloud(view.text()));
            for span in spans(pieces.len()) {
                let own = pieces.get(span).unwrap_or_default();
                let range = match (own.first(), own.last()) {
                    (Some(first), Some(last)) => view.map().origin(first.range.start..last.range.end),
                    _ => 0..0,
                };
                let numbers = own.iter().map(|Piece { number, .. }| *number);
                let pieces = std::iter::once(BEGIN).chain(numbers).chain([END]).collect();
                windows.push(Window { range, pieces });
            }
            if windows.len() > WINDOWS {
                return Err(Unread::TooLong);
            }
        }
        Ok(windows)
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("heads", &self.heads).finish_non_exhaustive()
    }
}

impl Head {
    /// What a text of so many windows is allowed by chance; beyond the last step as much as there.
    fn allowance(&self, windows: usize) -> f32 {
        let step = usize::try_from(windows.max(1).next_power_of_two().trailing_zeros()).unwrap_or(STEPS);
        self.allowances.get(step.min(STEPS - 1)).copied().unwrap_or_default()
    }
}

/// Makes the calling thread count alone. Otherwise it shares its work with threads that nobody configured.
///
/// # Errors
/// What keeps the thread from it, for the log: it has been called before.
pub fn count_alone() -> Result<(), impl fmt::Display> {
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().map(std::mem::forget)
}

/// A text in capitals as it is read aloud, each byte where it was: capitals alone say nothing.
fn aloud(text: &str) -> Cow<'_, str> {
    let (mut large, mut small) = (0_usize, 0_usize);
    for letter in text.chars() {
        large += usize::from(letter.is_uppercase());
        small += usize::from(letter.is_lowercase());
    }
    if large < CAPITALS || large < 2 * small {
        return Cow::Borrowed(text);
    }
    let lower = |letter: char| {
        let mut lower = letter.to_lowercase();
        match (lower.next(), lower.next()) {
            (Some(one), None) if one.len_utf8() == letter.len_utf8() => one,
            _ => letter,
        }
    };
    Cow::Owned(text.chars().map(lower).collect())
}

/// The windows of a text of so many pieces: all of it is in one.
fn spans(count: usize) -> impl Iterator<Item = Range<usize>> {
    let last = count.saturating_sub(WIDTH);
    let starts = (0..last).step_by(STRIDE).chain([last]);
    starts.map(move |start| start..count.min(start + WIDTH))
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

#[cfg(test)]
mod tests;
