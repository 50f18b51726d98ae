"""Meshes that a person drops into the scene: the job that reads one, and what becomes of its result.

A file waits in the workspace's `.kept/dropped/ID/`, which may be deleted when no job needs it, and the scene with the
mesh in it is made there, too.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real import media
from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.adding import Ray, add_to_folder, place_in_folder
from real2sam2real.run.progress import Progress
from real2sam2real.scene.folder import read_scene
from real2sam2real.studio.activity import Activity
from real2sam2real.studio.jobs import Job
from real2sam2real.studio.lifting import KEPT
from real2sam2real.studio.objects import refuse_name
from real2sam2real.studio.working_files import scene_files
from real2sam2real.studio.workspaces import Workspace
from real2sam2real.workfolder.json_values import typed

DROPPED, SCENE = "dropped", "scene"


def bring_mesh(folder: Path, options: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Put a mesh into the scene; the work of the kind "mesh" of `job`.

    Args:
        folder: the workspace.
        options: `scene`, the snapshot's id; `drop`, the name of a folder in `.kept/dropped`; `file`, the mesh in it;
            `name` of the entity; `ray`, where it is to stand, or None where it takes the place of that entity's mesh.
        progress: where it says what it does.

    Returns:
        `notes`. The scene lies beside the file.

    Raises:
        UserError: the mesh cannot be used.
    """
    place, name = folder / KEPT / DROPPED / str(options["drop"]), str(options["name"])
    file, aside = place / str(options["file"]), place / SCENE
    snapshot = folder / "history" / "scenes" / str(options["scene"])
    shutil.rmtree(aside, ignore_errors=True)
    for each in scene_files(snapshot):
        target = aside / each.relative_to(snapshot)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(each, target)
    progress.info(f"reading {file.name} …")
    if options["ray"] is not None:
        ray = typed(Ray, dict(options["ray"]), "ray")
        notes = place_in_folder(aside, file, name, ray, LiftOptions(), progress)
    else:
        mask = _mask_of(snapshot, name, place)
        notes = add_to_folder(aside, file, name, SegmentOptions(mask=(f"{name}={mask}",)), LiftOptions(), progress)
    progress.notes(notes)
    return {"notes": notes}


def _mask_of(snapshot: Path, name: str, place: Path) -> Path:
    """A file of what the photo shows of an entity."""
    mask = read_scene(snapshot)[0].entity(name).mask
    if mask is None:
        raise UserError(
            f"the photo shows no '{name}' to align the mesh with; take '{name}' out, and drop the mesh on the ground"
        )
    media.write_png(place / "mask.png", mask.astype(np.uint8) * 255)
    return place / "mask.png"


def start_mesh(
    activity: Activity, workspace: Workspace, file: Path, name: str, ray: Ray | None, base: int | None
) -> Job:
    """Queue a mesh for the scene as it is now: into the place of an entity's, or to where a ray points.

    Args:
        activity: of the server.
        workspace: into whose scene it goes.
        file: it, under the name that the person has given it; it is moved.
        name: of the entity.
        ray: where it is to stand; None where it takes the place of the entity's mesh.
        base: the revision that the page saw.

    Raises:
        RefusedError: the document went on.
        UserError: there is no scene, or there is no such entity, or there is one where none should be.
    """
    document = workspace.document
    document.require(base)
    scene = document.state.scene
    if scene is None:
        raise UserError("there is no scene yet that the mesh could stand in; mark an object on the photo, and lift it")
    names = document.scene_called(scene)[0].names
    if ray is None and name not in names:
        raise UserError(f"no entity called '{name}'; there are {', '.join(names)}")
    if ray is not None:
        refuse_name(name)
    if ray is not None and name in names:
        raise UserError(f"there is an entity called '{name}' already; give another name")
    drop = _kept_file(activity, workspace, file)

    def finish(result: Any) -> None:
        _take_in(workspace, scene, drop, f"Mesh of {name}" if ray is None else f"Add {name}")

    job = Job(
        workspace=workspace.id,
        folder=workspace.folder,
        kind="mesh",
        title=f"Mesh {file.name}",
        options={
            "scene": scene,
            "drop": drop.name,
            "file": file.name,
            "name": name,
            "ray": None if ray is None else {"origin": list(ray.origin), "direction": list(ray.direction)},
        },
        revision=document.revision,
        heavy=ray is None,  # to align one takes most of a minute
        finish=finish,
    )
    return activity.runner.submit(job)


def _kept_file(activity: Activity, workspace: Workspace, file: Path) -> Path:
    """Move a file to a folder of its own; those that no job needs any more go."""
    dropped = workspace.folder / KEPT / DROPPED
    needed = {job.options["drop"] for job in activity.runner.of(workspace.id) if job.kind == "mesh"}
    for other in dropped.glob("*"):
        if other.name not in needed:
            shutil.rmtree(other, ignore_errors=True)
    drop = dropped / secrets.token_hex(6)
    drop.mkdir(parents=True)
    shutil.move(file, drop / file.name)
    return drop


def _take_in(workspace: Workspace, scene: str, drop: Path, label: str) -> None:
    """Make what a job has left the document's scene.

    Raises:
        UserError: the scene is another one by now.
    """
    document = workspace.document
    with document.lock:
        document.require(None)
        if document.state.scene != scene:
            raise UserError("the scene was changed while the mesh was read, so that it was left out; drop it again")
        document.commit(label, scene=drop / SCENE)
    shutil.rmtree(drop, ignore_errors=True)
