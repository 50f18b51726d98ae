"""SAM 3's video tracker on a tiny random model of the real classes."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.curate.instances.interface import InstancePrompt
from real2sam2real.lab.curate.instances.loading import load_tracker
from real2sam2real.lab.curate.instances.memory import clip_pictures
from real2sam2real.lab.curate.instances.sam3_video import (
    Observation,
    Sam3Tracker,
    WordFollower,
    distinct,
    painted,
    without_specks,
)

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

HEIGHT, WIDTH = SIZE = (60, 90)
VIDEO = np.random.default_rng(0).integers(0, 255, (6, HEIGHT, WIDTH, 3)).astype(np.uint8)
WORDS = ("car", "dog")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location(
        "tiny_segmenters", Path(__file__).parents[2] / "perceive" / "segment" / "tiny_models.py"
    )
    assert spec is not None
    assert spec.loader is not None
    models = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(models)
    at = tmp_path_factory.mktemp("sam3")
    models.save_sam3_video(at)
    return at


@pytest.fixture(scope="module")
def tracker(folder: Path) -> Sam3Tracker:
    loaded = load_tracker("sam3", text=WORDS, weights=folder)
    assert isinstance(loaded, Sam3Tracker)
    return loaded


def observations(tracker: Sam3Tracker, word: str, video: np.ndarray = VIDEO) -> list[list[Observation]]:
    return list(tracker.finder.observations(clip_pictures(tracker.finder.preprocessor, video), word, SIZE))


@pytest.fixture
def untouched(tracker: Sam3Tracker, monkeypatch: pytest.MonkeyPatch) -> Iterator[WordFollower]:
    """The finder, with nothing dropped or filled: as transformers is where it has no code for that."""
    monkeypatch.setattr(tracker.finder, "_overlap", 0.0)
    monkeypatch.setattr(tracker.finder, "_speck", 0)
    return tracker.finder


def own_session(finder: WordFollower, word: str) -> object:
    from transformers import Sam3VideoInferenceSession

    pictures = torch.stack(clip_pictures(finder.preprocessor, VIDEO))
    session = Sam3VideoInferenceSession(video=pictures, video_height=HEIGHT, video_width=WIDTH, dtype=torch.float32)
    tokens = finder.tokenizer(word, return_tensors="pt", padding="max_length", max_length=32)
    session.prompts = {0: word}
    session.prompt_input_ids = {0: tokens.input_ids}
    session.prompt_attention_masks = {0: tokens.attention_mask}
    return session


def test_words_become_instances_through_time(tracker: Sam3Tracker) -> None:
    found = tracker.track(VIDEO)
    assert found.ids.shape == VIDEO.shape[:3]
    assert found.ids.dtype == np.uint8
    assert set(np.unique(found.ids)) - {0} == set(found.labels) == set(range(1, len(found.labels) + 1))
    assert set(found.labels.values()) == set(WORDS)
    assert list(found.labels.values()) == sorted(found.labels.values())  # the first word's ids come first
    again = tracker.track(VIDEO)
    assert np.array_equal(found.ids, again.ids)
    assert found.labels == again.labels


def test_a_pixel_goes_to_the_instance_that_is_likeliest_to_be_what_it_is_called(tracker: Sam3Tracker) -> None:
    found = tracker.track(VIDEO)
    seen = {word: observations(tracker, word) for word in WORDS}
    for at, ids in enumerate(found.ids):
        scores = {word: painted(seen[word][at], SIZE)[1] for word in WORDS}
        expected = np.where(scores["dog"] > scores["car"], "dog", np.where(scores["car"] > 0, "car", ""))
        names = np.array(["", *found.labels.values()])
        assert np.array_equal(names[ids], expected)


def test_the_masks_are_the_models_own(tracker: Sam3Tracker, untouched: WordFollower) -> None:
    outputs = list(untouched.model.propagate_in_video_iterator(own_session(untouched, "dog")))
    assert [output.frame_idx for output in outputs] == list(range(len(VIDEO)))
    compared = 0
    for output, seen in zip(outputs, observations(tracker, "dog"), strict=True):
        for each in seen:
            low = output.obj_id_to_mask[each.number]
            large = torch.nn.functional.interpolate(low[None], SIZE, mode="bilinear")[0, 0] > 0
            assert np.array_equal(each.mask, large.numpy())
            assert each.score == pytest.approx(output.obj_id_to_score[each.number])
            compared += 1
    assert compared > len(VIDEO)


def test_the_masks_are_those_of_transformers_own_processor(tracker: Sam3Tracker, untouched: WordFollower) -> None:
    pytest.importorskip("torchvision")
    from transformers import Sam3ImageProcessor, Sam3VideoProcessor
    from transformers.models.sam2_video.video_processing_sam2_video import Sam2VideoVideoProcessor

    values = {"size": {"height": 56, "width": 56}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    processor = Sam3VideoProcessor(
        image_processor=Sam3ImageProcessor(**values),
        video_processor=Sam2VideoVideoProcessor(**values),
        tokenizer=untouched.tokenizer,
    )
    session = processor.init_video_session(video=list(VIDEO), dtype=torch.float32)
    processor.add_text_prompt(session, "car")
    outputs = untouched.model.propagate_in_video_iterator(session)
    for output, seen in zip(outputs, observations(tracker, "car"), strict=True):
        theirs = processor.postprocess_outputs(session, output)
        numbers, _ = painted(seen, SIZE)
        assert theirs["object_ids"].tolist() == [each.number for each in seen]
        for number, mask in zip(theirs["object_ids"].tolist(), theirs["masks"].numpy(), strict=True):
            assert ((numbers == number) != mask).mean() < 0.01


def test_what_is_found_depends_on_the_word_and_the_pictures(tracker: Sam3Tracker) -> None:
    car, dog = observations(tracker, "car"), observations(tracker, "dog")
    flipped = observations(tracker, "car", np.ascontiguousarray(VIDEO[:, ::-1]))
    for other in (dog, flipped):
        assert any(
            not np.array_equal(a.mask, b.mask)
            for mine, theirs in zip(car, other, strict=True)
            for a, b in zip(mine, theirs, strict=False)
        )


def test_what_soon_proves_to_be_nothing_is_taken_back(tracker: Sam3Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {each.number for seen in observations(tracker, "dog") for each in seen}
    monkeypatch.setattr(tracker.finder.model, "hotstart_unmatch_thresh", 1)
    after = observations(tracker, "dog")
    gone = before - {each.number for seen in after for each in seen}
    assert gone
    assert 1 in before
    assert all(each.number not in gone for seen in after for each in seen)


def test_doubles_are_not_found(tracker: Sam3Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    first = observations(tracker, "car")[0]
    masks = [each.mask for each in first]
    low = [float((a & b).sum() / (a | b).sum()) for k, a in enumerate(masks) for b in masks[:k]]
    assert all(share < 0.6 for share in low)  # 0.5 at the model's own resolution
    monkeypatch.setattr(tracker.finder, "_overlap", 0.0)
    assert len(observations(tracker, "car")[0]) > len(first)


def test_the_weaker_of_two_that_overlap_is_dropped() -> None:
    masks = np.zeros((4, 8, 8), bool)
    masks[0, :4], masks[1, :4, :6], masks[2, 5:], masks[3] = True, True, True, False
    assert distinct(masks, np.array([0.6, 0.9, 0.5, 0.7]), 0.5).tolist() == [1, 3, 2]
    assert distinct(masks, np.array([0.9, 0.6, 0.5, 0.7]), 0.8).tolist() == [0, 3, 1, 2]
    assert distinct(masks[:0], np.zeros(0), 0.5).tolist() == []


def test_specks_and_holes_go() -> None:
    logits = np.full((16, 16), -3.0, np.float32)
    logits[2:10, 2:10] = 4.0
    logits[4, 4:6] = -1.0  # a hole
    logits[13, 13] = 2.0  # a speck
    tidy = without_specks(logits, 3)
    assert tidy[4, 4] == tidy[4, 5] == pytest.approx(0.1)
    assert tidy[13, 13] == pytest.approx(-0.1)
    assert (tidy != logits).sum() == 3
    assert np.array_equal(without_specks(logits, 0), logits)
    alone = np.full((16, 16), -3.0, np.float32)
    alone[7, 7:9] = 1.0
    assert np.array_equal(without_specks(alone, 3), alone)  # all that there is of it


def test_marks_are_followed_in_place_of_words(tracker: Sam3Tracker) -> None:
    patch = np.zeros(SIZE, bool)
    patch[10:40, 20:60] = True
    prompts = [
        InstancePrompt(label="cup", frame=2, box=(5, 5, 40, 30)),
        InstancePrompt(label="hat", frame=0, mask=patch),
    ]
    found = tracker.track(VIDEO, prompts)
    assert found.labels == {1: "cup", 2: "hat"}
    assert set(np.unique(found.ids)) == {0, 1, 2}
    assert all((ids == 2).any() for ids in found.ids[:1])
    got = {at: logits for at, _, logits in tracker.follower.followed(VIDEO, 2, {1: prompts[0]})}
    assert sorted(got) == list(range(len(VIDEO)))
    elsewhere = InstancePrompt(label="cup", frame=2, box=(50, 30, 85, 55))
    other = {at: logits for at, _, logits in tracker.follower.followed(VIDEO, 2, {1: elsewhere})}
    assert all(np.abs(got[at] - other[at]).max() > 0.1 for at in got)


def test_without_words_the_part_for_marks_is_loaded_alone(folder: Path) -> None:
    tracker = load_tracker("sam3", weights=folder)
    assert isinstance(tracker, Sam3Tracker)
    assert "finder" not in vars(tracker)
    assert tracker.track(VIDEO, [InstancePrompt(label="cup", box=(5, 5, 40, 30))]).labels == {1: "cup"}
    with pytest.raises(UserError, match="neither a word nor a mark"):
        tracker.track(VIDEO)


def test_words_that_lead_nowhere_are_refused(
    folder: Path, tracker: Sam3Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="is empty"):
        load_tracker("sam3", text=(" ",), weights=folder).track(VIDEO[:1])
    monkeypatch.setattr(tracker.finder.model, "score_threshold_detection", 0.99)
    with pytest.raises(UserError, match="none of the words car, dog"):
        tracker.track(VIDEO)


def test_weights_that_are_missing_are_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingPartError, match="download it whole"):
        load_tracker("sam3", text=WORDS, weights=tmp_path)
    image = tmp_path / "image"
    shutil.copytree(folder, image)
    config = json.loads((image / "config.json").read_text())
    (image / "config.json").write_text(json.dumps(config["detector_config"] | {"model_type": "sam3"}))
    with pytest.raises(UserError, match="sam3_video is needed"):
        load_tracker("sam3", text=WORDS, weights=image)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.snapshot_download", _unreachable)
    with pytest.raises(MissingPartError, match="ask for access"):
        load_tracker("sam3", text=WORDS)


def _unreachable(*_: object, **__: object) -> str:
    from huggingface_hub.errors import LocalEntryNotFoundError

    raise LocalEntryNotFoundError("no network")
