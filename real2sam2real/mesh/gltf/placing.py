"""From world matrices to a Motion's parts: translation, rotation, scale, visibility, and what is left over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Bool, Float
from real2sam2real.geometry import transforms
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.gltf.nodes import NodeTree

HIDING_SCALE = 2.0**-30
"""A hidden frame is written as the entity's scale times this: nothing to see in any tool, and exact to undo in float32.

glTF's core has no animated visibility, and a scale of zero would lose the scale and leave no rotation to read.
"""

_HIDDEN_BELOW = 1e-7
_LEAST_RATIO = 1e-7
_SHEAR = 2e-5


@dataclass(frozen=True, eq=False)
class NodePlacement:
    """How a node stands in the world at T frames.

    Attributes:
        translation: `(T, 3)`.
        rotation_wxyz: `(T, 4)`.
        scale: `(T, 3)`, no component zero.
        visible: `(T,)`.
        residual: `(T, 3, 3)` what the node's world does to a vertex before scale, rotation and translation, where a
            scaled parent shears it; None where nothing is left over.
    """

    translation: Float
    rotation_wxyz: Float
    scale: Float
    visible: Bool
    residual: Float | None = None

    def matrices(self) -> Float:
        """`(T, 4, 4)` of translation, rotation and scale."""
        return transforms.compose(self.translation, self.rotation_wxyz, self.scale)


def place(tree: NodeTree, node: int) -> NodePlacement:
    """The placement of `node`; its own numbers, untouched, where no parent moves it.

    Raises:
        UserError: the node's world flattens its mesh.
    """
    element = tree.elements[node]
    pose = tree.pose(node)
    parent = tree.parents[node]
    shown = tree.visible(node)
    if pose is not None and (parent is None or tree.still(parent)):
        scale, visible = _unhidden(element, pose.scale[:, None, :])
        return NodePlacement(pose.translation, pose.rotation_wxyz, scale[:, 0], visible & shown)
    world = tree.world(node)
    linear, visible = _unhidden(element, world[:, :3, :3])
    return _fitted(element, world[:, :3, 3], linear, visible & shown)


def _unhidden(element: JsonObject, columns: Float) -> tuple[Float, Bool]:
    """Undo hiding scales in `(T, R, 3)`, whose last axis runs over the object's axes; and which frames are visible."""
    lengths = np.linalg.norm(columns, axis=1)
    visible = lengths.max(axis=1) >= _HIDDEN_BELOW
    columns = np.where(visible[:, None, None], columns, columns / HIDING_SCALE)
    lengths = np.linalg.norm(columns, axis=1)
    known = lengths.max(axis=1) >= _HIDDEN_BELOW
    if not known.any():
        element.fail("its scale is zero, which leaves nothing of its mesh", "give it a scale, or delete the node")
    if not known.all():  # an exact zero: the nearest frame that has a scale says how large it would be
        frames, with_scale = np.arange(len(columns)), np.flatnonzero(known)
        columns = columns[with_scale[np.abs(frames[:, None] - with_scale).argmin(axis=1)]]
        lengths = np.linalg.norm(columns, axis=1)
    flat = lengths.min(axis=1) < _LEAST_RATIO * lengths.max(axis=1)
    if flat.any():
        element.fail(f"its transform flattens its mesh at frame {int(np.argmax(flat))}", "give every axis a scale")
    return columns, visible


def _fitted(element: JsonObject, translation: Float, linear: Float, visible: Bool) -> NodePlacement:
    size = np.linalg.norm(linear, axis=1).max(axis=1)
    volume = np.abs(np.linalg.det(linear / size[:, None, None]))
    if np.any(volume < _LEAST_RATIO**2):
        element.fail(f"its transform flattens its mesh at frame {int(np.argmin(volume))}", "give every axis a scale")
    matrix = np.zeros((len(linear), 4, 4))
    matrix[:, :3, :3], matrix[:, :3, 3], matrix[:, 3, 3] = linear, translation, 1.0
    _, rotation, scale = transforms.decompose(matrix)
    made = transforms.compose(translation, rotation, scale)[:, :3, :3]
    if np.all(np.abs(made - linear).max(axis=(1, 2)) <= _SHEAR * size):
        return NodePlacement(translation, rotation, scale, visible)
    mirror = np.where((np.linalg.det(linear) < 0)[:, None], [-1.0, 1.0, 1.0], 1.0)
    left, _, right = np.linalg.svd(linear * mirror[:, None, :])
    matrix[:, :3, :3] = left @ right  # the rotation nearest to the matrix (polar decomposition)
    rotation = transforms.decompose(matrix)[1]
    scale = np.linalg.norm(linear, axis=1) * mirror
    unscaled = np.linalg.inv(transforms.compose(np.zeros(3), rotation, scale)[:, :3, :3])
    return NodePlacement(translation, rotation, scale, visible, residual=unscaled @ linear)


def place_anywhere(tree: NodeTree, node: int) -> NodePlacement:
    """Like `place` for a skinned node, whose own transform is only our choice of an object frame: never an error."""
    world = tree.world(node)
    lengths = np.linalg.norm(world[:, :3, :3], axis=1)
    usable = np.all(lengths > 1e-6) and np.all(np.abs(np.linalg.det(world[:, :3, :3])) > 1e-12)
    visible = tree.visible(node)
    if not usable:
        frames = len(world)
        one, still = np.ones((frames, 3)), np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
        return NodePlacement(np.zeros((frames, 3)), still, one, visible)
    fitted = _fitted(tree.elements[node], world[:, :3, 3], world[:, :3, :3], visible)
    return NodePlacement(fitted.translation, fitted.rotation_wxyz, fitted.scale, visible)
