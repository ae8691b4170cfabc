"""Clients that do not finish sending are answered 408 and cost nobody else anything."""

import time

import pytest

from heed import read_reply, read_to_end
from pictures import photo

CAT = photo("chelsea.jpg")
HEAD = b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nContent-Length: %d\r\n\r\n" % len(CAT)


@pytest.fixture
def hasty(serve):
    return serve(header_timeout_ms=1000, body_timeout_ms=1000, idle_timeout_ms=1000)


@pytest.mark.parametrize("sent", [HEAD, HEAD + CAT[:1000]], ids=["no body", "half a body"])
def test_half_a_request_is_408_and_closed(hasty, sent):
    with hasty.connect() as connection:
        connection.sendall(sent)
        began = time.monotonic()
        answer, closed = read_to_end(connection)
        assert answer.startswith(b"HTTP/1.1 408 ") and closed, answer
        assert b"application/problem+json" in answer
        assert 0.5 < time.monotonic() - began < 5


@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("sent", [b"", b"POST /v1/de", HEAD[:40]], ids=["nothing", "half a line", "half a header"])
def test_half_a_head_is_408_and_nothing_is_closed_without_a_word(hasty, sent, kept):
    with hasty.connect() as connection:
        if kept:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: heed\r\n\r\n")
            assert read_reply(connection).status == 200
        connection.sendall(sent)
        began = time.monotonic()
        answer, closed = read_to_end(connection)
        assert closed and answer.startswith(b"HTTP/1.1 408 ") == bool(sent) and bool(answer) == bool(sent), answer
        assert 0.5 < time.monotonic() - began < 5


def test_a_drop_now_and_then_does_not_keep_a_connection_for_ever(hasty):
    with hasty.connect() as connection:
        connection.sendall(HEAD)
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - began < 10:
                connection.sendall(CAT[:1])
                time.sleep(0.2)
        assert time.monotonic() - began < 8


def test_others_are_served_meanwhile(hasty):
    waiting = [hasty.connect() for _ in range(50)]
    for connection in waiting:
        connection.sendall(HEAD + CAT[:100])
    began = time.monotonic()
    assert hasty.detect(CAT).status == 200
    assert time.monotonic() - began < 5
    for connection in waiting:
        connection.close()


def test_a_client_that_does_not_read_its_answer_harms_nobody(serve):
    server = serve()
    deaf = [server.send_photo(CAT) for _ in range(8)]
    assert server.detect(CAT).status == 200
    for connection in deaf:
        connection.close()
