"""Makes tests/golden/data: what PyTorch and torchvision answer to the cases that test_golden puts to the engine.

    python tests/golden/make_golden.py [SUITE...]

One thread and deterministic kernels: the same versions on the same CPU write the same bytes.
"""

import sys
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "training")]

import attention  # noqa: E402
import layers  # noqa: E402
import models  # noqa: E402
import networks  # noqa: E402
import results  # noqa: E402

SUITES = {"layers": layers.make, "attention": attention.make, "results": results.make, "networks": networks.make, "models": models.make}


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_grad_enabled(False)
    for suite in sys.argv[1:] or SUITES:
        SUITES[suite]()


if __name__ == "__main__":
    main()
