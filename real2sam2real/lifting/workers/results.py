"""Results of a lifter on disk, read and brought into our frames."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.files import refuse_if_system
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.lifting.workers.catalogue import LifterFacts
from real2sam2real.lifting.workers.conventions import (
    body_camera_from_object,
    body_object_vertices,
    sam3d_camera_from_object,
)
from real2sam2real.lifting.workers.lifting_worker.inputs import RequestedEntity
from real2sam2real.lifting.workers.lifting_worker.protocol import ERROR, MESH, RESULT
from real2sam2real.lifting.workers.requests import LiftRequest
from real2sam2real.mesh import Mesh
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.records import read_record

UNEVEN_SCALE = 1e-3
_AGAIN = "delete its folder and run again"


@dataclass(frozen=True, kw_only=True)
class LiftFailure:
    """An entity that could not be lifted."""

    name: str  # of the entity
    kind: str  # "memory", "cannot-lift", "crash", "timeout", "cuda", "version" or "failed"
    reason: str  # in words, with what to do where something can be done


@dataclass(frozen=True, kw_only=True, eq=False)
class LiftOutcome:
    """What became of a request."""

    meshes: tuple[LiftedMesh, ...]  # of the entities that were lifted, in the request's order
    failures: tuple[LiftFailure, ...] = ()  # of the others


def read_outcome(request: LiftRequest, facts: LifterFacts, tasks: list[RequestedEntity]) -> LiftOutcome:
    """Read every entity's result or error."""
    meshes = [_read_mesh(request, facts, task) for task in tasks if task.is_finished]
    failures = [_read_failure(facts, task) for task in tasks if not task.is_finished]
    return LiftOutcome(meshes=tuple(meshes), failures=tuple(failures))


def _read_failure(facts: LifterFacts, task: RequestedEntity) -> LiftFailure:
    path = task.folder / ERROR
    if not path.is_file():
        return LiftFailure(name=task.name, kind="failed", reason=f"{facts.title} left no result for it")
    error = read_record(path, partial(typed, dict[str, Any]), what="error of a lifter", remedy=_AGAIN)
    reason, kind = str(error.get("message", "")), str(error.get("kind", "failed"))
    if kind == "memory":
        reason = f"the card's memory does not suffice for it: {reason}; {facts.remedy}"
    return LiftFailure(name=task.name, kind=kind, reason=reason)


def _read_mesh(request: LiftRequest, facts: LifterFacts, task: RequestedEntity) -> LiftedMesh:
    try:
        mesh = _mesh(task)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        refuse_if_system(error, task.folder)
        raise UserError(f"the result in {task.folder} is damaged ({error}); delete that folder and run again") from None
    build = partial(_lifted, request, facts, task.name, mesh)
    return read_record(task.folder / RESULT, build, what="result of a lifter", remedy=_AGAIN)


def _lifted(request: LiftRequest, facts: LifterFacts, name: str, mesh: Mesh, result: Any) -> LiftedMesh:
    """A mesh with what its lifter says about it, in the values of its result file."""
    provenance: dict[str, Any] = {
        "lifter": facts.name,
        "licence": facts.licence,
        "seed": result["seed"],
        "versions": result["versions"],
        "seconds": round(result["seconds"], 2),
    }
    lifted = LiftedMesh(name=name, mesh=mesh, provenance=provenance)
    if facts.pose == "pytorch3d":
        return _posed_by_sam3d(request, lifted, result["pose"])
    if facts.pose == "opencv":
        return _posed_by_body(request, lifted, result["pose"])
    return replace(lifted, mesh=_outward(mesh), notes=(f"{facts.title} says nothing about where it stands",))


def _mesh(task: RequestedEntity) -> Mesh:
    with np.load(task.folder / MESH, allow_pickle=False) as arrays:
        return Mesh(vertices=arrays["vertices"], faces=arrays["faces"], vertex_colors=arrays.get("colors"))


def _posed_by_sam3d(request: LiftRequest, lifted: LiftedMesh, pose: dict[str, Any]) -> LiftedMesh:
    notes = []
    scale: Float = np.asarray(pose["scale"], np.float64)
    if np.ptp(scale) > UNEVEN_SCALE * scale.mean():
        notes.append(f"the lifter scales unevenly ({', '.join(f'{s:.4g}' for s in scale)}); the mean was taken")
    ours = request.view.points_camera is not None
    if not ours:
        notes.append(
            "no depth was passed in: the lifter estimated scale and focal length for itself and does not say which"
        )
    return replace(
        lifted,
        mesh=_outward(lifted.mesh),
        camera_from_object=sam3d_camera_from_object(pose["rotation"], pose["translation"], scale),
        intrinsics=request.view.intrinsics if ours else None,
        provenance={**lifted.provenance, "pose": pose},
        notes=tuple(notes),
    )


def _posed_by_body(request: LiftRequest, lifted: LiftedMesh, pose: dict[str, Any]) -> LiftedMesh:
    mesh = replace(lifted.mesh, vertices=body_object_vertices(lifted.mesh.vertices))
    k = request.view.intrinsics
    focal = float(pose["focal_length"])
    intrinsics = k if np.isclose(focal, k.fx, rtol=1e-4) else Intrinsics(**{**vars(k), "fx": focal, "fy": focal})
    note = f"the lifter used a focal length of {focal:.1f} pixels in place of {k.fx:.1f}"
    return replace(
        lifted,
        mesh=_outward(mesh),
        camera_from_object=body_camera_from_object(pose["cam_t"]),
        intrinsics=intrinsics,
        provenance={**lifted.provenance, "pose": pose},
        notes=() if intrinsics is k else (note,),
    )


def _outward(mesh: Mesh) -> Mesh:
    """Lifters disagree about winding; what encloses a negative volume is inside out."""
    return mesh.flipped() if mesh.volume() < 0 else mesh
