"""Photos from tests/photos and pictures made on the spot, in every dress the server must read."""

import functools
import io
import os

from PIL import Image, ImageOps

from heed import ROOT, SANITIZED

FOLDER = os.path.join(ROOT, "tests", "photos")


@functools.lru_cache(maxsize=None)
def photo(name):
    with open(os.path.join(FOLDER, name), "rb") as file:
        return file.read()


def picture(name):
    return Image.open(io.BytesIO(photo(name))).convert("RGB")


def encode(image, form="JPEG", **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@functools.lru_cache(maxsize=None)
def blank(width, height, form="JPEG"):
    return encode(Image.new("RGB", (width, height), (90, 120, 150)), form)


@functools.lru_cache(maxsize=None)
def slow_photo(size=(1800, 1200) if SANITIZED else (6000, 4000)):
    """Few bytes, much work to decode: many pixels in ten scans. About a second of one core, with sanitizers a few."""
    return encode(Image.new("RGB", size, (90, 120, 150)), quality=40, progressive=True)


@functools.lru_cache(maxsize=None)
def large_photo(form="JPEG", side=None):
    """Quickly inferred on, slow to draw, to read as PNG and to tell the masks of: seconds of one core."""
    side = side or (1400 if SANITIZED else 5600 if form == "JPEG" else 4000)
    return encode(picture("coffee.jpg").resize((side, side)), form, **({"quality": 70} if form == "JPEG" else {"compress_level": 1}))


def stored_as(image, orientation):
    """A JPEG whose pixels lie as a camera with that EXIF orientation stores them."""
    undo = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}[orientation]
    stored = image.transpose(undo) if undo is not None else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    coded = encode(stored, quality=95, exif=exif)
    assert ImageOps.exif_transpose(Image.open(io.BytesIO(coded))).size == image.size
    return coded


def with_size(jpeg, width, height):
    """The same file, claiming another size in its frame header."""
    at = next(jpeg.index(b"\xff" + bytes([marker])) for marker in (0xC0, 0xC2) if b"\xff" + bytes([marker]) in jpeg)
    return jpeg[:at + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + jpeg[at + 9:]


def overlap(a, b):
    """Intersection over union of two [x, y, width, height]."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)
