"""What is compared: networks in PyTorch, exported once to ONNX and, those that heed runs, to its own files."""

import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "training"))

from heed.attention import EfficientAttention  # noqa: E402
from heed.heed_s import HeedS  # noqa: E402

# m, n, k of products in those networks; the kernel checker times the same
PRODUCTS = [(4096, 64, 256), (4096, 256, 64), (3400, 1024, 256), (2704, 58, 58)]


@dataclass
class Network:
    name: str
    cache: Path
    module: nn.Module
    inputs: list
    listed: bool = False  # torchvision's detectors take a list of photos
    json: Path = None  # heed's

    def torch_inputs(self):
        return [self.inputs] if self.listed else self.inputs

    def onnx(self):
        path = self.cache / f"{self.name}.onnx"
        if not path.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(self.module, tuple(self.torch_inputs()), str(path), dynamo=False, opset_version=17)
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
    return Network(name, cache, model.eval(), [torch.rand(3, 800, 1066)], listed=True, json=json_path)


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


def heed_s(cache):
    """The built-in model up to its raw outputs: boxes, suppression and the masks of boxes are left to heed alone."""
    import json

    from safetensors.torch import load_file

    spec = json.loads((ROOT / "config" / "models" / "heed-s.json").read_text())
    model = HeedS(spec)
    model.load_state_dict({k: v.float() for k, v in load_file(ROOT / "config" / "models" / "heed-s.safetensors").items()}, strict=False)
    return Network("heed-s", cache, model.eval(), [torch.rand(1, 3, 416, 416)])


def product(m, n, k):
    """(m, k) x (k, n) as a 1x1 convolution of m pixels, channels last."""
    convolution = nn.Conv2d(k, n, 1).to(memory_format=torch.channels_last)
    return convolution, [torch.rand(1, k, 1, m).to(memory_format=torch.channels_last)]
