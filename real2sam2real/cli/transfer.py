"""Motion transfer: the control of one scene over another photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True, kw_only=True)
class TransferCommand:
    """Write a control folder with the same normals over another photo.

    Generate from it with --init noise: a preview of the other photo would need its own scene.
    """

    control: Annotated[Positional[Path], arg(metavar="CONTROL")]
    """The control folder whose motion is used."""
    photo: Annotated[Positional[Path], arg(metavar="PHOTO")]
    """The photo that gets it."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """The control folder to write."""
    prompt: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="(default: as in CONTROL)")] = None
    """What the video shows."""
    fit: Literal["crop", "letterbox"] = "crop"
    """How the photo is brought to the control's shape."""

    def execute(self) -> None:
        """Write the control folder and print its path."""
        from real2sam2real.control.transfer import transfer_control
        from real2sam2real.run.progress import Progress

        control = transfer_control(self.control, self.photo, self.out, prompt=self.prompt, fit=self.fit)
        Progress.on_stderr().notes(control.notes[-1:])
        print(self.out)
