"""A tiny model, tiny shots, and a harness that kills batches; the harness is the benchmark's own."""

from pathlib import Path
from types import ModuleType

import pytest

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.run.batch.running import BatchReport, run_batch
from real2sam2real.run.options import BatchOptions
from real2sam2real.run.progress import Progress


@pytest.fixture
def shots(harness: ModuleType, tmp_path: Path) -> Path:
    """Three shots: two cameras of one scene, and one of another."""
    return harness.tiny_shots(tmp_path / "in", 3)


@pytest.fixture
def run(checkpoint: Path, shots: Path, tmp_path: Path):
    """Run the batch of `shots` into `tmp_path / "out"`."""

    def run_it(*given: Path, retries: int = 2, progress: Progress | None = None, **options: object) -> BatchReport:
        return run_batch(
            given or [shots],
            tmp_path / "out",
            options=GenerateOptions(**{"checkpoint": str(checkpoint), "init": "noise", **options}),
            batch=BatchOptions(retries=retries),
            progress=progress,
        )

    return run_it
