"""/health/live answers within 50 ms whatever else goes on: a thousand suspended connections, or every core busy."""

import threading
import time

import metrics
from heed import wait_until
from pictures import blank, photo, slow_photo

LIVE_SECONDS_MAX = 0.050


def live_seconds(server, times=40):
    """What each of many questions to /health/live took, a connection each."""
    taken = []
    for _ in range(times):
        reply = server.get("/health/live")
        assert reply.status == 200
        taken.append(reply.seconds)
        time.sleep(0.01)
    return sorted(taken)


def assert_lively(server):
    taken = live_seconds(server)
    assert taken[int(len(taken) * 0.95)] < LIVE_SECONDS_MAX, taken


def test_live_while_a_thousand_connections_wait_suspended(serve):
    server = serve(threads=1, queue_slots=2000, timeout_ms=3600000) # a deadline that slow builds can meet a thousand times
    first = server.send_photo(slow_photo())
    crowd = [server.send_photo(slow_photo()) for _ in range(30)] + [server.send_photo(blank(16, 16)) for _ in range(970)]
    wait_until(lambda: metrics.total(metrics.read(server), metrics.QUEUE_DEPTH) >= 900, what="a thousand wait")
    assert_lively(server)
    for connection in [first, *crowd]:
        connection.close()
    wait_until(lambda: metrics.total(metrics.read(server), metrics.QUEUE_DEPTH) == 0, seconds=30, what="all are gone")


def test_live_while_every_core_computes(serve):
    server = serve()
    stop = threading.Event()

    def hammer():
        while not stop.is_set():
            assert server.detect(photo("astronaut.jpg")).status in (200, 429)

    clients = [threading.Thread(target=hammer) for _ in range(4)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    try:
        assert_lively(server)
    finally:
        stop.set()
        for client in clients:
            client.join()
