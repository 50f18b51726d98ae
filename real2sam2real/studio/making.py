"""Preview and generation: `r2s2r run`'s own stages on the workspace's run folder, so that only what changed is redone.

They work on a state of the document, its scene from the journal and its shot as it was, and not on the working files,
which may change meanwhile.

WORKSPACE/run/       the run folder, as `r2s2r run WORKSPACE/scene --shot WORKSPACE/shot.yaml -o WORKSPACE/run` makes it
WORKSPACE/made.json  of which state of the document its videos are
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.folder import RECORD
from real2sam2real.run.options import RunConfig, ShotOptions
from real2sam2real.run.progress import Progress
from real2sam2real.studio.generate_options import generate_options
from real2sam2real.workfolder.json_values import read_json, typed
from real2sam2real.workfolder.records import WRONG_VALUES, read_record, write_json

RUN, MADE, ESTIMATE = "run", "made.json", ".estimate.png"
HISTORY, SCENE, SHOT = "history", "scene", "shot.yaml"
_SNAPSHOT = ".run.yaml"
"""The shot that the stages are at, beside shot.yaml, so that paths in it mean the same."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """Of which states of the document the videos in the run folder are; see `state_key`."""

    preview: str | None = None  # also of the normals
    draft: bool = False  # whether the preview is one
    generated: str | None = None
    # of the stages in run.json that made them, so that a run by the command line is seen to have made others
    fingerprints: dict[str, str] = field(default_factory=dict)


def state_key(shot: str, scene: str) -> str:
    """What a shot's text and a scene's id come to, to know again which state a video was made of."""
    return hashlib.sha256(f"{scene}\0{shot}".encode()).hexdigest()[:16]


def read_made(folder: Path) -> Made:
    """What the run folder of a workspace holds; nothing where it was never told, or cannot be read."""
    try:
        made = read_record(folder / MADE, partial(typed, Made), what="record", remedy="delete it")
    except (OSError, UserError):
        return Made()
    now, then = _fingerprints(folder), made.fingerprints
    if now.get("preview") != then.get("preview"):
        made = replace(made, preview=None, draft=False)
    return made if now.get("generate") == then.get("generate") else replace(made, generated=None)


def _fingerprints(folder: Path) -> dict[str, str]:
    """Those of the stages of the run folder that make videos."""
    try:
        stages = read_json(folder / RUN / RECORD)["stages"]
        return {name: str(stages[name]["fingerprint"]) for name in ("preview", "generate") if name in stages}
    except (OSError, UserError, *WRONG_VALUES):
        return {}


def preview(folder: Path, options: dict[str, Any], progress: Progress) -> Any:
    """Make the preview and the normals of a state of the document.

    Args:
        folder: of the workspace.
        options: `state`, see `state_key`; `scene`, the id of its scene; `shot`, the text of its shot; `draft`.
        progress: where it says what it does.
    """
    draft, made = bool(options["draft"]), read_made(folder)
    is_there = made.preview == options["state"] and (folder / RUN / "preview.mp4").is_file()
    if is_there and (draft or not made.draft):  # made by a generation that went before
        return {"draft": made.draft}
    _run(folder, options, progress, ["--draft" if draft else "--preview-only"], draft=draft, preview_only=not draft)
    _note(folder, preview=options["state"], draft=draft)
    return {"draft": draft}


def generate(folder: Path, options: dict[str, Any], progress: Progress) -> Any:
    """Generate the video of a state of the document, and put it on the shelf.

    Args:
        folder: of the workspace.
        options: `state`, `scene` and `shot` as for `preview`; `generate`, see `generate_options`; `size` of the
            control, or None; `name` of the take, or None.
        progress: where it says what it does.
    """
    from real2sam2real.studio.takes import keep_take

    chosen, size = generate_options(options["generate"]), options.get("size")
    chosen = replace(chosen, preview_image=folder / RUN / ESTIMATE)
    words = [*_flags(options["generate"]), *(["--size", size] if size else [])]
    _run(folder, options, progress, words, generate=chosen, size=size or None)
    _note(folder, preview=options["state"], draft=False, generated=options["state"])
    return {"take": keep_take(folder, options)}


def _run(folder: Path, options: dict[str, Any], progress: Progress, words: list[str], **changes: Any) -> None:
    """The stages of a state of the document; `words` are the flags that do the same on the command line."""
    from real2sam2real.run.pipeline import run

    shot, estimate = folder / _SNAPSHOT, folder / RUN / ESTIMATE
    config = RunConfig(
        photo=folder / HISTORY / "scenes" / options["scene"],
        objects=SegmentOptions(),
        shot=ShotOptions(shot=shot),
        generate=GenerateOptions(),
    )
    estimate.unlink(missing_ok=True)  # of a generation that was cancelled
    with replacing_file(shot) as file:
        file.write_text(options["shot"], encoding="utf-8")
    command = ["r2s2r", "run", SCENE, "--shot", SHOT, "-o", RUN, *words]
    try:
        run(replace(config, **changes), folder / RUN, command=command, progress=progress)
    finally:
        shot.unlink(missing_ok=True)
        estimate.unlink(missing_ok=True)


def _flags(values: dict[str, Any]) -> list[str]:
    """Options as the command line has them."""
    flags: list[str] = []
    for name, value in values.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            flags.append(option)
        elif isinstance(value, list):
            flags += [word for item in value for word in (option, str(item))]
        elif value not in (None, False):
            flags += [option, str(value)]
    return flags


def _note(folder: Path, **changes: Any) -> None:
    made = replace(read_made(folder), **changes, fingerprints=_fingerprints(folder))
    write_json(folder / MADE, asdict(made))
