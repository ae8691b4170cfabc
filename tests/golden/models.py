"""The two families whole: torchvision's Mask R-CNN with and without attention modules, and training/heed's HeedS.

Weights are generated, with sizes that make some tens of detections. Such a network decides by thousands of comparisons, and a
case is of use only where none of them hangs on the last bit: each is computed in float64 too and must say the same.
"""

import math
import re

import torch
from heed.attention import make_attention
from heed.heed_s import HeedS
from torch import nn
from torchvision.models import resnet
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

import generated
from cases import Weights, write
from convert_torchvision import convert, description, published_name
from layers import fit_rule, torchvision_rule
from results import paste_logits

# ---- Mask R-CNN -----------------------------------------------------------------------------------------

RESNET_PLACES = {"res2": "layer1", "res3": "layer2", "res4": "layer3", "res5": "layer4"}


class MaskRCNNWithAttention(MaskRCNN):
    """torchvision's model, with modules whose output replaces that of the place they stand after."""

    def __init__(self, spec):
        rule, rpn, head = spec["input"], spec["rpn"], spec["head"]
        eps = spec["backbone"]["norm_eps"]
        body = getattr(resnet, spec["backbone"]["type"])(norm_layer=lambda c: FrozenBatchNorm2d(c, eps=eps))
        widths = [body.inplanes // 8 * 2**i for i in range(4)]
        channels = spec["neck"]["channels"]
        backbone = BackboneWithFPN(body, {f"layer{i + 1}": str(i) for i in range(4)}, widths, channels, LastLevelMaxPool())
        super().__init__(
            backbone, head["classes"], min_size=rule["short_side"], max_size=rule["long_side_max"],
            image_mean=rule["mean"], image_std=rule["std"], rpn_pre_nms_top_n_test=rpn["candidates"],
            rpn_post_nms_top_n_test=rpn["proposals"], rpn_nms_thresh=rpn["nms_iou"],
            box_score_thresh=head["score_min"], box_nms_thresh=head["nms_iou"], box_detections_per_img=head["detections"],
        )  # fmt: skip
        width_at = dict(zip(RESNET_PLACES, widths)) | {f"fpn{i}": channels for i in range(1, 6)} | {"mask": 256}
        self.attention = nn.ModuleDict({e["after"]: make_attention(e, width_at[e["after"]]) for e in spec["attention"]})
        for place, module in self.attention.items():
            self.insert(place, module)

    def insert(self, place, module):
        def replace(_, inputs, output):
            return module(output)

        def replace_last(_, inputs, output):  # the extra level is appended to the others
            levels, names = output
            return [*levels[:-1], module(levels[-1])], names

        if place in RESNET_PLACES:
            getattr(self.backbone.body, RESNET_PLACES[place]).register_forward_hook(replace)
        elif place == "fpn5":
            self.backbone.fpn.extra_blocks.register_forward_hook(replace_last)
        elif place == "mask":
            self.roi_heads.mask_head.register_forward_hook(replace)
        else:
            self.backbone.fpn.layer_blocks[int(place[3]) - 1].register_forward_hook(replace)


# Published name -> how much larger than "keeps activations as they are". Small box deltas keep boxes near their anchors.
MASK_RCNN_GAINS = (
    (r"\.inner_blocks\.", 0.3),
    (r"\.layer_blocks\.", 0.5),
    (r"rpn\.head\.cls_logits", 1.0),
    (r"rpn\.head\.bbox_pred", 0.15),
    (r"box_predictor\.cls_score", 1.3),
    (r"box_predictor\.bbox_pred", 0.8),
    (r"mask_fcn_logits", 2.0),
    (r"attention\.", 0.7),
)


def generate(key, state, gains, centres=()):
    """Weights for every tensor of a state dict (published names)."""
    w = Weights(key)
    for name, tensor in state.items():
        shape = list(tensor.shape)
        gain = next((gain for pattern, gain in gains if re.search(pattern, name)), 1.0)
        centre = next((centre for pattern, centre in centres if re.search(pattern, name)), 0.0)
        if name.endswith("running_var"):
            w.add(name, shape, 1, 0.5)
        elif name.endswith("running_mean"):
            w.add(name, shape, 0, 0.3)
        elif name.endswith(".bias"):
            w.add(name, shape, centre, 0.2)
        elif len(shape) == 1:  # a batch norm's; the last of a block adds to a shortcut
            w.add(name, shape, 0.4 if re.search(r"layer\d\.\d+\.bn[23]", name) else 1.0, 0.1)
        else:
            inputs = shape[0] if re.search(r"deconv|conv5_mask", name) else math.prod(shape[1:])
            w.add(name, shape, 0, gain * math.sqrt(6 / inputs))
    return w


def check_converter(model, w):
    """training/convert_torchvision.py gives the same tensors from the published names and from those saved today."""
    for state in (dict(w), model.state_dict()):
        converted = convert(state)
        assert converted.keys() == w.keys()
        assert all(torch.equal(converted[name], w[name]) for name in w)


def make_mask_rcnn(key, spec, name_of=published_name):
    model = MaskRCNNWithAttention(spec).eval()
    state = {name_of(n): t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    w = generate(key, state, MASK_RCNN_GAINS)
    model.load_state_dict(dict(w), strict=True)
    check_converter(model, {published_name(n): t for n, t in w.items()})
    converted = description(key, convert(w), spec["backbone"]["norm_eps"], "labels.json")
    for part in ("family", "backbone", "neck"):
        assert converted[part] == spec[part], part
    return model, w


def make_mask_rcnn_saved_today(key, spec):
    """The same under the names that current torchvision writes"""
    return make_mask_rcnn(key, spec, name_of=str)


def detect_mask_rcnn(model, photo):
    """-> boxes, scores, labels, mask logits in the order of torchvision's answer. Its poolers keep the scales that they
    inferred from their first photo; here every photo is the first, so that an answer depends on the photo alone."""
    for pooler in (model.roi_heads.box_roi_pool, model.roi_heads.mask_roi_pool):
        pooler.scales = None
    logits = []
    hook = model.roi_heads.mask_predictor.register_forward_hook(lambda module, inputs, output: logits.append(output))
    dtype = next(model.parameters()).dtype
    answer = model([torch.from_numpy(photo).permute(2, 0, 1).to(dtype) / 255])[0]
    hook.remove()
    labels = answer["labels"]
    return answer["boxes"], answer["scores"], labels, logits[0][torch.arange(len(labels)), labels]


# ---- heed_s ---------------------------------------------------------------------------------------------

HEED_S_GAINS = (
    (r"backbone\..*\.pw\d?\.", 0.75),
    (r"\.lateral", 0.3),
    (r"\.fuse", 0.5),
    (r"head\d+\.out", 1.2),
    (r"mask\.logits", 2.0),
    (r"attention\.", 0.7),
)
HEED_S_CENTRES = ((r"head\d+\.out\.bias", -3.5),)  # most cells see nothing; distances are a softmax, which no shift changes


def make_heed_s(key, spec):
    model = HeedS(spec).eval()
    w = generate(key, model.state_dict(), HEED_S_GAINS, HEED_S_CENTRES)
    model.load_state_dict(dict(w), strict=True)
    return model, w


def detect_heed_s(model, photo):
    """HeedS.detect, in the model's precision"""
    x, size = model.prepare(photo)
    x = x.to(next(model.parameters()).dtype)
    if x.dtype == torch.float64:  # as if the photo had been prepared with other roundings
        x = x + 1e-6 * torch.from_numpy(generated.tensor("noise", tuple(x.shape)))
    boxes, scores, labels, features = model.predict(x, size)
    ratio = boxes.new_tensor([size[1] / photo.shape[1], size[0] / photo.shape[0]]).repeat(2)
    return boxes / ratio, scores, labels, model.mask(features, [boxes])


# ---- Cases ----------------------------------------------------------------------------------------------


def efficient(after, key_channels, value_channels, heads=1, **more):
    return {"after": after, "type": "efficient", "key_channels": key_channels, "value_channels": value_channels,
            "heads": heads, **more}  # fmt: skip


def dot_product(after, key_channels, value_channels, heads=1):
    return efficient(after, key_channels, value_channels, heads) | {"type": "dot_product"}


def mask_rcnn_spec(backbone, channels, short_side, long_side, score_min, attention=(), norm_eps=0.0, candidates=1000, proposals=1000, detections=100):
    return {
        "family": "mask_rcnn", "input": torchvision_rule(short_side, long_side),
        "backbone": {"type": backbone, "norm_eps": norm_eps}, "neck": {"type": "fpn", "channels": channels},
        "rpn": {"candidates": candidates, "proposals": proposals, "nms_iou": 0.7},
        "head": {"classes": 91, "score_min": score_min, "nms_iou": 0.5, "detections": detections},
        "attention": list(attention),
    }  # fmt: skip


def heed_s_spec(long_side, score_min, attention=(), candidates=1000, detections=100, decay_sigma=0.0):
    return {
        "family": "heed_s", "input": fit_rule(long_side, True),
        "backbone": {"type": "shufflenet_v2", "stages": [4, 8, 4], "widths": [24, 116, 232, 464]},
        "neck": {"type": "pan", "channels": 96},
        "head": {
            "type": "gfl", "bins": 8, "strides": [8, 16, 32], "score_min": score_min, "nms_iou": 0.6,
            "decay_sigma": decay_sigma, "candidates": candidates, "detections": detections,
        },
        "mask": {"channels": 64, "convs": 2, "pool": 14, "stride": 8},
        "attention": list(attention),
    }  # fmt: skip


SEVEN = [efficient("res3", 64, 128), efficient("res4", 128, 256)] + [efficient(f"fpn{i}", 32, 64) for i in range(1, 6)]
MIXED = [
    dot_product("res4", 32, 64, 2),
    efficient("res5", 64, 64, 8),
    efficient("fpn2", 16, 32, 2, normalization="scaling"),
    dot_product("fpn4", 16, 32),
    efficient("mask", 64, 128, 4),
]
HEED_S_ALL = [
    efficient("stage2", 58, 116), efficient("stage3", 116, 232), efficient("stage4", 116, 232),
    efficient("pan8", 48, 96), efficient("pan16", 48, 96), efficient("pan32", 48, 96), efficient("mask", 32, 64),
]  # fmt: skip
HEED_S_MIXED = [
    efficient("stage3", 40, 64, 8, normalization="scaling"),
    dot_product("stage4", 32, 64, 4),
    dot_product("pan16", 48, 96),
]

# name, key, description, photos (height, width); "fastest": too large for plain C in an everyday suite
MODELS = [
    ("mask_rcnn_resnet18", "r18", mask_rcnn_spec("resnet18", 64, 160, 266, 0.35),
     [(480, 640), (333, 500), (800, 600), (640, 130), (31, 97)], "every"),
    ("mask_rcnn_limits", "limits", mask_rcnn_spec("resnet18", 64, 128, 200, 0.05, candidates=150, proposals=80, detections=12),
     [(240, 320), (1, 1), (1, 90)], "every"),
    ("mask_rcnn_attention", "seven", mask_rcnn_spec("resnet18", 64, 160, 266, 0.3, SEVEN, norm_eps=1e-5),
     [(480, 640), (333, 500)], "every"),
    ("mask_rcnn_mixed_attention", "mixed", mask_rcnn_spec("resnet18", 64, 128, 213, 0.3, MIXED, norm_eps=1e-5, detections=30),
     [(375, 500)], "every"),
    ("mask_rcnn_resnet50", "r50", mask_rcnn_spec("resnet50", 256, 160, 266, 0.1), [(375, 500)], "fastest"),
    ("mask_rcnn_full_size", "full", mask_rcnn_spec("resnet18", 64, 800, 1333, 0.3, detections=30), [(480, 640)], "fastest"),  # the next score is 0.007 lower
    ("mask_rcnn_new_names", "new", mask_rcnn_spec("resnet18", 64, 128, 213, 0.3), [(333, 500)], "fastest"),
    ("heed_s", "s", heed_s_spec(416, 0.15), [(480, 640), (333, 500), (800, 600), (640, 130), (1, 1)], "every"),
    ("heed_s_attention", "s7", heed_s_spec(416, 0.3, HEED_S_ALL), [(480, 640), (333, 500)], "every"),
    ("heed_s_mixed_attention", "s3", heed_s_spec(320, 0.3, HEED_S_MIXED, candidates=60, detections=25, decay_sigma=0.8), [(427, 640)], "every"),
]  # fmt: skip


MASKS_MAX = 8


def assert_certain(single, double):
    """Both precisions find the same, an order of magnitude closer than the engine must come."""
    assert single[2].tolist() == double[2].tolist(), "a decision hangs on rounding: choose another key"
    for a, b, allowed in zip(single[:2], double[:2], (5e-3, 2e-5)):
        torch.testing.assert_close(a.double(), b, rtol=0, atol=allowed)


def masked_count(scores):
    """How many of the best get their masks stored: MASKS_MAX, or fewer, up to where the next score is clearly lower."""
    if len(scores) <= MASKS_MAX:
        return len(scores)
    return max(k for k in range(1, MASKS_MAX + 1) if scores[k - 1] - scores[k] > 3e-4)


def answer(name, detect, model, double, size):
    photo = generated.picture(f"{name}/{size[0]}x{size[1]}", *size)
    boxes, scores, labels, logits = single = detect(model, photo)
    assert_certain(single, detect(double, photo))
    found = [
        {"class": int(label), "score": round(float(score), 7), "box": [round(float(side), 4) for side in box]}
        for label, score, box in zip(labels, scores, boxes)
    ]
    masked = masked_count(scores)
    masks, doubts = paste_logits(logits[:masked], boxes[:masked], *size) if masked else ([], [])
    for entry, mask, doubt in zip(found, masks, doubts):
        entry |= {"mask": mask, "doubt": doubt}
    study(size, single, masked)
    return {"size": size, "masked": masked, "found": found}


def study(size, detections, masked):
    boxes, scores, labels, logits = detections
    if len(scores) == 0:
        return print(f"   {size}: nothing found")
    sides = boxes[:, 2:] - boxes[:, :2]
    print(f"   {size}: {len(scores)} found, scores {scores.min():.3f} to {scores.max():.3f}, {len(labels.unique())} classes, "
          f"sides {sides.min():.1f} to {sides.max():.1f}, {masked} masks")  # fmt: skip


def make():
    cases = []
    for name, key, spec, sizes, levels in MODELS:
        print(f"  {name}")
        is_heed_s = spec["family"] == "heed_s"
        make_model, detect = (make_heed_s, detect_heed_s) if is_heed_s else (make_mask_rcnn, detect_mask_rcnn)
        if name == "mask_rcnn_new_names":
            make_model = make_mask_rcnn_saved_today
        model, w = make_model(key, spec)
        double = make_model(key, spec)[0].double()
        cases.append({
            "name": name, "key": key, "levels": levels, "spec": spec, "classes": 80 if is_heed_s else 91, "weights": w.recipes,
            "photos": [answer(name, detect, model, double, size) for size in sizes],
        })  # fmt: skip
    write("models", cases, {})
