//! ncnn: a `.param` text that lists the layers and a `.bin` with their weights in the same order.

use picodet_graph::Tensor;

use half::f16;

use crate::{ForeignConvolution, ForeignNetwork, ForeignNode, ReadError};

const MAGIC: &str = "7767517";
/// Largest number of layers, and of values in one convolution.
const MAX_LAYERS: usize = 100_000;
const MAX_VALUES: usize = 100_000_000;
/// Flag before a weight of 16-bit floats.
const HALF_FLAG: u32 = 0x0130_6B47;

fn wrong(line: usize, problem: impl std::fmt::Display) -> ReadError {
    ReadError::Format { format: "an ncnn .param file", problem: format!("line {line}: {problem}") }
}

/// Reads a network from the bytes of its `.param` and its `.bin`.
///
/// # Errors
/// [`ReadError`] when the text is not a list of layers, a layer with weights is of an unsupported kind, or
/// the `.bin` does not hold exactly the weights of the layers.
pub fn read(param: &[u8], bin: &[u8]) -> Result<ForeignNetwork, ReadError> {
    let text = std::str::from_utf8(param)
        .map_err(|error| wrong(1, format!("byte {} is not UTF-8 text", error.valid_up_to())))?;
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    match lines.next() {
        Some((_, line)) if line.trim() == MAGIC => {}
        _ => return Err(wrong(1, format!("`{MAGIC}` expected"))),
    }
    let (line, counts) =
        lines.next().ok_or(ReadError::Truncated { at: param.len(), what: "the layer count" })?;
    let layers: usize = counts
        .split_whitespace()
        .next()
        .and_then(|count| count.parse().ok())
        .filter(|&count| count <= MAX_LAYERS)
        .ok_or_else(|| wrong(line, format!("a layer count up to {MAX_LAYERS} expected")))?;
    let mut weights = Reader { bytes: bin, at: 0 };
    let mut network = ForeignNetwork::default();
    for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
        if network.nodes.len() == layers {
            return Err(wrong(line, format!("more layers than the {layers} of the header")));
        }
        network.nodes.push(layer(line, text, &mut weights)?);
    }
    if network.nodes.len() < layers {
        return Err(ReadError::Truncated { at: param.len(), what: "the list of layers" });
    }
    if weights.at != bin.len() {
        let problem = format!("{} bytes follow the weights of the last layer", bin.len() - weights.at);
        return Err(ReadError::Format { format: "the .bin of this .param file", problem });
    }
    Ok(network)
}

fn layer(line: usize, text: &str, weights: &mut Reader<'_>) -> Result<ForeignNode, ReadError> {
    let mut words = text.split_whitespace();
    let mut field = || words.next().ok_or_else(|| wrong(line, "too few fields"));
    let (kind, name) = (field()?.to_owned(), field()?.to_owned());
    let mut count = || -> Result<usize, ReadError> {
        field()?.parse().map_err(|_| wrong(line, "a number of inputs or outputs expected"))
    };
    let (inputs, outputs) = (count()?, count()?);
    let mut names = |count: usize| -> Result<Vec<String>, ReadError> {
        (0..count)
            .map(|_| {
                words
                    .next()
                    .map(ToOwned::to_owned)
                    .ok_or_else(|| wrong(line, "too few input or output names"))
            })
            .collect()
    };
    let (inputs, outputs) = (names(inputs)?, names(outputs)?);
    let options: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
    let convolution = match kind.as_str() {
        "Convolution" | "ConvolutionDepthWise" => Some(convolution(line, &name, &options, weights)?),
        "BatchNorm" | "InnerProduct" | "Deconvolution" | "Scale" | "PReLU" | "MemoryData" | "Embed" => {
            return Err(wrong(
                line,
                format!("layers of type {kind} are not supported; PicoDet exports have none"),
            ));
        }
        _ => None,
    };
    Ok(ForeignNode { name, kind, inputs, outputs, convolution })
}

fn convolution(
    line: usize,
    name: &str,
    options: &[(&str, &str)],
    weights: &mut Reader<'_>,
) -> Result<ForeignConvolution, ReadError> {
    let option = |key: &str, default: usize| match options.iter().find(|option| option.0 == key) {
        Some((_, value)) => {
            value.parse().map_err(|_| wrong(line, format!("option {key}={value} is not a number")))
        }
        None => Ok(default),
    };
    let (out, kernel, bias, values) = (option("0", 0)?, option("1", 0)?, option("5", 0)?, option("6", 0)?);
    let (dilation, stride, groups) = (option("2", 1)?, option("3", 1)?, option("7", 1)?);
    let square = option("11", kernel)? == kernel && option("13", stride)? == stride;
    let padded = option("4", 0)? == kernel.saturating_sub(1) / 2;
    if !square || !padded || dilation != 1 || option("9", 0)? != 0 || option("8", 0)? != 0 {
        return Err(wrong(
            line,
            "only square, centred, undilated convolutions without int8 or fused activation are supported",
        ));
    }
    let rows = out.checked_mul(kernel).and_then(|rows| rows.checked_mul(kernel)).unwrap_or(0);
    if rows == 0
        || values == 0
        || values > MAX_VALUES
        || values % rows != 0
        || groups == 0
        || out > MAX_VALUES
    {
        return Err(wrong(
            line,
            format!("a convolution with {values} values for {out} channels of {kernel}x{kernel}"),
        ));
    }
    let shape = vec![out, values / rows, kernel, kernel];
    let weight = weights.flagged(values, name)?;
    let bias =
        if bias == 0 { None } else { Some(Tensor { shape: vec![out], data: weights.floats(out, name)? }) };
    Ok(ForeignConvolution { weight: Tensor { shape, data: weight }, bias, stride, groups })
}

/// Reads the `.bin`.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, name: &str) -> Result<&'a [u8], ReadError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| ReadError::Tensor {
            name: name.to_owned(),
            problem: format!("the .bin ends at byte {}, {count} more bytes are needed", self.bytes.len()),
        })?;
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    fn floats(&mut self, count: usize, name: &str) -> Result<Vec<f32>, ReadError> {
        let bytes = self.take(count.saturating_mul(4), name)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
    }

    /// Values after a flag that gives their element type.
    fn flagged(&mut self, count: usize, name: &str) -> Result<Vec<f32>, ReadError> {
        let flag = self.take(4, name)?.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk));
        match flag {
            0 => self.floats(count, name),
            HALF_FLAG => {
                let bytes = self.take(count.saturating_mul(2).next_multiple_of(4), name)?;
                let halves = bytes.as_chunks::<2>().0.iter().take(count);
                Ok(halves.map(|chunk| f16::from_le_bytes(*chunk).to_f32()).collect())
            }
            flag => Err(ReadError::Tensor {
                name: name.to_owned(),
                problem: format!(
                    "storage flag {flag:#010x} is not supported; export with 32-bit or 16-bit floats"
                ),
            }),
        }
    }
}
