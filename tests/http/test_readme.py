"""What the README says is so: its options are the binary's, its examples run and answer as printed."""

import json
import os
import re
import subprocess

import pytest

from heed import BINARY, ROOT

with open(os.path.join(ROOT, "README.md")) as file:
    README = file.read()
BLOCKS = re.findall(r"(?:^    .*\n)+", README, re.M)
EXAMPLES = [re.match(r"    \$ (.*)\n((?:    .*\n)*)", block).groups() for block in BLOCKS if block.startswith("    $ ")]


def test_options_are_those_of_the_binary():
    printed = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    options = "".join("  " + line for line in printed[printed.index("  --"):].splitlines(True))
    assert options in README


def test_every_refusal_is_in_the_table():
    with open(os.path.join(ROOT, "server", "status.h")) as file:
        refusals = re.findall(r'X\(\w+, +(\d+), "(\w+)"', file.read())
    table = [row for row in README.splitlines() if re.match(r"\| \d{3}", row)]
    assert len(refusals) > 20
    for status, name in refusals:
        if name != "client_left": # nobody reads it
            assert any(status in row.split("|")[1] and f"`{name}`" in row.split("|")[2] for row in table), (status, name)


def shape(value):
    """Names and kinds of a JSON answer, without its values."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value) in (int, float) or type(value)


def test_there_are_five_examples():
    assert len(EXAMPLES) == 5


@pytest.mark.parametrize("command, printed", EXAMPLES, ids=[command[:60] for command, _ in EXAMPLES])
def test_example_answers_as_printed(server, tmp_path, command, printed):
    command = command.replace("localhost:8080", f"127.0.0.1:{server.port}").replace("drawn.jpg", str(tmp_path / "drawn.jpg"))
    result = subprocess.run(["sh", "-c", command.replace("curl ", "curl --silent ")], capture_output=True, text=True, check=True, cwd=ROOT)
    if printed:
        whole = "".join(line[4:] for line in printed.splitlines()) # long lines are folded
        assert shape(json.loads(result.stdout)) == shape(json.loads(whole))
    else:
        assert (tmp_path / "drawn.jpg").read_bytes().startswith(b"\xff\xd8")
