"""heed_s: ShuffleNetV2, a path-aggregation neck, a one-stage head, attention, and masks on regions.

    photo -> prepare -> backbone -> neck -> head  -> boxes
                        (attention)  (attention)|
                                                +-> mask features -> RoIAlign on the boxes -> 28x28 masks

Batch norm is folded: every convolution has a bias and nothing else. The names of the tensors are the
contract with the engine. The backbone, neck and head are NanoDet-m's, whose weights training starts from.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import roi_align

from .attention import make_attention
from .boxes import decay, nms_per_class


def conv(inputs, outputs, kernel=1, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def depthwise(channels, stride=1):
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels)


def leaky(x):
    return F.leaky_relu(x, 0.1)


def resize(x, size):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class ShortBranch(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.dw = depthwise(inputs, stride=2)
        self.pw = conv(inputs, outputs)

    def forward(self, x):
        return leaky(self.pw(self.dw(x)))


class LongBranch(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.pw1 = conv(inputs, outputs)
        self.dw = depthwise(outputs, stride)
        self.pw2 = conv(outputs, outputs)

    def forward(self, x):
        return leaky(self.pw2(self.dw(leaky(self.pw1(x)))))


class ShuffleUnit(nn.Module):
    """ShuffleNetV2: half of the channels pass untouched (or, at stride 2, through a short branch)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        half = outputs // 2
        self.branch1 = ShortBranch(inputs, half) if stride == 2 else None
        self.branch2 = LongBranch(inputs if stride == 2 else half, half, stride)

    def forward(self, x):
        if self.branch1 is not None:
            first, second = self.branch1(x), self.branch2(x)
        else:
            first, second = x.chunk(2, dim=1)
            second = self.branch2(second)
        b, half, h, w = first.shape
        return torch.stack((first, second), dim=2).reshape(b, 2 * half, h, w)  # concatenate, shuffle by 2


class ShuffleNetV2(nn.Module):
    def __init__(self, stages, widths):
        super().__init__()
        self.conv1 = conv(3, widths[0], kernel=3, stride=2)
        for i, units in enumerate(stages):
            inputs, outputs = widths[i], widths[i + 1]
            unit = [ShuffleUnit(inputs, outputs, 2)] + [ShuffleUnit(outputs, outputs, 1) for _ in range(units - 1)]
            self.add_module(f"stage{i + 2}", nn.Sequential(*unit))

    def forward(self, x, attend):
        """-> features at strides 8, 16, 32"""
        x = F.max_pool2d(leaky(self.conv1(x)), 3, 2, 1)
        features = []
        for place in ("stage2", "stage3", "stage4"):
            x = attend(place, getattr(self, place)(x))
            features.append(x)
        return features


class PathAggregation(nn.Module):
    def __init__(self, inputs, channels):
        super().__init__()
        self.lateral8 = conv(inputs[0], channels)
        self.lateral16 = conv(inputs[1], channels)
        self.lateral32 = conv(inputs[2], channels)

    def forward(self, c8, c16, c32):
        l8, l16, l32 = self.lateral8(c8), self.lateral16(c16), self.lateral32(c32)
        p16 = l16 + resize(l32, l16.shape[2:])
        p8 = l8 + resize(p16, l8.shape[2:])
        q16 = p16 + resize(p8, p16.shape[2:])
        q32 = l32 + resize(q16, l32.shape[2:])
        return p8, q16, q32


class Head(nn.Module):
    """Per cell: class logits, then four sides (left, top, right, bottom) of `bins` distance logits each."""

    def __init__(self, channels, outputs):
        super().__init__()
        self.dw1, self.pw1 = depthwise(channels), conv(channels, channels)
        self.dw2, self.pw2 = depthwise(channels), conv(channels, channels)
        self.out = conv(channels, outputs)

    def forward(self, x):
        x = leaky(self.pw1(leaky(self.dw1(x))))
        x = leaky(self.pw2(leaky(self.dw2(x))))
        return self.out(x)


class MaskBranch(nn.Module):
    """Class-agnostic masks: one map for the photo, then a small convolutional head on each region."""

    def __init__(self, inputs, channels, convs, pool, stride):
        super().__init__()
        self.pool, self.stride, self.convs = pool, stride, convs
        self.fuse8 = conv(inputs, channels)
        self.fuse16 = conv(inputs, channels)
        self.fuse32 = conv(inputs, channels)
        for i in range(convs):
            self.add_module(f"conv{i + 1}", conv(channels, channels, kernel=3))
        self.deconv = nn.ConvTranspose2d(channels, channels, 2, 2)
        self.logits = conv(channels, 1)
        for layer in self.children():
            nn.init.kaiming_normal_(layer.weight, a=0.1)

    def features(self, p8, q16, q32):
        size = p8.shape[2:]
        return leaky(self.fuse8(p8) + resize(self.fuse16(q16), size) + resize(self.fuse32(q32), size))

    def forward(self, features, boxes):
        """Features (batch, channels, h, w), boxes in input pixels, one (n, 4) per photo -> logits (sum n, 28, 28)"""
        x = roi_align(features, boxes, self.pool, 1 / self.stride, sampling_ratio=2, aligned=False)
        for i in range(self.convs):
            x = leaky(getattr(self, f"conv{i + 1}")(x))
        return self.logits(leaky(self.deconv(x)))[:, 0]


class HeedS(nn.Module):
    """Built from a model's JSON (config/models/heed-s.json); `classes` is the length of its list of labels."""

    def __init__(self, spec, classes=80):
        super().__init__()
        self.spec = spec
        self.classes = classes
        self.bins, self.strides = spec["head"]["bins"], spec["head"]["strides"]
        widths, channels, mask = spec["backbone"]["widths"], spec["neck"]["channels"], spec["mask"]
        assert self.strides == [8, 16, 32]

        self.backbone = ShuffleNetV2(spec["backbone"]["stages"], widths)
        self.neck = PathAggregation(widths[1:], channels)
        self.head8 = Head(channels, self.classes + 4 * self.bins)
        self.head16 = Head(channels, self.classes + 4 * self.bins)
        self.head32 = Head(channels, self.classes + 4 * self.bins)
        self.mask = MaskBranch(channels, mask["channels"], mask["convs"], mask["pool"], mask["stride"])

        width_at = dict(zip(("stage2", "stage3", "stage4"), widths[1:]), mask=mask["channels"])
        width_at |= dict.fromkeys(("pan8", "pan16", "pan32"), channels)
        self.attention = nn.ModuleDict({e["after"]: make_attention(e, width_at[e["after"]]) for e in spec["attention"]})

    def attend(self, place, x):
        return self.attention[place](x) if place in self.attention else x

    def levels(self, x):
        """Prepared photos (batch, 3, h, w) -> features at strides 8, 16, 32"""
        levels = self.neck(*self.backbone(x, self.attend))
        return [self.attend(place, level) for place, level in zip(("pan8", "pan16", "pan32"), levels)]

    def heads(self, levels):
        """-> class logits (batch, cells, classes), distance logits (batch, cells, 4, bins).
        Cells run over the levels finest first, each row by row."""
        outputs = [head(level).flatten(2) for head, level in zip((self.head8, self.head16, self.head32), levels)]
        outputs = torch.cat(outputs, dim=2).transpose(1, 2)  # (batch, cells, classes + 4 * bins)
        return outputs[..., : self.classes], outputs[..., self.classes :].unflatten(2, (4, self.bins))

    def mask_features(self, levels):
        return self.attend("mask", self.mask.features(*levels))

    def forward(self, x):
        """-> class logits, distance logits, mask features"""
        levels = self.levels(x)
        return *self.heads(levels), self.mask_features(levels)

    def cells(self, height, width):
        """Centres (cells, 2) and strides (cells) of an input's cells, and how many each level has."""
        centres, strides, counts = [], [], []
        for stride in self.strides:
            h, w = height // stride, width // stride
            y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            centres.append((torch.stack((x, y), dim=2).reshape(-1, 2) + 0.5) * stride)
            strides.append(torch.full((h * w,), float(stride)))
            counts.append(h * w)
        return torch.cat(centres), torch.cat(strides), counts

    def boxes(self, distances, centres, strides):
        """Distance logits (..., cells, 4, bins) -> boxes (..., cells, 4): the expected distance of each side."""
        expected = distances.softmax(dim=-1) @ torch.arange(self.bins, dtype=distances.dtype)
        expected = expected * strides[:, None]
        return torch.cat((centres - expected[..., :2], centres + expected[..., 2:]), dim=-1)

    def prepare(self, image):
        """Photo, uint8 (height, width, 3) RGB -> input (1, 3, h, w) and the resized height and width before padding."""
        rule = self.spec["input"]
        height, width = image.shape[:2]
        longest = max(height, width)
        size = [max(1, math.floor(side * rule["long_side"] / longest + 0.5)) for side in (height, width)]
        x = torch.tensor(image).permute(2, 0, 1)[None].float()
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=rule["antialias"])
        x = normalise(x, rule)
        return pad(x, rule["multiple"]), size

    def predict(self, x, size):
        """One prepared photo -> boxes in input pixels, scores, classes (index), mask features."""
        rule = self.spec["head"]
        class_logits, distances, mask_features = self(x)
        centres, strides, counts = self.cells(*x.shape[2:])
        scores = class_logits[0].sigmoid()
        found = []
        for level_scores, first in zip(scores.split(counts), [0, counts[0], counts[0] + counts[1]]):
            cell, label = (level_scores > rule["score_min"]).nonzero(as_tuple=True)
            score = level_scores[cell, label]
            best = score.argsort(descending=True, stable=True)[: rule["candidates"]]
            found.append((cell[best] + first, label[best], score[best]))
        cell, label, score = (torch.cat(parts) for parts in zip(*found))
        box = self.boxes(distances[0, cell], centres[cell], strides[cell])
        limit = box.new_tensor([size[1], size[0], size[1], size[0]])
        box = torch.minimum(box.clamp(min=0), limit)
        best = nms_per_class(box, score, label, rule["nms_iou"])
        box, score, label = box[best], score[best], label[best]
        if rule.get("decay_sigma"):
            score, order = decay(box, score, label, rule["decay_sigma"]).sort(descending=True, stable=True)
            box, label = box[order], label[order]
        best = slice(rule["detections"])
        return box[best], score[best], label[best], mask_features

    @torch.no_grad()
    def detect(self, image, masks=True):
        """Photo, uint8 (height, width, 3) RGB -> boxes (n, 4) in photo pixels, scores, classes, mask logits (n, 28, 28)
        or None."""
        x, size = self.prepare(image)
        boxes, scores, labels, mask_features = self.predict(x, size)
        mask_logits = self.mask(mask_features, [boxes]) if masks else None
        ratio = boxes.new_tensor([size[1] / image.shape[1], size[0] / image.shape[0]]).repeat(2)
        return boxes / ratio, scores, labels, mask_logits


def normalise(x, rule):
    """RGB 0..255 (batch, 3, h, w) -> the network's channel order, mean and scale."""
    if rule["channels"] == "bgr":
        x = x.flip(1)
    return (x - x.new_tensor(rule["mean"])[:, None, None]) * x.new_tensor(rule["scale"])[:, None, None]


def pad(x, multiple):
    height, width = x.shape[2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple))
