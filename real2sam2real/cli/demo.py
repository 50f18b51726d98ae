"""The same on a photo that comes with the package: start here."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from real2sam2real.diffusion.options import GenerateOptions


@dataclass(frozen=True, kw_only=True)
class DemoCommand:
    """Make a directed video from the public-domain photo that comes with the package.

    It needs no network, no GPU and no flag. The photo, its mask and the shot file lie in the package's assets and are
    a good start for your own.
    """

    generate: GenerateOptions = field(default_factory=GenerateOptions)
    """How the video model is run."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")] = Path("runs/demo")
    """The run folder."""
    preview_only: bool = False
    """Stop after the preview, before the video model is run."""

    def execute(self) -> None:
        """Run all stages and print the page's path."""
        from real2sam2real.run.demo import demo_config
        from real2sam2real.run.pipeline import run
        from real2sam2real.run.progress import Progress

        config = demo_config(self.generate, preview_only=self.preview_only)
        print(run(config, self.out, command=["r2s2r", *sys.argv[1:]], progress=Progress.on_stderr()))
