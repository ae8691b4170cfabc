"""Fine-tunes a heed_s model on a COCO-format data set, on the CPU.

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
from heed.loss import detection_loss, imitation_loss, mask_loss, mirrored_answer

HERE = Path(__file__).parent


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
    p.add_argument("--rate", type=float, default=3e-4, help="of the backbone, neck and heads, times a tensor's root mean square")
    p.add_argument("--freeze-early", action="store_true", help="leave the backbone's first convolution and stage as they are")
    p.add_argument("--rate-attention", type=float, default=3e-4)
    p.add_argument("--rate-mask", type=float, default=1e-3)
    p.add_argument("--only", choices=("boxes", "masks"), help="train this and freeze the other; masks: the detector too")
    p.add_argument("--regions", type=int, default=8, help="masks per photo")
    p.add_argument("--imitate", type=Path, help="weights whose mean answer on a photo and its mirror image is followed too")
    p.add_argument("--truth-of", help="source of the photos whose true boxes count beside --imitate; else all photos'")
    p.add_argument("--measure-every", type=int, default=1, help="epochs between measurements on val")
    p.add_argument("--ema", type=float, default=0.999, help="decay of the averaged weights, which are what is measured and exported")
    p.add_argument("--float32", action="store_true", help="no bfloat16 in the network's forward and backward pass")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    if args.imitate and args.only == "masks":
        p.error("--imitate is about boxes, --only masks leaves them as they are")
    if args.truth_of and not args.imitate:
        p.error("--truth-of needs --imitate: nothing would be learned from the other photos")
    return args


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


def labels_for(categories, start_labels):
    """The start weights' labels if they name every category of the data; else the data's own categories."""
    if {c["name"] for c in categories} <= {label["name"] for label in start_labels}:
        return start_labels
    return [{"id": c["id"], "name": c["name"]} for c in sorted(categories, key=lambda c: c["id"])]


def with_classes(tensors, old, new):
    """Start weights fitted to other classes: those of the same name keep their rows of the heads, others start fresh."""
    if old == new:
        return tensors
    for level in ("head8", "head16", "head32"):
        for part in ("weight", "bias"):
            rows = tensors[f"{level}.out.{part}"].float()
            fresh = rows.new_full((len(new), *rows.shape[1:]), -4.6 if part == "bias" else 0.0)  # a score of 0.01
            for i, name in enumerate(new):
                if name in old:
                    fresh[i] = rows[old.index(name)]
            tensors[f"{level}.out.{part}"] = torch.cat((fresh, rows[len(old) :]))
    return tensors


def evaluate(model, split, content, labels, masks):
    """Rows of (part, kind, AP, AP50, AP75), in process: for choosing between checkpoints."""
    model.eval()
    id_of = {c["name"]: c["id"] for c in content["categories"]}
    category = [id_of.get(label["name"]) for label in labels]  # None: the data does not have this class
    detections = []
    for image, pixels, objects in zip(split.images, split.pixels, split.objects):
        boxes, scores, indices, mask_logits = model.detect(pixels, masks)
        masked = masks and any(objects["mask"])
        for i, (box, score, index) in enumerate(zip(boxes.tolist(), scores.tolist(), indices.tolist())):
            if category[index] is None:
                continue
            x1, y1, x2, y2 = box
            found = dict(image_id=image["id"], category_id=category[index], bbox=[x1, y1, x2 - x1, y2 - y1], score=score)
            if masked:
                full = paste_mask(mask_logits[i], box, image["height"], image["width"])
                found["segmentation"] = rle.encode(full.numpy().astype("uint8", order="F"))
            detections.append(found)
    return coco.table(content, detections, masks)


class Run:
    def __init__(self, args):
        self.args, self.folder = args, args.run
        self.folder.mkdir(parents=True, exist_ok=True)
        self.spec = with_attention(json.loads(args.model.read_text()), args.attention)
        self.start_labels = json.loads((args.model.parent / self.spec["labels"]).read_text())
        self.content = coco.load_truth(args.val)
        self.labels = labels_for(self.content["categories"], self.start_labels)
        names = [label["name"] for label in self.labels]
        self.train = Split(args.train, args.train.with_suffix(""), names)
        self.val = Split(args.val, args.val.with_suffix(""), names)

        torch.manual_seed(args.seed)
        self.model = HeedS(self.spec, len(names))
        result = self.model.load_state_dict(self.weights(args.start), strict=False)
        print(f"start: {len(result.missing_keys)} tensors start fresh, {len(result.unexpected_keys)} unused", flush=True)
        self.model.to(memory_format=torch.channels_last)
        self.teacher = self.make_teacher() if args.imitate else None
        self.ema = copy.deepcopy(self.model).eval()
        for name, parameter in self.model.named_parameters():
            of_masks = name.startswith(("mask.", "attention.mask."))
            early = args.freeze_early and name.startswith(("backbone.conv1.", "backbone.stage2."))
            parameter.requires_grad_(not early and (args.only is None or of_masks == (args.only == "masks")))
        self.optimizer = torch.optim.AdamW(self.groups(), weight_decay=0.01)
        self.per_epoch = len(self.batches(random.Random(0)))
        self.steps = int(args.epochs * self.per_epoch)
        self.step, self.epoch, self.best = 0, 0, -1.0
        if (self.folder / "last.pt").exists():
            self.load(self.folder / "last.pt")
        print(f"{len(self.train)} photos, {self.per_epoch} steps an epoch, {self.steps} in all, at {self.step}", flush=True)

    def weights(self, path):
        """Of the model that training starts from, fitted to the data's classes."""
        return with_classes(load_file(path), [label["name"] for label in self.start_labels], [label["name"] for label in self.labels])

    def make_teacher(self):
        teacher = HeedS(self.spec, len(self.labels)).requires_grad_(False)
        for parameter in teacher.parameters():
            parameter.zero_()  # attention that the weights lack changes nothing
        teacher.load_state_dict(self.weights(self.args.imitate), strict=False)
        return teacher.to(memory_format=torch.channels_last)

    def groups(self):
        """What is learned at which rate. Batch norm is folded into the start weights, so the size of a tensor tells nothing
        of its part in the answer: their rate is a share of it."""
        rates = {"attention": self.args.rate_attention, "mask": self.args.rate_mask}
        groups = []
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                size = parameter.detach().square().mean().sqrt().clamp(min=1e-3).item()
                groups.append({"params": [parameter], "top": rates.get(name.split(".")[0], self.args.rate * size)})
        return groups

    def batches(self, generator):
        return batches(self.train, self.args.batch, self.spec["input"], generator, masked=self.args.only == "masks")

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
        losses = {}
        with torch.autocast("cpu", torch.bfloat16, enabled=not self.args.float32):
            levels = self.model.levels(batch.inputs)
            if self.args.only != "boxes":
                seen = [level.detach() for level in levels]  # what finds boxes learns from boxes alone
                features = self.model.mask_features(seen).float()  # RoIAlign has no bfloat16
                losses["mask"] = mask_loss(self.model, features, batch.targets, shape, self.args.regions, generator)
            if self.args.only != "masks":
                class_logits, distances = (output.float() for output in self.model.heads(levels))
            if self.teacher:
                scores, distributions = mirrored_answer(self.teacher, batch.inputs)
        if self.teacher:
            losses |= imitation_loss(class_logits, distances, scores, distributions)
        counted = [i for i, target in enumerate(batch.targets) if self.args.truth_of in (None, target["source"])]
        if self.args.only != "masks" and counted:
            share, targets = len(counted) / len(batch.targets), [batch.targets[i] for i in counted]
            truth = detection_loss(self.model, class_logits[counted], distances[counted], targets, shape)
            losses |= {name: loss * share for name, loss in truth.items()}
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
        while self.step < self.steps:
            generator = random.Random(self.args.seed * 1000 + self.epoch)
            torch.manual_seed(self.args.seed * 1000 + self.epoch)
            self.model.train()
            started, sums, n = time.monotonic(), {}, 0
            for indices, shape in self.batches(generator)[self.step - self.epoch * self.per_epoch :]:
                losses = self.one_step(Batch(self.train, indices, shape, self.spec["input"], generator), generator)
                n += 1
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0) + value
                if n % 20 == 0:
                    means = "  ".join(f"{name} {value / n:.3f}" for name, value in sums.items())
                    print(f"step {self.step}/{self.steps}  {means}  {(time.monotonic() - started) / n:.2f} s a step", flush=True)
                if self.step % 100 == 0:
                    self.save("last.pt")
                if self.step >= self.steps:
                    break
            self.epoch += 1
            if self.epoch % self.args.measure_every == 0 or self.step >= self.steps:
                self.measure({name: value / n for name, value in sums.items()}, time.monotonic() - started)

    def measure(self, losses, seconds):
        rows = evaluate(self.ema, self.val, self.content, self.labels, masks=self.args.only != "boxes")
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
