"""Arithmetic on boxes (x1, y1, x2, y2) and on the masks that live in them."""

import torch
import torch.nn.functional as F
from torchvision.ops import nms


def nms_per_class(boxes, scores, classes, iou):
    """Greedy non-maximum suppression within each class; kept indices, best score first."""
    kept = [torch.zeros(0, dtype=torch.long)]
    for c in classes.unique():
        members = (classes == c).nonzero(as_tuple=True)[0]
        kept.append(members[nms(boxes[members], scores[members], iou)])
    kept = torch.cat(kept)
    return kept[scores[kept].argsort(descending=True, stable=True)]


def decay(boxes, scores, classes, sigma):
    """Of what suppression kept, best first: the scores, each times exp(-sum of iou^2 / sigma) over the better boxes of
    its class (the Gaussian of Soft-NMS, Bodla et al., 2017, after greedy suppression)."""
    overlap = iou_matrix(boxes, boxes) * (classes[:, None] == classes[None])
    return scores * (-overlap.square().triu(1).sum(0) / sigma).exp()


def iou_matrix(a, b):
    """(n, 4), (m, 4) -> (n, m)"""
    top_left = torch.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = (bottom_right - top_left).clamp(min=0).prod(2)
    return overlap / (area(a)[:, None] + area(b)[None] - overlap).clamp(min=1e-9)


def iou_and_giou(a, b):
    """Box by box: (n, 4), (n, 4) -> (n), (n)"""
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    union = (area(a) + area(b) - overlap).clamp(min=1e-9)
    iou = overlap / union
    return iou, iou - (hull - union) / hull.clamp(min=1e-9)


def area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def paste_mask(logits, box, height, width):
    """One mask's logits (28, 28) and its box in photo pixels -> bool (height, width), as torchvision pastes.

    The mask gets a border of one zero, so that it fades out at the box's edge; the box grows with it.
    """
    size = logits.shape[-1]
    soft = F.pad(logits.sigmoid()[None, None], (1, 1, 1, 1))
    grow = (size + 2) / size
    centre_x, centre_y = (box[0] + box[2]) * 0.5, (box[1] + box[3]) * 0.5
    half_w, half_h = (box[2] - box[0]) * 0.5 * grow, (box[3] - box[1]) * 0.5 * grow
    x1, y1 = int(centre_x - half_w), int(centre_y - half_h)
    x2, y2 = int(centre_x + half_w), int(centre_y + half_h)
    w, h = max(x2 - x1 + 1, 1), max(y2 - y1 + 1, 1)
    soft = F.interpolate(soft, size=(h, w), mode="bilinear", align_corners=False)[0, 0]

    full = torch.zeros(height, width, dtype=torch.bool)
    left, right, top, bottom = max(x1, 0), min(x2 + 1, width), max(y1, 0), min(y2 + 1, height)
    if left < right and top < bottom:
        full[top:bottom, left:right] = soft[top - y1 : bottom - y1, left - x1 : right - x1] > 0.5
    return full
