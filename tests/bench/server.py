#!/usr/bin/python3
"""What the server costs over the engine, and whether its elastic cores are as good as the best fixed setting.

    python3 tests/bench/server.py build/server/heed [--seconds 3] [--turns 8]

Needs wrk; Python has nothing to do while it is measured. All of a part's competitors are measured by turns. Run it on
a quiet machine: the clients run on the same cores. For as many jobs at a time as cores, each on one core ("N x 1"),
there are N servers of one thread, or N `heed bench`; for one job on all cores ("1 x N"), one `heed bench`.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "tests" / "photos" / "chelsea.jpg"
CLIENTS = 4  # for each core: enough that no core waits for the next photo
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A running heed on a port that the system chose."""

    def __init__(self, binary, threads=0):
        self.log = tempfile.TemporaryFile("w+")
        command = [binary, "serve", "--address", "127.0.0.1", "--port", "0", "--threads", str(threads), "--log-format", "json"]
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log)
        self.port = None
        while not self.port:
            time.sleep(0.02)
            assert self.process.poll() is None, "heed serve ended"
            self.log.seek(0)
            found = re.search(r'"ready".*?"port":\s*"?(\d+)', self.log.read())
            self.port = int(found[1]) if found else None

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def wrk(server, seconds, clients, route, photo=True):
    """Starts clients that ask again as soon as they are answered."""
    script = ["--script", str(ROOT / "deploy" / "load" / "post.lua")] if photo else []
    command = ["wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{seconds}s", *script]
    return subprocess.Popen([*command, f"http://127.0.0.1:{server.port}{route}"], stdout=subprocess.PIPE, text=True,
                            env=os.environ | {"HEED_PHOTO": str(PHOTO), "HEED_CLIENTS": str(clients)})  # fmt: skip


def photos_a_second(servers, seconds, clients):
    """All servers together, and the processor's milliseconds of a photo."""
    before = sum(server.cpu_seconds() for server in servers)
    running = [wrk(server, seconds, clients, "/v1/detect") for server in servers]
    rates = []
    for process in running:
        row = re.search(r"^row .*", process.communicate()[0], re.M)[0].split()
        assert row[-2:] == ["0", "0"], f"refused or broken: {row}"
        rates.append(float(row[2]))
    cpu = sum(server.cpu_seconds() for server in servers) - before
    return sum(rates), 1e3 * cpu / (sum(rates) * seconds)


def bench(binary, threads, rounds):
    command = [binary, "bench", "--json", "--threads", str(threads), "--photo", str(PHOTO), "--rounds", str(rounds), "--layers", "0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def bench_times(process):
    return json.loads(process.communicate()[0])["ms"]["total"]["all"]


def engine_photos_a_second(binary, processes, seconds, ms):
    """As many engines as that, each on one core, and the processor's milliseconds of a photo."""
    rounds = max(10, int(seconds * 1e3 / ms))
    before = os.times()
    running = [bench(binary, 1, rounds) for _ in range(processes)]
    rates = [1e3 * rounds / sum(bench_times(process)) for process in running]
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return sum(rates), 1e3 * cpu / (processes * (rounds + 5))  # with the warm-up's; loading is some 20 ms of it all


def one_client(server, photos):
    """What the server says that each photo took it, from the queue to the reply, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    body, times = PHOTO.read_bytes(), []
    for _ in range(photos):
        connection.request("POST", "/v1/detect", body)
        times.append(json.loads(connection.getresponse().read())["timing_ms"]["total"])
    connection.close()
    return times[5:]


def middle(values):
    return f"{statistics.median(values):8.2f}   ({min(values):.2f} to {max(values):.2f})"


def ratio(above, below):
    """The median of the turns' ratios: what is measured side by side was disturbed alike."""
    return statistics.median(a / b for a, b in zip(above, below))


def verdict(name, value, wanted, at_most):
    kept = value <= wanted if at_most else value >= wanted
    print(f"    {name}: {value:.3f}, wanted at {'most' if at_most else 'least'} {wanted}{'' if kept else '   MISSED'}", flush=True)


def saturation(args, elastic, fixed):
    """Overhead over the engine, and elastic against fixed, where every core has a photo of its own."""
    rates = {"elastic": [], f"{args.cores} x 1": [], "engine alone": []}
    cpu = {name: [] for name in rates}
    ms = statistics.median(bench_times(bench(args.heed, 1, 20)))
    for _ in range(args.turns):
        measured = {
            "elastic": photos_a_second([elastic], args.seconds, CLIENTS * args.cores),
            f"{args.cores} x 1": photos_a_second(fixed, args.seconds, CLIENTS),
            "engine alone": engine_photos_a_second(args.heed, args.cores, args.seconds, ms),
        }
        for name, (rate, cpu_ms) in measured.items():
            rates[name].append(rate)
            cpu[name].append(cpu_ms)
    print(f"saturated, {CLIENTS * args.cores} clients: photos a second; processor's ms of a photo")
    for name in rates:
        print(f"    {name:14} {middle(rates[name])}      {middle(cpu[name])}")
    fixed_name = f"{args.cores} x 1"
    verdict("engine / server - 1, the overhead in throughput", ratio(rates["engine alone"], rates["elastic"]) - 1, 0.03, True)
    verdict("the overhead in processor's time", ratio(cpu["elastic"], cpu["engine alone"]) - 1, 0.03, True)
    verdict("elastic / fixed throughput", ratio(rates["elastic"], rates[fixed_name]), 0.97, False)


def latency(args, elastic, fixed):
    times = {"elastic": [], f"1 x {args.cores}": [], f"{args.cores} x 1": []}
    for _ in range(2 * args.turns):
        times["elastic"] += one_client(elastic, 30)
        times[f"1 x {args.cores}"] += bench_times(bench(args.heed, args.cores, 25))
        times[f"{args.cores} x 1"] += one_client(fixed[0], 30)
    print("one client: ms of a photo")
    for name, values in times.items():
        print(f"    {name:14} {middle(values)}")
    best = min(statistics.median(values) for name, values in times.items() if name != "elastic")
    verdict("elastic / best fixed latency", statistics.median(times["elastic"]) / best, 1.1, True)


def empty_route(args, server):
    os.sched_setaffinity(server.process.pid, {0})
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {0})
    rates = []
    for _ in range(args.turns):
        text = wrk(server, args.seconds, 32, "/health/live", photo=False).communicate()[0]
        rates.append(float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]))
    print("an empty route, the server on one core: requests a second")
    print(f"    {middle(rates)}")
    verdict("requests a second", statistics.median(rates), 20000, False)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("heed", help="the binary")
    p.add_argument("--seconds", type=int, default=3, help="of each measurement (default %(default)s)")
    p.add_argument("--turns", type=int, default=8, help="of each competitor (default %(default)s)")
    args = p.parse_args()
    args.cores = len(os.sched_getaffinity(0))
    print(f"{args.cores} cores, load {os.getloadavg()[0]:.1f}, {PHOTO.name}\n")
    with contextlib.ExitStack() as stack:
        servers = [Server(args.heed), *(Server(args.heed, threads=1) for _ in range(args.cores))]
        for server in servers:
            stack.callback(server.close)
        saturation(args, servers[0], servers[1:])
        latency(args, servers[0], servers[1:])
        empty_route(args, servers[0])


if __name__ == "__main__":
    main()
