"""Real runs that are killed before each of their steps, and what the next runs make of that."""

import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.media import write_png
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.options import RunConfig, ShotOptions
from real2sam2real.run.pipeline import run
from real2sam2real.run.progress import Progress

# How long it took is another each time.
VARYING = re.compile(rb"(?:seconds|peak_memory_mib)(?:\"|&quot;): [\d.]+|[\d.]+ (?:s|MiB)\b|[\d.]+%")


@pytest.fixture
def shoot(tmp_path: Path, checkpoint: Path):
    """Make or go on with the run in `tmp_path / "out"`; gives what was said."""
    pixels = np.random.default_rng(5).integers(90, 150, (32, 48, 3), dtype=np.uint8)
    mask = np.zeros((32, 48), np.uint8)
    cv2.circle(mask, (24, 16), 7, 255, -1)
    pixels[mask > 0] = (200, 40, 30)
    write_png(tmp_path / "photo.png", pixels)
    write_png(tmp_path / "ball.png", mask)

    def run_it(*, pitch: float = 20.0, right: float = 0.1, size: str = "96x64", preview_only: bool = False) -> str:
        config = RunConfig(
            photo=tmp_path / "photo.png",
            objects=SegmentOptions(mask=(f"ball={tmp_path / 'ball.png'}",)),
            view=ViewOptions(pitch=pitch, focal=60.0),
            shot=ShotOptions(frames=5, move=(f"ball: right {right}",)),
            generate=GenerateOptions(checkpoint=str(checkpoint), init="preview"),
            size=size,
            preview_only=preview_only,
        )
        said = io.StringIO()
        run(config, tmp_path / "out", command=["r2s2r", "run"], progress=Progress(said))
        return said.getvalue()

    return run_it


def contents(out: Path) -> dict[str, bytes]:
    """Every file's bytes, without how long it took; what lifting keeps is named after all that it was made from."""
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return {
        name: VARYING.sub(b"", data) if name.endswith((".json", ".html")) else data
        for name, data in files.items()
        if not re.fullmatch(r"\.lifting/\w+/[0-9a-f]{64}\.npz", name)
    }


@pytest.mark.parametrize(
    ("changed", "preview_only", "replaced"),
    [
        ({"pitch": 25.0, "right": 0.2}, True, ("lifted", "pictures", "scene", "preview.mp4", "normals.mp4")),
        ({"size": "48x32"}, False, ("control", "generated.mp4")),
    ],
    ids=["another shot", "another size"],
)
def test_whatever_step_is_killed_the_next_run_is_what_it_says(
    shoot, kills, tmp_path: Path, changed: dict, preview_only: bool, replaced: tuple[str, ...]
) -> None:
    """A run, another one in its folder that is killed, and the first one again."""
    out = tmp_path / "out"

    def first() -> str:
        return shoot(preview_only=preview_only)

    first()
    with kills.every_kill(out, tmp_path / "copies") as struck:
        shoot(**changed, preview_only=preview_only)
    other = contents(out)
    first()
    undisturbed = contents(out)
    assert other[replaced[-1]] != undisturbed[replaced[-1]]
    for name in (*replaced, "run.json", "index.html"):
        assert any(kill.step.endswith(f" {name}") for kill in struck), name
    for kill in struck[:: kills.SPARSE]:
        kill.strike()
        assert "by hand" not in first(), kill.step
        assert contents(out) == undisturbed, kill.step
    for kill in struck[:: 3 * kills.SPARSE]:
        kill.strike()
        shoot(**changed, preview_only=preview_only)
        assert contents(out) == other, kill.step
