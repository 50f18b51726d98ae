"""What a user decides about a data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from real2sam2real.errors import UserError
from real2sam2real.lab.curate.clip_format import ClipFormat
from real2sam2real.lab.curate.instances.quality import MaskLimits
from real2sam2real.lab.curate.prompts import SUFFIX, SourcePrompt, read_prompts
from real2sam2real.lab.curate.quality import QualityFilter

ShotDetection = Literal["detect", "none"]
VIDEO_SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"}


@dataclass(frozen=True, kw_only=True)
class CurationSettings:
    """How clips become samples; the same settings and sources give the same data set, to the byte."""

    clip_format: ClipFormat = field(default_factory=ClipFormat)  # size, length and rate
    quality_filter: QualityFilter = field(default_factory=QualityFilter)  # limits for clips
    limits: MaskLimits = field(default_factory=MaskLimits)  # limits for instances
    shots: ShotDetection = "detect"  # "detect" cuts (PySceneDetect), or "none" where every source is one shot
    masks: str = "embedded"  # tracker, as `curate.instances.load_tracker` knows it
    text: tuple[str, ...] = ()  # what trackers with words look for
    normals: str = "mini"  # estimator, as `curate.normals.load_estimator` knows it
    captions: str = "template"  # captioner, as `curate.captions.load_captioner` knows it
    licence: str  # of the sources
    shard_samples: int = 64  # samples in a shard

    def __post_init__(self) -> None:
        if not self.licence.strip():
            raise UserError("--licence is empty; say what the sources may be used for, such as 'CC BY 4.0' or 'own'")
        if self.shard_samples < 1:
            raise UserError(f"a shard of {self.shard_samples} samples cannot be; at least 1")


@dataclass(frozen=True, kw_only=True)
class SourceVideo:
    """One video to be curated."""

    key: str  # first part of its samples' keys: its number among the sources, and its name
    path: str  # of the file, as the user gave it
    prompts: tuple[SourcePrompt, ...] = ()  # of instances, on the source's frames
    caption: str | None = None  # of the user, or None
    problem: str | None = None  # why it cannot be used, where that is known already


def with_current_names(noted: dict[str, Any]) -> dict[str, Any]:
    """Settings and sources as an earlier version noted them, under the names that they have now."""
    names = {"fit": "clip_format", "gate": "quality_filter", "marks": "prompts"}
    settings, *sources = (
        {names.get(name, name): value for name, value in values.items()}
        for values in (noted["settings"], *noted["sources"])
    )
    return {"settings": settings, "sources": sources}


def find_sources(clips: Sequence[Path], prompts: Sequence[SourcePrompt]) -> list[SourceVideo]:
    """The videos among files and folders, in the order given; a folder's by name.

    Raises:
        UserError: a path leads nowhere, there is no video, or marks are given for several.
    """
    paths: list[Path] = []
    for clip in clips:
        if not clip.exists():
            raise UserError(f"{clip} does not exist; give videos or folders of videos")
        found = sorted(p for p in clip.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES) if clip.is_dir() else [clip]
        if not found:
            raise UserError(f"the folder {clip} holds no video ({', '.join(sorted(VIDEO_SUFFIXES))})")
        paths += found
    if prompts and len(paths) > 1:
        raise UserError(
            f"boxes and masks are given for {len(paths)} videos; give one video, or write VIDEO{SUFFIX} beside each"
        )
    return [_source(number, path, tuple(prompts)) for number, path in enumerate(paths)]


def _source(number: int, path: Path, given: tuple[SourcePrompt, ...]) -> SourceVideo:
    name = re.sub(r"[^A-Za-z0-9]+", "-", path.stem).strip("-") or "clip"
    key = f"{number:06d}-{name[:60]}"
    try:
        beside, caption = read_prompts(path)
    except UserError as error:  # one bad file does not stop the others
        return SourceVideo(key=key, path=str(path), problem=str(error))
    return SourceVideo(key=key, path=str(path), prompts=given or beside, caption=caption)
