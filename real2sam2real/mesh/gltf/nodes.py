"""The node hierarchy of a glTF file: its world transforms at every frame, and their parts as a motion has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, takewhile

import numpy as np

from real2sam2real.arrays import Bool, Float
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.mesh.gltf.animation import Animations
from real2sam2real.mesh.gltf.container import Document
from real2sam2real.mesh.gltf.json_object import JsonObject

HIDING_SCALE = 2.0**-30
"""A hidden frame is written as the entity's scale times this: nothing to see in any tool, and exact to undo in float32.

glTF's core has no animated visibility, and a scale of zero would lose the scale and leave no rotation to read.
"""

_HIDDEN_BELOW = 1e-7
_LEAST_RATIO = 1e-7
_THIN = 1e-3  # of its size: what a node gets along an axis that its scale flattens
_SHEAR = 2e-5


@dataclass(frozen=True, eq=False)
class NodePose:
    """A node's own transform at T frames: translation `(T, 3)`, rotation wxyz `(T, 4)`, scale `(T, 3)`."""

    translation: Float
    rotation_wxyz: Float
    scale: Float

    def matrices(self) -> Float:
        """`(T, 4, 4)`."""
        return transforms.compose(self.translation, self.rotation_wxyz, self.scale)


@dataclass(frozen=True, kw_only=True, eq=False)
class NodePlacement(NodePose):
    """How a node stands in the world at T frames: its pose, with no component of the scale zero."""

    visible: Bool  # `(T,)`
    # `(T, 3, 3)` what the node's world does to a vertex before scale, rotation and translation, where a scaled parent
    # shears it; None where nothing is left over
    residual: Float | None = None


class NodeTree:
    """World transforms of the nodes of the shown scene at T frames.

    The frames are at `seconds` `(T,)` on the file's clock; one within `snap` seconds of a keyframe means that.

    Raises:
        UserError: nodes form a cycle, one has two parents, or a transform is no transform.
    """

    def __init__(self, document: Document, animations: Animations, seconds: Float, snap: float) -> None:
        self.document, self.animations, self.seconds, self.snap = document, animations, seconds, snap
        self.elements = document.elements("nodes")
        self._moved = {node for node, path in animations.nodes if path != "weights"}
        self.children = [e.indices("children", "nodes") for e in self.elements]
        self.parents = self._find_parents()
        self.order = self._shown()
        self._poses: dict[int, NodePose | None] = {}
        self._worlds: dict[int, Float] = {}
        self._visible: dict[int, Bool] = {}

    def _find_parents(self) -> list[int | None]:
        parents: list[int | None] = [None] * len(self.elements)
        for parent, children in enumerate(self.children):
            for child in children:
                if parents[child] is not None:
                    self.elements[child].fail(f"has two parents, nodes[{parents[child]}] and nodes[{parent}]")
                parents[child] = parent
        return parents

    def _shown(self) -> list[int]:
        """Indices of the shown scene's nodes, parents before children."""
        document = self.document
        roots = [i for i, parent in enumerate(self.parents) if parent is None]
        everything = self._below(roots)
        if lost := set(range(len(self.elements))) - set(everything):
            *_, node = islice(self._upwards(min(lost)), len(lost))  # its way up ends in the cycle
            self.elements[node].fail("is its own ancestor: the nodes form a cycle")
        shown = document.root.index("scene", "scenes")
        if not document.count("scenes"):
            return everything
        return self._below(document.element("scenes", shown or 0).indices("nodes", "nodes"))

    def _below(self, roots: list[int]) -> list[int]:
        """`roots` and all their descendants, parents before children."""
        order: dict[int, None] = {}
        waiting = roots[::-1]
        while waiting:
            node = waiting.pop()
            if node not in order:
                order[node] = None
                waiting.extend(reversed(self.children[node]))
        return list(order)

    def _upwards(self, node: int) -> Iterator[int]:
        walk: int | None = node
        while walk is not None:
            yield walk
            walk = self.parents[walk]

    def name(self, node: int) -> str:
        """The node's name as given, or an empty text."""
        name = self.elements[node].value.get("name", "")
        return name if isinstance(name, str) else ""

    def still(self, node: int) -> bool:
        """True when the node and its ancestors have no transform at all, so that a child's own pose is its world's."""
        return all(above not in self._moved and _is_identity(self.elements[above]) for above in self._upwards(node))

    def pose(self, node: int) -> NodePose | None:
        """The node's own transform in parts; None where it is given as a matrix."""
        if node not in self._poses:
            self._poses[node] = self._read_pose(node)
        return self._poses[node]

    def _read_pose(self, node: int) -> NodePose | None:
        element = self.elements[node]
        if element.has("matrix"):
            return None
        frames = len(self.seconds)
        rest = np.array(element.numbers("rotation", 4, (0.0, 0.0, 0.0, 1.0)))[[3, 0, 1, 2]]
        if not 1e-12 < np.linalg.norm(rest) < np.inf:
            element.fail("its rotation is a quaternion of zero or infinite length")
        parts = {
            "translation": np.array(element.numbers("translation", 3, (0.0, 0.0, 0.0))),
            "rotation": quaternions.normalize(rest),
            "scale": np.array(element.numbers("scale", 3, (1.0, 1.0, 1.0))),
        }
        values = {}
        for path, still in parts.items():
            track = self.animations.nodes.get((node, path))
            if track is None:
                values[path] = np.broadcast_to(still, (frames, len(still)))
            elif path == "rotation":
                values[path] = track.rotations_at(self.seconds, snap=self.snap)
            else:
                values[path] = track.at(self.seconds, snap=self.snap)
        return NodePose(values["translation"], values["rotation"], values["scale"])

    def world(self, node: int) -> Float:
        """`world_from_node` `(T, 4, 4)`."""
        for current in reversed(list(takewhile(lambda each: each not in self._worlds, self._upwards(node)))):
            pose = self.pose(current)
            local = self._matrix(current) if pose is None else pose.matrices()
            parent = self.parents[current]
            self._worlds[current] = local if parent is None else self._worlds[parent] @ local
        found = self._worlds[node]
        if not np.isfinite(found).all():
            self.elements[node].fail("its transforms overflow: numbers this large have no place in a scene")
        return found

    def _matrix(self, node: int) -> Float:
        element = self.elements[node]
        matrix = np.array(element.numbers("matrix", 16)).reshape(4, 4).T
        if not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-6):
            element.fail("the last row of its matrix is not 0 0 0 1")
        return np.broadcast_to(matrix, (len(self.seconds), 4, 4))

    def visible(self, node: int) -> Bool:
        """`(T,)`: False where KHR_node_visibility hides the node or one of its ancestors."""
        return np.logical_and.reduce([self._own_visibility(above) for above in self._upwards(node)])

    def _own_visibility(self, node: int) -> Bool:
        if node not in self._visible:
            pointer = f"/nodes/{node}/extensions/KHR_node_visibility/visible"
            track = self.animations.pointers.get(pointer)
            extension = self.elements[node].extension("KHR_node_visibility")
            if track is not None:
                self._visible[node] = track.at(self.seconds, snap=self.snap)[:, 0] > 0.5
            else:
                static = extension is None or extension.flag("visible", True)
                self._visible[node] = np.full(len(self.seconds), static)
        return self._visible[node]


def _is_identity(element: JsonObject) -> bool:
    if element.has("matrix"):
        return bool(np.array_equal(element.numbers("matrix", 16), np.eye(4).ravel()))
    return (
        element.numbers("translation", 3, (0, 0, 0)) == [0, 0, 0]
        and element.numbers("rotation", 4, (0, 0, 0, 1)) == [0, 0, 0, 1]
        and element.numbers("scale", 3, (1, 1, 1)) == [1, 1, 1]
    )


def place(tree: NodeTree, node: int) -> NodePlacement:
    """The placement of `node`; its own numbers, untouched, where no parent moves it.

    A scale of exactly zero hides; what is flat along one axis gets a little thickness, with a note.
    """
    pose = tree.pose(node)
    parent = tree.parents[node]
    shown = tree.visible(node)
    if pose is not None and (parent is None or tree.still(parent)):
        scale, visible = _unhidden(tree, node, pose.scale[:, None, :])
        return NodePlacement(pose.translation, pose.rotation_wxyz, scale[:, 0], visible=visible & shown)
    world = tree.world(node)
    linear, visible = _unhidden(tree, node, world[:, :3, :3])
    return _fitted(world[:, :3, 3], linear, visible & shown)


def _unhidden(tree: NodeTree, node: int, columns: Float) -> tuple[Float, Bool]:
    """Undo hiding scales in `(T, R, 3)`, whose last axis runs over the object's axes; and which frames are visible."""
    lengths = np.linalg.norm(columns, axis=1)
    visible = lengths.max(axis=1) >= _HIDDEN_BELOW
    columns = np.where(visible[:, None, None], columns, columns / HIDING_SCALE)
    lengths = np.linalg.norm(columns, axis=1)
    known = lengths.max(axis=1) >= _HIDDEN_BELOW
    label = tree.elements[node].label
    if not known.any():
        tree.document.note(f"{label}: its scale is zero, so it is hidden in every frame")
        return np.broadcast_to(np.eye(3) if columns.shape[1] == 3 else np.ones((1, 3)), columns.shape), visible
    if not known.all():  # an exact zero: the nearest frame that has a scale says how large it would be
        frames, with_scale = np.arange(len(columns)), np.flatnonzero(known)
        columns = columns[with_scale[np.abs(frames[:, None] - with_scale).argmin(axis=1)]]
        lengths = np.linalg.norm(columns, axis=1)
    unit = columns / lengths.max(axis=1)[:, None, None]
    flat = lengths.min(axis=1) < _LEAST_RATIO * lengths.max(axis=1)
    if columns.shape[1] == 3:
        flat |= np.abs(np.linalg.det(unit)) < _LEAST_RATIO**2
    if flat.any():
        tree.document.note(
            f"{label}: its transform flattens it at frame {int(np.argmax(flat))}; it was left a little thick"
        )
        columns = columns.copy()
        columns[flat] = _thick(columns[flat])
    return columns, visible


def _thick(columns: Float) -> Float:
    """`(N, R, 3)` with `_THIN` of its size where it has none."""
    if columns.shape[1] == 1:
        least = _THIN * np.abs(columns).max(axis=2, keepdims=True)
        return np.where(np.abs(columns) < least, least, columns)
    left, size, right = np.linalg.svd(columns)
    mirrored = np.linalg.det(left) * np.linalg.det(right) < 0
    left[mirrored, :, 2] *= -1  # the axis without extent has no side of its own
    thick: Float = left * np.maximum(size, _THIN * size[:, :1])[:, None, :] @ right
    return thick


def _fitted(translation: Float, linear: Float, visible: Bool) -> NodePlacement:
    size = np.linalg.norm(linear, axis=1).max(axis=1)
    matrix = np.zeros((len(linear), 4, 4))
    matrix[:, :3, :3], matrix[:, :3, 3], matrix[:, 3, 3] = linear, translation, 1.0
    _, rotation, scale = transforms.decompose(matrix)
    made = transforms.compose(translation, rotation, scale)[:, :3, :3]
    if np.all(np.abs(made - linear).max(axis=(1, 2)) <= _SHEAR * size):
        return NodePlacement(translation, rotation, scale, visible=visible)
    mirror = np.where((np.linalg.det(linear) < 0)[:, None], [-1.0, 1.0, 1.0], 1.0)
    left, _, right = np.linalg.svd(linear * mirror[:, None, :])
    matrix[:, :3, :3] = left @ right  # the rotation nearest to the matrix (polar decomposition)
    rotation = transforms.decompose(matrix)[1]
    scale = np.linalg.norm(linear, axis=1) * mirror
    unscaled = np.linalg.inv(transforms.compose(np.zeros(3), rotation, scale)[:, :3, :3])
    return NodePlacement(translation, rotation, scale, visible=visible, residual=unscaled @ linear)


def place_anywhere(tree: NodeTree, node: int) -> NodePlacement:
    """Like `place` for a skinned node, whose own transform is only our choice of an object frame: never an error."""
    world = tree.world(node)
    lengths = np.linalg.norm(world[:, :3, :3], axis=1)
    usable = np.all(lengths > 1e-6) and np.all(np.abs(np.linalg.det(world[:, :3, :3])) > 1e-12)
    visible = tree.visible(node)
    if not usable:
        zero, still = np.zeros((len(world), 3)), np.tile([1.0, 0.0, 0.0, 0.0], (len(world), 1))
        return NodePlacement(zero, still, zero + 1.0, visible=visible)
    return replace(_fitted(world[:, :3, 3], world[:, :3, :3], visible), residual=None)
