"""heed beside ONNX Runtime and PyTorch: the same networks, the same weights, fp32, by turns in one run.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python peers.py --heed ../../../build/heed --threads 1

Prints for each work the least and the median time of each competitor, and heed's divided by the best peer's. What is
compared is built on first use in --cache (random weights: time does not depend on them, but for the number of boxes,
which is made the same). Run it on a quiet machine; on a busy one only the ratios mean something.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

import torch

import networks

MAX_MS = 1e9


class Heed:
    """Figures of `heed bench`: its infer and total times, and its layers'."""

    def __init__(self, binary, threads, model=None, size="1066x800", rounds=1, more=()):
        self.command = [binary, "bench", "--json", "--threads", str(threads), "--size", size, "--rounds", str(rounds),
                        "--warm-up", "1", "--layers", "1000", *more]  # fmt: skip
        self.command += ["--model", str(model)] if model else []

    def run(self):
        return json.loads(subprocess.run(self.command, check=True, capture_output=True, text=True).stdout)

    def part(self, name):
        return lambda: self.run()["ms"][name]["least"]

    def layers(self, pattern):
        return lambda: sum(layer["ms"] for layer in self.run()["layers"] if re.match(pattern, layer["name"]))


def timed(call, rounds):
    """A measurement: the least of some rounds, in milliseconds."""

    def measure():
        best = MAX_MS
        for _ in range(rounds):
            start = time.perf_counter()
            call()
            best = min(best, (time.perf_counter() - start) * 1e3)
        return best

    return measure


def onnxruntime_call(path, inputs, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = dict(zip([i.name for i in session.get_inputs()], inputs))
    return lambda: session.run(None, feed)


def torch_call(module, inputs):
    def call():
        with torch.inference_mode():
            module(*inputs)

    return call


def peers_of(network, threads, rounds):
    """A network of networks.py -> its measurements in the peers."""
    inputs = [x.numpy() for x in network.inputs]
    return {
        "onnxruntime": timed(onnxruntime_call(network.onnx(), inputs, threads), rounds),
        "pytorch": timed(torch_call(network.module, network.torch_inputs()), rounds),
    }


def kernel_products(test_kernels, shapes):
    """heed's products, as its kernel checker times them: {"m x n x k": ms}"""
    text = subprocess.run([test_kernels, "--bench", "gemm"], check=True, capture_output=True, text=True).stdout
    best = {}
    for found in re.finditer(r"gemm [^:]*: (\d+) x (\d+) x (\d+) .*?level +([\d.]+) us", text):
        shape = tuple(int(n) for n in found.groups()[:3])
        best[shape] = min(best.get(shape, MAX_MS), float(found[4]) / 1e3)
    return {shape: best[shape] for shape in shapes}


def works(args):
    """Name -> {competitor: measurement}; heed first."""
    n, rounds, cache = args.threads, args.rounds, args.cache
    r50, attended = networks.mask_rcnn(cache, attention=False), networks.mask_rcnn(cache, attention=True)
    heed_r50, heed_attended = (
        Heed(args.heed, n, network.json, rounds=rounds, more=["--score", "0.05"]) for network in (r50, attended)
    )
    module, small = networks.attention_module(cache), networks.heed_s(cache)
    heed_s = Heed(args.heed, n, size="416x416", rounds=10 * rounds, more=["--no-masks"])
    table = {
        "ResNet-50-FPN backbone, 800x1088": lambda: (heed_r50.layers(r"backbone\.|resize"), networks.backbone(cache), 1),
        "Mask R-CNN R50-FPN, 800x1066, photo to masks": lambda: (heed_r50.part("total"), r50, 1),
        "the same with 7 efficient-attention modules": lambda: (heed_attended.part("total"), attended, 1),
        "efficient attention alone, 256 x 200x272": lambda: (heed_attended.layers(r"attention\.fpn1"), module, 3),
        "heed-s at 416, tensor to boxes (peers: to raw heads)": lambda: (heed_s.part("infer"), small, 10),
    }
    for name, make in table.items():
        if re.search(args.only, name):
            heed, network, more = make()
            yield name, {"heed": heed} | peers_of(network, n, more * rounds)


def compare(name, competitors, turns):
    times = {who: [] for who in competitors}
    for _ in range(turns):
        for who, measure in competitors.items():
            times[who].append(measure())
    print(name)
    for who, ms in times.items():
        print(f"    {who:12} least {min(ms):9.2f} ms   median {statistics.median(ms):9.2f} ms")
    best = min((who for who in times if who != "heed"), key=lambda who: min(times[who]))
    print(f"    heed / {best}: {min(times['heed']) / min(times[best]):.2f}", flush=True)


def compare_products(args):
    """Against oneDNN, which computes PyTorch's 1x1 convolutions of channels-last tensors. One thread."""
    torch.set_num_threads(1)
    shapes = networks.PRODUCTS
    ours, theirs = dict.fromkeys(shapes, MAX_MS), dict.fromkeys(shapes, MAX_MS)
    for _ in range(args.turns):
        for shape, ms in kernel_products(args.test_kernels, shapes).items():
            ours[shape] = min(ours[shape], ms)
        for shape in shapes:
            call = torch_call(*networks.product(*shape))
            theirs[shape] = min(theirs[shape], timed(call, 10)())
    print("products m x n x k, one thread, GFLOP/s: heed, oneDNN, heed's time / oneDNN's")
    for shape in shapes:
        flops = 2e-6 * shape[0] * shape[1] * shape[2]
        print("    {:5} x {:4} x {:5}".format(*shape), end="")
        print(f"   {flops / ours[shape]:6.1f} {flops / theirs[shape]:6.1f}   {ours[shape] / theirs[shape]:.2f}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--heed", required=True, help="the binary")
    p.add_argument("--test-kernels", help="the kernel checker's binary: compares single products too")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--turns", type=int, default=5, help="of each competitor (default %(default)s)")
    p.add_argument("--rounds", type=int, default=2, help="in each turn, of which the best counts (default %(default)s)")
    p.add_argument("--only", default="", help="works whose name this expression finds")
    p.add_argument("--cache", type=Path, default=Path("cache"))
    args = p.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)

    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(f"{cpu[1] if cpu else 'unknown CPU'}, {os.cpu_count()} cores, {args.threads} threads, load {os.getloadavg()[0]:.1f}")
    for name, competitors in works(args):
        compare(name, competitors, args.turns)
    if args.test_kernels:
        compare_products(args)


if __name__ == "__main__":
    main()
