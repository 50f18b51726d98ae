from typing import Any

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.perceive.segment.grounding import Detector, _detections
from real2sam2real.perceive.segment.options import SegmentOptions

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def detector(tiny_options: SegmentOptions) -> Detector:
    return Detector.load(tiny_options)


def test_boxes_lie_in_the_photo_and_come_best_first(detector: Detector, wide_photo: np.ndarray) -> None:
    found = detector.detect(wide_photo, ["car", "Red  Car", "potted plant"], least=0.0001, overlap=1.0)
    assert found
    assert {each.word for each in found} <= {"car", "red car", "potted plant"}
    boxes = np.array([each.box for each in found])
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= 140).all()
    assert (boxes[:, 3] <= 90).all()
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)


def test_boxes_and_scores_are_the_real_models(
    detector: Detector, grounding_checkpoint: Any, wide_photo: np.ndarray
) -> None:
    """One word of one token: its score is the model's for that token, its boxes those that transformers scales."""
    from transformers import GroundingDinoProcessor

    tokens = detector.tokenizer("dog.", return_tensors="pt")
    picture = detector.preprocessor.picture(wide_photo)
    with torch.no_grad():
        output = grounding_checkpoint.model(
            pixel_values=picture, pixel_mask=torch.ones(1, *picture.shape[2:], dtype=torch.long), **tokens
        )
    # The method needs no processor; only the words of its labels would.
    stub = type("Decoding", (), {"batch_decode": staticmethod(list)})()
    theirs = GroundingDinoProcessor.post_process_grounded_object_detection(
        stub, output, tokens["input_ids"], threshold=0.0, target_sizes=[(90, 140)]
    )[0]
    scores = output.logits[0, :, 1].sigmoid().numpy()
    found = detector.detect(wide_photo, ["dog"], least=0.0, overlap=1.0)
    expected = np.clip(theirs["boxes"].numpy(), 0, [140, 90, 140, 90])[np.argsort(-scores, kind="stable")]
    assert len(found) == len(expected)
    np.testing.assert_allclose([each.score for each in found], np.sort(scores)[::-1], rtol=1e-4)
    np.testing.assert_allclose([each.box for each in found], expected, atol=0.05)


def test_a_phrases_tokens_are_its_own(detector: Detector) -> None:
    text, spans = detector._laid_out(["car", "potted plant", "cars"])
    assert text == "car. potted plant. cars."
    # [CLS] car . potted plant . car ##s . [SEP]
    assert spans == [("car", [1]), ("potted plant", [3, 4]), ("cars", [6, 7])]


def test_many_words_are_asked_in_texts_that_fit(detector: Detector, wide_photo: np.ndarray) -> None:
    words = ["car", "dog", "person", "red", "bench", "van"] * 5
    texts = list(detector._texts(words))
    assert len(texts) > 1
    assert [word for _, spans in texts for word, _ in spans] == words
    assert all(len(detector.tokenizer(text)["input_ids"]) <= 32 for text, _ in texts)
    with pytest.raises(UserError, match="too long"):
        detector.detect(wide_photo, ["car " * 40], 0.1, 0.5)


@pytest.mark.parametrize("word", ["", "  ", "car. dog", "which?"])
def test_words_that_cannot_be_asked_are_refused(detector: Detector, wide_photo: np.ndarray, word: str) -> None:
    with pytest.raises(UserError):
        detector.detect(wide_photo, [word], 0.1, 0.5)


def test_every_box_belongs_to_its_best_word_and_doubles_go() -> None:
    boxes = np.array([[0, 0, 50, 50], [2, 2, 51, 51], [60, 0, 90, 40], [0, 0, 50, 50], [10, 10, 10, 30]], np.float64)
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.7], [0.3, 0.5], [0.9, 0.0]])
    found = _detections(boxes, scores, ["car", "dog"], least=0.4, overlap=0.7)
    # The second is the first again; the fourth is another thing in the same place; the fifth has no area.
    assert [(each.word, each.score) for each in found] == [("car", 0.9), ("dog", 0.7), ("dog", 0.5)]


def test_bfloat16_runs(detector: Detector, wide_photo: np.ndarray) -> None:
    coarse = Detector(
        detector.model, detector.preprocessor, detector.device, tokenizer=detector.tokenizer, bfloat16=True
    )
    assert coarse.detect(wide_photo, ["car"], 0.0001, 1.0)
