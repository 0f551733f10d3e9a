//! The file of weights.

use rustc_hash::FxHashMap;

use super::network::{Layer, Linear, Network, Norm};
use super::pieces::Pieces;
use super::{Head, STEPS};

const MAGIC: &[u8; 8] = b"PENC\x01\0\0\0";
/// Weights that share a scale, and the bytes they take in 4 bits: the scale in half precision, then two in a byte.
const BLOCK: usize = 32;
const BLOCK_BYTES: usize = 18;

/// Bytes that are taken from the front.
pub(super) struct File<'f>(&'f [u8]);

impl<'f> File<'f> {
    /// Everything of a model; `None` for what is no such file, or not all of it.
    pub(super) fn read(bytes: &'f [u8]) -> Option<(Pieces, Network, [Head; 2])> {
        let mut file = Self(bytes.strip_prefix(MAGIC)?);
        let [hidden, inner, heads, layers, packed, places, kept, wide] = file.numbers()?;
        let [epsilon, penalty] = file.floats(2)?.try_into().ok()?;
        let channels = [file.head()?, file.head()?];
        let pieces = file.pieces(kept, penalty)?;
        let words = file.take(kept * (hidden / BLOCK) * BLOCK_BYTES)?.into();
        let positions = file.floats(places * hidden)?;
        let norm = file.norm(hidden, epsilon)?;
        let layers = (0..layers)
            .map(|layer| file.layer(hidden, inner, epsilon, layer < packed))
            .collect::<Option<Vec<Layer>>>()?;
        let middle = file.dense(2 * hidden, wide)?;
        let last = file.dense(wide, 2)?;
        let network = Network { hidden, heads, words, positions, norm, layers, middle, last };
        file.0.is_empty().then_some((pieces, network, channels))
    }

    fn take(&mut self, len: usize) -> Option<&'f [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<usize> {
        let four = self.take(4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    }

    fn numbers<const N: usize>(&mut self) -> Option<[usize; N]> {
        let numbers: Vec<usize> = (0..N).map(|_| self.number()).collect::<Option<_>>()?;
        numbers.try_into().ok()
    }

    fn floats(&mut self, count: usize) -> Option<Vec<f32>> {
        let bytes = self.take(count.checked_mul(4)?)?;
        let values =
            bytes.chunks_exact(4).filter_map(|four| four.try_into().ok().map(f32::from_le_bytes)).collect();
        Some(values)
    }

    fn head(&mut self) -> Option<Head> {
        let threshold = self.floats(1)?.first().copied()?;
        let allowances = self.floats(STEPS)?.try_into().ok()?;
        Some(Head { threshold, allowances })
    }

    fn text(&mut self, len: usize) -> Option<&'f str> {
        std::str::from_utf8(self.take(len)?).ok()
    }

    /// The vocabulary: what characters become; then for each piece its length in a byte, all scores, all texts. The
    /// first four, which no text has, are empty: filling, beginning, end, unknown.
    fn pieces(&mut self, kept: usize, penalty: f32) -> Option<Pieces> {
        let mut alike = FxHashMap::default();
        for _ in 0..self.number()? {
            let from = char::from_u32(u32::try_from(self.number()?).ok()?)?;
            let len = self.number()?;
            alike.insert(from, self.text(len)?.into());
        }
        let lengths = self.take(kept)?;
        let scores = self.floats(kept)?;
        let mut pieces = Vec::with_capacity(kept);
        for ((number, len), score) in (0_u32..).zip(lengths).zip(scores) {
            let piece = self.text(usize::from(*len))?;
            if !piece.is_empty() {
                pieces.push((number, piece.into(), score));
            }
        }
        Some(Pieces::new(pieces.into_iter(), alike, super::UNKNOWN, penalty))
    }

    fn norm(&mut self, hidden: usize, epsilon: f32) -> Option<Norm> {
        Some(Norm { scale: self.floats(hidden)?, bias: self.floats(hidden)?, epsilon })
    }

    /// A layer as it is in the file: queries, keys and values as one matrix, what follows them, the two inner ones.
    fn layer(&mut self, hidden: usize, inner: usize, epsilon: f32, is_packed: bool) -> Option<Layer> {
        Some(Layer {
            asked: self.linear(hidden, 3 * hidden, is_packed)?,
            told: self.linear(hidden, hidden, is_packed)?,
            first: self.norm(hidden, epsilon)?,
            wider: self.linear(hidden, inner, is_packed)?,
            narrower: self.linear(inner, hidden, is_packed)?,
            second: self.norm(hidden, epsilon)?,
        })
    }

    fn linear(&mut self, inputs: usize, outputs: usize, is_packed: bool) -> Option<Linear> {
        let weights: Vec<f32> = if is_packed {
            let bytes = self.take(outputs * (inputs / BLOCK) * BLOCK_BYTES)?;
            opened(bytes).collect()
        } else {
            let scales = self.floats(outputs)?;
            let bytes = self.take(outputs * inputs)?;
            let rows = bytes.chunks_exact(inputs).zip(scales);
            rows.flat_map(|(row, scale)| {
                row.iter().map(move |byte| f32::from(i8::from_le_bytes([*byte])) * scale)
            })
            .collect()
        };
        let bias = self.floats(outputs)?;
        Some(Linear::new(&weights, bias, inputs))
    }

    /// A small matrix in whole numbers: by row of outputs, then what is added.
    fn dense(&mut self, inputs: usize, outputs: usize) -> Option<(Vec<f32>, Vec<f32>)> {
        Some((self.floats(inputs * outputs)?, self.floats(outputs)?))
    }
}

/// The numbers that blocks of 4 bits stand for. The low halves of the bytes come first.
pub(super) fn opened(blocks: &[u8]) -> impl Iterator<Item = f32> {
    blocks.chunks_exact(BLOCK_BYTES).flat_map(|block| {
        let (scale, halves) = block.split_at_checked(2).unwrap_or_default();
        let scale = scale.try_into().map_or(0.0, |two| half(u16::from_le_bytes(two)));
        let low = halves.iter().map(|byte| byte & 15);
        low.chain(halves.iter().map(|byte| byte >> 4)).map(move |four| (f32::from(four) - 8.0) * scale)
    })
}

/// A number in half precision (IEEE 754 binary16).
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, (bits >> 10) & 31, u32::from(bits & 1023));
    match exponent {
        0 => {
            let small = f32::from(bits & 1023) / 16_777_216.0;
            if sign == 0 { small } else { -small }
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | (fraction << 13)),
        exponent => f32::from_bits(sign | ((u32::from(exponent) + 112) << 23) | (fraction << 13)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_and_blocks_are_what_they_stand_for() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8), (0, 0.0)]
        {
            assert_eq!(half(bits), value, "{bits:x}");
        }
        let mut block = vec![0x00, 0x40];
        block.extend((0_u8..16).map(|value| value | (15 - value) << 4));
        let values: Vec<f32> = opened(&block).collect();
        assert_eq!((values[0], values[15], values[16], values[31]), (-16.0, 14.0, 14.0, -16.0));
        assert_eq!(values.len(), BLOCK);
    }
}
