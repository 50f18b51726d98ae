"""The skin of a mesh: bones, and how much each vertex goes along with each of them (linear blend skinning)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Float32, Int
from real2sam2real.geometry import transforms


@dataclass(frozen=True, kw_only=True, eq=False)
class Skin:
    """Bones and weights of a mesh with V vertices, in the frame of its vertices as they are (its bind pose).

    Attributes:
        bones: P unique names, parents before children, as "left_elbow": each turns what hangs on it.
        parents: number of each bone's parent, −1 for the first.
        heads: `(P, 3)` float64 the joints that the bones turn about.
        weights: `(V, P)` float32, rows sum to 1.
        axes: `(P, 3, 3)` float64, rows are the unit axes about which a joint bends forward, bends sideways (away from
            the middle; of the trunk, to its left) and twists, each right-handed.

    Raises:
        ValueError: shapes disagree, or a bone comes before its parent.
    """

    bones: tuple[str, ...]
    parents: tuple[int, ...]
    heads: Float
    weights: Float32
    axes: Float

    def __post_init__(self) -> None:
        count = len(self.bones)
        if len(self.parents) != count or self.heads.shape != (count, 3) or self.weights.shape[1:] != (count,):
            raise ValueError(
                f"a skin of {count} bones has {len(self.parents)} parents, joints {self.heads.shape} and weights "
                f"{self.weights.shape}"
            )
        if any(parent >= bone for bone, parent in enumerate(self.parents)) or -1 in self.parents[1:]:
            raise ValueError("a skin's bones are one tree, parents before children")

    def transformed(self, matrix: ArrayLike) -> Skin:
        """For the mesh under a similarity `(4, 4)`."""
        matrix = np.asarray(matrix, np.float64)
        axes = self.axes @ matrix[:3, :3].T
        axes = axes / np.linalg.norm(axes, axis=-1, keepdims=True)
        return replace(self, heads=transforms.apply(matrix, self.heads), axes=axes)

    def of(self, source_vertices: Int) -> Skin:
        """For another mesh, whose vertices go along with the ones numbered `(V,)` of this one's."""
        return replace(self, weights=self.weights[source_vertices])

    def bone_matrices(self, turns: Mapping[str, Float]) -> Float:
        """`(P, 4, 4)`: what each bone does to points of the bind pose, for rotations `(3, 3)` of some bones by name.

        A rotation turns about its joint, along the mesh's axes, and takes along all that hangs on the bone.
        """
        matrices = np.tile(np.eye(4), (len(self.bones), 1, 1))
        for bone, (name, parent) in enumerate(zip(self.bones, self.parents, strict=True)):
            own = np.eye(4)
            if name in turns:
                own[:3, :3] = turns[name]
                own[:3, 3] = self.heads[bone] - own[:3, :3] @ self.heads[bone]
            matrices[bone] = own if parent < 0 else matrices[parent] @ own
        return matrices

    def deformed(self, vertices: Float, bone_matrices: Float) -> Float:
        """`(V, 3)`: vertices `(V, 3)` of the bind pose under the bones' matrices `(P, 4, 4)`."""
        blended = (self.weights @ bone_matrices[:, :3].reshape(len(self.bones), 12)).reshape(-1, 3, 4)
        return np.asarray((blended[:, :, :3] @ vertices[..., None])[..., 0] + blended[:, :, 3], np.float64)
