"""The ablation's measures: the truth scores best, resuming measures nothing twice, and differences are paired."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from real2sam2real.diffusion.checkpoints import CheckpointSettings
from real2sam2real.lab.curate.instances.loading import load_tracker
from real2sam2real.lab.evaluate.ablation import CaseScore, differences, evaluate_variants, score, table
from real2sam2real.lab.synth import HELD_OUT_SEEDS, sample_clip
from real2sam2real.lab.synth.lifted import lifted_case

SETTINGS = CheckpointSettings(area=128 * 72, max_frames=9, steps=1)


@pytest.fixture(scope="module")
def case():
    made = lifted_case(sample_clip(HELD_OUT_SEEDS[1], width=128, height=72, frames=9))
    assert made is not None
    assert made.moved()
    return made


def test_the_truth_scores_best(case):
    tracker = load_tracker("embedded")
    still = np.broadcast_to(case.clip.video[0], case.clip.video.shape)
    truth = score(case.clip.video, case, tracker, index=1, variant="truth")
    photo = score(still, case, tracker, index=1, variant="photo")
    assert truth.psnr == 60
    assert truth.changed > photo.changed
    assert truth.overlap > photo.overlap + 0.1
    assert photo.drift == 0


class Repeats:
    """A pipeline that repeats the photo, darker by what it is told, and counts its calls."""

    def __init__(self, darker: int) -> None:
        self.darker, self.calls = darker, 0

    def __call__(self, photo, normals, *, generator, **_):
        self.calls += 1
        assert isinstance(generator, torch.Generator)
        return np.broadcast_to(np.maximum(photo.astype(int) - self.darker, 0).astype(np.uint8), normals.shape)


def test_resuming_goes_on_behind_what_is_measured(tmp_path):
    pipelines = {"full": Repeats(0), "dark": Repeats(60)}
    variants = {name: (pipeline, SETTINGS) for name, pipeline in pipelines.items()}
    tracker = load_tracker("embedded")
    evaluate_variants(variants, tracker, None, tmp_path, cases=1, frames=5)
    scores = evaluate_variants(variants, tracker, None, tmp_path, cases=2, frames=5)
    assert {pipeline.calls for pipeline in pipelines.values()} == {2}
    assert len(scores) == 4
    assert len({s.case for s in scores}) == 2
    mean = {name: np.mean([s.psnr for s in scores if s.variant == name]) for name in pipelines}
    assert mean["full"] > mean["dark"]


def made(case, variant, psnr):
    return CaseScore(
        case=case, variant=variant, psnr=psnr, lpips=psnr, changed=psnr, static=1.0, overlap=math.nan, drift=0.0
    )


def test_differences_are_taken_case_by_case():
    """Cases differ widely, and the variants within each by exactly one: the interval of the difference is zero."""
    scores = [made(k, name, 10.0 * k + plus) for k in range(5) for name, plus in (("a", 1.0), ("b", 0.0))]
    assert "| b | +1.000 ± 0.000 | +1.000 ± 0.000 | +1.000 ± 0.000 | – |" in differences(scores, "a")
    first = table(scores).splitlines()[2]
    assert first.startswith("| a | 21.000 ± 13.859 |")  # 1.96 · 15.811 / √5
