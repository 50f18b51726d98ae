"""glTF files as one object, with the components that its animation moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.mesh.gltf.animation import Animations, Playback, clip_names, read_animations
from real2sam2real.mesh.gltf.container import Document, read_document
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.gltf.posing import PosedMesh
from real2sam2real.mesh.gltf.sampling import DEFAULT_FPS, MOST_FRAMES, check_sampling, pose_meshes, sample_nodes
from real2sam2real.mesh.readers.joining import join_meshes
from real2sam2real.mesh.readers.mesh_file import MeshFile, SampledAnimation, check_faces

MOST_COMPONENTS = 5000

MOST_READ_NUMBERS = 2**26
"""Most coordinates (frames × vertices × 3) of an animation that nobody said the length of: some 1.5 GB to read."""


def read_gltf(path: Path, *, frames: int | None, fps: float | None, playback: Playback) -> MeshFile:
    """All meshes of the shown scene as one object, at `frames` frames of the animation, in the file's world.

    Raises:
        UserError: the file is damaged, uses what we do not read, or holds no mesh that is seen, or too much of it.
        ValueError: `frames` or `fps` is not positive.
    """
    check_sampling(frames, fps)
    document = read_document(path)
    animations = read_animations(document, playback.clip)
    animated = document.count("animations") > 0
    rate = DEFAULT_FPS if fps is None else fps
    count = (frames or _frames_to_read(document, animations, rate, playback)) if animated else 1
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # results are checked for being finite
        components = pose_meshes(sample_nodes(document, animations, count, rate, playback), MOST_COMPONENTS)
    if not components:
        raise UserError(f"{path.name} holds no triangle mesh; export the object itself")
    lasts = animations.seconds - animations.begin
    if playback.start > 0 and playback.start > lasts:
        reason = f"its animation lasts {lasts:g} s and has no second {playback.start:g}"
        raise UserError(f"{path.name}: {reason}; choose an earlier moment")
    check_faces(path.name, sum(len(component.mesh.faces) for component in components))
    shown = _shown(document, components)
    mesh, notes = join_meshes([component.at_rest() for component in shown])
    if len(components) > 1:
        notes += (f"{path.name}: its {len(components)} components became one object",)
    period = lasts if playback.loop and frames is None and count == round(lasts * rate) + 1 and lasts > 0 else None
    animation = SampledAnimation(
        clip=", ".join(animations.clips),
        fps=rate,
        start=playback.start,
        seconds=lasts,
        loop=playback.loop,
        period=period,
    )
    return MeshFile(
        format="glTF",
        mesh=mesh,
        components=tuple(shown),
        animation=animation if animated else None,
        clips=clip_names(document),
        notes=(*document.notes, *notes),
    )


def _shown(document: Document, components: list[PosedMesh]) -> list[PosedMesh]:
    """Those that are seen in a frame."""
    name = document.path.name
    if hidden := [c.name for c in components if not c.placement.visible.any()]:
        document.note(f"{name}: {', '.join(hidden)} cannot be seen in any frame and was left out")
    if len(hidden) == len(components):
        raise UserError(f"{name} holds no mesh that can be seen; make its objects visible and export them again")
    shown = [component for component in components if component.placement.visible.any()]
    if late := [component.name for component in shown if not component.placement.visible[0]]:
        document.note(f"{name}: {', '.join(late)} is hidden at first but belongs to the mesh that is aligned")
    return shown


def _frames_to_read(document: Document, animations: Animations, fps: float, playback: Playback) -> int:
    """All that the animation lasts, up to `MOST_FRAMES`; where it may bend a heavy mesh, as many as fit into memory."""
    wanted = round(playback.lasts(animations.begin, animations.seconds) * fps) + 1
    vertices, components, morphs = 0, 0, False
    for node in document.elements("nodes"):
        mesh = node.index("mesh", "meshes")
        primitives = [] if mesh is None else document.element("meshes", mesh).objects("primitives")
        components += mesh is not None
        morphs = morphs or any(primitive.has("targets") for primitive in primitives)
        vertices += sum(_count_vertices(document, primitive) for primitive in primitives)
    fit = MOST_FRAMES
    if morphs or components > 1 or document.count("skins"):
        fit = min(max(MOST_READ_NUMBERS // (3 * max(vertices, 1)), 1), MOST_FRAMES)
    if fit < wanted:
        read = f"its animation has {wanted:,} frames at {fps:g} fps; the first {fit:,} were read"
        document.note(f"{document.path.name}: {read}")
    return min(wanted, fit)


def _count_vertices(document: Document, primitive: JsonObject) -> int:
    accessor = primitive.child("attributes").index("POSITION", "accessors")
    return 0 if accessor is None else document.element("accessors", accessor).integer("count", 0)
