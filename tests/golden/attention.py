"""Attention modules: training/heed/attention.py's answers, each first held against the mathematics written out.

Written out means with the full positions x positions map, in float64: what the efficient form never builds but must equal.
"""

import math

import torch
import torch.nn.functional as F
from heed.attention import make_attention

from cases import Weights, activations, stored, write

CHANNELS, PLACE = 12, "res3"


def written_out(entry, w, x):
    """A V per head, A the map of queries on keys; projected, added to x."""
    efficient = entry["type"] == "efficient"
    parts = ("keys", "queries", "values", "reprojection") if efficient else ("phi", "theta", "g", "out")
    weight = {part: (w[f"{p}.weight"].double(), w[f"{p}.bias"].double()) for part, p in zip("kqvo", parts)}
    x = x.double()
    n, heads = x.shape[2] * x.shape[3], entry["heads"]
    k, q, v = (F.conv2d(x, *weight[part])[0].flatten(1).chunk(heads) for part in "kqv")
    attended = []
    for k, q, v in zip(k, q, v):  # (channels of the head, n)
        if not efficient:
            a = (q.T @ k / math.sqrt(len(k))).softmax(1)
        elif entry["normalization"] == "softmax":
            a = q.softmax(0).T @ k.softmax(1)
        else:
            a = q.T @ k * (entry["scale"] or 1 / n)
        attended.append(v @ a.T)
    return x + F.conv2d(torch.cat(attended).view(1, -1, *x.shape[2:]), *weight["o"])


def attend(name, size, type, key_channels, value_channels, heads=1, normalization="softmax", scale=0.0, sharpness=1.0):
    entry = {"after": PLACE, "type": type, "key_channels": key_channels, "value_channels": value_channels, "heads": heads}
    if type == "efficient":
        entry |= {"normalization": normalization, "scale": scale}
    module = make_attention(entry, CHANNELS)
    w = Weights(name)
    state = module.state_dict()
    for part in [part.removesuffix(".weight") for part in state if part.endswith(".weight")]:
        gain = sharpness if part in ("keys", "queries", "phi", "theta") else 1
        w.add_linear(f"attention.{PLACE}.{part}", list(state[f"{part}.weight"].shape), gain=gain)
    tensors = {tensor.removeprefix(f"attention.{PLACE}."): value for tensor, value in w.items()}
    module.load_state_dict(tensors)
    x = activations(f"{name}/input", (1, *size, CHANNELS))
    y = module(x)
    torch.testing.assert_close(y.double(), written_out(entry, tensors, x), rtol=2e-5, atol=2e-5)
    return {"name": name, "input": [1, *size, CHANNELS], "entry": entry, "weights": w.recipes}, y


def make():
    made = []
    for type, normalizations in (("efficient", ("softmax", "scaling")), ("dot_product", ("softmax",))):
        for normalization in normalizations:
            kind = type if len(normalizations) == 1 else f"{type}_{normalization}"
            for heads in (1, 2, 8):
                made.append(attend(f"{kind}_heads_{heads}", (7, 9), type, 16, 24, heads, normalization))
            made.append(attend(f"{kind}_one_position", (1, 1), type, 6, 12, 2, normalization))
            made.append(attend(f"{kind}_one_row", (1, 37), type, 5, 3, 1, normalization))
            made.append(attend(f"{kind}_odd_channels", (5, 3), type, 9, 15, 3, normalization))
            made.append(attend(f"{kind}_many_positions", (23, 41), type, 8, 16, 2, normalization))
    # logits of +-40: only with the largest subtracted does the softmax stay finite and exact
    made.append(attend("efficient_softmax_large_logits", (6, 11), "efficient", 8, 12, sharpness=12))
    made.append(attend("dot_product_large_logits", (6, 11), "dot_product", 8, 12, sharpness=5))
    made.append(attend("efficient_scaling_by_key_channels", (9, 8), "efficient", 16, 12, 1, "scaling", 1 / math.sqrt(16)))
    made.append(attend("efficient_scaling_key_channels_heads", (9, 8), "efficient", 16, 12, 2, "scaling", 1 / math.sqrt(8)))
    write("attention", [case for case, _ in made], {case["name"]: stored(case["name"], y) for case, y in made})
