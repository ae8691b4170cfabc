"""A client that leaves cancels its job: in the queue, between two layers, or in the middle of the reply."""

import time

import metrics
from heed import wait_until
from pictures import large_photo, photo, slow_photo

CAT = photo("chelsea.jpg")


def cancelled(server):
    return metrics.total(metrics.read(server), metrics.JOBS, outcome="cancelled")


def depth(server):
    return metrics.total(metrics.read(server), metrics.QUEUE_DEPTH)


def running(server):
    return metrics.total(metrics.read(server), metrics.RUNNING)


def test_leaving_the_queue_cancels_the_job(serve):
    server = serve(threads=1)
    first = server.send_photo(slow_photo())
    wait_until(lambda: running(server) == 1, what="the first photo is being worked on")
    second = server.send_photo(CAT)
    wait_until(lambda: depth(server) == 1, what="the second photo is queued")
    second.close()
    wait_until(lambda: depth(server) == 0, what="the queue is empty")
    wait_until(lambda: cancelled(server) == 1, what="the job is counted as cancelled")
    first.close()


def test_leaving_while_it_runs_cancels_the_job(serve):
    server = serve(threads=1)
    connection = server.send_photo(slow_photo())
    wait_until(lambda: running(server) == 1, what="the photo is being worked on")
    connection.close()
    wait_until(lambda: cancelled(server) == 1, what="the job is counted as cancelled")
    wait_until(lambda: running(server) == 0, what="the worker is free")
    assert server.detect(CAT).status == 200


def test_leaving_while_the_reply_is_made_cancels_the_job(serve):
    server = serve(threads=1)
    connection = server.send_photo(large_photo(), "score=0&max=1000&masks=png")
    wait_until(lambda: running(server) == 1, what="the photo is being worked on")
    time.sleep(0.5) # longer than it takes to decode and to infer
    assert running(server) == 1
    connection.close()
    wait_until(lambda: running(server) == 0, seconds=1, what="the worker is free")
    wait_until(lambda: cancelled(server) == 1, what="the job is counted as cancelled")


def test_a_crowd_that_leaves_costs_less_than_a_crowd_that_stays(serve):
    server = serve(threads=1, queue_slots=64)
    crowd = [server.send_photo(slow_photo()) for _ in range(20)]
    wait_until(lambda: depth(server) + running(server) >= 15, what="the crowd is in")
    for connection in crowd:
        connection.close()
    wait_until(lambda: depth(server) + running(server) == 0, seconds=10, what="nothing is left to do")
    reply = server.detect(CAT)
    assert reply.status == 200


def test_leaving_in_the_middle_of_the_body_leaves_nothing_behind(serve):
    server = serve()
    for _ in range(100):
        with server.connect() as connection:
            connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: heed\r\nContent-Length: %d\r\n\r\n" % len(CAT) + CAT[:5000])
    wait_until(lambda: metrics.total(metrics.read(server), metrics.IN_FLIGHT_BYTES) == 0, what="all body memory is returned")
    assert server.detect(CAT).status == 200
