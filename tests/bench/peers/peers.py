#!/usr/bin/env python3
"""heed beside ONNX Runtime, OpenVINO and PyTorch: the same networks, the same weights, fp32, by turns in one run.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python peers.py --heed ../../../build/server/heed --threads 1
    venv/bin/python peers.py --heed ../../../build/server/heed --threads 2 --memory

Prints for each work the least time of each competitor, the median, and from where to where 80 % of its times lie; then
heed's divided by the best peer's. What is compared is built on first use in --cache (random weights: time does not
depend on them, but for the number of boxes, which is made the same; heed-s has its own weights and a photo). Run it on
a quiet machine; on a busy one only the ratios mean something.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

import networks

MAX_MS = 1e9
OPENVINO = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}  # it would compute in bf16 where it can


class Heed:
    """Figures of `heed bench`, each a list of milliseconds."""

    def __init__(self, binary, threads, network, rounds, more=()):
        photo = ["--photo", str(network.photo)] if network.photo else ["--size", "1066x800"]
        model = ["--model", str(network.json)] if network.json else []
        self.command = [binary, "bench", "--json", "--threads", str(threads), "--rounds", str(rounds), "--warm-up", "1",
                        "--layers", "1000", *model, *photo, *more]  # fmt: skip

    def run(self):
        return json.loads(subprocess.run(self.command, check=True, capture_output=True, text=True).stdout)

    def total(self):
        return self.run()["ms"]["total"]["all"]

    def layers(self, pattern):
        return lambda: [layers_ms(self.run(), pattern)]

    def tensor_to_detections(self):
        """From the prepared photo on: all of the pass but the layer that prepares it."""
        figures = self.run()
        return [ms - layers_ms(figures, "prepare$") for ms in figures["ms"]["infer"]["all"]]


def layers_ms(figures, pattern):
    return sum(layer["ms"] for layer in figures["layers"] if re.match(pattern, layer["name"]))


# ---- The peers: network and threads -> a call that answers with tensors -------------------------------


def onnxruntime_call(network, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    session = onnxruntime.InferenceSession(str(network.onnx()), options, providers=["CPUExecutionProvider"])
    feed = {given.name: x.numpy() for given, x in zip(session.get_inputs(), network.inputs)}
    return lambda: network.finish(*map(torch.from_numpy, session.run(None, feed)))


def openvino_call(network, threads):
    import openvino

    model = openvino.Core().compile_model(str(network.onnx()), "CPU", OPENVINO | {"INFERENCE_NUM_THREADS": threads})
    request, inputs = model.create_infer_request(), [x.numpy() for x in network.inputs]
    return lambda: network.finish(*map(torch.from_numpy, request.infer(inputs, share_inputs=True).values()))


def pytorch_call(network, threads):
    def call():
        outputs = network.module(*network.inputs)
        return network.finish(*(outputs if isinstance(outputs, tuple) else (outputs,)))

    return call


PEERS = {"onnxruntime": onnxruntime_call, "openvino": openvino_call, "pytorch": pytorch_call}


def timed(call, rounds):
    """A measurement: milliseconds of each of some rounds."""

    def measure():
        times = []
        with torch.inference_mode():
            for _ in range(rounds):
                start = time.perf_counter()
                call()
                times.append((time.perf_counter() - start) * 1e3)
        return times

    return measure


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
    module, small = networks.attention_module(cache), networks.heed_s(cache)
    heed_r50, heed_attended = (Heed(args.heed, n, network, rounds, ["--score", "0.05"]) for network in (r50, attended))
    heed_s = Heed(args.heed, n, small, 10 * rounds, ["--score", "0.05", "--no-masks"])
    table = {
        "ResNet-50-FPN backbone, 800x1088": (heed_r50.layers(r"backbone\.|resize"), networks.backbone(cache), 1),
        "Mask R-CNN R50-FPN, 800x1066, photo to masks": (heed_r50.total, r50, 1),
        "the same with 7 efficient-attention modules": (heed_attended.total, attended, 1),
        "efficient attention alone, 256 x 200x272": (heed_attended.layers(r"attention\.fpn1"), module, 3),
        "heed-s at 416, tensor to detections": (heed_s.tensor_to_detections, small, 10),
    }
    for name, (heed, network, more) in table.items():
        if re.search(args.only, name):
            yield name, {"heed": heed} | {who: timed(make(network, n), more * rounds) for who, make in PEERS.items()}


def compare(name, competitors, turns):
    times = {who: [] for who in competitors}
    for turn in range(turns + 1):
        for who, measure in competitors.items():
            times[who] += measure() if turn else measure()[:0]  # the first turn warms up
    print(name)
    for who, ms in times.items():
        ms.sort()
        tenth = len(ms) // 10
        print(f"    {who:12} least {ms[0]:9.2f} ms   median {statistics.median(ms):9.2f} ms"
              f"   {ms[tenth]:9.2f} to {ms[-1 - tenth]:9.2f} ms")  # fmt: skip
    best = min((who for who in times if who != "heed"), key=lambda who: times[who][0])
    ratio, medians = times["heed"][0] / times[best][0], statistics.median(times["heed"]) / statistics.median(times[best])
    print(f"    heed / {best}: {ratio:.2f}, of medians {medians:.2f}", flush=True)


def compare_products(args):
    """Against oneDNN, which computes PyTorch's 1x1 convolutions of channels-last tensors. One thread."""
    torch.set_num_threads(1)
    shapes = networks.PRODUCTS
    ours, theirs = dict.fromkeys(shapes, MAX_MS), dict.fromkeys(shapes, MAX_MS)
    for _ in range(args.turns):
        for shape, ms in kernel_products(args.test_kernels, shapes).items():
            ours[shape] = min(ours[shape], ms)
        for shape in shapes:
            convolution, x = networks.product(*shape)
            theirs[shape] = min(theirs[shape], *timed(lambda: convolution(x), 10)())
    print("products m x n x k, one thread, GFLOP/s: heed, oneDNN, heed's time / oneDNN's")
    for shape in shapes:
        flops = 2e-6 * shape[0] * shape[1] * shape[2]
        print("    {:5} x {:4} x {:5}".format(*shape), end="")
        print(f"   {flops / ours[shape]:6.1f} {flops / theirs[shape]:6.1f}   {ours[shape] / theirs[shape]:.2f}")


def compare_convolutions(args):
    """1x1 convolutions where they stand in the network, with its activations and residuals, against oneDNN's plain ones."""
    heed = Heed(args.heed, args.threads, networks.mask_rcnn(args.cache, attention=False), args.rounds)
    shapes = networks.CONVOLUTIONS
    ours, theirs = dict.fromkeys(shapes, MAX_MS), dict.fromkeys(shapes, MAX_MS)
    for _ in range(args.turns):
        figures = heed.run()
        for name, shape in shapes.items():
            ours[name] = min(ours[name], layers_ms(figures, re.escape(name) + "$"))
            convolution, x = networks.product(*shape)
            theirs[name] = min(theirs[name], *timed(lambda: convolution(x), 10)())
    print("1x1 convolutions of Mask R-CNN, ms: heed, oneDNN, heed's time / oneDNN's")
    for name in shapes:
        print(f"    {name:30} {ours[name]:8.2f} {theirs[name]:8.2f}   {ours[name] / theirs[name]:.2f}")


# ---- Memory -------------------------------------------------------------------------------------------

LOAD_AND_RUN_ONCE = {
    "onnxruntime": """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = int(sys.argv[2]), 3
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
session.run(None, {session.get_inputs()[0].name: numpy.random.rand(3, 800, 1066).astype("float32")})
""",
    "openvino": f"""
import sys, numpy, openvino
model = openvino.Core().compile_model(sys.argv[1], "CPU", {OPENVINO} | {{"INFERENCE_NUM_THREADS": int(sys.argv[2])}})
model([numpy.random.rand(3, 800, 1066).astype("float32")])
""",
}


def peak_mb(command):
    """The most memory a process ever had resident, read until it ends."""
    process, peak = subprocess.Popen(command, stdout=subprocess.DEVNULL), 0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.005)
    assert process.returncode == 0, command
    return peak / 1024


def compare_memory(args):
    """Each a process of its own that loads the model and runs once: the peers up to masks of 28x28, and ONNX Runtime also
    with them pasted, which is what heed's figure holds."""
    network = networks.mask_rcnn(args.cache, attention=False)
    heed = [args.heed, "bench", "--threads", str(args.threads), "--model", str(network.json), "--size", "1066x800",
            "--rounds", "1", "--warm-up", "0", "--layers", "0", "--score", "0.05"]  # fmt: skip
    peaks = {"heed": peak_mb(heed)}
    for who, code in LOAD_AND_RUN_ONCE.items():
        peaks[who] = peak_mb([sys.executable, "-c", code, str(network.onnx()), str(args.threads)])
    whole = networks.mask_rcnn_whole(args.cache)
    peaks["onnxruntime, pasted"] = peak_mb([sys.executable, "-c", LOAD_AND_RUN_ONCE["onnxruntime"], str(whole), str(args.threads)])
    print("Mask R-CNN R50-FPN, 800x1066: most memory resident")
    for who, mb in peaks.items():
        print(f"    {who:20} {mb:7.0f} MB" + (f"   heed / {who}: {peaks['heed'] / mb:.2f}" if who != "heed" else ""))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--heed", required=True, help="the binary")
    p.add_argument("--test-kernels", help="the kernel checker's binary: compares single products too")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--turns", type=int, default=5, help="of each competitor (default %(default)s)")
    p.add_argument("--rounds", type=int, default=2, help="in each turn (default %(default)s)")
    p.add_argument("--only", default="", help="works whose name this expression finds")
    p.add_argument("--cache", type=Path, default=Path(__file__).resolve().parents[3] / "build" / "peers")
    p.add_argument("--memory", action="store_true", help="compare memory instead of time")
    args = p.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)

    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(f"{cpu[1] if cpu else 'unknown CPU'}, {os.cpu_count()} cores, {args.threads} threads, load {os.getloadavg()[0]:.1f}")
    if args.memory:
        return compare_memory(args)
    for name, competitors in works(args):
        compare(name, competitors, args.turns)
    if re.search(args.only, "1x1 convolutions"):
        compare_convolutions(args)
    if args.test_kernels:
        compare_products(args)


if __name__ == "__main__":
    main()
