"""One layer at a time: PyTorch's and torchvision's operators on odd sizes, single pixels and ragged channels."""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from heed.heed_s import HeedS
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, roi_align

import generated
from cases import Weights, activations, channel_last, stored, write

RECTIFIERS = {"none": lambda x: x, "relu": F.relu, "leaky": lambda x: F.leaky_relu(x, 0.1)}


def conv_cases():
    """name, input (n, h, w, c), outputs, kernel, options"""
    return [
        ("conv_1x1_one_pixel", (1, 1, 1, 3), 5, 1, {}),
        ("conv_1x1_odd_channels", (1, 7, 5, 13), 17, 1, {"rectifier": "relu"}),
        ("conv_1x1_wide", (1, 3, 3, 300), 67, 1, {"rectifier": "leaky"}),
        ("conv_1x1_stride_2", (1, 9, 6, 8), 12, 1, {"stride": 2, "norm_eps": 1e-5}),
        ("conv_3x3_one_pixel", (1, 1, 1, 4), 6, 3, {}),
        ("conv_3x3_one_row", (1, 1, 9, 5), 6, 3, {"rectifier": "relu"}),
        ("conv_3x3_odd", (1, 11, 7, 9), 10, 3, {"rectifier": "relu"}),
        ("conv_3x3_two_images", (2, 5, 6, 8), 8, 3, {"rectifier": "leaky"}),
        ("conv_3x3_stride_2_even", (1, 8, 10, 8), 16, 3, {"stride": 2, "norm_eps": 0.0}),
        ("conv_3x3_stride_2_odd", (1, 9, 11, 7), 9, 3, {"stride": 2, "norm_eps": 1e-5, "rectifier": "relu"}),
        ("conv_3x3_stride_2_one_pixel", (1, 1, 1, 3), 24, 3, {"stride": 2, "rectifier": "leaky"}),
        ("conv_3x3_residual", (1, 6, 5, 16), 16, 3, {"norm_eps": 1e-5, "residual": True, "rectifier": "relu"}),
        ("conv_3x3_regions", (5, 14, 14, 32), 40, 3, {"rectifier": "relu"}),
        ("conv_3x3_many_regions", (70, 9, 7, 16), 18, 3, {"residual": True}),
        ("conv_3x3_wide", (1, 13, 14, 64), 48, 3, {"rectifier": "relu"}),
        ("conv_7x7_stride_2", (1, 17, 22, 3), 19, 7, {"stride": 2, "norm_eps": 0.0, "rectifier": "relu"}),
        ("conv_7x7_one_pixel", (1, 1, 1, 3), 8, 7, {"stride": 2}),
        ("depthwise_3x3_one_pixel", (1, 1, 1, 5), 5, 3, {"depthwise": True}),
        ("depthwise_3x3_odd", (1, 7, 9, 29), 29, 3, {"depthwise": True, "rectifier": "leaky"}),
        ("depthwise_3x3_stride_2", (1, 10, 13, 24), 24, 3, {"depthwise": True, "stride": 2}),
        ("depthwise_5x5_norm", (1, 8, 6, 16), 16, 5, {"depthwise": True, "norm_eps": 1e-5, "rectifier": "relu"}),
    ]


def large_tile_cases():
    """3x3 on maps large enough for Winograd's tiles of side 6."""
    return [
        ("conv_3x3_large_tiles", (1, 50, 47, 24), 40, 3, {"rectifier": "relu"}),
        ("conv_3x3_many_large_tiles", (1, 131, 126, 16), 20, 3, {"residual": True, "rectifier": "leaky"}),
    ]


def conv(name, shape, outputs, kernel, options):
    case = {
        "name": name, "input": shape, "outputs": outputs, "kernel": kernel, "stride": 1, "dilation": 1,
        "depthwise": False, "residual": False, "rectifier": "none", "norm_eps": None, **options,
    }  # fmt: skip
    case["pad"] = case["dilation"] * (kernel // 2)
    groups = shape[3] if case["depthwise"] else 1
    w = Weights(name)
    w.add_linear("conv", [outputs, shape[3] // groups, kernel, kernel], bias=0.3 if case["norm_eps"] is None else 0)
    x = activations(f"{name}/input", shape)
    y = F.conv2d(x, w["conv.weight"], w.get("conv.bias"), case["stride"], case["pad"], case["dilation"], groups)
    if case["norm_eps"] is not None:
        w.add_norm("bn", outputs)
        norm = FrozenBatchNorm2d(outputs, eps=case["norm_eps"])
        norm.load_state_dict({part: w[f"bn.{part}"] for part in ("weight", "bias", "running_mean", "running_var")})
        y = norm(y)
    if case["residual"]:
        y = y + activations(f"{name}/residual", channel_last(y).shape)
    return {**case, "weights": w.recipes}, RECTIFIERS[case["rectifier"]](y)


def linear(name, rows, inputs, outputs, rectifier):
    w = Weights(name)
    w.add_linear("fc", [outputs, inputs])
    x = activations(f"{name}/input", (rows, 1, 1, inputs)).flatten(1)
    y = RECTIFIERS[rectifier](F.linear(x, w["fc.weight"], w["fc.bias"]))
    return {"name": name, "input": [rows, 1, 1, inputs], "outputs": outputs, "rectifier": rectifier, "weights": w.recipes}, y


def region_linear(name, regions, side, channels, outputs):
    """A linear layer over flattened regions: PyTorch flattens (c, h, w), the engine's regions are (h, w, c)."""
    w = Weights(name)
    w.add_linear("fc", [outputs, channels * side * side])
    x = activations(f"{name}/input", (regions, side, side, channels))
    y = F.relu(F.linear(x.flatten(1), w["fc.weight"], w["fc.bias"]))
    return {"name": name, "input": [regions, side, side, channels], "outputs": outputs, "rectifier": "relu", "weights": w.recipes}, y


def deconv(name, shape, outputs, rectifier):
    w = Weights(name)
    w.add("deconv.weight", [shape[3], outputs, 2, 2], spread=math.sqrt(3 / shape[3]))
    w.add("deconv.bias", [outputs], spread=0.3)
    y = F.conv_transpose2d(activations(f"{name}/input", shape), w["deconv.weight"], w["deconv.bias"], 2)
    return {"name": name, "input": shape, "outputs": outputs, "rectifier": rectifier, "weights": w.recipes}, RECTIFIERS[rectifier](y)


def max_pool(name, shape, kernel, stride, pad):
    y = F.max_pool2d(activations(f"{name}/input", shape), kernel, stride, pad)
    return {"name": name, "input": shape, "kernel": kernel, "stride": stride, "pad": pad}, y


def resize(name, shape, size, mode, add=False):
    corners = {"align_corners": False} if mode == "bilinear" else {}
    y = F.interpolate(activations(f"{name}/input", shape), size=size, mode=mode, **corners)
    if add:
        y = y + activations(f"{name}/onto", channel_last(y).shape)
    return {"name": name, "input": shape, "size": size, "mode": mode, "add": add}, y


def shuffle(name, shape):
    """The end of a ShuffleNetV2 unit: concatenate(first, leaky(conv(x))), then a shuffle by two groups."""
    n, h, w, c = shape
    weights = Weights(name)
    weights.add_linear("conv", [c, c, 1, 1])
    second = RECTIFIERS["leaky"](F.conv2d(activations(f"{name}/input", shape), weights["conv.weight"], weights["conv.bias"]))
    y = torch.cat((activations(f"{name}/first", shape), second), 1)
    y = y.view(n, 2, c, h, w).transpose(1, 2).reshape(n, 2 * c, h, w)
    return {"name": name, "input": shape, "weights": weights.recipes}, y


def region_align(name, shape, scale, out, boxes):
    x = activations(f"{name}/input", shape)
    boxes = torch.tensor(boxes, dtype=torch.float32)
    y = roi_align(x, [boxes], out, scale, sampling_ratio=2, aligned=False)
    return {"name": name, "input": shape, "scale": scale, "out": out, "boxes": boxes.tolist()}, y


BOXES = [
    [3.0, 2.0, 40.5, 30.25],
    [0.0, 0.0, 87.0, 51.0],  # the whole map
    [10.1, 10.2, 10.3, 10.4],  # smaller than a pixel
    [17.0, 9.0, 17.0, 9.0],  # empty
    [-30.0, -25.0, 12.0, 8.0],  # partly outside, top left
    [70.0, 40.0, 140.0, 90.0],  # partly outside, bottom right
    [-90.0, -80.0, -40.0, -30.0],  # wholly outside
    [86.9, 50.9, 88.0, 52.0],  # the last pixel
    [30.0, 20.0, 10.0, 5.0],  # corners swapped
    [0.3, 44.7, 86.2, 47.9],  # flat
]


LEVEL_BOXES = BOXES[:5] + [
    [10.0, 20.0, 122.0, 132.0],  # side 112: the first of the second level
    [10.0, 20.0, 121.99, 132.0],
    [0.0, 0.0, 224.0, 224.0],  # side 224: the first of the third level
    [0.0, 0.0, 448.0, 112.0],  # the same area
    [0.0, 0.0, 223.99, 224.0],
    [3.0, 5.0, 451.0, 453.0],  # side 448: the first of the last level
    [0.0, 0.0, 500.0, 500.0],
    [0.0, 0.0, 5000.0, 5000.0],
]


def region_levels(name, side, channels, out):
    """Regions read from the pyramid level that fits their size."""
    maps = [activations(f"{name}/level{i}", (1, side >> i, side >> i, channels)) for i in range(2, 6)]
    boxes = torch.tensor(LEVEL_BOXES)
    pooler = MultiScaleRoIAlign(["0", "1", "2", "3"], out, 2)
    y = pooler({str(i): m for i, m in enumerate(maps)}, [boxes], [(side, side)])
    return {"name": name, "input": [1, 1, 1, 1], "side": side, "channels": channels, "out": out, "boxes": boxes.tolist()}, y


def prepare(name, height, width, rule):
    """The whole way of a photo into a network."""
    photo = generated.picture(name, height, width)
    x = torch.from_numpy(photo).permute(2, 0, 1)
    if rule["resize"] == "short_side":
        transform = GeneralizedRCNNTransform(rule["short_side"], rule["long_side_max"], rule["mean"], rule["std"], rule["multiple"])
        images, _ = transform([x.float() / 255])
        y, size = images.tensors, list(images.image_sizes[0])
    else:
        y, size = HeedS.prepare(SimpleNamespace(spec={"input": rule}), photo)
    case = {"name": name, "input": [1, 1, 1, 1], "photo": [height, width], "rule": rule, "resized": size, "padded": list(y.shape[2:])}
    return case, y


def torchvision_rule(short_side, long_side):
    return {
        "resize": "short_side", "short_side": short_side, "long_side_max": long_side, "antialias": False, "multiple": 32,
        "channels": "rgb", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    }  # fmt: skip


def fit_rule(long_side, antialias):
    return {
        "resize": "fit", "long_side": long_side, "antialias": antialias, "multiple": 32, "channels": "bgr",
        "mean": [103.53, 116.28, 123.675], "scale": [0.017429, 0.017507, 0.017125],
    }  # fmt: skip


def sizes(name, rule):
    """Photo height and width -> resized height and width -> padded height and width."""
    rows = []
    for height, width in [*SIZES, *((w, h) for h, w in SIZES)]:
        image = torch.zeros(1, 1, 1).expand(3, height, width)
        if rule["resize"] == "short_side":
            transform = GeneralizedRCNNTransform(rule["short_side"], rule["long_side_max"], rule["mean"], rule["std"], rule["multiple"])
            images, _ = transform([image])
            rows.append([height, width, *images.image_sizes[0], *images.tensors.shape[2:]])
        else:
            x, size = HeedS.prepare(SimpleNamespace(spec={"input": rule}), image.permute(1, 2, 0).numpy())
            rows.append([height, width, *size, *x.shape[2:]])
    return {"kind": "sizes", "name": name, "rule": rule, "rows": rows}


SIZES = [(480, 640), (333, 500), (424, 640), (426, 640), (428, 640), (800, 600), (427, 640), (375, 500), (1, 1), (1, 2),
         (1, 640), (3, 7), (719, 1281), (1080, 1920), (799, 800), (800, 1333), (801, 1334), (413, 987), (2, 1999), (97, 416)]  # fmt: skip


def make():
    kinds = {
        "conv": [conv(*case) for case in conv_cases()],
        "conv_large_tiles": [conv(*case) for case in large_tile_cases()],
        "dilated": [conv("dilated_3x3", (1, 9, 8, 6), 5, 3, {"dilation": 2}), conv("dilated_one_pixel", (1, 1, 1, 4), 3, 3, {"dilation": 2})],
        "linear": [
            linear("linear_one_row", 1, 7, 5, "none"),
            linear("linear_rows", 9, 130, 37, "relu"),
            region_linear("linear_regions", 3, 7, 6, 11),
        ],
        "deconv": [
            deconv("deconv_one_pixel", (1, 1, 1, 3), 4, "none"),
            deconv("deconv_regions", (3, 5, 4, 14), 9, "relu"),
        ],
        "max_pool": [
            max_pool("max_pool_3x3_even", (1, 8, 12, 7), 3, 2, 1),
            max_pool("max_pool_3x3_odd", (1, 9, 7, 24), 3, 2, 1),
            max_pool("max_pool_3x3_one_pixel", (1, 1, 1, 5), 3, 2, 1),
            max_pool("max_pool_1x1_odd", (1, 7, 5, 6), 1, 2, 0),
            max_pool("max_pool_1x1_even", (1, 4, 6, 6), 1, 2, 0),
        ],
        "resize": [
            resize("bilinear_twice", (1, 5, 7, 6), [10, 14], "bilinear"),
            resize("bilinear_half", (1, 8, 6, 5), [4, 3], "bilinear", add=True),
            resize("bilinear_up_ragged", (1, 3, 4, 9), [7, 11], "bilinear", add=True),
            resize("bilinear_down_ragged", (1, 11, 13, 4), [4, 5], "bilinear"),
            resize("bilinear_from_one_pixel", (1, 1, 1, 8), [3, 4], "bilinear"),
            resize("bilinear_same", (1, 4, 3, 2), [4, 3], "bilinear"),
            resize("nearest_twice", (1, 4, 5, 6), [8, 10], "nearest", add=True),
            resize("nearest_odd", (1, 7, 4, 5), [13, 7], "nearest", add=True),
            resize("nearest_from_one_pixel", (1, 1, 1, 3), [2, 1], "nearest"),
        ],
        "shuffle": [shuffle("shuffle", (1, 3, 5, 9)), shuffle("shuffle_one_pixel", (1, 1, 1, 58))],
        "region_align": [
            region_align("region_align_quarter_7", (1, 13, 22, 5), 0.25, 7, BOXES),
            region_align("region_align_quarter_14", (1, 13, 22, 3), 0.25, 14, BOXES[:6]),
            region_align("region_align_full_scale", (1, 31, 29, 4), 1.0, 7, BOXES),
            region_align("region_align_one_pixel", (1, 1, 1, 9), 0.03125, 7, BOXES),
        ],
        "region_levels": [region_levels("region_levels", 512, 3, 7)],
        "prepare": [
            prepare("prepare_short_side_480x640", 48, 64, torchvision_rule(80, 133)),
            prepare("prepare_short_side_wide", 21, 90, torchvision_rule(80, 133)),
            prepare("prepare_short_side_shrinks", 111, 73, torchvision_rule(40, 66)),
            prepare("prepare_short_side_one_pixel", 1, 1, torchvision_rule(40, 66)),
            prepare("prepare_short_side_one_column", 50, 1, torchvision_rule(40, 66)),
            prepare("prepare_fit_antialias_down", 130, 97, fit_rule(64, True)),
            prepare("prepare_fit_antialias_far_down", 301, 500, fit_rule(52, True)),
            prepare("prepare_fit_antialias_up", 30, 19, fit_rule(64, True)),
            prepare("prepare_fit_antialias_one_row", 1, 200, fit_rule(64, True)),
            prepare("prepare_fit_one_pixel", 1, 1, fit_rule(32, True)),
            prepare("prepare_fit_plain", 75, 100, fit_rule(64, False)),
        ],
    }
    cases = [{"kind": kind, **case} for kind, made in kinds.items() for case, _ in made]
    cases += [sizes("sizes_torchvision", torchvision_rule(800, 1333)), sizes("sizes_fit", fit_rule(416, True))]
    write("layers", cases, {case["name"]: stored(case["name"], y) for made in kinds.values() for case, y in made})
