"""Meshes at every frame: where nodes put them, morph targets, skins, and shear that a motion cannot express."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from real2sam2real.arrays import Float, Float32, Int
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.corner_normals import deformed as deformed_mesh
from real2sam2real.mesh.gltf.accessors import read_floats
from real2sam2real.mesh.gltf.animation import KeyframeTrack
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.gltf.nodes import NodePlacement, NodeTree, place, place_anywhere
from real2sam2real.mesh.gltf.welded_mesh import WeldedMesh

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST_NUMBERS = 2**27  # most coordinates (frames x vertices x 3) of all deforming meshes of a file


@dataclass(frozen=True, kw_only=True, eq=False)
class PosedMesh:
    """A node's mesh at T frames."""

    label: str  # what messages call it
    node: int  # number of the node
    name: str  # of the node, else of its mesh, else its number
    mesh: Mesh  # as the first frame shows it where the vertices move for good, in the node's frame
    placement: NodePlacement  # translation, rotation, scale, visibility in the world
    deformed: Float32 | None  # `(T, V, 3)` float32 vertices in the node's frame, or None for a rigid one

    def world_from_object(self) -> Float:
        """`(T, 4, 4)`."""
        place = self.placement
        return transforms.compose(place.translation, quaternions.normalize(place.rotation_wxyz), place.scale)

    def at_rest(self) -> Mesh:
        """The mesh in the world at the first frame."""
        deformed = self.deformed
        own = self.mesh if deformed is None else deformed_mesh(self.mesh, deformed[0].astype(np.float64))
        return own.transformed(self.world_from_object()[0])


class Poser:
    """Poses welded meshes at the frames of a tree."""

    def __init__(self, tree: NodeTree) -> None:
        self._document, self._tree = tree.document, tree
        self._numbers = 0

    def pose(self, node: int, element: JsonObject, mesh: WeldedMesh, weights_track: KeyframeTrack | None) -> PosedMesh:
        """Where `node` puts `mesh`, which is `element` of the file, frame by frame.

        Raises:
            UserError: weights or joints do not fit, the deformed vertices would not fit into memory, or what comes out
                is not finite.
        """
        placement, deformed, rest = self._deformed(node, element, mesh, weights_track)
        label = self._tree.elements[node].label
        name = self._tree.name(node) or str(element.value.get("name") or "") or f"object {node + 1}"
        size = float(np.ptp(deformed[0], axis=0).max()) if deformed.size else 0.0
        rigid = len(deformed) == 1 or np.abs(deformed - deformed[:1]).max() <= 1e-6 * max(size, 1e-30)
        moving = None if rigid else deformed.astype(np.float32)
        try:
            shown = deformed_mesh(mesh.mesh, deformed[0] if rigid else rest)
            if not all(
                np.isfinite(part).all()
                for part in (placement.translation, placement.scale, deformed[:1] if moving is None else moving)
            ):
                raise ValueError("a translation, scale or deformed vertex is not finite (NaN or infinity)")
        except ValueError as error:
            self._tree.elements[node].fail(str(error))
        return PosedMesh(label=label, node=node, name=name, mesh=shown, placement=placement, deformed=moving)

    def _deformed(
        self, node: int, mesh: JsonObject, shape: WeldedMesh, weights_track: KeyframeTrack | None
    ) -> tuple[NodePlacement, Float, Float]:
        """The placement, vertices `(T or 1, V, 3)` in its frame, and those `(V, 3)` that the mesh keeps."""
        element = self._tree.elements[node]
        weights = self._morph_weights(element, mesh, len(shape.targets), weights_track)
        skin = element.index("skin", "skins")
        if shape.skin is None:
            skin = None  # nothing of the mesh follows it
        frames, vertices = len(self._tree.seconds), len(shape.mesh.vertices)
        deforms = skin is not None or not _constant(weights)
        placement = place(self._tree, node) if skin is None else place_anywhere(self._tree, node)
        residual = placement.residual
        deforms = deforms or (residual is not None and not _constant(residual))
        self._numbers += frames * vertices * 3 if deforms else 0
        if self._numbers > MOST_NUMBERS:
            reason = f"deforms {vertices:,} vertices over {frames:,} frames, more than fits into memory"
            element.fail(reason, "read fewer frames or decimate the mesh")
        morphed = _morphed(shape, weights if deforms else weights[:1])
        if skin is not None:
            deformed = self._skinned(element, skin, shape, morphed, placement)
            return placement, deformed, deformed[0]
        rest = shape.mesh.vertices if len(morphed) > 1 else morphed[0]
        if residual is not None:
            bend = residual if deforms else residual[:1]
            morphed = morphed @ np.swapaxes(bend, 1, 2)
            rest = rest @ residual[0].T
        return placement, morphed, rest

    def _morph_weights(self, node: JsonObject, mesh: JsonObject, targets: int, track: KeyframeTrack | None) -> Float:
        """`(T, K)`."""
        frames = len(self._tree.seconds)
        source = node if node.has("weights") else mesh
        still = source.numbers("weights", None, ()) if targets else []
        if track is not None and targets:
            if track.width != targets:
                node.fail(f"its animation gives {track.width} weights for {targets} morph targets")
            return track.at(self._tree.seconds, snap=self._tree.snap)
        if still and len(still) != targets:
            source.fail(f"gives {len(still)} weights for {targets} morph targets")
        return np.broadcast_to(np.array(still) if still else np.zeros(targets), (frames, targets))

    def _skinned(
        self, node: JsonObject, skin: int, shape: WeldedMesh, morphed: Float, placement: NodePlacement
    ) -> Float:
        """`(T, V, 3)` in the placement's frame."""
        element = self._document.element("skins", skin)
        joints = element.indices("joints", "nodes")
        if shape.skin is None or not joints:
            element.fail("has no joints")
        used, weights = shape.skin
        if used.max() >= len(joints):
            node.fail(f"its mesh uses joint {int(used.max())} of the {len(joints)} in its skin")
        blend = self._blend(node, used, weights, len(joints))
        inverse = self._inverse_binds(element, len(joints))
        worlds = np.stack([self._tree.world(joint) for joint in joints], axis=1)
        object_from_world = np.linalg.inv(placement.matrices())
        moves = (object_from_world[:, None] @ worlds @ inverse)[:, :, :3]
        if not np.isfinite(moves).all():
            element.fail("its joints' transforms are not finite")
        deformed = np.empty((len(moves), len(shape.mesh.vertices), 3))
        for t, move in enumerate(moves):
            per_vertex = (blend @ move.reshape(len(joints), 12)).reshape(-1, 3, 4)
            points = morphed[min(t, len(morphed) - 1)]
            deformed[t] = np.einsum("vij,vj->vi", per_vertex[:, :, :3], points) + per_vertex[:, :, 3]
        return deformed

    def _blend(self, node: JsonObject, used: Int, weights: Float, joints: int) -> csr_array:
        """`(V, joints)` weights that sum to one."""
        weights = np.maximum(weights, 0.0)
        total = weights.sum(axis=1)
        if np.any(total < 1e-9):
            count = int(np.sum(total < 1e-9))
            self._document.note(f"{node.label}: {count} vertices have no skin weights; they follow their first joint")
            weights[total < 1e-9, 0] = 1.0
            total = weights.sum(axis=1)
        from scipy.sparse import csr_array

        vertices, width = weights.shape
        rows = np.repeat(np.arange(vertices), width)
        values = (weights / total[:, None]).ravel()
        return csr_array((values, (rows, used.ravel())), shape=(vertices, joints))

    def _inverse_binds(self, skin: JsonObject, joints: int) -> Float:
        """`(joints, 4, 4)`."""
        index = skin.index("inverseBindMatrices", "accessors")
        if index is None:
            return np.broadcast_to(np.eye(4), (joints, 4, 4))
        columns = read_floats(self._document, index, "MAT4")
        if len(columns) < joints:
            skin.fail(f"has {len(columns)} inverse bind matrices for {joints} joints")
        return np.swapaxes(columns[:joints].reshape(-1, 4, 4), 1, 2)


def _morphed(shape: WeldedMesh, weights: Float) -> Float:
    """`(T or 1, V, 3)`; a plain sum, exact where one weight is 1 and the others 0."""
    base = shape.mesh.vertices
    targets, vertices = len(shape.targets), len(base)
    if not targets:
        return base[None]
    moved = weights @ shape.targets.reshape(targets, vertices * 3)
    return base + moved.reshape(-1, vertices, 3)


def _constant(values: Float) -> bool:
    return bool(np.all(np.abs(values - values[:1]) <= 1e-6))
