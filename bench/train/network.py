"""The paper's S in PyTorch, for the benchmark only: ESNet 0.75x, CSP-PAN of 96 channels, PicoHead (SPEC §1.1, §2.1, §3.2)."""

import torch
from torch import nn
from torch.nn import functional as F


class ConvNorm(nn.Sequential):
    def __init__(self, inputs, outputs, kernel=1, stride=1, groups=1, act=True):
        layers = [
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([nn.Hardswish()] if act else []))


def depthwise(channels, kernel, stride=1, act=True):
    return ConvNorm(channels, channels, kernel, stride, channels, act)


def depthwise_pointwise(channels, kernel, stride=1):
    return nn.Sequential(depthwise(channels, kernel, stride), ConvNorm(channels, channels))


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)
        self.middle, self.gate = nn.ReLU(), nn.Hardsigmoid()

    def forward(self, x):
        x_mean = F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.expand(self.middle(self.reduce(x_mean))))


class InvertedResidual(nn.Module):
    def __init__(self, outputs, mid):
        super().__init__()
        self.expand = ConvNorm(outputs // 2, mid // 2)
        self.cheap = depthwise(mid // 2, 3, act=False)
        self.gate = SqueezeExcite(mid)
        self.project = ConvNorm(mid, outputs // 2)

    def forward(self, x):
        passing, x = x.chunk(2, 1)
        x = self.expand(x)
        x = self.project(self.gate(torch.cat([x, self.cheap(x)], 1)))
        x = torch.cat([passing, x], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Downsampling(nn.Module):
    def __init__(self, inputs, outputs, mid):
        super().__init__()
        half = mid // 2
        self.first = nn.Sequential(depthwise(inputs, 3, 2, False), ConvNorm(inputs, outputs // 2))
        self.second = nn.Sequential(
            ConvNorm(inputs, half),
            depthwise(half, 3, 2, False),
            SqueezeExcite(half),
            ConvNorm(half, outputs // 2),
        )
        self.fuse = depthwise_pointwise(outputs, 3)

    def forward(self, x):
        return self.fuse(torch.cat([self.first(x), self.second(x)], 1))


class Csp(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        mid = outputs // 2
        self.main = nn.Sequential(ConvNorm(inputs, mid), ConvNorm(mid, mid), depthwise_pointwise(mid, 5))
        self.short = ConvNorm(inputs, mid)
        self.final = ConvNorm(2 * mid, outputs)

    def forward(self, x):
        return self.final(torch.cat([self.main(x), self.short(x)], 1))


class PicoDetS(nn.Module):
    def __init__(self, classes=80, channels=96):
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1))
        mids = [[88, 48, 48], [96, 120, 96, 120, 96, 96, 96], [192, 192, 192]]
        self.stages, inputs, widths = nn.ModuleList(), 24, [96, 192, 384]
        for outputs, stage in zip(widths, mids):
            blocks = [Downsampling(inputs, outputs, stage[0])]
            blocks += [InvertedResidual(outputs, mid) for mid in stage[1:]]
            self.stages.append(nn.Sequential(*blocks))
            inputs = outputs
        self.reduce = nn.ModuleList(ConvNorm(width, channels) for width in widths)
        self.top_down = nn.ModuleList(Csp(2 * channels, channels) for _ in range(2))
        self.down = nn.ModuleList(depthwise_pointwise(channels, 5, 2) for _ in range(2))
        self.bottom_up = nn.ModuleList(Csp(2 * channels, channels) for _ in range(2))
        self.extra = nn.ModuleList(depthwise_pointwise(channels, 5, 2) for _ in range(2))
        tower = lambda: nn.Sequential(depthwise_pointwise(channels, 5), depthwise_pointwise(channels, 5))
        self.head = nn.ModuleList(
            nn.Sequential(tower(), nn.Conv2d(channels, classes + 32, 1)) for _ in range(4)
        )

    def forward(self, x):
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        t3, t4, t5 = (reduce(x) for reduce, x in zip(self.reduce, maps))
        up = lambda x: F.interpolate(x, scale_factor=2, mode="nearest")
        u4 = self.top_down[0](torch.cat([up(t5), t4], 1))
        p3 = self.top_down[1](torch.cat([up(u4), t3], 1))
        p4 = self.bottom_up[0](torch.cat([self.down[0](p3), u4], 1))
        p5 = self.bottom_up[1](torch.cat([self.down[1](p4), t5], 1))
        p6 = self.extra[0](t5) + self.extra[1](p5)
        return [head(x) for head, x in zip(self.head, [p3, p4, p5, p6])]


def smooth(net):
    """Replaces all activations by sigmoids, whose derivatives have no jumps that rounding could trigger."""
    for name, part in net.named_children():
        if isinstance(part, (nn.Hardswish, nn.ReLU, nn.Hardsigmoid)):
            setattr(net, name, nn.Sigmoid())
        smooth(part)
    return net
