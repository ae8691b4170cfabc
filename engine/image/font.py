"""Writes font_table.c: the glyphs that paint.c writes with, as signed distances to their outlines (font.h).

    python3 engine/image/font.py /usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf > engine/image/font_table.c

A distance field is drawn crisply at any size, so one small table serves thumbnails and 40 megapixel photos. Each glyph is sampled
on a grid of EM pixels to the em, from a rendering FINE times as large; distances from -SPREAD (outside) to SPREAD (inside) become
LEVELS letters. Needs Pillow and numpy, at development time only.
"""
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

EM, SPREAD, LEVELS = 28, 2.0, 57  # as in font.h
FINE = 8
CHARACTERS = [chr(c) for c in list(range(0x20, 0x7F)) + list(range(0xC0, 0x100)) + [0xFFFD]]


def letter(level):
    """A to z without the backslash."""
    return chr(65 + level if level < 27 else 66 + level)


def distances(ink, points_y, points_x):
    """Signed distance from each point to the edge of the ink, in fine pixels, within SPREAD."""
    reach = int(SPREAD * FINE) + 2
    padded = np.pad(ink, reach)
    offsets = np.arange(-reach, reach + 1)
    field = np.empty((len(points_y), len(points_x)))
    for i, y in enumerate(points_y):
        for j, x in enumerate(points_x):
            window = padded[y:y + 2 * reach + 1, x:x + 2 * reach + 1]
            away = np.hypot(offsets[:, None], offsets[None, :])
            inside = window[reach, reach]
            other = away[window != inside]
            nearest = other.min() if other.size else reach
            field[i, j] = nearest - 0.5 if inside else 0.5 - nearest
    return field / FINE


def glyph(font, character):
    advance = font.getlength(character) / FINE
    left, top, right, bottom = font.getbbox(character, anchor="ls")
    if right <= left or bottom <= top:
        return advance, 0, 0, 0, 0, ""
    x0, y0 = int(np.floor(left / FINE - SPREAD)), int(np.floor(top / FINE - SPREAD))
    x1, y1 = int(np.ceil(right / FINE + SPREAD)), int(np.ceil(bottom / FINE + SPREAD))
    image = Image.new("L", ((x1 - x0) * FINE, (y1 - y0) * FINE))
    ImageDraw.Draw(image).text((-x0 * FINE, -y0 * FINE), character, fill=255, font=font, anchor="ls")
    ink = np.asarray(image) > 127
    centres_y, centres_x = np.arange(y1 - y0) * FINE + FINE // 2, np.arange(x1 - x0) * FINE + FINE // 2
    field = distances(ink, centres_y, centres_x)
    levels = np.clip(np.rint((field / SPREAD + 1) / 2 * (LEVELS - 1)), 0, LEVELS - 1).astype(int)
    return advance, x0, y0, x1 - x0, y1 - y0, "".join(letter(v) for v in levels.ravel())


def main():
    font = ImageFont.truetype(sys.argv[1], EM * FINE)
    print("/* Written by font.py from %s. */" % " ".join(font.getname()))
    print('#include "image/font.h"\n')
    print("const struct heed_glyph heed_font_glyphs[] = {")
    for character in CHARACTERS:
        advance, left, top, width, height, cells = glyph(font, character)
        print("    { 0x%02x, %.3ff, %d, %d, %d, %d," % (ord(character), advance, left, top, width, height))
        lines = [cells[i:i + 100] for i in range(0, len(cells), 100)] or [""]
        print("\n".join('      "%s"' % line for line in lines) + " },")
    print("};\nconst size_t heed_font_glyph_count = sizeof heed_font_glyphs / sizeof *heed_font_glyphs;")


main()
