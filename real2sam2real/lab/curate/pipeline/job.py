"""What goes from stage to stage: a source with the clips cut from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from real2sam2real.arrays import Float32, Int, UInt8
from real2sam2real.lab.curate.dataset import Sample
from real2sam2real.lab.curate.instances.interface import Box
from real2sam2real.lab.curate.pipeline.settings import SourceVideo


@dataclass(kw_only=True, eq=False)
class Clip:
    """One clip of a source, filled in stage by stage."""

    key: str  # of its sample
    shot: int  # number of the shot that it is from
    numbers: Int  # `(T,)` frames of the source
    video: UInt8  # `(T, H, W, 3)` uint8
    ids: UInt8 | None = None  # `(T, H, W)` uint8, once there are masks
    labels: dict[int, str] = field(default_factory=dict)  # of the instances
    shown_on: dict[int, int] = field(default_factory=dict)  # the frame on which each was shown to the tracker
    boxes: dict[int, Box] = field(default_factory=dict)  # and the box that was drawn around it there, in pixels
    normals: Float32 | None = None  # `(T, H, W, 3)` float32, once there are normals: the product of normals and masks
    caption: str = ""  # once there is one
    quality: dict[str, float] = field(default_factory=dict)  # what was measured
    instances: list[dict[str, Any]] = field(default_factory=list)  # and of each instance that was followed
    reasons: list[str] = field(default_factory=list)  # why it is dropped; empty while it is kept

    @property
    def kept(self) -> bool:
        """Nothing speaks against it so far."""
        return not self.reasons

    def drop(self, *reasons: str) -> None:
        """It is of no use; its arrays are let go."""
        self.reasons += reasons
        if reasons:
            self.video = np.empty((0, 0, 0, 3), np.uint8)
            self.ids = self.normals = None


@dataclass(kw_only=True, eq=False)
class CurationJob:
    """A source on its way."""

    source: SourceVideo  # what it is
    size: tuple[int, int] = (0, 0)  # width and height of the source's frames
    fps: float = 0.0  # of the source
    marked: dict[int, UInt8] = field(default_factory=dict)  # its frames with a box on them, `(H, W, 3)` as filmed
    clips: list[Clip] = field(default_factory=list)  # its clips
    reasons: list[str] = field(default_factory=list)  # why parts of it gave no clip
    notes: tuple[str, ...] = ()  # how its picture was read, and what could not be honoured
    failure: str | None = None  # why it could not be worked on, or None
    seconds: dict[str, float] = field(default_factory=dict)  # spent in each stage

    @property
    def kept(self) -> list[Clip]:
        """The clips that nothing speaks against."""
        return [] if self.failure is not None else [clip for clip in self.clips if clip.kept]

    def row(self) -> dict[str, Any]:
        """Its row of the manifest."""
        samples = [clip.key for clip in self.kept]
        reasons = [*self.reasons, *(f"{p.key}: {reason}" for p in self.clips for reason in p.reasons)]
        if self.failure is not None:
            reasons = [self.failure]
        status = "failed" if self.failure is not None else "kept" if samples else "dropped"
        instances = {clip.key: clip.instances for clip in self.clips if clip.instances}
        row: dict[str, Any] = {"path": self.source.path, "status": status, "reasons": reasons, "samples": samples}
        if self.notes:
            row["notes"] = list(self.notes)
        if instances:
            row["instances"] = instances
        return row

    def sample(self, clip: Clip) -> Sample:
        """A clip that went through all stages."""
        assert clip.ids is not None
        assert clip.normals is not None
        record = {
            "source": self.source.path,
            "source_size": list(self.size),
            "source_fps": round(self.fps, 4),
            "seconds": [round(float(number) / self.fps, 4) for number in (clip.numbers[0], clip.numbers[-1])],
            "quality": {name: round(value, 4) for name, value in clip.quality.items()},
        }
        return Sample(
            key=clip.key,
            video=clip.video,
            normals=clip.normals,
            ids=clip.ids,
            caption=clip.caption,
            labels=clip.labels,
            record=record,
        )
