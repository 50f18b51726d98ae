"""glTF files as one object, with their animation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real2sam2real.errors import UserError
from real2sam2real.lift.own_meshes.joining import Joined, joined
from real2sam2real.lift.own_meshes.limits import check_faces
from real2sam2real.scene.gltf import Play, load_glb
from real2sam2real.scene.gltf.container import read_document

MOST_PARTS = 5000


@dataclass(frozen=True, eq=False)
class Animated:
    """What a glTF file holds: the object, and facts on its animation (empty where it has none)."""

    found: Joined
    facts: dict[str, Any]


def read_gltf(path: Path, notes: list[str], *, frames: int | None, fps: float | None, play: Play) -> Animated:
    """All meshes of the shown scene as one object, at `frames` frames of the animation, in the file's world.

    Raises:
        UserError: see `load_glb`; or there is no mesh, or too much of it.
    """
    moves = read_document(path).count("animations") > 0
    scene = load_glb(path, frames=frames if moves else 1, fps=fps, play=play, most_meshes=MOST_PARTS)
    if not scene.entities:
        raise UserError(f"{path.name} holds no triangle mesh; export the object itself")
    begin, end = scene.seconds
    if moves and play.start > end - begin:
        lasts = f"its animation lasts {end - begin:g} s and has no second {play.start:g}"
        raise UserError(f"{path.name}: {lasts}; choose an earlier moment")
    check_faces(path.name, sum(len(entity.mesh.faces) for entity in scene.entities))
    notes += scene.notes
    found = joined(path.name, scene.entities, notes)
    if len(scene.entities) > 1:
        notes.append(f"{path.name}: its {len(scene.entities)} parts became one object")
    if found.motion is None:
        if moves:
            notes.append(f"{path.name}: its animation moves nothing that is seen; the object rests")
        return Animated(found, {})
    clip = ", ".join(scene.played)
    if len(scene.clips) > len(scene.played):
        notes.append(f"{path.name} has {len(scene.clips)} clips ({', '.join(scene.clips)}); {clip} is played")
    after = "begins again" if play.loop else "holds its last pose"
    notes.append(f"{path.name}: its animation lasts {end - begin:.2f} s and then {after}")
    # with a number of frames given, the loop is in them already; else one period was read, to be repeated
    period = end - begin if play.loop and frames is None and end > begin else None
    return Animated(
        found,
        {
            "clip": clip,
            "fps": scene.fps,
            "start": play.start,
            "seconds": end - begin,
            "loop": play.loop,
            "period": period,
        },
    )
