"""A mesh of your own into a scene, aligned with the photo."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.lifting.options import LiftOptions
from real2sam2real.perceive.segment.options import SegmentOptions


@dataclass(frozen=True, kw_only=True)
class AddCommand:
    """Put a mesh into a scene: closed, and aligned with the object of the photo that a mask, a box or points name.

    GLB, OBJ and PLY are read; an animated GLB keeps its animation.
    """

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """The scene folder, as r2s2r lift writes it."""
    file: Annotated[Positional[Path], arg(metavar="MESH")]
    """The mesh."""
    name: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: the file's name)")] = None
    """What the object is called."""
    objects: SegmentOptions = field(default_factory=SegmentOptions)
    """Where the photo shows it; exactly one object."""
    lift: LiftOptions = field(default_factory=LiftOptions)
    """How it is laid onto the photo."""

    def execute(self) -> None:
        """Write the scene folder anew and print its path."""
        from real2sam2real.run.adding import add_to_folder
        from real2sam2real.run.progress import Progress

        progress = Progress.on_stderr()
        name = self.name or self.file.stem
        progress.notes(add_to_folder(self.scene, self.file, name, self.objects, self.lift, progress))
        print(self.scene)
