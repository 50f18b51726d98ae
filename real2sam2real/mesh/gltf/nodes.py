"""The node hierarchy of a glTF file and its world transforms at every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Bool, Float
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.mesh.gltf.animation import Animations
from real2sam2real.mesh.gltf.container import Document
from real2sam2real.mesh.gltf.json_object import JsonObject


@dataclass(frozen=True, eq=False)
class NodePose:
    """A node's own transform at T frames: translation `(T, 3)`, rotation wxyz `(T, 4)`, scale `(T, 3)`."""

    translation: Float
    rotation_wxyz: Float
    scale: Float

    def matrices(self) -> Float:
        """`(T, 4, 4)`."""
        return transforms.compose(self.translation, self.rotation_wxyz, self.scale)


class NodeTree:
    """World transforms of the nodes of the shown scene at the times `seconds` `(T,)`.

    Raises:
        UserError: nodes form a cycle, one has two parents, or a transform is no transform.
    """

    def __init__(self, document: Document, animations: Animations, seconds: Float, snap: float) -> None:
        self.document = document
        self.elements = document.elements("nodes")
        self._animations = animations
        self._seconds = seconds
        self._snap = snap
        self.children = [e.indices("children", "nodes") for e in self.elements]
        self.parents = self._find_parents()
        self.order = self._shown()
        self._poses: dict[int, NodePose | None] = {}
        self._worlds: dict[int, Float | None] = {}
        self._visible: dict[int, Bool] = {}

    def _find_parents(self) -> list[int | None]:
        parents: list[int | None] = [None] * len(self.elements)
        for parent, children in enumerate(self.children):
            for child in children:
                if parents[child] is not None:
                    self.elements[child].fail(f"has two parents, nodes[{parents[child]}] and nodes[{parent}]")
                parents[child] = parent
        state = [0] * len(self.elements)  # 0 unseen, 1 on the current way up, 2 known to end at a root
        for start in range(len(self.elements)):
            way = []
            node: int | None = start
            while node is not None and state[node] == 0:
                state[node] = 1
                way.append(node)
                node = parents[node]
            if node is not None and state[node] == 1:
                self.elements[node].fail("is its own ancestor: the nodes form a cycle")
            for seen in way:
                state[seen] = 2
        return parents

    def _shown(self) -> list[int]:
        """Indices of the shown scene's nodes, parents before children."""
        document = self.document
        scenes = document.count("scenes")
        shown = document.root.index("scene", "scenes")
        if scenes:
            roots = document.element("scenes", shown or 0).indices("nodes", "nodes")
        else:
            roots = [i for i, parent in enumerate(self.parents) if parent is None]
        order: list[int] = []
        seen: set[int] = set()
        waiting = list(reversed(roots))
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                order.append(node)
                waiting.extend(reversed(self.children[node]))
        return order

    def name(self, node: int) -> str:
        """The node's name as given, or an empty text."""
        name = self.elements[node].value.get("name", "")
        return name if isinstance(name, str) else ""

    def still(self, node: int) -> bool:
        """True when the node and its ancestors have no transform at all, so that a child's own pose is its world's."""
        walk: int | None = node
        while walk is not None:
            element = self.elements[walk]
            moved = any((walk, path) in self._animations.nodes for path in ("translation", "rotation", "scale"))
            if moved or not _is_identity(element):
                return False
            walk = self.parents[walk]
        return True

    def pose(self, node: int) -> NodePose | None:
        """The node's own transform in parts; None where it is given as a matrix."""
        if node not in self._poses:
            self._poses[node] = self._read_pose(node)
        return self._poses[node]

    def _read_pose(self, node: int) -> NodePose | None:
        element = self.elements[node]
        if element.has("matrix"):
            return None
        frames = len(self._seconds)
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
            track = self._animations.nodes.get((node, path))
            if track is None:
                values[path] = np.broadcast_to(still, (frames, len(still)))
            elif path == "rotation":
                values[path] = track.rotations_at(self._seconds, snap=self._snap)
            else:
                values[path] = track.at(self._seconds, snap=self._snap)
        return NodePose(values["translation"], values["rotation"], values["scale"])

    def world(self, node: int) -> Float:
        """`world_from_node` `(T, 4, 4)`."""
        way = []
        walk: int | None = node
        while walk is not None and walk not in self._worlds:
            way.append(walk)
            walk = self.parents[walk]
        for current in reversed(way):
            pose = self.pose(current)
            local = self._matrix(current) if pose is None else pose.matrices()
            parent = self.parents[current]
            above = None if parent is None else self._worlds[parent]
            self._worlds[current] = local if above is None else above @ local
        found = self._worlds[node]
        assert found is not None
        if not np.isfinite(found).all():
            self.elements[node].fail("its transforms overflow: numbers this large have no place in a scene")
        return found

    def _matrix(self, node: int) -> Float:
        element = self.elements[node]
        matrix = np.array(element.numbers("matrix", 16)).reshape(4, 4).T
        if not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-6):
            element.fail("the last row of its matrix is not 0 0 0 1")
        return np.broadcast_to(matrix, (len(self._seconds), 4, 4))

    def visible(self, node: int) -> Bool:
        """`(T,)`: False where KHR_node_visibility hides the node or one of its ancestors."""
        shown = np.ones(len(self._seconds), bool)
        walk: int | None = node
        while walk is not None:
            shown &= self._own_visibility(walk)
            walk = self.parents[walk]
        return shown

    def _own_visibility(self, node: int) -> Bool:
        if node not in self._visible:
            pointer = f"/nodes/{node}/extensions/KHR_node_visibility/visible"
            track = self._animations.pointers.get(pointer)
            extension = self.elements[node].extension("KHR_node_visibility")
            if track is not None:
                self._visible[node] = track.at(self._seconds, snap=self._snap)[:, 0] > 0.5
            else:
                static = extension is None or extension.flag("visible", True)
                self._visible[node] = np.full(len(self._seconds), static)
        return self._visible[node]


def _is_identity(element: JsonObject) -> bool:
    if element.has("matrix"):
        return bool(np.array_equal(element.numbers("matrix", 16), np.eye(4).ravel()))
    return (
        element.numbers("translation", 3, (0, 0, 0)) == [0, 0, 0]
        and element.numbers("rotation", 4, (0, 0, 0, 1)) == [0, 0, 0, 1]
        and element.numbers("scale", 3, (1, 1, 1)) == [1, 1, 1]
    )
