"""The happy paths: what an answer says, and that every way of sending a photo gives the same one."""

import base64
import http.client
import json
import re

import pytest

import masks
from heed import before_timing, multipart
from pictures import blank, photo


def found(reply):
    assert reply.status == 200, reply
    return reply.json()["detections"]


def as_json(photo_bytes, **options):
    return json.dumps({"image": base64.b64encode(photo_bytes).decode(), **options})


@pytest.mark.parametrize("name", ["chelsea.jpg", "astronaut.jpg", "camera.png"])
def test_raw_multipart_and_json_give_the_same_bytes(server, name):
    raw = server.detect(photo(name), "score=0.05")
    form, content_type = multipart([("image", photo(name), name), ("score", "0.05")])
    by_form = server.detect(form, headers={"Content-Type": content_type})
    by_json = server.detect(as_json(photo(name), score=0.05), headers={"Content-Type": "application/json"})
    assert raw.status == by_form.status == by_json.status == 200, (raw, by_form, by_json)
    assert found(raw), "the comparison needs something found"
    assert before_timing(raw.body) == before_timing(by_form.body) == before_timing(by_json.body)


@pytest.mark.parametrize("name, label", [("chelsea.jpg", "cat"), ("coffee.jpg", "cup"), ("astronaut.jpg", "person")])
def test_finds_what_a_person_sees(server, name, label):
    assert label in [one["label"] for one in found(server.detect(photo(name)))]


def test_answer_has_every_field_and_fits_the_photo(server):
    answer = server.detect(photo("astronaut.jpg"), "score=0.05").json()
    assert list(answer) == ["model", "image", "detections", "timing_ms"]
    assert answer["image"] == {"width": 512, "height": 512}
    assert set(answer["timing_ms"]) == {"queue", "decode", "infer", "masks", "total"}
    assert all(value >= 0 for value in answer["timing_ms"].values())
    scores = [one["score"] for one in answer["detections"]]
    assert scores and scores == sorted(scores, reverse=True)
    for one in answer["detections"]:
        assert set(one) == {"label", "category_id", "score", "box", "mask", "area"}
        assert 0.05 <= one["score"] <= 1 and 1 <= one["category_id"] <= 90
        x, y, width, height = one["box"]
        assert 0 <= x and 0 <= y and x + width <= 512.01 and y + height <= 512.01 and width > 0 and height > 0
        assert one["mask"]["size"] == [512, 512]
        assert masks.from_rle(one["mask"]).sum() == one["area"]


def test_mask_lies_in_and_near_its_box(server):
    best = found(server.detect(photo("chelsea.jpg")))[0]
    x, y, width, height = best["box"]
    rows, columns = masks.from_rle(best["mask"]).nonzero()
    assert columns.min() >= x - width * 0.1 - 2 and columns.max() <= x + width * 1.1 + 2
    assert rows.min() >= y - height * 0.1 - 2 and rows.max() <= y + height * 1.1 + 2


def test_names_the_model_it_used(server):
    default = server.detect(photo("chelsea.jpg")).json()["model"]
    assert server.detect(photo("chelsea.jpg"), f"model={default}").json()["model"] == default


@pytest.mark.parametrize("content_type", [None, "image/png", "application/octet-stream", "text/plain",
                                          "application/x-www-form-urlencoded"])
def test_photo_is_recognised_by_its_bytes(server, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    assert found(server.detect(photo("chelsea.jpg"), headers=headers)) == found(server.detect(photo("chelsea.jpg")))


def test_several_photos_in_one_form_are_answered_in_order(server):
    names = ["chelsea.jpg", "astronaut.jpg", "coffee.jpg"]
    form, content_type = multipart([("image", photo(name), name) for name in names])
    reply = server.detect(form, headers={"Content-Type": content_type})
    assert reply.status == 200, reply
    results = reply.json()["results"]
    assert [(one["image"]["width"], one["image"]["height"]) for one in results] == [(451, 300), (512, 512), (600, 400)]
    for name, one in zip(names, results):
        assert one["detections"] == found(server.detect(photo(name)))


def test_times_of_each_photo_are_its_own(server):
    form, content_type = multipart([("image", photo("coffee.jpg"), "coffee.jpg")] * 4)
    reply = server.detect(form, headers={"Content-Type": content_type})
    times = [one["timing_ms"] for one in reply.json()["results"]]
    for one in times:
        assert one["total"] >= one["queue"] + one["decode"] + one["infer"] + one["masks"] - 0.05, one
    whole = float(re.search(r"total;dur=([\d.]+)", reply.headers["Server-Timing"])[1])
    assert whole >= times[0]["queue"] + sum(one["total"] - one["queue"] for one in times) - 0.1


def test_photo_without_objects_is_an_empty_list(server):
    assert found(server.detect(blank(320, 240), "score=0.9")) == []


def test_one_pixel_is_a_photo(server):
    assert server.detect(blank(1, 1)).json()["image"] == {"width": 1, "height": 1}


def test_chunked_upload_gives_the_same_answer(server):
    body = photo("chelsea.jpg")
    pieces = [body[at:at + 1000] for at in range(0, len(body), 1000)]
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    message, _ = server.raw(b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                            + chunked, timeout=60)
    assert message.startswith(b"HTTP/1.1 200 ")
    assert before_timing(server.detect(body).body) in message


def test_expect_100_continue_is_answered(server):
    body = photo("chelsea.jpg")
    with server.connect(60) as connection:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nConnection: close\r\nExpect: 100-continue\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_kept_connection_serves_many_photos(server):

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for _ in range(3):
        connection.request("POST", "/v1/detect", photo("chelsea.jpg"))
        answer = connection.getresponse()
        assert answer.status == 200 and b"cat" in answer.read()
    connection.close()


def test_server_timing_repeats_the_timing(server):
    reply = server.detect(photo("chelsea.jpg"))
    timing = dict(re.findall(r"(\w+);dur=([\d.]+)", reply.headers["Server-Timing"]))
    for name, value in reply.json()["timing_ms"].items():
        assert abs(float(timing[name]) - value) < 0.06, (timing, reply.json()["timing_ms"])


def test_request_id_is_echoed_when_well_formed_and_made_otherwise(server):
    assert server.get("/health/live", {"X-Request-Id": "camera-7.42_A"}).headers["X-Request-Id"] == "camera-7.42_A"
    made = server.get("/health/live").headers["X-Request-Id"]
    assert made and made != server.get("/health/live").headers["X-Request-Id"]
    for bad in ("a b", "x" * 500, 'quote"', "<script>"):
        echoed = server.get("/health/live", {"X-Request-Id": bad}).headers["X-Request-Id"]
        assert echoed and echoed != bad


