import numpy as np
import pytest

from real2sam2real.diffusion.checkpoints import CheckpointSettings
from real2sam2real.lab.evaluate.held_out import contact_sheet, evaluate, make_scenes, psnr, table

SETTINGS = CheckpointSettings(area=64 * 48, max_frames=9, steps=1)


class Truthful:
    """Stands in for a pipeline: told the normals it draws them, told nothing it repeats the photo."""

    def __call__(self, photo, normals, **options):
        blank = not normals.any()
        return np.broadcast_to(photo, normals.shape).copy() if blank else normals


def test_psnr_of_known_errors():
    truth = np.zeros((2, 3, 4, 3), np.uint8)
    everywhere = np.ones((2, 3, 4), bool)
    assert psnr(truth + np.uint8(255), truth, everywhere) == 0
    assert psnr(truth + np.uint8(51), truth, everywhere) == pytest.approx(20 * np.log10(5))
    assert psnr(truth, truth, everywhere) == 60
    assert np.isnan(psnr(truth, truth, ~everywhere))


def test_psnr_looks_at_the_region_alone():
    truth = np.zeros((1, 2, 2, 3), np.uint8)
    video = truth.copy()
    video[0, 0, 0] = 255
    region = np.zeros((1, 2, 2), bool)
    region[0, 1, 1] = True
    assert psnr(video, truth, region) == 60


def test_every_way_is_scored_on_every_scene():
    results = []
    scores = evaluate(Truthful(), SETTINGS, scenes=2, frames=5, strengths=(0.5,), on_scene=results.append)
    by_way = {score.way: score for score in scores}
    assert set(by_way) == {
        "photo repeated",
        "preview",
        "from noise, normals blanked",
        "from noise",
        "from the preview at 0.5",
    }
    assert by_way["photo repeated"].changed == by_way["from noise, normals blanked"].changed
    assert by_way["photo repeated"].static > 30
    assert by_way["preview"].changed > by_way["photo repeated"].changed
    assert table(scores).count("\n") == 2 + len(scores)
    sheet = contact_sheet(results, ["preview"], columns=2)
    height, width = results[0].scene.truth.shape[1:3]
    assert sheet.shape == (3 * height, 2 * 2 * width, 3)


def test_scenes_come_in_order_from_several_processes_without_those_that_cannot_be_made():
    made = make_scenes({0: "a", 2: "c", 3: "d"}.get, 2)
    assert [next(made) for _ in range(3)] == ["a", "c", "d"]
    made.close()
