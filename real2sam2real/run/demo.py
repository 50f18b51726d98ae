"""The demo: a run of the photo that comes with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.options import RunConfig, ShotOptions

PITCH_DEGREES = 45.0
"""How far the demo's camera looks down at the table."""


def demo_folder() -> Path:
    """The folder with the demo's photo, mask and shot file."""
    return Path(str(resources.files("real2sam2real"))) / "assets" / "demo"


def demo_config(generate: GenerateOptions, *, preview_only: bool = False) -> RunConfig:
    """What `pipeline.run` needs to make a run folder from the package's own photo."""
    assets = demo_folder()
    return RunConfig(
        photo=assets / "photo.jpg",
        objects=SegmentOptions(mask=(str(assets / "cup.png"),)),
        view=ViewOptions(pitch=PITCH_DEGREES),
        shot=ShotOptions(shot=assets / "shot.yaml"),
        generate=generate,
        preview_only=preview_only,
    )
