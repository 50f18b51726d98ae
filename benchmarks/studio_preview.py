"""How long after an edit in the studio its preview is there, and what a process that waits for its job saves.

python benchmarks/studio_preview.py

Prints, for the demo's scene (one object of 20 000 faces, 49 frames): seconds from an edit to the draft and to the whole
preview, and what both cost; seconds and processor seconds of a job that does nothing, in a new process and in one that
was started before.
"""

from __future__ import annotations

import resource
import tempfile
import threading
import time
from pathlib import Path

import real2sam2real
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.run.demo import PITCH_DEGREES, demo_folder
from real2sam2real.scene.folder import save_scene
from real2sam2real.studio.activity import Activity
from real2sam2real.studio.jobs import ENDED, Job, JobRunner
from real2sam2real.studio.workspaces import Workspaces

EDITS = 3


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        processes(Path(folder))
        edits(Path(folder))


def processes(folder: Path) -> None:
    """A job of an unknown kind ends as soon as its process has looked for it."""
    for title, warm in (("a new process", False), ("a process that waited", True)):
        runner = JobRunner()
        if warm:
            runner.warm_up()
            time.sleep(10)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, time.monotonic()
        job = Job(workspace="w", folder=folder, kind="none", title="", options={})
        runner.submit(job)
        while job.state not in ENDED:
            time.sleep(0.005)
        seconds = time.monotonic() - began
        runner.close()
        spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        print(f"{title:22} answers after {seconds:5.2f} s ({spent:.1f} s of processor time)")


def edits(folder: Path) -> None:
    """Edits of the demo's shot, and when what they made is there."""
    assets = demo_folder()
    scene = real2sam2real.lift(
        assets / "photo.jpg", {"cup": assets / "cup.png"}, view=ViewOptions(pitch=PITCH_DEGREES), offline=True
    )
    save_scene(scene, folder / "scene")
    workspaces = Workspaces(folder / "studio")
    workspace = workspaces.get(workspaces.add(folder / "scene"))
    activity = Activity(workspaces)
    keeper, news = activity.previews_of(workspace), threading.Condition()

    def hear(event: str, values: object) -> None:
        with news:
            news.notify_all()

    workspace.document.listeners.append(hear)
    shot = (assets / "shot.yaml").read_text(encoding="utf-8")
    for number in range(EDITS):
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        workspace.document.commit("edit", shot=f"{shot}\n# {number}\nseed: {number}\n")
        times = {}
        while "whole" not in times:
            with news:
                news.wait(0.05)
            now = keeper.made()["preview"]
            if now is not None and now["current"]:
                times.setdefault("draft", time.monotonic() - began)
                if not now["draft"]:
                    times["whole"] = time.monotonic() - began
        while any(job.state not in ENDED for job in activity.runner.of(workspace.id)):
            time.sleep(0.01)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        told = f"draft after {times['draft']:5.1f} s, whole preview after {times['whole']:5.1f} s"
        print(f"edit {number + 1}: {told} ({spent:.1f} s of processor time for both)")
    activity.close()
    workspaces.close()


if __name__ == "__main__":
    main()
