"""glTF files as one object, with their animation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real2sam2real.errors import UserError
from real2sam2real.lift.mesh_files.joining import Joined, joined
from real2sam2real.mesh.gltf.animation import read_animations
from real2sam2real.mesh.gltf.container import Document, read_document
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.readers.limits import check_faces
from real2sam2real.scene.gltf import GltfScene, Playback, load_glb
from real2sam2real.scene.gltf.reader import DEFAULT_FPS, MOST_FRAMES

MOST_PARTS = 5000

MOST_READ_NUMBERS = 2**26
"""Most coordinates (frames × vertices × 3) of an animation that nobody said the length of: some 1.5 GB to read."""


@dataclass(frozen=True, eq=False)
class Animated:
    """What a glTF file holds: the object, and facts on its animation (empty where it has none)."""

    found: Joined
    facts: dict[str, Any]


def read_gltf(path: Path, notes: list[str], *, frames: int | None, fps: float | None, playback: Playback) -> Animated:
    """All meshes of the shown scene as one object, at `frames` frames of the animation, in the file's world.

    Raises:
        UserError: see `load_glb`; or there is no mesh, or too much of it.
    """
    document = read_document(path)
    moves = document.count("animations") > 0
    rate = DEFAULT_FPS if fps is None else fps
    count = (frames or _frames_to_read(document, rate, playback, notes)) if moves else 1
    scene = load_glb(path, frames=count, fps=rate, playback=playback, most_meshes=MOST_PARTS)
    _check(path.name, scene, playback)
    notes += scene.notes
    found = joined(path.name, scene.entities, notes)
    if len(scene.entities) > 1:
        notes.append(f"{path.name}: its {len(scene.entities)} parts became one object")
    if found.motion is None:
        if moves:
            notes.append(f"{path.name}: its animation moves nothing that is seen; the object rests")
        return Animated(found, {})
    return Animated(found, _facts(path.name, scene, playback, notes, repeats=frames is None))


def _check(name: str, scene: GltfScene, playback: Playback) -> None:
    if not scene.entities:
        raise UserError(f"{name} holds no triangle mesh; export the object itself")
    lasts = scene.seconds[1] - scene.seconds[0]
    if playback.start > 0 and playback.start > lasts:
        reason = f"its animation lasts {lasts:g} s and has no second {playback.start:g}"
        raise UserError(f"{name}: {reason}; choose an earlier moment")
    check_faces(name, sum(len(entity.mesh.faces) for entity in scene.entities))


def _frames_to_read(document: Document, fps: float, playback: Playback, notes: list[str]) -> int:
    """All that the animation lasts, up to `MOST_FRAMES`; where it may bend a heavy mesh, as many as fit into memory."""
    animations = read_animations(document, playback.clip)
    wanted = round(playback.lasts(animations.begin, animations.seconds) * fps) + 1
    vertices, parts, morphs = 0, 0, False
    for node in document.elements("nodes"):
        mesh = node.index("mesh", "meshes", document.count("meshes"))
        primitives = [] if mesh is None else document.element("meshes", mesh).objects("primitives")
        parts += mesh is not None
        morphs = morphs or any(primitive.has("targets") for primitive in primitives)
        vertices += sum(_count_vertices(document, primitive) for primitive in primitives)
    fit = MOST_FRAMES
    if morphs or parts > 1 or document.count("skins"):
        fit = min(max(MOST_READ_NUMBERS // (3 * max(vertices, 1)), 1), MOST_FRAMES)
    if fit < wanted:
        read = f"its animation has {wanted:,} frames at {fps:g} fps; the first {fit:,} were read"
        notes.append(f"{document.path.name}: {read}")
    return min(wanted, fit)


def _count_vertices(document: Document, primitive: JsonObject) -> int:
    accessor = primitive.child("attributes").index("POSITION", "accessors", document.count("accessors"))
    return 0 if accessor is None else document.element("accessors", accessor).integer("count", 0)


def _facts(name: str, scene: GltfScene, playback: Playback, notes: list[str], *, repeats: bool) -> dict[str, Any]:
    """What scene.json keeps; `repeats` says that one period was read, else a loop is in the frames already."""
    clip = ", ".join(scene.played)
    if len(scene.clips) > len(scene.played):
        notes.append(f"{name} has {len(scene.clips)} clips ({', '.join(scene.clips)}); {clip} is played")
    lasts = scene.seconds[1] - scene.seconds[0]
    after = "begins again" if playback.loop else "holds its last pose"
    notes.append(f"{name}: its animation lasts {lasts:.2f} s and then {after}")
    whole = scene.frames == round(lasts * scene.fps) + 1
    period = lasts if playback.loop and repeats and whole and lasts > 0 else None
    return {
        "clip": clip,
        "fps": scene.fps,
        "start": playback.start,
        "seconds": lasts,
        "loop": playback.loop,
        "period": period,
    }
