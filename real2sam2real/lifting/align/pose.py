"""A mesh's place in front of the camera as a similarity, and small changes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import Intrinsics, quaternions, transforms


@dataclass(frozen=True, kw_only=True, eq=False)
class MeshPose:
    """Where a mesh is, and through which focal length it is seen."""

    camera_from_object: Float  # `(4, 4)` similarity
    focal: float = 1.0  # factor on the photo's focal length

    def points_camera(self, vertices: Float) -> Float:
        """`(V, 3)` of vertices in the object frame."""
        return transforms.apply(self.camera_from_object, vertices)

    def intrinsics(self, base: Intrinsics) -> Intrinsics:
        """Of a window, with this pose's focal length."""
        return base if self.focal == 1 else base.zoomed(self.focal)

    def changed(self, centre: Float, turn: Float, shift: Float, growth: float, focal: float = 0.0) -> MeshPose:
        """The pose after a turn and a growth about a point and a shift, each `(3,)` in the camera frame.

        The turn is a rotation vector in radians; growth and focal are logarithms of factors on size and focal length.
        """
        matrix = np.eye(4)
        matrix[:3, :3] = np.exp(growth) * rotation_matrix(turn)
        matrix[:3, 3] = centre + shift - matrix[:3, :3] @ centre
        return replace(
            self, camera_from_object=matrix @ self.camera_from_object, focal=self.focal * float(np.exp(focal))
        )

    def nearer(self, factor: float) -> MeshPose:
        """Place and size times `factor` about the camera: the same in the photo, at another distance."""
        matrix = self.camera_from_object.copy()
        matrix[:3] *= factor
        return replace(self, camera_from_object=matrix)

    def size(self) -> float:
        """The factor on lengths."""
        return self._size

    @cached_property
    def _size(self) -> float:
        return float(np.cbrt(np.linalg.det(self.camera_from_object[:3, :3])))

    def angle_to(self, other: MeshPose) -> float:
        """Degrees between the rotations of two poses."""
        a, b = self._rotation, other._rotation
        return float(np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1))))

    @cached_property
    def _rotation(self) -> Float:
        return rotation_of(self.camera_from_object)


def rotation_of(matrix: Float) -> Float:
    """`(3, 3)` rotation of a similarity."""
    return quaternions.to_matrix(transforms.decompose(matrix)[1])


def rotation_matrix(vector: Float) -> Float:
    """`(3, 3)` of a rotation vector in radians."""
    angle = float(np.linalg.norm(vector))
    if angle == 0:
        return np.eye(3)
    return quaternions.to_matrix(quaternions.from_axis_angle(vector, angle))
