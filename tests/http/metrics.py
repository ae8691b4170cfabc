"""A strict reader of the Prometheus text format: samples by name and labels, types by family."""

import re

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


def parse(text):
    assert text.endswith("\n")
    types, helps, samples, open_family, closed = {}, {}, {}, None, set()
    for line in text.splitlines():
        if line.startswith("# "):
            _, kind, family, rest = line.split(" ", 3)
            assert kind in ("HELP", "TYPE"), line
            into = helps if kind == "HELP" else types
            assert family not in into, f"{kind} of {family} twice"
            into[family] = rest
            continue
        match = SAMPLE.match(line)
        assert match, f"not a sample: {line!r}"
        name, labels, value = match[1], match[2] or "", float(match[3])
        pairs = tuple(LABEL.findall(labels))
        assert not LABEL.sub("", labels), f"labels: {line!r}"
        family = next((name[:-len(end)] for end in ("_bucket", "_sum", "_count") if types.get(name[:-len(end)]) == "histogram"
                       and name.endswith(end)), name)
        assert family in types and family in helps, f"{family} has no TYPE or HELP before it"
        if family != open_family:
            assert family not in closed, f"samples of {family} are not together"
            closed.add(open_family)
            open_family = family
        assert (name, pairs) not in samples, f"twice: {line!r}"
        samples[name, pairs] = value
    return types, samples


def read(server):
    return parse(server.get("/metrics").body.decode())[1]


def total(samples, name, **labels):
    """The sum of a metric's samples that have these labels."""
    wanted = set(labels.items())
    return sum(value for (sample, pairs), value in samples.items() if sample == name and wanted <= set(pairs))


# The names of what the tests look at.
JOBS = "heed_jobs_total"
QUEUE_DEPTH = "heed_queue_depth"
RUNNING = "heed_jobs_running"
IN_FLIGHT_BYTES = "heed_in_flight_bytes"
BUDGET = "heed_memory_budget_bytes"
REFUSED = "heed_refused_total"
RECEIVED_BYTES = "heed_received_bytes_total"


def phase_count(samples, phase):
    return total(samples, f"heed_{phase}_seconds_count")
