"""COCO-format data in memory: photos, objects, and the batches that training sees.

Beyond plain COCO three optional members are understood: an image's `labelled` ("voc20": only those twenty
classes are annotated on it) and `source` (a name to report results by), an annotation's `has_mask`.
"""

import json
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pycocotools import mask as rle

from .heed_s import normalise

VOC20 = """person bicycle car motorcycle airplane bus train boat bird cat dog horse sheep cow bottle chair couch
potted plant|dining table|tv"""
VOC20 = frozenset(VOC20.split("\n")[0].split() + VOC20.split("\n")[1].split("|"))


class Split:
    """One annotation file and its folder of photos, decoded once: at 416 pixels, 0.35 MB a photo."""

    def __init__(self, annotations, folder, labels):
        """labels: class names in the model's order"""
        content = json.loads(Path(annotations).read_text())
        name_of = {c["id"]: c["name"] for c in content["categories"]}
        index_of = {name: i for i, name in enumerate(labels)}
        self.images = content["images"]
        self.pixels = [read_photo(Path(folder) / image["file_name"]) for image in self.images]
        self.labelled = {
            "all80": torch.ones(len(labels)),
            "voc20": torch.tensor([float(name in VOC20) for name in labels]),
        }
        objects = {image["id"]: [] for image in self.images}
        for a in content["annotations"]:
            objects[a["image_id"]].append(a)
        self.objects = []
        for image, pixels in zip(self.images, self.pixels):
            mine = [a for a in objects[image["id"]] if min(a["bbox"][2:]) > 0]
            box = torch.tensor([a["bbox"] for a in mine]).reshape(-1, 4).float()
            box[:, 2:] += box[:, :2]
            self.objects.append({
                "box": box,
                "label": torch.tensor([index_of[name_of[a["category_id"]]] for a in mine], dtype=torch.long),
                "crowd": torch.tensor([bool(a["iscrowd"]) for a in mine], dtype=torch.bool),
                "mask": [run_lengths(a, *pixels.shape[:2]) for a in mine],
            })

    def __len__(self):
        return len(self.images)


def read_photo(path):
    return np.asarray(Image.open(path).convert("RGB"))


def run_lengths(annotation, height, width):
    """An annotation's mask as one compressed RLE, or None where there is no mask."""
    segmentation = annotation["segmentation"]
    if annotation["iscrowd"] or not segmentation or not annotation.get("has_mask", 1):
        return None
    if isinstance(segmentation, list):
        return rle.merge(rle.frPyObjects(segmentation, height, width))
    if isinstance(segmentation["counts"], list):
        return rle.frPyObjects(segmentation, height, width)
    return segmentation


def batches(split, size, rule, generator: random.Random, masked=False):
    """One epoch: photos of like shape together, in random order; with `masked` only those that have masks.
    -> pairs of indices and their canvas (h, w)"""
    by_shape = {}
    for i, pixels in enumerate(split.pixels):
        if masked and not any(split.objects[i]["mask"]):
            continue
        by_shape.setdefault(canvas(*pixels.shape[:2], rule), []).append(i)
    epoch = []
    for shape, members in by_shape.items():
        generator.shuffle(members)
        epoch += [(members[i : i + size], shape) for i in range(0, len(members), size)]
    generator.shuffle(epoch)
    return epoch


def canvas(height, width, rule):
    """The padded input of a photo; rare narrow shapes join the next wider one, to fill batches."""
    longest, multiple = rule["long_side"], rule["multiple"]
    short = min(height, width) * longest / max(height, width)
    short = max(-(-round(short) // multiple) * multiple, longest * 2 // 3 // multiple * multiple)
    return (short, longest) if width >= height else (longest, short)


class Batch:
    """Inputs (batch, 3, h, w) and, per photo, what is to be found in them."""

    def __init__(self, split, indices, shape, rule, generator):
        samples = [augment(split, i, shape, rule, generator) for i in indices]
        self.inputs = torch.cat([s[0] for s in samples]).contiguous(memory_format=torch.channels_last)
        self.targets = [s[1] for s in samples]


def augment(split, index, shape, rule, generator):
    """A random view of one photo: scaled, moved, mirrored and recoloured on a canvas of the given shape."""
    pixels, objects = split.pixels[index], split.objects[index]
    height, width = pixels.shape[:2]
    fit = min(shape[0] / height, shape[1] / width)
    scale_y = scale_x = fit
    if generator.random() < 0.7:
        zoom = generator.uniform(0.75, 1.4)
        stretch = generator.uniform(0.92, 1.09)
        scale_y, scale_x = fit * zoom * stretch, fit * zoom / stretch
    new_h, new_w = max(1, round(height * scale_y)), max(1, round(width * scale_x))
    scale_y, scale_x = new_h / height, new_w / width
    exact = new_h <= shape[0] and new_w <= shape[1] and scale_y == scale_x
    top = 0 if exact else generator.randint(min(0, shape[0] - new_h), max(0, shape[0] - new_h))
    left = 0 if exact else generator.randint(min(0, shape[1] - new_w), max(0, shape[1] - new_w))
    mirrored = generator.random() < 0.5

    x = torch.tensor(pixels).permute(2, 0, 1)[None].float()
    x = F.interpolate(x, size=(new_h, new_w), mode="bilinear", align_corners=False, antialias=True)
    if mirrored:
        x = x.flip(3)
    x = normalise(recolour(x, generator), rule)
    # F.pad crops where the margin is negative
    x = F.pad(x, (left, shape[1] - new_w - left, top, shape[0] - new_h - top))

    box = objects["box"]
    if mirrored:
        box = torch.stack((width - box[:, 2], box[:, 1], width - box[:, 0], box[:, 3]), dim=1)
    scale, shift = box.new_tensor([scale_x, scale_y] * 2), box.new_tensor([left, top] * 2)
    whole = box * scale + shift
    seen = torch.minimum(whole.clamp(min=0), whole.new_tensor([shape[1], shape[0]] * 2))
    sides, whole_sides = seen[:, 2:] - seen[:, :2], whole[:, 2:] - whole[:, :2]
    visible = sides.clamp(min=0).prod(1) / whole_sides.prod(1)
    present = (sides > 1).all(1)
    ignored = objects["crowd"] | (visible < 0.35)
    return x, {
        "box": seen[present],
        "label": objects["label"][present],
        "ignored": ignored[present],
        "mask": [m for m, p in zip(objects["mask"], present) if p],
        "to_photo": (scale, shift, width, mirrored),
        "source": split.images[index].get("source"),
        "labelled": split.labelled[split.images[index].get("labelled", "all80")],
    }


def recolour(x, generator):
    """Brightness, contrast and saturation, in that order, on RGB 0..255."""
    x = x + generator.uniform(-30, 30)
    x = (x - 128) * generator.uniform(0.7, 1.3) + 128
    grey = x.mean(dim=1, keepdim=True)
    return ((x - grey) * generator.uniform(0.6, 1.3) + grey).clamp(0, 255)
