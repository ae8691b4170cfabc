"""What is compared: networks in PyTorch, exported once to ONNX and, those that heed runs, to its own files.

Some of the work after a network has no fast form in ONNX: pasting masks is a loop there that copies all masks for each
(a second of ONNX Runtime's time, and OpenVINO cannot read it), and suppression per class would see every cell. So the
exported networks stop before it, and every peer finishes with the same PyTorch code, the fastest that was found.
"""

import json
import math
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch
import torchvision
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torchvision.models.detection import transform
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import batched_nms

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "training"))

from heed.attention import EfficientAttention  # noqa: E402
from heed.heed_s import HeedS  # noqa: E402

# m, n, k of products in those networks; the kernel checker times the same
PRODUCTS = [(4096, 64, 256), (4096, 256, 64), (3400, 1024, 256), (2704, 58, 58)]
# 1x1 convolutions of Mask R-CNN at 800x1088: pixels, channels out and in
CONVOLUTIONS = {
    "backbone.body.layer1.1.conv1": (54400, 64, 256),
    "backbone.body.layer1.1.conv3": (54400, 256, 64),
    "backbone.body.layer2.1.conv1": (13600, 128, 512),
    "backbone.body.layer2.1.conv3": (13600, 512, 128),
    "backbone.body.layer3.1.conv1": (3400, 256, 1024),
    "backbone.body.layer3.1.conv3": (3400, 1024, 256),
    "backbone.body.layer4.1.conv1": (850, 512, 2048),
    "backbone.fpn.inner_blocks.0": (54400, 256, 256),
}


transform.paste_masks_in_image = lambda masks, boxes, size: masks  # Network.finish does it


@dataclass
class Network:
    name: str
    cache: Path
    module: nn.Module
    inputs: list
    finish: Callable = lambda *outputs: outputs  # the network's outputs, tensors -> the answer
    json: Path = None  # heed's
    photo: Path = None  # what heed shall see, where it is not a painted one

    def onnx(self):
        path = self.cache / f"{self.name}.onnx"
        if not path.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(self.module, tuple(self.inputs), str(path), dynamo=False, opset_version=17)
        return path


class AttendedBackbone(nn.Module):
    """A ResNet-FPN with efficient attention on res3, res4 and every pyramid level."""

    def __init__(self, backbone, attention):
        super().__init__()
        self.backbone, self.attention = backbone, attention
        self.out_channels = backbone.out_channels

    def forward(self, x):
        body, stages = self.backbone.body, {}
        x = body.maxpool(body.relu(body.bn1(body.conv1(x))))
        for i in range(4):
            x = body[f"layer{i + 1}"](x)
            place = f"res{i + 2}"
            x = self.attention[place](x) if place in self.attention else x
            stages[str(i)] = x
        fpn, above, levels = self.backbone.fpn, None, {}
        for i in reversed(range(4)):
            inner = fpn.inner_blocks[i](stages[str(i)])
            above = inner if above is None else inner + F.interpolate(above, size=inner.shape[-2:])
            levels[str(i)] = self.attention[f"fpn{i + 1}"](fpn.layer_blocks[i](above))
        levels = {str(i): levels[str(i)] for i in range(4)}
        levels["pool"] = self.attention["fpn5"](F.max_pool2d(levels["3"], 1, 2))
        return levels


def attention_modules():
    channels = {"res3": 512, "res4": 1024} | {f"fpn{i}": 256 for i in range(1, 6)}
    return nn.ModuleDict({place: EfficientAttention(c, c // 2, c) for place, c in channels.items()})


def detector():
    torch.manual_seed(0)
    model = torchvision.models.detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    with torch.no_grad():  # some classes stand out in each box, as after training: 100 boxes above the least score
        model.roi_heads.box_predictor.cls_score.weight *= 50
    return model


class Regions(nn.Module):
    """A detector of torchvision up to boxes, labels, scores and masks of 28x28."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, photo):
        found = self.model([photo])[0]
        return found["boxes"], found["labels"], found["scores"], found["masks"]


def mask_rcnn(cache, attention):
    name = "r50-attention" if attention else "r50"
    model, json_path = detector(), cache / "models" / f"{name}.json"
    modules = attention_modules() if attention else None
    if not json_path.exists():
        json_path.parent.mkdir(exist_ok=True)
        state = model.state_dict()
        if modules:
            state |= {f"attention.{key}": value for key, value in modules.state_dict().items()}
        torch.save(state, cache / f"{name}.pth")
        convert = [sys.executable, str(ROOT / "training" / "convert_torchvision.py"), str(cache / f"{name}.pth"), str(json_path)]
        subprocess.run(convert + ["--norm-eps", "1e-5", "--labels", str(ROOT / "config" / "labels" / "coco91.json")], check=True)
    if modules:
        model.backbone = AttendedBackbone(model.backbone, modules)
    photo = torch.rand(3, 800, 1066)

    def paste(boxes, labels, scores, masks):
        return boxes, labels, scores, paste_masks_in_image(masks, boxes, photo.shape[1:])

    return Network(name, cache, Regions(model).eval(), [photo], paste, json=json_path)


def mask_rcnn_whole(cache):
    """The file that torchvision exports: its masks are pasted inside."""
    network = mask_rcnn(cache, attention=False)
    network.name = "r50-whole"
    pasting, transform.paste_masks_in_image = transform.paste_masks_in_image, paste_masks_in_image
    path = network.onnx()
    transform.paste_masks_in_image = pasting
    return path


class Levels(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, x):
        return tuple(self.backbone(x).values())


def backbone(cache):
    return Network("backbone", cache, Levels(detector().backbone).eval(), [torch.rand(1, 3, 800, 1088)])


def attention_module(cache):
    torch.manual_seed(0)
    return Network("attention", cache, EfficientAttention(256, 128, 256).eval(), [torch.rand(1, 256, 200, 272)])


class RawHeads(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        class_logits, distances = self.model.heads(self.model.levels(x))
        return class_logits[0], distances[0]


def heed_s(cache):
    """The built-in model, boxes only, on a photo whose every pixel is one of the input's."""
    spec = json.loads((ROOT / "config" / "models" / "heed-s.json").read_text())
    model = HeedS(spec).eval()
    model.load_state_dict({k: v.float() for k, v in load_file(ROOT / "config" / "models" / "heed-s.safetensors").items()}, strict=False)
    image = torchvision.io.read_image(str(ROOT / "tests" / "photos" / "astronaut.jpg"))
    image = F.interpolate(image[None].float(), size=(416, 416), mode="bilinear", antialias=True)[0].round().byte()
    torchvision.io.write_png(image, str(cache / "astronaut-416.png"))
    x, size = model.prepare(image.permute(1, 2, 0).numpy())
    rule = spec["head"]
    centres, strides, counts = model.cells(*size)
    least, limit = math.log(rule["score_min"] / (1 - rule["score_min"])), x.new_tensor([size[1], size[0], size[1], size[0]])

    def finish(logits, distances):
        """As HeedS.predict: but no sigmoid, no box and no suppression of what stays under the least score."""
        found, first = [], 0
        for level in logits.split(counts):
            cell, label = (level > least).nonzero(as_tuple=True)
            logit, best = level[cell, label].topk(min(len(cell), rule["candidates"]))
            found.append((cell[best] + first, label[best], logit))
            first += len(level)
        cell, label, logit = (torch.cat(parts) for parts in zip(*found))
        box = torch.minimum(model.boxes(distances[cell], centres[cell], strides[cell]).clamp(min=0), limit)
        score = logit.sigmoid()
        best = batched_nms(box, score, label, rule["nms_iou"])[: rule["detections"]]
        return box[best], score[best], label[best]

    (cache / "heed-s.onnx").unlink(missing_ok=True)  # its weights change from time to time
    return Network("heed-s", cache, RawHeads(model).eval(), [x], finish, photo=cache / "astronaut-416.png")


def product(m, n, k):
    """(m, k) x (k, n) as a 1x1 convolution of m pixels, channels last, by oneDNN: left to choose, PyTorch takes another way
    with one thread."""
    convolution = nn.Conv2d(k, n, 1).to(memory_format=torch.channels_last)
    x = torch.rand(1, k, 1, m).to(memory_format=torch.channels_last)
    return lambda x: torch.mkldnn_convolution(x, convolution.weight, convolution.bias, (0, 0), (1, 1), (1, 1), 1), x
