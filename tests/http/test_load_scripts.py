"""The scripts of deploy/load/ against a real server: their tables have the rows they promise."""

import os
import subprocess

from heed import ROOT, SANITIZED
from pictures import FOLDER

SCRIPTS = os.path.join(ROOT, "deploy", "load")


def run(script, *arguments):
    return subprocess.run([os.path.join(SCRIPTS, script), *arguments], capture_output=True, text=True, timeout=120)


def test_first_look_prints_a_row_for_each_photo(server):
    url = f"http://127.0.0.1:{server.port}"
    result = run("first-look.sh", url)
    assert result.returncode == 0, result.stderr
    rows = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert set(rows) == {"astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg"}
    assert "cat" in rows["chelsea.jpg"].split() or "cat," in rows["chelsea.jpg"].split()
    for row in rows.values():
        assert row.split()[1] == "200" and all(float(number) >= 0 for number in row.split()[2:7])


def test_first_look_shows_a_refusal_as_such(server, tmp_path):
    words = tmp_path / "words.jpg"
    words.write_text("no photo")
    assert run("first-look.sh", f"http://127.0.0.1:{server.port}", str(words)).stdout.splitlines()[1].split()[:2] == ["words.jpg", "415"]


def test_load_prints_a_row_for_each_number_of_clients(server):
    seconds = "3" if SANITIZED else "1"
    result = run("load.sh", f"http://127.0.0.1:{server.port}", os.path.join(FOLDER, "chelsea.jpg"), seconds, "1 3")
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ["1", "3"]
    for row in rows:
        assert float(row[1]) > 0 and float(row[2]) <= float(row[5]) and row[6:] == ["0", "0"]


def test_load_refuses_to_measure_what_does_not_answer(tmp_path):
    result = run("load.sh", "http://127.0.0.1:1")
    assert result.returncode == 1 and "127.0.0.1:1" in result.stderr
