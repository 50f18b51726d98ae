"""A skinned entity in glTF: its bones as joint nodes, what each vertex follows, and the turns that pose it.

Joints have the object's own axes at rest, so that a joint node's rotation is the turn of its bone (`Skin`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from real2sam2real.arrays import Float, Float32, Int
from real2sam2real.mesh.gltf.building import VERTICES, GltfBuilder
from real2sam2real.mesh.skin import Skin

TOLERANCE = 1e-5  # largest error of a pose that is written by its joints, as a share of the mesh's size
_LEAST_WEIGHT = 1e-5  # what follows a bone by less does not follow it
_RIDGE = 1e-10  # what the vertices leave open stays at rest


def joint_turns(skin: Skin, vertices: Float, deformed: Float32) -> Float | None:
    """The rotations `(T, P, 3, 3)` of the bones that deform `vertices` `(V, 3)` to `deformed` `(T, V, 3)`.

    None where no rotations do so, or where the first frame is not the bind pose: what is read back takes its shape from
    there. Blended vertices are linear in the bones' matrices, which are found by least squares, and then judged as
    rotations by what they make of the vertices.
    """
    size = float(np.ptp(vertices, axis=0).max())
    if np.abs(deformed[0] - vertices).max() > TOLERANCE * size:
        return None
    count, bones = skin.weights.shape
    weights = skin.weights.astype(np.float64)
    arms = np.concatenate([(vertices[:, None] - skin.heads) / size, np.ones((count, bones, 1))], axis=2)
    system = (weights[..., None] * arms).reshape(count, 4 * bones)
    moved = (deformed - vertices).astype(np.float64).transpose(1, 0, 2).reshape(count, -1) / size
    normal = system.T @ system
    normal[np.diag_indices_from(normal)] += _RIDGE * np.trace(normal) / len(normal)
    changes = np.linalg.solve(normal, system.T @ moved).reshape(bones, 4, len(deformed), 3)[:, :3]
    u, _, vt = np.linalg.svd(changes.transpose(2, 0, 3, 1) + np.eye(3))
    u[..., 2] *= np.linalg.det(u @ vt)[..., None]
    turned = u @ vt  # of each bone as a whole, with those above it
    idle = weights.max(axis=0) < _LEAST_WEIGHT
    own = np.empty_like(turned)
    for bone, parent in enumerate(skin.parents):
        above = np.eye(3) if parent < 0 else turned[:, parent]
        if idle[bone]:
            turned[:, bone] = above
        own[:, bone] = np.swapaxes(np.broadcast_to(above, turned[:, bone].shape), 1, 2) @ turned[:, bone]
    for frame, rotations in zip(deformed, own, strict=True):
        posed = skin.deformed(vertices, skin.bone_matrices(dict(zip(skin.bones, rotations, strict=True))))
        if np.abs(posed - frame).max() > TOLERANCE * size:
            return None
    return own


def add_weights(builder: GltfBuilder, skin: Skin, source: Int) -> dict[str, int]:
    """Attributes JOINTS_k and WEIGHTS_k of the file's vertices, which are the mesh's vertices `source` `(N,)`.

    The four bones that a vertex follows most come first, as not every tool reads more.
    """
    order = np.argsort(-skin.weights, axis=1, kind="stable")
    ranked = np.take_along_axis(skin.weights, order, axis=1)
    ranked = np.where(ranked < _LEAST_WEIGHT, 0, ranked)
    ranked = ranked / ranked.sum(axis=1, keepdims=True)
    most = int((ranked > 0).sum(axis=1).max())
    sets = -(-most // 4)
    pad = ((0, 0), (0, max(0, 4 * sets - ranked.shape[1])))
    ranked, order = np.pad(ranked, pad)[source], np.pad(order, pad)[source]
    order[ranked == 0] = 0
    kind = np.uint8 if len(skin.bones) < 256 else np.uint16
    attributes = {}
    for k in range(sets):
        own = slice(4 * k, 4 * k + 4)
        attributes[f"JOINTS_{k}"] = builder.accessor(order[:, own].astype(kind), target=VERTICES)
        attributes[f"WEIGHTS_{k}"] = builder.accessor(ranked[:, own].astype(np.float32), target=VERTICES)
    return attributes


def add_joints(builder: GltfBuilder, skin: Skin, name: str) -> tuple[int, list[int]]:
    """The skin of the entity `name` with its joint nodes; gives its index and theirs, the root's first."""
    joints: list[int] = []
    for bone, head, parent in zip(skin.bones, skin.heads, skin.parents, strict=True):
        offset = head - (skin.heads[parent] if parent >= 0 else 0.0)
        node: dict[str, Any] = {"name": bone, "translation": [float(v) for v in offset.astype(np.float32)]}
        joints.append(builder.add("nodes", node))
        if parent >= 0:
            builder.root["nodes"][joints[parent]].setdefault("children", []).append(joints[-1])
    binds = np.tile(np.eye(4), (len(joints), 1, 1))
    binds[:, 3, :3] = -skin.heads  # transposed, as glTF counts by columns
    matrices = builder.accessor(binds.reshape(-1, 16).astype(np.float32))
    element = {"name": name, "inverseBindMatrices": matrices, "joints": joints, "skeleton": joints[0]}
    return builder.add("skins", element), joints


def continuous(rotations_wxyz: Float) -> Float:
    """Quaternions `(T, 4)`, each with the sign that is nearer to the one before."""
    turned_back = np.sum(rotations_wxyz[1:] * rotations_wxyz[:-1], axis=1) < 0
    signs = np.where(np.cumsum(np.concatenate([[False], turned_back])) % 2, -1.0, 1.0)
    return rotations_wxyz * signs[:, None]
