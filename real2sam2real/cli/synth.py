"""Write clips of the procedural world, as material to curate and to train on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from real2sam2real.errors import UserError
from real2sam2real.options import parse_size


@dataclass(frozen=True, kw_only=True)
class SynthCommand:
    """Write clips of the procedural world with the masks of their instances in the first frame.

    r2s2r curate reads such a folder as it is. The same command goes on where it was stopped.
    """

    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where clip-SEED.mkv, clip-SEED.instances.json and the masks are written."""
    clips: Annotated[int, arg(metavar="N")] = 300
    """How many."""
    first_seed: Annotated[int, arg(metavar="SEED")] = 700_000_000
    """Of the first clip; the others follow. Seeds from 2147483648 on are for evaluation."""
    size: Annotated[str, arg(metavar="WxH")] = "256x144"
    """Of the frames."""
    frames: Annotated[int, arg(metavar="T")] = 33
    """Length, 4k + 1."""

    def execute(self) -> None:
        """Write them and print the folder."""
        from tqdm import tqdm

        from real2sam2real.lab.synth.export import write_clips

        width, height = parse_size(self.size)
        if self.clips < 1 or self.frames < 5 or self.frames % 4 != 1:
            raise UserError(
                f"{self.clips} clips of {self.frames} frames cannot be; at least 1, and 4k + 1 frames from 5"
            )
        seeds = range(self.first_seed, self.first_seed + self.clips)
        written = write_clips(self.out, seeds, width=width, height=height, frames=self.frames)
        for _ in tqdm(written, total=self.clips, desc="clips", unit="clip"):
            pass
        print(self.out)
