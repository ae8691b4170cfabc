"""Shapes of HTTP that two programs read differently are refused, and the connection is closed: the next message on it is not read.

Each request is followed by a second, harmless one: it must not be answered.
"""

import io
import time

import pytest

import metrics
from heed import assert_problem, read_reply, read_to_end, wait_until

FOLLOWER = b"GET /health/live HTTP/1.1\r\nHost: heed\r\n\r\n"


def post(*headers, body=b"hello", version=b"HTTP/1.1"):
    return b"POST /v1/detect " + version + b"\r\n" + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


HOST = b"Host: heed"
CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"

REFUSED = {
    "two Content-Length, differing": post(HOST, b"Content-Length: 5", b"Content-Length: 6"),
    "two Content-Length, the same": post(HOST, b"Content-Length: 5", b"Content-Length: 5"),
    "Content-Length list": post(HOST, b"Content-Length: 5, 5"),
    "Content-Length with Transfer-Encoding": post(HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked", body=CHUNKED),
    "Transfer-Encoding then Content-Length": post(HOST, b"Transfer-Encoding: chunked", b"Content-Length: 5", body=CHUNKED),
    "Transfer-Encoding gzip": post(HOST, b"Transfer-Encoding: gzip"),
    "Transfer-Encoding chunked and a blank": post(HOST, b"Transfer-Encoding: chunked ", body=CHUNKED),
    "Transfer-Encoding gzip, chunked": post(HOST, b"Transfer-Encoding: gzip, chunked", body=CHUNKED),
    "Transfer-Encoding chunked twice": post(HOST, b"Transfer-Encoding: chunked, chunked", body=CHUNKED),
    "two Transfer-Encoding": post(HOST, b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=CHUNKED),
    "Transfer-Encoding xchunked": post(HOST, b"Transfer-Encoding: xchunked", body=CHUNKED),
    "Transfer-Encoding with a vertical tab": post(HOST, b"Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "Transfer-Encoding empty": post(HOST, b"Transfer-Encoding:", body=CHUNKED),
    "Transfer-Encoding in HTTP/1.0": post(HOST, b"Transfer-Encoding: chunked", body=CHUNKED, version=b"HTTP/1.0"),
    "Content-Length with a plus": post(HOST, b"Content-Length: +5"),
    "Content-Length negative": post(HOST, b"Content-Length: -5"),
    "Content-Length in hex": post(HOST, b"Content-Length: 0x5"),
    "Content-Length empty": post(HOST, b"Content-Length:"),
    "Content-Length beyond 64 bits": post(HOST, b"Content-Length: 99999999999999999999999"),
    "Content-Length of words": post(HOST, b"Content-Length: five"),
    "Content-Length with a space inside": post(HOST, b"Content-Length: 5 5"),
    "two Host": post(HOST, b"Host: other", b"Content-Length: 5"),
    "two Host, the same": post(HOST, HOST, b"Content-Length: 5"),
    "no Host in HTTP/1.1": post(b"Content-Length: 5"),
    "space before a colon": post(HOST, b"Content-Length : 5"),
    "a folded header": post(HOST, b"X-Folded: a\r\n b", b"Content-Length: 5"),
    "Content-Length folded": post(HOST, b"Content-Length:\r\n 5"),
    "a header without a colon": post(HOST, b"nonsense", b"Content-Length: 5"),
    "a header without a name": post(HOST, b": value", b"Content-Length: 5"),
    "a NUL in a header": post(HOST, b"X-Nul: a\x00b", b"Content-Length: 5"),
    "method foo": b"FOO /health/live HTTP/1.1\r\nHost: heed\r\n\r\n",
    "method in small letters": b"get /health/live HTTP/1.1\r\nHost: heed\r\n\r\n",
    "method CONNECT": b"CONNECT heed:80 HTTP/1.1\r\nHost: heed\r\n\r\n",
    "method TRACE": b"TRACE /health/live HTTP/1.1\r\nHost: heed\r\n\r\n",
    "method with odd signs": b"G@T /health/live HTTP/1.1\r\nHost: heed\r\n\r\n",
    "HTTP/2.0": b"GET /health/live HTTP/2.0\r\nHost: heed\r\n\r\n",
    "HTTP/1.10": b"GET /health/live HTTP/1.10\r\nHost: heed\r\n\r\n",
    "a NUL in the method": b"GET\0X /health/live HTTP/1.1\r\nHost: heed\r\n\r\n",
    "a NUL in the path": b"GET /health/live\0/../x HTTP/1.1\r\nHost: heed\r\n\r\n",
    "a NUL in the query": b"GET /health/live?max=1\0&score=9 HTTP/1.1\r\nHost: heed\r\n\r\n",
    "a NUL in the version": b"GET /health/live HTTP/1.1\0X\r\nHost: heed\r\n\r\n",
    "two spaces after the method": b"GET  /health/live HTTP/1.1\r\nHost: heed\r\n\r\n",
    "two spaces before the version": b"GET /health/live  HTTP/1.1\r\nHost: heed\r\n\r\n",
    "a space after the version": b"GET /health/live HTTP/1.1 \r\nHost: heed\r\n\r\n",
    "a tab after the method": b"GET\t/health/live HTTP/1.1\r\nHost: heed\r\n\r\n",
    "a request line that ends in LF": b"GET /health/live HTTP/1.1\nHost: heed\r\n\r\n",
    "a request line that ends in LF, without headers": b"GET /health/live HTTP/1.0\n\r\n",
    "an empty line that ends in LF": b"GET /health/live HTTP/1.1\r\nHost: heed\r\n\n",
    "an empty line that ends in LF, without headers": b"GET /health/live HTTP/1.0\r\n\n",
    "no version": b"GET /health/live\r\nHost: heed\r\n\r\n",
    "a version in small letters": b"GET /health/live http/1.1\r\nHost: heed\r\n\r\n",
    "bytes of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 64 + b"\r\n\r\n",
    "no HTTP at all": b"hello?\r\n\r\n",
    "a Host with a space": b"GET /health/live HTTP/1.1\r\nHost: a b\r\n\r\n",
    "two hosts in one": b"GET /health/live HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "a Host with a path": b"GET /health/live HTTP/1.1\r\nHost: a/b\r\n\r\n",
}


@pytest.mark.parametrize("message", REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_and_the_connection_closed(server, message):
    answer, closed = server.raw(message + FOLLOWER, timeout=5)
    assert closed, f"still open after {answer!r}"
    assert b" 200 " not in answer, f"the second message was served: {answer!r}"
    if answer:  # some bytes are no HTTP and deserve none
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505 ")) and b"application/problem+json" in answer, answer


BROKEN_CHUNKS = {
    "size of words": b"five\r\nhello\r\n0\r\n\r\n",
    "negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "huge size": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "no line end after data": b"5\r\nhelloX0\r\n\r\n",
}


@pytest.mark.parametrize("body", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS.keys())
def test_broken_chunks_are_refused_and_the_connection_closed(server, body):
    answer, closed = server.raw(post(HOST, b"Transfer-Encoding: chunked", body=body) + FOLLOWER, timeout=5)
    assert closed and b" 200 " not in answer, answer
    assert answer.startswith(b"HTTP/1.1 4") and b"application/problem+json" in answer, answer


LOOSE_CHUNKS = {
    "lines that end in LF": b"5\nhello\n0\n\n",
    "an extension that ends in LF": b"5;a\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", LOOSE_CHUNKS.values(), ids=LOOSE_CHUNKS.keys())
def test_nothing_is_read_behind_loose_chunks(server, body):
    answer, closed = server.raw(post(HOST, b"Transfer-Encoding: chunked", body=body) + FOLLOWER, timeout=5)
    assert closed and answer.count(b"HTTP/1.1 ") == 1 and answer.startswith(b"HTTP/1.1 4"), answer


def test_refusal_says_why(server):
    answer, _ = server.raw(REFUSED["two Content-Length, differing"])
    assert answer.startswith(b"HTTP/1.1 400 ") and b"application/problem+json" in answer and b"Content-Length" in answer.split(b"\r\n\r\n")[1]


def test_plain_requests_of_odd_but_legal_shape_are_served(server):
    for message in (b"GET /health/live HTTP/1.0\r\n\r\n", b"GET /health/live HTTP/1.1\r\nhost: heed\r\nConnection: close\r\n\r\n",
                    b"GET /health/live HTTP/1.1\r\nHost:heed\r\nConnection:close\r\n\r\n",
                    b"GET /health/live?x=1 HTTP/1.1\r\nHost: heed\r\nConnection: close\r\n\r\n"):
        answer, closed = server.raw(message)
        assert closed and answer.split(b"\r\n")[0].endswith(b"200 OK"), answer


@pytest.mark.parametrize("piece", [1, 1000])
def test_a_head_in_pieces_is_served(server, piece):
    long = b"" if piece == 1 else b"X-Long: " + b"x" * 15000 + b"\r\n"
    head = b"\r\nGET /health/live?x=1&y=2 HTTP/1.1\r\nHost: heed\r\n" + long + b"Accept:\r\nX-Blanks: \t a b \r\n\r\n"
    with server.connect() as connection:
        for _ in range(2): # on a kept connection as well
            for start in range(0, len(head), piece):
                connection.sendall(head[start:start + piece])
                time.sleep(0.001)
            assert read_reply(connection).status == 200


@pytest.mark.parametrize("version, status", [(b"1.1", 200), (b"1.0", 200), (b"1.2", 505), (b"1.9", 505), (b"2.0", 505), (b"0.9", 505)])
def test_versions(server, version, status):
    answer, _ = server.raw(b"GET /health/live HTTP/" + version + b"\r\nHost: heed\r\nConnection: close\r\n\r\n", timeout=5)
    assert answer.startswith(b"HTTP/1.1 %d " % status) and b"\r\nDate: " in answer, answer


def test_blanks_behind_a_value_are_none_of_it(server):
    head = b"POST /v1/detect HTTP/1.1\r\nHost: heed \t\r\nContent-Encoding: identity \r\nConnection: close\r\n"
    answer, _ = server.raw(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", timeout=5)
    assert answer.startswith(b"HTTP/1.1 415 "), answer


def test_two_requests_in_one_packet_are_both_served(server):
    last = b"GET /health/live HTTP/1.1\r\nHost: heed\r\nConnection: close\r\n\r\n"
    assert server.raw(FOLLOWER + last)[0].count(b"HTTP/1.1 200 OK") == 2


LARGE = 20000000
UPLOADS_OF_A_BAD_HEAD = {
    "two Content-Length": post(HOST, b"Content-Length: 3", b"Content-Length: %d" % LARGE, body=b""),
    "no Host": post(b"Content-Length: %d" % LARGE, body=b""),
    "Transfer-Encoding gzip": post(HOST, b"Transfer-Encoding: gzip", b"Content-Length: %d" % LARGE, body=b""),
    "a folded header": post(HOST, b"X-Folded: a\r\n b", b"Content-Length: %d" % LARGE, body=b""),
    "many headers": post(HOST, *[b"X-%d: y" % i for i in range(200)], b"Content-Length: %d" % LARGE, body=b""),
}


@pytest.mark.parametrize("head", UPLOADS_OF_A_BAD_HEAD.values(), ids=UPLOADS_OF_A_BAD_HEAD.keys())
def test_who_sends_a_body_after_a_bad_head_can_send_it_and_read_why(server, head):
    with server.connect() as connection:
        connection.sendall(head)
        for _ in range(LARGE // 1000000):
            connection.sendall(bytes(1000000))
        assert_problem(read_reply(connection), 431 if b"X-199" in head else 400)


GET = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"
# What libmicrohttpd refuses before it asks us: the bytes, our status, and the route it is counted under.
REFUSED_BELOW = {
    "a long target": (b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\n\r\n", 414, "other"),
    "a long header": (GET + b"X: " + b"x" * 40000 + b"\r\n\r\n", 431, "other"),
    "many headers": (GET + b"".join(b"X-%d: y\r\n" % i for i in range(3000)) + b"\r\n", 431, "other"),
    "many options": (b"GET /?" + b"a=1&" * 5000 + b" HTTP/1.1\r\n\r\n", 400, "other"),
    "a header without a colon": (GET + b"nonsense\r\n\r\n", 400, "other"),
    "a version of small letters": (b"GET / http/1.1\r\n\r\n", 400, "other"),
    "no version": (b"GET /\r\n\r\n", 400, "other"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "other"),
    "a length of words": (post(HOST, b"Content-Length: five"), 400, "other"),
    "a chunk's size of words": (post(HOST, b"Transfer-Encoding: chunked", body=b"ZZ\r\nabc\r\n0\r\n\r\n"), 400, "/v1/detect"),
    "a chunk's huge size": (post(HOST, b"Transfer-Encoding: chunked", body=b"F" * 18 + b"\r\nabc\r\n0\r\n\r\n"), 413, "/v1/detect"),
    "a trailer without a colon": (post(HOST, b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\nnonsense\r\n\r\n"), 400, "/v1/detect"),
}


class Received:
    """Bytes, as a socket to read them from."""

    def __init__(self, received):
        self.received = received

    def makefile(self, *_):
        return io.BytesIO(self.received)


def refusals(server):
    samples = metrics.read(server)
    return {route: metrics.total(samples, "heed_requests_total", route=route) for route in ("other", "/v1/detect")}


def assert_is_told_logged_and_counted(server, message, status, route="other", behind=b"", more=b""):
    """behind: a good request, sent together with the message. more: its rest, sent a little later."""
    idle = [server.connect() for _ in range(3)]
    idle[0].sendall(FOLLOWER)
    assert read_reply(idle[0]).status == 200
    before = refusals(server)
    with server.connect() as connection:
        connection.sendall(behind + message)
        if more:
            time.sleep(0.02)
            connection.sendall(more)
        answers, closed = read_to_end(connection)
        assert closed and answers.count(b"HTTP/1.1 ") == (2 if behind else 1), answers
        reply = read_reply(Received(answers[answers.rindex(b"HTTP/1.1 "):]))
        assert_problem(reply, status)
    wait_until(lambda: reply.headers["X-Request-Id"] in server.log(), what="the request is logged")
    logged = [line for line in server.log().splitlines() if "id=" + reply.headers["X-Request-Id"] in line]
    assert len(logged) == 1 and f"status={status}" in logged[0] and "client=127.0.0.1" in logged[0], logged
    after = refusals(server)
    assert {name: after[name] - before[name] for name in after} == {"other": 0, "/v1/detect": 0, route: 1}
    for connection in idle:
        connection.close()


@pytest.mark.parametrize("message, status, route", REFUSED_BELOW.values(), ids=REFUSED_BELOW.keys())
@pytest.mark.parametrize("behind", [b"", FOLLOWER], ids=["first", "behind another"])
def test_what_libmicrohttpd_refuses_is_told_logged_and_counted_like_the_rest(server, message, status, route, behind):
    assert_is_told_logged_and_counted(server, message, status, route, behind)


def test_a_request_that_libmicrohttpd_refuses_twice_is_accounted_all_the_same(server):
    for _ in range(5):
        assert_is_told_logged_and_counted(server, b"GET /x?" + b"&" * 15500 + b" HTTP/1.1\r\n", 400, more=b"Host: heed\r\n\r\n")


@pytest.mark.parametrize("message", [b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", bytes(100)],
                         ids=["one word", "no target", "TLS, the end of its line not there yet", "NULs"])
def test_what_is_not_http_is_told_so_at_once(server, message):
    assert_is_told_logged_and_counted(server, message, 400)


@pytest.mark.parametrize("silent", [0, 0.3], ids=["at the same moment", "silent for a while"])
def test_where_it_is_not_certain_who_is_at_fault_nobody_else_is_refused(server, silent):
    """Two clients in the middle of a head. The one whose head is bad gets our refusal, if the other one was silent for a
    while; else libmicrohttpd's page. Both are counted, and the other gets its answer."""
    before = refusals(server)["other"]
    with server.connect() as other, server.connect() as half, server.connect() as bad:
        other.sendall(GET + b"X-Slow: ")
        half.sendall(b"GET /health/li")
        time.sleep(silent)
        bad.sendall(GET + b"nonsense\r\n\r\n")
        answer, closed = read_to_end(bad)
        assert closed and answer.startswith(b"HTTP/1.1 400 "), answer
        if silent:
            assert_problem(read_reply(Received(answer)), 400)
        other.sendall(b"but sure\r\n\r\n")
        half.sendall(b"ve HTTP/1.1\r\nHost: heed\r\n\r\n")
        assert read_reply(other).status == read_reply(half).status == 200
    wait_until(lambda: refusals(server)["other"] == before + 1, what="the refusal is counted")


@pytest.mark.parametrize("pieces", [[b"G", b"ET /health/live HTTP/1.1\r\nHost: heed\r\n\r\n"], [b"\r\n", b"\r\nG", b"ET", FOLLOWER[3:]],
                                    [b"GET /health/live HT", b"TP/1.1\r\nHost: heed\r\n\r\n"]], ids=["1", "4", "2"])
def test_first_bytes_that_may_still_become_a_request_are_waited_for(server, pieces):
    with server.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        assert read_reply(connection).status == 200


def test_who_says_nothing_is_not_counted(server):
    before = refusals(server)["other"]
    for _ in range(3):
        server.connect().close()
    with server.connect() as connection:
        connection.sendall(FOLLOWER)
        assert read_reply(connection).status == 200
    time.sleep(0.3)
    assert refusals(server)["other"] == before
