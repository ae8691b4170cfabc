"""The answer is the same to the last bit for any number of threads."""

import pytest

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
