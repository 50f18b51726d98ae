from typing import Any

import numpy as np
import pytest

from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.sam2 import BATCH, Prompt, Sam2, at_photo_size, consistency, preferred

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

NOTHING = np.zeros((0, 2))


@pytest.fixture(scope="module")
def sam2(tiny_options: SegmentOptions) -> Sam2:
    return Sam2.load(tiny_options)


def at(*points: tuple[float, float], outside: Any = NOTHING, box: Any = None) -> Prompt:
    box = None if box is None else np.array(box, np.float64)
    return Prompt(inside=np.array(points, np.float64).reshape(-1, 2), outside=np.asarray(outside, np.float64), box=box)


MIXED = [
    at((20, 30)),
    at((20, 30), (40, 50), outside=[[100.0, 80.0]]),
    at((70, 30), (71, 33)),
    at(box=(10, 20, 60, 70)),
    at(box=(5, 5, 130, 80)),
    at((90, 40), box=(60, 10, 120, 80)),
]


def test_masks_have_the_photos_shape_and_come_in_order(sam2: Sam2, wide_photo: np.ndarray) -> None:
    embedding = sam2.embed(wide_photo)
    together = sam2.masks(embedding, MIXED)
    assert len(together) == len(MIXED)
    for prompt, (mask, quality) in zip(MIXED, together, strict=True):
        assert mask.shape == (90, 140)
        assert mask.dtype == bool
        ((alone, its_quality),) = sam2.masks(embedding, [prompt])
        assert np.array_equal(mask, alone)
        assert quality == pytest.approx(its_quality, abs=1e-5)


def test_padding_and_batches_do_not_change_a_prompt(sam2: Sam2, wide_photo: np.ndarray) -> None:
    embedding = sam2.embed(wide_photo)
    points = np.random.default_rng(1).uniform(0, 90, (BATCH + 3, 2))
    several = [at((x, y)) for x, y in points]
    offered = list(sam2.candidates(embedding, several))
    assert len(offered) == BATCH + 3
    for k in (0, BATCH - 1, BATCH, BATCH + 2):
        (alone,) = sam2.candidates(embedding, [several[k]])
        torch.testing.assert_close(offered[k].logits, alone.logits, atol=1e-4, rtol=1e-4)


def test_one_point_gets_three_answers_and_anything_surer_four(sam2: Sam2, wide_photo: np.ndarray) -> None:
    offered = list(sam2.candidates(sam2.embed(wide_photo), MIXED))
    assert [len(each.quality) for each in offered] == [3, 4, 4, 4, 4, 4]
    assert all(each.logits.shape == (len(each.quality), 32, 32) for each in offered)


def test_the_photo_is_embedded_once(sam2: Sam2, wide_photo: np.ndarray) -> None:
    calls = []
    hook = sam2.model.vision_encoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        sam2.masks(sam2.embed(wide_photo), MIXED)
    finally:
        hook.remove()
    assert len(calls) == 1


def test_prompts_reach_the_model_at_their_share_of_the_photo(sam2: Sam2, wide_photo: np.ndarray) -> None:
    """The positional embedding is given coordinates whose share of the frame is the point's share of the photo."""
    seen = []
    shared = sam2.model.prompt_encoder.shared_embedding
    hook = shared.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0] / inputs[1][0]))
    try:
        prompt = at((35, 81), outside=[[105.0, 22.5]], box=(14, 9, 126, 45))
        next(iter(sam2.candidates(sam2.embed(wide_photo), [prompt])))
    finally:
        hook.remove()
    points, corners = seen[:2]
    np.testing.assert_allclose(points[0, 0].numpy(), [[0.25, 0.9], [0.75, 0.25]], atol=1e-6)
    np.testing.assert_allclose(corners[0, 0, :2].numpy(), [[0.1, 0.1], [0.9, 0.5]], atol=1e-6)


def test_the_models_output_is_the_real_models(sam2: Sam2, sam2_checkpoint: Any, wide_photo: np.ndarray) -> None:
    with torch.no_grad():
        output = sam2_checkpoint.model(
            pixel_values=sam2.preprocessor.picture(wide_photo),
            input_points=torch.tensor([[[[20.0, 30.0], [50.0, 60.0]]]]) * torch.tensor([128 / 140, 128 / 90]) - 0.5,
            input_labels=torch.tensor([[[1, 0]]]),
        )
    (offered,) = sam2.candidates(sam2.embed(wide_photo), [at((20, 30), outside=[[50.0, 60.0]])])
    torch.testing.assert_close(offered.logits[:3], output.pred_masks[0, 0], atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(offered.quality[:3], output.iou_scores[0, 0].numpy(), atol=1e-5)


def test_bfloat16_stays_near(sam2: Sam2, wide_photo: np.ndarray) -> None:
    coarse = Sam2(sam2.model, sam2.preprocessor, sam2.device, bfloat16=True)
    for one, other in zip(sam2.embed(wide_photo).features, coarse.embed(wide_photo).features, strict=True):
        assert other.dtype == torch.float32
        assert not torch.equal(one, other)
        torch.testing.assert_close(one, other, atol=0.1, rtol=0.1)


def test_masks_are_enlarged_without_a_shift() -> None:
    logits = torch.full((1, 32, 32), -4.0)
    logits[:, 8:16, 16:24] = 4.0
    mask = at_photo_size(logits, 96, 64)[0]
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (24, 47, 32, 47)


def test_consistency_asks_points_and_box(block_mask: Any) -> None:
    mask = block_mask(10, 20, 50, 60)
    assert consistency(mask, np.array([[30.0, 20.0]]), np.array([[100.0, 20.0]]), None) == 1
    assert consistency(mask, np.array([[30.0, 20.0], [100.0, 20.0]]), NOTHING, None) == 0.5
    assert consistency(mask, NOTHING, NOTHING, np.array([20.0, 10, 60, 50])) == 1
    assert consistency(mask, NOTHING, NOTHING, np.array([20.0, 10, 100, 50])) == pytest.approx(0.5)
    assert consistency(np.zeros_like(mask), NOTHING, NOTHING, None) == 0


def test_a_lone_point_means_the_whole_where_the_model_is_in_doubt() -> None:
    scores, areas = np.array([0.90, 0.88, 0.60]), np.array([10, 500, 9000])
    assert preferred(scores) == 0
    assert preferred(scores, areas) == 1


def test_the_mask_that_fits_its_box_is_chosen(sam2: Sam2, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model guesses the wrong candidate to be slightly better; the box decides."""
    logits = torch.full((2, 32, 32), -4.0)
    logits[0, 2:30, 2:30], logits[1, 8:16, 8:16] = 4.0, 4.0
    monkeypatch.setattr(sam2, "_decode", lambda *_, **__: (logits[None], np.array([[0.9, 0.85]])))
    embedding = sam2.embed(np.zeros((64, 64, 3), np.uint8))
    mask, quality = sam2.masks(embedding, [at(box=(16, 16, 32, 32))])[0]
    assert quality == 0.85
    assert mask.sum() == 16 * 16
