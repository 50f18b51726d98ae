"""Photo to masks: name objects by word, point or box, and look at the result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.perceive.segment.options import SegmentOptions


@dataclass(frozen=True, kw_only=True)
class MasksCommand:
    """Find objects of a photo and write their masks, with a picture of them all.

    The folder can be given to the other commands: --mask FOLDER/masks.
    """

    photo: Annotated[Positional[Path], arg(metavar="PHOTO")]
    """The photo."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """The folder to write: masks.png, and one picture per object in masks/."""
    objects: SegmentOptions = field(default_factory=SegmentOptions)
    """Which objects; where none is named, the one that stands out most."""
    offline: bool = False
    """Never reach for the network."""

    def execute(self) -> None:
        """Write the folder and print its path."""
        from real2sam2real.perceive.segment.overlay import write_masks
        from real2sam2real.run.photo import find_masks, read_photo
        from real2sam2real.run.progress import Progress

        working = read_photo(self.photo)
        masks, notes = find_masks(self.photo, working, replace(self.objects, offline=self.offline))
        write_masks(self.out, masks, working.photo.pixels, working.shrink)
        Progress.on_stderr().notes([*working.notes, *notes])
        print(self.out)
