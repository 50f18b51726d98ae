"""Scene folder to control folder: the normals that steer the video model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.run.options import ShotOptions


@dataclass(frozen=True, kw_only=True)
class RenderCommand:
    """Render what steers the video model: normals, instance ids and the preview, in a control folder.

    The folder also holds the three files that the official inference reads; use --size full for those.
    """

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """A scene folder."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """The control folder to write."""
    shot: ShotOptions = field(default_factory=ShotOptions)
    """What happens; without it, what the scene folder holds."""
    checkpoint: Annotated[str, arg(metavar="NAME|FOLDER")] = "mini"
    """Render at the size of this checkpoint, unless --size is given."""
    size: Annotated[str | None, arg(metavar="WxH|full", help_behavior_hint="(default: the checkpoint's own)")] = None
    """Size of the normals; 'full' is what the official inference works at."""
    inpaint: Annotated[str, arg(metavar="{patches,lama}|FILE|ID")] = "patches"
    """What fills the places of moved objects: patches of the photo, or LaMa (Apache-2.0), by name or by its weights."""

    def execute(self) -> None:
        """Write the control folder and print its path."""
        from real2sam2real.run.directing import directed_scene
        from real2sam2real.run.progress import Progress
        from real2sam2real.run.rendering import control_size, load_inpainter, render_to_folder, upscales

        progress = Progress.on_stderr()
        scene, notes = directed_scene(self.scene, self.shot)
        width, height = control_size(scene, self.size, self.checkpoint)
        upscale = self.size is None and upscales(self.checkpoint)
        made = render_to_folder(
            scene,
            self.out,
            width=width,
            height=height,
            progress=progress,
            inpainter=load_inpainter(self.inpaint),
            upscale=upscale,
        )
        progress.notes([*notes, *made])
        print(self.out)
