//! The constants of a convolution's columns, and the activation and requantisation of its sums.

use picodet_graph::Activation;
use picodet_simd::{IntVector, Simd, Vector, sigmoid_unfused};

/// Vectors of constants per vector of columns: those of [`Column`].
pub const FIELDS: usize = 5;

/// The constants of a column of a quantised convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Column {
    /// The value that sums of products start with: minus the weights times the zero points of the source.
    pub start: i32,
    /// The factor of the sum.
    pub scale: f32,
    /// Added to the scaled sum.
    pub bias: f32,
    /// The factor of the activated value: 1 / scale of the result, for hard-swish 1 / (6 · scale).
    pub factor: f32,
    /// The zero point of the result.
    pub zero: f32,
}

/// Packs columns for vectors of `lanes`: `[vectors][FIELDS][lanes]`, zeros after the last column.
#[must_use]
pub fn pack_columns(columns: &[Column], lanes: usize) -> Vec<u32> {
    let fields: [fn(&Column) -> u32; FIELDS] = [
        |column| column.start.cast_unsigned(),
        |column| column.scale.to_bits(),
        |column| column.bias.to_bits(),
        |column| column.factor.to_bits(),
        |column| column.zero.to_bits(),
    ];
    let mut packed = Vec::with_capacity(columns.len().next_multiple_of(lanes) * FIELDS);
    for vector in columns.chunks(lanes) {
        for field in fields {
            packed.extend((0..lanes).map(|lane| vector.get(lane).map_or(0, field)));
        }
    }
    packed
}

/// The packed constants of a vector of columns.
#[derive(Clone, Copy)]
pub(crate) struct Columns(*const u32);

impl Columns {
    /// Returns the constants of vector `vector`.
    ///
    /// # Safety
    /// `packed` is valid for the reads of its constants, for vectors of this set.
    #[inline(always)]
    pub(crate) unsafe fn new<S: Simd>(packed: *const u32, vector: usize) -> Self {
        // SAFETY: the constants of the vector are inside `packed`.
        Self(unsafe { packed.add(vector * FIELDS * S::LEN) })
    }

    /// Loads [`Column::start`].
    ///
    /// # Safety
    /// As [`Columns::new`].
    #[inline(always)]
    pub(crate) unsafe fn start<S: Simd>(self, s: S) -> S::I32 {
        // SAFETY: a vector of constants has `FIELDS` vectors.
        unsafe { s.load_i32(self.0.cast()) }
    }

    /// Loads scale, bias, factor and zero point.
    ///
    /// # Safety
    /// As [`Columns::new`].
    #[inline(always)]
    pub(crate) unsafe fn rest<S: Simd>(self, s: S) -> [S::F32; 4] {
        let field = |index: usize| self.0.wrapping_add(index * S::LEN).cast::<f32>();
        // SAFETY: a vector of constants has `FIELDS` vectors.
        unsafe { [s.load(field(1)), s.load(field(2)), s.load(field(3)), s.load(field(4))] }
    }
}

/// Returns `sum · scale + bias`.
#[inline(always)]
pub(crate) fn real<I: IntVector>(sum: I, scale: I::F32, bias: I::F32) -> I::F32 {
    sum.to_f32().fused_mul_add(scale, bias)
}

/// Returns the activation of `x` as a multiple of the result's scale above its zero point, to be rounded.
#[inline(always)]
pub(crate) fn to_map<V: Vector>(x: V, act: Option<Activation>, factor: V, zero: V) -> V {
    if act == Some(Activation::HardSwish) {
        // x · clamp(x + 3, 0, 6) / 6 = x · (clamp(x, -3, 3) + 3) / 6.
        let gate = x.clamp_magnitude(3.0).fused_mul_add(factor, factor * x.splat(3.0));
        return x.fused_mul_add(gate, zero);
    }
    activate(x, act).fused_mul_add(factor, zero)
}

/// Returns the byte of a sum before it is rounded and clamped. `columns` are the constants that [`Columns::rest`] loads.
// Not a closure: it would not be compiled for the instruction set.
#[inline(always)]
pub(crate) fn byte<I: IntVector>(sum: I, columns: [I::F32; 4], act: Option<Activation>) -> I::F32 {
    let [scale, bias, factor, zero] = columns;
    to_map(real(sum, scale, bias), act, factor, zero)
}

/// Returns `act(x)`, the same on every instruction set.
#[inline(always)]
pub(crate) fn activate<V: Vector>(x: V, act: Option<Activation>) -> V {
    let (zero, one) = (x.splat(0.0), x.splat(1.0));
    match act {
        Some(Activation::HardSwish) => x * (x.clamp_magnitude(3.0) + x.splat(3.0)) / x.splat(6.0),
        Some(Activation::HardSigmoid { slope }) => {
            one.min(zero.max(x.fused_mul_add(x.splat(slope), x.splat(0.5))))
        }
        Some(Activation::LeakyRelu { slope }) => x.select_greater(zero, x, x * x.splat(slope)),
        Some(Activation::Sigmoid) => sigmoid_unfused(x),
        act => crate::activation::activate(x, act),
    }
}
