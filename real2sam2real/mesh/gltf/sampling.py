"""The shown scene of a glTF file at the frames of a shot: its nodes, and every mesh that hangs on one."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.mesh.gltf.animation import Animations, Playback
from real2sam2real.mesh.gltf.container import Document
from real2sam2real.mesh.gltf.instancing import expand_instances
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.gltf.materials import Materials
from real2sam2real.mesh.gltf.nodes import NodeTree
from real2sam2real.mesh.gltf.posing import PosedMesh, Poser
from real2sam2real.mesh.gltf.surfaces import read_surfaces
from real2sam2real.mesh.gltf.welded_mesh import WeldedMesh, weld_surfaces

DEFAULT_FPS = 16.0
MOST_FRAMES = 100_000
MOST_NODES = 200_000

_SNAP = 1e-3  # of a frame


def check_sampling(frames: int | None, fps: float | None) -> None:
    """Refuse impossible numbers of frames.

    Raises:
        ValueError: `frames` or `fps` is given and not positive.
    """
    if frames is not None and frames < 1:
        raise ValueError(f"frames is {frames}; a shot has at least one")
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"fps is {fps}; it must be a positive number")


def sample_nodes(
    document: Document, animations: Animations, frames: int, fps: float, playback: Playback | None
) -> NodeTree:
    """The nodes of a file at T frames.

    Raises:
        UserError: there are too many nodes, or they do not make a tree.
    """
    if document.count("nodes") > MOST_NODES:
        document.root.fail(f"has more than {MOST_NODES:,} nodes", "split the file")
    expand_instances(document)
    seconds: Float = np.arange(frames) / fps
    if playback is not None:
        seconds = playback.times(frames, fps, animations.begin, animations.seconds)
    return NodeTree(document, animations, seconds, _SNAP / fps)


def pose_meshes(tree: NodeTree, most: int) -> list[PosedMesh]:
    """Every mesh of the shown scene, in file order.

    Raises:
        UserError: there are more than `most`, or one is damaged.
    """
    document = tree.document
    indices = {node: tree.elements[node].index("mesh", "meshes") for node in sorted(tree.order)}
    held = {node: index for node, index in indices.items() if index is not None}
    if len(held) > most:
        remedy = "join some of them in Blender (Ctrl+J)"
        raise UserError(f"{document.path.name} holds {len(held)} meshes; at most {most} are read: {remedy}")
    poser, materials = Poser(tree), Materials(document)
    welded: dict[int, WeldedMesh | None] = {}
    posed = []
    for node, index in held.items():
        element = document.element("meshes", index)
        if index not in welded:
            welded[index] = _welded(document, element, index, materials)
        if (mesh := welded[index]) is not None:
            posed.append(poser.pose(node, element, mesh, tree.animations.nodes.get((node, "weights"))))
    return posed


def _welded(document: Document, element: JsonObject, index: int, materials: Materials) -> WeldedMesh | None:
    surfaces = read_surfaces(document, index, materials)
    if not surfaces:
        return None
    if len({len(surface.targets) for surface in surfaces}) > 1:
        element.fail("its primitives have different numbers of morph targets")
    mesh = weld_surfaces(element.label, surfaces)
    lost = f"{element.label} has no triangle with an area; it was left out"
    for note in (lost,) if mesh is None else mesh.notes:
        document.note(note)
    return mesh
