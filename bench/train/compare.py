"""Forward and backward of the paper's S in PyTorch and here, in turns, and the ratio.

    compare.py STEP [--batch 8] [--size 320] [--threads 1] [--rounds 5] [--iterations 3]

STEP is the built example `step` of picodet-gradient. Processor time is compared: on a machine that does other work,
the clock measures that work too.
"""

import argparse
import re
import resource
import statistics
import subprocess
import time

import torch

from network import PicoDetS


class Torch:
    def __init__(self, layout, batch, size):
        torch.manual_seed(0)
        self.net = PicoDetS().train().to(memory_format=layout)
        self.image = torch.randn(batch, 3, size, size).to(memory_format=layout)
        self.gradients = [0.01 * torch.randn_like(out) for out in self.net(self.image)]
        self.step()

    def step(self):
        self.net.zero_grad(set_to_none=True)
        wall, cpu = time.perf_counter(), time.process_time()
        outputs = self.net(self.image)
        middle = time.process_time()
        torch.autograd.backward(outputs, self.gradients)
        end = time.process_time()
        return [1e3 * value for value in (middle - cpu, end - middle, end - cpu, time.perf_counter() - wall)]


def ours(step, batch, size, threads, iterations):
    command = [step, "legacy_s_320", *map(str, [batch, size, threads, iterations])]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    forward, backward = re.findall(r"(?:forward|backward) .*? wall ([\d.]+) ms CPU", text.splitlines()[0])
    wall, cpu = re.search(r"both: ([\d.]+) ms wall, ([\d.]+) ms CPU", text).groups()
    memory = re.search(r"peak RSS (\d+) MiB", text).group(1)
    return [float(value) for value in (forward, backward, cpu, wall)], int(memory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step")
    for name, value in [("batch", 8), ("size", 320), ("threads", 1), ("rounds", 5), ("iterations", 3)]:
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    parameters = sum(p.numel() for p in PicoDetS().parameters())
    assert parameters == 992_715, f"{parameters} parameters: not the same network"

    times = {"PyTorch NCHW": [], "PyTorch channels last": [], "picodet": []}
    nets = {
        "PyTorch NCHW": Torch(torch.contiguous_format, args.batch, args.size),
        "PyTorch channels last": Torch(torch.channels_last, args.batch, args.size),
    }
    for _ in range(args.rounds):
        for name, net in nets.items():
            times[name] += [net.step() for _ in range(args.iterations)]
        found, memory = ours(args.step, args.batch, args.size, args.threads, args.iterations)
        times["picodet"].append(found)

    print(f"legacy_s_320, batch {args.batch}, {args.size} px, {args.threads} threads, PyTorch {torch.__version__}")
    print(f"{'medians, ms':24} {'forward':>9} {'backward':>9} {'both':>9} {'wall':>9}   (all but wall: processor time)")
    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in times.items()}
    for name, columns in medians.items():
        print(f"{name:24} " + " ".join(f"{value:9.1f}" for value in columns))
    for name in nets:
        ratio = [theirs / mine for theirs, mine in zip(medians[name], medians["picodet"])]
        print(f"{name + ' / picodet':32} processor {ratio[2]:.2f}, wall {ratio[3]:.2f}")
    both = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory: picodet {memory} MiB; PyTorch, both layouts in one process, {both} MiB")


main()
