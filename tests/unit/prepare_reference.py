"""Writes prepare_reference.h: what PyTorch makes of a small computed picture, for test_prepare.c.

    python3 tests/unit/prepare_reference.py > tests/unit/prepare_reference.h
"""
import torch
import torch.nn.functional as F

MEAN = torch.tensor([103.53, 116.28, 123.675]).view(3, 1, 1)
SCALE = torch.tensor([0.017429, 0.017507, 0.017125]).view(3, 1, 1)
CASES = [  # photo height, width -> height, width; antialias
    (4, 6, 9, 13, False), (40, 57, 6, 9, False), (1, 1, 3, 2, False), (700, 1, 5, 2, False), (2, 900, 2, 7, False),
    (4, 6, 9, 13, True), (40, 57, 6, 9, True), (32, 24, 8, 6, True), (1, 1, 3, 2, True), (700, 1, 5, 2, True),
    (2, 900, 2, 7, True), (5, 7, 5, 7, True), (50, 9, 7, 11, True),
]


def picture(h, w):
    y, x, c = torch.meshgrid(torch.arange(h), torch.arange(w), torch.arange(3), indexing="ij")
    return ((x * 37 + y * 101 + c * 59 + (x * y) % 23 * 11) % 256).permute(2, 0, 1).float()


print("/* Written by prepare_reference.py, PyTorch %s. */" % torch.__version__.split("+")[0])
print("static const struct reference {\n    size_t photo_h, photo_w, h, w;\n    bool antialias;\n    const float *values; /* (h, w, 3) */\n"
      "} references[] = {")
for h, w, out_h, out_w, antialias in CASES:
    x = (picture(h, w) - MEAN) * SCALE
    y = F.interpolate(x[None], size=(out_h, out_w), mode="bilinear", align_corners=False, antialias=antialias)[0]
    values = ["%.7gf" % v if "." in "%.7g" % v or "e" in "%.7g" % v else "%.1ff" % v for v in y.permute(1, 2, 0).flatten().tolist()]
    print("    { %d, %d, %d, %d, %s, (const float[]){" % (h, w, out_h, out_w, str(antialias).lower()))
    for i in range(0, len(values), 9):
        print("        " + ", ".join(values[i:i + 9]) + ",")
    print("    } },")
print("};")
