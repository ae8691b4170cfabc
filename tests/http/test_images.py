"""JPEG and PNG in every dress: one photo, one answer, as a person sees it."""

import os

import pytest
from PIL import Image

from heed import ROOT, assert_problem
from pictures import blank, encode, overlap, photo, picture, stored_as

CAT = picture("chelsea.jpg")


def cat_in(server, body):
    reply = server.detect(body, "score=0.1")
    assert reply.status == 200, reply
    answer = reply.json()
    assert answer["image"] == {"width": 451, "height": 300}
    cats = [one["box"] for one in answer["detections"] if one["label"] == "cat"]
    assert cats, answer
    return cats[0]


@pytest.fixture(scope="module")
def cat_box(server):
    return cat_in(server, encode(CAT, quality=95))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(server, cat_box, orientation):
    assert overlap(cat_in(server, stored_as(CAT, orientation)), cat_box) > 0.9


@pytest.mark.parametrize("options", [dict(quality=95, progressive=True), dict(quality=95, subsampling=0), dict(quality=95, subsampling=1),
                                     dict(quality=95, subsampling=2), dict(quality=60), dict(quality=95, optimize=True),
                                     dict(quality=95, restart_marker_rows=1), dict(quality=95, comment=b"x" * 5000)], ids=str)
def test_jpeg_codings(server, cat_box, options):
    assert overlap(cat_in(server, encode(CAT, **options)), cat_box) > 0.85


def test_jpeg_of_cmyk(server, cat_box):
    assert overlap(cat_in(server, encode(CAT.convert("CMYK"), quality=95)), cat_box) > 0.8


def test_jpeg_of_greys(server):
    assert server.detect(encode(CAT.convert("L"), quality=95)).json()["image"] == {"width": 451, "height": 300}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_png_colours(server, cat_box, mode):
    image = CAT.quantize(256) if mode == "P" else CAT.convert(mode)
    assert overlap(cat_in(server, encode(image, "PNG")), cat_box) > 0.8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_png_greys(server, mode):
    image = CAT.convert("L").point(lambda v: v * 256, "I").convert("I;16") if mode == "I;16" else CAT.convert(mode)
    reply = server.detect(encode(image, "PNG"))
    assert reply.status == 200 and reply.json()["image"] == {"width": 451, "height": 300}, reply


def test_png_and_its_pixels_as_any_other_png_agree_to_the_last_bit(server):
    plain, other = encode(CAT, "PNG", compress_level=1), encode(CAT.convert("RGBA"), "PNG", compress_level=9)
    assert server.detect(plain).json()["detections"] == server.detect(other).json()["detections"]


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 3), (1, 500), (500, 1), (7, 13), (17, 16), (4000, 3)], ids=str)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_odd_sizes(server, size, form):
    reply = server.detect(blank(*size, form), "score=0.01")
    assert reply.status == 200, reply
    assert reply.json()["image"] == {"width": size[0], "height": size[1]}
    for one in reply.json()["detections"]:
        assert one["mask"]["size"] == [size[1], size[0]]


@pytest.mark.parametrize("size", [(1, 16777219), (1, 16880031)], ids=str)
def test_more_rows_than_a_float_can_count(server, size):
    reply = server.detect(blank(*size, "PNG"))
    assert reply.status == 200, reply
    assert reply.json()["image"] == {"width": size[0], "height": size[1]}


def test_bytes_after_the_end_of_a_jpeg_are_ignored(server, cat_box):
    assert cat_in(server, encode(CAT, quality=95) + b"and a trailer, as some cameras write") == cat_box


def test_a_jpeg_cut_at_a_restart_marker_is_422(server):
    with open(os.path.join(ROOT, "tests", "fuzz", "seeds", "jpeg", "restarts.jpg"), "rb") as file: # not every Pillow writes them
        jpeg = file.read()
    for junk in (b"", b"\x55" * 40):
        assert_problem(server.detect(jpeg[:jpeg.index(b"\xff\xd1")] + junk + b"\xff\xd9"), 422)
    assert server.detect(jpeg[:-2] + b"\x55" * 40 + b"\xff\xd9").status == 200


def test_wrong_exif_does_not_lose_the_photo(server):
    jpeg = photo("chelsea.jpg")
    for exif in (b"Exif\x00\x00", b"Exif\x00\x00MM\x00*\xff\xff\xff\xff", b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff"):
        segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
        assert cat_in(server, jpeg[:2] + segment + jpeg[2:])


def test_exif_orientation_out_of_range_is_taken_as_upright(server):
    exif = Image.Exif()
    exif[0x0112] = 9
    assert cat_in(server, encode(CAT, quality=95, exif=exif))


def test_arithmetic_or_lossless_jpeg_is_an_answer_with_a_reason(server):
    jpeg = bytearray(photo("chelsea.jpg"))
    jpeg[jpeg.index(b"\xff\xc0") + 1] = 0xC3 # lossless, of which nothing is read
    assert_problem(server.detect(bytes(jpeg)), 422)
