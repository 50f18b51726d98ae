"""Previews that follow a document: a draft soon after each change, all of it once nothing has changed for a while."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from real2sam2real.errors import UserError
from real2sam2real.studio.document import StudioDocument
from real2sam2real.studio.jobs import ENDED, Job, JobRunner
from real2sam2real.studio.making import RUN, read_made, state_key
from real2sam2real.workfolder.json_values import read_json
from real2sam2real.workfolder.records import write_json

SETTINGS = "previews.json"
DEBOUNCE_SECONDS = 0.4  # an edit is often one of several
IDLE_SECONDS = 2.0  # then a person looks rather than edits
_VIDEOS = ("preview", "normals", "generated")


def state_options(document: StudioDocument) -> dict[str, Any]:
    """What jobs are told of the state of a document: its key, its scene's id and its shot.

    Raises:
        UserError: there is no scene yet.
    """
    state = document.state
    if state.scene is None:
        raise UserError("there is no scene yet; lift the photo's objects first")
    return {"state": state_key(state.shot, state.scene), "scene": state.scene, "shot": state.shot}


class PreviewKeeper:
    """Keeps the preview of one workspace up to date, by jobs that give way to others.

    Args:
        workspace: id.
        document: of the workspace.
        runner: of jobs.
        follows: whether it makes previews where a person has not said so.
    """

    def __init__(self, workspace: str, document: StudioDocument, runner: JobRunner, *, follows: bool = True) -> None:
        self.workspace, self.document, self.runner = workspace, document, runner
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._given_up: tuple[str, bool] | None = None  # what failed is not tried again before the next change
        self._closed = False
        self.is_on = self._read(follows)
        document.listeners.append(self._hear)
        self.consider()

    @property
    def folder(self) -> Path:
        """Of the workspace."""
        return self.document.folder

    def _read(self, unsaid: bool) -> bool:
        try:
            return bool(read_json(self.folder / SETTINGS)["on"])
        except (OSError, ValueError, KeyError, TypeError):
            return unsaid

    def switch(self, on: bool) -> None:
        """Make previews by themselves from now on, or no more; it is remembered with the workspace."""
        write_json(self.folder / SETTINGS, {"on": on})
        self.is_on, self._given_up = on, None
        if on:
            self.consider()
        else:
            self._wait(None)
            self.runner.cancel_automatic(self.workspace, "preview")
        self.tell()

    def made(self) -> dict[str, Any]:
        """What the run folder holds, as `MadeData` of the page's `types.ts`."""
        state, made = self.document.state, read_made(self.folder)
        now = None if state.scene is None else state_key(state.shot, state.scene)
        keys = {"preview": made.preview, "normals": made.preview, "generated": made.generated}
        found: dict[str, Any] = {"automatic": self.is_on, "state": now}
        for name in _VIDEOS:
            path = self.folder / RUN / f"{name}.mp4"
            found[name] = {
                "version": str(path.stat().st_mtime_ns),
                "current": now is not None and keys[name] == now,
                "draft": made.draft and name != "generated",
            } if path.is_file() else None  # fmt: skip
        return found

    def tell(self) -> None:
        """Tell the pages what there is."""
        self.document.tell("made", self.made())

    def _hear(self, event: str, values: Any) -> None:
        if event == "document":
            self._given_up = None
            self.consider()
            self.tell()

    def consider(self, after: float = DEBOUNCE_SECONDS) -> None:
        """Stop a preview that is out of date, and see a little later what is missing."""
        state = self.document.state
        with self._lock:
            if self._closed or not self.is_on or state.scene is None:
                return
            key = state_key(state.shot, state.scene)
            for job in self.runner.of(self.workspace):
                stale = job.automatic and job.kind == "preview" and job.options["state"] != key
                if stale and job.state not in ENDED:
                    self.runner.cancel(job)
            self._wait(after)

    def _wait(self, seconds: float | None) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            if seconds is not None and not self._closed:
                self._timer = threading.Timer(seconds, self._start)
                self._timer.daemon = True
                self._timer.start()

    def _start(self) -> None:
        """Start what is missing: a draft first, then all of it."""
        try:
            options = state_options(self.document)
        except UserError:
            return
        made = read_made(self.folder)
        is_there = made.preview == options["state"] and (self.folder / RUN / "preview.mp4").is_file()
        draft = not is_there
        wanted = (options["state"], draft)
        with self._lock:
            active = [job for job in self.runner.of(self.workspace) if job.state not in ENDED]
            covered = any(job.options.get("state") == options["state"] for job in active)
            if self._closed or not self.is_on or covered or wanted == self._given_up or (is_there and not made.draft):
                return
            self._given_up = wanted
            self.runner.submit(
                Job(
                    workspace=self.workspace,
                    folder=self.folder,
                    kind="preview",
                    title="Draft preview" if draft else "Preview",
                    options={**options, "draft": draft},
                    revision=self.document.revision,
                    automatic=True,
                    finish=lambda result: self.made_anew(),
                )
            )

    def made_anew(self) -> None:
        """Something was made in the run folder: tell it, and see what is missing now."""
        self.tell()
        self.consider(IDLE_SECONDS)

    def close(self) -> None:
        """Follow the document no more."""
        with self._lock:
            self._closed = True
            self._wait(None)
        if self._hear in self.document.listeners:
            self.document.listeners.remove(self._hear)
