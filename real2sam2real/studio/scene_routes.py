"""The addresses of the scene at rest: names, relations, facings, meshes."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from real2sam2real.errors import UserError
from real2sam2real.run.adding import Ray
from real2sam2real.scene.folder import read_scene, save_scene
from real2sam2real.scene.relation import Relation, RelationWord
from real2sam2real.scene.renaming import renamed_scene, renamed_shot
from real2sam2real.scene.scene import Scene
from real2sam2real.studio.errors import RefusedError
from real2sam2real.studio.jobs import Job
from real2sam2real.studio.marking import MESH_SUFFIXES, marking_of
from real2sam2real.studio.marking_routes import MESH_BYTES
from real2sam2real.studio.mesh_files import start_mesh
from real2sam2real.studio.objects import PhotoMarks, save_marks
from real2sam2real.studio.requests import body_to_file, json_of, plain_name, value_of
from real2sam2real.studio.routing import changing, in_workspace, refusing, studio_of
from real2sam2real.studio.workspaces import Workspace

_WORDS: dict[str, RelationWord] = {"on": "on", "with": "with", "floating": "floating"}


async def change_scene(request: Request, workspace: Workspace) -> Response:
    """Rename an entity, say where it belongs or faces, or drop one that was added."""
    body = await json_of(request)
    base, change = value_of(body, "base", int), value_of(body, "change", dict)
    if len(change) != 1 or not change.keys() <= _CHANGES.keys():
        raise RefusedError(400, f"The request's 'change' must be one of {', '.join(_CHANGES)}.")
    ((kind, told),) = change.items()
    if not isinstance(told, dict):
        raise RefusedError(400, f"The request's '{kind}' must be an object.")
    name = value_of(told, "name", str)
    return await changing(workspace, lambda: _commit(workspace, base, kind, name, told))


def _commit(workspace: Workspace, base: int, kind: str, name: str, told: dict[str, Any]) -> None:
    document = workspace.document
    with document.lock:
        document.require(base)
        scene, _ = _stored(workspace)
        if name not in scene.names:
            raise UserError(f"no entity called '{name}'; there are {', '.join(scene.names)}")
        changed, label = _CHANGES[kind](scene, name, told)
        shot = renamed_shot(document.shot(), name, value_of(told, "to", str)) if kind == "rename" else None
        with tempfile.TemporaryDirectory() as folder:
            save_scene(changed, Path(folder) / "scene")
            marks = _renamed_marks(workspace, name, told) if kind == "rename" else None
            if marks is not None:
                (Path(folder) / "marks").mkdir()
                save_marks(Path(folder) / "marks", marks)
            objects = None if marks is None else Path(folder) / "marks"
            document.commit(label, scene=Path(folder) / "scene", shot=shot, objects=objects, base=base)


def _renamed_marks(workspace: Workspace, name: str, told: dict[str, Any]) -> PhotoMarks | None:
    """The photo's marks with the new name, so that the next lift keeps it; None where nothing is marked so."""
    marking = marking_of(workspace)
    marks = None if marking is None else marking.marks
    if marks is None or name not in marks.names or (to := value_of(told, "to", str)) in marks.names:
        return None
    id_ = next(each.id for each in marks.objects if each.name == name)
    return marks.renamed(id_, to)


def _stored(workspace: Workspace) -> tuple[Scene, Path]:
    """The scene as its files have it, and where they are: what is not changed stays to the letter."""
    state = workspace.document.state
    if state.scene is None:
        raise UserError("There is no scene yet; lift the photo first.")
    place = workspace.document.history.snapshot("scenes", state.scene)
    return read_scene(place)[0], place


def _rename(scene: Scene, name: str, told: dict[str, Any]) -> tuple[Scene, str]:
    to = value_of(told, "to", str)
    return renamed_scene(scene, name, to), f"Rename {name} to {to}"


def _relation(scene: Scene, name: str, told: dict[str, Any]) -> tuple[Scene, str]:
    word, to = value_of(told, "word", str), told.get("to")
    if word and word not in _WORDS:
        raise RefusedError(400, f"'{word[:40]}' is no relation; there are {', '.join(_WORDS)}, and '' for none.")
    if to is not None and to not in (*scene.names, "ground"):
        raise UserError(f"no entity called '{str(to)[:40]}'; there are {', '.join(scene.names)}")
    try:
        relation = Relation(word=_WORDS[word], to=to) if word else None
        changed = scene.with_entity(replace(scene.entity(name), relation=relation))
    except ValueError as error:
        raise UserError(str(error)) from error
    return changed, f"{name} {relation or 'belongs to nothing'}"


def _facing(scene: Scene, name: str, told: dict[str, Any]) -> tuple[Scene, str]:
    degrees = None if told.get("degrees") is None else value_of(told, "degrees", float)
    return scene.with_entity(replace(scene.entity(name), facing=degrees)), f"{name} faces elsewhere"


def _drop(scene: Scene, name: str, told: dict[str, Any]) -> tuple[Scene, str]:
    if scene.entity(name).in_photo:
        raise UserError(f"'{name}' is in the photo; remove it in the shot, which paints its place over")
    return scene.without(name), f"Take {name} out"


_CHANGES = {"rename": _rename, "relation": _relation, "facing": _facing, "drop": _drop}


async def change_mesh(request: Request, workspace: Workspace) -> Response:
    """Queue a mesh: aligned with what the photo shows of an entity, or standing where `ray` points."""
    name, base = request.query_params.get("name", ""), request.query_params.get("base", "")
    if not name or not base.isdecimal() or len(base) > 18:
        raise RefusedError(400, "The address needs '?name=' and '&base=', the revision that was seen.")
    ray = _ray(request.query_params.get("ray"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / plain_name(request, "mesh.glb")
        if file.suffix.lower() not in MESH_SUFFIXES:
            file = file.with_suffix(".glb")  # OBJ is told by its ending alone
        await body_to_file(request, file, MESH_BYTES, "mesh")
        started: list[Job] = []
        activity = studio_of(request).activity

        def start() -> None:
            started.append(start_mesh(activity, workspace, file, name, ray, int(base)))

        await refusing(workspace, start)
    return JSONResponse(started[0].message())


def _ray(text: str | None) -> Ray | None:
    """Six numbers: where a ray begins, and its direction."""
    if text is None:
        return None
    try:
        x, y, z, along, up, back = (float(word) for word in text.split(","))
    except ValueError:
        raise RefusedError(400, "The address's 'ray' must be six numbers: an origin and a direction.") from None
    ray = Ray(origin=(x, y, z), direction=(along, up, back))
    if not np.isfinite([*ray.origin, *ray.direction]).all() or np.linalg.norm(ray.direction) < 1e-9:
        raise RefusedError(400, "The address's 'ray' must be six finite numbers, the direction of some length.")
    return ray


async def take_over(request: Request, workspace: Workspace) -> Response:
    """Take the scene over again from what the workspace was made from."""
    base = value_of(await json_of(request), "base", int)
    return await changing(workspace, lambda: workspace.take_over(base))


def scene_routes() -> list[Route]:
    """Those addresses, below a workspace's."""
    return [
        in_workspace("scene", change_scene, "POST"),
        in_workspace("mesh", change_mesh, "POST"),
        in_workspace("source", take_over, "POST"),
    ]
