"""MoGe-2 by a stand-in package with the real one's calls, keys, shapes and frames."""

import importlib.util
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.depth import pixel_centres
from real2sam2real.perceive.camera.estimate import estimate_camera
from real2sam2real.perceive.camera.gravity import up_of
from real2sam2real.perceive.camera.moge import MoGe
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.photo import Photo

torch = pytest.importorskip("torch")

# The scene that the stand-in sees is in its weights: depth of the picture for a horizontal field of view of 70°. For
# another one the real network solves its shift anew; here the depth is doubled, so that a test sees that it was told.
PACKAGE = """
from pathlib import Path
import torch
from torch import nn


class MoGeModel(nn.Module):
    def __init__(self, scale, depth, mask, normal):
        super().__init__()
        self.scene = nn.Parameter(depth)
        self.seen, self.normal = mask, normal
        if scale:
            self.scale_head = nn.Linear(1, 1)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, model_kwargs=None, **hf_kwargs):
        if Path(pretrained_model_name_or_path).exists():
            checkpoint_path = pretrained_model_name_or_path
        else:
            from huggingface_hub import hf_hub_download
            checkpoint_path = hf_hub_download(
                repo_id=pretrained_model_name_or_path, repo_type="model", filename="model.pt", **hf_kwargs
            )
        checkpoint = torch.load(checkpoint_path, map_location="cpu", weights_only=True)
        return cls(**checkpoint["model_config"], **checkpoint["model"])

    @torch.inference_mode()
    def infer(self, image, num_tokens=None, resolution_level=9, force_projection=True, apply_mask=True, fov_x=None,
              use_fp16=True):
        assert image.dim() == 3 and image.dtype == torch.float32 and 0 <= image.min() and image.max() <= 1
        assert not use_fp16
        height, width = image.shape[-2:]
        fov = 70.0 if fov_x is None else fov_x
        fx = 0.5 / torch.tan(torch.deg2rad(torch.tensor(float(fov))) / 2)
        fy = fx * width / height
        intrinsics = torch.tensor([[fx, 0, 0.5], [0, fy, 0.5], [0, 0, 1]])
        depth = self.scene.data * (1.0 if fov_x is None else 2.0)
        u = ((torch.arange(width) + 0.5) / width - 0.5) / fx
        v = ((torch.arange(height) + 0.5) / height - 0.5) / fy
        points = torch.stack([u[None] * depth, v[:, None] * depth, depth], dim=-1)
        output = {
            "points": torch.where(self.seen[..., None], points, torch.inf),
            "intrinsics": intrinsics,
            "depth": torch.where(self.seen, depth, torch.inf),
            "mask": self.seen,
            "normal": torch.where(self.seen[..., None], self.normal, 0.0),
        }
        return {key: value for key, value in output.items() if value is not None}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable `moge`, forgotten afterwards."""
    root = tmp_path / "site"
    (root / "moge" / "model").mkdir(parents=True)
    for part in ("moge", "moge/model"):
        (root / part / "__init__.py").write_text("")
    (root / "moge" / "model" / "v2.py").write_text(textwrap.dedent(PACKAGE))
    monkeypatch.syspath_prepend(root)
    yield root / "moge"
    for name in [name for name in sys.modules if name == "moge" or name.startswith("moge.")]:
        del sys.modules[name]


@pytest.fixture
def scene(cast_scene: Any, make_box: Any) -> Any:
    lens = Intrinsics.from_fov(120, 80, horizontal_degrees=70.0)
    return cast_scene(lens, up_of(14, -5), 1.5, [make_box(foot=(0.4, 0, -3), size=(0.6, 1.0, 0.6), turn=0.5)])


def save_weights(path: Path, scene: Any, *, scale: bool = True) -> None:
    """The scene as the stand-in's weights, in OpenCV's frame: the floor's normal and the box's, y down, z forward."""
    seen = torch.from_numpy(np.isfinite(scene.depth))
    normal = np.where((scene.ids == 1)[..., None], scene.up_camera * np.array([1, -1, -1]), [0, 0, -1.0])
    torch.save(
        {
            "model_config": {"scale": scale},
            "model": {
                "depth": torch.from_numpy(np.where(np.isfinite(scene.depth), scene.depth, 7.0)).float(),
                "mask": seen,
                "normal": torch.from_numpy(normal).float(),
            },
        },
        path,
    )


def photo_of(scene: Any, focal: float | None = None) -> Photo:
    pixels = np.random.default_rng(0).integers(0, 256, (*scene.depth.shape, 3), np.uint8)
    return Photo(pixels=pixels, focal_px=focal)


@pytest.mark.usefixtures("package")
def test_frames_lens_mask_and_ground(tmp_path: Path, scene: Any) -> None:
    save_weights(tmp_path / "model.pt", scene)
    view = estimate_camera(
        photo_of(scene), {"box": scene.ids == 3}, ViewOptions(depth="moge", depth_model=str(tmp_path))
    )
    assert view.intrinsics.fx == pytest.approx(scene.lens.fx, rel=1e-6)
    assert view.intrinsics.fy == view.intrinsics.fx
    assert (view.intrinsics.cx, view.intrinsics.cy) == (60, 40)
    assert view.points_camera is not None
    expected = scene.lens.unproject(pixel_centres(120, 80), np.where(np.isfinite(scene.depth), scene.depth, np.nan))
    far = scene.depth > 250
    expected[far] = np.nan
    np.testing.assert_allclose(view.points_camera, expected, rtol=1e-5, atol=1e-6)
    landed, _ = view.intrinsics.project(view.points_camera)
    assert np.nanmax(np.abs(landed - pixel_centres(120, 80))) <= 1e-5
    assert view.unit == "metre"
    assert view.up_camera == pytest.approx(scene.up_camera, abs=0.002)
    assert view.ground is not None
    assert view.ground.offset == pytest.approx(-1.5, rel=0.005)


@pytest.mark.usefixtures("package")
def test_normals_are_in_our_frame(tmp_path: Path, scene: Any) -> None:
    save_weights(tmp_path / "model.pt", scene)
    estimate = MoGe.load(str(tmp_path / "model.pt")).estimate(
        photo_of(scene).pixels, known_focal=None, assumed_focal=1.0
    )
    assert estimate.normals_camera is not None
    floor, box, sky = (estimate.normals_camera[scene.ids == k] for k in (1, 3, 0))
    np.testing.assert_allclose(floor, np.tile(scene.up_camera, (len(floor), 1)), atol=1e-6)
    np.testing.assert_allclose(box, np.tile([0, 0, 1.0], (len(box), 1)), atol=1e-6)
    assert len(sky)
    assert np.isnan(sky).all()


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("source", ["user", "exif"])
def test_a_known_lens_is_passed_on_and_kept(tmp_path: Path, scene: Any, source: str) -> None:
    save_weights(tmp_path / "model.pt", scene)
    known = Intrinsics.from_fov(120, 80, horizontal_degrees=40.0)
    options = ViewOptions(depth="moge", depth_model=str(tmp_path), fov=40.0 if source == "user" else None)
    view = estimate_camera(photo_of(scene, known.fx if source == "exif" else None), {}, options)
    assert view.intrinsics.fx == known.fx
    assert view.provenance["lens"] == {"source": source, "fov_degrees": pytest.approx(40.0)}
    assert view.points_camera is not None
    middle = scene.ids == 3
    np.testing.assert_allclose(-view.points_camera[middle, 2], 2 * scene.depth[middle], rtol=1e-6)
    landed, _ = view.intrinsics.project(view.points_camera)
    assert np.nanmax(np.abs(landed - pixel_centres(120, 80))) <= 1e-5


@pytest.mark.usefixtures("package")
def test_without_a_head_for_scale_there_are_no_metres(tmp_path: Path, scene: Any) -> None:
    save_weights(tmp_path / "model.pt", scene, scale=False)
    view = estimate_camera(photo_of(scene), {}, ViewOptions(depth="moge", depth_model=str(tmp_path)))
    assert view.unit == "unit"
    assert view.ground is not None
    assert any("of unknown scale" in note for note in view.notes)


@pytest.mark.skipif(importlib.util.find_spec("moge") is not None, reason="it is installed here")
def test_not_installed() -> None:
    with pytest.raises(MissingPartError, match=r"pip install git\+https://github.com/microsoft/MoGe.git"):
        MoGe.load()


def test_too_old_a_package(package: Path) -> None:
    (package / "model" / "v2.py").unlink()
    with pytest.raises(UserError, match="has no MoGe-2; renew it"):
        MoGe.load()


@pytest.mark.usefixtures("package")
def test_missing_and_wrong_weights(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match="hf download Ruicheng/moge-2-vitl-normal"):
        MoGe.load(offline=True)
    torch.save({"something": torch.zeros(1)}, tmp_path / "model.pt")
    with pytest.raises(UserError, match="holds no weights for MoGe-2"):
        MoGe.load(str(tmp_path))


def test_another_kind_of_answer(package: Path, tmp_path: Path, scene: Any) -> None:
    code = (package / "model" / "v2.py").read_text()
    (package / "model" / "v2.py").write_text(code.replace('"intrinsics": intrinsics', '"intrinsics": None'))
    save_weights(tmp_path / "model.pt", scene)
    with pytest.raises(UserError, match="returned 'intrinsics' of shape None"):
        estimate_camera(photo_of(scene), {}, ViewOptions(depth="moge", depth_model=str(tmp_path)))
