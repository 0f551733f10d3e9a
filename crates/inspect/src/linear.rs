//! Whether a text tries to give orders to a model: a linear model over hashed words, characters and concepts.
//!
//! Two heads: one for what a user says, where asking is what users do and only overriding is not, and one for
//! documents, which have nobody to give orders to. A text is read in overlapping windows of two sizes, all of it
//! however long; the window that looks worst speaks for the text, less an allowance for how many there were, because
//! among many windows one looks bad by chance.
//!
//! The weights are made by `tools/train` and lie in `models/linear.bin`, thresholds and allowances with them; what
//! they were measured to do is in `models/linear.md`.

mod concepts;
mod features;
mod fold;
mod model;

use std::ops::Range;
use std::sync::LazyLock;

use self::features::{Sink, features};
use self::model::Model;
use crate::normal::Views;

pub use self::features::{CONCEPTS, FEATURES};

/// Bytes of a block. Windows are made of whole blocks, so every byte is read once.
pub const BLOCK_BYTES: usize = 160;
/// How many blocks a window has.
pub const WINDOWS: [usize; 2] = [2, 5];
/// Added to the count of a window's features: little text proves little.
const SMOOTH: f32 = 50.0;

static MODEL: LazyLock<Model> = LazyLock::new(Model::shipped);

/// Who wrote a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Whoever asks the model.
    User,
    /// Nobody who may ask for anything: tool results, files, pages, retrieved documents.
    Document,
}

/// The model, ready. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Classifier(&'static Model);

/// What the model thinks of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// From 0 to 1, after the allowance for the length of the text.
    pub probability: f32,
    /// Where the probability becomes a finding: set at 1 % of ordinary texts.
    pub threshold: f32,
    /// The window that looks worst, in bytes of the original text.
    pub range: Range<usize>,
}

/// What was counted in a block.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block {
    /// Features, without those of concepts.
    pub features: u32,
    /// Indices and how much they count, as they come.
    pub counts: Vec<(usize, i32)>,
}

impl Score {
    /// Whether it is a finding.
    pub fn is_attack(&self) -> bool {
        self.probability >= self.threshold
    }
}

impl Classifier {
    /// The model that comes with the program. Its tables are made on the first call.
    pub fn new() -> Self {
        Self(&MODEL)
    }

    /// Reads all views of a text as one that `channel` wrote. The same text has the same score everywhere.
    pub fn score(self, channel: Channel, views: &Views<'_>) -> Score {
        let head = self.0.head(channel);
        let mut blocks = 0_usize;
        let mut worst = f32::NEG_INFINITY;
        let mut range = 0..0;
        for view in views.iter() {
            let mut sums = Sums { weights: head.weights, blocks: vec![(0, 0); count(view.text().len())] };
            features(view.text(), &mut sums);
            blocks += sums.blocks.len();
            for (window, sum, count) in sums.windows() {
                let value = head.value(sum, count);
                if value > worst {
                    worst = value;
                    let to = if window.end == sums.blocks.len() {
                        view.text().len()
                    } else {
                        window.end * BLOCK_BYTES
                    };
                    range = view.map().origin(window.start * BLOCK_BYTES..to);
                }
            }
        }
        let probability = sigmoid(worst - head.allowance(blocks));
        Score { probability, threshold: sigmoid(head.threshold), range }
    }
}

impl Default for Classifier {
    fn default() -> Self {
        Self::new()
    }
}

/// What the model would count, block by block: for training, which must see what runs.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut collected = Collected(vec![Block::default(); count(text.len())]);
    features(text, &mut collected);
    collected.0
}

/// How many blocks a text has: the last one takes what is too short for its own.
fn count(len: usize) -> usize {
    ((len + BLOCK_BYTES / 2) / BLOCK_BYTES).max(1)
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

/// The weights of each block's features, added up; and how many there were.
struct Sums<'m> {
    weights: &'m [u8],
    blocks: Vec<(i32, u32)>,
}

impl Sink for Sums<'_> {
    fn take(&mut self, at: usize, index: usize, count: i32, is_concept: bool) {
        let last = self.blocks.len().saturating_sub(1);
        let weight = self.weights.get(index).map_or(0, |byte| i32::from(i8::from_le_bytes([*byte])));
        if let Some((sum, features)) = self.blocks.get_mut((at / BLOCK_BYTES).min(last)) {
            *sum = sum.saturating_add(weight * count);
            *features += u32::from(!is_concept);
        }
    }
}

impl Sums<'_> {
    /// Every window: its blocks, its sum and its count of features.
    fn windows(&self) -> impl Iterator<Item = (Range<usize>, i32, u32)> {
        WINDOWS.into_iter().enumerate().flat_map(move |(scale, width)| {
            let all = self.blocks.len();
            let width = width.min(all);
            // A text that one small window covers needs no larger one.
            let is_known = scale > 0 && WINDOWS.iter().take(scale).any(|smaller| *smaller >= all);
            let starts = if is_known { 0 } else { all + 1 - width };
            (0..starts).map(move |start| {
                let window = start..start + width;
                let blocks = self.blocks.get(window.clone()).unwrap_or_default();
                let (sum, features) = blocks
                    .iter()
                    .fold((0_i32, 0_u32), |(sum, n), block| (sum.saturating_add(block.0), n + block.1));
                (window, sum, features)
            })
        })
    }
}

/// The features themselves.
struct Collected(Vec<Block>);

impl Sink for Collected {
    fn take(&mut self, at: usize, index: usize, count: i32, is_concept: bool) {
        let last = self.0.len().saturating_sub(1);
        if let Some(block) = self.0.get_mut((at / BLOCK_BYTES).min(last)) {
            block.counts.push((index, count));
            block.features += u32::from(!is_concept);
        }
    }
}

#[cfg(test)]
mod tests;
