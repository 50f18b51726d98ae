"""The studio's job runner, with real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from real2sam2real.errors import UserError
from real2sam2real.studio.job import find_work
from real2sam2real.studio.jobs import ENDED, Job, JobRunner

PATIENCE = 60.0  # seconds; on a busy machine a process starts slowly


class Watched(JobRunner):
    """A runner that notes what it tells, and can be waited for."""

    def __init__(self, program: str) -> None:
        self.told: list[dict] = []
        self._news = threading.Condition()
        super().__init__(self._note, program=program)

    def _note(self, workspace: str) -> None:
        with self._news:
            self.told += [job.message() for job in self.of(workspace)]
            self._news.notify_all()

    def wait_for(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while not holds():
                assert time.monotonic() < deadline, [job.message() for job in self.of("w")]
                self._news.wait(0.1)

    def ended(self, job: Job) -> Job:
        self.wait_for(lambda: job.state in ENDED)
        return job


@pytest.fixture
def runner(job_program: str) -> Iterator[Watched]:
    found = Watched(job_program)
    yield found
    found.close()


def job(folder: Path, kind: str = "count", **values) -> Job:
    options = values.pop("options", {"total": 3})
    return Job(workspace="w", folder=folder, kind=kind, title=kind, options=options, **values)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_job_tells_its_progress_its_notes_and_its_result(runner: Watched, tmp_path: Path) -> None:
    results, picture = [], tmp_path / "now.png"
    given = job(
        tmp_path, options={"total": 5, "seconds": 0.2, "picture": str(picture)}, picture_file=picture,
        finish=results.append,
    )  # fmt: skip
    found = runner.ended(runner.submit(given))
    assert (found.state, found.error, found.notes) == ("done", None, ["counted"])
    assert results == [{"counted": 5}]
    steps = [(told["step"], told["done"], told["total"]) for told in runner.told if told["state"] == "running"]
    assert ("count", 0, 0) in steps
    assert {("counting", 1, 5), ("counting", 3, 5), ("counting", 5, 5)} <= {*steps}
    left = [told["secondsLeft"] for told in runner.told if (told["step"], told["done"]) == ("counting", 3)]
    assert 0.1 < left[0] < 5
    assert found.picture >= 3


def test_refusals_and_accidents_are_told(runner: Watched, tmp_path: Path) -> None:
    refused = runner.submit(job(tmp_path, "fail", options={"refusal": "the cup is too hot; wait"}))
    unheard = runner.submit(job(tmp_path, "fail"))
    died = runner.submit(job(tmp_path, "fail", options={"exit": 3}))
    unknown = runner.submit(job(tmp_path, "nonsense"))
    for each in (refused, unheard, died, unknown):
        assert runner.ended(each).state == "failed"
    assert refused.error == "the cup is too hot; wait"
    assert "KeyError" in unheard.error
    assert "exit status 3" in died.error
    assert "the last word" in died.error
    assert "there is no job 'nonsense'" in unknown.error


def test_a_result_that_cannot_be_taken_in_is_a_failure(runner: Watched, tmp_path: Path) -> None:
    def refuse(result: object) -> None:
        raise UserError("the disk is full; free some space")

    found = runner.ended(runner.submit(job(tmp_path, finish=refuse)))
    assert (found.state, found.error) == ("failed", "the disk is full; free some space")


@pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")
@pytest.mark.parametrize("deaf", [False, True])
def test_cancelling_ends_the_whole_process_group(
    runner: Watched, tmp_path: Path, deaf: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("real2sam2real.studio.jobs._GRACE_SECONDS", 0.3)
    given = runner.submit(job(tmp_path, "wait", options={"deaf": deaf}))
    runner.wait_for(lambda: len(given.step.split()) == 2)
    pids = [int(number) for number in given.step.split()]
    assert all(map(is_alive, pids))
    runner.cancel(given)
    assert runner.ended(given).state == "cancelled"
    assert given.error is None
    runner.wait_for(lambda: not any(map(is_alive, pids)))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 of POSIX")
def test_a_killed_process_is_told_and_the_next_job_runs(runner: Watched, tmp_path: Path) -> None:
    given, after = runner.submit(job(tmp_path, "wait")), runner.submit(job(tmp_path))
    runner.wait_for(lambda: len(given.step.split()) == 2)
    own, child = map(int, given.step.split())
    assert own == runner.process_of(given.id)
    os.kill(own, signal.SIGKILL)
    assert runner.ended(given).state == "failed"
    assert "signal 9" in given.error
    assert "memory" in given.error
    assert runner.ended(after).state == "done"
    runner.wait_for(lambda: not is_alive(child))


def test_one_heavy_job_at_a_time_and_light_ones_beside_it(runner: Watched, tmp_path: Path) -> None:
    waiting = runner.submit(job(tmp_path, "wait"))
    second, light = runner.submit(job(tmp_path)), runner.submit(job(tmp_path, heavy=False))
    assert runner.ended(light).state == "done"
    assert (waiting.state, second.state) == ("running", "queued")
    third = runner.submit(job(tmp_path))
    runner.cancel(third)
    assert third.state == "cancelled"
    runner.cancel(waiting)
    assert runner.ended(second).state == "done"
    runner.cancel(second)  # which has ended: it is forgotten
    assert second not in runner.of("w")


def test_an_automatic_job_gives_way_and_is_begun_again(runner: Watched, tmp_path: Path) -> None:
    preview = runner.submit(job(tmp_path, "count", options={"total": 40, "seconds": 0.05}, automatic=True))
    runner.wait_for(lambda: preview.done > 2)
    asked = runner.submit(job(tmp_path / "elsewhere", "fail"))
    runner.ended(asked)
    assert preview.state in ("queued", "running")
    runner.ended(preview)
    assert preview.state == "done"
    assert (tmp_path / "begun.txt").read_text() == "xx"


def test_what_is_out_of_date_is_stopped(runner: Watched, tmp_path: Path) -> None:
    stale = runner.submit(job(tmp_path, "wait", options={}, automatic=True))
    kept = runner.submit(job(tmp_path, "wait", options={}))
    runner.wait_for(lambda: kept.state == "running")
    runner.cancel_automatic("w", "wait")
    assert runner.ended(stale).state == "cancelled"
    assert kept.state == "running"


def test_a_cancelled_job_can_be_gone_on_with(runner: Watched, tmp_path: Path) -> None:
    given = runner.submit(job(tmp_path, options={"total": 100, "seconds": 0.05}))
    runner.wait_for(lambda: given.done > 0)
    runner.cancel(given)
    runner.ended(given)
    given.options["total"] = 2
    assert runner.again("w", given.id) is given
    assert runner.ended(given).state == "done"
    assert runner.again("w", given.id) is None
    assert runner.find("other", given.id) is None
    assert runner.find("w", given.id) is given


@pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")
def test_the_servers_end_ends_its_jobs(job_program: str, tmp_path: Path) -> None:
    server = (
        "import sys, time; from pathlib import Path; from real2sam2real.studio.jobs import Job, JobRunner\n"
        f"runner = JobRunner(program='{job_program}')\n"
        f"job = runner.submit(Job(workspace='w', folder=Path('{tmp_path}'), kind='wait', title='', options={{}}))\n"
        "while len(job.step.split()) < 2: time.sleep(0.05)\n"
        "print(job.step, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", server], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(number) for number in process.stdout.readline().split()]
        assert len(pids) == 2
        process.kill()
    deadline = time.monotonic() + PATIENCE
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_closing_ends_everything(job_program: str, tmp_path: Path) -> None:
    runner = Watched(job_program)
    given, queued = runner.submit(job(tmp_path, "wait")), runner.submit(job(tmp_path))
    runner.wait_for(lambda: given.step != "")
    runner.close()
    assert runner.ended(given).state == "cancelled"
    assert queued.state == "cancelled"


def test_every_kind_of_job_has_its_function() -> None:
    from real2sam2real.studio.job import KINDS

    for kind in KINDS:
        assert callable(find_work(kind))
