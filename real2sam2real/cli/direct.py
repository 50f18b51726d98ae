"""Scene folder and shot to the scene that is filmed, as glTF."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.run.options import ShotOptions


@dataclass(frozen=True, kw_only=True)
class DirectCommand:
    """Apply a shot to a scene and write the result as a scene folder, with every motion in its scene.glb."""

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """A scene folder."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """The scene folder to write."""
    shot: ShotOptions = field(default_factory=ShotOptions)
    """What happens: a shot file, short moves, or both."""

    def execute(self) -> None:
        """Write the scene folder and print its path."""
        from real2sam2real.run.directing import directed_scene
        from real2sam2real.run.progress import Progress
        from real2sam2real.scene.folder import save_scene

        scene, notes = directed_scene(self.scene, self.shot)
        save_scene(scene, self.out)
        Progress.on_stderr().notes(notes)
        print(self.out)
