"""Attention modules over feature maps, each a residual block: X -> X + attention(X).

Any of them can stand at any place of a network (`make_attention` reads one entry of a model's JSON).
The last projection starts at zero, so a network begins training exactly as it was without them.
"""

import math

import torch.nn.functional as F
from torch import nn


class EfficientAttention(nn.Module):
    """Shen et al., "Efficient Attention: Attention with Linear Complexities" (WACV 2021).

    Queries never meet keys: K V^T, a (key_channels, value_channels) summary of the whole map, is formed
    first and then read by every position. Cost is linear in the number of positions n. The names of the
    four projections are those of the official implementation.
    """

    def __init__(self, channels, key_channels, value_channels, heads=1, normalization="softmax", scale=0.0):
        """scale: of the "scaling" normalization, the one factor of K V^T Q; 0 means 1 / n"""
        super().__init__()
        assert key_channels % heads == 0 and value_channels % heads == 0
        assert normalization in ("softmax", "scaling")
        self.heads, self.normalization, self.scale = heads, normalization, scale
        self.keys = nn.Conv2d(channels, key_channels, 1)
        self.queries = nn.Conv2d(channels, key_channels, 1)
        self.values = nn.Conv2d(channels, value_channels, 1)
        self.reprojection = nn.Conv2d(value_channels, channels, 1)
        start_at_zero(self.reprojection)

    def forward(self, x):
        b, _, h, w = x.shape
        keys = self.keys(x).reshape(b, self.heads, -1, h * w)  # (batch, heads, d_k, n)
        queries = self.queries(x).reshape(b, self.heads, -1, h * w)  # (batch, heads, d_k, n)
        values = self.values(x).reshape(b, self.heads, -1, h * w)  # (batch, heads, d_v, n)
        if self.normalization == "softmax":
            keys = keys.softmax(dim=3)  # over positions
            queries = queries.softmax(dim=2)  # over the head's channels
        else:
            keys = keys * (self.scale or 1 / (h * w))
        context = keys @ values.transpose(2, 3)  # (batch, heads, d_k, d_v)
        attended = context.transpose(2, 3) @ queries  # (batch, heads, d_v, n)
        return x + self.reprojection(attended.reshape(b, -1, h, w))


class DotProductAttention(nn.Module):
    """The non-local block, embedded Gaussian: softmax(theta^T phi / sqrt(d_k)) over the keys.

    Its map is n x n: what efficient attention is compared with.
    """

    def __init__(self, channels, key_channels, value_channels, heads=1):
        super().__init__()
        assert key_channels % heads == 0 and value_channels % heads == 0
        self.heads = heads
        self.theta = nn.Conv2d(channels, key_channels, 1)
        self.phi = nn.Conv2d(channels, key_channels, 1)
        self.g = nn.Conv2d(channels, value_channels, 1)
        self.out = nn.Conv2d(value_channels, channels, 1)
        start_at_zero(self.out)

    def forward(self, x):
        b, _, h, w = x.shape
        theta, phi, g = (
            layer(x).reshape(b, self.heads, -1, h * w).transpose(2, 3)  # (batch, heads, n, d_k or d_v)
            for layer in (self.theta, self.phi, self.g)
        )
        key_channels, value_channels = theta.shape[3], g.shape[3]
        wider = (0, max(0, value_channels - key_channels))  # zeros change no product; equal widths get the fused kernel
        theta, phi, g = F.pad(theta, wider), F.pad(phi, wider), g.contiguous()
        attended = F.scaled_dot_product_attention(theta, phi, g, scale=1 / math.sqrt(key_channels))
        return x + self.out(attended.transpose(2, 3).reshape(b, -1, h, w))


def start_at_zero(projection):
    nn.init.zeros_(projection.weight)
    nn.init.zeros_(projection.bias)


def make_attention(entry, channels):
    """One entry of a model's "attention" list -> its module."""
    sizes = dict(key_channels=entry["key_channels"], value_channels=entry["value_channels"], heads=entry.get("heads", 1))
    if entry["type"] == "efficient":
        normalization, scale = entry.get("normalization", "softmax"), entry.get("scale", 0.0)
        return EfficientAttention(channels, normalization=normalization, scale=scale, **sizes)
    if entry["type"] == "dot_product":
        return DotProductAttention(channels, **sizes)
    raise ValueError(f"attention after {entry['after']}: unknown type {entry['type']!r}")
