"""Where a search begins: the initial pose, the same moved onto the mask, turned versions of it, or poses all round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from real2sam2real.arrays import Bool, Float
from real2sam2real.geometry.transforms import upright_rotation
from real2sam2real.lifting.align.fitting import FittedMesh, draw
from real2sam2real.lifting.align.pose import MeshPose, rotation_matrix
from real2sam2real.lifting.align.target import Target

TURNS = (15.0, 30.0)  # degrees, about axes all round
YAWS = 24
TILTS = (0.0, -20.0, 20.0)  # degrees
# Axes that may be up in a file, and the turn (an axis times radians) that brings each to +Y.
UP_AXES = {
    "y": (0.0, 0.0, 0.0), "z": (-np.pi / 2, 0.0, 0.0), "-z": (np.pi / 2, 0.0, 0.0), "x": (0.0, 0.0, np.pi / 2),
    "-x": (0.0, 0.0, -np.pi / 2), "-y": (np.pi, 0.0, 0.0),
}  # fmt: skip
FIRST_DISTANCE = 3.0  # of a mesh without a pose, in its own diagonals: a usual distance to take a picture from


def around_pose(shape: FittedMesh, pose: MeshPose, target: Target) -> Iterator[MeshPose]:
    """The pose as it is, moved onto the mask, and turned about its middle by up to 30° in all directions."""
    yield pose
    placed = onto_mask(shape, pose, target)
    yield placed
    centre = placed.points_camera(shape.centre[None])[0]
    for degrees in TURNS:
        for axis in _directions():
            turned = placed.changed(centre, np.radians(degrees) * axis, np.zeros(3), 0.0)
            yield onto_mask(shape, turned, target)


def all_round(
    shape: FittedMesh, target: Target, up_camera: Float, up: str = "y", tilts: Sequence[float] = TILTS
) -> Iterator[MeshPose]:
    """Upright poses with every side to the camera, and some that lean by `tilts` degrees; on the mask.

    The mesh has the axis `up`, of `UP_AXES`, up; `up_camera` `(3,)` is the world's up in the camera frame.
    """
    upright = upright_rotation(up_camera)
    distance = FIRST_DISTANCE * 2 * shape.radius
    centre_pixel = _centroid(target.mask)
    stood = rotation_matrix(np.array(UP_AXES[up]))
    for tilt in tilts:
        for yaw in np.arange(YAWS) * (360 / YAWS):
            rotation = rotation_matrix(np.radians(tilt) * np.array([1.0, 0, 0])) @ upright
            rotation = rotation @ rotation_matrix(np.radians(yaw) * np.array([0, 1.0, 0])) @ stood
            matrix = np.eye(4)
            matrix[:3, :3] = rotation
            middle = target.intrinsics.unproject(centre_pixel, distance)
            matrix[:3, 3] = middle - rotation @ shape.centre
            yield onto_mask(shape, MeshPose(camera_from_object=matrix), target)


def onto_mask(shape: FittedMesh, pose: MeshPose, target: Target) -> MeshPose:
    """Moved across the line of sight, and grown, until centroid and extent of the silhouette are the mask's.

    The pose may lie outside the window, so where it is comes from its vertices and not from a drawing.
    """
    for _ in range(3):
        points = pose.points_camera(shape.vertices)
        if points[:, 2].max() >= 0:  # it reaches behind the camera
            centre = pose.points_camera(shape.centre[None])[0]
            seen_whole = np.array([0.0, 0.0, -FIRST_DISTANCE * 2 * shape.radius * pose.size()])
            pose = pose.changed(centre, np.zeros(3), seen_whole - centre, 0.0)
            points = pose.points_camera(shape.vertices)
        k = pose.intrinsics(target.intrinsics)
        pixels, _ = k.project(points)
        low, high = np.quantile(pixels, 0.01, axis=0), np.quantile(pixels, 0.99, axis=0)
        rows, columns = np.nonzero(target.mask)
        mask_low, mask_high = (np.quantile(np.stack([columns, rows], axis=-1), q, axis=0) + 0.5 for q in (0.01, 0.99))
        growth = float(np.log(np.linalg.norm(mask_high - mask_low) / max(1e-9, float(np.linalg.norm(high - low)))))
        offset = (mask_low + mask_high - low - high) / 2
        centre = pose.points_camera(shape.centre[None])[0]
        depth = -centre[2]
        shift = np.array([offset[0] * depth / k.fx, -offset[1] * depth / k.fy, 0.0])
        pose = pose.changed(centre, np.zeros(3), shift, growth)
    drawn = draw(shape, pose, target) > 0
    if not drawn.any():
        return pose
    offset = _centroid(target.mask) - _centroid(drawn)
    centre = pose.points_camera(shape.centre[None])[0]
    shift = np.array([offset[0] / target.intrinsics.fx, -offset[1] / target.intrinsics.fy, 0.0]) * -centre[2]
    moved = pose.changed(centre, np.zeros(3), shift, 0.0)
    better = target.agreement(draw(shape, moved, target) > 0) > target.agreement(drawn)
    return moved if better else pose


def _centroid(mask: Bool) -> Float:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5])


def _directions() -> Float:
    """`(14, 3)` unit vectors: the faces and corners of a cube."""
    faces = np.concatenate([np.eye(3), -np.eye(3)])
    corners = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]) / np.sqrt(3)
    return np.concatenate([faces, corners])
