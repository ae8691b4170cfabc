"""Clients that do not finish sending are answered 408 and cost nobody else anything."""

import re
import signal
import socket
import time

import pytest
from PIL import Image

import metrics
from heed import read_reply, read_to_end, wait_until
from pictures import encode, photo

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


def test_an_empty_line_behind_a_request_is_no_half_a_request(hasty):
    with hasty.connect() as connection:
        for ending in (b"\r\n", b"\r\n", b""):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: heed\r\n\r\n" + ending)
            assert read_reply(connection).status == 200
        connection.sendall(b"\r\n")
        answer, closed = read_to_end(connection)
        assert closed and answer == b"", answer


def test_what_came_in_time_is_served_however_late_the_server_is(hasty):
    with hasty.connect() as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        time.sleep(0.1)
        hasty.process.send_signal(signal.SIGSTOP)
        connection.sendall(b"Host: heed\r\n\r\n")
        time.sleep(1.5)
        hasty.process.send_signal(signal.SIGCONT)
        assert read_reply(connection).status == 200


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


def test_lengths_that_are_only_announced_take_nothing_from_others(serve):
    server = serve()
    announced = [server.connect() for _ in range(40)]
    for connection in announced:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nContent-Length: 33554432\r\n\r\n" + b"x" * 100)
    assert server.detect(CAT).status == 200
    for connection in announced:
        connection.close()


def send_for_a_picture(server, photo, buffer_bytes=4096):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", server.port))
    head = b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nAccept: image/png\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % len(photo) + photo)
    return connection


def test_pictures_that_nobody_takes_stay_within_the_memory(serve):
    photo = encode(Image.effect_noise((2000, 1500), 80).convert("RGB"), quality=30)  # a picture of 4 MB, unlike most
    server = serve(threads=1, pixels_max=3000000, connections_max=50, memory_mb=110)
    limit = metrics.total(metrics.read(server), "heed_in_flight_limit_bytes")
    crowd = [send_for_a_picture(server, photo) for _ in range(16)]
    wait_until(lambda: metrics.total(metrics.read(server), metrics.QUEUE_DEPTH) == 0
               and metrics.total(metrics.read(server), metrics.RUNNING) == 0, seconds=100, what="all are worked on")
    assert metrics.total(metrics.read(server), metrics.IN_FLIGHT_BYTES) <= limit
    statuses = [connection.recv(12)[9:] for connection in crowd]
    assert set(statuses) == {b"200", b"503"}, statuses
    for connection in crowd:
        connection.close()


def test_a_reply_is_waited_for_while_it_is_taken_and_not_while_it_is_not(serve):
    server = serve(send_timeout_ms=500)
    photo = encode(Image.effect_noise((2500, 1600), 80).convert("RGB"), quality=30)
    began = time.monotonic()
    with send_for_a_picture(server, photo, buffer_bytes=65536) as slow:
        received = slow.recv(65536)
        size = int(re.search(rb"Content-Length: (\d+)", received)[1]) + received.index(b"\r\n\r\n") + 4
        while len(received) < size:
            if time.monotonic() - began < 4:  # several times the limit
                time.sleep(0.1)
            piece = slow.recv(65536)
            assert piece, f"closed after {len(received)} of {size} bytes"
            received += piece
    assert time.monotonic() - began > 4
    with send_for_a_picture(server, photo) as deaf:
        wait_until(lambda: "broken off" in server.log(), seconds=60, what="the server gives up")


def test_an_upload_that_is_broken_off_is_told_of(serve):
    server = serve()
    with server.connect() as connection:
        connection.sendall(HEAD + CAT[:1000])
        time.sleep(0.1)
    wait_until(lambda: "client_left" in server.log(), what="the log has it")
    assert metrics.total(metrics.read(server), metrics.REFUSED, reason="client_left") == 1
