"""Depth maps of the user's own: what their numbers are, which way they grow, and what is refused."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.depth_file import TYPICAL_DEPTH, read_depth_file
from real2sam2real.perceive.camera.estimate import estimate_camera
from real2sam2real.perceive.camera.gravity import up_of
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.photo import Photo

pytestmark = pytest.mark.fast
LENS = Intrinsics.from_fov(160, 120, horizontal_degrees=60.0)
PITCH = 12.0
SIZE = (LENS.width, LENS.height)


@pytest.fixture
def room(cast_scene: Any, make_box: Any) -> Any:
    box = make_box(foot=(0.3, 0, -3.5), size=(0.8, 1.2, 0.8), turn=0.4)
    return cast_scene(LENS, up_of(PITCH, 0), 1.6, [box], walls=[(0.0, 7.0)])


@pytest.fixture
def mask(room: Any) -> Any:
    return room.ids == 3


def write(path: Path, values: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, depth=values)
    elif path.suffix == ".exr":
        OpenEXR.File({"type": OpenEXR.scanlineimage}, {"Z": values.astype(np.float32)}).write(str(path))
    else:
        cv2.imwrite(str(path), values)
    return path


def read(path: Path, mask: Any, kind: str = "auto", horizon: float | None = None) -> Any:
    return read_depth_file(path, kind, size=SIZE, masks=[mask], horizon=horizon)  # type: ignore[arg-type]


def depth_of(file: Any, width: int = 160, height: int = 120) -> Any:
    pixels = np.zeros((height, width, 3), np.uint8)
    return file.estimate(pixels, known_focal=None, assumed_focal=100.0).depth


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".exr", ".pfm", ".tiff", ".png"])
def test_metres_come_back(room: Any, mask: Any, tmp_path: Path, suffix: str) -> None:
    values = np.rint(room.depth * 1000).astype(np.uint16) if suffix == ".png" else room.depth.astype(np.float32)
    file = read(write(tmp_path / f"d{suffix}", values), mask, "metric")
    assert depth_of(file) == pytest.approx(room.depth, abs=6e-4)


@pytest.mark.parametrize("kind", ["auto", "relative", "disparity", "inverse"])
def test_depth_without_a_unit_comes_back_up_to_scale(room: Any, mask: Any, tmp_path: Path, kind: str) -> None:
    stored = 7 * room.depth if kind in ("auto", "relative") else 40 / room.depth
    found = depth_of(read(write(tmp_path / "d.npy", stored), mask, kind))
    assert found == pytest.approx(TYPICAL_DEPTH * room.depth / np.median(room.depth), rel=1e-5)


def test_the_photo_tells_that_near_is_large_and_the_ground_the_shift(room: Any, mask: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "d.png", np.rint(20_000 / room.depth + 9_000).astype(np.uint16))
    horizon = LENS.cy - LENS.fy * np.tan(np.radians(PITCH))
    truth = TYPICAL_DEPTH * room.depth / np.median(room.depth)
    shifted, unshifted = (depth_of(read(path, mask, horizon=row)) for row in (horizon, None))
    assert np.abs(shifted / truth - 1).max() < 0.02
    assert np.abs(unshifted / truth - 1).max() > 0.2


def test_a_larger_map_of_the_same_aspect_keeps_its_edges(room: Any, mask: Any, tmp_path: Path) -> None:
    large = cv2.resize(room.depth, (320, 240), interpolation=cv2.INTER_NEAREST)
    found = depth_of(read(write(tmp_path / "d.npy", large), mask, "metric"))
    error = np.abs(found / room.depth - 1)
    assert error.max() < 0.02  # at an edge too: nothing floats between two surfaces


def others(*names: str) -> Any:
    """Channels of other passes, none of which is a depth."""
    return lambda depth: {name: np.full(depth.shape, k + 0.25, np.float32) for k, name in enumerate(names)}


EXRS = {  # the channels of renderers' files: the one that holds depths, and others
    "Blender's passes": ("ViewLayer.Depth.Z", others("ViewLayer.Combined.R", "ViewLayer.Normal.X", "ViewLayer.Normal.Y",
                         "ViewLayer.Normal.Z", "ViewLayer.Denoising Depth.Z", "ViewLayer.Mist.Z")),
    "a layer's V": ("ViewLayer.Depth.V", others("ViewLayer.Combined.R", "ViewLayer.Combined.V")),
    "beside a colour": ("depth", others("R", "G", "B", "A")),
    "beside a position": ("Z", others("P.X", "P.Y", "P.Z", "N.X", "N.Y", "N.Z")),
    "alone, of any name": ("distance", others()),
}  # fmt: skip


@pytest.mark.parametrize("kind", EXRS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_depths_of_an_exr_are_found_among_its_channels(
    room: Any, mask: Any, tmp_path: Path, kind: str, dtype: Any
) -> None:
    name, beside = EXRS[kind]
    channels = beside(room.depth) | {name: room.depth.astype(dtype)}
    OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(tmp_path / "d.exr"))
    found = depth_of(read(tmp_path / "d.exr", mask, "metric"))
    assert found == pytest.approx(room.depth, rel=1e-3 if dtype == np.float16 else 1e-6)


@pytest.mark.parametrize("window", [(0, 30, 160, 120), (-8, -5, 170, 121), (10, -5, 150, 130)])
def test_an_exr_is_laid_where_its_window_says(room: Any, mask: Any, tmp_path: Path, window: tuple[int, ...]) -> None:
    """A render that is cropped, one with overscan, and both; the picture is the display window."""
    left, top, right, bottom = window
    padded = np.pad(room.depth.astype(np.float32), 20, constant_values=99)
    stored = np.ascontiguousarray(padded[top + 20 : bottom + 20, left + 20 : right + 20])
    corners = {
        "dataWindow": (np.array([left, top], np.int32), np.array([right - 1, bottom - 1], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([159, 119], np.int32)),
    }
    OpenEXR.File({"type": OpenEXR.scanlineimage, **corners}, {"Z": stored}).write(str(tmp_path / "d.exr"))
    found = depth_of(read(tmp_path / "d.exr", mask, "metric"))
    inside = np.zeros(found.shape, bool)
    inside[max(top, 0) : bottom, max(left, 0) : right] = True
    assert found[inside] == pytest.approx(room.depth[inside], rel=1e-6)
    assert not np.isfinite(found[~inside]).any()


def holes(depth: Any) -> Any:
    values = depth.copy()
    values[:80] = np.nan
    return values


@pytest.mark.parametrize(
    ("name", "make", "kind", "message"),
    [
        ("d.npy", lambda d: d[:, :90], "auto", "90×120 pixels and the photo 160×120"),
        ("d.npy", lambda d: d.T, "auto", "lies on its side"),
        ("d.npy", lambda d: np.full_like(d, 2.5), "auto", "2.5 everywhere"),
        ("d.npy", holes, "metric", "33% of its pixels only"),
        ("d.npy", lambda d: -d, "metric", "0% of its pixels only"),
        ("d.npy", lambda d: np.zeros((4, *d.shape)), "auto", "(4, 120, 160)"),
        ("d.png", lambda d: np.dstack([d, 2 * d, d]).astype(np.uint8), "auto", "in colours"),
        ("d.png", lambda d: (20 * d).astype(np.uint8), "metric", "hold no metres"),
        ("d.npy", lambda d: np.random.default_rng(0).random(d.shape), "auto", "near is large or small"),
    ],
    ids=["aspect", "turned", "constant", "NaN", "negative", "shape", "colours", "8 bits", "noise"],
)
def test_what_is_no_depth_map_is_refused(
    room: Any, mask: Any, tmp_path: Path, name: str, make: Any, kind: str, message: str
) -> None:
    with pytest.raises(UserError, match=message.replace("(", r"\(").replace(")", r"\)")):
        read(write(tmp_path / name, make(room.depth)), mask, kind)


def test_a_file_that_is_broken_or_not_there_is_named(mask: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00 nothing")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name in ("broken.npy", "broken.png", "absent.png", "absent.npz"):
        with pytest.raises(UserError, match=name):
            read(tmp_path / name, mask)
    with pytest.raises(UserError, match="no estimator 'dpt'"):
        ViewOptions(depth="dpt")
    with pytest.raises(UserError, match="--depth FILE"):
        ViewOptions(depth_kind="metric")


def test_it_stands_where_an_estimator_would(room: Any, mask: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "d.npy", room.depth)
    photo = Photo(pixels=np.full((120, 160, 3), 90, np.uint8))
    view = estimate_camera(photo, {"box": mask}, ViewOptions(fov=60.0, depth=str(path), depth_kind="metric"))
    assert view.unit == "metre"
    assert view.ground is not None
    assert view.ground.offset == pytest.approx(-1.6, rel=0.01)
    assert any("d.npy" in note for note in view.notes)
