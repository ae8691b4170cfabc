"""The three mask forms read independently of heed, into (height, width) arrays of bool."""

import base64
import io

import numpy
from PIL import Image


def runs_of(text):
    """COCO's compressed counts: 5 bits a character, least first, sign in the last; from the fourth on, less the one two before."""
    runs, at = [], 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = ord(text[at]) - 48
            assert 0 <= code < 64, text
            value |= (code & 31) << shift
            more = bool(code & 32)
            shift += 5
            at += 1
            if not more and code & 16:
                value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def from_rle(mask):
    height, width = mask["size"]
    runs = runs_of(mask["counts"])
    assert sum(runs) == height * width and all(run >= 0 for run in runs), runs
    values = numpy.arange(len(runs)) % 2 == 1
    return numpy.repeat(values, runs).reshape(width, height).T


def from_png(text, size=None):
    image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    assert image.format == "PNG" and image.mode == "1", (image.format, image.mode)
    assert size is None or image.size == size
    return numpy.array(image)


def from_rings(rings, width, height):
    """Even-odd filling at pixel centres: a pixel is inside where an odd number of vertical edges lie to its left."""
    toggles = numpy.zeros((height, width + 1), bool)
    for ring in rings:
        points = numpy.array(ring).reshape(-1, 2)
        for (x0, y0), (x1, y1) in zip(points, numpy.roll(points, -1, axis=0)):
            assert x0 == x1 or y0 == y1, "rings follow pixel edges"
            if x0 == x1:
                toggles[min(y0, y1):max(y0, y1), x0] ^= True
    return numpy.logical_xor.accumulate(toggles[:, :width], axis=1)
