"""Every option: what it does, its three spellings, and what a bad value is told."""

import base64
import json

import pytest

import masks
from heed import assert_problem, before_timing, multipart
from pictures import photo

CAT = photo("chelsea.jpg")
PEOPLE = photo("astronaut.jpg")


def detections(server, body, query):
    reply = server.detect(body, query)
    assert reply.status == 200, reply
    return reply.json()["detections"]


def test_score_keeps_what_reaches_it(server):
    low = detections(server, PEOPLE, "score=0.02")
    middle = low[len(low) // 2]["score"]
    high = detections(server, PEOPLE, f"score={middle}")
    assert 0 < len(high) < len(low)
    assert all(one["score"] >= middle for one in high)
    assert [one["box"] for one in high] == [one["box"] for one in low[:len(high)]]


def test_score_is_0_3_when_not_said(server):
    assert detections(server, PEOPLE, "") == detections(server, PEOPLE, "score=0.3")


def test_max_keeps_the_best(server):
    every = detections(server, PEOPLE, "score=0.02")
    assert len(every) > 2
    assert [one["box"] for one in detections(server, PEOPLE, "score=0.02&max=2")] == [one["box"] for one in every[:2]]


def test_classes_reports_only_those(server):
    every = {one["label"] for one in detections(server, PEOPLE, "score=0.02")}
    assert "person" in every and len(every) > 1
    assert {one["label"] for one in detections(server, PEOPLE, "score=0.02&classes=person")} == {"person"}
    assert {one["label"] for one in detections(server, CAT, "score=0.05&classes=cup,cat")} == {"cat", "cup"}
    assert detections(server, CAT, "classes=teddy%20bear") == []


def test_masks_come_in_three_forms_of_the_same_pixels(server):
    rle = detections(server, CAT, "masks=rle")[0]
    height, width = rle["mask"]["size"]
    truth = masks.from_rle(rle["mask"])
    assert truth.any()
    as_png = detections(server, CAT, "masks=png")[0]
    assert (masks.from_png(as_png["mask"]["png"], (width, height)) == truth).all()
    as_polygon = detections(server, CAT, "masks=polygon")[0]
    assert (masks.from_rings(as_polygon["mask"]["polygons"], width, height) == truth).all()
    assert rle["area"] == as_png["area"] == as_polygon["area"] == truth.sum()


def test_masks_none_leaves_them_out_and_the_boxes_alone(server):
    without = detections(server, CAT, "masks=none")
    assert without and all("mask" not in one and "area" not in one for one in without)
    assert [one["box"] for one in without] == [one["box"] for one in detections(server, CAT, "")]


def test_format_coco_is_what_coco_tools_read(server):
    rows = server.detect(CAT, "format=coco&image_id=42").json()
    assert isinstance(rows, list) and rows
    for row, one in zip(rows, detections(server, CAT, "")):
        assert row["image_id"] == 42
        assert row["category_id"] == one["category_id"] and row["score"] == one["score"] and row["bbox"] == one["box"]
        assert row["segmentation"] == one["mask"]


@pytest.mark.parametrize("option, text", [("max", "99999999999999999999"), ("score", "1e999"), ("timeout_ms", "-99999999999999999999"),
                                          ("image_id", "9223372036854775808"), ("threshold", "[1, 1e999]")])
def test_json_number_beyond_every_range_is_400_and_named(server, option, text):
    for body in ('{"%s": %s, "image": "%s"}', '{\n"masks": "none",\n"%s"\n:%s, "image": "%s"}'):
        reply = server.detect(body % (option, text, base64.b64encode(CAT).decode()), headers={"Content-Type": "application/json"})
        assert_problem(reply, 400, f'"{option}"', "number", "line")


def test_format_coco_has_polygons_of_one_ring_that_leave_holes_out(server):
    photo_with_holes = photo("astronaut.jpg")
    rows = server.detect(photo_with_holes, "format=coco&masks=polygon&score=0.05").json()
    truth = detections(server, photo_with_holes, "score=0.05")
    rings = detections(server, photo_with_holes, "masks=polygon&score=0.05")
    assert len(rows) == len(truth) and any(len(one["mask"]["polygons"]) > 1 for one in rings)
    for row, one in zip(rows, truth):
        assert len(row["segmentation"]) == 1 or not one["area"]
        mask = masks.from_rle(one["mask"])
        assert (masks.from_rings(row["segmentation"], mask.shape[1], mask.shape[0]) == mask).all()
        assert row["area"] == one["area"]


def test_format_coco_refuses_png(server):
    assert_problem(server.detect(CAT, "format=coco&masks=png"), 400, "masks", "png", "rle, polygon, none")


@pytest.mark.parametrize("text", ["7", '"7"', "-7", "0", "1234567890123456789", "9223372036854775807", "1.5", "1e20", '"1.5"', '"007"',
                                  '"camera 3/front"'])
def test_image_id_comes_back_as_json_gave_it(server, text):
    body = '{"image": "%s", "format": "coco", "masks": "none", "image_id": %s}' % (base64.b64encode(CAT).decode(), text)
    reply = server.detect(body, headers={"Content-Type": "application/json"})
    assert reply.status == 200, reply
    found, given = reply.json()[0]["image_id"], json.loads(text)
    assert found == given and type(found) is type(given)


@pytest.mark.parametrize("text, value", [("7", 7), ("-7", -7), ("0", 0), ("007", "007"), ("-0", "-0"), ("-", "-"), ("1.5", "1.5"), ("a 7", "a 7")])
def test_image_id_of_a_query_or_a_form_is_a_number_where_it_looks_like_a_whole_one(server, text, value):
    assert server.detect(CAT, "format=coco&masks=none&image_id=" + text.replace(" ", "%20")).json()[0]["image_id"] == value
    form, content_type = multipart([("image", CAT, "cat.jpg"), ("format", "coco"), ("masks", "none"), ("image_id", text)])
    assert server.detect(form, headers={"Content-Type": content_type}).json()[0]["image_id"] == value


def test_format_coco_tells_several_photos_apart(server):
    photos = [("image", CAT, "cat.jpg"), ("image", photo("coffee.jpg"), "coffee.jpg"), ("format", "coco"), ("masks", "none")]
    form, content_type = multipart(photos)
    rows = server.detect(form, headers={"Content-Type": content_type}).json()
    assert {row["image_id"] for row in rows} == {0, 1}
    form, content_type = multipart(photos + [("image_id", "5")])
    assert_problem(server.detect(form, headers={"Content-Type": content_type}), 400, "image_id", "one image", "2")


@pytest.mark.parametrize("priority", ["-1", "0", "1"])
def test_every_priority_is_served(server, priority):
    assert detections(server, CAT, f"priority={priority}")


def test_timeout_that_suffices_changes_nothing(server):
    assert detections(server, CAT, "timeout_ms=60000") == detections(server, CAT, "")


@pytest.mark.parametrize("option, text, value", [
    ("score", "0.9", 0.9), ("max", "1", 1), ("classes", "dog", "dog"), ("masks", "none", "none"), ("format", "coco", "coco"),
    ("timeout_ms", "50000", 50000), ("priority", "1", 1)])
def test_query_form_and_json_mean_the_same(server, option, text, value):
    def stable(reply):
        assert reply.status == 200, reply
        return reply.body if option == "format" else before_timing(reply.body)

    by_query = server.detect(CAT, f"{option}={text}")
    form, content_type = multipart([(option, text), ("image", CAT, "cat.jpg")])
    by_form = server.detect(form, headers={"Content-Type": content_type})
    member = json.dumps({"image": base64.b64encode(CAT).decode(), option: value})
    by_json = server.detect(member, headers={"Content-Type": "application/json"})
    assert stable(by_query) == stable(by_form) == stable(by_json)


def test_form_field_may_follow_the_photo(server):
    form, content_type = multipart([("image", CAT, "cat.jpg"), ("max", "1")])
    assert len(server.detect(form, headers={"Content-Type": content_type}).json()["detections"]) == 1


BAD = [
    ("score", "-0.1", "0"), ("score", "1.1", "1"), ("score", "nan", "0"), ("score", "half", "1"), ("score", "", "0"),
    ("score", "0.5x", "1"), ("score", "inf", "1"),
    ("max", "0", "1000"), ("max", "1001", "1000"), ("max", "-5", "1"), ("max", "1.5", "1000"), ("max", "many", "1"),
    ("max", "99999999999999999999", "1000"),
    ("classes", "unicorn", "label"), ("classes", "cat,unicorn", "label"),
    ("masks", "bitmap", "polygon"), ("masks", "RLE", "rle"), ("masks", "", "none"),
    ("timeout_ms", "0", "1"), ("timeout_ms", "-1", "1"), ("timeout_ms", "soon", "1"), ("timeout_ms", "99999999999999999999", "1"),
    ("priority", "2", "1"), ("priority", "-2", "-1"), ("priority", "high", "0"),
    ("format", "xml", "coco"),
]


@pytest.mark.parametrize("option, value, allowed", BAD)
def test_bad_value_is_400_and_names_option_value_and_what_is_allowed(server, option, value, allowed):
    said = "unicorn" if "unicorn" in value else value
    assert_problem(server.detect(CAT, f"{option}={value}"), 400, option, said, allowed)


@pytest.mark.parametrize("option, value, allowed", BAD[::4])
def test_bad_value_in_a_form_or_json_is_told_the_same(server, option, value, allowed):
    query = assert_problem(server.detect(CAT, f"{option}={value}"), 400)
    form, content_type = multipart([("image", CAT, "cat.jpg"), (option, value)])
    assert assert_problem(server.detect(form, headers={"Content-Type": content_type}), 400)["detail"] == query["detail"]
    member = json.dumps({"image": base64.b64encode(CAT).decode(), option: value})
    assert_problem(server.detect(member, headers={"Content-Type": "application/json"}), 400, option, allowed)


def test_unknown_option_is_400_and_says_which_there_are(server):
    assert_problem(server.detect(CAT, "threshold=0.5"), 400, "threshold", "score", "classes")
    form, content_type = multipart([("image", CAT, "cat.jpg"), ("threshold", "0.5")])
    assert_problem(server.detect(form, headers={"Content-Type": content_type}), 400, "threshold")
    member = json.dumps({"image": base64.b64encode(CAT).decode(), "threshold": 0.5})
    assert_problem(server.detect(member, headers={"Content-Type": "application/json"}), 400, "threshold")


def test_unknown_model_is_404_and_is_named(server):
    assert_problem(server.detect(CAT, "model=yolo"), 404, "yolo")


@pytest.mark.parametrize("value", [True, None, [], {}, [0.5]])
def test_json_member_of_the_wrong_type_is_400(server, value):
    member = json.dumps({"image": base64.b64encode(CAT).decode(), "score": value})
    assert_problem(server.detect(member, headers={"Content-Type": "application/json"}), 400, "score")
