"""The addresses of the scene at rest: names, relations, facings, meshes."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from real2sam2real import media
from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.adding import add_to_folder
from real2sam2real.run.progress import Progress
from real2sam2real.scene.folder import read_scene, save_scene
from real2sam2real.scene.relation import Relation, RelationWord
from real2sam2real.scene.renaming import renamed_scene, renamed_shot
from real2sam2real.scene.scene import Scene
from real2sam2real.studio.errors import RefusedError
from real2sam2real.studio.marking import MESH_SUFFIXES, marking_of
from real2sam2real.studio.marking_routes import MESH_BYTES
from real2sam2real.studio.objects import PhotoMarks, save_marks
from real2sam2real.studio.requests import body_to_file, json_of, value_of
from real2sam2real.studio.routing import changing, in_workspace
from real2sam2real.studio.working_files import scene_files
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
    """Put a mesh in an entity's place, aligned with what the photo shows of it, as `r2s2r add` does."""
    name, base = request.query_params.get("name", ""), request.query_params.get("base", "")
    if not name or not base.isdecimal():
        raise RefusedError(400, "The address needs '?name=' and '&base=', the revision that was seen.")
    with tempfile.TemporaryDirectory() as folder:
        suffix = Path(unquote(request.headers.get("x-name", ""))).suffix.lower()
        file = Path(folder) / f"mesh{suffix if suffix in MESH_SUFFIXES else '.glb'}"  # OBJ is told by its ending alone
        await body_to_file(request, file, MESH_BYTES, "mesh")
        return await changing(workspace, lambda: _commit_mesh(workspace, int(base), name, file))


def _commit_mesh(workspace: Workspace, base: int, name: str, file: Path) -> None:
    document = workspace.document
    with document.lock:
        document.require(base)
        scene, place = _stored(workspace)
    mask = scene.entity(name).mask if name in scene.names else None
    if mask is None:
        raise UserError(
            f"the photo shows no '{name}' to align the mesh with; mark it on the photo first, and drop the mesh on its "
            "mark"
        )
    aside = file.parent / "scene"
    for each in scene_files(place):
        target = aside / each.relative_to(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(each.read_bytes())
    media.write_png(file.parent / "mask.png", mask.astype(np.uint8) * 255)
    objects = SegmentOptions(mask=(f"{name}={file.parent / 'mask.png'}",))
    add_to_folder(aside, file, name, objects, LiftOptions(), Progress())
    document.commit(f"Mesh of {name}", scene=aside, base=base)


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
