"""Backbones and their necks, feature by feature: small inputs, every depth, attention at every place."""

import torch

from cases import activations, stored, write
from heed.heed_s import leaky
from models import (
    HEED_S_ALL,
    MIXED,
    SEVEN,
    efficient,
    heed_s_spec,
    make_heed_s,
    make_mask_rcnn,
    make_mask_rcnn_saved_today,
    mask_rcnn_spec,
)


SAMPLES = 400  # of a feature


def resnet(depth, size, attention=(), norm_eps=0.0):
    spec = mask_rcnn_spec(f"resnet{depth}", 48, 160, 266, 0.3, attention, norm_eps)
    key = f"resnet{depth}_{len(attention)}"
    model, w = make_mask_rcnn(key, spec)
    x = activations(f"{key}/input", (1, *size, 3), spread=2)
    features = [*model.backbone.body(x).values(), *model.backbone(x).values()]
    recipes = [r for r in w.recipes if r[0].startswith(("backbone.", "attention."))]
    return {"kind": "resnet_fpn", "name": key, "input": [1, *size, 3], "spec": spec, "classes": 91, "weights": recipes}, features


def resnet_float64(depth, size):
    """The same in float64, with the published width of the pyramid: what Winograd's error is measured against;
    and the convolution before proposals."""
    spec = mask_rcnn_spec(f"resnet{depth}", 256, 160, 266, 0.3, (), 1e-5)
    key = f"resnet{depth}_float64"
    model, w = make_mask_rcnn(key, spec)
    x = activations(f"{key}/input", (1, *size, 3), spread=2).double()
    model.double()
    pyramid = [*model.backbone(x).values()]
    features = [*model.backbone.body(x).values(), *pyramid, model.rpn.head.conv(pyramid[0])]
    recipes = [r for r in w.recipes if r[0].startswith(("backbone.", "rpn.head.conv."))]
    case = {"kind": "resnet_fpn_float64", "rpn": "rpn.head.conv", "name": key, "input": [1, *size, 3], "spec": spec, "classes": 91, "weights": recipes}
    return case, [feature.float() for feature in features]


def shufflenet(name, size, attention=()):
    spec = heed_s_spec(416, 0.3, attention)
    model, w = make_heed_s(name, spec)
    x = activations(f"{name}/input", (1, *size, 3), spread=2)
    features = [*model.backbone(x, model.attend), *model.levels(x)]
    recipes = [r for r in w.recipes if r[0].startswith(("backbone.", "neck.", "attention."))]
    return {"kind": "shufflenet_pan", "name": name, "input": [1, *size, 3], "spec": spec, "classes": 80, "weights": recipes}, features


def mask_head_float64(name, model, w, regions, convs, deconv, activation, slope):
    """A mask head in float64, from regions cut out to the transposed convolution: what else goes by Winograd's way."""
    model.double()
    layers = dict(model.named_modules())
    x = activations(f"{name}/input", (regions, 14, 14, layers[convs[0]].in_channels), spread=2).double()
    case = {"kind": "mask_head_float64", "name": name, "input": [regions, 14, 14, x.shape[1]]}
    features = []
    for conv in [*convs, deconv]:
        x = activation(layers[conv](x))
        features.append(x.float())
    recipes = [r for r in w.recipes if r[0].startswith((*convs, deconv))]
    return {**case, "convs": convs, "deconv": deconv, "slope": slope, "weights": recipes}, features


def heed_s_masks_float64(regions):
    name = "heed_s_masks_float64"
    model, w = make_heed_s(name, heed_s_spec(416, 0.3, ()))
    return mask_head_float64(name, model, w, regions, ["mask.conv1", "mask.conv2"], "mask.deconv", leaky, 0.1)


def mask_rcnn_masks_float64(regions):
    name = "mask_rcnn_masks_float64"
    model, w = make_mask_rcnn_saved_today(name, mask_rcnn_spec("resnet18", 256, 160, 266, 0.3))
    convs = [f"roi_heads.mask_head.{i}.0" for i in range(4)]
    return mask_head_float64(name, model, w, regions, convs, "roi_heads.mask_predictor.conv5_mask", torch.relu, 0)


def make():
    made = [
        resnet(18, (96, 64)),
        resnet(18, (64, 96), SEVEN, norm_eps=1e-5),
        resnet(18, (32, 32), [a for a in MIXED if a["after"] != "mask"] + [efficient("res2", 8, 16, 2)]),
        resnet(34, (32, 64)),
        resnet(50, (64, 96), norm_eps=1e-5),
        resnet(101, (32, 32)),
        resnet_float64(50, (800, 1088)),
        shufflenet("shufflenet", (96, 64)),
        shufflenet("shufflenet_one_cell", (32, 32)),
        heed_s_masks_float64(9),
        mask_rcnn_masks_float64(16),
        shufflenet("shufflenet_attention", (64, 96), [a for a in HEED_S_ALL if a["after"] != "mask"]),
    ]
    expected = {}
    for case, features in made:
        for i, feature in enumerate(features):
            name = f"{case['name']}/{i}"
            expected[name] = stored(name, feature, SAMPLES)
    write("networks", [case for case, _ in made], expected)
