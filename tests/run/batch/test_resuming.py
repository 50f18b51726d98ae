"""A batch on disk: what is finished stays, what changed is made again, what failed is named."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from real2sam2real import media
from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import UserError
from real2sam2real.run.batch import making
from real2sam2real.run.batch.finding import BatchShot, find_shots
from real2sam2real.run.batch.folder import open_batch
from real2sam2real.run.batch.making import SupersededError, make_shot, sweep_shots
from real2sam2real.run.batch.records import read_shot_record, write_shot_record
from real2sam2real.run.generating import Generator
from real2sam2real.run.progress import Progress
from real2sam2real.run.segments import SegmentStore, segments_folder
from real2sam2real.workfolder.lock import claimed

HOLDER = (
    "import sys; from pathlib import Path; from real2sam2real.workfolder.lock import locked\n"
    "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


def video(out: Path, name: str) -> Path:
    return out / "checkpoint-tiny" / name / "generated.mp4"


def rows(out: Path) -> dict[str, dict]:
    lines = (out / "shots.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert len({row["shot"] for row in found}) == len(found)
    return {row["shot"]: row for row in found}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def made(harness, run, out: Path):
    """A finished batch; `made()` gives the names of the shots whose videos have been written anew since."""
    run()
    before = {name: harness.identity_of(video(out, name)) for name in harness.results(out)}

    def written_anew() -> set[str]:
        return {name for name, identity in before.items() if harness.identity_of(video(out, name)) != identity}

    return written_anew


@pytest.fixture
def hold():
    """Hold a folder from another process; the process is given back, to be killed."""
    holders = []

    def start(folder: Path) -> subprocess.Popen:
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", HOLDER, str(folder)]
        holders.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert holders[-1].stdout.readline() == "held\n"
        return holders[-1]

    yield start
    for holder in holders:
        holder.kill()
        holder.wait()


def test_every_shot_is_written_in_the_official_form(harness, run, out: Path) -> None:
    report = run()
    assert set(harness.results(out)) == {"scene0000/camera0", "scene0000/camera1", "scene0001/camera0"}
    assert len(set(harness.results(out).values())) == 3
    assert media.read_video(video(out, "scene0001/camera0")).shape == (5, 32, 32, 3)
    assert [record.status for record in report.records] == ["done"] * 3
    assert report.kept == 0
    row = rows(out)["scene0001/camera0"]
    assert row["output"] == "checkpoint-tiny/scene0001/camera0/generated.mp4"
    assert (row["status"], row["tries"], row["seed"]) == ("done", 1, 0)
    assert harness.left_behind(out) == []


def test_a_second_run_makes_nothing(made, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Generator, "load", None)  # not even the model is loaded
    assert run().kept == 3
    assert made() == set()


def test_only_what_changed_is_made_again(made, run, shots: Path) -> None:
    (shots / "scene0000" / "camera0" / "caption.json").write_text('{"text": "a cup"}', encoding="utf-8")
    os.utime(shots / "scene0000" / "camera1" / "caption.json")  # another time, the same content
    assert run().kept == 2
    assert made() == {"scene0000/camera0"}


def test_an_added_or_removed_input_file_counts_as_a_change(made, run, shots: Path) -> None:
    (shots / "scene0000" / "camera0" / "preview.mkv").write_bytes(b"x")
    assert run().kept == 2
    assert made() == {"scene0000/camera0"}


def test_other_options_make_everything_again(harness, made, run, out: Path) -> None:
    before = harness.results(out)
    assert run(seed=1).kept == 0
    assert made() == set(before)
    assert not set(before.values()) & set(harness.results(out).values())


@pytest.mark.parametrize("damage", ["video", "no video", "record", "no record"])
def test_damage_is_mended(harness, made, run, out: Path, damage: str) -> None:
    before = harness.results(out)
    path = video(out, "scene0000/camera1")
    path = path.with_name("shot.json") if "record" in damage else path
    if damage.startswith("no"):
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-7])
    assert run().kept == 2
    assert harness.results(out) == before


def test_the_list_names_everything_that_the_folder_holds(run, shots: Path, out: Path) -> None:
    run(shots / "scene0000")
    run(shots / "scene0001")
    assert {name: row["status"] for name, row in rows(out).items()} == {
        "scene0000/camera0": "done",
        "scene0000/camera1": "done",
        "scene0001/camera0": "done",
    }


def test_failed_shots_are_listed_and_the_others_finished(run, shots: Path, out: Path, capsys) -> None:
    (shots / "scene0000" / "camera0" / "caption.json").unlink()
    (shots / "scene0000" / "camera1" / "source_image.png").write_bytes(b"no picture")
    log = io.StringIO()
    report = run(progress=Progress(log))
    assert [record.shot for record in report.failed] == ["scene0000/camera0", "scene0000/camera1"]
    with pytest.raises(UserError, match="2 of 3 shots failed") as error:
        report.require_all_done()
    assert "scene0000/camera0: " in str(error.value)
    assert "has no caption.json" in str(error.value)
    assert "source_image.png" in str(error.value)
    assert "1 finished before" not in log.getvalue()
    found = rows(out)
    assert [found[name]["status"] for name in sorted(found)] == ["failed", "failed", "done"]
    assert found["scene0000/camera1"]["tries"] == 1  # bad input stays bad
    assert found["scene0000/camera1"]["output"] is None
    (shots / "scene0000" / "camera0" / "caption.json").write_text('{"text": ""}', encoding="utf-8")
    assert [record.shot for record in run().failed] == ["scene0000/camera1"]


def test_an_earlier_video_of_a_failed_shot_goes(made, run, shots: Path, out: Path) -> None:
    (shots / "scene0000" / "camera1" / "source_image.png").write_bytes(b"no picture")
    run()
    assert not video(out, "scene0000/camera1").exists()
    assert video(out, "scene0000/camera0").exists()


@pytest.mark.parametrize(("failures", "status", "tries"), [(2, "done", 3), (3, "failed", 3)])
def test_unexpected_failures_are_tried_again(
    run, out: Path, monkeypatch: pytest.MonkeyPatch, failures: int, status: str, tries: int
) -> None:
    real, calls = Generator.to_file, []

    def to_file(self, control_folder: Path, path: Path, progress: Progress) -> list[str]:
        calls.append(control_folder.name)
        if control_folder.name == "camera1" and calls.count("camera1") <= failures:
            raise OSError("the disk is away")
        return real(self, control_folder, path, progress)

    monkeypatch.setattr(Generator, "to_file", to_file)
    run(retries=2)
    row = rows(out)["scene0000/camera1"]
    assert (row["status"], row["tries"]) == (status, tries)
    assert row["reason"] == ("" if status == "done" else "OSError: the disk is away")
    assert calls.count("camera0") == 2


def test_an_interrupted_batch_goes_on(run, harness, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Generator.to_file, []

    def to_file(self, *arguments) -> list[str]:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Generator, "to_file", to_file)
    log = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        run(progress=Progress(log))
    assert "stopped: 1 of 3 shots are done and will not be made again" in log.getvalue()
    assert sorted(row["status"] for row in rows(out).values()) == ["done", "waiting", "waiting"]
    assert run().kept == 1
    assert len(harness.results(out)) == 3


def test_two_runs_in_one_folder_are_refused(run, out: Path, hold) -> None:
    hold(out)
    with pytest.raises(UserError, match="another run is working in"):
        run()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_place_that_is_no_batch_is_left_alone(run, out: Path, kind: str) -> None:
    precious = out if kind == "file" else out / "thesis.tex"
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("precious")
    with pytest.raises(UserError, match="choose another"):
        run()
    assert precious.read_text() == "precious"


def test_a_checkpoint_that_is_not_there_leaves_nothing(run, out: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        run(checkpoint="nowhere")
    assert not out.exists()


class Orphans:
    """What a worker sees: a generator, a job and a shot, with no run around it."""

    def __init__(self, checkpoint: Path, shots: Path, out: Path) -> None:
        self.options = GenerateOptions(checkpoint=str(checkpoint), init="noise")
        self.generator = Generator.load(self.options, Progress())
        self.shot: BatchShot = find_shots([shots]).shots[0]
        self.out = out

    def job(self) -> making.BatchRun:
        with open_batch(self.out, options=self.options, command=[]) as folder:
            return folder.run

    def make(self, job: making.BatchRun):
        return make_shot(self.generator, self.shot, job, number=1, progress=Progress())


@pytest.fixture
def orphans(checkpoint: Path, shots: Path, out: Path) -> Orphans:
    return Orphans(checkpoint, shots, out)


def test_a_worker_of_a_killed_run_writes_nothing_more(orphans: Orphans, harness, out: Path) -> None:
    job = orphans.job()
    later = orphans.job()
    with pytest.raises(SupersededError):
        orphans.make(job)
    assert harness.results(out) == {}
    assert orphans.make(later).result.status == "done"


def test_a_shot_that_an_orphan_is_finishing_is_awaited_and_not_made_again(orphans: Orphans, harness, out: Path) -> None:
    orphans.make(orphans.job())
    job = orphans.job()
    place = job.place(orphans.shot)
    finished, record = (place / "generated.mp4").read_bytes(), read_shot_record(place)
    (place / "generated.mp4").unlink()
    (place / "shot.json").unlink()
    outcomes = []
    with claimed(place, patience=0) as held:
        assert held
        waiting = threading.Thread(target=lambda: outcomes.append(orphans.make(job)))
        waiting.start()
        time.sleep(0.5)
        assert outcomes == []
        (place / "generated.mp4").write_bytes(finished)
        write_shot_record(place, replace(record, worker="the orphan"))
    waiting.join()
    assert outcomes[0].result.worker == "the orphan"


def test_a_claim_dies_with_its_holder(orphans: Orphans, hold) -> None:
    job = orphans.job()
    holder = hold(job.place(orphans.shot))
    timer = threading.Timer(0.5, lambda: os.kill(holder.pid, signal.SIGKILL))
    timer.start()
    assert orphans.make(job).result.status == "done"
    assert holder.wait() == -signal.SIGKILL


def test_a_claim_that_is_never_given_up_fails_the_shot(orphans: Orphans, hold, monkeypatch: pytest.MonkeyPatch) -> None:
    job = orphans.job()
    hold(job.place(orphans.shot))
    monkeypatch.setattr(making, "_CLAIM_PATIENCE_SECONDS", 0.1)
    record = orphans.make(job).result
    assert (record.status, record.reason) == ("failed", "a worker of another run still holds it")


def test_a_finished_shot_under_a_claim_is_looked_at_again(made, run, out: Path, hold, orphans: Orphans) -> None:
    """Its holder may be about to write what was asked of an earlier run."""
    holder = hold(video(out, "scene0000/camera0").parent)
    with open_batch(out, options=orphans.options, command=[]) as folder:
        assert [shot.name for shot in folder.take_stock([orphans.shot])] == ["scene0000/camera0"]
        holder.kill()
        holder.wait()
        assert folder.take_stock([orphans.shot]) == []


def test_half_written_files_of_the_dead_are_swept(made, run, out: Path, hold, harness) -> None:
    dead = [
        out / ".shots-abcd1234.jsonl",
        out / ".batch-abcd1234.json",
        video(out, "scene0000/camera0").with_name(".generated-abcd1234.mp4"),
        video(out, "scene0000/camera0").with_name(".shot-abcd1234.json"),
    ]
    living = video(out, "scene0001/camera0").with_name(".generated-abcd1234.mp4")
    for path in [*dead, living]:
        path.write_text("half")
    holder = hold(living.parent)
    sweep_shots(out, patience=0)
    assert living.exists()
    assert not any(path.exists() for path in dead[2:])
    living.unlink()
    holder.kill()
    holder.wait()
    for path in dead:
        path.write_text("half")
    run()
    assert harness.left_behind(out) == []


def test_segments_of_a_video_that_is_whole_are_swept(orphans: Orphans, harness, out: Path) -> None:
    job = orphans.job()
    place = segments_folder(job.place(orphans.shot) / "generated.mp4")
    store = SegmentStore(place, identity="of other options", fps=16)
    assert store.folder.is_dir()
    orphans.make(job)
    assert harness.left_behind(out) == []
    assert not store.folder.exists()
