"""The pool by Ray, with jobs that need no model: real workers, really killed."""

import os
import select
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from real2sam2real.errors import UserError
from real2sam2real.workfolder import ray_pool
from real2sam2real.workfolder.jobs import Tried
from real2sam2real.workfolder.ray_pool import RayPool, Worker, why_it_died

# Not imported here: processes that are forked from this one set Ray up before they import it.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray has no package for every platform")


def maker_that_dies(deaths: dict[str, int]):
    """Its worker is killed at the first so many tries of a job, or when it loads, if "load" is a key.

    The class is made in a function, so that Ray carries its code: workers cannot import a test.
    """

    class DyingMaker:
        def load(self) -> None:
            if "load" in deaths:
                os.kill(os.getpid(), signal.SIGKILL)

        def make(self, job: str, number: int, /) -> Tried[tuple[str, int]]:
            if number <= deaths.get(job, 0):
                os.kill(os.getpid(), signal.SIGKILL)
            return Tried(result=(job, number))

    return DyingMaker()


def pool(deaths: dict[str, int], *, lines: list[str], **options) -> RayPool:
    return RayPool(
        maker=maker_that_dies(deaths),
        give_up=lambda job, reason, tries: (job, -tries, reason),
        say=lines.append,
        **options,
    )


def test_dead_workers_are_replaced_and_a_job_is_given_up_after_its_tries(cluster) -> None:
    lines: list[str] = []
    made = list(pool({"always": 9, "once": 1}, lines=lines, workers=1, retries=1).make(["always", "once", "never"]))
    assert sorted(result[:2] for result in made) == [("always", -2), ("never", 1), ("once", 2)]
    (given_up,) = (result for result in made if result[0] == "always")
    assert given_up[2].startswith("its worker died: ")
    assert lines[0].startswith("1 worker of ")
    assert sorted(line.split(":")[0].strip() for line in lines[1:]) == ["always", "once"]
    assert all("its worker died" in line and "it is tried again" in line for line in lines[1:])


def test_workers_are_at_work_at_once(cluster, tmp_path: Path) -> None:
    class MeetingMaker:
        """Does a job when another worker is at its own."""

        def load(self) -> None:
            pass

        def make(self, job: str, number: int, /) -> Tried[tuple[str, int]]:
            (tmp_path / job).touch()
            deadline = time.monotonic() + 60
            while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            return Tried(result=(job, os.getpid()))

    pool = RayPool(maker=MeetingMaker(), give_up=lambda job, reason, tries: (job, 0), workers=2)
    made = dict(pool.make(["one", "other"]))
    assert set(made) == {"one", "other"}
    assert len(set(made.values())) == 2


def test_workers_that_die_one_after_another_end_the_run(cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("real2sam2real.workfolder.ray_pool._CRASHES_IN_A_ROW", 0)
    lines: list[str] = []
    with pytest.raises(UserError, match="2 workers died one after another"):
        list(pool({"load": 1}, lines=lines, workers=1).make(["job"]))
    assert [line.split("(")[0].strip() for line in lines[1:]] == ["a worker died while it loaded the model"]


def test_what_a_worker_says_of_the_model_ends_the_run(cluster) -> None:
    class DamagedMaker:
        def load(self) -> None:
            raise UserError("the checkpoint is damaged")

        def make(self, job: str, number: int, /) -> Tried[str]:
            raise NotImplementedError

    with pytest.raises(UserError, match=r"^the checkpoint is damaged$"):
        list(RayPool(maker=DamagedMaker(), give_up=lambda job, reason, tries: job, workers=1).make(["job"]))


def test_more_workers_than_places_are_refused(cluster) -> None:
    with pytest.raises(UserError, match="--workers 3 is more than this machine has CPU cores, 2"):
        list(pool({}, lines=[], workers=3).make(["job"]))


def test_a_folder_that_a_machine_does_not_see_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_pool, "_SHARED_FOLDER_SECONDS", 0.0)
    with pytest.raises(UserError, match=r"here does not see .*nowhere; a cluster needs a file system that all"):
        ray_pool._wait_for(tmp_path / "nowhere", "here")


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


def test_a_worker_ends_with_the_process_that_started_it(tmp_path) -> None:
    """It may hold a lock that the next run waits for."""
    alive, held = os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.fork() == 0:
            Worker(None, tmp_path, ())
            os.write(held, b"started")
        time.sleep(60)
        os._exit(0)
    os.close(held)
    assert os.read(alive, 7) == b"started"
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert select.select([alive], [], [], 30)[0]  # nobody is left who could write
    assert os.read(alive, 1) == b""
