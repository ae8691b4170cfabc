"""With a file of API keys, detection needs one; what tells an operator about the server's health does not."""

import json
import os
import subprocess

import pytest

from heed import BINARY, ROOT, assert_problem, free_port, read_reply
from pictures import photo

CAT = photo("chelsea.jpg")
ANY, LIMITED = "k-3f9a77e1b2c4", "k-77b10c55d9e8"


@pytest.fixture
def guarded(serve, tmp_path):
    """With a second model: the built-in one under another name."""
    folder = os.path.join(ROOT, "config", "models")
    with open(os.path.join(folder, "heed-s.json")) as file:
        model = json.load(file)
    model.update(name="other", weights=os.path.join(folder, model["weights"]), labels=os.path.join(folder, model["labels"]))
    (tmp_path / "other.json").write_text(json.dumps(model))
    path = tmp_path / "keys"
    path.write_text(f"# the cameras\n{ANY} # the door\n\n{LIMITED}  other\n")
    return serve(api_keys=str(path), models=[str(tmp_path / "other.json")])


def test_no_key_or_a_wrong_one_is_401(guarded):
    for headers in ({}, {"X-API-Key": "k-3f9a77e1b2c5"}, {"X-API-Key": ""}, {"X-API-Key": ANY + "x"}, {"X-API-Key": ANY[:-1]},
                    {"Authorization": "Bearer k-3f9a77e1b2c5"}, {"Authorization": "Basic " + ANY}):
        reply = guarded.detect(CAT, headers=headers)
        assert_problem(reply, 401)
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
        assert ANY not in reply.body.decode()


def test_a_401_to_a_request_without_a_body_leaves_the_connection_open(guarded):
    with guarded.connect() as connection:
        for key in ("", "X-API-Key: wrong\r\n", f"X-API-Key: {ANY}\r\n"):
            connection.sendall(f"POST /v1/detect HTTP/1.1\r\nHost: heed\r\n{key}\r\n".encode())
            assert_problem(read_reply(connection), 400 if ANY in key else 401)


def test_a_key_opens_by_either_header(guarded):
    assert guarded.detect(CAT, headers={"X-API-Key": ANY}).status == 200
    assert guarded.detect(CAT, headers={"Authorization": "Bearer " + ANY}).status == 200
    assert guarded.detect(CAT, headers={"Authorization": "bearer " + ANY}).status == 200
    assert guarded.detect(CAT, headers={"Authorization": "Bearer " + ANY + "\t"}).status == 200
    assert guarded.detect(CAT, headers={"X-API-Key": ANY + " "}).status == 200


def test_a_key_for_another_model_is_403(guarded):
    assert_problem(guarded.detect(CAT, headers={"X-API-Key": LIMITED}), 403, "heed-s")


def test_a_limited_key_opens_its_model(guarded):
    reply = guarded.detect(CAT, "model=other", {"X-API-Key": LIMITED})
    assert reply.status == 200 and reply.json()["model"] == "other"


def test_a_key_for_a_model_that_is_not_there_is_refused_at_the_start(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"{ANY}\n{LIMITED} heed-s hede-s\n")
    result = subprocess.run([BINARY, "serve", "--port", str(free_port()), "--api-keys", str(path)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    for said in (str(path), "line 2", "hede-s"):
        assert said in result.stderr, result.stderr


def test_the_file_of_keys_is_found_beside_the_configuration(tmp_path):
    (tmp_path / "keys").write_text("short\n")
    (tmp_path / "heed.json").write_text('{"api_keys": "keys"}')
    result = subprocess.run([BINARY, "serve", "--config", str(tmp_path / "heed.json")], capture_output=True, text=True, timeout=60, cwd="/")
    assert result.returncode == 1 and str(tmp_path / "keys") in result.stderr and "line 1" in result.stderr, result.stderr


def test_health_needs_no_key(guarded):
    assert guarded.get("/health/live").status == guarded.get("/health/ready").status == 200


def test_keys_never_reach_the_log(guarded):
    guarded.detect(CAT, headers={"X-API-Key": ANY})
    guarded.detect(CAT, headers={"X-API-Key": "k-secret-but-wrong"})
    assert ANY not in guarded.log() and "k-secret-but-wrong" not in guarded.log()
