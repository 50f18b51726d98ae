"""Depth Pro: a tiny random model of the real class, through the real loading path."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.perceive.camera.depth import pixel_centres
from real2sam2real.perceive.camera.depth_pro import DepthPro
from real2sam2real.perceive.camera.estimate import estimate_camera
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.photo import Photo

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

FOV = 50.0
SIDE = 128  # of the tiny network's input


def tiny_config(*, fov: bool) -> "transformers.DepthProConfig":
    vit = {
        "model_type": "dinov2", "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "mlp_ratio": 2,
        "patch_size": 8, "image_size": 32, "out_features": ["stage2"], "out_indices": [2],
    }  # fmt: skip
    return transformers.DepthProConfig(
        patch_size=32, fusion_hidden_size=16, intermediate_hook_ids=[1, 0], intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.25, 0.5, 1.0], scaled_images_feature_dims=[12, 12, 8], use_fov_model=fov,
        image_model_config=dict(vit), patch_model_config=dict(vit), fov_model_config=dict(vit),
    )  # fmt: skip


def tiny_model(*, fov_degrees: float | None = FOV, nearness: float = 0.5) -> "transformers.DepthProForDepthEstimation":
    """Random weights; the heads' last layers are set so that they answer near `nearness` and exactly `fov_degrees`."""
    torch.manual_seed(0)
    model = transformers.DepthProForDepthEstimation(tiny_config(fov=fov_degrees is not None)).eval()
    with torch.no_grad():
        last = model.head.layers[4]
        last.weight.normal_(std=0.003)
        last.bias.fill_(nearness)
        if fov_degrees is not None:
            model.fov_model.head.layers[-1].weight.zero_()
            model.fov_model.head.layers[-1].bias.fill_(fov_degrees)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("depth-pro")
    tiny_model().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (48, 80, 3), np.uint8)


def test_focal_length_and_depth_are_the_models(folder: Path, pixels: NDArray[np.uint8]) -> None:
    estimate = DepthPro.load(str(folder), offline=True).estimate(pixels, known_focal=None, assumed_focal=1.0)
    focal = 80 / (2 * np.tan(np.radians(FOV) / 2))
    assert estimate.focal_px == pytest.approx(focal, rel=1e-6)
    assert estimate.focal_source == "model"
    assert estimate.metric
    # By hand: the picture as -1…1 pressed into a square, and depth = focal / (width · output).
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    square = torch.nn.functional.interpolate(image, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    with torch.no_grad():
        output = tiny_model()(pixel_values=square).predicted_depth
    output = torch.nn.functional.interpolate(output[None], size=(48, 80), mode="bilinear", align_corners=False)
    assert np.ptp(estimate.depth[np.isfinite(estimate.depth)]) > 0.01
    np.testing.assert_allclose(estimate.depth, focal / (80 * output[0, 0].numpy()), rtol=1e-4)


def test_a_known_focal_length_scales_the_depth(folder: Path, pixels: NDArray[np.uint8]) -> None:
    model = DepthPro.load(str(folder), offline=True)
    own = model.estimate(pixels, known_focal=None, assumed_focal=1.0)
    longer = model.estimate(pixels, known_focal=2 * own.focal_px, assumed_focal=1.0)
    assert longer.focal_px == 2 * own.focal_px
    assert longer.focal_source == "given"
    assert longer.model_focal_px == pytest.approx(own.focal_px)
    np.testing.assert_allclose(longer.depth, 2 * own.depth, rtol=1e-6)


def test_the_processor_of_transformers_agrees(folder: Path, pixels: NDArray[np.uint8]) -> None:
    pytest.importorskip("torchvision")
    square = {"height": SIDE, "width": SIDE}
    processor = transformers.DepthProImageProcessor(size=square, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    inputs = processor(images=pixels, return_tensors="pt", input_data_format="channels_last")
    with torch.no_grad():
        output = tiny_model()(**inputs)
    theirs = processor.post_process_depth_estimation(output, target_sizes=[(48, 80)])[0]
    ours = DepthPro.load(str(folder), offline=True).estimate(pixels, known_focal=None, assumed_focal=1.0)
    assert ours.focal_px == pytest.approx(float(theirs["focal_length"]), rel=1e-5)
    np.testing.assert_allclose(ours.depth, theirs["predicted_depth"].numpy(), rtol=1e-3)


def test_the_whole_way(folder: Path, pixels: NDArray[np.uint8]) -> None:
    """The pointmap lands on its own pixels, in front of the camera, with its lens in the middle."""
    view = estimate_camera(
        Photo(pixels=pixels), {}, ViewOptions(depth="depth-pro", depth_model=str(folder), offline=True)
    )
    assert view.unit == "metre"
    assert view.points_camera is not None
    assert view.points_camera.dtype == np.float32
    assert (view.intrinsics.cx, view.intrinsics.cy) == (40, 24)
    assert view.intrinsics.fx == view.intrinsics.fy
    landed, depth = view.intrinsics.project(view.points_camera)
    assert (depth > 0).all()
    assert np.abs(landed - pixel_centres(80, 48)).max() <= 1e-5
    assert any("research only" in note for note in view.notes)


def test_sky_has_no_points(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    """An output of zero is infinitely far; 0.003 is some 390 m at this lens."""
    for nearness in (0.0, 0.003):
        model = tiny_model(nearness=nearness)
        with torch.no_grad():
            model.head.layers[4].weight.zero_()
        model.save_pretrained(tmp_path)
        estimate = DepthPro.load(str(tmp_path), offline=True).estimate(pixels, known_focal=None, assumed_focal=1.0)
        assert np.isnan(estimate.depth).all()


@pytest.mark.parametrize("fov", [None, 0.0, 179.0], ids=["no head for it", "zero", "absurd"])
def test_without_a_usable_field_of_view_the_default_is_assumed(
    tmp_path: Path, pixels: NDArray[np.uint8], fov: float | None
) -> None:
    tiny_model(fov_degrees=fov).save_pretrained(tmp_path)
    view = estimate_camera(
        Photo(pixels=pixels), {}, ViewOptions(depth="depth-pro", depth_model=str(tmp_path), offline=True)
    )
    assert view.intrinsics.horizontal_fov_degrees == pytest.approx(55)
    assert any("does not tell the field of view" in note for note in view.notes)


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match="hf download apple/DepthPro-hf"):
        DepthPro.load(str(tmp_path / "nothing"), offline=True)
    with pytest.raises(MissingPartError, match="hf download apple/DepthPro-hf"):
        DepthPro.load(offline=True)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    transformers.Dinov2Config(hidden_size=16, num_attention_heads=2, num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="type dinov2; depth_pro is needed"):
        DepthPro.load(str(tmp_path), offline=True)


def test_incomplete_weights_are_refused(tmp_path: Path) -> None:
    model = tiny_model()
    weights = {name: value for name, value in model.state_dict().items() if not name.startswith("head.")}
    model.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(UserError, match="incomplete"):
        DepthPro.load(str(tmp_path), offline=True)
