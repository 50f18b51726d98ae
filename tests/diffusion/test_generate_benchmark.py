"""The benchmark that waits for a GPU runs here on a tiny model."""

import json
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "generate.py"


def test_times_are_written_for_every_case(processes, tmp_path):
    times, said = tmp_path / "times.json", tmp_path / "said"
    arguments = ["time", "--tiny", "-o", str(times)]
    process = processes.start(processes.run_code, BENCHMARK.read_text(), arguments, said=said)
    process.join()
    assert process.exitcode == 0, said.read_text()
    report = json.loads(times.read_text())
    assert [case["preset"] for case in report["cases"]] == ["fast", "quality", "official", "balanced"]
    assert not [case["failed"] for case in report["cases"] if "failed" in case]
    assert all(case["seconds_per_pass"] > 0 for case in report["cases"])
    assert [case["passes"] for case in report["cases"]] == [4, 50, 100, 24]
