"""The benchmark of curation, on a few tiny clips."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TINY = ["--clips", "4", "--size", "96x64", "--frames", "5", "--workers", "1"]


@pytest.mark.skipif(sys.platform == "win32", reason="it kills process groups")
def test_kills_strike_and_the_data_set_is_the_same(tmp_path):
    said = benchmark("--kills", "2", "-o", str(tmp_path))
    assert "are identical to the byte" in said
    assert "\n2 kills, each of a curation at work" in said


def test_the_table_has_a_row_for_each_number_of_workers(tmp_path):
    said = benchmark("-o", str(tmp_path))
    assert "| workers | cutting | masks | normals | captions | all, with start-up |" in said
    assert said.splitlines()[-1].startswith("| 1 | ")


def benchmark(*arguments):
    command = [sys.executable, "benchmarks/curation.py", *TINY, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout
