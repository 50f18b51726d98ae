"""The batch by Ray: real workers, really killed."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import psutil
import pytest

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.run.batch.running import BatchReport, run_batch
from real2sam2real.run.options import BatchOptions
from real2sam2real.run.progress import Progress
from real2sam2real.workfolder.ray_pool import why_it_died

ray = pytest.importorskip("ray", reason="Ray has no package for every platform")


@pytest.fixture(scope="module")
def cluster():
    """One Ray for the tests of this module, as a program that has its own gives it to us."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20, log_to_driver=False)
    yield
    ray.shutdown()


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
def killing(place: Path, *, times: int) -> Iterator[list[int]]:
    """Kill -9 whatever worker holds the shot at `place`, so many times; gives the processes killed."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.is_set() and len(killed) < times:
            for process in psutil.process_iter(["cmdline"]):
                if holds(process, place / ".lock") and process.pid not in killed:
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


def test_gives_what_one_process_gives(cluster, by_ray, run, harness, tmp_path: Path) -> None:
    report = by_ray(workers=2)
    by_workers = harness.results(tmp_path / "out")
    assert [record.status for record in report.records] == ["done"] * 3
    assert harness.left_behind(tmp_path / "out") == []
    assert by_ray().kept == 3
    for record in (tmp_path / "out").glob("checkpoint-*/*/*/shot.json"):
        record.unlink()
    assert run().kept == 0
    assert harness.results(tmp_path / "out") == by_workers


def test_killed_workers_are_replaced_and_a_shot_is_given_up_after_its_tries(
    cluster, by_ray, harness, tmp_path: Path
) -> None:
    shots = harness.tiny_shots(tmp_path / "long", 3, frames=17)  # long enough to be met at work
    places = tmp_path / "out/checkpoint-tiny"
    log = StringIO()
    with (
        killing(places / "scene0000/camera0", times=2) as always,
        killing(places / "scene0000/camera1", times=1) as once,
    ):
        report = by_ray(shots, log=log, retries=1, steps=30)
    assert (len(always), len(once)) == (2, 1)
    assert {record.shot: (record.status, record.tries) for record in report.records} == {
        "scene0000/camera0": ("failed", 2),
        "scene0000/camera1": ("done", 2),
        "scene0001/camera0": ("done", 1),
    }
    assert "its worker died" in report.failed[0].reason
    assert "scene0000/camera1: its worker died" in log.getvalue()
    assert set(harness.results(tmp_path / "out")) == {"scene0000/camera1", "scene0001/camera0"}
    assert harness.left_behind(tmp_path / "out") == []


def test_bad_input_fails_alone(cluster, by_ray, shots: Path) -> None:
    (shots / "scene0000" / "camera1" / "source_image.png").write_bytes(b"no picture")
    report = by_ray()
    assert [(record.shot, record.tries) for record in report.failed] == [("scene0000/camera1", 1)]
    assert "source_image.png" in report.failed[0].reason


def test_a_checkpoint_that_no_worker_can_load_ends_the_batch(cluster, by_ray, checkpoint: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    for path in checkpoint.rglob("*.*"):
        copy = broken / path.relative_to(checkpoint)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes()[:100] if path.suffix == ".safetensors" else path.read_bytes())
    with pytest.raises(UserError, match=r"broken.* is damaged"):
        by_ray(checkpoint=str(broken))


def test_more_workers_than_places_are_refused(cluster, by_ray) -> None:
    with pytest.raises(UserError, match="--workers 3 is more than this machine has CPU cores, 2"):
        by_ray(workers=3)


@pytest.mark.parametrize("by_driver", [False, True], ids=["one process", "Ray"])
def test_kill_9_at_any_moment_neither_loses_nor_redoes_a_shot(harness, checkpoint, tmp_path: Path, by_driver) -> None:
    """The soak with many more kills is `benchmarks/batch.py --kills`."""
    shots = harness.tiny_shots(tmp_path / "in", 8)
    command = ["generate", str(shots), "--checkpoint", str(checkpoint), "--init", "noise"]
    harness.finish([*command, "-o", str(tmp_path / "undisturbed")])
    reference = harness.results(tmp_path / "undisturbed")
    assert len(reference) == 8
    flags = ["--ray", "--workers", "2"] if by_driver else []
    rounds = harness.KillRounds([*command, *flags], tmp_path, reference)
    rounds.run(2 if by_driver else 20)
    assert rounds.made_before_kills > 0


def test_an_address_where_nobody_answers_is_said_at_once(checkpoint: Path, shots: Path, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "The actor died unexpectedly before finishing this task.\n\tclass_name: Worker\nWorker exit detail: Worker "
            "unexpectedly exits\nwith a connection error code 2. End of file.",
            "Worker unexpectedly exits with a connection error code 2. End of file.",
        ),
        ("Task was killed,\nas memory ran low.", "Task was killed, as memory ran low."),
    ],
)
def test_why_a_worker_died_fits_on_a_line(message: str, reason: str) -> None:
    assert why_it_died(RuntimeError(message)) == reason
