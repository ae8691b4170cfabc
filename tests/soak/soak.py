#!/usr/bin/python3
"""Good, bad, leaving and slow clients at one server for some minutes: every answer is one the contract knows, memory stays flat.

    tests/soak/soak.py [--minutes 5] [--clients 8] [--build build/release] [option=value of heed.json...]

Prints a row now and then; exit status 1 if the server ended, answered 500 or nothing, or grew. Growth is the highest resident
memory of the last third of the run against the highest of the second third: at most 2 % and 2 MB more.
"""

import argparse
import base64
import collections
import json
import os
import pathlib
import random
import sys
import tempfile
import threading
import time

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--minutes", type=float, default=5)
parser.add_argument("--clients", type=int, default=8)
parser.add_argument("--build", default=None, help="the build folder; build/release when not said")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("options", nargs="*", metavar="option=value")
arguments = parser.parse_args()
if arguments.build:
    os.environ["HEED_BUILD_DIR"] = os.path.abspath(arguments.build)

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "http"))
import heed  # noqa: E402
import metrics  # noqa: E402
import pictures  # noqa: E402

PHOTOS = [pictures.photo(name) for name in ("chelsea.jpg", "coffee.jpg", "astronaut.jpg", "rocket.jpg", "camera.png")]
QUERIES = ["", "score=0.05", "masks=polygon", "masks=png", "masks=none&max=1", "format=coco&image_id=1", "priority=1", "timeout_ms=5"]
BAD_QUERIES = ["score=2", "max=0", "nothing=1", "model=none", "classes=unicorn", "timeout_ms=x"]

counts = collections.Counter()
faults = []
stop = threading.Event()


def note(kind, status):
    counts[f"{kind} {status}"] += 1
    if status in (500, None):
        faults.append(f"{kind}: {status}")


def good(server, dice):
    photo, query = dice.choice(PHOTOS), dice.choice(QUERIES)
    form = dice.randrange(4)
    if form == 0:
        body, kind = heed.multipart([("image", photo, "photo")])
        note("form", server.detect(body, query, {"Content-Type": kind}).status)
    elif form == 1:
        body = json.dumps({"image": base64.b64encode(photo).decode()})
        note("json", server.detect(body, query, {"Content-Type": "application/json"}).status)
    elif form == 2:
        note("drawn", server.detect(photo, "", {"Accept": dice.choice(["image/jpeg", "image/png"])}).status)
    else:
        note("raw", server.detect(photo, query).status)


def bad(server, dice):
    photo = dice.choice(PHOTOS)
    kind = dice.randrange(4)
    if kind == 0:
        note("cut short", server.detect(photo[:dice.randrange(1, len(photo))]).status)
    elif kind == 1:
        damaged = bytearray(photo)
        for _ in range(20):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        note("damaged", server.detect(bytes(damaged)).status)
    elif kind == 2:
        note("bad option", server.detect(photo, dice.choice(BAD_QUERIES)).status)
    else:
        note("no photo", server.detect(dice.randbytes(dice.randrange(1, 5000))).status)


def leaving(server, dice):
    photo = dice.choice(PHOTOS)
    with server.connect() as connection:
        head = b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nContent-Length: %d\r\n\r\n" % len(photo)
        connection.sendall((head + photo)[:dice.randrange(1, len(head) + len(photo) + 1)])
        time.sleep(dice.random() * 0.05)
    counts["left"] += 1


def slow(server, dice):
    photo = PHOTOS[0]
    with server.connect() as connection:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nContent-Length: %d\r\n\r\n" % len(photo))
        for at in range(0, len(photo), 4000):
            connection.sendall(photo[at:at + 4000])
            time.sleep(0.02)
        note("slow", heed.read_reply(connection).status)


def client(server, seed):
    dice = random.Random(seed)
    while not stop.is_set():
        act = dice.choices([good, bad, leaving, slow], [60, 20, 15, 5])[0]
        try:
            act(server, dice)
        except OSError as failure:
            if not stop.is_set():
                faults.append(f"{act.__name__}: {failure!r}")


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main():
    config = {name: json.loads(value) for name, value in (option.split("=", 1) for option in arguments.options)}
    with tempfile.TemporaryDirectory() as folder:
        server = heed.Server(folder, **config).wait_ready()
        clients = [threading.Thread(target=client, args=(server, arguments.seed * 1000 + number)) for number in range(arguments.clients)]
        for one in clients:
            one.start()
        began, memory, row = time.monotonic(), [], 0
        length = arguments.minutes * 60
        print(f"{'seconds':>8} {'answers':>9} {'refused':>8} {'left':>7} {'resident MB':>12} {'queue':>6}")
        while (passed := time.monotonic() - began) < length and server.process.poll() is None:
            memory.append((passed, resident_bytes(server)))
            if passed >= row * length / 20:
                row += 1
                answers = sum(value for name, value in counts.items() if name != "left")
                refused = sum(value for name, value in counts.items() if name.split()[-1] == "429")
                depth = metrics.total(metrics.read(server), metrics.QUEUE_DEPTH)
                print(f"{passed:8.0f} {answers:9} {refused:8} {counts['left']:7} {memory[-1][1] / 1e6:12.1f} {depth:6.0f}", flush=True)
            time.sleep(0.2)
        stop.set()
        for one in clients:
            one.join()
        if server.process.poll() is not None:
            faults.append(f"the server ended with {server.process.returncode}:\n{server.log()}")
        else:
            heed.wait_until(lambda: metrics.total(metrics.read(server), metrics.IN_FLIGHT_BYTES) == 0, what="all body memory is returned")
            server.stop()

    print("\n" + "\n".join(f"{value:9} {name}" for name, value in sorted(counts.items())))
    middle = max(value for passed, value in memory if length / 3 <= passed < 2 * length / 3)
    late = max(value for passed, value in memory if passed >= 2 * length / 3)
    print(f"\nresident: {middle / 1e6:.1f} MB at most in the second third, {late / 1e6:.1f} MB in the last")
    if late > middle * 1.02 + 2e6:
        faults.append("memory grew")
    for fault in faults[:20]:
        print("FAULT", fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
