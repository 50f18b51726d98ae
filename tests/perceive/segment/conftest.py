"""Tiny models in folders, and small photos."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from real2sam2real.perceive.segment.options import SegmentOptions

HEIGHT, WIDTH = 90, 140


@dataclass(frozen=True)
class Checkpoint:
    """A tiny model as it was saved, and where."""

    folder: Path
    model: Any


@pytest.fixture(scope="session")
def tiny_models() -> ModuleType:
    pytest.importorskip("transformers")
    spec = importlib.util.spec_from_file_location("tiny_models", Path(__file__).parent / "tiny_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _saved(tmp_path_factory: pytest.TempPathFactory, name: str, save: Callable[[Path], Any]) -> Checkpoint:
    folder = tmp_path_factory.mktemp(name)
    return Checkpoint(folder, save(folder))


@pytest.fixture(scope="session")
def sam2_checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_models: ModuleType) -> Checkpoint:
    return _saved(tmp_path_factory, "sam2", tiny_models.save_sam2)


@pytest.fixture(scope="session")
def grounding_checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_models: ModuleType) -> Checkpoint:
    return _saved(tmp_path_factory, "grounding", tiny_models.save_grounding)


@pytest.fixture(scope="session")
def sam3_checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_models: ModuleType) -> Checkpoint:
    return _saved(tmp_path_factory, "sam3", tiny_models.save_sam3)


@pytest.fixture(scope="session")
def tiny_options(
    sam2_checkpoint: Checkpoint, grounding_checkpoint: Checkpoint, sam3_checkpoint: Checkpoint
) -> SegmentOptions:
    """The tiny models, from their folders alone; random weights are sure of nothing, so the threshold is low."""
    return SegmentOptions(
        segmenter="sam2",
        sam2=str(sam2_checkpoint.folder),
        detector=str(grounding_checkpoint.folder),
        sam3=str(sam3_checkpoint.folder),
        device="cpu",
        offline=True,
        threshold=0.001,
        vocabulary=("car", "potted plant", "dog"),
    )


@pytest.fixture(scope="session")
def wide_photo() -> np.ndarray:
    """`(90, 140, 3)`: not square, no two pixels alike."""
    return np.random.default_rng(4).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def block(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.fixture(scope="session")
def block_mask() -> Callable[[int, int, int, int], np.ndarray]:
    """A `(90, 140)` mask of the rows top…bottom and columns left…right."""
    return block
