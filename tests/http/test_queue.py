"""Priorities, deadlines, and overload: ten times what fits."""

import re
import threading
import time

import pytest

import metrics
from heed import SANITIZED, assert_problem, read_reply, wait_until
from pictures import large_photo, photo, slow_photo

CAT = photo("chelsea.jpg")


def running(server):
    return metrics.total(metrics.read(server), metrics.RUNNING)


def occupy(server):
    """Gives the only worker something long, and waits until it is at it."""
    connection = server.send_photo(slow_photo())
    wait_until(lambda: running(server) == 1, what="the worker is busy")
    return connection


def post_many(server, photos, query=""):
    """All at once, each from a thread of its own: the replies, in the order of the photos."""
    replies = [None] * len(photos)
    gate = threading.Barrier(len(photos))

    def post(index):
        gate.wait()
        replies[index] = server.detect(photos[index], query)

    threads = [threading.Thread(target=post, args=(index,)) for index in range(len(photos))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def test_higher_priority_is_served_first(serve):
    server = serve(threads=1)
    first = occupy(server)
    done, waiting = [], []
    for priority in ("-1", "0", "1"):
        def post(priority=priority):
            assert server.detect(slow_photo(), f"priority={priority}").status == 200
            done.append(priority)
        thread = threading.Thread(target=post)
        thread.start()
        waiting.append(thread)
        wait_until(lambda: metrics.total(metrics.read(server), metrics.QUEUE_DEPTH) == len(waiting), what="it is queued")
    for thread in waiting:
        thread.join()
    assert done == ["1", "0", "-1"]
    first.close()


def test_same_priority_is_first_come_first_served(serve):
    server = serve(threads=1)
    first = occupy(server)
    done, waiting = [], []
    for number in range(4):
        def post(number=number):
            assert server.detect(CAT).status == 200
            done.append(number)
        thread = threading.Thread(target=post)
        thread.start()
        waiting.append(thread)
        wait_until(lambda: metrics.total(metrics.read(server), metrics.QUEUE_DEPTH) == len(waiting), what="it is queued")
    for thread in waiting:
        thread.join()
    assert sorted(done) == done
    first.close()


def test_deadline_that_passes_while_it_runs_is_504(serve):
    server = serve(threads=1)
    assert_problem(server.detect(slow_photo(), "timeout_ms=20"), 504, "20")
    assert server.detect(CAT).status == 200


def test_deadline_that_passes_in_the_queue_is_answered_then_and_not_later(serve):
    server = serve(threads=1)
    crowd = [occupy(server)] + [server.send_photo(slow_photo()) for _ in range(5)]
    reply = server.detect(CAT, "timeout_ms=100")
    assert_problem(reply, reply.status)
    assert reply.status in (429, 504)
    assert reply.seconds < 0.1 + 0.5
    for connection in crowd:
        connection.close()


MADE_IN_STEPS = [("score=0.3", "image/png"), ("score=0&max=1000&masks=png", "*/*"), ("score=0&max=1000", "image/jpeg")]


@pytest.mark.parametrize("query, accept", MADE_IN_STEPS[:2] if SANITIZED else MADE_IN_STEPS)
def test_deadline_that_passes_while_the_reply_is_made_is_504_then(serve, query, accept):
    server, large = serve(threads=1), large_photo(side=1400 if SANITIZED == "thread" else 1800)
    for _ in range(2):  # the first also brings memory in
        whole = server.detect(large, query, {"Accept": accept})
    ms = {phase: float(taken) for phase, taken in re.findall(r"(\w+);dur=([\d.]+)", whole.headers["Server-Timing"])}
    worked = ms["decode"] + ms["infer"] + ms["masks"]
    deadline = int((worked + ms["total"]) / 2)
    reply = server.detect(large, f"{query}&timeout_ms={deadline}", {"Accept": accept})
    assert_problem(reply, 504, str(deadline))
    assert reply.seconds < deadline / 1000 + 1 or SANITIZED


def test_deadline_that_passes_while_a_png_is_read_is_504_then(serve):
    server = serve(threads=1)
    whole = server.detect(large_photo("PNG"))
    reply = server.detect(large_photo("PNG"), "timeout_ms=20")
    assert_problem(reply, 504, "20")
    assert reply.seconds < whole.seconds - whole.json()["timing_ms"]["decode"] / 1000 / 2 or SANITIZED


def test_server_s_own_deadline_holds_when_the_client_names_none(serve):
    server = serve(threads=1, timeout_ms=20)
    assert_problem(server.detect(slow_photo()), 504)


def test_work_past_its_deadline_is_dropped(serve):
    server = serve(threads=1)
    for _ in range(5):
        assert server.detect(slow_photo(), "timeout_ms=20").status in (429, 504)
    wait_until(lambda: running(server) == 0, seconds=5, what="nobody works on what nobody waits for")


def test_overload_answers_every_accepted_job_and_refuses_the_rest_at_once(serve):
    slots = 4
    server = serve(threads=1, queue_slots=slots)
    capacity = 1 + slots
    photos = [slow_photo()] * (10 * capacity)
    replies = post_many(server, photos)
    accepted = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status != 200]
    assert len(accepted) >= capacity - 1, "what fits is served"
    assert refused, "the rest is refused"
    for reply in refused:
        assert_problem(reply, 429)
        assert int(reply.headers["Retry-After"]) >= 1
    assert max(reply.seconds for reply in refused) < 2
    samples = metrics.read(server)
    if not SANITIZED: # a sanitizer's own memory is several times the server's
        assert server.memory_peak_bytes() <= metrics.total(samples, metrics.BUDGET)
    assert metrics.total(samples, metrics.REFUSED, reason="queue_full") == len(refused)
    assert metrics.total(samples, metrics.JOBS, outcome="done") == len(accepted)


def test_refusal_by_a_full_queue_does_not_wait_for_the_body(serve):
    server = serve(threads=1, queue_slots=1)
    crowd = [occupy(server), server.send_photo(slow_photo())]
    wait_until(lambda: metrics.total(metrics.read(server), metrics.QUEUE_DEPTH) == 1, what="the queue is full")
    began = time.monotonic()
    with server.connect() as connection:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(CAT))
        assert read_reply(connection).status == 429
    assert time.monotonic() - began < 1
    for connection in crowd:
        connection.close()
