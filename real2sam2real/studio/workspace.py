"""Workspaces on disk: made from a photo, a scene folder or a run folder, which stay what they are.

workspace.json   what it was made from, when, and its name
photo.*          the photo as given, or the scene's
shot.yaml, scene/, objects.json, masks/   the document, see `document`
history/, page.json, run/, takes/
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from real2sam2real.errors import UserError
from real2sam2real.files import existing_file, replacing_folder
from real2sam2real.media.pictures import open_picture
from real2sam2real.run.directing import open_scene, with_defaults
from real2sam2real.run.folder import RECORD
from real2sam2real.scene.folder import SCENE_FILE, save_scene
from real2sam2real.scene.shot import Shot, parse_shot
from real2sam2real.studio.document import HISTORY
from real2sam2real.studio.history import History, State, keep_snapshot, text_digest
from real2sam2real.studio.making import state_key
from real2sam2real.studio.takes import keep_take_of_run
from real2sam2real.studio.working_files import SCENE, SHOT, scene_files
from real2sam2real.workfolder.fingerprint import digest
from real2sam2real.workfolder.json_values import read_json, typed
from real2sam2real.workfolder.records import WRONG_VALUES, read_record, write_json

FORMAT = 1
RECORD_FILE = "workspace.json"
LIFTED = "lifted"
Kind = Literal["photo", "scene", "run"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a workspace was made from."""

    kind: Kind
    path: str
    digest: str

    def changed(self) -> bool:
        """Whether it is another one than when it was taken over; one that is gone is not."""
        try:
            return source_digest(Path(self.path), self.kind) != self.digest
        except (OSError, UserError):
            return False


@dataclass(frozen=True, kw_only=True)
class WorkspaceRecord:
    """The content of workspace.json."""

    format: int
    name: str
    made: float  # seconds since 1970
    source: Source


def read_workspace(folder: Path) -> WorkspaceRecord:
    """What a workspace's record says.

    Raises:
        FileNotFoundError: the folder is no workspace.
        UserError: the record is damaged, or of a later version.
    """
    remedy = "restore it from a copy, or start from the photo again; shot.yaml and scene/ can be opened without it"
    record = read_record(
        folder / RECORD_FILE, partial(typed, WorkspaceRecord), what="record of a workspace", remedy=remedy
    )
    if record.format > FORMAT:
        raise UserError(f"{folder / RECORD_FILE} has format {record.format}; update real2sam2real to open it")
    return record


def is_workspace(folder: Path) -> bool:
    """Whether a folder is a workspace."""
    return (folder / RECORD_FILE).is_file()


def source_digest(path: Path, kind: Kind) -> str:
    """What of a source decides a workspace that is made from it, as one hash."""
    return digest(path / LIFTED) + text_digest(shot_of_run(path)) if kind == "run" else digest(path)


def kind_of_source(path: Path) -> Kind:
    """What somebody wants to open.

    Raises:
        UserError: it is nothing that a workspace can be made from.
    """
    if (path / SCENE_FILE).is_file():
        return "scene"
    if (path / RECORD).is_file():
        return "run"
    if path.is_dir():
        raise UserError(
            f"{path} is neither a scene folder, nor a run folder, nor a workspace of the studio; give one of these, or "
            "a photo"
        )
    existing_file(path)
    return "photo"


def create_workspace(source: Path, folder: Path, *, name: str | None = None) -> None:
    """Make a workspace in `folder`, whole or not at all.

    Args:
        source: a photo, a scene folder or a run folder.
        folder: that is not there yet, or empty.
        name: for people; the source's unless given.

    Raises:
        UserError: the source cannot be used, or there is something at `folder`.
    """
    kind = kind_of_source(source)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and is no workspace; choose another folder with -o")
    record = WorkspaceRecord(
        format=FORMAT,
        name=name or source.resolve().stem,
        made=time.time(),
        source=Source(kind=kind, path=str(source.resolve()), digest=source_digest(source, kind)),
    )
    with replacing_folder(folder) as fresh:
        shot, scene = _fill(source, kind, fresh)
        place = fresh / SCENE
        kept = keep_snapshot(fresh / HISTORY / "scenes", place, scene_files(place)) if scene else None
        History.create(fresh / HISTORY, State(label="opened", shot=shot, scene=kept, made=time.time()))
        (fresh / SHOT).write_bytes(shot.encode())
        if kind == "run" and kept is not None:
            keep_take_of_run(fresh, source, {"state": state_key(shot, kept), "scene": kept, "shot": shot})
        write_json(fresh / RECORD_FILE, asdict(record))


def source_note(record: WorkspaceRecord) -> str | None:
    """What a person should know where the source is another one than when it was taken over; None where it is not."""
    if not record.source.changed():
        return None
    remedy = (
        "open it with another -o to work on the new one"
        if record.source.kind == "photo"
        else "take it over again, or go on with what was taken over"
    )
    return f"{record.source.path}, from which this workspace was made, has changed since; {remedy}"


def taken_over(record: WorkspaceRecord, aside: Path) -> tuple[WorkspaceRecord, str | None]:
    """Write the source's scene as it is now into the folder `aside`.

    Returns:
        The workspace's record for when that is done, and the text of the shot that comes along, from a run.

    Raises:
        UserError: the source is a photo, is gone, or cannot be read.
    """
    kind, path = record.source.kind, Path(record.source.path)
    if kind == "photo":
        raise UserError(f"{path} is a photo, whose marks would no longer fit; open it with another -o")
    if not path.is_dir():
        raise UserError(f"{path} is no longer there; bring it back, or go on with what was taken over")
    save_scene(open_scene(path / LIFTED if kind == "run" else path)[0], aside)
    now = replace(record.source, digest=source_digest(path, kind))
    return replace(record, source=now), shot_of_run(path) if kind == "run" else None


def _fill(source: Path, kind: Kind, fresh: Path) -> tuple[str, bool]:
    """Write the photo and the scene; returns the shot's text, and whether there is a scene."""
    if kind == "photo":
        open_picture(source).to_srgb()  # refused now, and not when it is looked at
        shutil.copyfile(source, fresh / f"photo{source.suffix.lower()}")
        return with_defaults(Shot()).to_yaml(), False
    scene, _ = open_scene(source / LIFTED if kind == "run" else source)
    save_scene(scene, fresh / SCENE)
    if scene.photo is not None:
        shutil.copyfile(fresh / SCENE / "photo.png", fresh / "photo.png")
    if kind == "run":
        text = shot_of_run(source)
    elif scene.frames > 1:
        text = Shot(frames=scene.frames, fps=scene.fps).to_yaml()
    else:
        text = with_defaults(Shot()).to_yaml()
    parse_shot(text).apply(scene)
    return text, True


def shot_of_run(folder: Path) -> str:
    """The shot of a run, as a shot file's text, from the settings of its stage that directed it.

    Raises:
        UserError: its record does not say.
    """
    from real2sam2real.run.directing import read_shot
    from real2sam2real.run.options import ShotOptions

    try:
        values = read_json(folder / RECORD)["config"]["shot"]
        options = ShotOptions(
            shot=None if values["shot"] is None else Path(values["shot"]),
            camera=tuple(values["camera"]),
            move=tuple(values["move"]),
            remove=tuple(values["remove"]),
            frames=values["frames"],
            fps=values["fps"],
            prompt=values["prompt"],
        )
    except (*WRONG_VALUES, OSError) as error:
        raise UserError(
            f"{folder / RECORD} does not say which shot was made ({error}); open {folder / LIFTED}"
        ) from error
    return with_defaults(read_shot(options)).to_yaml()
