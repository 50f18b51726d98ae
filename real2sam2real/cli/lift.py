"""Photo to scene folder: masks, closed meshes, glTF."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.lifting.options import LiftOptions
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.segment.options import SegmentOptions


@dataclass(frozen=True, kw_only=True)
class LiftCommand:
    """Lift objects of a photo into closed meshes and write a scene folder.

    Its scene.glb opens in Blender and any other glTF tool, and may be edited there.
    """

    photo: Annotated[Positional[Path], arg(metavar="PHOTO")]
    """The photo."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """The scene folder to write."""
    objects: SegmentOptions = field(default_factory=SegmentOptions)
    """Which objects of the photo can move; where none is named, the one that stands out most."""
    view: ViewOptions = field(default_factory=ViewOptions)
    """What is known of the photo's camera."""
    lift: LiftOptions = field(default_factory=LiftOptions)
    """How objects become meshes."""
    offline: bool = False
    """Never reach for the network."""

    def execute(self) -> None:
        """Write the scene folder and print its path."""
        from real2sam2real.run.lifting import lift_to_folder
        from real2sam2real.run.progress import Progress

        progress = Progress.on_stderr()
        notes = lift_to_folder(self.photo, self.objects, self.view, self.lift, self.out, progress, offline=self.offline)
        progress.notes(notes)
        print(self.out)
