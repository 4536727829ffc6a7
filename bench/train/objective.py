"""The paper's objective in PyTorch, for the benchmark only: SimOTA (SPEC §5.1), varifocal, GIoU and distribution focal
loss (SPEC §4.2). Vectorised over positions and objects; the images of a batch are assigned in sequence."""

import torch
from torch.nn import functional as F

STRIDES = [8, 16, 32, 64]
BINS = 8
# Sorts penalised positions after all others without losing the order of their costs in float32.
PENALTY = 1e4


def cells(size, device=None):
    """Centres in pixels `[cells, 2]` and strides `[cells]` of a square input."""
    centres, strides = [], []
    for stride in STRIDES:
        side = -(-size // stride)
        ticks = (torch.arange(side, device=device) + 0.5) * stride
        y, x = torch.meshgrid(ticks, ticks, indexing="ij")
        centres.append(torch.stack([x.flatten(), y.flatten()], 1))
        strides.append(torch.full((side * side,), float(stride), device=device))
    return torch.cat(centres), torch.cat(strides)


def area(box):
    return (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])


def overlap(a, b):
    """Overlap, union and enclosing area of boxes."""
    size = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    inter = size[..., 0] * size[..., 1]
    outer = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    return inter, area(a) + area(b) - inter, outer[..., 0] * outer[..., 1]


def negative(p):
    """Varifocal loss of probabilities of background."""
    return 0.75 * p * p * -(1 - p).log().clamp(min=-100)


class Objective:
    def __init__(self, size, device=None):
        self.centres, self.strides = cells(size, device)
        self.bins = torch.arange(BINS, dtype=torch.float32, device=device)

    def split(self, maps, classes):
        """The head's maps as `[n, cells, classes]` and `[n, cells, 4, bins]`."""
        flat = torch.cat([m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, m.shape[1]) for m in maps], 1)
        return flat[..., :classes], flat[..., classes:].unflatten(-1, (4, BINS))

    def boxes(self, distribution, centres):
        """Boxes in strides."""
        distances = distribution.softmax(-1) @ self.bins
        return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], -1)

    @torch.no_grad()
    def assign(self, p, boxes, truth, labels):
        """Index of the object of each position of one image, or -1."""
        found = torch.full((len(p),), -1, device=p.device)
        if len(labels) == 0:
            return found
        x, y = self.centres.unsqueeze(1).unbind(-1)
        inside = torch.stack([x - truth[:, 0], y - truth[:, 1], truth[:, 2] - x, truth[:, 3] - y]).amin(0) > 0
        middle = (truth[:, :2] + truth[:, 2:]) / 2
        near = ((self.centres.unsqueeze(1) - middle).abs() < 2.5 * self.strides[:, None, None]).all(-1)
        candidates = (inside | near).any(1).nonzero().squeeze(1)
        if len(candidates) == 0:
            return found
        good, p, boxes = (inside & near)[candidates], p[candidates], boxes[candidates, None]
        inter, union, outer = overlap(boxes, truth)
        union, outer = union.clamp(min=1e-6), outer.clamp(min=1e-6)
        iou = inter / union
        against = negative(p)
        at, none_at = p[:, labels], against[:, labels]
        entropy = -(iou * at.log().clamp(min=-100) + (1 - iou) * (1 - at).log().clamp(min=-100))
        cls = against.sum(1, keepdim=True) - none_at + torch.where(iou > 0, iou * entropy, none_at)
        cost = cls + 6 * (1 - iou + (outer - union) / outer) + PENALTY * ~good
        count = iou.topk(min(10, len(candidates)), 0).values.sum(0).int().clamp(min=1)
        order = cost.argsort(dim=0, stable=True)
        rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=p.device).unsqueeze(1).expand_as(order))
        taken = rank < count
        takers = taken.sum(1)
        best = torch.where(takers > 1, cost.argmin(1), taken.int().argmax(1))
        found[candidates] = torch.where(takers > 0, best, -1)
        return found

    def __call__(self, maps, truths, classes=80):
        """Class, box and distribution loss of a batch, and the number of positives."""
        logits, distribution = self.split(maps, classes)
        with torch.no_grad():
            p = logits.sigmoid()
            pixels = self.boxes(distribution, self.centres / self.strides[:, None]) * self.strides[:, None]
            found = [self.assign(p[i], pixels[i], *truth) for i, truth in enumerate(truths)]
            counted = sum(max(int((f >= 0).sum()), 1) if len(truth[1]) else 0 for f, truth in zip(found, truths))
            image, cell = (torch.stack(found) >= 0).nonzero(as_tuple=True)
            object = torch.stack(found)[image, cell]
            first = torch.tensor([0] + [len(truth[1]) for truth in truths], device=p.device).cumsum(0)[:-1]
            every = [torch.cat(column) for column in zip(*truths)]
            stride = self.strides[cell, None]
            target, label = every[0][first[image] + object] / stride, every[1][first[image] + object]
            weight = p[image, cell].amax(-1)
            total = weight.sum().clamp(min=1)
        distribution, centres = distribution[image, cell], self.centres[cell] / stride
        predicted = self.boxes(distribution, centres)
        inter, union, outer = overlap(predicted, target)
        iou = inter / (union + 1e-10)
        giou = 1 - iou + (outer - union) / (outer + 1e-10)
        with torch.no_grad():
            quality = torch.zeros_like(logits)
            quality[image, cell, label] = inter / union.clamp(min=1e-6)
            distances = torch.cat([centres - target[:, :2], target[:, 2:] - centres], 1).clamp(0, BINS - 1.1)
            left = distances.long()
            right = (distances - left).flatten()
        flat, left = distribution.flatten(0, 1), left.flatten()
        dfl = F.cross_entropy(flat, left, reduction="none") * (1 - right)
        dfl = (dfl + F.cross_entropy(flat, left + 1, reduction="none") * right).view(-1, 4).mean(1)
        p = logits.sigmoid()
        scale = torch.where(quality > 0, quality, 0.75 * p * p)
        cls = (F.binary_cross_entropy_with_logits(logits, quality, reduction="none") * scale).sum()
        return cls / max(counted, 1), 2 * (weight * giou).sum() / total, 0.25 * (weight * dfl).sum() / total, len(cell)
