"""The batch by Ray: real workers, really killed."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import psutil
import pytest

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.run.batch.running import BatchReport, run_batch
from real2sam2real.run.options import BatchOptions
from real2sam2real.run.progress import Progress

# Not imported here: processes that are forked from this one set Ray up before they import it.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray has no package for every platform")


@pytest.fixture
def by_ray(checkpoint: Path, shots: Path, tmp_path: Path):
    """Run the batch of `shots` by Ray into `tmp_path / "out"`."""

    def run(*given: Path, log: StringIO | None = None, retries: int = 2, workers: int = 1, **options) -> BatchReport:
        return run_batch(
            given or [shots],
            tmp_path / "out",
            options=GenerateOptions(**{"checkpoint": str(checkpoint), "init": "noise", **options}),
            batch=BatchOptions(ray=True, workers=workers, retries=retries),
            progress=Progress(log),
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


def test_gives_what_one_process_gives_and_bad_input_fails_alone(
    cluster, by_ray, run, shots, harness, tmp_path: Path
) -> None:
    broken = shots / "scene0001" / "camera9"
    shutil.copytree(shots / "scene0001" / "camera0", broken)
    (broken / "source_image.png").write_bytes(b"no picture")
    report = by_ray(workers=2)
    by_workers = harness.results(tmp_path / "out")
    assert {record.shot: (record.status, record.tries) for record in report.records} == {
        "scene0000/camera0": ("done", 1),
        "scene0000/camera1": ("done", 1),
        "scene0001/camera0": ("done", 1),
        "scene0001/camera9": ("failed", 1),
    }
    assert "source_image.png" in report.failed[0].reason
    assert harness.left_behind(tmp_path / "out") == []
    shutil.rmtree(broken)
    assert by_ray().kept == 3
    for record in (tmp_path / "out").glob("checkpoint-*/*/*/shot.json"):
        record.unlink()
    assert run().kept == 0
    assert harness.results(tmp_path / "out") == by_workers


def test_a_killed_worker_is_replaced_and_its_shot_given_up_after_its_tries(
    cluster, by_ray, harness, tmp_path: Path
) -> None:
    """That a job is tried again, and how often: tests/workfolder/test_ray_pool.py."""
    shots = harness.tiny_shots(tmp_path / "long", 2, frames=17)  # long enough to be met at work
    log = StringIO()
    with killing(tmp_path / "out/checkpoint-tiny/scene0000/camera0") as killed:
        report = by_ray(shots, log=log, retries=0, steps=30)
    assert len(killed) == 1
    assert {record.shot: (record.status, record.tries) for record in report.records} == {
        "scene0000/camera0": ("failed", 1),
        "scene0000/camera1": ("done", 1),
    }
    assert "its worker died" in report.failed[0].reason
    assert set(harness.results(tmp_path / "out")) == {"scene0000/camera1"}
    assert harness.left_behind(tmp_path / "out") == []


@pytest.mark.parametrize("by_driver", [False, True], ids=["one process", "Ray"])
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


def test_an_address_where_nobody_answers_is_said_at_once(checkpoint: Path, shots: Path, tmp_path: Path) -> None:
    import ray

    if ray.is_initialized():
        ray.shutdown()
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
