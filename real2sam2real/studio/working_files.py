"""The files of a workspace that people and other programs open: shot.yaml, scene/, objects.json and masks/."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from real2sam2real.files import read_text, replacing_file, replacing_folder
from real2sam2real.studio.history import History, State, copy_file, snapshot_id, text_digest
from real2sam2real.workfolder.yaml_text import MAX_BYTES

SHOT, SCENE, OBJECTS, MASKS = "shot.yaml", "scene", "objects.json", "masks"
KINDS = ("shot", "scene", "objects")
Signature = tuple[tuple[str, int, int], ...]

_SCENE_SUFFIXES = {".glb", ".json", ".png", ".npy", ".npz"}


def scene_files(folder: Path) -> list[Path]:
    """The files that make a scene folder, without what a person keeps beside them, such as Blender's own file."""
    return sorted(p for p in folder.rglob("*") if p.suffix in _SCENE_SUFFIXES and _is_shown_file(p))


def object_files(folder: Path) -> list[Path]:
    """The files that say what is marked on the photo."""
    if not (folder / OBJECTS).is_file():
        return []
    return sorted([folder / OBJECTS, *(p for p in (folder / MASKS).rglob("*") if _is_shown_file(p))])


def _is_shown_file(path: Path) -> bool:
    return not path.name.startswith(".") and path.is_file()


class WorkingFiles:
    """Those of one workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def signature(self) -> Signature:
        """Names, sizes and times of change: another one where something was changed."""
        paths = [self.folder / SHOT, *scene_files(self.folder / SCENE), *object_files(self.folder)]
        found = []
        for path in paths:
            try:
                status = path.stat()
            except OSError:  # gone meanwhile
                continue
            found.append((str(path), status.st_size, status.st_mtime_ns))
        return tuple(found)

    def shot_text(self) -> str | None:
        """The text of shot.yaml to the letter; None where there is none.

        Raises:
            UserError: it is no text, or too large.
        """
        path = self.folder / SHOT
        if not path.is_file():
            return None
        read_text(path, "shot file", most_bytes=MAX_BYTES)  # refuses what is none
        return path.read_bytes().decode()

    def materials(self) -> dict[str, str | None]:
        """By kind, a hash of what is there; None for what is not there."""
        shot, scene, objects = self.folder / SHOT, self.folder / SCENE, object_files(self.folder)
        return {
            "shot": text_digest(shot.read_bytes()) if shot.is_file() else None,
            "scene": snapshot_id(scene_files(scene), scene) if scene.is_dir() else None,
            "objects": snapshot_id(objects, self.folder) if objects else None,
        }

    def bring(self, kinds: Sequence[str], state: State, history: History) -> None:
        """Make the files of these kinds those of a state."""
        if "scene" in kinds:
            self._bring_scene(None if state.scene is None else history.snapshot("scenes", state.scene))
        if "objects" in kinds:
            self._bring_objects(None if state.objects is None else history.snapshot("objects", state.objects))
        if "shot" in kinds:
            with replacing_file(self.folder / SHOT) as file:
                file.write_bytes(state.shot.encode())

    def set_aside(self, kind: str) -> str:
        """Give what a person made of a working file, and nobody could read, another name, which is returned."""
        path = self.folder / (SHOT if kind == "shot" else SCENE)
        number = 1
        while (other := path.with_name(f"{path.stem}-edited-{number}{path.suffix}")).exists():
            number += 1
        path.replace(other)
        return other.name

    def _bring_scene(self, snapshot: Path | None) -> None:
        place = self.folder / SCENE
        own = {path.relative_to(place) for path in scene_files(place)}
        everything = [p for p in place.rglob("*") if p.is_file() or p.is_symlink()] if place.is_dir() else []
        others = [path for path in everything if path.relative_to(place) not in own]
        if snapshot is None and not others:
            shutil.rmtree(place, ignore_errors=True)
            return
        with replacing_folder(place) as fresh:
            for path in scene_files(snapshot) if snapshot is not None else ():
                copy_file(path, fresh / path.relative_to(snapshot or place))
            for path in others:  # a person's own
                kept = fresh / path.relative_to(place)
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, kept, follow_symlinks=False)

    def _bring_objects(self, snapshot: Path | None) -> None:
        if snapshot is None:
            (self.folder / OBJECTS).unlink(missing_ok=True)
            shutil.rmtree(self.folder / MASKS, ignore_errors=True)
            return
        with replacing_folder(self.folder / MASKS) as fresh:
            for path in object_files(snapshot):
                if path.name != OBJECTS:
                    copy_file(path, fresh / path.relative_to(snapshot / MASKS))
        with replacing_file(self.folder / OBJECTS) as file:
            shutil.copyfile(snapshot / OBJECTS, file)
