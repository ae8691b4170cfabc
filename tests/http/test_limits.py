"""Limits are read from the header, before the body is taken in or the pixels are decoded."""

import base64
import json
import time
import zlib

import pytest

import metrics
from heed import assert_problem, before_timing, multipart, read_reply, read_to_end, wait_until
from pictures import blank, encode, photo, picture, slow_photo, with_size

CAT = photo("chelsea.jpg")


def test_body_over_the_limit_is_413_and_names_the_limit(serve):
    server = serve(body_bytes_max=100000)
    assert server.detect(CAT).status == 200
    assert_problem(server.detect(CAT + b"x" * 100000), 413, "100000")


def test_body_over_the_limit_is_refused_before_it_is_sent(serve):
    server = serve(body_bytes_max=100000)
    head = b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nContent-Length: %d\r\n\r\n"
    for length in (100001, 10 ** 12, 2 ** 63 - 1):
        message, closed = server.raw(head % length)
        assert message.startswith(b"HTTP/1.1 413 ") and closed, message


def test_chunked_body_over_the_limit_is_413(serve):
    server = serve(body_bytes_max=100000)
    with server.connect() as connection:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nTransfer-Encoding: chunked\r\n\r\n")
        received = b""
        try:
            for _ in range(200):
                connection.sendall(b"%x\r\n%s\r\n" % (1000, b"\xff" * 1000))
            connection.sendall(b"0\r\n\r\n")
            received = connection.recv(65536)
        except OSError:
            received = received or connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 413 "), received


def test_more_pixels_than_allowed_are_413_whatever_the_body_holds(serve):
    server = serve(pixels_max=200000)
    assert server.detect(CAT).status == 200
    assert_problem(server.detect(blank(1000, 1000)), 413, "1000", "200000")
    assert_problem(server.detect(blank(1000, 1000, "PNG")), 413, "1000", "200000")


def test_a_claim_of_four_gigapixels_costs_nothing(server):
    began = time.monotonic()
    before = server.memory_peak_bytes()
    assert_problem(server.detect(with_size(CAT, 65500, 65500)), 413)
    assert time.monotonic() - began < 2
    assert server.memory_peak_bytes() - before < 64 << 20


def test_photo_of_many_scans_is_refused_by_its_scans(serve):
    progressive = encode(picture("chelsea.jpg"), quality=90, progressive=True)
    assert_problem(serve(scans_max=3).detect(progressive), 413, "scan", "3")
    assert serve(scans_max=100).detect(progressive).status == 200


def test_scans_behind_a_segment_without_a_length_are_counted(serve):
    progressive = encode(picture("chelsea.jpg"), quality=90, progressive=True)
    second = progressive.index(b"\xff\xda", progressive.index(b"\xff\xda") + 2)
    hidden = progressive[:second] + b"\xff\xe2\0\0" + progressive[second:]
    assert_problem(serve(scans_max=3).detect(hidden), 413, "scan", "3")
    assert serve(scans_max=100).detect(hidden).status == 200


def test_largest_photo_of_the_default_limits_is_served(server):
    assert server.detect(slow_photo()).status == 200


def forms_of(body):
    """The same photo in every form a request can have: (body, headers)."""
    form, form_type = multipart([("image", body, "photo")])
    text = base64.b64encode(body).decode()
    lines = base64.encodebytes(body).decode()
    as_json = {"Content-Type": "application/json"}
    return [(body, {}), (form, {"Content-Type": form_type}), (json.dumps({"image": text}), as_json), ('{"image":"\\n' + text + '"}', as_json),
            (json.dumps({"image": lines}), as_json), (json.dumps({"image": text}).replace("/", "\\/"), as_json),
            ('{"image": "' + "".join(f"\\u{ord(c):04x}" for c in text[:64]) + text[64:] + '", "max": 100}', as_json)]


@pytest.mark.parametrize("query, size, form, count", [("max=600", (4032, 3024), "JPEG", 16), ("max=1000", (40000, 800), "JPEG", 1),
                                                      ("max=1000&masks=polygon", (6000, 5500), "JPEG", 1)])
def test_what_is_within_every_limit_is_not_refused_for_a_guess(server, query, size, form, count):
    body, content_type = multipart([("image", blank(*size, form), "photo")] * count)
    assert server.detect(body, query + "&score=0.9", {"Content-Type": content_type}).status == 200


def test_long_thin_photo_is_served_in_every_form(server):
    long = blank(1000000, 1, "PNG")
    text = b"".join([long[:33], (200000).to_bytes(4, "big"), b"teXt", bytes(200000), zlib.crc32(b"teXt" + bytes(200000)).to_bytes(4, "big")])
    for photo_bytes in (long, text + long[33:]):
        answers = [server.detect(body, headers=headers) for body, headers in forms_of(photo_bytes)]
        assert [answer.status for answer in answers] == [200] * 7, answers
        assert {before_timing(answer.body) for answer in answers} == {before_timing(answers[0].body)}


@pytest.fixture
def narrow(serve):
    """A server with hardly more memory for requests than the least there is: 16 MiB."""
    samples = metrics.read(serve(threads=1))
    fixed = metrics.total(samples, metrics.BUDGET) - metrics.total(samples, "heed_in_flight_limit_bytes")
    return serve(threads=1, memory_mb=int(fixed) // (1 << 20) + 17)


def test_bodies_that_fitted_when_they_were_announced_and_do_not_any_more(narrow):
    body = CAT + b"\0" * (12 << 20)
    head = b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nContent-Length: %d\r\n\r\n" % len(body)
    with narrow.connect() as first, narrow.connect() as second:
        for connection in (first, second):
            connection.sendall(head)
        first.sendall(body[:10 << 20])
        wait_until(lambda: metrics.total(metrics.read(narrow), metrics.IN_FLIGHT_BYTES) >= 10 << 20, what="it holds that")
        second.sendall(body[:1 << 20])
        second.settimeout(30)
        try:
            while True:
                second.sendall(body[:1 << 16])
        except OSError:
            pass  # closed, as it should be
        first.sendall(body[10 << 20:])
        assert read_reply(first).status == 200
    samples = metrics.read(narrow)
    assert metrics.total(samples, metrics.REFUSED, reason="no_memory") == 1
    assert metrics.total(samples, metrics.IN_FLIGHT_BYTES) == 0


def test_work_beyond_the_memory_is_413_with_a_reason_of_its_own_in_every_form(narrow):
    for body, headers in forms_of(slow_photo((3000, 2000))):
        problem = assert_problem(narrow.detect(body, headers=headers), 413, "memory", "MiB")
        assert problem["type"] == "urn:heed:problem:too_much_memory" and "memory" in problem["title"]


def test_masks_beyond_the_memory_are_413_and_not_made(narrow):
    photo_bytes = encode(picture("astronaut.jpg").resize((4032, 3024)), quality=70)
    assert narrow.detect(photo_bytes, "score=0&max=1000&masks=none").status == 200
    for masks in ("rle", "polygon"):
        problem = assert_problem(narrow.detect(photo_bytes, f"score=0&max=1000&masks={masks}"), 413, "fewer detections")
        assert problem["type"] == "urn:heed:problem:too_much_memory"
    assert narrow.detect(photo_bytes).status == 200


def test_more_photos_in_a_form_than_allowed_are_refused(serve):
    form, content_type = multipart([("image", CAT, "cat.jpg")] * 3)
    assert_problem(serve(images_max=2).detect(form, headers={"Content-Type": content_type}), 413, "2")


def test_more_connections_than_allowed_do_not_stop_the_others(serve):
    server = serve(connections_max=20)
    held = [server.connect() for _ in range(40)]
    for connection in held:
        connection.close()
    assert server.detect(CAT).status == 200


def test_a_new_connection_takes_the_place_of_one_that_has_long_been_idle(serve):
    server = serve(connections_max=5)
    idle = [server.connect() for _ in range(5)]
    time.sleep(1.2)
    assert [server.get("/health/live").status for _ in range(10)] == [200] * 10
    for connection in idle:
        connection.close()


def test_where_no_connection_is_idle_one_more_is_503(serve):
    server = serve(connections_max=3)
    busy = [server.connect() for _ in range(3)]
    for connection in busy:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nContent-Length: 1000\r\n\r\n")
    time.sleep(1.2)
    with server.connect() as connection:
        answer, closed = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 503 ") and b"urn:heed:problem:too_many_connections" in answer and closed
    for connection in busy:
        connection.close()


def test_long_header_is_431(server):
    message, _ = server.raw(b"GET /health/live HTTP/1.1\r\nHost: heed\r\nX-Long: " + b"x" * 200000 + b"\r\n\r\n")
    assert message.startswith(b"HTTP/1.1 431 "), message[:200]


def test_many_headers_are_431(server):
    many = b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(20000))
    message, _ = server.raw(b"GET /health/live HTTP/1.1\r\nHost: heed\r\n" + many + b"\r\n")
    assert message.startswith(b"HTTP/1.1 431 "), message[:200]


def test_long_target_is_refused(server):
    message, _ = server.raw(b"GET /" + b"x" * 200000 + b" HTTP/1.1\r\nHost: heed\r\n\r\n")
    assert message[:13] in (b"HTTP/1.1 414 ", b"HTTP/1.1 431 "), message[:200]


def test_large_photo_and_small_ones_fit_side_by_side(serve):
    """Eight times the large one's memory would not fit; it and eleven small ones do, and are over when they are answered."""
    server = serve(threads=8)
    large = server.send_photo(slow_photo())
    wait_until(lambda: metrics.total(metrics.read(server), metrics.RUNNING) == 1, what="the large photo is being worked on")
    small = [server.send_photo(CAT) for _ in range(11)]
    assert [read_reply(connection).status for connection in small] == [200] * 11
    small = [server.send_photo(CAT) for _ in range(11)]
    also_large = server.send_photo(slow_photo())
    for connection in [*small, large, also_large]:
        assert read_reply(connection).status == 200
        connection.close()
    wait_until(lambda: metrics.total(metrics.read(server), metrics.IN_FLIGHT_BYTES) == 0, what="all memory is returned")
