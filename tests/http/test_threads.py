"""The answer is the same to the last bit for any number of threads."""

import pytest

import metrics
from heed import SANITIZED, before_timing
from pictures import photo

PHOTOS = ("chelsea.jpg", "camera.png") if SANITIZED else ("chelsea.jpg", "astronaut.jpg", "rocket.jpg", "camera.png")


@pytest.mark.parametrize("threads", [2] if SANITIZED else [2, 3])
def test_as_with_one_thread(serve, threads):
    one, many = serve(threads=1), serve(threads=threads)
    for name in PHOTOS:
        for query in ("score=0.02", "score=0.02&masks=polygon"):
            few, more = one.detect(photo(name), query), many.detect(photo(name), query)
            assert before_timing(few.body) == before_timing(more.body), name


def test_while_others_ask_at_the_same_time(serve):
    from test_queue import post_many
    server = serve(threads=3)
    alone = before_timing(server.detect(photo("astronaut.jpg"), "score=0.02").body)
    for reply in post_many(server, [photo("astronaut.jpg")] * (4 if SANITIZED else 8), "score=0.02"):
        assert reply.status == 200 and before_timing(reply.body) == alone


def test_threads_that_have_no_memory_for_a_photo_of_their_own_help(serve):
    """224 MiB are set aside for a photo: for one at a time there is room, and three threads are at it."""
    from test_queue import post_many
    server = serve(threads=3, memory_mb=500)
    assert "photos_at_a_time=1" in server.log()
    assert metrics.total(metrics.read(server), "heed_workers") == 1
    alone = before_timing(serve(threads=1).detect(photo("chelsea.jpg"), "score=0.02").body)
    for reply in post_many(server, [photo("chelsea.jpg")] * 4, "score=0.02"):
        assert reply.status == 200 and before_timing(reply.body) == alone
