"""The other engines behind one interface.

A maker takes an ONNX file, an input size and threads, and gives two functions: one from an image, [1, 3, h, w] of float32,
to the engine's own outputs, which is what is timed, and one from those to arrays by name. It raises `Absent`, with the
reason, where its engine is not installed or does not take the network.
"""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import numpy as np


class Absent(Exception):
    """An engine cannot be compared; the message says why."""


def module(name):
    try:
        return __import__(name)
    except ImportError as error:
        raise Absent(f"{name} is not installed ({error})") from error


def output_names(path):
    """The outputs of an ONNX file in its order."""
    onnxruntime = module("onnxruntime")
    return [output.name for output in onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_outputs()]


def onnx_runtime(path, _size, threads):
    onnxruntime = module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda image: session.run(None, {"image": image}), lambda outputs: dict(zip(names, outputs))


def open_vino(path, _size, threads, precision="f32"):
    openvino = module("openvino")
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    if precision:
        settings["INFERENCE_PRECISION_HINT"] = precision
    request = core.compile_model(str(path), "CPU", settings).create_infer_request()

    # A value may have several names, ours among them.
    by_name = lambda result: {name: value for key, value in result.items() for name in key.get_names()}
    return lambda image: request.infer({"image": image}), by_name


def open_vino_default(path, size, threads):
    return open_vino(path, size, threads, precision=None)


def ncnn(path, size, threads):
    engine = module("ncnn")
    param = path.with_suffix(".ncnn.param")
    if not param.exists():
        convert_for_ncnn(path, size)
    net = engine.Net()
    net.opt.num_threads = threads
    # The default stores 16-bit values between layers; the comparison is in 32 bits.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(str(param)) or net.load_model(str(param.with_suffix(".bin"))):
        raise Absent("ncnn does not load what pnnx wrote")
    names = output_names(path)

    def run(image):
        with net.create_extractor() as extractor:
            extractor.input("in0", engine.Mat(image[0]))
            return [extractor.extract(f"out{i}")[1] for i in range(len(names))]

    return run, lambda outputs: {name: np.array(value)[None] for name, value in zip(names, outputs)}


def convert_for_ncnn(path, size):
    """Writes PATH.ncnn.param and .bin by pnnx, a program inside the wheel of that name."""
    try:
        files = importlib.metadata.files("pnnx") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise Absent("pnnx, which converts for ncnn, is not installed") from error
    programs = [Path(file.locate()) for file in files if file.name in ("pnnx", "pnnx.exe")]
    programs = [program for program in programs if program.parent.name == "pnnx"]
    if not programs:
        raise Absent("the wheel pnnx holds no program pnnx")
    command = [programs[0], path.name, f"inputshape=[1,3,{size[0]},{size[1]}]", "fp16=0"]
    result = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    if result.returncode or not path.with_suffix(".ncnn.param").exists():
        raise Absent("pnnx does not convert this network for ncnn")


def mnn(path, size, threads):
    engine = module("MNN")
    converted = path.with_suffix(".mnn")
    if not converted.exists():
        program = Path(sys.executable).with_name("mnnconvert")
        if not program.exists():
            raise Absent("the wheel MNN brought no mnnconvert")
        command = [program, "-f", "ONNX", "--modelFile", path, "--MNNModel", converted, "--bizCode", "picodet"]
        result = subprocess.run(command, capture_output=True, text=True)
        if not converted.exists():
            raise Absent(f"mnnconvert does not convert this network: {result.stdout[-200:]}")
    names = output_names(path)
    # Precision "high" is f32; the default may use less.
    config = {"backend": "CPU", "numThread": threads, "precision": "high"}
    runtime = engine.nn.create_runtime_manager((config,))
    network = engine.nn.load_module_from_file(str(converted), ["image"], names, runtime_manager=runtime)
    planar = lambda value: engine.expr.convert(value, engine.expr.NCHW).read().reshape(value.shape)

    def run(image):
        place = engine.expr.placeholder([1, 3, *size], engine.expr.NCHW)
        place.write(image)
        # Reading waits for the result.
        return [planar(value) for value in network.forward([place])]

    return run, lambda outputs: {name: np.array(value) for name, value in zip(names, outputs)}


# Name, package, maker, and whether it computes in 32-bit floats as picodet does.
ENGINES = [
    ("ONNX Runtime", "onnxruntime", onnx_runtime, True),
    ("OpenVINO", "openvino", open_vino, True),
    ("ncnn", "ncnn", ncnn, True),
    ("MNN", "MNN", mnn, True),
    ("OpenVINO default", "openvino", open_vino_default, False),
]


def version(package):
    try:
        return importlib.metadata.version(package).split("-")[0]
    except importlib.metadata.PackageNotFoundError:
        return "absent"
