"""Anny (Brégier et al., 2025), a body whose shape follows from age, weight and the like, as this room uses it.

It is brought to +Y up, facing +Z, its own left at +X, in metres. Bones that are never turned here are merged into their
parents, so what is left is the skeleton that can be posed. P bones, V vertices, B blend shapes, K landmarks.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from real2sam2real.arrays import Bool, Float, Int, Int32
from real2sam2real.errors import MissingPartError
from real2sam2real.mesh.mesh import is_closed
from real2sam2real.mesh.soup import patches

if TYPE_CHECKING:
    import torch

EXTRA = "real2sam2real[people]"
BONES = {
    # Anny's name for each bone that is turned here, and ours
    "root": "hips", "spine05": "spine", "spine03": "chest", "spine01": "upper_chest", "neck01": "neck", "head": "head",
    "clavicle.L": "left_clavicle", "upperarm01.L": "left_shoulder", "lowerarm01.L": "left_elbow",
    "wrist.L": "left_wrist", "upperleg01.L": "left_hip", "lowerleg01.L": "left_knee", "foot.L": "left_ankle",
    "clavicle.R": "right_clavicle", "upperarm01.R": "right_shoulder", "lowerarm01.R": "right_elbow",
    "wrist.R": "right_wrist", "upperleg01.R": "right_hip", "lowerleg01.R": "right_knee", "foot.R": "right_ankle",
}  # fmt: skip
# MediaPipe's number of each landmark, and Anny's word for the same place; a bone's head where it has no word.
LANDMARKS = {
    0: "nose", 2: "left_eye", 5: "right_eye", 7: "left_ear", 8: "right_ear", 11: "left_shoulder", 12: "right_shoulder",
    13: "left_elbow", 14: "right_elbow", 15: "left_wrist", 16: "right_wrist", 17: "finger5-1.L", 18: "finger5-1.R",
    19: "finger2-1.L", 20: "finger2-1.R", 23: "left_hip", 24: "right_hip", 25: "left_knee", 26: "right_knee",
    27: "left_ankle", 28: "right_ankle", 29: "left_heel", 30: "right_heel", 31: "left_big_toe", 32: "right_big_toe",
}  # fmt: skip
PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")
_UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # from Anny's axes: z up, facing −y
FACE_RADIUS, FACE_SHAPE = 0.07, (1.0, 0.8, 1.0)  # metres about the nose, higher than wide
_SMALL_PIECE = 200  # faces: the eyes; the tongue has more and lies within


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyModel:
    """A body at rest for any shape, and what moves it; tensors are float32."""

    rest: torch.Tensor  # `(V, 3)` vertices of the mean shape
    shapes: torch.Tensor  # `(B, V, 3)` blend shapes
    heads: torch.Tensor  # `(P, 3)` where each bone turns
    head_shapes: torch.Tensor  # `(B, P, 3)` blend shapes of that
    weights: torch.Tensor  # `(V, P)` of each vertex to the bones, sum 1
    bones: tuple[str, ...]  # names, parents first
    parents: tuple[int, ...]  # of each bone, −1 for the first
    faces: Int32  # `(F, 3)` closed
    regressor: torch.Tensor  # `(K, V)` landmarks as means of vertices, rows in the order of `LANDMARKS`
    bare: Bool  # `(V,)` hands and face, which wear nothing
    mirrored: Int  # `(V,)` number of each vertex's other half
    coefficients: Callable[[Mapping[str, torch.Tensor]], torch.Tensor]  # phenotypes `(1,)` each to `(B,)`

    def at(self, kept: Int) -> BodyModel:
        """The same body with the vertices `(N,)` alone; it has no faces, and its landmarks mean nothing."""
        return replace(self, rest=self.rest[kept], shapes=self.shapes[:, kept], weights=self.weights[kept],
                       bare=self.bare[kept], mirrored=np.zeros(0, int),
                       faces=np.zeros((0, 3), np.int32))  # fmt: skip

    def posed(self, shape: torch.Tensor, rotations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Vertices `(V, 3)` and bone heads `(P, 3)` of a shape `(B,)` under rotations `(P, 3, 3)`.

        Each turns its bone, and what hangs on it, about its head, along the axes of the body at rest.
        """
        import torch

        rest = self.rest + torch.einsum("b,bvc->vc", shape, self.shapes)
        heads = self.heads + torch.einsum("b,bpc->pc", shape, self.head_shapes)
        turned, placed = pose_bones(heads, rotations, self.parents)
        flat = torch.cat([turned.reshape(-1, 9), placed - (turned @ heads[..., None])[..., 0]], dim=1)
        blended = self.weights @ flat
        return (blended[:, :9].reshape(-1, 3, 3) @ rest[..., None])[..., 0] + blended[:, 9:], placed


def pose_bones(heads: Any, rotations: Any, parents: tuple[int, ...]) -> tuple[Any, Any]:
    """Rotations `(P, 3, 3)` and heads `(P, 3)` of bones in the pose, from `heads` at rest and each bone's own turn."""
    import torch

    turned, placed = [rotations[0]], [heads[0]]
    for bone, parent in enumerate(parents[1:], start=1):
        turned.append(turned[parent] @ rotations[bone])
        placed.append(placed[parent] + turned[parent] @ (heads[bone] - heads[parent]))
    return torch.stack(turned), torch.stack(placed)


def is_installed() -> bool:
    """Whether the extra is there."""
    return importlib.util.find_spec("anny") is not None


@cache
def load_body_model() -> BodyModel:
    """The body, loaded once; the first time ever Anny reads its tables, which takes minutes, and keeps them.

    Raises:
        MissingPartError: Anny is not installed.
    """
    if not is_installed():
        raise MissingPartError(f"the lifter 'people' needs Anny, which is not installed: pip install '{EXTRA}'")
    import anny
    import torch

    logging.getLogger("anny").setLevel(logging.ERROR)
    with torch.no_grad():
        model = anny.Anny(skinning_method="lbs", phenotypes="default").to(dtype=torch.float32)
        regressor = anny.KeypointsRegressor.coco(model)
        upright = torch.tensor(_UPRIGHT, dtype=torch.float32)
        bones, parents, owner = _merged(model.bone_labels, model.bone_parents)
        weights = torch.zeros(len(model.template_vertices), len(bones))
        weights.index_add_(1, torch.tensor(owner), model.dense_vertex_bone_weights)
        own = [model.bone_labels.index(name) for name in BONES if name in model.bone_labels]
        order = [own[list(BONES.values()).index(name)] for name in bones]
        faces, kept = _skin_faces(model.faces.numpy())
        rows = _landmark_rows(model, regressor)
    rest = (model.template_vertices @ upright.T)[kept].contiguous()
    return BodyModel(
        rest=rest,
        shapes=(model.blendshapes @ upright.T)[:, kept].contiguous(),
        heads=model.template_bone_heads[order] @ upright.T,
        head_shapes=model.bone_heads_blendshapes[:, order] @ upright.T,
        weights=weights[kept],
        bones=bones,
        parents=parents,
        faces=faces,
        regressor=rows[:, kept],
        mirrored=cKDTree(rest.numpy()).query(rest.numpy() * [-1, 1, 1])[1],
        bare=_bare(rest.numpy(), weights[kept].numpy(), bones, (rows[0, kept] @ rest).numpy()),
        coefficients=lambda values: model.get_phenotype_blendshape_coefficients(**values)[0],
    )


def _merged(labels: list[str], parents: list[int]) -> tuple[tuple[str, ...], tuple[int, ...], list[int]]:
    """Our bones, their parents, and to which of them each of Anny's belongs."""
    names: list[str] = []
    own_parents: list[int] = []
    owner: list[int] = []
    for bone, label in enumerate(labels):
        above = owner[parents[bone]] if parents[bone] >= 0 else -1
        if label in BONES:
            names.append(BONES[label])
            own_parents.append(above)
            above = len(names) - 1
        owner.append(above)
    return tuple(names), tuple(own_parents), owner


def _skin_faces(faces: Int) -> tuple[Int32, Int]:
    """The closed surfaces of skin and eyes, without the tongue, and the vertices that they use."""
    pieces = patches(faces)
    sizes = np.bincount(pieces)
    kept = np.isin(pieces, np.nonzero((sizes < _SMALL_PIECE) | (sizes == sizes.max()))[0])
    used, renumbered = np.unique(faces[kept], return_inverse=True)
    result = renumbered.reshape(-1, 3).astype(np.int32)
    if not is_closed(result.astype(np.int64)):
        raise MissingPartError("this version of Anny has a body that is not closed; install anny 0.6")
    return result, used


def _bare(rest: Float, weights: Float, bones: tuple[str, ...], nose: Float) -> Bool:
    """`(V,)` hands and face of the body at rest, by the bones that move them."""
    owner = np.array(bones)[weights.argmax(axis=1)]
    face = (owner == "head") & (np.linalg.norm((rest - nose) * FACE_SHAPE, axis=1) < FACE_RADIUS)
    return np.isin(owner, ["left_wrist", "right_wrist"]) | face


def _landmark_rows(model: Any, regressor: Any) -> torch.Tensor:
    """`(K, V)` each landmark as a mean of vertices; a bone's head as the mean of the ring that it starts with."""
    import torch

    rows = torch.zeros(len(LANDMARKS), len(model.template_vertices))
    for row, name in enumerate(LANDMARKS.values()):
        if name in regressor.labels:
            rows[row] = regressor.regression_weights[regressor.labels.index(name)].to(torch.float32)
        else:
            bone = model.bone_labels.index(name)
            away = (model.template_vertices - model.template_bone_heads[bone]).norm(dim=1)
            near = torch.topk(away, 24, largest=False).indices
            rows[row, near] = 1 / 24
    return rows
