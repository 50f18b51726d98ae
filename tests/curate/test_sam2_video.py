"""SAM 2.1's video tracker on a tiny random model of the real classes."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from real2sam2real.curate.instances import InstanceTracker, Mark, load_tracker

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

VIDEO = np.random.default_rng(0).integers(0, 255, (4, 60, 90, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> InstanceTracker:
    spec = importlib.util.spec_from_file_location(
        "tiny_segmenters", Path(__file__).parents[1] / "perceive" / "segment" / "tiny_models.py"
    )
    models: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(models)
    folder = tmp_path_factory.mktemp("sam2")
    torch.manual_seed(0)
    part = models.save_sam2(tmp_path_factory.mktemp("part"))
    models.save_sam2_video(folder, part)
    return load_tracker("sam2", weights=folder)


def test_marks_are_followed_through_every_frame(tracker: InstanceTracker) -> None:
    mask = np.zeros((60, 90), bool)
    mask[10:40, 20:60] = True
    marks = [Mark(label="cup", frame=2, box=(5, 5, 40, 30)), Mark(label="dog", frame=1, mask=mask)]
    found = tracker.track(VIDEO, marks)
    assert found.labels == {1: "cup", 2: "dog"}
    assert found.ids.shape == (4, 60, 90)
    assert set(np.unique(found.ids)) <= {0, 1, 2}


def test_the_logits_are_the_real_models(tracker: InstanceTracker) -> None:
    """Frame, instance and logits come from the model's own propagation, at the clip's size."""
    mark = Mark(label="cup", frame=1, box=(5, 5, 40, 30))
    got = {at: logits for at, number, logits in tracker._followed(VIDEO, 1, {7: mark}) if number == 7}
    assert sorted(got) == [0, 1, 2, 3]
    assert all(logits.shape == (60, 90) for logits in got.values())
    other = {at: x for at, _, x in tracker._followed(VIDEO, 1, {7: Mark(label="cup", frame=1, box=(50, 30, 85, 55))})}
    assert not np.allclose(got[3], other[3])
