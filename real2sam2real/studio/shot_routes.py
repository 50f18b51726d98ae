"""The addresses of the shot: edits, tries, keyframes, undo and exact frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from real2sam2real.errors import UserError
from real2sam2real.run.scene_data import motion_data
from real2sam2real.scene.keyframing import with_camera_key, with_entity_key
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.shot import Shot
from real2sam2real.studio.errors import RefusedError
from real2sam2real.studio.frames import ExactFrames
from real2sam2real.studio.messages import shot_notes
from real2sam2real.studio.requests import json_of, value_of
from real2sam2real.studio.routing import changing, in_workspace
from real2sam2real.studio.workspaces import Workspace

_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


async def edit(request: Request, workspace: Workspace) -> Response:
    """Save a changed shot."""
    body = await json_of(request)
    base, label, shot = value_of(body, "base", int), value_of(body, "label", str), value_of(body, "shot", dict)
    merge = value_of(body, "merge", str) if body.get("merge") is not None else ""
    found = workspace.document
    return await changing(workspace, lambda: found.commit(label, shot=found.shot_of(shot), base=base, merge=merge))


async def attempt(request: Request, workspace: Workspace) -> Response:
    """The motion of a shot that is not saved."""
    shot = value_of(await json_of(request), "shot", dict)
    return JSONResponse(await run_in_threadpool(lambda: _performed(workspace, workspace.document.shot_of(shot))))


async def keyframe(request: Request, workspace: Workspace) -> Response:
    """The shot, not saved, in which an entity or the camera has a pose at a frame; and its motion."""
    body = await json_of(request)
    shot, target, frame = value_of(body, "shot", dict), value_of(body, "target", str), value_of(body, "frame", int)
    pose, zoom = _matrix(value_of(body, "pose", list)), body.get("zoom")
    zoom = None if zoom is None else value_of(body, "zoom", float)

    def solved() -> dict[str, Any]:
        document = workspace.document
        parsed, scene = document.shot_of(shot), _scene(workspace)
        if target:
            found = with_entity_key(parsed, scene, target, frame, pose, document.kept)
        else:
            found = with_camera_key(parsed, scene, frame, pose, zoom, document.kept)
        return {"shot": found.to_data(), "motion": _performed(workspace, found)}

    return JSONResponse(await run_in_threadpool(solved))


def _matrix(values: list[Any]) -> Any:
    """`(4, 4)` of 16 numbers, column by column."""
    if len(values) != 16 or not all(type(value) in (int, float) for value in values):
        raise RefusedError(400, "The request's 'pose' must be 16 numbers.")
    return np.array(values, np.float64).reshape(4, 4).T


def _scene(workspace: Workspace) -> Scene:
    found = workspace.document.scene()
    if found is None:
        raise UserError("There is no scene yet, so nothing moves; lift the photo first.")
    return found[0]


def _performed(workspace: Workspace, shot: Shot) -> dict[str, Any]:
    scene, directed = _scene(workspace), workspace.document.directed_by(shot)
    assert directed is not None
    return motion_data(directed, shot_notes(scene, shot, directed))


async def undo(request: Request, workspace: Workspace) -> Response:
    """Take back the last change."""
    base = value_of(await json_of(request), "base", int)
    return await changing(workspace, lambda: workspace.document.go(-1, base))


async def redo(request: Request, workspace: Workspace) -> Response:
    """Do again what was taken back."""
    base = value_of(await json_of(request), "base", int)
    return await changing(workspace, lambda: workspace.document.go(1, base))


async def exact_frame(request: Request, workspace: Workspace) -> Response:
    """A frame as our own renderer draws it."""
    view, size = request.query_params.get("view", "normals"), request.query_params.get("size", "preview")
    frames = workspace.parts.setdefault("frames", ExactFrames(workspace.document))
    revision, number = request.path_params["revision"], request.path_params["number"]
    data = await run_in_threadpool(frames.png, revision, number, view, size)
    return Response(data, media_type="image/png", headers=_FOR_EVER)


def shot_routes() -> list[Route]:
    """Those addresses, below a workspace's."""
    return [
        in_workspace("edit", edit, "POST"),
        in_workspace("try", attempt, "POST"),
        in_workspace("keyframe", keyframe, "POST"),
        in_workspace("undo", undo, "POST"),
        in_workspace("redo", redo, "POST"),
        in_workspace("frame/{revision:int}/{number:int}.png", exact_frame),
    ]
