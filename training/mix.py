"""Mixes weights: a step from start weights towards a trained checkpoint, each part with a length of its own. All of the way is
what was trained; less forgets less of what the start weights knew.

    python mix.py START.safetensors runs/mine/last.pt runs/mine/mixed.pt --step 0.7 --part neck=0.3 head.distances=1.8

A part is how its tensors' names begin (the last part given that fits counts); head.classes and head.distances are the rows of
the heads' last convolutions. What the start weights lack comes from the checkpoint, but for an attention module's last
projection, which starts at zero. Then: python export.py runs/mine/mixed.pt NAME.json
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file


def part(text):
    name, _, step = text.partition("=")
    return name, float(step)


def step_of(name, parts, step):
    for part, own in parts:
        if name.startswith(part):
            step = own
    return step


def mixed(name, start, trained, parts, step, classes):
    if start is None:
        if ".reprojection." not in name:
            return trained
        start = torch.zeros_like(trained)
    way = trained - start
    if ".out." not in name:
        return start + step_of(name, parts, step) * way
    way[:classes] *= step_of("head.classes", parts, step)
    way[classes:] *= step_of("head.distances", parts, step)
    return start + way


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("start", type=Path)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--step", type=float, default=0.7, help="of every part that --part does not name")
    p.add_argument("--part", type=part, nargs="*", default=[], metavar="PART=STEP")
    p.add_argument("--masks-of", type=Path, help="weights whose mask branch is taken whole")
    args = p.parse_args()

    start = {name: t.float() for name, t in load_file(args.start).items()}
    masks = load_file(args.masks_of) if args.masks_of else {}
    state = torch.load(args.checkpoint, weights_only=True)
    weights = {}
    for name, trained in state["ema"].items():
        of_masks = name.startswith(("mask.", "attention.mask."))
        if of_masks and name in masks:
            weights[name] = masks[name].float()
        else:
            weights[name] = mixed(name, start.get(name), trained.float(), args.part, args.step, len(state["labels"]))
    torch.save({key: state[key] for key in ("spec", "labels", "step")} | {"ema": weights}, args.out)


if __name__ == "__main__":
    main()
