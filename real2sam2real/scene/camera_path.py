"""The camera at every frame of a shot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float
from real2sam2real.geometry import Intrinsics, transforms


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraPath:
    """Poses and focal lengths over T frames; the image size and the principal point stay as they are.

    Attributes:
        world_from_camera: `(T, 4, 4)` float64 rigid poses; the camera looks along its −Z with +Y up.
        intrinsics: image size, principal point, and the focal length at zoom 1.
        zoom: `(T,)` float64 factors on the focal length.

    Raises:
        ValueError: shapes disagree, a pose is not a rigid transform, or a zoom is not positive.
    """

    world_from_camera: Float
    intrinsics: Intrinsics
    zoom: Float

    def __post_init__(self) -> None:
        poses = np.asarray(self.world_from_camera, np.float64)
        zoom = np.asarray(self.zoom, np.float64)
        if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not len(poses):
            raise ValueError(f"camera poses have shape {poses.shape}; expected (T, 4, 4) with T >= 1")
        if zoom.shape != (len(poses),):
            raise ValueError(f"zoom has shape {zoom.shape}; expected ({len(poses)},)")
        if not np.isfinite(poses).all():
            raise ValueError("a camera pose is not finite (NaN or infinity)")
        if not np.isfinite(zoom).all() or np.any(zoom <= 0):
            raise ValueError("a zoom factor is not a positive number")
        rotation = poses[:, :3, :3]
        error = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max()
        if error > 1e-4 or np.any(np.linalg.det(rotation) < 0):
            raise ValueError("a camera pose is not a rotation with a translation (it scales, shears or mirrors)")
        object.__setattr__(self, "world_from_camera", poses)
        object.__setattr__(self, "zoom", zoom)

    @classmethod
    def still(cls, frames: int, intrinsics: Intrinsics, world_from_camera: ArrayLike | None = None) -> CameraPath:
        """A camera that rests at one `(4, 4)` pose; without one, at the world's origin (the photo's own camera)."""
        pose = np.eye(4) if world_from_camera is None else np.asarray(world_from_camera, np.float64)
        return cls(
            world_from_camera=np.broadcast_to(pose, (frames, 4, 4)).copy(), intrinsics=intrinsics, zoom=np.ones(frames)
        )

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.world_from_camera)

    def camera_from_world(self) -> Float:
        """`(T, 4, 4)`."""
        return transforms.invert_rigid(self.world_from_camera)

    def intrinsics_at(self, frame: int) -> Intrinsics:
        """The intrinsics of one frame, zoom included."""
        return self.intrinsics.zoomed(float(self.zoom[frame]))

    def resized(self, width: int, height: int) -> CameraPath:
        """The same path for images of another size."""
        return CameraPath(
            world_from_camera=self.world_from_camera, intrinsics=self.intrinsics.resized(width, height), zoom=self.zoom
        )
