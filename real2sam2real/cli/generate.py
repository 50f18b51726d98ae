"""Control folder to video: run the video model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.run.config import GenerateOptions


@dataclass(frozen=True, kw_only=True)
class Command:
    """Generate the video that a control folder describes."""

    control: Annotated[Positional[Path], arg(metavar="CONTROL")]
    """A control folder."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FILE.mp4")]
    """The video to write."""
    generate: GenerateOptions = field(default_factory=GenerateOptions)
    """How the video model is run."""

    def execute(self) -> None:
        """Write the video and print its path."""
        from real2sam2real.run.generating import generate_to_file
        from real2sam2real.run.progress import Progress

        progress = Progress.on_stderr()
        progress.tell(generate_to_file(self.control, self.generate, self.out, progress))
        print(self.out)
