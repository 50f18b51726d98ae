"""What this machine can run: devices, packages, weights, memory plans."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import arg

from real2sam2real.errors import UserError
from real2sam2real.run.config import LifterOptions, ModelOptions


@dataclass(frozen=True, kw_only=True)
class Command:
    """Show what this machine can run: devices, packages, weights found, attention kernel, memory plans."""

    model: ModelOptions = field(default_factory=ModelOptions)
    """The model that would be used."""
    lifter: LifterOptions = field(default_factory=LifterOptions)
    """The lifter whose environment is asked."""
    frames: Annotated[int, arg(metavar="T")] = 81
    """Frames of the shot."""
    size: Annotated[str, arg(metavar="WxH")] = "1280x720"
    """Size of the video."""

    def execute(self) -> None:
        """Print the report; nothing is loaded and the network is not reached for."""
        if self.frames < 1:
            raise UserError(f"--frames {self.frames} is too few; at least 1 is needed")
        from real2sam2real.run.doctor import examine

        for line in examine(self.model, self.lifter, frames=self.frames, size=self.size):
            print(line)
