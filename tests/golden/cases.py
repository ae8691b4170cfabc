"""What every part of the golden data is made of: cases, their generated weights, their expected values.

A suite becomes two files in data/: SUITE.json lists the cases and the recipe of every generated tensor,
SUITE.safetensors holds what the reference answered, unless a case's own line does. Activations are written channel last, as the engine has them.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.numpy import save_file

import generated

DATA = Path(__file__).parent / "data"
SAMPLES = 1500  # of a larger output


class Weights(dict):
    """Generated tensors by name, with the recipes that C repeats them from."""

    def __init__(self, key):
        super().__init__()
        self.key, self.recipes = key, []

    def add(self, name, shape, centre=0.0, spread=1.0):
        centre, spread = float(np.float32(centre)), float(np.float32(spread))
        self.recipes.append([name, list(shape), centre, spread])
        self[name] = torch.from_numpy(generated.tensor(f"{self.key}/{name}", shape, centre, spread))
        return self[name]

    def add_linear(self, name, shape, bias=0.3, gain=1.0):
        """Weights (out, in, ...) that keep the size of activations through a rectifier, and a bias."""
        self.add(f"{name}.weight", shape, spread=gain * math.sqrt(6 / math.prod(shape[1:])))
        if bias:
            self.add(f"{name}.bias", shape[:1], spread=bias)

    def add_norm(self, name, channels, scale=1.0):
        self.add(f"{name}.weight", [channels], scale, 0.2 * scale)
        self.add(f"{name}.bias", [channels], 0, 0.2)
        self.add(f"{name}.running_mean", [channels], 0, 0.3)
        self.add(f"{name}.running_var", [channels], 1, 0.5)


def activations(key, shape, centre=0.0, spread=1.0):
    """A generated input: shape and order are the engine's (n, h, w, c), the tensor is PyTorch's (n, c, h, w)."""
    return torch.from_numpy(generated.tensor(key, shape, centre, spread)).permute(0, 3, 1, 2).contiguous()


def channel_last(x):
    return x.permute(0, 2, 3, 1).contiguous() if x.dim() == 4 else x


def stored(key, x, samples=SAMPLES):
    """A tensor as it is stored, channel last: whole, or some values of it at places that C finds by the same hash."""
    flat = channel_last(x).reshape(-1)
    if flat.numel() <= 2 * samples:
        return flat
    return flat[torch.from_numpy((generated.hashes(key, samples) % np.uint64(flat.numel())).astype(np.int64))]


def write(suite, cases, expected):
    DATA.mkdir(exist_ok=True)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "numpy": np.__version__}
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    description = DATA / f"{suite}.json"
    description.write_text(f'{{"made_by": {json.dumps(versions)}, "cases": [\n{lines}\n]}}\n')
    size = description.stat().st_size
    if expected:
        values = DATA / f"{suite}.safetensors"
        metadata = {"made_by": json.dumps(versions)}  # one entry: the container writes several in any order
        save_file({name: np.ascontiguousarray(t.numpy()) for name, t in expected.items()}, values, metadata=metadata)
        values.chmod(0o644)
        size += values.stat().st_size
    print(f"{suite}: {len(cases)} cases, {size / 1024:.0f} KiB")
