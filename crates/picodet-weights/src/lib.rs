//! Weight files: safetensors, pdparams, ncnn and ONNX, read by closed parsers.
