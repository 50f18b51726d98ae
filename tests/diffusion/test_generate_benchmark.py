"""The benchmark that waits for a GPU runs here on a tiny model."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_times_are_written_for_every_case(tmp_path):
    command = [sys.executable, "benchmarks/generate.py", "time", "--tiny", "-o", str(tmp_path / "times.json")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    report = json.loads((tmp_path / "times.json").read_text())
    assert [case["preset"] for case in report["cases"]] == ["fast", "quality", "official", "balanced"]
    assert not [case["failed"] for case in report["cases"] if "failed" in case]
    assert all(case["seconds_per_pass"] > 0 for case in report["cases"])
    assert [case["passes"] for case in report["cases"]] == [4, 50, 100, 24]
