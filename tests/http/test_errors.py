"""Every refusal of the contract's table that needs no load and no clock. Each is problem+json and says what was wrong."""

import base64
import gzip
import http.client
import json
import threading
import time

import pytest

import metrics
from heed import SANITIZED, assert_problem, multipart, read_reply
from pictures import encode, photo, picture

CAT = photo("chelsea.jpg")
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/detect/", "/v1/detect/cat", "//v1/detect", "/V1/detect", "/v1/models/yolo",
                                  "/%00", "/v1/%64etect", "/../etc/passwd"])
def test_unknown_route_is_404(server, path):
    assert_problem(server.get(path), 404)


@pytest.mark.parametrize("method, path, allowed", [
    ("GET", "/v1/detect", "POST"), ("DELETE", "/v1/detect", "POST"), ("PUT", "/v1/detect", "POST"), ("PATCH", "/v1/detect", "POST"),
    ("POST", "/health/live", "GET"), ("POST", "/metrics", "GET"), ("POST", "/v1/models", "GET"), ("DELETE", "/health/ready", "GET")])
def test_wrong_method_is_405_and_allow_says_what_there_is(server, method, path, allowed):
    reply = server.request(method, path, b"" if method != "GET" else None)
    assert_problem(reply, 405)
    assert allowed in [word.strip() for word in reply.headers["Allow"].split(",")]


@pytest.mark.parametrize("line, status", [("GET /nothing", 404), ("GET /v1/detect", 405), ("HEAD /nothing", 404), ("POST /metrics", 405)])
def test_a_refusal_without_a_body_leaves_the_connection_open(server, line, status):
    with server.connect() as connection:
        for expect in ("", "Expect: 100-continue\r\n", ""):
            connection.sendall(f"{line} HTTP/1.1\r\nHost: heed\r\n{expect}\r\n".encode())
            answer = http.client.HTTPResponse(connection, method=line.split()[0])
            answer.begin()
            answer.read()
            assert answer.status == status and answer.headers["Connection"] != "close", answer.headers
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: heed\r\n\r\n")
        assert read_reply(connection).status == 200


@pytest.mark.parametrize("path", ["/health/live", "/metrics", "/v1/models"])
def test_head_is_get_without_the_body(server, path):
    reply = server.request("HEAD", path)
    assert reply.status == 200 and reply.body == b""


@pytest.mark.parametrize("body", [b"<html></html>", b"%PDF-1.4", b"hello", b"\x00" * 1000, b"\xff", b"\xff\xd8", b"\x89PNG",
                                  encode(picture("chelsea.jpg"), "GIF"), encode(picture("chelsea.jpg"), "BMP"),
                                  encode(picture("chelsea.jpg"), "WEBP")],
                         ids=["html", "pdf", "text", "zeros", "one byte", "two bytes", "four bytes", "gif", "bmp", "webp"])
def test_not_an_image_type_we_read_is_415_or_422(server, body):
    reply = server.detect(body)
    assert_problem(reply, reply.status)
    looks_like_one = body[:2] in (b"\xff\xd8", b"\x89P")
    assert reply.status in ((415, 422) if looks_like_one else (415,)), reply


def test_gif_is_told_what_is_read(server):
    assert_problem(server.detect(encode(picture("chelsea.jpg"), "GIF")), 415, "JPEG", "PNG")


@pytest.mark.parametrize("body", [CAT, gzip.compress(CAT)], ids=["as it is", "packed"])
def test_a_coded_body_is_415_and_the_coding_named(server, body):
    assert_problem(server.detect(body, headers={"Content-Encoding": "gzip"}), 415, "Content-Encoding", '"gzip"', "identity")
    assert server.detect(CAT, headers={"Content-Encoding": "identity"}).status == 200


def test_empty_body_is_refused(server):
    reply = server.detect(b"")
    assert_problem(reply, reply.status)
    assert reply.status in (400, 415)


@pytest.mark.parametrize("keep", [0.02, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["chelsea.jpg", "camera.png"])
def test_truncated_photo_is_422(server, name, keep):
    whole = photo(name)
    assert_problem(server.detect(whole[:int(len(whole) * keep)]), 422)


def test_damaged_png_is_422(server):
    damaged = bytearray(photo("camera.png"))
    damaged[len(damaged) // 2] ^= 0xFF
    assert_problem(server.detect(bytes(damaged)), 422)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"image"', b"{}", b'{"image": 5}', b'{"image": null}', b'{"image": ""}',
                                  b'{"image": "not base64!"}', b'{"image": "QUJD=DEF"}', b'{"image": "QUI=", "image": "QUI="}',
                                  b"[" * 100000, b'{"image": "QUI="} trailing', b'{"image": "\xff\xfe"}', b'{"image\x00": ""}'])
def test_malformed_json_is_refused(server, body):
    reply = server.detect(body, headers=JSON)
    assert_problem(reply, reply.status)
    assert reply.status == 400, reply


@pytest.mark.parametrize("body", [
    b'{"classes":[' + b"{}," * 8000000 + b'{}],"image":"QUI="}', b'{"image":"QUI=","classes":[' + b"[]," * 8000000 + b"[]]}",
    b'{"image":"QUI="' + b',"a":0' * 4000000 + b"}", b"[" * 30000000, b'{"x":"' + b"\\/" * 15000000 + b'"}', b'{"image":"' + b"\\/" * 15000000 + b'"}'],
    ids=["objects", "lists behind the image", "members", "depth", "escapes", "escapes in the image"])
def test_much_json_is_neither_built_nor_waited_for(serve, body):
    """30 MB that a parser would make gigabytes of: refused, quickly, and others are answered meanwhile."""
    server = serve()
    before = metrics.total(metrics.read(server), "process_resident_memory_bytes")
    slowest = [0.0]
    over = threading.Event()

    def look():
        while not over.is_set():
            began = time.monotonic()
            assert server.request("GET", "/health/live").status == 200
            slowest[0] = max(slowest[0], time.monotonic() - began)

    watcher = threading.Thread(target=look)
    watcher.start()
    reply = server.detect(body, headers=JSON)
    over.set()
    watcher.join()
    assert_problem(reply, reply.status)
    assert reply.status in (400, 413, 415), reply
    grown = metrics.total(metrics.read(server), "process_resident_memory_bytes") - before
    assert grown < (400 << 20 if SANITIZED else 100 << 20), grown  # the body itself, and a copy of the image
    assert slowest[0] < (5 if SANITIZED else 0.5), slowest


def test_many_classes_are_refused_at_once(server):
    form, content_type = multipart([("image", CAT, "cat.jpg"), ("classes", b"cat," * 5000000 + b"cat")])
    began = time.monotonic()
    assert_problem(server.detect(form, headers={"Content-Type": content_type}), 400, "classes")
    assert time.monotonic() - began < (20 if SANITIZED else 1)


def test_nothing_between_two_ands_is_no_option(server):
    assert server.detect(CAT, "&max=1&&score=0.5&").status == 200
    assert_problem(server.detect(CAT, "max=1&=5"), 400)


def test_control_characters_in_the_photo_are_not_json(server):
    assert_problem(server.detect(b'{"image": "QUI\n="}', headers=JSON), 400, "control")


def test_json_photo_that_is_no_photo_is_415(server):
    body = json.dumps({"image": base64.b64encode(b"just some words").decode()})
    assert_problem(server.detect(body, headers=JSON), 415)


def test_json_without_its_content_type_is_told_what_is_missing(server):
    body = json.dumps({"image": base64.b64encode(CAT).decode()})
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
        assert_problem(server.detect(body, headers=headers), 415, "JSON", "Content-Type: application/json")


def test_a_form_with_lines_of_the_other_kind_is_told_so(server):
    form, content_type = multipart([("image", b"x", "x.jpg")])
    assert_problem(server.detect(form.replace(b"\r\n", b"\n"), headers={"Content-Type": content_type}), 400, "LF alone", "CR LF")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="',
                                          "multipart/form-data; boundary=" + "x" * 300])
def test_multipart_without_a_usable_boundary_is_400(server, content_type):
    assert_problem(server.detect(b"--x\r\n\r\n--x--\r\n", headers={"Content-Type": content_type}), 400)


@pytest.mark.parametrize("body", [
    b"", b"no parts at all", b"--x--\r\n", b"--x\r\n", b"--x\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nhalf",
    b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n",
    b"--x\r\nContent-Disposition: form-data; name=\"score\"\r\n\r\n0.5\r\n--x--\r\n"],
    ids=["empty", "no parts", "only the end", "begun", "not ended", "no name", "no photo"])
def test_malformed_multipart_is_400(server, body):
    assert_problem(server.detect(body, headers={"Content-Type": "multipart/form-data; boundary=x"}), 400)


def test_one_bad_photo_of_several_names_which(server):
    form, content_type = multipart([("image", CAT, "cat.jpg"), ("image", b"hello", "words.txt")])
    reply = server.detect(form, headers={"Content-Type": content_type})
    assert_problem(reply, 415)


def test_bad_percent_escapes_in_the_query_are_400(server):
    for query in ("score=%zz", "score=%", "score=%4"):
        assert_problem(server.detect(CAT, query), 400)


def test_after_every_refusal_the_server_still_works(server):
    for _ in range(3):
        assert server.detect(b"hello").status == 415
        assert server.detect(CAT).status == 200


