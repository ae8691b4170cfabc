"""COCO average precision per part of a split."""

import contextlib
import io
import json

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .data import VOC20, run_lengths

PARTS = {"coco": ("coco-masks", "coco-boxes"), "coco-masks": ("coco-masks",), "voc": ("voc",)}

# COCO's super-categories, in the order of its classes, and how many classes each has
GROUPS = [("person", 1), ("vehicle", 8), ("outdoor", 5), ("animal", 10), ("accessory", 5), ("sports", 10), ("kitchen", 7)]
GROUPS += [("food", 10), ("furniture", 6), ("electronic", 6), ("appliance", 5), ("indoor", 7)]


def load_truth(annotations):
    """The annotation file, each object with an RLE. One without a mask becomes a region to ignore (its box)
    when masks are measured: finding it is neither right nor wrong."""
    with open(annotations) as file:
        content = json.load(file)
    size = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    for a in content["annotations"]:
        height, width = size[a["image_id"]]
        a["segmentation"] = run_lengths(a, height, width)
        a["masked"] = a["segmentation"] is not None
        if not a["masked"]:
            x, y, w, h = a["bbox"]
            a["segmentation"] = rle.frPyObjects([[x, y, x + w, y, x + w, y + h, x, y + h]], height, width)[0]
    return content


def precisions(content, detections, kind, sources):
    """kind: bbox or segm; sources: None for all photos. -> precision (10 IoU thresholds, 101 recalls, categories) at all
    sizes and 100 detections a photo, -1 where there is nothing to find, and the categories' ids."""
    images = [image for image in content["images"] if sources is None or image.get("source") in sources]
    chosen = {image["id"] for image in images}
    truth = dict(content, images=images)
    truth["annotations"] = [dict(a) for a in content["annotations"] if a["image_id"] in chosen]
    if kind == "segm":
        for a in truth["annotations"]:
            a["iscrowd"] = int(a["iscrowd"] or not a["masked"])
    categories = sorted(c["id"] for c in content["categories"])
    if images and all(image.get("labelled") == "voc20" for image in images):
        categories = sorted(c["id"] for c in content["categories"] if c["name"] in VOC20)
    found = [dict(d) for d in detections if d["image_id"] in chosen]
    if not found:
        return np.zeros((10, 101, len(categories))), categories
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), kind)
        evaluation.params.catIds = categories
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, 2], categories


def mean(precision):
    return float(precision[precision > -1].mean()) if (precision > -1).any() else 0.0


def average_precision(content, detections, kind, sources):
    """-> (AP, AP50, AP75)"""
    precision, _ = precisions(content, detections, kind, sources)
    return mean(precision), mean(precision[0]), mean(precision[5])


def table(content, detections, masks=True):
    """-> rows of (part, kind, AP, AP50, AP75) for the parts that the split has"""
    present = {image.get("source") for image in content["images"]}
    parts = {name: sources for name, sources in PARTS.items() if present & set(sources)}
    parts = parts or {"all": None}
    rows = [(name, "bbox", *average_precision(content, detections, "bbox", s)) for name, s in parts.items()]
    if masks:
        rows += [(name, "segm", *average_precision(content, detections, "segm", s)) for name, s in parts.items() if name != "coco"]
    return rows


def group_table(content, detections):
    """-> rows of (group, AP, AP50) of boxes, for data with COCO's 80 classes, over the photos where all are annotated"""
    content = dict(content, images=[image for image in content["images"] if image.get("labelled") != "voc20"])
    precision, categories = precisions(content, detections, "bbox", None)
    order = [c["id"] for c in sorted(content["categories"], key=lambda c: c["id"])]
    rows, first = [], 0
    for group, size in GROUPS:
        chosen = precision[:, :, [categories.index(c) for c in order[first : first + size]]]
        rows.append((group, mean(chosen), mean(chosen[0])))
        first += size
    return rows
