import json
from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.control.folder import Control
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.diffusion.checkpoints import SETTINGS_FILE, CheckpointSettings, find_checkpoint, load_settings
from real2sam2real.diffusion.conditioning import to_frames
from real2sam2real.diffusion.fitting import FittedFrames, fit_control
from real2sam2real.diffusion.generate import stream_segments, working_size
from real2sam2real.diffusion.loading import load_model, locate
from real2sam2real.diffusion.options import ModelOptions
from real2sam2real.errors import UserError

SETTINGS = CheckpointSettings(area=32 * 48, max_frames=9, steps=2, init="preview", strength=0.5)


@pytest.fixture
def checkpoint(make_pipeline, tmp_path):
    folder = tmp_path / "tiny"
    make_pipeline(prediction="sample").save_pretrained(folder)
    (folder / SETTINGS_FILE).write_text(SETTINGS.to_json())
    return folder


def control(frames=5, convention=None):
    convention = convention or NormalConvention()
    normals = np.zeros((frames, 64, 96, 3), np.float32)
    normals[:, 16:48, 16:64] = (0.6, 0.0, 0.8)
    ids = normals.any(axis=-1).astype(np.uint8)
    photo = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    return Control(
        normals=convention.encode(normals, ids), ids=ids, photo=photo, prompt="", fps=16.0, normal_convention=convention
    )


def load(checkpoint):
    return load_model(locate(ModelOptions(checkpoint=str(checkpoint))))


def generated(given, checkpoint, **options):
    """`(T, h, w, 3)` as a checkpoint makes it of a control."""
    model = load(checkpoint)
    segments = stream_segments(model.pipeline, fit_control(given, model.settings), **options)
    return np.concatenate([to_frames(segment.video) for segment in segments])


def test_settings_survive_their_file():
    changed = CheckpointSettings(area=100, max_frames=5, normal_convention=NormalConvention.preset("left-up-towards"))
    assert CheckpointSettings.from_json(changed.to_json()) == changed
    older = changed.to_json().replace('"normal_convention"', '"coding"')
    assert '"coding"' in older
    assert CheckpointSettings.from_json(older) == changed


def test_settings_of_older_versions_are_read():
    old = json.loads(SETTINGS.to_json())
    old["squash_photo"] = old.pop("resize_without_crop") or True
    del old["solver"]
    assert CheckpointSettings.from_json(json.dumps(old)) == replace(SETTINGS, resize_without_crop=True)


@pytest.mark.parametrize(
    ("size", "expected"), [((1280, 720), (256, 144)), ((720, 1280), (144, 256)), ((600, 600), (192, 192))]
)
def test_the_working_size_keeps_area_and_aspect(size, expected):
    assert CheckpointSettings(area=256 * 144, max_frames=33).fit(*size) == expected


def test_the_shipped_checkpoint_is_complete_and_small():
    folder = find_checkpoint("mini")
    assert folder == find_checkpoint("mini-base")
    assert sum(file.stat().st_size for file in folder.rglob("*")) <= 55e6
    settings = load_settings(folder)
    assert settings.area == 384 * 208
    assert settings.max_frames >= 33
    assert settings.upscale
    assert load("mini").pipeline.transformer.config.prediction == "sample"


def test_a_video_comes_out_at_the_working_size_and_repeats(checkpoint):
    given = control()
    preview = np.broadcast_to(given.photo, given.normals.shape).copy()
    assert working_size(checkpoint, 96, 64) == (48, 32)
    videos = [generated(given, checkpoint, preview=preview, strength=0.5, seed=s) for s in (3, 3, 4)]
    assert videos[0].shape == (5, 32, 48, 3)
    assert np.array_equal(videos[0], videos[1])
    assert not np.array_equal(videos[0], videos[2])


def test_normals_in_another_convention_are_translated(checkpoint):
    ours, theirs = control(), control(convention=NormalConvention.preset("left-up-towards"))
    assert not np.array_equal(ours.normals, theirs.normals)
    made = [generated(c, checkpoint) for c in (ours, theirs)]
    assert np.abs(made[0].astype(int) - made[1]).max() <= 2  # quantised once more on the way


def test_an_adapter_without_settings_is_run_as_the_published_ones(tmp_path):
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "pose_patch_embedding.safetensors").touch()
    assert find_checkpoint(folder) == folder
    settings = load_settings(folder)
    assert (settings.steps, settings.guidance_scale, settings.max_frames) == (25, 4.5, 81)
    assert settings.fit(1920, 1080) == (1280, 720)


def test_a_checkpoint_that_goes_on_from_nothing_makes_long_shots_of_segments_that_fade(checkpoint):
    """Four frames past its longest clip: two segments of nine and five frames that share one."""
    made = generated(control(13), checkpoint, seed=3)
    assert made.shape == (13, 32, 48, 3)
    first = generated(control(9), checkpoint, seed=3)
    assert np.array_equal(made[:4], first[:4])
    assert not load(checkpoint).pipeline.sampling.continues


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match=r"neither model_index\.json"):
        find_checkpoint(tmp_path)


def test_settings_that_do_not_fit_are_named(checkpoint):
    (checkpoint / SETTINGS_FILE).write_text(json.dumps({"area": 5}))
    with pytest.raises(UserError, match=SETTINGS_FILE):
        load_settings(checkpoint)
    (checkpoint / SETTINGS_FILE).write_text(json.dumps({"area": -5, "max_frames": 9}))
    with pytest.raises(UserError, match="'area' is -5"):
        load_settings(checkpoint)
    (checkpoint / SETTINGS_FILE).unlink()
    with pytest.raises(UserError, match="unknown"):
        load_settings(checkpoint)


def test_damaged_weights_are_named(checkpoint):
    weights = next(checkpoint.glob("transformer/*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UserError, match=f"{weights} is damaged"):
        load(checkpoint)


def test_resizing_keeps_a_flat_colour():
    frames = np.full((2, 30, 50, 3), 77, np.uint8)
    for width, height in ((16, 16), (80, 64)):
        resized = FittedFrames(frames=frames, width=width, height=height)
        assert len(resized) == 2
        assert resized[0:2].shape == (2, height, width, 3)
        assert (resized[0:2] == 77).all()
