"""The studio's web application: what is at which address, and the process that serves it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import resources
from pathlib import Path
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import real2sam2real
from real2sam2real.errors import UserError
from real2sam2real.rendering.preview import emptied_photo
from real2sam2real.scene.scene import Scene
from real2sam2real.studio.errors import RefusedError, not_found
from real2sam2real.studio.events import event_stream
from real2sam2real.studio.making_routes import making_routes
from real2sam2real.studio.marking_routes import MASK_BYTES, MESH_BYTES, marking_routes
from real2sam2real.studio.photo import as_png, working_photo_png
from real2sam2real.studio.requests import body_to_file, json_of
from real2sam2real.studio.rest import moved_vertices, rest_glb
from real2sam2real.studio.routing import Studio, at, document_answer, in_workspace, studio_of
from real2sam2real.studio.scene_routes import scene_routes
from real2sam2real.studio.shot_routes import shot_routes
from real2sam2real.studio.vocabulary import vocabulary
from real2sam2real.studio.workspaces import Workspace

PHOTO_BYTES = 200_000_000
PAGE_FILES = {"index.html": "text/html", "studio.js": "text/javascript", "studio.css": "text/css"}
_LOOK_SECONDS = 0.5
_KEPT_GLBS = 4
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


async def page_file(request: Request) -> Response:
    """A file of the built page, by a fixed list of names."""
    name = request.path_params.get("name", "index.html")
    if name not in PAGE_FILES:
        raise RefusedError(404, "There is no such file.")
    path = resources.files(real2sam2real) / "assets" / "studio" / name
    if not path.is_file():
        raise RefusedError(404, "The page is not built; run 'npm install' and 'npm run build' in the folder studio.")
    return Response(await run_in_threadpool(path.read_bytes), media_type=PAGE_FILES[name])


async def status(request: Request) -> Response:
    """What the start screen shows."""
    studio = studio_of(request)
    limits = {"photoBytes": PHOTO_BYTES, "meshBytes": MESH_BYTES, "maskBytes": MASK_BYTES}
    rows = await run_in_threadpool(studio.workspaces.listed)
    return JSONResponse(
        {"version": real2sam2real.__version__, "workspaces": rows, "open": studio.opened, "limits": limits}
    )


async def words(request: Request) -> Response:
    """The words of a shot file."""
    return JSONResponse(vocabulary())


async def create(request: Request) -> Response:
    """A workspace of a photo that the page sends."""
    name = unquote(request.headers.get("x-name", "photo"))[:200]
    with tempfile.TemporaryDirectory() as folder:
        suffix = Path(name).suffix
        path = Path(folder) / f"photo{suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) < 8 else ''}"
        await body_to_file(request, path, PHOTO_BYTES, "photo")
        return JSONResponse({"id": await run_in_threadpool(studio_of(request).workspaces.create, path, name)})


async def document(request: Request, workspace: Workspace) -> Response:
    """The document."""
    return await document_answer(workspace)


async def keep_page(request: Request, workspace: Workspace) -> Response:
    """Keep what the page wants to find again."""
    values = await json_of(request)
    await run_in_threadpool(workspace.document.keep_page, values)
    return JSONResponse({})


async def photo(request: Request, workspace: Workspace) -> Response:
    """The photo at the size that all stages use."""
    return Response(await run_in_threadpool(working_photo_png, workspace), media_type="image/png")


async def scene_glb(request: Request, workspace: Workspace) -> Response:
    """The scene at rest."""
    studio, name = studio_of(request), request.path_params["scene"]
    if name not in {state.scene for state in workspace.document.history.states}:
        raise not_found("scene")

    def written() -> bytes:
        with studio.lock:
            if name not in studio.glbs:
                studio.glbs[name] = rest_glb(workspace.document.scene_called(name)[0])
            studio.glbs.move_to_end(name)
            while len(studio.glbs) > _KEPT_GLBS:
                studio.glbs.popitem(last=False)
            return studio.glbs[name]

    return Response(await run_in_threadpool(written), media_type="model/gltf-binary", headers=_FOR_EVER)


async def emptied_photo_png(request: Request, workspace: Workspace) -> Response:
    """The photo without the objects of a scene, which stands behind them when they are moved."""
    name = request.path_params["scene"]
    if name not in {state.scene for state in workspace.document.history.states}:
        raise not_found("scene")
    scene = workspace.document.scene_called(name)[0]
    pixels = await run_in_threadpool(emptied_photo, scene)
    return Response(await run_in_threadpool(as_png, pixels), media_type="image/png", headers=_FOR_EVER)


async def vertices(request: Request, workspace: Workspace) -> Response:
    """The vertices of an entity that deforms, at every frame."""
    name = request.path_params["name"]

    def found() -> bytes:
        directed = at_revision(workspace, request.path_params["revision"])
        entity = next((each for each in directed.entities if each.name == name), None)
        moved = None if entity is None else moved_vertices(entity)
        if moved is None:
            raise not_found("entity that deforms")
        return moved.astype("<f4").tobytes()

    return Response(await run_in_threadpool(found), media_type="application/octet-stream", headers=_FOR_EVER)


def at_revision(workspace: Workspace, revision: int) -> Scene:
    """The directed scene, if the document still is at a revision.

    Raises:
        RefusedError: it went on, or nothing can be shown.
    """
    with workspace.document.lock:
        if revision != workspace.document.revision:
            raise RefusedError(404, f"Revision {revision} is past; the document is at {workspace.document.revision}.")
        directed, problem = workspace.document.directed()
    if directed is None:
        raise RefusedError(404, problem or "There is no scene yet.")
    return directed


async def events(request: Request, workspace: Workspace) -> Response:
    """News of the document, of jobs and of takes."""
    return event_stream(workspace.document, studio_of(request).ending)


def routes() -> list[Route]:
    """All addresses, without the token before them."""
    return [
        at("/", page_file),
        at("/api/status", status),
        at("/api/vocabulary", words),
        at("/api/workspaces", create, "POST"),
        in_workspace("document", document),
        *shot_routes(),
        *scene_routes(),
        in_workspace("page", keep_page, "PUT"),
        in_workspace("photo.png", photo),
        in_workspace("scene/{scene}.glb", scene_glb),
        in_workspace("scene/{scene}/emptied.png", emptied_photo_png),
        in_workspace("vertices/{revision:int}/{name}.bin", vertices),
        in_workspace("events", events),
        *making_routes(),
        *marking_routes(),
        at("/{name}", page_file),
    ]


def build_app(studio: Studio) -> Starlette:
    """The application behind the gate."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        studio.ending, studio.loop = asyncio.Event(), asyncio.get_running_loop()
        watch = asyncio.create_task(_watch(studio))
        try:
            yield
        finally:
            studio.ending.set()
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            studio.activity.close()
            studio.workspaces.close()

    async def nowhere(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": "There is nothing at this address."}, 404)

    async def not_so(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": f"{request.method} is not what this address takes."}, 405)

    app = Starlette(routes=routes(), lifespan=lifespan, exception_handlers={404: nowhere, 405: not_so})
    app.state.studio = studio
    return app


async def _watch(studio: Studio) -> None:
    """Take in what others change on disk."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        for workspace in studio.workspaces.open():
            with suppress(UserError, OSError):  # told when somebody asks
                await run_in_threadpool(workspace.document.take_outside, patient=True)
