"""Measure checkpoints: `r2s2r evaluate held-out`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Compare a checkpoint's videos with the truth on procedural scenes that training never sees.

    Writes scores.md (PSNR where the video truly changes, and where it stays) and sheet.png (the first scenes).
    """

    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where the table and the contact sheet are written."""
    checkpoint: Annotated[str, arg(metavar="NAME|FOLDER")] = "mini"
    """The shipped checkpoint or a checkpoint folder."""
    scenes: Annotated[int, arg(metavar="N")] = 32
    """How many held-out scenes."""
    frames: Annotated[int, arg(metavar="T")] = 33
    """Length of the clips, 4k + 1."""
    strengths: Annotated[tuple[float, ...], arg(metavar="S")] = (0.15, 0.3, 0.6)
    """Noise levels at which the preview is tried as a start."""
    pictured: Annotated[int, arg(metavar="N")] = 4
    """How many scenes the contact sheet shows."""

    def execute(self) -> None:
        """Evaluate and print the table."""
        from tqdm import tqdm

        from real2sam2real import media
        from real2sam2real.diffusion.checkpoints import find_checkpoint, load_pipeline, load_settings
        from real2sam2real.evaluate.held_out import SceneResult, contact_sheet, evaluate, table
        from real2sam2real.files import replacing_file

        folder = find_checkpoint(self.checkpoint)
        kept: list[SceneResult] = []
        with tqdm(total=self.scenes, desc="held-out scenes", unit="scene") as bar:

            def on_scene(result: SceneResult) -> None:
                bar.update()
                if len(kept) < self.pictured:
                    kept.append(result)

            scores = evaluate(
                load_pipeline(folder),
                load_settings(folder),
                scenes=self.scenes,
                frames=self.frames,
                strengths=self.strengths,
                on_scene=on_scene,
            )
        with replacing_file(self.out / "scores.md") as path:
            path.write_text(table(scores))
        ways = [way for way in kept[0].videos if way != "photo repeated"]
        media.write_png(self.out / "sheet.png", contact_sheet(kept, ways))
        print(table(scores))


COMMANDS = {"held-out": HeldOut}
