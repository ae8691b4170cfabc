"""/metrics is Prometheus text and counts what happened."""

import re

import metrics
from pictures import large_photo, photo

CAT = photo("chelsea.jpg")


def test_is_prometheus_text(server):
    server.detect(CAT)
    server.detect(b"hello")
    reply = server.get("/metrics")
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    types, samples = metrics.parse(reply.body.decode())
    for (name, _), value in samples.items():
        assert value >= 0, name
        if types.get(name) == "counter":
            assert name.endswith("_total"), name


def test_histograms_are_cumulative_and_whole(server):
    server.detect(CAT)
    types, samples = metrics.parse(server.get("/metrics").body.decode())
    families = [family for family, kind in types.items() if kind == "histogram"]
    assert families
    series = {}
    for (name, pairs), value in samples.items():
        if name.endswith("_bucket"):
            others = tuple(pair for pair in pairs if pair[0] != "le")
            series.setdefault((name[:-7], others), []).append((float(dict(pairs)["le"]), value))
    for (family, others), buckets in series.items():
        limits, counts = zip(*buckets)
        assert list(limits) == sorted(limits) and limits[-1] == float("inf"), family
        assert list(counts) == sorted(counts), family
        assert samples[family + "_count", others] == counts[-1], family
        assert (family + "_sum", others) in samples, family


def test_counts_what_happened(serve):
    server = serve()
    for _ in range(3):
        assert server.detect(CAT).status == 200
    assert server.detect(b"hello").status == 415
    samples = metrics.read(server)
    assert metrics.total(samples, metrics.JOBS, outcome="done") == 3
    assert metrics.total(samples, metrics.QUEUE_DEPTH) == 0
    assert metrics.total(samples, metrics.IN_FLIGHT_BYTES) == 0
    assert metrics.total(samples, metrics.BUDGET) > 0
    for phase in ("queue", "decode", "infer", "masks", "total"):
        assert metrics.phase_count(samples, phase) == 3, phase


def test_total_is_the_time_to_the_finished_reply(serve):
    server = serve()
    reply = server.detect(large_photo(), headers={"Accept": "image/png"})
    assert reply.status == 200
    said = float(re.search(r"total;dur=([\d.]+)", reply.headers["Server-Timing"])[1]) / 1000
    assert reply.seconds / 2 < said < reply.seconds
    assert abs(metrics.total(metrics.read(server), "heed_total_seconds_sum") - said) < 0.001
