//! Pickles of the same arrays in every protocol, element type and wrapping dict.

pub(crate) const VALUES: [f32; 4] = [0.5, -2.0, 1.0, 0.25];

pub(crate) fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

pub(crate) fn dtype(name: &str) -> Vec<u8> {
    let state = [b"(K\x03", &text("<")[..], b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"].concat();
    [b"cnumpy\ndtype\n", &text(name)[..], b"\x89\x88\x87R", &state].concat()
}

/// An array `[2, 2]` as protocols 2 to 4 store it.
pub(crate) fn array(element: &str, bytes: &[u8]) -> Vec<u8> {
    let head =
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01K\x02K\x02\x86";
    let data = [b"B", &(bytes.len() as u32).to_le_bytes()[..], bytes].concat();
    [&head[..], &dtype(element), b"\x89", &data, b"tb"].concat()
}

/// Replaces the name of the element type `f4` by the type of another package.
fn with_ml_dtypes(array: &[u8]) -> Vec<u8> {
    let name = text("f4");
    let at = array.windows(name.len()).position(|bytes| bytes == name).expect("an element type");
    [&array[..at], b"cml_dtypes\nbfloat16\n", &array[at + name.len()..]].concat()
}

/// An array `[2, 2]` as protocol 1 stores it: booleans as integers in text, bytes as text.
fn protocol_1(bytes: &[u8]) -> Vec<u8> {
    let encoded = |bytes: &[u8]| {
        let characters: String = bytes.iter().map(|&byte| char::from(byte)).collect();
        [b"c_codecs\nencode\n(", &text(&characters)[..], &text("latin1"), b"tR"].concat()
    };
    let state = [b"(K\x03", &text("<")[..], b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"].concat();
    let dtype = [b"cnumpy\ndtype\n(", &text("f4")[..], b"I00\nI01\ntR", &state].concat();
    let head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t";
    let shape = b"tR(K\x01(K\x02K\x02t";
    [&head[..], &encoded(b"b"), shape, &dtype, b"I00\n", &encoded(bytes), b"tb"].concat()
}

/// An array `[2, 2]` as protocol 5 stores it; `order` is `C` or `F`.
pub(crate) fn buffer(module: &str, element: &str, order: &str, bytes: &[u8]) -> Vec<u8> {
    let data = [b"\x96", &(bytes.len() as u64).to_le_bytes()[..], bytes].concat();
    let head = format!("c{module}\n_frombuffer\n(");
    [head.as_bytes(), &data, &dtype(element), b"K\x02K\x02\x86", &text(order), b"tR"].concat()
}

pub(crate) fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items = entries.iter().flat_map(|(name, value)| [text(name), value.clone()].concat());
    [&b"}("[..], &items.collect::<Vec<u8>>(), b"u"].concat()
}

pub(crate) fn pickle(protocol: u8, value: &[u8]) -> Vec<u8> {
    [&[0x80, protocol], value, b"."].concat()
}

pub(crate) fn f32_bytes() -> Vec<u8> {
    VALUES.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The array in every protocol and element type.
pub(crate) fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let f16: Vec<u8> =
        [0x3800u16, 0xc000, 0x3c00, 0x3400].iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let bf16: Vec<u8> =
        VALUES.iter().flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes()).collect();
    let f64: Vec<u8> = VALUES.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect();
    let columns: Vec<u8> = [0, 2, 1, 3].iter().flat_map(|&at| VALUES[at as usize].to_le_bytes()).collect();
    let f32 = f32_bytes();
    let named = [b"(", &text("conv2d_0.w_0")[..], &array("f4", &f32), b"t"].concat();
    let lod =
        [b"cbuiltins\neval\n", &text("data")[..], &dict(&[("data", array("f4", &f32))]), b"\x86R"].concat();
    let forms: Vec<(&str, u8, Vec<u8>)> = vec![
        ("f32, protocol 2", 2, array("f4", &f32)),
        ("f32, protocol 3", 3, array("f4", &f32)),
        ("f32, protocol 4", 4, array("f4", &f32)),
        ("f32, protocol 5 of NumPy 1", 5, buffer("numpy.core.numeric", "f4", "C", &f32)),
        ("f32, protocol 5 of NumPy 2", 5, buffer("numpy._core.numeric", "f4", "C", &f32)),
        ("column-major, protocol 5", 5, buffer("numpy._core.numeric", "f4", "F", &columns)),
        ("f16", 4, array("f2", &f16)),
        ("bf16 as u2", 4, array("u2", &bf16)),
        ("bf16 as u2, protocol 5", 5, buffer("numpy._core.numeric", "u2", "C", &bf16)),
        ("bf16 of ml_dtypes", 4, with_ml_dtypes(&array("f4", &bf16))),
        (
            "bf16 of ml_dtypes, protocol 5",
            5,
            with_ml_dtypes(&buffer("numpy._core.numeric", "f4", "C", &bf16)),
        ),
        ("f64", 4, array("f8", &f64)),
        ("with an internal name", 2, named),
        ("eval of a tensor", 2, lod),
    ];
    forms
        .into_iter()
        .map(|(name, protocol, value)| (name, pickle(protocol, &dict(&[("w", value)]))))
        .chain([("f32, protocol 1", [dict(&[("w", protocol_1(&f32))]), b".".to_vec()].concat())])
        .collect()
}

/// The array within dicts, and next to other values.
pub(crate) fn wrapped() -> Vec<(&'static str, Vec<u8>)> {
    let weights = || dict(&[("w", array("f4", &f32_bytes()))]);
    let other = || dict(&[("w", array("f4", &[0; 16]))]);
    let names = || dict(&[("w", text("conv2d_0.w_0"))]);
    let number = || b"K\x03".to_vec();
    let forms = [
        (
            "a table of names",
            dict(&[("w", array("f4", &f32_bytes())), ("StructuredToParameterName@@", names())]),
        ),
        ("numbers next to it", dict(&[("w", array("f4", &f32_bytes())), ("epoch", number())])),
        (
            "model",
            dict(&[("model", weights()), ("epoch", number()), ("LR_Scheduler", dict(&[("last", number())]))]),
        ),
        ("state_dict", dict(&[("state_dict", weights()), ("optimizer", other())])),
        ("averaged", dict(&[("model", other()), ("ema", weights())])),
        ("any single name", dict(&[("generator", weights())])),
        ("two wrappers", dict(&[("checkpoint", dict(&[("model", weights())]))])),
    ];
    forms.into_iter().map(|(name, value)| (name, pickle(4, &value))).collect()
}
