"""What stands beside a video: from what it was made, so that a restart knows what is finished."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from real2sam2real.control.folder import NORMALS
from real2sam2real.errors import UserError
from real2sam2real.run.batch.finding import BatchShot, files_read
from real2sam2real.run.rendering import CONTROL_PREVIEW
from real2sam2real.workfolder.fingerprint import Stamp
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.records import read_record, write_json

VIDEO = "generated.mp4"
RECORD = "shot.json"
Status = Literal["done", "failed", "waiting"]


@dataclass(frozen=True, kw_only=True)
class ShotRecord:
    """What is known of one shot; `shot.json` beside its video, and a row of `shots.jsonl`."""

    shot: str  # `<scene>/<camera>`
    status: Status  # of the video
    control: str  # the control folder it is made from
    settings: str  # hash of the checkpoint and the options
    reason: str = ""  # why it failed, else empty
    seconds: float = 0.0  # how long the last try took
    tries: int = 0  # how often it was tried in the run that ended so
    worker: str = ""  # machine and process that made it
    seed: int = 0  # of the noise
    version: str = ""  # of this package
    notes: tuple[str, ...] = ()  # for people
    inputs: dict[str, Stamp] = field(default_factory=dict)  # the control folder's files by name
    video: Stamp | None = None  # the finished video, None when there is none


def read_shot_record(folder: Path) -> ShotRecord | None:
    """The record in a shot's output folder; None when none can be read, so that the shot is made again."""
    try:
        return read_record(folder / RECORD, partial(typed, ShotRecord), what="record of a shot", remedy="delete it")
    except (OSError, UserError):
        return None


def write_shot_record(folder: Path, record: ShotRecord) -> None:
    """Write the record whole."""
    write_json(folder / RECORD, asdict(record))


def is_finished(record: ShotRecord | None, shot: BatchShot, settings: str, folder: Path) -> bool:
    """True if the video in `folder` is what this shot with these settings gives."""
    return (
        record is not None
        and record.status == "done"
        and record.settings == settings
        and record.video is not None
        and record.video.fits(folder / VIDEO)
        and list(record.inputs) == input_names(shot)
        and all(stamp.fits(shot.control / name) for name, stamp in record.inputs.items())
    )


def input_names(shot: BatchShot) -> list[str]:
    """The files of a shot's control folder that decide its video."""
    names = files_read(shot.control, shot.as_official)
    previews = [CONTROL_PREVIEW] if NORMALS in names else []
    return [name for name in (*names, *previews) if (shot.control / name).is_file()]
