"""The binary as an operator meets it: commands, configuration from three places, exit statuses that scripts can use."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from PIL import Image

from heed import BINARY, ROOT, Server, free_port
from pictures import FOLDER, photo

CAT = os.path.join(FOLDER, "chelsea.jpg")


def heed(*arguments, **environment):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=120, env={**os.environ, **environment})


def test_help_names_the_commands():
    result = heed("--help")
    assert result.returncode == 0
    for command in ("serve", "detect", "models", "bench", "healthcheck"):
        assert command in result.stdout


@pytest.mark.parametrize("command", ["serve", "detect", "models", "bench", "healthcheck"])
def test_every_command_has_help_and_refuses_what_it_does_not_know(command):
    assert heed(command, "--help").returncode == 0
    result = heed(command, "--no-such-flag")
    assert result.returncode == 2 and "--no-such-flag" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["dance"]])
def test_no_or_no_known_command_is_2_and_says_which_there_are(arguments):
    result = heed(*arguments)
    assert result.returncode == 2 and "serve" in result.stderr


@pytest.mark.parametrize("arguments", [
    ["--help"], ["--version"], ["serve", "--help"], ["models"], ["models", "--json"], ["detect", CAT], ["detect", CAT, "--format", "table"],
    ["bench", "--help"], ["bench", "--json", "--rounds", "1", "--warm-up", "0", "--layers", "0"], ["healthcheck", "--help"]])
def test_output_that_cannot_be_written_is_1_and_says_so(arguments):
    with open("/dev/full", "w") as full:
        result = subprocess.run([BINARY, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert result.returncode == 1 and result.stderr == "heed: the output cannot be written: No space left on device\n", result.stderr


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_no_file_of_the_server_takes_the_number_of_a_closed_standard_one(tmp_path, closed):
    port = free_port()
    with subprocess.Popen(["sh", "-c", f'exec "$0" "$@" {closed}', BINARY, "serve", "--address", "127.0.0.1", "--port", str(port)]) as process:
        server = object.__new__(Server)
        server.port, server.process, server.log_path = port, process, os.devnull
        try:
            server.wait_ready()
            assert server.detect(photo("chelsea.jpg")).status == 200
            for number in [2] if closed == "2>&-" else range(3):
                assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/dev/null"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_closed_output_is_1_and_says_so():
    result = subprocess.run(["sh", "-c", 'exec "$0" models >&-', BINARY], stderr=subprocess.PIPE, text=True, timeout=120)
    assert result.returncode == 1 and "Bad file descriptor" in result.stderr, result.stderr


def test_detect_says_what_the_server_says(server):
    result = heed("detect", CAT, "--format", "json")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    answer = answer[0] if isinstance(answer, list) else answer
    assert answer["detections"] == server.detect(photo("chelsea.jpg")).json()["detections"]


def test_detect_table_and_coco():
    assert "cat" in heed("detect", CAT, "--format", "table").stdout
    rows = json.loads(heed("detect", CAT, "--format", "coco").stdout)
    assert 17 in [row["category_id"] for row in rows] and len(rows[0]["bbox"]) == 4


def test_detect_draws(tmp_path):
    out = tmp_path / "out.jpg"
    assert heed("detect", CAT, "--draw", str(out)).returncode == 0
    assert Image.open(io.BytesIO(out.read_bytes())).size == (451, 300)


@pytest.mark.parametrize("name", ["out.gif", "out", "out.jpg.txt"])
def test_detect_draws_nothing_but_jpeg_and_png(tmp_path, name):
    result = heed("detect", CAT, "--draw", str(tmp_path / name))
    assert result.returncode == 2 and name in result.stderr and ".png" in result.stderr
    assert not (tmp_path / name).exists()


def test_detect_draws_over_no_photo_of_the_run(tmp_path):
    photo_path, other = tmp_path / "cat.jpg", tmp_path / "link.jpg"
    photo_path.write_bytes(photo("chelsea.jpg"))
    other.symlink_to(photo_path)
    for arguments in (["--draw", str(tmp_path)], ["--draw", str(photo_path)], ["--draw", str(other)]):
        result = heed("detect", str(photo_path), *arguments)
        assert result.returncode == 1 and "is the photo" in result.stderr and str(photo_path) in result.stderr, result.stderr
        assert photo_path.read_bytes() == photo("chelsea.jpg")
    with open(photo_path) as standard_input:
        assert subprocess.run([BINARY, "detect", "-", "--draw", str(photo_path)], stdin=standard_input, timeout=120).returncode == 1
    assert photo_path.read_bytes() == photo("chelsea.jpg")


def test_detect_draws_no_two_pictures_into_one_file(tmp_path):
    paths = [tmp_path / folder / "cat.jpg" for folder in ("a", "b")]
    for path, name in zip(paths, ("chelsea.jpg", "coffee.jpg")):
        path.parent.mkdir()
        path.write_bytes(photo(name))
    out = tmp_path / "out"
    out.mkdir()
    (out / "cat.jpg").write_bytes(b"of an earlier run")
    result = heed("detect", *map(str, paths), "--draw", str(out), "--format", "json")
    assert result.returncode == 1 and f"already the picture of {paths[0]}" in result.stderr, result.stderr
    assert Image.open(out / "cat.jpg").size == (451, 300)
    assert ["error" in one for one in json.loads(result.stdout)["results"]] == [False, True]


def test_detect_refuses_what_the_server_refuses():
    result = heed("detect", CAT, "--format", "coco", "--masks", "png")
    assert result.returncode == 2 and "png" in result.stderr and "rle, polygon, none" in result.stderr and not result.stdout


def test_detect_of_one_photo_that_failed_prints_no_answer():
    assert heed("detect", "/no/such/photo.jpg").stdout == ""
    assert json.loads(heed("detect", "/no/such/photo.jpg", "--format", "coco").stdout) == []


@pytest.mark.parametrize("path", ["/no/such/photo.jpg", "/dev/null", os.path.join(ROOT, "CMakeLists.txt")])
def test_detect_of_what_is_no_photo_is_1_and_names_it(path):
    result = heed("detect", path)
    assert result.returncode == 1 and path in result.stderr


def test_models_lists_the_built_in_one():
    result = heed("models")
    assert result.returncode == 0 and "heed" in result.stdout


def test_healthcheck_tells_a_running_server_from_none(server):
    assert heed("healthcheck", "--port", str(server.port)).returncode == 0
    assert heed("healthcheck", HEED_PORT=str(server.port)).returncode == 0
    assert heed("healthcheck", "--port", str(free_port())).returncode == 1


def test_healthcheck_does_not_wait_for_ever_for_a_deaf_server():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        assert heed("healthcheck", "--port", str(deaf.getsockname()[1])).returncode == 1


def test_healthcheck_does_not_wait_for_ever_for_a_server_that_trickles():
    def trickle(listener):
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError): # whoever asked has gone
            for byte in b"HTTP/1.1 200 OK\r\n":
                connection.sendall(bytes([byte]))
                time.sleep(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=[listener])
        thread.start()
        began = time.monotonic()
        result = heed("healthcheck", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert result.returncode == 1 and "no answer in 3 s" in result.stderr and time.monotonic() - began < 6
        thread.join()


@pytest.mark.parametrize("port", ["18199x", "", "0", "65536", "-1", "123456"])
def test_healthcheck_of_no_port_is_2(port):
    result = heed("healthcheck", "--url", f"http://localhost:{port}/")
    assert result.returncode == 2 and "PORT from 1 to 65535" in result.stderr, result.stderr


def test_healthcheck_says_what_is_wrong_with_url_or_answer():
    result = heed("healthcheck", "--url")
    assert result.returncode == 2 and "--url needs a value" in result.stderr, result.stderr
    assert heed("healthcheck", "--url", "http://no-such-host.invalid/").returncode == 1


def test_serve_on_a_taken_port_is_1_and_names_it(server):
    result = heed("serve", "--port", str(server.port), "--address", "127.0.0.1")
    assert result.returncode == 1 and str(server.port) in result.stderr


@pytest.mark.parametrize("arguments, named", [
    (["--port", "many"], "--port"), (["--port", "70000"], "65535"), (["--queue-slots", "0"], "--queue-slots"),
    (["--no-such-option", "1"], "--no-such-option"), (["--port"], "--port"), (["--config", "/no/such/file"], "/no/such/file")])
def test_serve_refuses_a_bad_option_by_name(arguments, named):
    result = heed("serve", *arguments)
    assert result.returncode == 2 and named in result.stderr, result.stderr


@pytest.mark.parametrize("text, named", [("{", "heed.json"), ('{"port": "x"}', "port"), ('{"prot": 1}', "prot"), ("[]", "object"),
                                         ('{"port": 1, "port": 2}', "heed.json")])
def test_serve_refuses_a_bad_configuration_file_by_name(tmp_path, text, named):
    path = tmp_path / "heed.json"
    path.write_text(text)
    result = heed("serve", "--config", str(path))
    assert result.returncode == 2 and named in result.stderr, result.stderr


def test_flag_beats_environment_beats_file(tmp_path):
    by_flag, by_variable = free_port(), free_port()
    path = tmp_path / "heed.json"
    path.write_text(json.dumps({"port": 1, "address": "127.0.0.1"}))

    def serves_on(port, *flags, **environment):
        with subprocess.Popen([BINARY, "serve", "--config", str(path), *flags], env={**os.environ, **environment},
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            server = object.__new__(Server)
            server.port, server.process, server.log_path = port, process, os.devnull
            server.wait_ready()
            process.send_signal(signal.SIGTERM)
            return process.wait(30) == 0

    assert serves_on(by_variable, HEED_PORT=str(by_variable))
    assert serves_on(by_flag, "--port", str(by_flag), HEED_PORT=str(by_variable))


def test_serve_refuses_a_model_that_is_not_there_by_name():
    result = heed("serve", "--models", "/no/such/model.json", "--port", str(free_port()))
    assert result.returncode == 1 and "/no/such/model.json" in result.stderr


def test_log_as_json_is_one_object_a_line(serve):
    server = serve(log_format="json")
    server.detect(photo("chelsea.jpg"))
    server.detect(b"hello")
    server.stop()
    lines = [json.loads(line) for line in server.log().splitlines()]
    assert len(lines) >= 3 and all(isinstance(line, dict) for line in lines)
