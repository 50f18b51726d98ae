"""Addresses of jobs, of what they make, and of takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from real2sam2real.errors import UserError
from real2sam2real.studio import takes
from real2sam2real.studio.activity import Activity
from real2sam2real.studio.downloads import download
from real2sam2real.studio.errors import RefusedError, not_found
from real2sam2real.studio.generate_options import option_schema
from real2sam2real.studio.jobs import Job
from real2sam2real.studio.marking_routes import start_lift
from real2sam2real.studio.requests import json_of, value_of
from real2sam2real.studio.routing import changing, in_workspace, studio_of
from real2sam2real.studio.workspaces import Workspace

STARTERS: dict[str, Callable[[Activity, Workspace, dict[str, Any]], Job]] = {
    "preview": Activity.start_preview,
    "generate": Activity.start_generation,
    "lift": start_lift,
}
"""Kinds of jobs that the page may start, each with what queues it."""
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


def activity_of(request: Request) -> Activity:
    """The jobs of the server."""
    return studio_of(request).activity


async def list_jobs(request: Request, workspace: Workspace) -> Response:
    """The jobs of a workspace."""
    return JSONResponse([job.message() for job in activity_of(request).runner.of(workspace.id)])


async def start_job(request: Request, workspace: Workspace) -> Response:
    """Queue a job."""
    body, activity = await json_of(request), activity_of(request)
    kind, options = value_of(body, "kind", str), body.get("options", {})
    if kind not in STARTERS or not isinstance(options, dict):
        raise RefusedError(400, f"There is no job '{kind[:60]}' with such options.")
    job = await run_in_threadpool(STARTERS[kind], activity, workspace, options)
    return JSONResponse(job.message())


def _job(request: Request, workspace: Workspace) -> Job:
    job = activity_of(request).runner.find(workspace.id, request.path_params["job"])
    if job is None:
        raise not_found("job")
    return job


async def cancel_job(request: Request, workspace: Workspace) -> Response:
    """Stop a job; forget one that has ended."""
    await run_in_threadpool(activity_of(request).runner.cancel, _job(request, workspace))
    return JSONResponse({})


async def job_again(request: Request, workspace: Workspace) -> Response:
    """Go on with a job that was cancelled or failed, from what it has finished."""
    job = await run_in_threadpool(activity_of(request).runner.again, workspace.id, request.path_params["job"])
    if job is None:
        raise not_found("job that ended before it was done")
    return JSONResponse(job.message())


async def job_picture(request: Request, workspace: Workspace) -> Response:
    """The newest picture of what a job makes."""
    path = _job(request, workspace).picture_file
    try:
        if path is None:
            raise FileNotFoundError
        return Response(await run_in_threadpool(path.read_bytes), media_type="image/png")
    except FileNotFoundError:
        raise not_found("picture") from None


async def made(request: Request, workspace: Workspace) -> Response:
    """What the run folder holds."""
    return JSONResponse(await run_in_threadpool(lambda: activity_of(request).previews_of(workspace).made()))


async def switch_previews(request: Request, workspace: Workspace) -> Response:
    """Whether previews are made by themselves."""
    on, keeper = value_of(await json_of(request), "automatic", bool), activity_of(request).previews_of(workspace)
    await run_in_threadpool(keeper.switch, on)
    return JSONResponse(await run_in_threadpool(keeper.made))


async def generate_choices(request: Request, workspace: Workspace) -> Response:
    """What can be chosen about a generation. A verdict is asked for next, and made ready for meanwhile."""

    def ready() -> None:
        with suppress(UserError):  # told when somebody asks
            activity_of(request).verdict(workspace.folder, None)

    threading.Thread(target=ready, daemon=True).start()
    return JSONResponse(await run_in_threadpool(option_schema))


async def verdict(request: Request, workspace: Workspace) -> Response:
    """Whether this machine can do a generation, and how long it may take."""
    body, activity = await json_of(request), activity_of(request)
    frames = workspace.document.shot().frames
    options = {"generate": value_of(body, "generate", dict), "size": body.get("size"), "frames": frames}
    return JSONResponse(await run_in_threadpool(activity.verdict, workspace.folder, options))


async def list_takes(request: Request, workspace: Workspace) -> Response:
    """The shelf."""
    found = await run_in_threadpool(takes.read_takes, workspace.folder)
    return JSONResponse([take.message() for take in found])


def _take(request: Request, workspace: Workspace) -> takes.Take:
    take = takes.find_take(workspace.folder, request.path_params["take"])
    if take is None:
        raise not_found("take")
    return take


async def change_take(request: Request, workspace: Workspace) -> Response:
    """Name a take, or mark it to be kept."""
    body = await json_of(request)
    changes: dict[str, Any] = {
        key: value_of(body, key, kind) for key, kind in (("name", str), ("keep", bool)) if key in body
    }

    def change() -> takes.Take:
        changed = takes.change_take(workspace.folder, _take(request, workspace), **changes)
        activity_of(request).tell_takes(workspace)
        return changed

    return JSONResponse((await run_in_threadpool(change)).message())


async def delete_take(request: Request, workspace: Workspace) -> Response:
    """Take a take from the shelf."""

    def delete() -> None:
        takes.delete_take(workspace.folder, _take(request, workspace))
        activity_of(request).tell_takes(workspace)

    await run_in_threadpool(delete)
    return JSONResponse({})


async def load_take(request: Request, workspace: Workspace) -> Response:
    """Make the shot of a take the document's."""
    base = value_of(await json_of(request), "base", int)

    def load() -> None:
        take = _take(request, workspace)
        shot = takes.read_take_shot(workspace.folder, take)
        workspace.document.commit(f"load the shot of {take.name}", shot=shot, base=base)

    return await changing(workspace, load)


async def take_video(request: Request, workspace: Workspace) -> Response:
    """The video of a take."""
    return await _take_file(request, workspace, takes.VIDEO, "video/mp4")


async def take_poster(request: Request, workspace: Workspace) -> Response:
    """The poster of a take."""
    return await _take_file(request, workspace, takes.POSTER, "image/jpeg")


async def _take_file(request: Request, workspace: Workspace, name: str, kind: str) -> Response:
    take = await run_in_threadpool(_take, request, workspace)
    path = takes.take_file(workspace.folder, take, name)
    if not path.is_file():
        raise not_found(name)
    return FileResponse(path, media_type=kind, headers=_FOR_EVER)


async def file(request: Request, workspace: Workspace) -> Response:
    """A file to download."""
    return await run_in_threadpool(download, workspace, request.path_params["name"])


def making_routes() -> list[Route]:
    """All of them."""
    return [
        in_workspace("jobs", list_jobs),
        in_workspace("jobs", start_job, "POST"),
        in_workspace("jobs/{job}", cancel_job, "DELETE"),
        in_workspace("jobs/{job}/again", job_again, "POST"),
        in_workspace("jobs/{job}/picture", job_picture),
        in_workspace("made", made),
        in_workspace("made", switch_previews, "PUT"),
        in_workspace("generate", generate_choices),
        in_workspace("generate/verdict", verdict, "POST"),
        in_workspace("takes", list_takes),
        in_workspace("takes/{take}", change_take, "PATCH"),
        in_workspace("takes/{take}", delete_take, "DELETE"),
        in_workspace("takes/{take}/load", load_take, "POST"),
        in_workspace("takes/{take}/video.mp4", take_video),
        in_workspace("takes/{take}/poster.jpg", take_poster),
        in_workspace("files/{name}", file),
    ]
