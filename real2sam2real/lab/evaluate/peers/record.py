"""What an export says of itself in `export.json`: where a peer leaves each video, and what each of its frames shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from real2sam2real.arrays import Int
from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate.case_set import CaseRecord, CaseSet, find_video
from real2sam2real.scene import Scene
from real2sam2real.scene.retime import sampled_scene
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.records import read_record, write_json

EXPORT, INPUTS, VIDEOS = "export.json", "inputs", "videos"
FORMAT = 1
WHOLE = (0.0, 0.0, 1.0, 1.0)
Window = tuple[float, float, float, float]
"""Left, top, right and bottom of what is left of a picture, as shares of its width and height."""


@dataclass(frozen=True, kw_only=True)
class PeerClip:
    """What a peer's video shows of a case.

    Attributes:
        times: for each frame of the video the frame of the case that it shows, from 0 to its last; need not be whole.
        window: of the case's picture that the video shows; it is stretched over the video's size.

    Raises:
        ValueError: times go back or do not begin with 0, or the window is empty or reaches out of the picture.
    """

    times: tuple[float, ...]
    window: Window = WHOLE

    def __post_init__(self) -> None:
        if not self.times or self.times[0] != 0 or any(np.diff(self.times) < 0):
            raise ValueError("times of a video's frames begin with 0 and never go back")
        left, top, right, bottom = self.window
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError(f"the window {self.window} is no part of a picture")

    def measured(self) -> Int:
        """Numbers of the video's frames that are measured.

        One for each frame of the case, the nearest, where the video is as long or longer: sums over frames and steps
        from frame to frame are then those of other methods. All of a video that is shorter.
        """
        count, frames = len(self.times), round(self.times[-1]) + 1
        if count <= frames or frames == 1:
            return np.arange(count)
        return np.abs(np.array(self.times)[None, :] - np.arange(frames)[:, None]).argmin(axis=1)

    def shown(self, scene: Scene) -> Scene:
        """A directed scene as the video shows it: at the measured frames' times, through the window."""
        times = np.array(self.times)[self.measured()]
        return in_window(sampled_scene(scene, times), self.window)


def pixels_of(window: Window, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a window in pixels of a picture of `width × height`."""
    left, top, right, bottom = window
    return round(left * width), round(top * height), round(right * width), round(bottom * height)


def in_window(scene: Scene, window: Window) -> Scene:
    """The scene with a camera that sees the window of its picture; its photo is left alone."""
    lens = scene.camera.intrinsics
    left, top, right, bottom = pixels_of(window, lens.width, lens.height)
    cropped = lens.cropped(left, top, right - left, bottom - top)
    return replace(scene, camera=replace(scene.camera, intrinsics=cropped))


@dataclass(frozen=True, kw_only=True)
class ExportedCase:
    """A case that was written for a peer."""

    name: str
    shot: str  # the case's direction, by which it is known again
    video: str  # where the peer leaves its video, below the folder of its videos
    clip: PeerClip
    note: str = ""  # what a person should know of what was written

    def __post_init__(self) -> None:
        path = PurePosixPath(self.video)
        if path.suffix != ".mp4" or path.is_absolute() or set("*?[") & set(self.video) or ".." in path.parts:
            raise ValueError(f"'{self.video}' is no place of a video below a folder")


@dataclass(frozen=True, kw_only=True)
class SkippedCase:
    """A case that the peer's format cannot tell."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ExportRecord:
    """What `export.json` says."""

    peer: str  # name of the format
    cases: tuple[ExportedCase, ...]
    skipped: tuple[SkippedCase, ...] = ()
    format: int = FORMAT


def write_export(folder: Path, record: ExportRecord) -> None:
    """Say that an export is whole."""
    write_json(folder / EXPORT, asdict(record))


def find_export(folder: Path) -> ExportRecord | None:
    """What `export.json` in a folder says, or None where there is none.

    Raises:
        UserError: it is damaged, or of a later version.
    """
    if not (folder / EXPORT).is_file():
        return None
    remedy = "write it again with r2s2r benchmark export"
    record = read_record(folder / EXPORT, partial(typed, ExportRecord), what="record of an export", remedy=remedy)
    if record.format != FORMAT:
        raise UserError(f"{folder / EXPORT} has format {record.format}, which this version does not know; {remedy}")
    return record


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A peer's video of a case: the file, or why there is none."""

    video: Path | None
    clip: PeerClip | None = None
    reason: str = "there is no video of this case"


def answers(cases: CaseSet, folder: Path) -> list[Answer]:
    """A method's videos of all cases, in their order; those of an export where its record lies in `folder`.

    Raises:
        UserError: there are several videos of a case, or the export is damaged or of another set of cases.
    """
    export = find_export(folder)
    if export is None:
        return [Answer(video=find_video(folder, case.name)) for case in cases.cases]
    written = {case.name: case for case in export.cases}
    skipped = {case.name: case.reason for case in export.skipped}
    place = folder / VIDEOS if (folder / VIDEOS).is_dir() else folder
    return [_answer(case, place, written.get(case.name), skipped.get(case.name), folder) for case in cases.cases]


def _answer(case: CaseRecord, place: Path, written: ExportedCase | None, skipped: str | None, folder: Path) -> Answer:
    if written is None:
        return Answer(video=None, reason=f"not exported: {skipped or 'the case was made later'}")
    if written.shot != case.shot or abs(written.clip.times[-1] - (case.frames - 1)) > 1e-6:
        raise UserError(
            f"{folder / EXPORT} was written from another set of cases: {case.name} has another direction there; "
            "give the cases that it was written from, or export these"
        )
    found = _below(place, written.video) or _below(place, f"{case.name}.mp4")
    if len(found) > 1:
        raise UserError(f"{place} has several videos of {case.name} ({found[0]}, {found[1]}); leave one of each")
    if not found:
        return Answer(video=None, clip=written.clip, reason=f"there is no {written.video} in {place}")
    return Answer(video=found[0], clip=written.clip)


def _below(place: Path, name: str) -> list[Path]:
    return [path for path in sorted(place.rglob(name)) if path.is_file()]
