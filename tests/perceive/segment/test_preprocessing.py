import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.perceive.segment.preprocessing import ImagePreprocessor, read_preprocessor

COLORS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SQUARE = ImagePreprocessor(height=1024, width=1024, **COLORS)
SHAPED = ImagePreprocessor(shortest=800, longest=1333, **COLORS)


def test_points_land_where_the_real_processor_puts_them() -> None:
    torch = pytest.importorskip("torch")
    processor = pytest.importorskip("transformers").Sam2Processor
    points = np.array([[0.5, 0.5], [700.25, 80.0], [1919.5, 897.5]])
    # The method does not look at its processor, which cannot be built without torchvision.
    theirs = processor._normalize_coordinates(None, 1024, torch.tensor(points), (898, 1920)).numpy()
    # They take whole numbers as pixel centres and the model adds a half; here centres are at +0.5 already.
    np.testing.assert_allclose(SQUARE.points(points, 898, 1920), theirs - 0.5, atol=1e-4)


@pytest.mark.parametrize("shape", [(898, 1600), (1600, 898), (500, 500), (333, 4000), (1080, 1920)])
def test_a_kept_shape_has_the_real_processors_size_and_pixels(shape: tuple[int, int]) -> None:
    real = pytest.importorskip("transformers.models.grounding_dino.image_processing_pil_grounding_dino")
    small = (shape[0] // 8, shape[1] // 8)
    preprocessor = ImagePreprocessor(shortest=80, longest=133, **COLORS)
    pixels = np.random.default_rng(0).integers(0, 256, (*small, 3)).astype(np.uint8)
    processor = real.GroundingDinoImageProcessorPil(size={"shortest_edge": 80, "longest_edge": 133})
    theirs = processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"]
    ours = preprocessor.picture(pixels).numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 0.02  # one step of 8 bits, over the standard deviation


@pytest.mark.parametrize("shape", [(898, 1600), (1600, 898), (1000, 1001), (333, 4000)])
def test_sizes_follow_the_rule_of_detr(shape: tuple[int, int]) -> None:
    rule = pytest.importorskip("transformers.image_transforms").get_size_with_aspect_ratio
    assert SHAPED.size_for(*shape) == rule(shape, 800, 1333)


def test_a_bright_spot_is_where_its_point_is(wide_photo: np.ndarray) -> None:
    dark = np.zeros_like(wide_photo)
    dark[60:66, 100:106] = 255
    preprocessor = ImagePreprocessor(height=512, width=512, mean=(0, 0, 0), std=(1, 1, 1))
    picture = preprocessor.picture(dark)[0, 0].numpy()
    rows, columns = np.indices(picture.shape)
    middle = np.array([(picture * columns).sum(), (picture * rows).sum()]) / picture.sum()
    np.testing.assert_allclose(preprocessor.points(np.array([103.0, 63.0]), *dark.shape[:2]), middle, atol=0.05)


def test_frames_are_read_in_both_forms(tmp_path: Path) -> None:
    values = {"size": {"height": 8, "width": 9}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 3}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": values}))
    expected = ImagePreprocessor(height=8, width=9, mean=(0.5,) * 3, std=(0.25,) * 3, resampling="bicubic")
    assert read_preprocessor(tmp_path) == expected
    values["size"] = {"shortest_edge": 80, "longest_edge": 133}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values))
    assert read_preprocessor(tmp_path).shortest == 80


def test_a_frame_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match=r"lacks preprocessor_config\.json"):
        read_preprocessor(tmp_path)
    file = tmp_path / "preprocessor_config.json"
    file.write_text("{")
    with pytest.raises(UserError, match="no JSON"):
        read_preprocessor(tmp_path)
    file.write_text(json.dumps({"size": 224, "image_mean": [0] * 3, "image_std": [1] * 3}))
    with pytest.raises(UserError, match="not known"):
        read_preprocessor(tmp_path)
