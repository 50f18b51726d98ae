"""Make a masked-normal data set of videos, to fine-tune on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from real2sam2real.options import Texts, parse_size


@dataclass(frozen=True, kw_only=True)
class CurateCommand:
    """Make a masked-normal data set of videos: cut, follow instances, estimate normals, caption, drop the useless.

    The same command goes on where it was stopped. Instances are marked by --box or --mask, by a file
    VIDEO.instances.json beside each video, or found by --text with a tracker that reads (docs/curation.md).
    """

    clips: Annotated[Positional[tuple[Path, ...]], arg(metavar="CLIP")]
    """Videos, or folders of videos."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="DATASET")]
    """Where the data set is written."""
    licence: Annotated[str, arg(metavar="TEXT")]
    """What the videos may be used for, as it will stand in the data card."""
    box: Annotated[Texts, arg(metavar="LABEL=X0,Y0,X1,Y1[@FRAME]")] = ()
    """Instances by a box in the pixels of one frame of the video."""
    mask: Annotated[Texts, arg(metavar="LABEL=FILE[@FRAME]")] = ()
    """Instances by a mask of one frame of the video."""
    text: Annotated[tuple[str, ...], arg(metavar="WORD")] = ()
    """What trackers that read look for, such as: person dog"""
    masks: Literal["embedded", "sam2", "sam3", "grounded-sam2"] = "embedded"
    """Tracker: embedded needs no weights and follows marks; sam3 and grounded-sam2 read --text."""
    normals: Literal["mini", "marigold", "moge", "normalcrafter"] = "mini"
    """Estimator of normals; mini is in the package."""
    captions: Annotated[str, arg(metavar="template|vlm:MODEL")] = "template"
    """Captions from the labels, or by a vision-language model."""
    size: Annotated[str, arg(metavar="WxH")] = "1280x720"
    """Of the samples, in multiples of 16."""
    frames: Annotated[int, arg(metavar="T")] = 81
    """Length of the samples, 4k + 1."""
    fps: Annotated[float, arg(metavar="RATE")] = 16.0
    """Frames per second of the samples."""
    shots: Literal["detect", "none"] = "detect"
    """Find the cuts, or take every video for one shot."""
    min_change: float = 0.02
    """Least share of pixels that ever change; 0 keeps static clips."""
    min_light: float = 40.0
    """Least light, of 255; 0 keeps dark clips."""
    min_sharpness: float = 5.0
    """Least sharpness; 0 keeps blurred clips."""
    workers: Annotated[int, arg(metavar="N")] = 1
    """Videos worked on at a time; more than 1 need Ray."""
    ray_address: Annotated[str | None, arg(metavar="HOST:PORT", help_behavior_hint="(default: this machine)")] = None
    """Of a Ray cluster."""

    def execute(self) -> None:
        """Curate and print what came of it."""
        from tqdm import tqdm

        from real2sam2real.lab.curate.clip_format import ClipFormat
        from real2sam2real.lab.curate.pipeline.run import curate
        from real2sam2real.lab.curate.pipeline.settings import CurationSettings, find_sources
        from real2sam2real.lab.curate.prompts import parse_prompt
        from real2sam2real.lab.curate.quality import QualityFilter

        width, height = parse_size(self.size)
        prompts = [parse_prompt(text, is_mask=False) for text in self.box]
        prompts += [parse_prompt(text, is_mask=True) for text in self.mask]
        sources = find_sources(self.clips, prompts)
        settings = CurationSettings(
            clip_format=ClipFormat(width=width, height=height, frames=self.frames, fps=self.fps),
            quality_filter=QualityFilter(
                min_change=self.min_change, min_light=self.min_light, min_sharpness=self.min_sharpness
            ),
            shots=self.shots,
            masks=self.masks,
            text=self.text,
            normals=self.normals,
            captions=self.captions,
            licence=self.licence,
        )
        with tqdm(total=len(sources), desc="videos", unit="video") as bar:

            def on_source(row: Any) -> None:
                bar.update()
                if row["status"] != "kept":
                    bar.write(f"{row['status']}: {row['path']}: {'; '.join(row['reasons'])}")

            outcome = curate(
                sources, settings, self.out, workers=self.workers, ray_address=self.ray_address, on_source=on_source
            )
        print(
            f"{outcome.samples} samples of {len(sources)} videos ({outcome.count('kept')} kept, "
            f"{outcome.count('dropped')} dropped, {outcome.count('failed')} failed): {self.out}"
        )
