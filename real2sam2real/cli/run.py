"""Photo to video: every stage, and a page to look at it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.options import RunConfig, ShotOptions


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """Turn a photo into a directed video.

    Name the objects that can move, say what happens, and look at the page it writes. An interrupted run goes on with
    the same command; what has not changed is not done again.
    """

    photo: Annotated[Positional[Path], arg(metavar="PHOTO|SCENE")]
    """The photo, or a scene folder as r2s2r lift and r2s2r add write it."""
    objects: SegmentOptions = field(default_factory=SegmentOptions)
    """Which objects of the photo can move; where none is named, the one that stands out most."""
    view: ViewOptions = field(default_factory=ViewOptions)
    """What is known of the photo's camera."""
    lift: LiftOptions = field(default_factory=LiftOptions)
    """How objects become meshes."""
    shot: ShotOptions = field(default_factory=ShotOptions)
    """What happens: a shot file, short moves, or both."""
    generate: GenerateOptions = field(default_factory=GenerateOptions)
    """How the video model is run."""
    out: Annotated[Path | None, arg(aliases=["-o"], metavar="FOLDER", help_behavior_hint="(default: runs/PHOTO)")] = (
        None
    )
    """The run folder."""
    size: Annotated[str | None, arg(metavar="WxH|full", help_behavior_hint="(default: the checkpoint's own)")] = None
    """Size of the normals; 'full' is what the official inference works at."""
    inpaint: Annotated[str, arg(metavar="{patches,lama}|FILE|ID")] = "patches"
    """What fills the places of moved objects: patches of the photo, or LaMa (Apache-2.0), by name or by its weights."""
    preview_only: bool = False
    """Stop after the preview, before the video model is run."""
    draft: bool = False
    """Stop after a preview of small size and every second frame, for a first look within seconds."""

    def execute(self) -> None:
        """Run all stages and print the page's path."""
        from real2sam2real.run.pipeline import run
        from real2sam2real.run.progress import Progress

        config = RunConfig(**{entry.name: getattr(self, entry.name) for entry in fields(RunConfig)})
        out = self.out or Path("runs") / self.photo.stem
        print(run(config, out, command=["r2s2r", *sys.argv[1:]], progress=Progress.on_stderr()))
