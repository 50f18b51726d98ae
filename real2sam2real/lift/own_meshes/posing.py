"""Does a mesh stand where the photo's camera saw it, or in a frame of its own? And its object frame.

Frames as in docs/conventions.md. A mesh in the photo's camera frame lies in front of the camera as it is; a mesh from a
modelling program usually stands around its origin, which a camera at the origin would be inside of.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from real2sam2real.geometry import Intrinsics, Mesh, transforms
from real2sam2real.geometry.quaternions import Float

Frame = Literal["auto", "object", "camera-opengl", "camera-opencv"]
Up = Literal["y", "z"]

LEAST_DEPTH_RATIO = 0.05
"""Nearest to farthest point of a posed mesh: a camera does not stand inside of what it sees."""

WIDEST = 1.2
"""Tangent of half a field of view (50°): without intrinsics, a posed mesh has its middle within it."""

BESIDE = 0.25
"""Of the picture's size: how far the middle of a posed mesh may lie outside; its claim may be of another lens."""

OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
Y_UP_FROM_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def lies_in_view(vertices: Float, intrinsics: Intrinsics | None) -> bool:
    """Whether `vertices` `(V, 3)` plausibly are points of an OpenGL camera's frame that this camera sees.

    All of them lie in front of the camera, none much nearer than the others, and their middle lies in the picture or
    not far beside it.
    """
    depth = -vertices[:, 2]
    if depth.min() <= 0 or depth.min() < LEAST_DEPTH_RATIO * depth.max():
        return False
    if intrinsics is None:
        middle = np.median(vertices[:, :2] / depth[:, None], axis=0)
        return bool(np.abs(middle).max() <= WIDEST)
    pixel = np.median(intrinsics.project(vertices)[0], axis=0)
    size = np.array([intrinsics.width, intrinsics.height])
    return bool(np.all(pixel >= -BESIDE * size) and np.all(pixel <= (1 + BESIDE) * size))


def decided(frame: Frame, up: Up, vertices: Float, intrinsics: Intrinsics | None) -> tuple[Frame, str]:
    """`frame` with "auto" decided, and a note that says what was decided and why; empty where the caller said it."""
    if frame != "auto":
        return frame, ""
    if up == "z":  # a camera's frame has no z that points up
        return "object", ""
    if lies_in_view(vertices, intrinsics):
        return "camera-opengl", (
            "its vertices lie in front of the photo's camera as they are, so the file's coordinates are taken for the "
            "camera's frame (+X right, +Y up, looking along −Z)"
        )
    return "object", "its vertices do not lie in front of the photo's camera, so the file says nothing about its place"


def footprint_middle(vertices: Float) -> Float:
    """`(3,)`: the middle of the bounds of `vertices` `(V, 3)` along x and z, and their least y."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])


def upright_from_file(frame: Frame, up: Up) -> Float:
    """`(4, 4)` rotation that brings a file's frame to +Y up."""
    if frame == "camera-opencv":
        return OPENGL_FROM_OPENCV
    return Y_UP_FROM_Z_UP if up == "z" else np.eye(4)


def object_frame(mesh: Mesh, frame: Frame, up: Up) -> tuple[Float, Float | None]:
    """The object frame of a mesh given in its file's frame: +Y up, origin in the middle of the footprint.

    Returns:
        `object_from_file` `(4, 4)`, rigid; and `camera_from_object` `(4, 4)`, or None for a mesh without a claim.
    """
    turn = upright_from_file(frame, up)
    origin = footprint_middle(transforms.apply(turn, mesh.vertices))
    upright_from_object = np.eye(4)
    upright_from_object[:3, 3] = origin
    object_from_file = transforms.invert_rigid(upright_from_object) @ turn
    return object_from_file, None if frame == "object" else upright_from_object
