"""Rooms and streets whose camera is known to the last digit, seen by casting rays at planes and boxes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.depth import DepthEstimate, pixel_centres

Float = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Box:
    """A box of `size` (3,) whose lower face has its middle at `foot` (3,), turned about the vertical by `turn`."""

    foot: tuple[float, float, float]
    size: tuple[float, float, float]
    turn: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownScene:
    """What the camera sees of the world, without any error.

    Attributes:
        lens: of the camera.
        depth: `(H, W)` along −Z, infinite in the sky.
        ids: `(H, W)` 0 = sky, 1 = floor, 2 = walls and ceiling, k + 3 = box k.
        up_camera: `(3,)`.
        height: of the camera above the floor.
    """

    lens: Intrinsics
    depth: Float
    ids: NDArray[np.int64]
    up_camera: Float
    height: float

    def estimate(
        self,
        rng: np.random.Generator,
        *,
        noise: float = 0.0,
        warp: float = 0.0,
        outliers: float = 0.0,
        missing: float = 0.0,
    ) -> "StandIn":
        """An estimator that errs: relative noise per pixel, a smooth relative warp, shares of wild and lost pixels."""
        shape = self.depth.shape
        depth = self.depth * np.exp(noise * rng.standard_normal(shape))
        if warp:
            smooth = cv2.resize(rng.standard_normal((4, 5)), shape[::-1], interpolation=cv2.INTER_CUBIC)
            depth *= np.exp(warp * smooth)
        wild = rng.random(shape) < outliers
        depth[wild] = rng.uniform(0.3, 30.0, int(wild.sum()))
        depth[(rng.random(shape) < missing) | ~np.isfinite(self.depth)] = np.nan
        return StandIn(depth.astype(np.float32), self.lens.fx)


class StandIn:
    """An estimator that answers with a stored depth map."""

    name, model, licence = "stand-in", "none", "free"

    def __init__(self, depth: NDArray[np.float32], focal: float, *, metric: bool = True) -> None:
        self.depth, self.focal, self.metric = depth, focal, metric

    def estimate(self, pixels: NDArray[np.uint8], *, known_focal: float | None, assumed_focal: float) -> DepthEstimate:
        assert pixels.shape[:2] == self.depth.shape
        return DepthEstimate(
            depth=self.depth,
            focal_px=self.focal if known_focal is None else known_focal,
            focal_source="model" if known_focal is None else "given",
            model_focal_px=self.focal,
            normals_camera=None,
            metric=self.metric,
        )


def cast(
    lens: Intrinsics,
    up_camera: Float,
    height: float,
    boxes: Sequence[Box] = (),
    *,
    walls: Sequence[tuple[float, float]] = (),
    ceiling: float | None = None,
    floor: bool = True,
) -> KnownScene:
    """Look at a floor at y = 0 from `height` above it.

    Args:
        lens: of the camera.
        up_camera: world's +Y in the camera's frame; the camera's −Z has no sideways part in the world.
        height: of the camera.
        boxes: on the floor or above it; the world's −Z is forward.
        walls: (turn in radians, distance from the camera): 0 faces the camera from ahead.
        ceiling: its height.
        floor: without it nothing is seen there.
    """
    forward = np.array([0.0, 0.0, -1.0]) + up_camera * up_camera[2]
    forward /= np.linalg.norm(forward)
    world_from_camera = np.stack([np.cross(forward, up_camera), up_camera, -forward])
    rays = lens.unproject(pixel_centres(lens.width, lens.height), np.ones((lens.height, lens.width)))
    rays = rays @ world_from_camera.T
    eye = np.array([0.0, height, 0.0])
    depth, ids = np.full(rays.shape[:2], np.inf), np.zeros(rays.shape[:2], np.int64)

    def add(distance: Float, number: int) -> None:
        nearer = (distance > 1e-6) & (distance < depth)
        depth[nearer], ids[nearer] = distance[nearer], number

    with np.errstate(divide="ignore", invalid="ignore"):
        if floor:
            add(-height / rays[..., 1], 1)
        if ceiling is not None:
            add((ceiling - height) / rays[..., 1], 2)
        for turn, distance in walls:
            towards = np.array([np.sin(turn), 0.0, -np.cos(turn)])
            add(distance / (rays @ towards), 2)
        for number, box in enumerate(boxes):
            add(_box_distance(eye, rays, box), number + 3)
    return KnownScene(lens=lens, depth=depth, ids=ids, up_camera=up_camera, height=height)


def _box_distance(eye: Float, rays: Float, box: Box) -> Float:
    """Slab test in the box's own axes; infinite where the ray misses."""
    c, s = np.cos(box.turn), np.sin(box.turn)
    box_from_world = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    origin = box_from_world @ (eye - np.array(box.foot))
    direction = rays @ box_from_world.T
    low = np.array([-box.size[0] / 2, 0.0, -box.size[2] / 2])
    high = np.array([box.size[0] / 2, box.size[1], box.size[2] / 2])
    ends = np.sort(np.stack([(low - origin) / direction, (high - origin) / direction]), axis=0)
    enter, leave = ends[0].max(axis=-1), ends[1].min(axis=-1)
    return np.where((enter < leave) & (enter > 0), enter, np.inf)


@pytest.fixture
def cast_scene() -> Callable[..., KnownScene]:
    return cast


@pytest.fixture
def make_box() -> type[Box]:
    return Box


@pytest.fixture
def stand_in() -> type[StandIn]:
    return StandIn
