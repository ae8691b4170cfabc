"""The built server as a process, and the plainest possible client.

Server starts build/release/heed (or HEED_BUILD_DIR's) on a free port with a configuration file of its own, and `stop`
checks how it ended: exit status 0 and no sanitizer report.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("HEED_BUILD_DIR", os.path.join(ROOT, "build", "release"))
BINARY = os.path.join(BUILD, "heed")

with open(os.path.join(BUILD, "CMakeCache.txt")) as cache:
    SANITIZED = re.search(r"^SANITIZE:\w+=(.*)$", cache.read(), re.M)[1]  # "" for none

# A build with sanitizers is many times slower: where a test is not about time, there is time.
PATIENT = {"timeout_ms": 120000, "drain_ms": 120000}

READY_SECONDS_MAX = 60
STOP_SECONDS_MAX = 120


class Reply:
    def __init__(self, status, headers, body, seconds):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers.get('Content-Type')} {self.body[:300]!r}>"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, folder, before=(), **config):
        self.port = free_port()
        self.folder = str(folder)
        path = os.path.join(self.folder, "heed.json")
        with open(path, "w") as file:
            json.dump({"address": "127.0.0.1", "port": self.port, **PATIENT, **config}, file)
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen([*before, BINARY, "serve", "--config", path], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_ready(self):
        end = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < end:
            assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.log()}"
            try:
                if self.get("/health/ready").status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"not ready after {READY_SECONDS_MAX} s:\n{self.log()}")

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def request(self, method, path, body=None, headers=None, timeout=120):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            began = time.monotonic()
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            content = answer.read()
            return Reply(answer.status, answer.headers, content, time.monotonic() - began)
        finally:
            connection.close()

    def get(self, path, headers=None, timeout=10):
        return self.request("GET", path, None, headers, timeout)

    def detect(self, photo, query="", headers=None, timeout=120):
        return self.request("POST", "/v1/detect" + ("?" + query if query else ""), photo, headers, timeout)

    def connect(self, timeout=120):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def send_photo(self, photo, query=""):
        """Posts a photo and does not wait for the answer: the connection, to read it from or to leave."""
        connection = self.connect()
        target = "/v1/detect" + ("?" + query if query else "")
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: heed\r\nContent-Length: %d\r\n\r\n" % (target.encode(), len(photo)) + photo)
        return connection

    def raw(self, message, timeout=30):
        """Sends bytes as they are and reads until the server closes: (what came, whether it closed)."""
        with self.connect(timeout) as connection:
            connection.sendall(message)
            return read_to_end(connection)

    def memory_peak_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"^VmHWM:\s+(\d+) kB", file.read(), re.M)[1]) * 1024

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout=STOP_SECONDS_MAX):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still there {timeout} s after SIGTERM:\n{self.log()}") from None

    def check_no_report(self):
        log = self.log()
        for sign in ("Sanitizer", "runtime error:", "Assertion", "assert"):
            assert sign not in log, log

    def stop(self):
        if self.process.poll() is None:
            self.terminate()
        status = self.wait()
        self.check_no_report()
        assert status == 0, f"the server ended with {status}:\n{self.log()}"


def read_to_end(connection):
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
        return received, True
    except ConnectionResetError:
        return received, True
    except (TimeoutError, socket.timeout):
        return received, False


def read_reply(connection):
    """One whole answer with a Content-Length from a kept connection."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return Reply(answer.status, answer.headers, answer.read(), 0)


def wait_until(condition, seconds=20, what="the condition"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def multipart(parts):
    """(body, content type) of parts (name, bytes or str[, filename])."""
    boundary = "heed-test-boundary"
    body = b""
    for name, content, *filename in parts:
        content = content.encode() if isinstance(content, str) else content
        disposition = f'form-data; name="{name}"' + (f'; filename="{filename[0]}"' if filename else "")
        body += f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def assert_problem(reply, status, *words):
    """The answer is RFC 9457's, whole, and its detail names each of the words."""
    assert reply.status == status, reply
    assert reply.headers["Content-Type"].split(";")[0] == "application/problem+json", reply
    problem = reply.json()
    assert problem["status"] == status, problem
    assert problem["error"] == problem["detail"], problem
    for member in ("type", "title", "detail"):
        assert isinstance(problem[member], str) and problem[member], problem
    for word in words:
        assert word in problem["detail"], problem
    assert reply.headers["X-Request-Id"], reply
    return problem


def before_timing(body):
    """The part of an answer that must not depend on when and how it was made, as bytes."""
    end = body.index(b'"timing_ms"')
    assert b'"detections"' in body[:end], body
    return body[:end]
