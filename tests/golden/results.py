"""What happens after a network: overlap, suppression, pasted masks and their COCO encoding."""

import numpy as np
import torch
from pycocotools import mask as coco_rle
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import batched_nms, box_iou, nms

import generated
from cases import write

SIDE = 28
DOUBT = 1e-3  # a pixel whose soft value is this near to the threshold may fall either way


def encode(mask):
    return coco_rle.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))["counts"].decode()


def paste_logits(logits, boxes, height, width):
    """Logits (n, side, side) and boxes in photo pixels -> per mask its COCO string, and that of the doubtful pixels."""
    soft = paste_masks_in_image(logits.sigmoid()[:, None], boxes, (height, width))[:, 0]
    return [encode(s > 0.5) for s in soft], [encode((s - 0.5).abs() < DOUBT) for s in soft]


def blob_logits(key, spread):
    """Smooth shapes with holes: random values at 8 x 8 points, between them bilinear."""
    coarse = torch.from_numpy(generated.tensor(key, (1, 1, 8, 8), 0, spread))
    return torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="nearest")[0]


def paste(name, height, width, box, noise=False, spread=6.0):
    key = f"{name}/logits"
    logits = torch.from_numpy(generated.tensor(key, (1, SIDE, SIDE), 0, spread)) if noise else blob_logits(key, spread)
    mask, doubt = paste_logits(logits, torch.tensor([box]), height, width)
    return {"kind": "paste", "name": name, "photo": [height, width], "box": box, "coarse": not noise, "spread": spread,
            "mask": mask[0], "doubt": doubt[0]}  # fmt: skip


def pastes():
    return [
        paste("paste_inside", 90, 120, [20.3, 11.7, 88.9, 70.2]),
        paste("paste_noise", 90, 120, [20.3, 11.7, 88.9, 70.2], noise=True),
        paste("paste_whole_photo", 61, 83, [0.0, 0.0, 83.0, 61.0]),
        paste("paste_noise_whole_photo", 37, 53, [0.0, 0.0, 53.0, 37.0], noise=True),
        paste("paste_smaller_than_mask", 40, 40, [10.2, 12.9, 19.6, 20.1]),
        paste("paste_noise_smaller_than_mask", 40, 40, [3.5, 4.5, 14.5, 30.5], noise=True),
        paste("paste_one_pixel_box", 20, 20, [7.2, 8.1, 7.9, 8.8]),
        paste("paste_empty_box", 20, 20, [7.0, 8.0, 7.0, 8.0]),
        paste("paste_left_edge", 50, 60, [0.0, 5.0, 9.0, 45.0]),
        paste("paste_right_edge", 50, 60, [41.5, 0.0, 60.0, 50.0]),
        paste("paste_bottom_corner", 50, 60, [59.0, 49.0, 60.0, 50.0]),
        paste("paste_top_corner", 50, 60, [0.0, 0.0, 1.0, 1.0]),
        paste("paste_one_pixel_photo", 1, 1, [0.0, 0.0, 1.0, 1.0]),
        paste("paste_one_row_photo", 1, 200, [20.0, 0.0, 180.0, 1.0]),
        paste("paste_one_column_photo", 200, 1, [0.0, 31.0, 1.0, 166.0]),
        paste("paste_flat", 300, 400, [2.0, 140.5, 399.0, 146.0]),
        paste("paste_large", 700, 900, [33.3, 44.4, 871.2, 655.5]),
        paste("paste_all_set", 30, 30, [5.0, 5.0, 25.0, 25.0], spread=0.0),  # sigmoid(0) is not above one half
        paste("paste_faint", 80, 80, [5.5, 6.5, 70.5, 77.5], noise=True, spread=0.02),  # all near the threshold
    ]


def boxes_of(name, count, grid):
    """Corners on a grid of 1/grid pixels, so that equal overlaps and exact thresholds occur."""
    unit = torch.from_numpy(generated.tensor(f"{name}/boxes", (count, 4)))
    corner, side = ((unit[:, :2] + 1) * 50 * grid).floor() / grid, ((unit[:, 2:] + 1) * 20 * grid).floor() / grid + 4
    return torch.cat((corner, corner + side), 1)


def suppress(name, count, iou, grid=4, scores=16, groups=1):
    """Greedy suppression; `scores` different values make ties, of which the lower index goes first."""
    boxes = boxes_of(name, count, grid)
    score = ((torch.from_numpy(generated.tensor(f"{name}/scores", (count,))) + 1) * 0.5 * scores).floor() / scores
    group = ((torch.from_numpy(generated.tensor(f"{name}/groups", (count,))) + 1) * 0.5 * groups).floor().long()
    kept = torch.cat([m[nms(boxes[m], score[m], iou)] for m in ((group == g).nonzero()[:, 0] for g in range(groups))])
    kept = in_order(kept, score)
    together = batched_nms(boxes, score, group, iou)
    assert sorted(together.tolist()) == sorted(kept.tolist())
    return {"kind": "suppress", "name": name, "count": count, "iou": iou, "grid": grid, "scores": scores,
            "groups": groups, "kept": kept.tolist()}  # fmt: skip


def in_order(kept, score):
    return torch.tensor(sorted(kept.tolist(), key=lambda i: (-score[i].item(), i)), dtype=torch.long)


def exact_overlap(name, boxes, iou):
    """Two boxes whose overlap is the threshold as nearly as float32 has it."""
    boxes = torch.tensor(boxes)
    kept = nms(boxes, torch.tensor([0.9, 0.8]), iou)
    return {"kind": "exact_overlap", "name": name, "boxes": boxes.tolist(), "iou": iou, "kept": len(kept),
            "overlap": box_iou(boxes, boxes)[0, 1].item()}  # fmt: skip


def make():
    cases = pastes() + [
        suppress("suppress_one", 1, 0.5),
        suppress("suppress_ties", 60, 0.5),
        suppress("suppress_equal_scores", 80, 0.3, scores=1),
        suppress("suppress_whole_pixels", 150, 0.6, grid=1, scores=8),
        suppress("suppress_many", 900, 0.7, grid=64, scores=100000),
        suppress("suppress_groups", 200, 0.5, scores=32, groups=7),
        suppress("suppress_groups_many", 1500, 0.5, grid=64, scores=100000, groups=20),
        exact_overlap("overlap_half", [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]], 0.5),
        exact_overlap("overlap_six_tenths", [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 6.0]], 0.6),
        exact_overlap("overlap_seven_tenths", [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 7.0]], 0.7),
        exact_overlap("overlap_three_tenths", [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 3.0]], 0.3),
        exact_overlap("overlap_touching", [[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0]], 0.0),
    ]
    write("results", cases, {})
