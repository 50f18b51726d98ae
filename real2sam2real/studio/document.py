"""The document of a workspace: its shot, its scene at rest, and what is marked on its photo, changed in one place.

The journal (`history`) decides what holds. The working files are brought after it, and what an editor or Blender
changes in them is taken in as a change like any other.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from real2sam2real.errors import NoRoomError, UserError
from real2sam2real.run.directing import open_scene, with_defaults
from real2sam2real.scene.camera_moves import ImportedPath
from real2sam2real.scene.kept_motions import KeptMotions
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.shot import Shot, parse_shot, shot_from_data
from real2sam2real.studio.errors import RefusedError
from real2sam2real.studio.history import Contents, History, State
from real2sam2real.studio.working_files import KINDS, SCENE, SHOT, Signature, WorkingFiles, object_files, scene_files
from real2sam2real.workfolder.json_values import read_json
from real2sam2real.workfolder.records import write_json

HISTORY, PAGE = "history", "page.json"
OUTSIDE = "changed outside"
_MOST_OPEN_SCENES = 3
_MOST_PAGE_BYTES = 10_000_000


class StudioDocument:
    """One workspace, opened; who opens it holds its lock. All methods may be called from any thread."""

    def __init__(self, folder: Path, history: History) -> None:
        self.folder, self.history, self.files = folder, history, WorkingFiles(folder)
        self.lock, self.kept = threading.RLock(), KeptMotions()
        self.listeners: list[Callable[[str, Any], None]] = []
        self.problems: dict[str, str] = {}  # by kind of working file, why it is not what the document is
        self._scenes: OrderedDict[str, tuple[Scene, list[str]]] = OrderedDict()
        self._directed: tuple[Contents, Scene | None, str | None] | None = None
        self._seen: Signature | None = None  # the working files when they were the document's, or were looked at
        self._changing: Signature | None = None  # likewise when they were seen to be changed, maybe not to the end
        self._go_on_after_kill()
        self.take_outside()

    @property
    def state(self) -> State:
        """What holds."""
        return self.history.state

    @property
    def revision(self) -> int:
        """Grows with every change."""
        return self.history.revision

    # Reading.

    def scene(self) -> tuple[Scene, list[str]] | None:
        """The scene at rest with closed meshes, and notes; None before there is one."""
        return None if self.state.scene is None else self.scene_called(self.state.scene)

    def scene_called(self, name: str) -> tuple[Scene, list[str]]:
        """The same of any state, by the scene's id.

        Raises:
            UserError: it cannot be opened.
        """
        with self.lock:
            if name not in self._scenes:
                self._scenes[name] = open_scene(self.history.snapshot("scenes", name))
            self._scenes.move_to_end(name)
            while len(self._scenes) > _MOST_OPEN_SCENES:
                self._scenes.popitem(last=False)
            return self._scenes[name]

    def shot(self) -> Shot:
        """The shot that holds."""
        return self.parsed(self.state.shot)

    def parsed(self, text: str) -> Shot:
        """The shot of a shot file's text; paths in it are relative to the workspace.

        Raises:
            UserError: it cannot be read.
        """
        return parse_shot(text, file=SHOT, folder=self.folder)

    def shot_of(self, data: Any) -> Shot:
        """A shot from the page, in JSON values. It may name the files that the workspace's shots name, and no others.

        Raises:
            UserError: it cannot be read, or names another file.
        """
        shot = shot_from_data(data, self.folder)
        if named := _files_of(shot):
            known = {file for state in self.history.states for file in _files_of(self.parsed(state.shot))}
            if other := sorted(named - known):
                raise UserError(
                    f"camera: '{other[0]}' is no camera path of this workspace; write it into {self.folder / SHOT}, "
                    "which is read whenever it changes"
                )
        return shot

    def directed_by(self, shot: Shot) -> Scene | None:
        """The scene under a shot, by the rule of `r2s2r render`; None without a scene.

        Raises:
            UserError: they do not fit.
        """
        found = self.scene()
        return None if found is None else apply_shot(found[0], shot, self.kept)

    def directed(self) -> tuple[Scene | None, str | None]:
        """The scene under the shot that holds; or None, and why there is none if there should be one."""
        with self.lock:
            now = Contents.of(self.state)
            if self._directed is None or self._directed[0] != now:
                try:
                    self._directed = (now, self.directed_by(self.shot()), None)
                except UserError as error:
                    self._directed = (now, None, str(error))
            return self._directed[1:]

    # Changing.

    def commit(
        self,
        label: str,
        *,
        shot: Shot | str | None = None,
        scene: Path | None = None,
        objects: Path | None = None,
        base: int | None = None,
        merge: str = "",
    ) -> None:
        """Change the document; there is no other way.

        Args:
            label: what is done, for people.
            shot: the new shot; a text is kept to the letter.
            scene: a scene folder, which is copied.
            objects: a folder with objects.json and masks/, which is copied; an empty one where nothing is marked.
            base: the revision that whoever asks for the change has seen; None for who needs none.
            merge: changes of one such word within a second are one step of undo.

        Raises:
            RefusedError: the document went on since `base`.
            UserError: the shot cannot be read or does not fit the scene, or there is no room.
        """
        with self.lock:
            self.require(base)
            state = replace(self.state, label=label[:200], merge=merge[:100])
            if scene is not None:
                state = replace(state, scene=self.history.keep("scenes", scene, scene_files(scene)))
            if objects is not None:
                marked = object_files(objects)
                state = replace(state, objects=self.history.keep("objects", objects, marked) if marked else None)
            if shot is not None:
                state = replace(state, shot=self._text_of(shot))
            if Contents.of(state) != Contents.of(self.state):
                self._check(state, shot if isinstance(shot, Shot) else None)
                self.history.push(state)
                self._bring_after()

    def _text_of(self, shot: Shot | str) -> str:
        """The text of a shot; to the letter what it was, where it says the same."""
        if isinstance(shot, str):
            return shot
        return self.state.shot if shot == self.shot() else shot.to_yaml()

    def _check(self, state: State, shot: Shot | None = None) -> None:
        """See that a state's shot, which may be parsed already, fits its scene, and keep what comes of it."""
        shot = self.parsed(state.shot) if shot is None else shot
        if state.scene is not None:
            directed = apply_shot(self.scene_called(state.scene)[0], shot, self.kept)
            self._directed = (Contents.of(state), directed, None)

    def go(self, step: int, base: int | None) -> None:
        """Undo (−1) or redo (1).

        Raises:
            RefusedError: the document went on since `base`, or there is nothing to undo or to redo.
        """
        with self.lock:
            self.require(base)
            if (self.history.undo if step < 0 else self.history.redo) is None:
                raise RefusedError(422, f"There is nothing to {'undo' if step < 0 else 'redo'}.")
            self.history.move(step)
            self._bring_after()

    def require(self, base: int | None) -> None:
        """See that the document is what somebody has seen, and take in first what was changed on disk.

        Raises:
            RefusedError: it went on.
        """
        self.take_outside()
        if base is not None and base != self.revision:
            raise RefusedError(
                409,
                f"The document was changed meanwhile ({self.state.label}), so this was not done; look at it and do it "
                "again.",
            )

    def _bring_after(self) -> None:
        """Make the working files those of the state, which another one held before."""
        leaving, target = self.history.leaving, Contents.of(self.state)
        kinds = [k for k in KINDS if leaving is None or getattr(leaving, k) != getattr(target, k) or k in self.problems]
        try:
            # What nobody could read is a person's work all the same.
            aside = [
                f"{kind} of before is kept as {self.files.set_aside(kind)}" for kind in kinds if kind in self.problems
            ]
            self.files.bring(kinds, self.state, self.history)
            self.history.settle()
            self.problems = {"aside": "; ".join(aside)} if aside else {}
        except NoRoomError as error:  # the journal has it, and it is tried again with the next change
            self.problems["disk"] = str(error)
        self._seen, self._changing = self.files.signature(), None
        self.tell("document", {"revision": self.revision})

    def _go_on_after_kill(self) -> None:
        """Bring the working files after a change that a kill cut short, but for what was changed since then."""
        leaving, target, found = self.history.leaving, Contents.of(self.state), self.files.materials()
        kinds = [k for k in KINDS if found[k] is None and getattr(target, k) is not None]
        if leaving is not None:
            kinds += [k for k in KINDS if found[k] == getattr(leaving, k) != getattr(target, k) and k not in kinds]
        self.files.bring(kinds, self.state, self.history)
        self.history.settle()

    # What others change.

    def take_outside(self, *, patient: bool = False) -> None:
        """Take in what others changed in the working files.

        Args:
            patient: leave what has changed since the last such call: it may be half-written.
        """
        with self.lock:
            now = self.files.signature()
            if now == self._seen:
                return
            if patient and now != self._changing:
                self._changing = now
                return
            self._seen, self._changing = now, None
            found, ours = self.files.materials(), Contents.of(self.state)
            changed = [kind for kind in KINDS if found[kind] not in (None, getattr(ours, kind))]
            for kind in [*self.problems]:
                if kind not in changed:
                    del self.problems[kind]
            if changed:
                self._take(changed)

    def _take(self, kinds: list[str]) -> None:
        try:
            state = replace(self.state, label=OUTSIDE, merge="")
            if "shot" in kinds:
                state = replace(state, shot=self.files.shot_text() or "")
            if "scene" in kinds:
                place = self.folder / SCENE
                state = replace(state, scene=self.history.keep("scenes", place, scene_files(place)))
            if "objects" in kinds:
                state = replace(state, objects=self.history.keep("objects", self.folder, object_files(self.folder)))
            self._check(state)
        except (UserError, OSError) as error:
            for kind in kinds:
                self.problems[kind] = f"{kind} was changed outside and cannot be taken in: {error}"
        else:
            self.history.push(state)
            self.history.settle()
        self.tell("document", {"revision": self.revision})

    # The page's own state, and news.

    def page(self) -> dict[str, Any]:
        """What the page wants to find again."""
        try:
            found = read_json(self.folder / PAGE, finite=True, most_bytes=_MOST_PAGE_BYTES)
        except (OSError, ValueError, UserError):
            return {}
        return found if isinstance(found, dict) else {}

    def keep_page(self, values: dict[str, Any]) -> None:
        """Keep what the page wants to find again."""
        with self.lock:
            write_json(self.folder / PAGE, values, indent=0)

    def tell(self, event: str, values: Any) -> None:
        """Send an event to all pages that are open."""
        for listener in list(self.listeners):
            with suppress(RuntimeError):  # its loop has ended
                listener(event, values)


def apply_shot(scene: Scene, shot: Shot, kept: KeptMotions | None = None) -> Scene:
    """A scene at rest under a shot, by the rule of `r2s2r render`; `kept` as for `Shot.apply`.

    Raises:
        UserError: they do not fit.
    """
    if scene.frames == 1 and shot.frames is None:
        shot = with_defaults(shot)
    return shot.apply(scene, kept)


def _files_of(shot: Shot) -> set[str]:
    return {move.file for move in shot.camera or () if isinstance(move, ImportedPath)}
