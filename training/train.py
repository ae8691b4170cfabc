"""Fine-tunes a heed_s model on a COCO-format data set, on a GPU-less machine if need be.

    python train.py --train DIR/train.json --val DIR/val.json --start WEIGHTS.safetensors --run runs/mine

Photos lie in a folder beside each JSON with its name. A run keeps last.pt (to resume: the same command
again), best.pt, log.csv and curve.png. Then: python export.py runs/mine/best.pt
"""

import argparse
import copy
import csv
import json
import math
import random
import time
from pathlib import Path

import torch
from pycocotools import mask as rle
from safetensors.torch import load_file

from heed import coco
from heed.boxes import paste_mask
from heed.data import Batch, Split, batches
from heed.heed_s import HeedS
from heed.loss import detection_loss, mask_loss

HERE = Path(__file__).parent
NEW = ("attention.", "mask.")  # modules that the start weights do not have: they learn at a higher rate


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--train", type=Path, required=True)
    p.add_argument("--val", type=Path, required=True)
    p.add_argument("--model", type=Path, default=HERE / "../config/models/heed-s.json")
    p.add_argument("--start", type=Path, required=True, help="safetensors; tensors it lacks start fresh")
    p.add_argument("--run", type=Path, required=True)
    p.add_argument("--attention", choices=("as-configured", "none", "efficient", "dot_product"), default="as-configured")
    p.add_argument("--epochs", type=float, default=8)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--rate", type=float, default=1e-4, help="for tensors of the start weights")
    p.add_argument("--rate-new", type=float, default=1e-3, help="for attention and masks")
    p.add_argument("--regions", type=int, default=8, help="masks per photo")
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--stop-after", type=int, default=0, help="optimiser steps; 0: the whole schedule")
    return p.parse_args()


def with_attention(spec, kind):
    """The same network with another mechanism at the same places, or with none."""
    if kind == "none":
        spec["attention"] = []
    elif kind != "as-configured":
        for entry in spec["attention"]:
            entry["type"] = kind
            if kind == "dot_product":
                entry.pop("normalization", None)
    return spec


def evaluate(model, split, content):
    """Rows of (part, kind, AP, AP50, AP75), in process: for choosing between checkpoints."""
    model.eval()
    category = [c["id"] for c in content["categories"]]
    detections = []
    for image, pixels, objects in zip(split.images, split.pixels, split.objects):
        boxes, scores, labels, masks = model.detect(pixels)
        masked = any(m is not None for m in objects["mask"])
        for box, score, label, mask in zip(boxes, scores.tolist(), labels.tolist(), masks):
            x1, y1, x2, y2 = box.tolist()
            found = dict(image_id=image["id"], category_id=category[label], bbox=[x1, y1, x2 - x1, y2 - y1], score=score)
            if masked:
                full = paste_mask(mask, box.tolist(), image["height"], image["width"])
                found["segmentation"] = rle.encode(full.numpy().astype("uint8", order="F"))
            detections.append(found)
    return coco.table(content, detections)


class Run:
    def __init__(self, args):
        self.args, self.folder = args, args.run
        self.folder.mkdir(parents=True, exist_ok=True)
        self.spec = with_attention(json.loads(args.model.read_text()), args.attention)
        labels = json.loads((args.model.parent / self.spec["labels"]).read_text())
        self.labels = [label["name"] for label in labels]
        self.train = Split(args.train, args.train.with_suffix(""), self.labels)
        self.val = Split(args.val, args.val.with_suffix(""), self.labels)
        self.content = coco.load_truth(args.val)

        torch.manual_seed(args.seed)
        self.model = HeedS(self.spec)
        result = self.model.load_state_dict(load_file(args.start), strict=False)
        print(f"start: {len(result.missing_keys)} tensors start fresh, {len(result.unexpected_keys)} unused", flush=True)
        self.model.to(memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.model).eval()
        parameters = dict(self.model.named_parameters())
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for n, p in parameters.items() if not n.startswith(NEW)], "top": args.rate},
                {"params": [p for n, p in parameters.items() if n.startswith(NEW)], "top": args.rate_new},
            ],
            weight_decay=0.01,
        )
        per_epoch = len(batches(self.train, args.batch, self.spec["input"], random.Random(0)))
        self.steps = int(args.epochs * per_epoch)
        self.step, self.epoch, self.best = 0, 0, -1.0
        if (self.folder / "last.pt").exists():
            self.load(self.folder / "last.pt")
        print(f"{len(self.train)} photos, {per_epoch} steps an epoch, {self.steps} in all, at {self.step}", flush=True)

    def save(self, name):
        state = dict(spec=self.spec, labels=self.labels, model=self.model.state_dict(), ema=self.ema.state_dict())
        state |= dict(optimizer=self.optimizer.state_dict(), step=self.step, epoch=self.epoch, best=self.best)
        torch.save(state, self.folder / (name + ".partial"))
        (self.folder / (name + ".partial")).replace(self.folder / name)

    def load(self, path):
        state = torch.load(path)
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.epoch, self.best = state["step"], state["epoch"], state["best"]

    def rate(self):
        """A short warm-up, then half a cosine down to 2 %."""
        warm = min(1.0, (self.step + 1) / 100)
        return warm * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * min(1.0, self.step / self.steps))))

    def one_step(self, batch, generator):
        for group in self.optimizer.param_groups:
            group["lr"] = group["top"] * self.rate()
        shape = batch.inputs.shape[2:]
        class_logits, distances, features = self.model(batch.inputs)
        losses = detection_loss(self.model, class_logits, distances, batch.targets, shape)
        losses["mask"] = mask_loss(self.model, features, batch.targets, shape, self.args.regions, generator)
        self.optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        self.step += 1
        decay = min(self.args.ema, self.step / (self.step + 10))
        with torch.no_grad():
            for slow, fast in zip(self.ema.parameters(), self.model.parameters()):
                slow.lerp_(fast, 1 - decay)
        return {name: loss.item() for name, loss in losses.items()}

    def go(self):
        end = min(self.steps, self.args.stop_after or self.steps)
        while self.step < end:
            generator = random.Random(self.args.seed * 1000 + self.epoch)
            torch.manual_seed(self.args.seed * 1000 + self.epoch)
            self.model.train()
            started, sums, n = time.monotonic(), {}, 0
            for indices, shape in batches(self.train, self.args.batch, self.spec["input"], generator):
                losses = self.one_step(Batch(self.train, indices, shape, self.spec["input"], generator), generator)
                n += 1
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0) + value
                if n % 20 == 0:
                    means = "  ".join(f"{name} {value / n:.3f}" for name, value in sums.items())
                    print(f"step {self.step}/{self.steps}  {means}  {(time.monotonic() - started) / n:.2f} s a step", flush=True)
                if n % 100 == 0:
                    self.save("last.pt")
                if self.step >= end:
                    break
            self.epoch += 1
            self.measure({name: value / n for name, value in sums.items()}, time.monotonic() - started)

    def measure(self, losses, seconds):
        rows = evaluate(self.ema, self.val, self.content)
        line = dict(step=self.step, epoch=self.epoch, seconds=round(seconds), **{f"loss {k}": round(v, 4) for k, v in losses.items()})
        for part, kind, ap, ap50, ap75 in rows:
            print(f"{part:11} {kind}  AP {ap:.4f}  AP50 {ap50:.4f}  AP75 {ap75:.4f}", flush=True)
            line |= {f"{part} {kind} AP": round(ap, 4), f"{part} {kind} AP50": round(ap50, 4)}
        log = self.folder / "log.csv"
        fresh = not log.exists()
        with log.open("a", newline="") as file:
            writer = csv.DictWriter(file, line)
            if fresh:
                writer.writeheader()
            writer.writerow(line)
        score = sum(row[2] for row in rows) / len(rows)
        if score > self.best:
            self.best = score
            self.save("best.pt")
        self.save("last.pt")
        plot(log, self.folder / "curve.png")


def plot(log, picture):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with log.open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    for name in rows[0]:
        axis = left if name.startswith("loss") else right if name.endswith("AP") else None
        if axis:
            axis.plot(steps, [float(row[name]) for row in rows], marker="o", label=name)
    left.set(title="training loss, mean of the epoch", xlabel="step")
    right.set(title="val, averaged weights", xlabel="step")
    left.legend()
    right.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(picture)


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    Run(args).go()


if __name__ == "__main__":
    main()
