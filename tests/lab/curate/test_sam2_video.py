"""SAM 2.1's video tracker on a tiny random model of the real classes."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.curate.instances.interface import InstancePrompt
from real2sam2real.lab.curate.instances.loading import load_tracker
from real2sam2real.lab.curate.instances.sam2_video import Sam2Tracker

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

HEIGHT, WIDTH = 60, 90
VIDEO = np.random.default_rng(0).integers(0, 255, (4, HEIGHT, WIDTH, 3)).astype(np.uint8)
CUP = InstancePrompt(label="cup", frame=2, box=(5, 5, 40, 30))
PATCH = np.zeros((HEIGHT, WIDTH), bool)
PATCH[10:40, 20:60] = True
DOG = InstancePrompt(label="dog", frame=1, mask=PATCH)


def tiny_models() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "tiny_segmenters", Path(__file__).parents[2] / "perceive" / "segment" / "tiny_models.py"
    )
    assert spec is not None
    assert spec.loader is not None
    models = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(models)
    return models


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Sam2Tracker:
    models = tiny_models()
    folder = tmp_path_factory.mktemp("sam2")
    models.save_sam2_video(folder, models.save_sam2(tmp_path_factory.mktemp("part"), width=128))
    loaded = load_tracker("sam2", weights=folder)
    assert isinstance(loaded, Sam2Tracker)
    return loaded


def followed(tracker: Sam2Tracker, frame: int, prompt: InstancePrompt) -> dict[int, np.ndarray]:
    return {at: logits for at, number, logits in tracker.followed(VIDEO, frame, {7: prompt}) if number == 7}


def test_marks_are_followed_through_every_frame(tracker: Sam2Tracker) -> None:
    found = tracker.track(VIDEO, [CUP, DOG])
    assert found.labels == {1: "cup", 2: "dog"}
    assert found.ids.shape == VIDEO.shape[:3]
    cup, dog = followed(tracker, 2, CUP), followed(tracker, 1, DOG)
    for at in range(len(VIDEO)):
        expected = np.where(cup[at] >= dog[at], 1, 2) * (np.maximum(cup[at], dog[at]) > 0)
        assert np.array_equal(found.ids[at], expected)
    assert set(np.unique(found.ids)) == {0, 1, 2}


@pytest.mark.parametrize("prompt", [CUP, DOG], ids=["box", "mask"])
def test_what_is_followed_depends_on_the_mark_and_the_pictures(tracker: Sam2Tracker, prompt: InstancePrompt) -> None:
    got = followed(tracker, prompt.frame, prompt)
    assert sorted(got) == [0, 1, 2, 3]
    assert all(logits.shape == (HEIGHT, WIDTH) and logits.dtype == np.float32 for logits in got.values())
    elsewhere = InstancePrompt(label="cup", frame=prompt.frame, box=(50, 30, 85, 55))
    other = followed(tracker, prompt.frame, elsewhere)
    assert all(np.abs(got[at] - other[at]).max() > 0.1 for at in range(4))
    pictures = np.ascontiguousarray(VIDEO[:, ::-1])
    flipped = {at: x for at, _, x in tracker.followed(pictures, prompt.frame, {7: prompt})}
    assert all(
        np.abs(got[at] - flipped[at]).max() > 0.1 for at in range(4) if not (prompt.mask is not None and at == 1)
    )


def test_the_marked_frame_is_answered_as_the_model_answers_it(tracker: Sam2Tracker) -> None:
    """Through the model's own forward, with a session that is filled here by hand."""
    from transformers import Sam2VideoInferenceSession

    model, preprocessor = tracker.model, tracker.preprocessor
    session = Sam2VideoInferenceSession(
        video=torch.cat([preprocessor.picture(each) for each in VIDEO]),
        video_height=HEIGHT,
        video_width=WIDTH,
        dtype=torch.float32,
    )
    corners = torch.tensor([[[[5 * 128 / 90, 5 * 128 / 60], [40 * 128 / 90, 30 * 128 / 60]]]])
    labels = torch.tensor([[[2, 3]]], dtype=torch.int32)
    session.add_point_inputs(session.obj_id_to_idx(7), 2, {"point_coords": corners, "point_labels": labels})
    session.obj_with_new_inputs = [7]
    output = model(inference_session=session, frame_idx=2)
    large = torch.nn.functional.interpolate(output.pred_masks, (HEIGHT, WIDTH), mode="bilinear")[0, 0]
    assert np.allclose(followed(tracker, 2, CUP)[2], large.numpy(), atol=1e-4)


@pytest.mark.parametrize("prompt", [CUP, DOG], ids=["box", "mask"])
def test_the_logits_are_those_of_transformers_own_processor(tracker: Sam2Tracker, prompt: InstancePrompt) -> None:
    pytest.importorskip("torchvision")
    from transformers import Sam2ImageProcessor, Sam2VideoProcessor, Sam2VideoVideoProcessor

    size = {"height": 128, "width": 128}
    images = Sam2ImageProcessor(size=size, mask_size={"height": 32, "width": 32})
    videos = Sam2VideoVideoProcessor(size=size)
    processor = Sam2VideoProcessor(image_processor=images, video_processor=videos, target_size=128)
    session = processor.init_video_session(video=list(VIDEO), inference_device="cpu", dtype=torch.float32)
    given = {"input_boxes": [[list(prompt.box)]]} if prompt.box else {"input_masks": torch.from_numpy(prompt.mask)}
    processor.add_inputs_to_inference_session(session, frame_idx=prompt.frame, obj_ids=7, **given)
    model, theirs = tracker.model, {}
    model(inference_session=session, frame_idx=prompt.frame)
    for reverse in (False, True):
        for output in model.propagate_in_video_iterator(session, start_frame_idx=prompt.frame, reverse=reverse):
            masks = processor.post_process_masks([output.pred_masks], [[HEIGHT, WIDTH]], binarize=False)[0]
            theirs[output.frame_idx] = masks[0, 0].numpy()
    ours = followed(tracker, prompt.frame, prompt)
    assert sorted(ours) == sorted(theirs)
    # The pictures differ by less than 1e-6, as normalised at once or in two steps; random weights magnify it.
    assert max(np.abs(ours[at] - theirs[at]).max() for at in ours) < 0.02


def test_several_marks_on_one_frame_are_followed_together(tracker: Sam2Tracker) -> None:
    both = {1: InstancePrompt(label="cup", frame=1, box=(5, 5, 40, 30)), 2: DOG}
    got = {(at, number) for at, number, _ in tracker.followed(VIDEO, 1, both)}
    assert got == {(at, number) for at in range(4) for number in (1, 2)}


def test_a_clip_without_marks_and_folders_without_weights_are_refused(tracker: Sam2Tracker, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing is marked"):
        tracker.track(VIDEO, [])
    with pytest.raises(MissingPartError, match="download it whole"):
        load_tracker("sam2", weights=tmp_path)
