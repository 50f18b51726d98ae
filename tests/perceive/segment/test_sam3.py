from typing import Any

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.sam3 import Sam3

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def sam3(tiny_options: SegmentOptions) -> Sam3:
    return Sam3.load(tiny_options)


def test_masks_and_scores_are_the_real_models(sam3: Sam3, sam3_checkpoint: Any, wide_photo: np.ndarray) -> None:
    tokens = sam3.tokenizer("car", return_tensors="pt", padding="max_length", max_length=32)
    with torch.no_grad():
        output = sam3_checkpoint.model(pixel_values=sam3.preprocessor.picture(wide_photo), **tokens)
    scores = (output.pred_logits.sigmoid() * output.presence_logits.sigmoid())[0].numpy()
    shares = torch.nn.functional.interpolate(output.pred_masks.sigmoid(), (90, 140), mode="bilinear")[0].numpy()
    search = sam3.find(sam3.embed(wide_photo), ["car"], least=0.0, overlap=1.0)
    expected = [shares[k] > 0.5 for k in np.argsort(-scores, kind="stable") if (shares[k] > 0.5).any()]
    assert len(search.found) == len(expected) > 0
    for each, mask in zip(search.found, expected, strict=True):
        assert each.mask.shape == (90, 140)
        assert (each.mask != mask).mean() < 0.01  # transformers interpolates shares, here logits are
    assert search.nearest["car"] == pytest.approx(float(scores.max()), rel=1e-4)


def test_words_share_one_embedding_and_a_threshold_holds(sam3: Sam3, wide_photo: np.ndarray) -> None:
    calls = []
    hook = sam3.model.vision_encoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        embedding = sam3.embed(wide_photo)
        search = sam3.find(embedding, ["car", "dog"], least=0.0, overlap=1.0)
    finally:
        hook.remove()
    assert len(calls) == 1
    assert {each.word for each in search.found} == {"car", "dog"}
    none = sam3.find(embedding, ["car", "dog"], least=0.99, overlap=1.0)
    assert not none.found
    assert none.nearest == search.nearest


def test_words_that_cannot_be_asked_are_refused(sam3: Sam3, wide_photo: np.ndarray) -> None:
    embedding = sam3.embed(wide_photo)
    for word in (" ", "a very long description of a car that stands somewhere"):
        with pytest.raises(UserError):
            sam3.find(embedding, [word], 0.1, 0.5)


def test_bfloat16_runs(sam3: Sam3, wide_photo: np.ndarray) -> None:
    coarse = Sam3(sam3.model, sam3.preprocessor, sam3.device, tokenizer=sam3.tokenizer, bfloat16=True)
    assert coarse.find(coarse.embed(wide_photo), ["car"], 0.0, 1.0).nearest["car"] > 0
