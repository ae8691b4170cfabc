"""Numbers that Python and C make alike, so that large weights and pictures need not be stored.

Element i of a tensor is a splitmix64 hash of (64-bit FNV-1a of the tensor's key, i): any element stands alone, and no
library's random generator is involved. generated.c is the other half; test_golden compares the two.
"""

import numpy as np

_STEP = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def _fnv1a(text):
    state = 0xCBF29CE484222325
    for byte in text.encode():
        state = ((state ^ byte) * 0x100000001B3) & _MASK
    return state


def hashes(key, count):
    """`count` 64-bit numbers of a key."""
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_STEP) + np.uint64(_fnv1a(key))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def tensor(key, shape, centre=0.0, spread=1.0):
    """Uniform in [centre - spread, centre + spread), float32, every step exact or rounded the same way in C."""
    count = int(np.prod(shape, dtype=np.int64))
    unit = (hashes(key, count) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    return (np.float32(centre) + np.float32(spread) * unit).reshape(shape)


def picture(key, height, width):
    """An RGB picture with blobs of 64, 16 and 4 pixels and a little noise: features at every scale of a network."""
    total = np.zeros((height, width, 3), dtype=np.uint32)
    for cell, share in ((64, 8), (16, 5), (4, 2), (1, 1)):
        rows, columns = -(-height // cell), -(-width // cell)
        values = (hashes(f"{key}/{cell}", rows * columns * 3) >> np.uint64(56)).astype(np.uint32)
        cells = values.reshape(rows, columns, 3)
        total += share * cells.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
    return (total // 16).astype(np.uint8)
