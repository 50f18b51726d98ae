"""What lifting a photo takes long for, kept beside the scene: a run that changes one object works on that one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.skin import Skin
from real2sam2real.perceive.segment.nanodet import ScoredBox
from real2sam2real.perceive.segment.things import see_things
from real2sam2real.workfolder.json_values import parse_json
from real2sam2real.workfolder.kept import Arrays, KeptResults

_LIFTING = ("geometry", "mesh", "perceive", "lifting")
_SKIN = ("heads", "weights", "axes")


def kept_shapes(folder: Path | None) -> KeptResults:
    """What lifting keeps in a `folder`; nothing without one."""
    return KeptResults(None if folder is None else folder / "meshes")


def kept_things(pixels: UInt8, kept: KeptResults) -> list[ScoredBox]:
    """`see_things`, looked at once."""

    def look() -> Arrays:
        things = see_things(pixels)
        boxes = np.array([[*thing.box, thing.score] for thing in things], np.float64).reshape(-1, 5)
        return {"boxes": boxes, "words": np.array([thing.word for thing in things], str)}

    found = kept.get(("perceive",), ["things", pixels], look)
    boxes = zip(found["words"].tolist(), found["boxes"].tolist(), strict=True)
    return [ScoredBox(word=word, box=(x0, y0, x1, y1), score=score) for word, (x0, y0, x1, y1, score) in boxes]


def kept_person(
    made_from: list[Any], intrinsics: Intrinsics, kept: KeptResults, lift: Callable[[], LiftedMesh]
) -> LiftedMesh:
    """A person as `people.lifter` lifts it, lifted once; `made_from` is all that decides it beside the `intrinsics`."""
    found = kept.get(_LIFTING, [*made_from, intrinsics], lambda: _arrays_of(lift()))
    told = parse_json(str(found["told"]))
    skin = None
    if "heads" in found:
        parents = tuple(found["parents"].tolist())
        skin = Skin(bones=tuple(found["bones"].tolist()), parents=parents, **{name: found[name] for name in _SKIN})
    return LiftedMesh(
        name=told["name"],
        mesh=Mesh(
            vertices=found["vertices"],
            faces=found["faces"],
            vertex_colors=found["colors"] if len(found["colors"]) else None,
        ),
        camera_from_object=np.eye(4),
        intrinsics=intrinsics,
        on_mask=True,
        skin=skin,
        provenance=told["provenance"],
        notes=tuple(told["notes"]),
    )


def _arrays_of(person: LiftedMesh) -> Arrays:
    mesh, skin = person.mesh, person.skin
    told = json.dumps({"name": person.name, "provenance": person.provenance, "notes": person.notes})
    bones = {} if skin is None else {"bones": np.array(skin.bones), "parents": np.array(skin.parents)}
    bones |= {} if skin is None else {name: getattr(skin, name) for name in _SKIN}
    colors = np.zeros((0, 3), np.uint8) if mesh.vertex_colors is None else mesh.vertex_colors
    return {"vertices": mesh.vertices, "faces": mesh.faces, "colors": colors, "told": np.array(told), **bones}
