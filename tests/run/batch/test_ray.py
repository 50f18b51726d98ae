"""The batch by Ray: real workers, really killed."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.run.batch.running import BatchReport, run_batch
from real2sam2real.run.options import BatchOptions

# Not imported here: processes that are forked from this one set Ray up before they import it.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray has no package for every platform")


@pytest.fixture
def by_ray(checkpoint: Path, shots: Path, tmp_path: Path):
    """Run the batch of `shots` by Ray into `tmp_path / "out"`."""

    def run(*given: Path, retries: int = 2, **options) -> BatchReport:
        return run_batch(
            given or [shots],
            tmp_path / "out",
            options=GenerateOptions(**{"checkpoint": str(checkpoint), "init": "noise", **options}),
            batch=BatchOptions(ray=True, workers=1, retries=retries),
        )

    return run


@contextmanager
def killing(place: Path) -> Iterator[list[int]]:
    """Kill -9 whatever worker holds the shot at `place`, once; gives the process killed."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.is_set() and not killed:
            if (place / ".lock").exists():
                for process in psutil.process_iter(["cmdline"]):
                    if holds(process, place / ".lock"):
                        killed.append(process.pid)
                        process.kill()
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def holds(process: psutil.Process, lock: Path) -> bool:
    if not (process.info["cmdline"] or [""])[0].startswith("ray::Worker"):
        return False
    try:
        return any(file.path == str(lock) for file in process.open_files())
    except psutil.Error:  # it has just ended
        return False


def test_a_killed_worker_is_replaced_bad_input_fails_alone_and_the_rest_is_as_by_one_process(
    cluster, by_ray, run, shots, harness, tmp_path: Path
) -> None:
    """That a job is tried again, and how often, and several workers at once: tests/workfolder/test_ray_pool.py."""
    killed_at, broken = shots / "scene0000" / "camera0", shots / "scene0001" / "camera9"
    shutil.copytree(shots / "scene0001" / "camera0", broken)
    (broken / "source_image.png").write_bytes(b"no picture")
    harness.tiny_shots(tmp_path / "long", 1, frames=17)  # long enough to be met at work
    shutil.rmtree(killed_at)
    shutil.copytree(tmp_path / "long" / "scene0000" / "camera0", killed_at)
    with killing(tmp_path / "out/checkpoint-tiny/scene0000/camera0") as killed:
        report = by_ray(retries=0, steps=30)
    assert len(killed) == 1
    assert {record.shot: (record.status, record.tries) for record in report.records} == {
        "scene0000/camera0": ("failed", 1),
        "scene0000/camera1": ("done", 1),
        "scene0001/camera0": ("done", 1),
        "scene0001/camera9": ("failed", 1),
    }
    reasons = {record.shot: record.reason for record in report.failed}
    assert "its worker died" in reasons["scene0000/camera0"]
    assert "source_image.png" in reasons["scene0001/camera9"]
    by_worker = harness.results(tmp_path / "out")
    assert set(by_worker) == {"scene0000/camera1", "scene0001/camera0"}
    assert harness.left_behind(tmp_path / "out") == []
    shutil.rmtree(broken)
    shutil.rmtree(killed_at)
    assert by_ray(steps=30).kept == 2
    for record in (tmp_path / "out").glob("checkpoint-*/*/*/shot.json"):
        record.unlink()
    assert run(steps=30).kept == 0
    assert harness.results(tmp_path / "out") == by_worker


@pytest.mark.parametrize("by_driver", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["one process", "Ray"])
def test_kill_9_at_any_moment_neither_loses_nor_redoes_a_shot(harness, checkpoint, tmp_path: Path, by_driver) -> None:
    """The soak with many more kills is `benchmarks/batch.py --kills`."""
    shots = harness.tiny_shots(tmp_path / "in", 8)
    command = ["generate", str(shots), "--checkpoint", str(checkpoint), "--init", "noise"]
    harness.finish([*command, "-o", str(tmp_path / "undisturbed")])
    reference = harness.results(tmp_path / "undisturbed")
    assert len(reference) == 8
    rounds = harness.KillRounds([*command, *(["--ray"] if by_driver else [])], tmp_path, reference)
    rounds.run(1 if by_driver else 8)  # Ray and a worker that loads torch take half a minute a start
    assert rounds.made_before_kills > 0


def test_an_address_where_nobody_answers_is_said_at_once(
    checkpoint: Path, shots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # that of the other tests
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with pytest.raises(UserError, match=r"no Ray cluster answers at 127.0.0.1:1 .*ray start --head"):
        run_batch(
            [shots],
            tmp_path / "out",
            options=GenerateOptions(checkpoint=str(checkpoint), init="noise"),
            batch=BatchOptions(ray_address="127.0.0.1:1"),
        )


def test_without_ray_it_says_how_to_get_it(by_ray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPartError, match=r"real2sam2real\[batch\]"):
        by_ray()
