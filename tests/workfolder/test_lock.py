"""One process per folder: a claim waits, ends with its holder, and says when another process has it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from real2sam2real.errors import UserError
from real2sam2real.workfolder.lock import claimed, locked, writing

HOLDER = (
    "import sys; from pathlib import Path; from real2sam2real.workfolder.lock import locked\n"
    "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """Another process that holds `tmp_path`."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_held_folder_is_refused(holder: subprocess.Popen, tmp_path: Path) -> None:
    said = rf"another run is working in .* \(process {holder.pid}\)"
    with pytest.raises(UserError, match=said), locked(tmp_path):
        pass


def test_a_place_that_is_being_written_is_refused_until_it_is_done(tmp_path: Path) -> None:
    for name in ("new/scene", "video.mp4"):
        with writing(tmp_path / name):
            said = rf"is being written by another command \(process {os.getpid()}\)"
            with pytest.raises(UserError, match=said), writing(tmp_path / "new" / ".." / name):
                pass
            with writing(tmp_path / "elsewhere"):
                pass
        with writing(tmp_path / name):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_claim_is_free_again_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with claimed(tmp_path / "new", patience=0) as held:
            assert held


def test_a_claim_loses_patience(holder: subprocess.Popen, tmp_path: Path) -> None:
    waits: list[int] = []
    started = time.monotonic()
    with claimed(tmp_path, patience=0.3, on_wait=lambda: waits.append(1)) as held:
        assert not held
    assert time.monotonic() - started >= 0.3
    assert waits == [1]


def test_a_claim_is_taken_over_from_the_dead(holder: subprocess.Popen, tmp_path: Path) -> None:
    threading.Timer(0.3, holder.kill).start()
    with claimed(tmp_path, patience=10) as held:
        assert held
