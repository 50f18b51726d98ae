"""Addresses of what is marked on the photo, and the job that lifts it.

    POST objects              {base, change}: see `marking.MarkChange`
    POST objects/painted      a mask as the page painted it, of an object (?object=ID) or a new one
    POST objects/mask         a mask's file, of one or several new objects
    POST objects/mesh         a mesh for an object (?object=ID)
    POST objects/depth        a depth map of the photo
    GET  objects/masks/ID/VERSION.png
    GET  objects/choices      what there is on this machine to cut out and to lift, and the words that are known
    GET  objects/estimate     the camera as the photo tells it
    POST objects/lens         lines that are drawn on the photo: what they say of the camera
    POST objects/stop         gives up what the photo is looked at for
    POST objects/horizon      a focal length, pitch and roll: where the horizon is

Changes take ?base=REVISION where they carry a file, and answer with the document, `told` beside it: notes for people.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.studio.activity import Activity
from real2sam2real.studio.errors import RefusedError, not_found
from real2sam2real.studio.jobs import Job
from real2sam2real.studio.lens import DrawnLines, horizon_of, solve_lens
from real2sam2real.studio.lifting import start_options, take_in
from real2sam2real.studio.marking import Marking, marking_of
from real2sam2real.studio.marking_choices import marking_choices
from real2sam2real.studio.requests import body_of, body_to_file, json_of, plain_name, value_of
from real2sam2real.studio.routing import changing, in_workspace, studio_of
from real2sam2real.studio.workspaces import Workspace
from real2sam2real.workfolder.json_values import typed

MASK_BYTES, MESH_BYTES, DEPTH_BYTES = 50_000_000, 500_000_000, 200_000_000
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


def _marking(workspace: Workspace) -> Marking:
    found = marking_of(workspace)
    if found is None:
        raise UserError("This workspace was made from a scene that has no photo, so nothing can be marked on it.")
    return found


async def _marked(workspace: Workspace, change: Callable[[Marking], list[str]]) -> Response:
    """Do a change; the document as it is then, and notes."""
    told: list[str] = []
    return await changing(workspace, lambda: told.extend(change(_marking(workspace))), told=told)


async def change_marks(request: Request, workspace: Workspace) -> Response:
    """One change of what is marked."""
    body = await json_of(request)
    base, change = value_of(body, "base", int), value_of(body, "change", dict)
    return await _marked(workspace, lambda marking: marking.change(base, change))


def _base(request: Request) -> int:
    base = request.query_params.get("base", "")
    if not base.isdecimal() or len(base) > 18:
        raise RefusedError(400, "The request does not say which revision it was made from.")
    return int(base)


async def painted(request: Request, workspace: Workspace) -> Response:
    """A mask as a person painted it."""
    base, id_ = _base(request), request.query_params.get("object")
    picture = await body_of(request, MASK_BYTES, "mask")
    return await _marked(workspace, lambda marking: marking.paint(base, id_, picture))


async def _with_file(
    request: Request, workspace: Workspace, most: int, what: str, change: Callable[[Marking, Path], list[str]]
) -> Response:
    """A change with a file, which lies in a folder of its own under the name that the person has given it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / plain_name(request, what)
        await body_to_file(request, file, most, what)
        return await _marked(workspace, lambda marking: change(marking, file))


async def mask_file(request: Request, workspace: Workspace) -> Response:
    """A mask's file as one or several new objects."""
    base = _base(request)
    return await _with_file(request, workspace, MASK_BYTES, "mask", lambda m, file: m.bring_mask(base, file))


async def mesh_file(request: Request, workspace: Workspace) -> Response:
    """A mesh for an object."""
    base, id_ = _base(request), request.query_params.get("object", "")
    return await _with_file(request, workspace, MESH_BYTES, "mesh", lambda m, file: m.bring_mesh(base, id_, file))


async def depth_file(request: Request, workspace: Workspace) -> Response:
    """A depth map of the photo."""
    base = _base(request)
    return await _with_file(request, workspace, DEPTH_BYTES, "depth map", lambda m, file: m.bring_depth(base, file))


async def mask(request: Request, workspace: Workspace) -> Response:
    """What is shown of an object: white, transparent elsewhere."""

    def found() -> bytes:
        try:
            return _as_png(_marking(workspace).mask(request.path_params["object"]))
        except UserError:
            raise not_found("mask") from None

    return Response(await run_in_threadpool(found), media_type="image/png", headers=_FOR_EVER)


def _as_png(shown: Mask) -> bytes:
    """`(H, W)` bool as a PNG file."""
    buffer = io.BytesIO()
    alpha = shown.astype(np.uint8) * 255
    Image.fromarray(np.stack([np.full_like(alpha, 255), alpha], axis=-1), "LA").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


async def choices(request: Request, workspace: Workspace) -> Response:
    """What there is on this machine; the photo is looked at meanwhile, so that the first box is answered sooner."""
    environments = studio_of(request).activity.lifter

    def warm_up() -> None:
        with suppress(UserError):  # told to who draws a box
            _marking(workspace).warm_up()

    asked = run_in_threadpool(marking_choices, environments)
    found, _ = await asyncio.gather(asked, run_in_threadpool(warm_up))
    return JSONResponse(found)


async def estimate(request: Request, workspace: Workspace) -> Response:
    """The camera as the photo tells it."""
    return JSONResponse(await run_in_threadpool(lambda: _marking(workspace).estimate()))


async def lens(request: Request, workspace: Workspace) -> Response:
    """What drawn lines say of the camera; nothing is saved."""
    body = await json_of(request)

    def told() -> dict[str, Any]:
        width, height = _marking(workspace).file_size
        try:
            drawn = typed(DrawnLines, {**body, "width": width, "height": height}, "lines")
        except ValueError as error:
            raise RefusedError(400, f"These lines are not understood ({error}).") from error
        found = solve_lens(drawn)
        seen = Intrinsics.from_focal(width, height, found.focal)
        return {
            "focal": found.focal,
            "pitch": found.pitch,
            "roll": found.roll,
            "focalFrom": found.focal_from,
            "horizon": horizon_of(seen, found.pitch, found.roll),
            "notes": found.notes,
        }

    return JSONResponse(await run_in_threadpool(told))


async def horizon(request: Request, workspace: Workspace) -> Response:
    """Where the horizon of a camera crosses the photo's left and right edge."""
    body = await json_of(request)
    focal, pitch, roll = (value_of(body, name, float) for name in ("focal", "pitch", "roll"))
    if not (1 <= focal < 1e6 and abs(pitch) < 89 and abs(roll) < 89):
        raise RefusedError(400, "A focal length lies above 1 pixel, a pitch and a roll within 89°.")

    def found() -> dict[str, Any]:
        return {"horizon": horizon_of(Intrinsics.from_focal(*_marking(workspace).file_size, focal), pitch, roll)}

    return JSONResponse(await run_in_threadpool(found))


async def stop(request: Request, workspace: Workspace) -> Response:
    """Give up what the photo is looked at for."""
    await run_in_threadpool(lambda: _marking(workspace).cutter.stop())
    return JSONResponse({})


def start_lift(activity: Activity, workspace: Workspace, options: dict[str, Any]) -> Job:
    """Queue the lift of what is marked now; a double click, or a second page, gets the one that is under way.

    Raises:
        UserError: nothing is marked.
    """
    document, marking = workspace.document, _marking(workspace)
    told = start_options(document, marking.photo, activity.lifter)
    for other in activity.runner.of(workspace.id):
        if other.kind == "lift" and other.state in ("queued", "running") and other.options == told:
            return other

    def finish(result: Any) -> None:
        job.notes += take_in(document, result["guess"])

    job = Job(
        workspace=workspace.id,
        folder=workspace.folder,
        kind="lift",
        title="Lift",
        options=told,
        revision=document.revision,
        finish=finish,
    )
    activity.runner.submit(job)
    threading.Thread(target=marking.rest, daemon=True).start()  # a question that it works on is answered first
    return job


def marking_routes() -> list[Route]:
    """All of them."""
    return [
        in_workspace("objects", change_marks, "POST"),
        in_workspace("objects/painted", painted, "POST"),
        in_workspace("objects/mask", mask_file, "POST"),
        in_workspace("objects/mesh", mesh_file, "POST"),
        in_workspace("objects/depth", depth_file, "POST"),
        in_workspace("objects/masks/{object}/{version}.png", mask),
        in_workspace("objects/choices", choices),
        in_workspace("objects/estimate", estimate),
        in_workspace("objects/lens", lens, "POST"),
        in_workspace("objects/stop", stop, "POST"),
        in_workspace("objects/horizon", horizon, "POST"),
    ]
