//! The arithmetic: layers of attention over the pieces of windows, in 8 bits where it is much.
//!
//! Weights have a byte each and a scale for each output. What goes through them is brought to a byte for each piece,
//! with a scale of its own, so that a window has the same score whatever stands beside it.

use rten_gemm::{GemmError, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix, QuantParams};
use rten_simd::{SimdOp, SimdUnaryOp};
use rten_tensor::{NdTensorView, NdTensorView as View};
use rten_vecmath::{
    ExtendInit, Gelu, MinMax, Normalize, NormalizeOptions, Quantize, Softmax, Sum, SumSquareSub,
};

use super::file::opened;

/// What stands for zero in bytes without a sign.
const ZERO: u8 = 128;

/// All weights.
pub(super) struct Network {
    pub(super) hidden: usize,
    pub(super) heads: usize,
    /// Of each piece, in 4 bits.
    pub(super) words: Box<[u8]>,
    pub(super) positions: Vec<f32>,
    pub(super) norm: Norm,
    pub(super) layers: Vec<Layer>,
    pub(super) middle: (Vec<f32>, Vec<f32>),
    pub(super) last: (Vec<f32>, Vec<f32>),
}

/// One layer.
pub(super) struct Layer {
    /// Queries, keys and values.
    pub(super) asked: Linear,
    pub(super) told: Linear,
    pub(super) first: Norm,
    pub(super) wider: Linear,
    pub(super) narrower: Linear,
    pub(super) second: Norm,
}

/// A matrix in 8 bits, and what is added after it.
pub(super) struct Linear {
    packed: PackedBMatrix<i8>,
    scales: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
}

/// Brings the numbers of a piece to a common size.
pub(super) struct Norm {
    pub(super) scale: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) epsilon: f32,
}

type Bytes = GemmExecutor<u8, i8, i32>;
type Floats = GemmExecutor<f32, f32, f32>;

/// What is needed to count with, beyond the weights. It stays with its thread, and is cheap to make.
pub(super) struct Tools {
    bytes: Bytes,
    floats: Floats,
}

impl Default for Tools {
    fn default() -> Self {
        Self { bytes: Bytes::new(), floats: Floats::new() }
    }
}

impl Network {
    /// What both heads say of windows: numbers of pieces, with their ends. Windows do not see each other.
    pub(super) fn judge(&self, tools: &Tools, windows: &[&[u32]]) -> Result<Vec<[f32; 2]>, GemmError> {
        let mut x = self.embed(windows);
        for layer in &self.layers {
            self.layer(tools, layer, windows, &mut x)?;
        }
        let mut rest = x.as_slice();
        let mut out = Vec::with_capacity(windows.len());
        for window in windows {
            let (own, after) = rest.split_at_checked(window.len() * self.hidden).unwrap_or_default();
            rest = after;
            let pooled = pool(own, self.hidden, window.len());
            let mut middle = dense(&self.middle, &pooled);
            middle.iter_mut().for_each(|value| *value = value.max(0.0));
            let last = dense(&self.last, &middle);
            out.push(<[f32; 2]>::try_from(last).unwrap_or([f32::INFINITY; 2]));
        }
        Ok(out)
    }

    fn embed(&self, windows: &[&[u32]]) -> Vec<f32> {
        let total: usize = windows.iter().map(|window| window.len()).sum();
        let row_bytes = self.hidden / 32 * 18;
        let mut x = Vec::with_capacity(total * self.hidden);
        for window in windows {
            for (piece, place) in window.iter().zip(self.positions.chunks_exact(self.hidden)) {
                let start = usize::try_from(*piece).unwrap_or(usize::MAX).saturating_mul(row_bytes);
                let row = self.words.get(start..start + row_bytes).unwrap_or_default();
                x.extend(opened(row).zip(place).map(|(word, place)| word + place));
            }
        }
        x.chunks_exact_mut(self.hidden).for_each(|row| self.norm.apply(row));
        x
    }

    fn layer(
        &self,
        tools: &Tools,
        layer: &Layer,
        windows: &[&[u32]],
        x: &mut [f32],
    ) -> Result<(), GemmError> {
        let asked = layer.asked.apply(tools, x)?;
        let seen = self.attend(tools, windows, &asked)?;
        let told = layer.told.apply(tools, &seen)?;
        add(x, &told, &layer.first);
        let mut wide = layer.wider.apply(tools, x)?;
        Gelu {}.map_mut(&mut wide);
        let narrow = layer.narrower.apply(tools, &wide)?;
        add(x, &narrow, &layer.second);
        Ok(())
    }

    /// Every piece of a window looks at all others of it.
    #[expect(clippy::cast_precision_loss, reason = "a head has tens of numbers")]
    fn attend(&self, tools: &Tools, windows: &[&[u32]], asked: &[f32]) -> Result<Vec<f32>, GemmError> {
        let (hidden, wide) = (self.hidden, self.hidden / self.heads);
        let scale = 1.0 / (wide as f32).sqrt();
        let mut out = vec![0.0; asked.len() / 3];
        let (mut from, mut to) = (asked, out.as_mut_slice());
        for window in windows {
            let len = window.len();
            let (own, rest) = from.split_at_checked(len * 3 * hidden).unwrap_or_default();
            let (seen, after) = to.split_at_mut(len * hidden);
            (from, to) = (rest, after);
            let mut weights = vec![0.0; len * len];
            let mut part = vec![0.0; len * wide];
            for head in 0..self.heads {
                let view = |kind: usize| {
                    let start = kind * hidden + head * wide;
                    let data = own.get(start..).unwrap_or_default();
                    NdTensorView::<f32, 2>::from_slice_with_strides([len, wide], data, [3 * hidden, 1])
                };
                let (Ok(queries), Ok(keys), Ok(values)) = (view(0), view(1), view(2)) else { continue };
                let options = GemmOptions { alpha: scale, ..GemmOptions::default() };
                let (a, b) = (GemmInputA::Unpacked(queries), GemmInputB::Unpacked(keys.transposed()));
                tools.floats.gemm(&mut weights, a, b, options)?;
                weights.chunks_exact_mut(len).for_each(|row| {
                    Softmax::new_mut(row).dispatch();
                });
                let looked = View::<f32, 2>::from_data([len, len], weights.as_slice());
                let (a, b) = (GemmInputA::Unpacked(looked), GemmInputB::Unpacked(values));
                tools.floats.gemm(&mut part, a, b, GemmOptions::default())?;
                for (row, own) in seen.chunks_exact_mut(hidden).zip(part.chunks_exact(wide)) {
                    if let Some(place) = row.get_mut(head * wide..(head + 1) * wide) {
                        place.copy_from_slice(own);
                    }
                }
            }
        }
        Ok(out)
    }
}

/// Adds what a part of a layer made to what went into it.
fn add(x: &mut [f32], made: &[f32], norm: &Norm) {
    let wide = norm.scale.len();
    for (row, made) in x.chunks_exact_mut(wide).zip(made.chunks_exact(wide)) {
        row.iter_mut().zip(made).for_each(|(a, b)| *a += b);
        norm.apply(row);
    }
}

/// The mean and the maximum over the pieces of a window, one behind the other.
#[expect(clippy::cast_precision_loss, reason = "a window has a hundred pieces")]
fn pool(rows: &[f32], hidden: usize, len: usize) -> Vec<f32> {
    let mut mean = vec![0.0; hidden];
    let mut most = vec![f32::NEG_INFINITY; hidden];
    for row in rows.chunks_exact(hidden) {
        for ((value, sum), high) in row.iter().zip(&mut mean).zip(&mut most) {
            *sum += value;
            *high = high.max(*value);
        }
    }
    mean.iter_mut().for_each(|sum| *sum /= len as f32);
    mean.extend(most);
    mean
}

fn dense((weights, bias): &(Vec<f32>, Vec<f32>), x: &[f32]) -> Vec<f32> {
    let rows = weights.chunks_exact(x.len()).zip(bias);
    rows.map(|(row, bias)| bias + row.iter().zip(x).map(|(a, b)| a * b).sum::<f32>()).collect()
}

impl Norm {
    #[expect(clippy::cast_precision_loss, reason = "a row has hundreds of numbers")]
    fn apply(&self, row: &mut [f32]) {
        let len = row.len() as f32;
        let mean = Sum::new(row).dispatch() / len;
        let variance = SumSquareSub::new(row, mean).dispatch() / len;
        let options = NormalizeOptions {
            pre_scale_bias: mean,
            scale: 1.0 / (variance + self.epsilon).sqrt(),
            element_scale: Some(&self.scale),
            element_bias: Some(&self.bias),
            ..NormalizeOptions::default()
        };
        Normalize::new_mut(row, options).dispatch();
    }
}

impl Linear {
    /// A matrix by rows of outputs.
    #[expect(clippy::cast_possible_truncation, reason = "a rounded value within the limit")]
    pub(super) fn new(weights: &[f32], bias: Vec<f32>, inputs: usize) -> Self {
        let bytes = Bytes::new();
        // Without instructions that add up bytes exactly, sums of two products must fit into 16 bits.
        let limit = if bytes.may_saturate() { 63.0 } else { 127.0 };
        let mut scales = Vec::with_capacity(bias.len());
        let mut small = Vec::with_capacity(weights.len());
        for row in weights.chunks_exact(inputs) {
            let scale = row.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs())) / limit;
            scales.push(scale);
            small.extend(row.iter().map(|value| (value / scale).round() as i8));
        }
        let matrix = View::<i8, 2>::from_data([bias.len(), inputs], small.as_slice());
        Self { packed: bytes.prepack_b(matrix.transposed()), scales, bias, inputs }
    }

    #[expect(clippy::cast_precision_loss, reason = "sums of thousands of products of bytes are below 2^26")]
    fn apply(&self, tools: &Tools, x: &[f32]) -> Result<Vec<f32>, GemmError> {
        let rows = x.len() / self.inputs;
        let mut small: Vec<u8> = Vec::with_capacity(x.len());
        let mut scales = Vec::with_capacity(rows);
        for row in x.chunks_exact(self.inputs) {
            let (least, most) = MinMax::new(row).dispatch();
            let scale = most.max(-least).max(f32::MIN_POSITIVE) / 127.0;
            scales.push(scale);
            let len = row.len();
            small.extend_init(|room| match room.split_at_mut_checked(len) {
                Some((room, _)) => Quantize::new(row, room, 1.0 / scale, ZERO).dispatch(),
                None => &[],
            });
        }
        let mut sums = vec![0_i32; rows * self.bias.len()];
        let zeros = vec![ZERO; rows];
        let matrix = View::<u8, 2>::from_data([rows, self.inputs], small.as_slice());
        let options =
            GemmOptions { a_quant: Some(QuantParams { zero_point: &zeros }), ..GemmOptions::default() };
        let (a, b) = (GemmInputA::Unpacked(matrix), GemmInputB::Packed(&self.packed));
        tools.bytes.gemm(&mut sums, a, b, options)?;
        let mut out = Vec::with_capacity(sums.len());
        for (row, scale) in sums.chunks_exact(self.bias.len()).zip(scales) {
            let columns = row.iter().zip(&self.scales).zip(&self.bias);
            out.extend(columns.map(|((sum, own), bias)| *sum as f32 * (scale * own) + bias));
        }
        Ok(out)
    }
}
