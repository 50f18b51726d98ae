"""The journal of a workspace: every state it was in, on disk, and where in it one is.

    history/now.json         which states there are, in order, which of them holds, and the revision
    history/states/N.json    one state: the shot's text, and which scene and which objects belong to it
    history/scenes/ID/       scenes by their content; history/objects/ID/ likewise

`now.json` is the one step that counts: what is written before it is named by nobody, and what it names is whole.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from real2sam2real.files import replacing_folder, sweep
from real2sam2real.workfolder.fingerprint import digest_of
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.records import read_record, write_json

FORMAT = 1
MOST_STATES = 1000  # older ones are forgotten
MERGE_SECONDS = 1.0
_REMEDY = "delete the workspace's folder 'history' to go on without undo; shot.yaml and scene/ stay"


@dataclass(frozen=True, kw_only=True)
class State:
    """What a workspace is at one moment."""

    label: str  # what led to it, for people
    shot: str  # the text of shot.yaml
    scene: str | None = None  # id of its scene at rest; None before there is one
    objects: str | None = None  # id of what is marked on the photo; None where nothing is
    merge: str = ""  # edits of one word within a second become one state
    made: float = 0.0  # seconds since 1970


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What the working files of a state are, by kind: a hash of the shot's text, ids of scene and objects."""

    shot: str
    scene: str | None
    objects: str | None

    @classmethod
    def of(cls, state: State) -> Contents:
        """Those of a state."""
        return cls(shot=text_digest(state.shot), scene=state.scene, objects=state.objects)


@dataclass(frozen=True, kw_only=True)
class _Now:
    """The content of now.json."""

    format: int
    revision: int
    at: int  # index into `states`
    states: list[int]
    next: int  # number of the next state
    leaving: Contents | None = None  # the working files are still being brought from these to those of the state


def text_digest(text: str | bytes) -> str:
    """SHA-256 of a text, or of its UTF-8."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


class History:
    """The journal in one workspace; who uses it holds the workspace's lock."""

    def __init__(self, folder: Path, now: _Now, states: Sequence[State]) -> None:
        self.folder, self._now, self._states = folder, now, list(states)

    @classmethod
    def create(cls, folder: Path, first: State) -> History:
        """Begin a journal with a state whose snapshots are kept already."""
        (folder / "states").mkdir(parents=True, exist_ok=True)
        write_json(folder / "states" / "0.json", asdict(first), indent=0)
        history = cls(folder, _Now(format=FORMAT, revision=1, at=0, states=[0], next=1), [first])
        history._write(history._now)
        return history

    @classmethod
    def open(cls, folder: Path) -> History:
        """Read a journal, and clear away what a kill left.

        Raises:
            FileNotFoundError: there is none.
            UserError: a file of it is damaged.
        """
        now = read_record(folder / "now.json", partial(typed, _Now), what="journal of a workspace", remedy=_REMEDY)
        if not (now.states and 0 <= now.at < len(now.states)):
            return cls._broken(folder)
        read = partial(read_record, build=partial(typed, State), what="state of a workspace", remedy=_REMEDY)
        try:
            states = [read(folder / "states" / f"{number}.json") for number in now.states]
        except FileNotFoundError:
            return cls._broken(folder)
        for name in ("", "states", "scenes", "objects"):
            if (folder / name).is_dir():
                sweep(folder / name)
        history = cls(folder, now, states)
        history._prune()
        return history

    @staticmethod
    def _broken(folder: Path) -> History:
        def refuse(_: object) -> History:
            raise ValueError("it names states that are not there")

        return read_record(folder / "now.json", refuse, what="journal of a workspace", remedy=_REMEDY)

    @property
    def revision(self) -> int:
        """Grows with every change, undo and redo included."""
        return self._now.revision

    @property
    def state(self) -> State:
        """The one that holds."""
        return self._states[self._now.at]

    @property
    def leaving(self) -> Contents | None:
        """What the working files may still be, where a kill came between; see `settle`."""
        return self._now.leaving

    @property
    def undo(self) -> str | None:
        """What an undo would take back, or None."""
        return self.state.label if self._now.at > 0 else None

    @property
    def redo(self) -> str | None:
        """What a redo would do again, or None."""
        return self._states[self._now.at + 1].label if self._now.at + 1 < len(self._states) else None

    @property
    def states(self) -> list[State]:
        """All, in order."""
        return list(self._states)

    def push(self, state: State) -> None:
        """Make `state` the one that holds; what was undone before is gone.

        One with the same word to merge by, made within a second of the state that holds, takes that one's place.
        """
        state = replace(state, made=time.time())
        now, last = self._now, self.state
        merged = bool(state.merge) and state.merge == last.merge and now.at > 0 and not self.redo
        merged = merged and 0 <= state.made - last.made < MERGE_SECONDS
        kept = now.at if merged else now.at + 1
        states = [*self._states[:kept], state][-MOST_STATES:]
        numbers = [*now.states[:kept], now.next][-MOST_STATES:]
        write_json(self.folder / "states" / f"{now.next}.json", asdict(state), indent=0)
        self._go(replace(now, at=len(states) - 1, states=numbers, next=now.next + 1), states)

    def move(self, step: int) -> None:
        """Go to the state before (−1) or after (1), which must be there."""
        self._go(replace(self._now, at=self._now.at + step), self._states)

    def _go(self, now: _Now, states: list[State]) -> None:
        leaving = self._now.leaving or Contents.of(self.state)
        self._write(replace(now, revision=self._now.revision + 1, leaving=leaving))
        self._states = states

    def settle(self) -> None:
        """Note that the working files are those of the state; and forget what no state names."""
        if self._now.leaving is not None:
            self._write(replace(self._now, leaving=None))
        self._prune()

    def _write(self, now: _Now) -> None:
        write_json(self.folder / "now.json", asdict(now), indent=0)
        self._now = now

    def _prune(self) -> None:
        numbers = {f"{number}.json" for number in self._now.states}
        for path in (self.folder / "states").iterdir():
            if path.name not in numbers:
                path.unlink()
        named = {"scenes": {s.scene for s in self._states}, "objects": {s.objects for s in self._states}}
        for kind, ids in named.items():
            for path in (self.folder / kind).iterdir() if (self.folder / kind).is_dir() else ():
                if path.name not in ids:
                    shutil.rmtree(path)

    def keep(self, kind: str, folder: Path, files: Sequence[Path]) -> str:
        """Copy files of a folder to the snapshots of their kind, "scenes" or "objects".

        Returns:
            The snapshot's id, which is that of its content.
        """
        return keep_snapshot(self.folder / kind, folder, files)

    def snapshot(self, kind: str, name: str) -> Path:
        """Where a snapshot is."""
        return self.folder / kind / name


def snapshot_id(files: Iterable[Path], folder: Path) -> str:
    """The id of what these files of a folder hold."""
    return digest_of(files, folder)[:20]


def copy_file(path: Path, target: Path) -> None:
    """Copy a file, and make its folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def keep_snapshot(snapshots: Path, folder: Path, files: Sequence[Path]) -> str:
    """Copy files of a folder into a folder of snapshots; returns the snapshot's id."""
    name = snapshot_id(files, folder)
    if not (snapshots / name).is_dir():
        with replacing_folder(snapshots / name) as fresh:
            for path in files:
                copy_file(path, fresh / path.relative_to(folder))
    return name
