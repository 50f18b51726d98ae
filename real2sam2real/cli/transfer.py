"""Motion transfer: the motion of one scene over another photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True, kw_only=True)
class TransferCommand:
    """Write a control folder with the same normals over another photo.

    From a scene or a run, the other photo is laid on its meshes, and generation starts from their preview. From a
    control folder it starts from noise.
    """

    control: Annotated[Positional[Path], arg(metavar="SCENE|RUN|CONTROL")]
    """The folder whose motion is used: of a scene, of a run, or a control folder."""
    photo: Annotated[Positional[Path], arg(metavar="PHOTO")]
    """The photo that gets it."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """The control folder to write."""
    prompt: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="(default: as it was)")] = None
    """What the video shows."""
    fit: Literal["crop", "letterbox"] = "crop"
    """How the photo is brought to the control's shape."""

    def execute(self) -> None:
        """Write the control folder and print its path."""
        from real2sam2real.run.progress import Progress
        from real2sam2real.run.transferring import transfer_to_folder

        progress = Progress.on_stderr()
        notes = transfer_to_folder(self.control, self.photo, self.out, progress, prompt=self.prompt, fit=self.fit)
        progress.notes(notes)
        print(self.out)
