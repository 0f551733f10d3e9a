//! The file of weights.

use super::features::FEATURES;
use super::{Channel, SMOOTH};

/// `PLIN`, then for each head seven numbers and [`STEPS`] allowances (little-endian `f32`), then the weights of each.
const BYTES: &[u8] = include_bytes!("../../models/linear.bin");
const MAGIC: &[u8; 8] = b"PLIN\x01\0\0\0";
/// Allowances: for texts of up to 1, 2, 4, 8 … blocks.
const STEPS: usize = 12;
/// Numbers of a head before its weights: bias, scale, threshold, allowances.
const NUMBERS: usize = 3 + STEPS;

/// Both heads.
#[derive(Debug)]
pub(super) struct Model {
    user: Head,
    document: Head,
}

/// One linear model.
#[derive(Debug)]
pub(super) struct Head {
    bias: f32,
    scale: f32,
    /// Where a value becomes a finding.
    pub(super) threshold: f32,
    allowances: [f32; STEPS],
    /// One signed byte for each feature.
    pub(super) weights: &'static [u8],
}

impl Model {
    /// The model that comes with the program.
    pub(super) fn shipped() -> Self {
        Self::read(BYTES).unwrap_or_else(Self::closed)
    }

    fn read(bytes: &'static [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (numbers, weights) = rest.split_at_checked(2 * NUMBERS * 4)?;
        let (user, document) = weights.split_at_checked(FEATURES)?;
        (document.len() == FEATURES).then_some(())?;
        let (of_user, of_document) = numbers.split_at_checked(NUMBERS * 4)?;
        Some(Self { user: Head::read(of_user, user)?, document: Head::read(of_document, document)? })
    }

    /// What stands in for a file that cannot be read: everything is an attack. A test proves that it can be read.
    fn closed() -> Self {
        let head = || Head { bias: 0.0, scale: 0.0, threshold: -1.0, allowances: [0.0; STEPS], weights: &[] };
        Self { user: head(), document: head() }
    }

    /// The head for a channel.
    pub(super) fn head(&self, channel: Channel) -> &Head {
        match channel {
            Channel::User => &self.user,
            Channel::Document => &self.document,
        }
    }
}

impl Head {
    fn read(numbers: &[u8], weights: &'static [u8]) -> Option<Self> {
        let mut numbers =
            numbers.chunks_exact(4).filter_map(|four| four.try_into().ok().map(f32::from_le_bytes));
        let (bias, scale, threshold) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let mut allowances = [0.0; STEPS];
        for slot in &mut allowances {
            *slot = numbers.next()?;
        }
        Some(Self { bias, scale, threshold, allowances, weights })
    }

    /// The value of a window with this sum of weights and this many features.
    #[expect(clippy::cast_precision_loss, reason = "sums of a window are far below 2^24")]
    pub(super) fn value(&self, sum: i32, features: u32) -> f32 {
        self.bias + self.scale * sum as f32 / (features as f32 + SMOOTH).sqrt()
    }

    /// What a text of so many blocks is allowed by chance; beyond the last step as much as there.
    pub(super) fn allowance(&self, blocks: usize) -> f32 {
        let step = usize::try_from(blocks.next_power_of_two().trailing_zeros()).unwrap_or(STEPS);
        self.allowances.get(step.min(STEPS - 1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_whole() {
        let model = Model::read(BYTES).expect("weights");
        for head in [&model.user, &model.document] {
            assert!(head.scale > 0.0 && head.threshold.is_finite() && head.weights.len() == FEATURES);
            assert!(head.allowances.is_sorted());
        }
        assert!(Model::read(BYTES.get(..BYTES.len() - 1).expect("bytes")).is_none());
    }

    #[test]
    fn what_cannot_be_read_stops_everything() {
        let closed = Model::closed();
        let head = closed.head(Channel::User);
        assert!(head.value(0, 0) - head.allowance(1) > head.threshold);
    }

    #[test]
    fn allowances_go_by_doubling() {
        let mut head = Model::closed().user;
        for (step, slot) in (0_u8..).zip(&mut head.allowances) {
            *slot = f32::from(step);
        }
        for (blocks, step) in
            [(1, 0.0), (2, 1.0), (3, 2.0), (4, 2.0), (5, 3.0), (2048, 11.0), (1 << 20, 11.0)]
        {
            assert!((head.allowance(blocks) - step).abs() < f32::EPSILON, "{blocks}");
        }
    }
}
