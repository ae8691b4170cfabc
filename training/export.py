"""Writes a training checkpoint as a model that heed serves: NAME.json and, beside it, NAME.safetensors in half
precision (and NAME.labels.json where the classes are the data's own).

    python export.py runs/mine/best.pt ../config/models/mine.json
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from heed.description import write_description, write_labels


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("json", type=Path)
    p.add_argument("--source", default="trained from NanoDet-m 416 (Apache-2.0, RangiLyu); see NOTICE", help="a note kept in the file")
    args = p.parse_args()

    state = torch.load(args.checkpoint, weights_only=True)
    tensors = {name: t.half().contiguous() for name, t in state["ema"].items()}
    broken = [name for name, t in tensors.items() if not t.isfinite().all()]
    if broken:
        raise SystemExit(f"not finite in half precision: {', '.join(broken)}")
    weights = args.json.with_suffix(".safetensors")
    spec = state["spec"] | {"name": args.json.stem, "weights": weights.name}
    labels = args.json.parent / spec["labels"]
    if not labels.exists() or json.loads(labels.read_text()) != state["labels"]:
        labels = args.json.with_suffix(".labels.json")
        write_labels(labels, state["labels"])
        spec["labels"] = labels.name
    write_description(args.json, spec)
    save_file(tensors, weights, metadata={"source": args.source, "step": str(state["step"])})
    print(f"{weights}: {len(tensors)} tensors, {weights.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
