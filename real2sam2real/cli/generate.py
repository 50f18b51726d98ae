"""Control folders to videos: run the video model."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import UserError
from real2sam2real.run.options import BatchOptions

VIDEO_SUFFIX = ".mp4"


@dataclass(frozen=True, kw_only=True)
class GenerateCommand:
    """Generate the video that a control folder describes, or those of thousands.

    Shots are control folders, folders of control folders, or folders of the official form (scene/camera/…). A batch
    that was interrupted goes on with the same command; what is finished is not made again.
    """

    shots: Annotated[Positional[tuple[Path, ...]], arg(metavar="SHOTS", help_behavior_hint="(at least one)")]
    """Control folders, or folders that hold some."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FILE.mp4|FOLDER")]
    """The video of one shot, or the folder of a batch."""
    generate: GenerateOptions = field(default_factory=GenerateOptions)
    """How the video model is run."""
    batch: BatchOptions = field(default_factory=BatchOptions)
    """Many shots at once."""

    def execute(self) -> None:
        """Write the videos and print where they are."""
        from real2sam2real.run.progress import Progress

        progress = Progress.on_stderr()
        if self.out.suffix.lower() == VIDEO_SUFFIX:
            if len(self.shots) != 1 or self.batch.uses_ray:
                what = "--ray makes a batch" if self.batch.uses_ray else f"{len(self.shots)} shots are given"
                raise UserError(f"{what}, but {self.out} is a single video; give a folder with -o")
            from real2sam2real.run.generating import generate_to_file

            progress.notes(generate_to_file(self.shots[0], self.generate, self.out, progress))
            print(self.out)
            return
        from real2sam2real.run.batch.running import run_batch

        command = ["r2s2r", *sys.argv[1:]]
        report = run_batch(
            self.shots, self.out, options=self.generate, batch=self.batch, command=command, progress=progress
        )
        print(report.manifest)
        report.require_all_done()
