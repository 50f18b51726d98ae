"""What this machine can run: devices, packages, weights, memory plans."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.diffusion.options import ModelOptions
from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LifterOptions


@dataclass(frozen=True, kw_only=True)
class DoctorCommand:
    """Show what this machine can run: devices, packages, weights found, attention kernel, memory plans.

    `r2s2r doctor normals` checks instead which way the axes of an estimator of normals point.
    """

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


@dataclass(frozen=True, kw_only=True)
class CheckNormals:
    """Show which way the axes of an estimator of normals really point, on a rendered sphere.

    The sphere's normals are known, so whichever of the 48 ways to name the axes fits best is the estimator's own.
    """

    estimator: Annotated[Positional[str], arg(metavar="NAME")] = "mini"
    """As in r2s2r curate --normals."""
    picture: Annotated[Path | None, arg(metavar="PNG", help_behavior_hint="(optional)")] = None
    """Write sphere, estimate and truth side by side."""

    def execute(self) -> None:
        """Print the best fit, and what was asked for; fails when they differ."""
        from real2sam2real import media
        from real2sam2real.lab.curate.normals.estimator import load_estimator
        from real2sam2real.lab.curate.normals.sphere import check

        result = check(load_estimator(self.estimator))
        if self.picture is not None:
            media.write_png(self.picture, result.picture)
        print(result)
        if not result.right:
            raise UserError(f"the axes of '{self.estimator}' are not as they are taken to be; see above")


COMMANDS = {"normals": CheckNormals}
