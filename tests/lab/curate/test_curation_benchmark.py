"""The benchmark of curation, on a few tiny clips."""

import sys
import time
from pathlib import Path

import pytest

from real2sam2real.cli.main import main as command_line

TINY = ["--clips", "4", "--size", "96x64", "--frames", "5", "--workers", "1"]


class Curation:
    """A curation from the tests' server of processes, where the benchmark starts an interpreter."""

    def __init__(self, processes, arguments, folder):
        command = ["curate", *arguments, "-o", str(folder)]
        self._process = processes.start(command_line, command, said=Path(folder).with_suffix(".log"), own_group=True)
        self.pid = self._process.pid

    def poll(self):
        return self._process.exitcode

    def wait(self):
        self._process.join()
        return self.poll()

    @property
    def returncode(self):
        return self.poll()


@pytest.fixture
def benchmark(processes, load_benchmark, monkeypatch, capsys, tmp_path):
    """Run the benchmark; what it prints."""
    # The server's own start is no part of a curation: kills timed by one that waited for it would come too late.
    processes.start(time.monotonic, said=tmp_path / "started").join()
    module = load_benchmark("curation")
    monkeypatch.setattr(module, "curation", lambda arguments, folder: Curation(processes, arguments, folder))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["curation.py", *TINY, *arguments])
        module.main()
        return capsys.readouterr().out

    return run


@pytest.mark.slow  # kills of a curation in one process: test_pipeline.py
@pytest.mark.skipif(sys.platform == "win32", reason="it kills process groups")
def test_kills_strike_and_the_data_set_is_the_same(benchmark, tmp_path):
    said = benchmark("--kills", "2", "-o", str(tmp_path))
    assert "are identical to the byte" in said
    assert "\n2 kills, each of a curation at work" in said


def test_the_table_has_a_row_for_each_number_of_workers(benchmark, tmp_path):
    said = benchmark("-o", str(tmp_path))
    assert "| workers | cutting | masks | normals | captions | all, with start-up |" in said
    assert said.splitlines()[-1].startswith("| 1 | ")
