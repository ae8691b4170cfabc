"""Accept chooses between the answer as JSON and the picture with the answer drawn on it."""

import io

import numpy
import pytest
from PIL import Image

from heed import read_reply
from pictures import encode, photo, picture

CAT = photo("chelsea.jpg")


def drawn(reply, form):
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == f"image/{form.lower()}"
    image = Image.open(io.BytesIO(reply.body))
    assert image.format == form
    return image.convert("RGB")


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_picture_is_the_photo_with_the_object_marked(server, form):
    image = drawn(server.detect(CAT, headers={"Accept": f"image/{form.lower()}"}), form)
    assert image.size == (451, 300)
    change = numpy.abs(numpy.asarray(image, int) - numpy.asarray(picture("chelsea.jpg"), int)).sum(axis=2)
    x, y, width, height = (int(side) for side in server.detect(CAT).json()["detections"][0]["box"])
    inside = change[max(y, 0):y + height, max(x, 0):x + width]
    assert (inside > 40).mean() > 0.2, "the mask is tinted"


def test_picture_of_nothing_is_the_photo(server):
    image = drawn(server.detect(encode(picture("chelsea.jpg"), "PNG"), "classes=airplane", {"Accept": "image/png"}), "PNG")
    assert (numpy.asarray(image) == numpy.asarray(picture("chelsea.jpg"))).all()


@pytest.mark.parametrize("accept, content_type", [
    (None, "application/json"), ("*/*", "application/json"), ("application/json", "application/json"),
    ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"), ("image/jpeg, application/json;q=0.1", "image/jpeg"),
    ("application/json, image/png;q=0.1", "application/json"), ("image/png;q=0.5, image/jpeg", "image/jpeg"),
    ("*/*, image/png;q=0.1", "application/json"), ("application/*, image/png;q=0.5", "application/json"),
    ("text/html, image/png;q=0.2, */*;q=0.9", "application/json"), ("image/png, */*", "image/png"), ("image/png;q=0.3, */*;q=0.2", "image/png"),
    ("application/json;q=0, */*, image/png;q=0.1", "image/png"), ("application/*;q=0.1, */*, image/png;q=0.5", "image/png"),
    ("image/jpeg;q=0.2, image/png;q=0.9", "image/png"), ("IMAGE/PNG", "image/png"), ("image/png;q=0, */*", "application/json")])
def test_accept_is_read_as_http_says(server, accept, content_type):
    reply = server.detect(CAT, headers={"Accept": accept} if accept else {})
    assert reply.status == 200 and reply.headers["Content-Type"].split(";")[0] == content_type, reply


@pytest.mark.parametrize("lines, content_type", [
    (["text/html", "image/png"], "image/png"), (["application/json;q=0.1", "image/jpeg"], "image/jpeg"),
    (["image/png;q=0.1", "application/json"], "application/json")])
def test_several_accept_lines_are_one_list(server, lines, content_type):
    head = "POST /v1/detect HTTP/1.1\r\nHost: heed\r\n" + "".join(f"Accept: {line}\r\n" for line in lines)
    with server.connect() as connection:
        connection.sendall(f"{head}Content-Length: {len(CAT)}\r\n\r\n".encode() + CAT)
        reply = read_reply(connection)
    assert reply.status == 200 and reply.headers["Content-Type"] == content_type, reply


def test_refusals_stay_problem_json(server):
    assert server.detect(b"hello", headers={"Accept": "image/png"}).headers["Content-Type"].startswith("application/problem+json")


def test_timing_travels_with_the_picture(server):
    assert "infer;dur=" in server.detect(CAT, headers={"Accept": "image/jpeg"}).headers["Server-Timing"]
