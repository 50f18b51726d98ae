"""Measure checkpoints and estimators: `r2s2r evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from real2sam2real.synth import SynthClip


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


@dataclass(frozen=True, kw_only=True)
class Normals:
    """Measure an estimator of normals on procedural scenes that training never sees.

    Prints angles to the truth and flicker, both in degrees, and writes them with a picture of the first scenes.
    """

    estimator: Annotated[Positional[str], arg(metavar="NAME|FOLDER")] = "mini"
    """As in r2s2r curate --normals, or a folder that r2s2r train normals wrote."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where scores.md and sheet.png are written."""
    scenes: Annotated[int, arg(metavar="N")] = 32
    """How many held-out scenes."""
    frames: Annotated[int, arg(metavar="T")] = 33
    """Length of the clips, 4k + 1."""
    pictured: Annotated[int, arg(metavar="N")] = 6
    """How many scenes the picture shows."""

    def execute(self) -> None:
        """Evaluate and print the table."""
        import numpy as np

        from real2sam2real import media
        from real2sam2real.control.coding import NormalCoding
        from real2sam2real.curate.normals import NormalEstimator, load_estimator
        from real2sam2real.curate.normals.mini import MiniEstimator
        from real2sam2real.evaluate.normals import evaluate_normals
        from real2sam2real.files import replacing_file

        folder = Path(self.estimator)
        estimator: NormalEstimator = MiniEstimator(folder) if folder.is_dir() else load_estimator(self.estimator)
        rows: list[NDArray[np.uint8]] = []
        coding = NormalCoding()

        def on_scene(clip: SynthClip, estimate: NDArray[np.float32]) -> None:
            if len(rows) < self.pictured:
                at = len(clip.ids) // 2
                coded = [coding.encode(normals[at], clip.ids[at]) for normals in (estimate, clip.normals)]
                rows.append(np.concatenate([clip.video[at], *coded], axis=1))

        score = evaluate_normals(estimator, scenes=self.scenes, frames=self.frames, on_scene=on_scene)
        with replacing_file(self.out / "scores.md") as path:
            path.write_text(score.table())
        media.write_png(self.out / "sheet.png", np.concatenate(rows))
        print(score.table())


COMMANDS = {"held-out": HeldOut, "normals": Normals}
