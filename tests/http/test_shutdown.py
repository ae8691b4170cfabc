"""SIGTERM in every phase: readiness falls first, accepted jobs are answered, new ones are told to go elsewhere; a second signal ends at once."""

import json
import os
import signal
import subprocess
import time

import pytest

import metrics
from heed import ROOT, Server, assert_problem, read_reply, wait_until
from pictures import photo, slow_photo

CAT = photo("chelsea.jpg")


def busy(server):
    samples = metrics.read(server)
    return metrics.total(samples, metrics.RUNNING), metrics.total(samples, metrics.QUEUE_DEPTH)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_server_ends_at_once_with_0(serve, number):
    server = serve()
    began = time.monotonic()
    server.process.send_signal(number)
    assert server.wait(10) == 0
    assert time.monotonic() - began < 5


def test_with_open_idle_connections_it_ends(serve):
    server = serve()
    idle = [server.connect() for _ in range(20)]
    server.terminate()
    assert server.wait(20) == 0
    for connection in idle:
        connection.close()


def test_a_running_job_is_answered_before_the_end(serve):
    server = serve(threads=1)
    connection = server.send_photo(slow_photo())
    wait_until(lambda: busy(server)[0] == 1, what="it runs")
    server.terminate()
    assert read_reply(connection).status == 200
    assert server.wait() == 0


def test_queued_jobs_are_answered_before_the_end(serve):
    server = serve(threads=1)
    connections = [server.send_photo(slow_photo()) for _ in range(4)]
    wait_until(lambda: busy(server) == (1, 3), what="one runs and three wait")
    server.terminate()
    assert [read_reply(connection).status for connection in connections] == [200] * 4
    assert server.wait() == 0


def test_jobs_that_are_given_up_after_drain_ms_are_told_503_and_not_that_they_left(serve):
    server = serve(threads=1, drain_ms=50)
    connections = [server.send_photo(slow_photo()) for _ in range(3)]
    wait_until(lambda: busy(server) == (1, 2), what="one runs and two wait")
    server.terminate()
    for connection in connections:
        reply = read_reply(connection)
        assert_problem(reply, 503, "shutting down")
        assert int(reply.headers["Retry-After"]) >= 1, reply
        connection.close()
    assert server.wait() == 0
    assert "client_left" not in server.log() and server.log().count("reason=draining") == 3, server.log()


def test_while_draining_it_is_alive_not_ready_and_takes_nothing_new(serve):
    server = serve(threads=1)
    kept = server.connect()
    connections = [server.send_photo(slow_photo()) for _ in range(5)]
    wait_until(lambda: sum(busy(server)) == 5, what="five are in")
    server.terminate()
    wait_until(lambda: server.get("/health/ready").status == 503, seconds=2, what="readiness falls")
    assert server.get("/health/live").status == 200
    reply = server.detect(CAT)
    assert reply.status == 503 and int(reply.headers["Retry-After"]) >= 1, reply
    kept.sendall(b"GET /health/ready HTTP/1.1\r\nHost: heed\r\n\r\n")
    assert read_reply(kept).status == 503
    assert [read_reply(connection).status for connection in connections] == [200] * 5
    assert server.wait() == 0


def test_second_signal_ends_at_once(serve):
    server = serve(threads=1)
    connections = [server.send_photo(slow_photo()) for _ in range(10)]
    wait_until(lambda: busy(server)[0] == 1, what="it runs")
    server.terminate()
    time.sleep(0.2)
    began = time.monotonic()
    server.terminate()
    status = server.wait(10)
    assert time.monotonic() - began < 2 and status != 0
    server.ended = True
    for connection in connections:
        connection.close()


def test_second_signal_ends_the_first_process_of_a_container(tmp_path):
    """The system spares process 1 whatever would end it by default."""
    inside = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*inside, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no namespaces here")
    unjoined = f"TSAN_OPTIONS={os.environ.get('TSAN_OPTIONS', '')}:report_thread_leaks=0"  # threads are left as they are
    server = Server(tmp_path, before=[*inside, "env", unjoined]).wait_ready()
    child = int(open(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read())
    connections = [server.send_photo(slow_photo()) for _ in range(10)]
    wait_until(lambda: busy(server)[0] > 0, what="it runs")
    began = time.monotonic()
    os.kill(child, signal.SIGTERM)
    wait_until(lambda: "draining" in server.log(), what="it drains")
    os.kill(child, signal.SIGTERM)
    assert server.wait(10) == 128 + signal.SIGTERM and time.monotonic() - began < 3
    for connection in connections:
        connection.close()


def test_signal_while_models_are_loaded_ends_it_at_once(tmp_path):
    with open(os.path.join(ROOT, "config", "models", "heed-s.json")) as file:
        model = json.load(file)
    for key in ("weights", "labels"):
        model[key] = os.path.join(ROOT, "config", "models", model[key])
    paths = [str(tmp_path / f"{i}.json") for i in range(60)]
    for i, path in enumerate(paths):
        with open(path, "w") as file:
            json.dump(model | {"name": f"many{i}"}, file)
    server = Server(tmp_path, models=paths, cpu="ref")
    wait_until(lambda: "listening" in server.log(), what="it listens")
    server.terminate()
    began = time.monotonic()
    assert server.wait(10) == 0 and time.monotonic() - began < 2
    assert " ready " not in server.log() and "while=loading" in server.log(), server.log()


def test_a_half_sent_request_does_not_hold_up_the_end(serve):
    server = serve()
    connection = server.connect()
    connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nContent-Length: 1000\r\n\r\nhalf")
    time.sleep(0.1)
    server.terminate()
    assert server.wait(40) == 0
    connection.close()


@pytest.mark.parametrize("read", [False, True] * 3, ids=["the head is not read yet", "the head is read"] * 3)
def test_an_upload_that_goes_on_after_the_signal_hears_of_it(serve, read):
    server = serve()
    with server.connect() as connection:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nContent-Length: 30000000\r\n\r\n" + bytes(1000000))
        if read:
            wait_until(lambda: metrics.total(metrics.read(server), metrics.RECEIVED_BYTES) > 0, what="the body is being received")
        server.terminate()
        for _ in range(20):
            connection.sendall(bytes(1000000))
            time.sleep(0.01)
        assert_problem(read_reply(connection), 503, "shutting down")
    assert server.wait(10) == 0


def test_sigpipe_and_sighup_are_not_the_end(serve):
    server = serve()
    server.process.send_signal(signal.SIGPIPE)
    time.sleep(0.1)
    assert server.detect(CAT).status == 200
