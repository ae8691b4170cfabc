"""Turns a torchvision Mask R-CNN checkpoint into a model that heed serves: NAME.safetensors and NAME.json.

    python convert_torchvision.py maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth ../config/models/maskrcnn-resnet50-fpn.json

Reads the published files and what current torchvision saves again (its newer names are turned back into the
published ones); with `attention.*` tensors in it too. Batch norm stays as it is: the engine folds it.
"""

import argparse
import re
from pathlib import Path

import torch
from safetensors.torch import save_file

from heed.description import write_description

# torchvision wrapped some convolutions in Sequential since: newer name -> name in the published file
RENAMES = (
    (r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.0\.", r"\1."),
    (r"^rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
    (r"^roi_heads\.mask_head\.(\d+)\.0\.", lambda m: f"roi_heads.mask_head.mask_fcn{int(m[1]) + 1}."),
)


def published_name(name):
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def convert(state):
    """A state dict of either naming -> float tensors under the published names"""
    tensors = {}
    for name, tensor in state.items():
        if name.endswith(".num_batches_tracked"):
            continue
        new = published_name(name)
        if new in tensors:
            raise SystemExit(f"{name}: the checkpoint has this tensor under both of its names")
        tensors[new] = tensor.detach().float().contiguous().clone()
    return tensors


def backbone_of(tensors):
    """resnet18, 34, 50 or 101, read off the names of its blocks"""
    blocks = [0, 0, 0, 0]
    for name in tensors:
        if match := re.match(r"backbone\.body\.layer([1-4])\.(\d+)\.", name):
            blocks[int(match[1]) - 1] = max(blocks[int(match[1]) - 1], int(match[2]) + 1)
    bottleneck = "backbone.body.layer1.0.conv3.weight" in tensors
    depth = {
        (False, (2, 2, 2, 2)): 18,
        (False, (3, 4, 6, 3)): 34,
        (True, (3, 4, 6, 3)): 50,
        (True, (3, 4, 23, 3)): 101,
    }.get((bottleneck, tuple(blocks)))
    if depth is None:
        raise SystemExit(f"not a ResNet-18, 34, 50 or 101: {blocks} blocks in its layers")
    return f"resnet{depth}"


def attention_of(tensors):
    """The "attention" list of the JSON, as far as shapes tell it: heads and normalisation are not in the file"""
    entries = []
    for name, tensor in tensors.items():
        if match := re.match(r"attention\.(\w+)\.(keys|theta)\.weight$", name):
            place, part = match.groups()
            values = tensors[f"attention.{place}." + ("values" if part == "keys" else "g") + ".weight"]
            entry = {"after": place, "type": "efficient" if part == "keys" else "dot_product"}
            entries.append(entry | {"key_channels": len(tensor), "value_channels": len(values), "heads": 1})
    return entries


def description(name, tensors, norm_eps, labels):
    return {
        "name": name,
        "family": "mask_rcnn",
        "weights": f"{name}.safetensors",
        "labels": labels,
        "input": {
            "resize": "short_side", "short_side": 800, "long_side_max": 1333, "antialias": False, "multiple": 32,
            "channels": "rgb", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        },
        "backbone": {"type": backbone_of(tensors), "norm_eps": norm_eps},
        "neck": {"type": "fpn", "channels": len(tensors["backbone.fpn.layer_blocks.0.weight"])},
        "rpn": {"candidates": 1000, "proposals": 1000, "nms_iou": 0.7},
        "head": {
            "classes": len(tensors["roi_heads.box_predictor.cls_score.weight"]),
            "score_min": 0.05, "nms_iou": 0.5, "detections": 100,
        },
        "attention": attention_of(tensors),
    }  # fmt: skip


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("json", type=Path, help="the model's description; the weights are written beside it")
    p.add_argument("--norm-eps", type=float, default=0.0,
                   help="epsilon of the batch norms: 0 for torchvision's published weights (default), 1e-5 for most trained since")  # fmt: skip
    p.add_argument("--labels", default="../labels/coco91.json", help="as the JSON will name it (default %(default)s)")
    args = p.parse_args()

    state = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    tensors = convert(state.get("model", state))
    name = args.json.stem
    write_description(args.json, description(name, tensors, args.norm_eps, args.labels))
    save_file(tensors, args.json.with_suffix(".safetensors"))
    print(f"{args.json}: {backbone_of(tensors)}, {len(tensors)} tensors, {sum(t.numel() for t in tensors.values()):,} numbers")


if __name__ == "__main__":
    main()
