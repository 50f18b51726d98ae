"""The preset `official` prepares every tensor as the authors do: golden values of `make_official_golden.py`."""

import runpy
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from real2sam2real import media
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.control.reading import open_control, read_control
from real2sam2real.diffusion import sampling as flow
from real2sam2real.diffusion.checkpoints import OFFICIAL_SETTINGS, CheckpointSettings
from real2sam2real.diffusion.conditioning import condition_channels
from real2sam2real.diffusion.fitting import bilinear, fit_control, script_size
from real2sam2real.diffusion.presets import PRESETS
from real2sam2real.diffusion.segments import window

OFFICIAL = PRESETS["official"]
HERE = Path(__file__).parent
FORMULAS = runpy.run_path(str(HERE / "make_official_golden.py"))
SMALL = CheckpointSettings(area=FORMULAS["SMALL_AREA"], max_frames=81)


@pytest.fixture(scope="module")
def golden():
    with np.load(HERE / "official_golden.npz") as values:
        return dict(values)


@dataclass
class Steering:
    photo: np.ndarray
    normals: np.ndarray
    fps: float
    prompt: str = ""

    @property
    def size(self):
        return self.normals.shape[2], self.normals.shape[1]

    def normals_in(self, convention):
        assert convention == NormalConvention()
        return self.normals


def differ(made, expected) -> int:
    """By how many levels; OpenCV's fixed-point arithmetic is off by one here and there."""
    assert made.shape == expected.shape
    return int(np.abs(made.astype(int) - expected).max())


def test_sizes(golden):
    sizes = {(w, h): (wide, high) for w, h, wide, high in golden["sizes"].tolist()}
    assert {size: script_size(OFFICIAL_SETTINGS.area, *size) for size in sizes} == sizes
    named = {(1280, 720): (1280, 704), (720, 1280): (704, 1280), (640, 480): (1120, 832), (1200, 800): (1184, 768)}
    assert sizes | named == sizes


def test_photo_and_normals(golden):
    given = Steering(photo=FORMULAS["photo"](), normals=FORMULAS["normals"](), fps=33.0)
    fitted = fit_control(given, SMALL, OFFICIAL)
    assert (fitted.size, fitted.frames, fitted.fps) == ((64, 32), golden["normals_frames"], 16)
    assert differ(fitted.photo, golden["photo"]) <= 1
    for index, expected in zip((0, 1, 20, 44), golden["normals"], strict=True):
        assert differ(fitted.normals[index : index + 1][0], expected) <= 1
    assert np.array_equal(fitted.normals[3:30][17], fitted.normals[20:21][0])
    assert golden["normals"].min(axis=(1, 2, 3)).max() < 9  # nearly black stays as it is
    assert any("45 frames at 16 a second" in note for note in fitted.notes)
    assert any("90 frames at 33 a second, these are one in 2" in note for note in fitted.notes)
    assert any("0.97 times as fast" in note for note in fitted.notes)
    high = Steering(photo=FORMULAS["photo"]()[:18], normals=np.zeros((200, 64, 32, 3), np.uint8), fps=24.0)
    fitted = fit_control(high, SMALL, OFFICIAL)
    assert (fitted.size, fitted.frames) == ((32, 64), 81)
    assert differ(fitted.photo, golden["wide_photo"]) <= 1


def test_noise_levels(golden):
    scheduler = flow.make_scheduler(OFFICIAL.solver, OFFICIAL_SETTINGS.shift)
    flow.set_steps(scheduler, OFFICIAL.steps, OFFICIAL.spacing, 1.0, torch.device("cpu"))
    assert np.allclose(scheduler.sigmas.numpy(), golden["sigmas"], atol=1e-6)
    assert np.allclose(scheduler.timesteps.numpy(), 1000 * golden["sigmas"][:-1], atol=1e-3)


def test_segments(golden):
    for count, expected in ((81, golden["segments"]), (45, golden["short_segment"])):
        frames = np.arange(count)
        made = [window(frames, segment.start, segment.stop) for segment in OFFICIAL.plan(count)]
        assert np.array_equal(made, expected)


def test_masks(golden):
    reference, given = torch.zeros(1, 16, 1, 2, 2), torch.zeros(1, 16, 20, 2, 2)
    for known, name in ((0, "first_mask"), (OFFICIAL.overlap, "later_mask")):
        mask = condition_channels(reference, given, known)[0, :4]
        assert np.array_equal(mask[:, :, 0, 0], golden[name])
        assert (mask == mask[:, :, :1, :1]).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As the authors' demo cases: a square photo beside a wide video, and no caption."""
    folder = tmp_path_factory.mktemp("case")
    media.write_png(folder / "source_image.png", FORMULAS["photo"]())
    video = np.stack([cv2.resize(frame, (96, 54)) for frame in FORMULAS["normals"]()[:40]])
    with media.video_writer(folder / "object_animation_normal.mp4", 33) as writer:
        for frame in video:
            writer.add(frame)
    return folder


def test_their_folders_are_read_as_they_are(folder):
    """Frames to the bit as OpenCV decodes and resizes them, which is how the script does."""
    capture, theirs = cv2.VideoCapture(str(folder / "object_animation_normal.mp4")), []
    while (read := capture.read())[0]:
        theirs.append(cv2.cvtColor(cv2.resize(read[1], (64, 32)), cv2.COLOR_BGR2RGB))
    control = open_control(folder)
    assert (control.prompt, control.photo.shape) == ("", (40, 40, 3))
    assert any("no caption.json: the prompt is empty" in note for note in control.notes)
    fitted = fit_control(control, SMALL, OFFICIAL)
    assert np.array_equal(fitted.normals[0:20], theirs[::2])
    assert np.array_equal(fitted.photo[:, 16:48], bilinear(control.photo, 32, 32))
    assert not fitted.photo[:, :16].any()
    assert not fitted.photo[:, 48:].any()


def test_our_own_way_letterboxes_their_photo_too_and_keeps_the_aspect(folder):
    fitted = fit_control(open_control(folder), SMALL)
    assert fitted.size == (64, 32)
    assert fitted.frames == 40
    assert not fitted.photo[:, :16].any()
    whole = read_control(folder, from_official=True)
    assert whole.photo.shape == (54, 96, 3)
    assert not whole.photo[:, :20].any()
