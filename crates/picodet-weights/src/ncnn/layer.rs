//! One layer of an ncnn network: its line of the `.param` and its weights of the `.bin`.

use std::collections::HashMap;

use picodet_graph::Tensor;

use super::activation;
use super::bin::Reader;
use super::flow::{self, Layer};
use super::options::Options;
use crate::foreign::{Affine, Channels, Foldable, Transform};
use crate::{ForeignConvolution, ForeignNode, ForeignPooling, ReadError};

/// Largest number of values of one weight.
const MAX_VALUES: usize = 100_000_000;
/// Value of an option that is computed from an input.
const DYNAMIC: i64 = -233;

/// Constants (layers of type `MemoryData`) by the name of their output.
pub(super) type Constants = HashMap<String, Constant>;

/// A constant.
pub(super) struct Constant {
    /// `[c, d, h, w]`, without the extents that the file does not give.
    shape: Vec<usize>,
    data: Channels,
}

/// The fields of one line of a `.param`.
pub(super) struct Line<'a> {
    line: usize,
    kind: &'a str,
    name: &'a str,
    inputs: Vec<String>,
    outputs: Vec<String>,
    options: Options<'a>,
}

impl<'a> Line<'a> {
    /// Splits a line into type, name, inputs, outputs and options `key=value`.
    pub(super) fn parse(line: usize, text: &'a str) -> Result<Self, ReadError> {
        let mut words = text.split_whitespace();
        let mut field = || words.next().ok_or_else(|| wrong(line, "too few fields"));
        let (kind, name) = (field()?, field()?);
        let mut count = || -> Result<usize, ReadError> {
            field()?.parse().map_err(|_| wrong(line, "a number of inputs or outputs expected"))
        };
        let (inputs, outputs) = (count()?, count()?);
        let mut names = |count: usize| -> Result<Vec<String>, ReadError> {
            let mut name = || words.next().ok_or_else(|| wrong(line, "too few input or output names"));
            (0..count).map(|_| name().map(ToOwned::to_owned)).collect()
        };
        let (inputs, outputs) = (names(inputs)?, names(outputs)?);
        let options = words.filter_map(|word| word.split_once('=')).collect();
        Ok(Self { line, kind, name, inputs, outputs, options })
    }

    /// Reads the weights of the layer; returns its node and the part of it that folding needs.
    pub(super) fn read(
        self,
        weights: &mut Reader<'_>,
        constants: &mut Constants,
    ) -> Result<(ForeignNode, Foldable), ReadError> {
        let (mut convolution, mut affine) = (None, None);
        match self.kind {
            "Convolution" | "ConvolutionDepthWise" => convolution = Some(self.convolution(weights)?),
            "InnerProduct" => convolution = Some(self.inner_product(weights)?),
            "BatchNorm" => affine = self.batch_norm(weights)?,
            "Scale" => affine = self.scale(weights)?,
            "BinaryOp" => affine = self.binary(constants)?,
            "MemoryData" => {
                let constant = self.memory_data(weights)?;
                constants.extend(self.outputs.first().map(|output| (output.clone(), constant)));
            }
            "PReLU" => drop(weights.floats(self.count("0", 0)?, self.name)?),
            "Gemm" => self.gemm(weights)?,
            kind if HAVE_WEIGHTS.contains(&kind) => {
                return Err(
                    self.wrong(format!("layers of type {kind} are not supported; PicoDet exports have none"))
                );
            }
            _ => {}
        }
        let pooling = if self.kind == "Pooling" { Some(self.pooling()?) } else { None };
        let has_activation = convolution.is_some() && self.is_set("9")?;
        let activation = activation::read(self.kind, has_activation, &self.options);
        let size = |input: &String| constants.get(input).map(|constant| constant.data.len());
        let flow = flow::read(&Layer {
            kind: self.kind,
            options: &self.options,
            constants: self.inputs.iter().map(size).collect(),
            pooling,
            is_activation: activation.is_some(),
        });
        let node = ForeignNode {
            name: self.name.to_owned(),
            kind: self.kind.to_owned(),
            inputs: self.inputs,
            outputs: self.outputs,
            convolution,
            pooling,
            activation,
            flow,
        };
        Ok((node, Foldable { affine, has_activation }))
    }

    fn wrong(&self, problem: impl std::fmt::Display) -> ReadError {
        wrong(self.line, problem)
    }

    /// Returns an integer option.
    fn integer(&self, key: &str, default: i64) -> Result<i64, ReadError> {
        let Some(value) = self.options.get(key) else { return Ok(default) };
        value.parse().map_err(|_| self.wrong(format!("option {key}={value} is not an integer")))
    }

    /// Returns an option that is a number of values.
    fn count(&self, key: &str, default: usize) -> Result<usize, ReadError> {
        let value = self.integer(key, default as i64)?;
        let count = usize::try_from(value).ok().filter(|&count| count <= MAX_VALUES);
        count.ok_or_else(|| self.wrong(format!("option {key}={value} is out of range")))
    }

    /// Whether an option is present and not 0.
    fn is_set(&self, key: &str) -> Result<bool, ReadError> {
        Ok(self.integer(key, 0)? != 0)
    }

    fn refuse_int8(&self, key: &str) -> Result<(), ReadError> {
        match self.is_set(key)? {
            true => Err(self.wrong(format!(
                "`{}` is quantised to int8; convert the file before quantisation",
                self.name
            ))),
            false => Ok(()),
        }
    }

    fn convolution(&self, weights: &mut Reader<'_>) -> Result<ForeignConvolution, ReadError> {
        self.refuse_int8("8")?;
        if self.is_set("19")? {
            return Err(self.wrong(format!("the weight of `{}` is not a constant", self.name)));
        }
        let (out, kernel, values) = (self.count("0", 0)?, self.count("1", 0)?, self.count("6", 0)?);
        let (dilation, stride, groups) = (self.count("2", 1)?, self.count("3", 1)?, self.count("7", 1)?);
        let padding = kernel.saturating_sub(1) as i64 / 2;
        let square = self.count("11", kernel)? == kernel
            && self.count("13", stride)? == stride
            && self.count("12", dilation)? == dilation;
        let left = self.integer("4", 0)?;
        let top = self.integer("14", left)?;
        let sides = [left, top, self.integer("15", left)?, self.integer("16", top)?];
        if !square || dilation != 1 || sides != [padding; 4] {
            return Err(self.wrong("only square, centred, undilated convolutions are supported"));
        }
        let rows = out.checked_mul(kernel).and_then(|rows| rows.checked_mul(kernel)).unwrap_or(0);
        if rows == 0 || values == 0 || !values.is_multiple_of(rows) || stride == 0 || groups == 0 {
            let problem =
                format!("a convolution with {values} values for {out} channels of {kernel}x{kernel}");
            return Err(self.wrong(problem));
        }
        let shape = vec![out, values / rows, kernel, kernel];
        let weight = Tensor { shape, data: weights.flagged(values, self.name)? };
        let bias = self.bias("5", out, weights)?;
        Ok(ForeignConvolution { weight, bias, stride, groups })
    }

    /// A fully connected layer of a pooled map `[c, 1, 1]` is a 1×1 convolution.
    fn inner_product(&self, weights: &mut Reader<'_>) -> Result<ForeignConvolution, ReadError> {
        self.refuse_int8("8")?;
        let (out, values) = (self.count("0", 0)?, self.count("2", 0)?);
        if out == 0 || values == 0 || !values.is_multiple_of(out) {
            return Err(
                self.wrong(format!("a fully connected layer with {values} values for {out} channels"))
            );
        }
        let shape = vec![out, values / out, 1, 1];
        let weight = Tensor { shape, data: weights.flagged(values, self.name)? };
        let bias = self.bias("1", out, weights)?;
        Ok(ForeignConvolution { weight, bias, stride: 1, groups: 1 })
    }

    fn pooling(&self) -> Result<ForeignPooling, ReadError> {
        let (width, stride) = (self.count("1", 0)?, self.count("2", 1)?);
        let left = self.integer("3", 0)?;
        let top = self.integer("13", left)?;
        // An adaptive pooling to one value is global.
        let is_single = self.is_set("7")? && self.count("8", 0)? == 1;
        Ok(ForeignPooling {
            is_average: self.is_set("0")?,
            is_global: self.is_set("4")? || is_single,
            kernel: [self.count("11", width)?, width],
            strides: [self.count("12", stride)?, stride],
            pads: [top, left, self.integer("15", top)?, self.integer("14", left)?],
        })
    }

    fn bias(
        &self,
        key: &str,
        channels: usize,
        weights: &mut Reader<'_>,
    ) -> Result<Option<Tensor>, ReadError> {
        if !self.is_set(key)? {
            return Ok(None);
        }
        Ok(Some(Tensor { shape: vec![channels], data: weights.floats(channels, self.name)? }))
    }

    /// A transform of the first input.
    fn affine(&self, transform: Transform) -> Option<Affine> {
        Some(Affine { input: self.inputs.first()?.clone(), transform })
    }

    fn batch_norm(&self, weights: &mut Reader<'_>) -> Result<Option<Affine>, ReadError> {
        let channels = self.count("0", 0)?;
        let epsilon = match self.options.get("1") {
            Some(value) => {
                value.parse().map_err(|_| self.wrong(format!("option 1={value} is not a number")))?
            }
            None => 0.0,
        };
        let mut vector = || weights.floats(channels, self.name).map(Channels::from);
        let (gamma, mean, variance, beta) = (vector()?, vector()?, vector()?, vector()?);
        Ok(self.affine(Transform::BatchNorm { gamma, beta, mean, variance, epsilon }))
    }

    fn scale(&self, weights: &mut Reader<'_>) -> Result<Option<Affine>, ReadError> {
        if self.integer("0", 0)? == DYNAMIC {
            return Ok(None);
        }
        let channels = self.count("0", 0)?;
        let scale: Channels = weights.floats(channels, self.name)?.into();
        Ok(self.affine(match self.is_set("1")? {
            true => Transform::ScaleShift(scale, weights.floats(channels, self.name)?.into()),
            false => Transform::Scale(scale),
        }))
    }

    /// An addition or multiplication of one constant per channel.
    fn binary(&self, constants: &Constants) -> Result<Option<Affine>, ReadError> {
        let [a, b] = self.inputs.as_slice() else { return Ok(None) };
        let (input, constant) = match (constants.get(a), constants.get(b)) {
            (None, Some(constant)) => (a, constant),
            (Some(constant), None) => (b, constant),
            _ => return Ok(None),
        };
        // Shapes of constants are [c, h, w]; a vector counts as one value per channel.
        if !matches!(constant.shape.as_slice(), [_, 1, 1] | [_]) {
            return Ok(None);
        }
        const ADD: i64 = 0;
        const MULTIPLY: i64 = 2;
        let transform = match self.integer("0", ADD)? {
            ADD => Transform::Shift(constant.data.clone()),
            MULTIPLY => Transform::Scale(constant.data.clone()),
            _ => return Ok(None),
        };
        Ok(Some(Affine { input: input.clone(), transform }))
    }

    fn memory_data(&self, weights: &mut Reader<'_>) -> Result<Constant, ReadError> {
        let mut shape = Vec::new();
        for key in ["2", "11", "1", "0"] {
            shape.extend(Some(self.count(key, 0)?).filter(|&extent| extent > 0));
        }
        let count = self.product(&shape)?;
        // Load type 1, the default, is plain floats; 0 has a flag.
        let data = match self.integer("21", 1)? {
            0 => weights.flagged(count, self.name)?,
            _ => weights.floats(count, self.name)?,
        };
        Ok(Constant { shape, data: data.into() })
    }

    /// Skips the constant operands of a matrix product, as in the box decoding of an exported head.
    fn gemm(&self, weights: &mut Reader<'_>) -> Result<(), ReadError> {
        self.refuse_int8("18")?;
        let (m, n, k) = (self.count("7", 0)?, self.count("8", 0)?, self.count("9", 0)?);
        let mut skip = |extents: &[usize]| -> Result<(), ReadError> {
            weights.flagged(self.product(extents)?, self.name).map(drop)
        };
        if self.is_set("4")? {
            skip(&[m, k])?;
        }
        if self.is_set("5")? {
            skip(&[n, k])?;
        }
        if self.is_set("6")? {
            match self.integer("10", 0)? {
                0 => skip(&[1])?,
                1 | 2 => skip(&[m])?,
                3 => skip(&[m, n])?,
                4 => skip(&[n])?,
                _ => {}
            }
        }
        Ok(())
    }

    fn product(&self, extents: &[usize]) -> Result<usize, ReadError> {
        let count = extents.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        let count = count.filter(|&count| count <= MAX_VALUES);
        count.ok_or_else(|| self.wrong(format!("a constant of {extents:?} values is too large")))
    }
}

/// Other layers with weights, which no PicoDet export has.
const HAVE_WEIGHTS: &[&str] = &[
    "Bias",
    "Convolution1D",
    "Convolution3D",
    "ConvolutionDepthWise1D",
    "ConvolutionDepthWise3D",
    "Deconvolution",
    "DeconvolutionDepthWise",
    "DeformableConv2D",
    "Embed",
    "GRU",
    "GroupNorm",
    "InstanceNorm",
    "LSTM",
    "LayerNorm",
    "MultiHeadAttention",
    "Normalize",
    "RMSNorm",
    "RNN",
];

/// The error of a line of the `.param` file.
pub(super) fn wrong(line: usize, problem: impl std::fmt::Display) -> ReadError {
    ReadError::Format { format: "an ncnn .param file", problem: format!("line {line}: {problem}") }
}
