"""The shelf of takes: finished generations, each with the shot and the options that made it.

    takes/ID/video.mp4    the video
    takes/ID/poster.jpg   its middle frame, small
    takes/ID/shot.yaml    its shot
    takes/ID/take.json    everything else; see `Take`

A take is on the shelf whole or not at all, and leaves it in one step.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import UserError
from real2sam2real.files import read_text, replacing_folder, sweep
from real2sam2real.options import as_json
from real2sam2real.workfolder.fingerprint import digest
from real2sam2real.workfolder.json_values import read_json, typed
from real2sam2real.workfolder.records import WRONG_VALUES, read_record, write_json
from real2sam2real.workfolder.yaml_text import MAX_BYTES

TAKES, VIDEO, POSTER, SHOT, RECORD = "takes", "video.mp4", "poster.jpg", "shot.yaml", "take.json"
_POSTER_LONGEST_SIDE = 480
_LONGEST_NAME = 120


@dataclass(frozen=True, kw_only=True)
class Take:
    """What take.json holds; without `work` and `digest`, it is `TakeData` of the page's `types.ts`."""

    id: str
    name: str
    made: str  # ISO 8601, UTC
    seconds: float  # that generating took
    keep: bool = False
    checkpoint: str
    preset: str | None = None
    seed: int
    prompt: str = ""
    frames: int
    fps: float
    width: int
    height: int
    scene: str  # id of the scene that it was made of
    state: str = ""  # key of the state that it was made of; see `making.state_key`
    notes: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)  # of `making.generate`
    work: float = 0.0  # how much it computed; see `workload.work_of`
    digest: str = ""  # of the video

    def message(self) -> dict[str, Any]:
        """For the page."""
        return {name: value for name, value in asdict(self).items() if name not in ("work", "digest")}


def keep_take(folder: Path, options: dict[str, Any]) -> str:
    """Put the video that the run folder of a workspace holds on the shelf; gives the take's id.

    A video that is on the shelf already, with the same shot, is not put there twice.

    Args:
        folder: of the workspace.
        options: that `making.generate` was given.

    Raises:
        UserError: there is no room.
    """
    from real2sam2real.studio.generate_options import generate_options
    from real2sam2real.studio.workload import work_of

    def work(frames: int) -> float:
        return work_of(generate_options(options["generate"]), options.get("size"), frames)

    return _keep(folder, folder / "run", options, work)


def keep_take_of_run(folder: Path, run: Path, options: dict[str, Any]) -> str | None:
    """Put the video of a run on the shelf of a workspace that is made from it; None where it has none of its shot.

    A run that was directed anew, and did not come to its video since, has one of an earlier shot. How much was computed
    is not told: to know it, the model would have to be looked at.

    Args:
        folder: of the workspace.
        run: the run's folder.
        options: `state`, `scene` and `shot` as for `making.generate`.

    Raises:
        UserError: the run's record cannot be read, or there is no room.
    """
    video, control = run / "generated.mp4", run / "control"
    if not video.is_file() or (control.is_dir() and control.stat().st_mtime > video.stat().st_mtime):
        return None
    try:
        record = read_json(run / "run.json")
        config, defaults = record["config"], as_json(GenerateOptions())
        chosen = {name: value for name, value in config["generate"].items() if value != defaults.get(name, value)}
        told = {**options, "generate": chosen, "size": config["size"]}
        has_one = "generate" in record["stages"] and not config["preview_only"] and not config["draft"]
        return _keep(folder, run, told, lambda frames: 0.0) if has_one else None
    except WRONG_VALUES as error:
        raise UserError(
            f"{run / 'run.json'} does not say how its video was made ({error}); open the run's scene folder"
        ) from error


def _keep(folder: Path, run: Path, options: dict[str, Any], work: Callable[[int], float]) -> str:
    """Put the video of a run folder on the shelf; `work` says how much so many frames computed."""
    video, record = run / "generated.mp4", read_json(run / "run.json")["stages"]["generate"]
    made_as, shot = digest(video), options["shot"]
    for take in read_takes(folder):
        if take.digest == made_as and read_take_shot(folder, take) == shot:
            return take.id
    sweep_takes(folder)
    identifier = secrets.token_hex(6)
    with replacing_folder(folder / TAKES / identifier) as fresh:
        shutil.copyfile(video, fresh / VIDEO)
        (fresh / SHOT).write_text(shot, encoding="utf-8")
        told = _described(identifier, fresh / VIDEO, options, record)
        name = told.name or _free_name(folder)
        write_json(fresh / RECORD, asdict(replace(told, digest=made_as, name=name, work=work(told.frames))))
    return identifier


def _described(identifier: str, video: Path, options: dict[str, Any], record: dict[str, Any]) -> Take:
    """The take of a video, whose poster is written beside it."""
    from real2sam2real import media
    from real2sam2real.run.pictures import write_jpeg
    from real2sam2real.scene.shot import parse_shot
    from real2sam2real.studio.generate_options import generate_options

    chosen, info = generate_options(options["generate"]), media.video_info(video)
    frames = media.VideoFrames(video)
    scale = min(1.0, _POSTER_LONGEST_SIDE / max(info.width, info.height))
    middle = frames[len(frames) // 2 : len(frames) // 2 + 1][0]
    write_jpeg(video.with_name(POSTER), media.resized(middle, round(info.width * scale), round(info.height * scale)))
    return Take(
        id=identifier,
        name=str(options.get("name") or "")[:_LONGEST_NAME],
        made=datetime.now(UTC).isoformat(timespec="milliseconds"),
        seconds=float(record["seconds"]),
        checkpoint=chosen.checkpoint,
        preset=chosen.preset,
        seed=chosen.seed,
        prompt=parse_shot(options["shot"], file=SHOT).prompt or "",
        frames=len(frames),
        fps=info.fps,
        width=info.width,
        height=info.height,
        scene=options["scene"],
        state=options["state"],
        notes=list(record["notes"]),
        options={name: options.get(name) for name in ("generate", "size")},
    )


def _free_name(folder: Path) -> str:
    """The first of Take 1, Take 2, … that no take has."""
    taken = {take.name for take in read_takes(folder)}
    return next(name for number in range(1, len(taken) + 2) if (name := f"Take {number}") not in taken)


def read_takes(folder: Path) -> list[Take]:
    """The takes of a workspace, oldest first; what is damaged is left out."""
    return sorted(_readable(folder), key=lambda take: (take.made, take.name))


def _readable(folder: Path) -> Iterator[Take]:
    place = folder / TAKES
    for record in place.glob(f"*/{RECORD}") if place.is_dir() else ():
        if record.parent.name.startswith("."):
            continue
        try:
            take = read_record(record, partial(typed, Take), what="record of a take", remedy="delete it", finite=True)
        except (OSError, UserError):
            continue
        if take.id == record.parent.name and (record.parent / VIDEO).is_file():
            yield take


def find_take(folder: Path, identifier: str) -> Take | None:
    """The take of that id, looked up among those that there are."""
    return next((take for take in read_takes(folder) if take.id == identifier), None)


def take_file(folder: Path, take: Take, name: str) -> Path:
    """The video, poster or shot of a take."""
    return folder / TAKES / take.id / name


def read_take_shot(folder: Path, take: Take) -> str:
    """The text of a take's shot.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return read_text(take_file(folder, take, SHOT), "shot file", most_bytes=MAX_BYTES)
    except UserError as error:
        raise UserError(
            f"the shot of the take '{take.name}' cannot be read ({error}); its video is still there"
        ) from error


def change_take(folder: Path, take: Take, *, name: str | None = None, keep: bool | None = None) -> Take:
    """The take with another name, or kept or not.

    Raises:
        UserError: the name is empty or too long, or there is no room.
    """
    if name is not None and not 0 < len(name := name.strip()) <= _LONGEST_NAME:
        raise UserError(f"a take's name has 1 to {_LONGEST_NAME} characters, not {len(name)}; write another")
    changed = replace(take, name=take.name if name is None else name, keep=take.keep if keep is None else keep)
    write_json(folder / TAKES / take.id / RECORD, asdict(changed))
    return changed


def delete_take(folder: Path, take: Take) -> None:
    """Take a take from the shelf, for good.

    Raises:
        UserError: it is to be kept.
    """
    if take.keep:
        raise UserError(f"the take '{take.name}' is marked to be kept; take the mark away to delete it")
    place = folder / TAKES
    gone = place / f".{take.id}-{secrets.token_hex(4)}"  # as what is half-written is called, and swept
    (place / take.id).rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def sweep_takes(folder: Path) -> None:
    """Remove what killed processes left of takes; nobody else may be writing them."""
    if (folder / TAKES).is_dir():
        sweep(folder / TAKES)
