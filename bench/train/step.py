"""A whole training step of the paper's S in PyTorch: forward, assignment, loss, backward, SGD.

    step.py FILE check [DEVICE]    one step against what the example `whole_step` wrote: prints the differences
    step.py FILE LAYOUT THREADS ITERATIONS [DEVICE]    medians in milliseconds and the peak memory, as JSON
LAYOUT is `nchw` or `nhwc`; DEVICE is one of PyTorch's, `cpu` without it.
"""

import json
import statistics
import struct
import sys
import time

import numpy as np
import torch

from network import PicoDetS, smooth
from objective import Objective

LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


def read(path):
    """Tensors and metadata of a safetensors file of f32."""
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = json.loads(header.pop("__metadata__")["picodet"])
    tensors = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[start:end], np.float32).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors, metadata


def in_order(net):
    """Trainable parameters in the order of our graph, which builds the neck in execution order."""
    parts = [net.stem, net.stages, net.reduce, net.top_down]
    parts += [part for pair in zip(net.down, net.bottom_up) for part in pair]
    return [parameter for part in parts + [net.extra, net.head] for parameter in part.parameters()]


class Step:
    def __init__(self, path, layout, device="cpu"):
        self.tensors, meta = read(path)
        self.tensors = {name: tensor.to(device) for name, tensor in self.tensors.items()}
        self.synchronise = torch.cuda.synchronize if device == "cuda" else lambda: None
        self.names = meta["order"].split("\n")
        decays = set(meta["decays"].split("\n"))
        torch.manual_seed(0)
        net = PicoDetS().train().to(device)
        self.parameters = dict(zip(self.names, in_order(net), strict=True))
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.tensors["weight/" + name])
        if meta["smooth"] == "true":
            smooth(net)
        self.net = net.to(memory_format=layout)
        self.image = self.tensors["image"].to(memory_format=layout)
        self.truths = [
            (self.tensors[f"boxes/{i}"], self.tensors[f"classes/{i}"].long()) for i in range(len(self.image))
        ]
        groups = [
            {"params": [p for n, p in self.parameters.items() if n in decays], "weight_decay": float(meta["weight_decay"])},
            {"params": [p for n, p in self.parameters.items() if n not in decays], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.SGD(groups, float(meta["rate"]), float(meta["momentum"]), fused=True)
        self.objective = Objective(self.image.shape[-1], device)

    def run(self):
        """Loss terms, number of positives, and milliseconds of the parts."""
        self.optimiser.zero_grad(set_to_none=True)
        self.synchronise()
        cpu, clock = time.process_time(), [time.perf_counter()]

        def tick():
            self.synchronise()
            clock.append(time.perf_counter())

        maps = self.net(self.image)
        tick()
        cls, box, dfl, positives = self.objective(maps, self.truths)
        tick()
        (cls + box + dfl).backward()
        tick()
        self.optimiser.step()
        tick()
        times = [after - before for before, after in zip(clock, clock[1:])]
        times += [clock[-1] - clock[0], time.process_time() - cpu]
        return [term.item() for term in (cls, box, dfl)], positives, [1e3 * value for value in times]

    def check(self):
        """Largest differences from our step."""
        loss, positives, _ = self.run()
        expected = self.tensors["loss"].tolist()
        gradients = torch.cat([p.grad.flatten() for p in self.parameters.values()]).double()
        ours = torch.cat([self.tensors["gradient/" + name].flatten() for name in self.names]).double()
        after = torch.cat([p.detach().flatten() for p in self.parameters.values()]).double()
        ours_after = torch.cat([self.tensors["after/" + name].flatten() for name in self.names]).double()
        return {
            "loss": max(abs(a - b) / abs(b) for a, b in zip(loss, expected)),
            "positives": positives - int(self.tensors["positives"].item()),
            "gradients": ((gradients - ours).norm() / ours.norm()).item(),
            "weights": ((after - ours_after).abs().max() / ours_after.abs().max()).item(),
        }


def peak_kib():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1])


def main():
    path, layout, *rest = sys.argv[1:]
    # Products of f32 in f32, on every device.
    torch.backends.cudnn.allow_tf32 = False
    if layout == "check":
        torch.set_num_threads(1)
        print(json.dumps({name: Step(path, layout, *rest).check() for name, layout in LAYOUTS.items()}))
        return
    threads, iterations = map(int, rest[:2])
    torch.set_num_threads(threads)
    imported = peak_kib()
    step = Step(path, LAYOUTS[layout], *rest[2:])
    step.run()
    rows = [step.run()[2] for _ in range(iterations)]
    names = ["forward", "judge", "backward", "optimiser", "wall", "cpu"]
    medians = {name: statistics.median(column) for name, column in zip(names, zip(*rows))}
    print(json.dumps(medians | {"peak_kib": peak_kib(), "imported_kib": imported}))


main()
