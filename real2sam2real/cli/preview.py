"""Scene folder to preview video: a crisp look at the shot without the video model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.run.options import ShotOptions


@dataclass(frozen=True, kw_only=True)
class PreviewCommand:
    """Write the preview of a shot: the textured meshes, moved, over the repainted photo."""

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """A scene folder."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FILE.mp4")]
    """The video to write."""
    shot: ShotOptions = field(default_factory=ShotOptions)
    """What happens; without it, what the scene folder holds."""

    draft: bool = False
    """Small and every second frame only, for a first look within seconds."""
    inpaint: Annotated[str, arg(metavar="{patches,lama}|FILE|ID")] = "patches"
    """What fills the places of moved objects: patches of the photo, or LaMa (Apache-2.0), by name or by its weights."""

    def execute(self) -> None:
        """Write the video and print its path."""
        from real2sam2real.run.directing import directed_scene
        from real2sam2real.run.progress import Progress
        from real2sam2real.run.rendering import load_inpainter, preview_to_file

        progress = Progress.on_stderr()
        scene, notes = directed_scene(self.scene, self.shot)
        made = preview_to_file(scene, self.out, progress, draft=self.draft, inpainter=load_inpainter(self.inpaint))
        progress.notes([*notes, *made])
        print(self.out)
