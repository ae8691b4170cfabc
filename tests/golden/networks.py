"""Backbones and their necks, feature by feature: small inputs, every depth, attention at every place."""

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
    """The same in float64, with the published width of the pyramid: what Winograd's error is measured against."""
    spec = mask_rcnn_spec(f"resnet{depth}", 256, 160, 266, 0.3, (), 1e-5)
    key = f"resnet{depth}_float64"
    model, w = make_mask_rcnn(key, spec)
    x = activations(f"{key}/input", (1, *size, 3), spread=2).double()
    model.double()
    features = [*model.backbone.body(x).values(), *model.backbone(x).values()]
    recipes = [r for r in w.recipes if r[0].startswith("backbone.")]
    case = {"kind": "resnet_fpn_float64", "name": key, "input": [1, *size, 3], "spec": spec, "classes": 91, "weights": recipes}
    return case, [feature.float() for feature in features]


def shufflenet(name, size, attention=()):
    spec = heed_s_spec(416, 0.3, attention)
    model, w = make_heed_s(name, spec)
    x = activations(f"{name}/input", (1, *size, 3), spread=2)
    features = [*model.backbone(x, model.attend), *model.levels(x)]
    recipes = [r for r in w.recipes if r[0].startswith(("backbone.", "neck.", "attention."))]
    return {"kind": "shufflenet_pan", "name": name, "input": [1, *size, 3], "spec": spec, "classes": 80, "weights": recipes}, features


def mask_head_float64(regions):
    """heed-s's mask head in float64: what else in it goes by Winograd's way."""
    name = "heed_s_masks_float64"
    model, w = make_heed_s(name, heed_s_spec(416, 0.3, ()))
    mask = model.mask.double()
    x = activations(f"{name}/input", (regions, 14, 14, 64), spread=2).double()
    first = leaky(mask.conv1(x))
    second = leaky(mask.conv2(first))
    recipes = [r for r in w.recipes if r[0].startswith(("mask.conv", "mask.deconv"))]
    case = {"kind": "mask_head_float64", "name": name, "input": [regions, 14, 14, 64], "weights": recipes}
    return case, [y.float() for y in (first, second, leaky(mask.deconv(second)))]


def make():
    made = [
        resnet(18, (96, 64)),
        resnet(18, (64, 96), SEVEN, norm_eps=1e-5),
        resnet(18, (32, 32), [a for a in MIXED if a["after"] != "mask"] + [efficient("res2", 8, 16, 2)]),
        resnet(34, (32, 64)),
        resnet(50, (64, 96), norm_eps=1e-5),
        resnet(101, (32, 32)),
        resnet_float64(50, (128, 192)),
        shufflenet("shufflenet", (96, 64)),
        shufflenet("shufflenet_one_cell", (32, 32)),
        mask_head_float64(9),
        shufflenet("shufflenet_attention", (64, 96), [a for a in HEED_S_ALL if a["after"] != "mask"]),
    ]
    expected = {}
    for case, features in made:
        for i, feature in enumerate(features):
            name = f"{case['name']}/{i}"
            expected[name] = stored(name, feature, SAMPLES)
    write("networks", [case for case, _ in made], expected)
