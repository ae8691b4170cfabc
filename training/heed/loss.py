"""What heed_s is trained with: generalised focal loss on ATSS targets, and masks on jittered true boxes."""

import torch
import torch.nn.functional as F
from pycocotools import mask as rle
from torchvision.ops import roi_align

from .boxes import iou_and_giou, iou_matrix

CANDIDATES = 9  # cells per object and level that ATSS looks at
ANCHOR = 5  # side of the square that stands for a cell, in strides
IGNORED, BACKGROUND = -2, -1


def assign(centres, strides, counts, box, ignored):
    """Adaptive training sample selection (Zhang et al., 2020). -> per cell the index of its object,
    BACKGROUND, or IGNORED inside a region that must not count."""
    assigned = torch.full((len(centres),), BACKGROUND)
    if len(box) == 0:
        return assigned
    inside = ((centres[:, None] > box[None, :, :2]) & (centres[:, None] < box[None, :, 2:])).all(2)  # (cells, objects)
    assigned[inside[:, ignored].any(1)] = IGNORED
    box_centres = (box[:, :2] + box[:, 2:]) / 2
    half = strides[:, None] * ANCHOR / 2
    overlap = iou_matrix(torch.cat((centres - half, centres + half), dim=1), box)
    distance = (centres[:, None] - box_centres[None]).norm(dim=2)

    candidates, first = [], 0
    for count in counts:
        nearest = distance[first : first + count].topk(min(CANDIDATES, count), dim=0, largest=False).indices
        candidates.append(nearest + first)
        first += count
    candidates = torch.cat(candidates)  # (candidates, objects)
    candidate_overlap = overlap.gather(0, candidates)
    threshold = candidate_overlap.mean(0) + candidate_overlap.std(0)
    chosen = torch.zeros_like(inside).scatter_(0, candidates, candidate_overlap >= threshold)
    chosen &= inside & ~ignored
    best, object_index = overlap.masked_fill(~chosen, -1).max(dim=1)  # a cell wanted twice takes the better overlap
    assigned[best >= 0] = object_index[best >= 0]
    return assigned


def detection_loss(model, class_logits, distances, targets, shape):
    """-> {"class", "box", "distance"}, already weighted"""
    centres, strides, counts = model.cells(*shape)
    goal = torch.zeros_like(class_logits)
    counted = torch.ones_like(class_logits)
    photo, cell, box, label = [], [], [], []
    for i, target in enumerate(targets):
        assigned = assign(centres, strides, counts, target["box"], target["ignored"])
        counted[i] = target["labelled"]
        counted[i, assigned == IGNORED] = 0
        positive = (assigned >= 0).nonzero(as_tuple=True)[0]
        photo.append(torch.full_like(positive, i))
        cell.append(positive)
        box.append(target["box"][assigned[positive]])
        label.append(target["label"][assigned[positive]])
    photo, cell, box, label = (torch.cat(part) for part in (photo, cell, box, label))

    positive_distances = distances[photo, cell]
    predicted = model.boxes(positive_distances, centres[cell], strides[cell])
    iou, giou = iou_and_giou(predicted, box)
    goal[photo, cell, label] = iou.detach()
    probability = class_logits.sigmoid()
    focus = (goal - probability.detach()).square()
    focal = F.binary_cross_entropy_with_logits(class_logits, goal, reduction="none") * focus * counted
    positives = max(len(cell), 1)

    weight = probability.detach()[photo, cell].amax(1)  # cells that will win at detection matter more
    total = weight.sum().clamp(min=1)
    sides = torch.cat((centres[cell] - box[:, :2], box[:, 2:] - centres[cell]), dim=1) / strides[cell, None]
    return {
        "class": focal.sum() / positives,
        "box": 2.0 * ((1 - giou) * weight).sum() / total,
        "distance": 0.25 * (distribution_focal(positive_distances, sides).mean(1) * weight).sum() / total,
    }


def distribution_focal(logits, sides):
    """(n, 4, bins), (n, 4) in strides -> (n, 4): cross entropy towards the two bins around each distance."""
    bins = logits.shape[2]
    sides = sides.clamp(0, bins - 1.01)
    low = sides.long()
    share = sides - low
    logs = logits.log_softmax(dim=2)
    return -(1 - share) * logs.gather(2, low[..., None])[..., 0] - share * logs.gather(2, low[..., None] + 1)[..., 0]


def mirrored_answer(teacher, x):
    """The teacher's scores (batch, cells, classes) and distance distributions (batch, cells, 4, bins), each the mean of
    what it says of the photo and of its mirror image: better than either, and on the same cells."""
    class_logits, distances = teacher.heads(teacher.levels(x))
    mirrored_logits, mirrored_distances = teacher.heads(teacher.levels(x.flip(3)))
    order = mirrored_cells(teacher, *x.shape[2:])
    mirrored_distances = mirrored_distances[:, order][:, :, [2, 1, 0, 3]]  # left and right change places
    scores = (class_logits.float().sigmoid() + mirrored_logits.float().sigmoid()[:, order]) / 2
    return scores, (distances.float().softmax(3) + mirrored_distances.float().softmax(3)) / 2


def mirrored_cells(model, height, width):
    """For each cell the one that shows the same place in the mirror image"""
    order, first = [], 0
    for stride in model.strides:
        h, w = height // stride, width // stride
        order.append(torch.arange(h * w).view(h, w).flip(1).flatten() + first)
        first += h * w
    return torch.cat(order)


def imitation_loss(class_logits, distances, scores, distributions):
    """-> {"imitated class", "imitated distance"}: towards a teacher's scores and distance distributions"""
    focus = (scores - class_logits.detach().sigmoid()).abs()
    confident = scores.amax(2)
    classes = F.binary_cross_entropy_with_logits(class_logits, scores, reduction="none") * focus
    divergence = F.kl_div(distances.log_softmax(3), distributions, reduction="none").sum(3).mean(2)  # (batch, cells)
    total = confident[confident > 0.3].sum().clamp(min=1)
    return {
        "imitated class": classes.sum() / total,
        "imitated distance": 3 * (divergence * confident * (confident > 0.05)).sum() / total,
    }


def mask_loss(model, features, targets, shape, per_photo, generator):
    """Binary cross entropy of the mask logits on jittered true boxes, at most `per_photo` regions a photo."""
    regions, goals = [], []
    for target in targets:
        masked = [i for i, m in enumerate(target["mask"]) if m is not None and not target["ignored"][i]]
        masked = generator.sample(masked, min(per_photo, len(masked)))
        box = jitter(target["box"][masked], shape)
        regions.append(box)
        goals += [mask_goal(target, i, b, model.mask.pool * 2) for i, b in zip(masked, box)]
    if not goals:
        return features.sum() * 0
    return F.binary_cross_entropy_with_logits(model.mask(features, regions).float(), torch.stack(goals))


def jitter(box, shape):
    """Boxes as a detector might have found them."""
    size = (box[:, 2:] - box[:, :2]).clamp(min=1)
    centre = (box[:, 2:] + box[:, :2]) / 2 + torch.randn_like(size).clamp(-2, 2) * 0.05 * size
    size = size * (torch.randn_like(size).clamp(-2, 2) * 0.08).exp()
    limit = box.new_tensor([shape[1], shape[0], shape[1], shape[0]])
    return torch.minimum(torch.cat((centre - size / 2, centre + size / 2), dim=1).clamp(min=0), limit)


def mask_goal(target, index, box, size):
    """The part of an object's true mask inside `box`, as (size, size) zeros and ones.

    The box is taken back to the photo, where the mask is, rather than the mask to the canvas."""
    scale, shift, width, mirrored = target["to_photo"]
    box = (box - shift) / scale
    if mirrored:
        box = torch.stack((width - box[2], box[1], width - box[0], box[3]))
    mask = torch.from_numpy(rle.decode(target["mask"][index])).float()[None, None]
    goal = roi_align(mask, [box[None]], size, aligned=True)[0, 0]
    return ((goal.flip(1) if mirrored else goal) >= 0.5).float()
