"""COCO average precision per part of a split."""

import contextlib
import copy
import io
import json

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .data import VOC20, run_lengths

PARTS = {"coco": ("coco-masks", "coco-boxes"), "coco-masks": ("coco-masks",), "voc": ("voc",)}


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


def average_precision(content, detections, kind, sources):
    """kind: bbox or segm. -> (AP, AP50, AP75) over the photos of the named sources, 100 detections a photo."""
    images = [image for image in content["images"] if image.get("source") in sources or sources is None]
    chosen = {image["id"] for image in images}
    truth = copy.copy(content)
    truth["images"] = images
    truth["annotations"] = [dict(a) for a in content["annotations"] if a["image_id"] in chosen]
    if kind == "segm":
        for a in truth["annotations"]:
            a["iscrowd"] = int(a["iscrowd"] or not a["masked"])
    categories = {c["id"] for c in content["categories"]}
    if images and all(image.get("labelled") == "voc20" for image in images):
        categories = {c["id"] for c in content["categories"] if c["name"] in VOC20}
    found = [d for d in detections if d["image_id"] in chosen]
    if not found:
        return 0.0, 0.0, 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(found)), kind)
        evaluation.params.catIds = sorted(categories)
        evaluation.params.maxDets = [1, 10, 100]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]  # (thresholds, recalls, categories), all sizes

    def mean(p):
        return float(np.mean(p[p > -1])) if (p > -1).any() else 0.0

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
