"""jpeg_decoding "scaled": large JPEGs decoded smaller; everything in the answer is of the photo that was sent."""

import io

import pytest
from PIL import Image

from pictures import encode, overlap, picture

LARGE = picture("chelsea.jpg").resize((2706, 1800))


@pytest.fixture
def scaled(serve):
    return serve(jpeg_decoding="scaled")


def cat_of(server, body):
    answer = server.detect(body, "score=0.3&classes=cat&max=1").json()
    assert answer["image"] == {"width": 2706, "height": 1800}
    return answer["detections"][0]


def test_boxes_and_masks_are_of_the_photo_that_was_sent(server, scaled):
    body = encode(LARGE, quality=95)
    exact, fast = cat_of(server, body), cat_of(scaled, body)
    assert exact != fast, "it was decoded smaller"
    assert overlap(exact["box"], fast["box"]) > 0.95
    assert fast["mask"]["size"] == [1800, 2706]
    assert abs(fast["area"] / exact["area"] - 1) < 0.05


def test_png_and_small_photos_stay_exact(server, scaled):
    for body in (encode(LARGE, "PNG", compress_level=1), encode(picture("chelsea.jpg"), quality=95)):
        answers = [one.detect(body, "score=0.3").json()["detections"] for one in (server, scaled)]
        assert answers[0] == answers[1] and answers[0]


def test_a_picture_is_drawn_on_in_full(scaled):
    reply = scaled.detect(encode(LARGE, quality=95), headers={"Accept": "image/jpeg"})
    assert reply.status == 200
    assert Image.open(io.BytesIO(reply.body)).size == LARGE.size
