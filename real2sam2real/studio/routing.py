"""What every address of the studio shares: the server's state, the workspace that it names, answers and refusals."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from real2sam2real.lifting.options import LifterOptions
from real2sam2real.studio.activity import Activity
from real2sam2real.studio.errors import RefusedError
from real2sam2real.studio.messages import document_data
from real2sam2real.studio.requests import answering
from real2sam2real.studio.workspaces import Workspace, Workspaces


@dataclass(kw_only=True)
class Studio:
    """A server's state."""

    workspaces: Workspaces
    opened: str | None = None  # id of the workspace that the command named
    lifter: LifterOptions = field(default_factory=LifterOptions)  # where lifters of other environments run
    previews: bool = True  # whether previews follow the documents by themselves
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    glbs: OrderedDict[str, bytes] = field(default_factory=OrderedDict)  # by the ids of scenes
    lock: threading.Lock = field(default_factory=threading.Lock)
    loop: asyncio.AbstractEventLoop | None = None
    activity: Activity = field(init=False)

    def __post_init__(self) -> None:
        self.activity = Activity(self.workspaces, lifter=self.lifter, previews=self.previews)

    def end(self) -> None:
        """Let streams end; called when the process is asked to."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.ending.set)


def studio_of(request: Request) -> Studio:
    """The server's state."""
    studio: Studio = request.app.state.studio
    return studio


async def workspace_of(request: Request) -> Workspace:
    """The workspace that an address names, opened if need be."""
    studio = studio_of(request)

    def opened() -> Workspace:
        workspace = studio.workspaces.get(request.path_params["id"])
        studio.activity.previews_of(workspace)
        return workspace

    return await run_in_threadpool(opened)


def at(path: str, endpoint: Callable[[Request], Awaitable[Response]], *methods: str) -> Route:
    """A route whose errors become answers; for GET unless methods are given."""
    return Route(path, answering(endpoint), methods=list(methods or ("GET",)))


def in_workspace(path: str, endpoint: Callable[[Request, Workspace], Awaitable[Response]], *methods: str) -> Route:
    """A route below a workspace's address; the endpoint is given the workspace."""

    async def found(request: Request) -> Response:
        return await endpoint(request, await workspace_of(request))

    return at(f"/api/w/{{id}}/{path}", found, *methods)


async def document_answer(workspace: Workspace, **more: Any) -> Response:
    """The document as it is now, with more keys beside it."""
    found = await run_in_threadpool(document_data, workspace)
    return JSONResponse({**found, **more})


async def changing(workspace: Workspace, change: Callable[[], object], **more: Any) -> Response:
    """Do a change in a thread; answers with the document, also where it went on meanwhile.

    `more` are further keys of the answer, which the change may fill.
    """
    await refusing(workspace, change)
    return await document_answer(workspace, **more)


async def refusing(workspace: Workspace, work: Callable[[], object]) -> None:
    """Do something in a thread; a refusal because the document went on carries the document.

    Raises:
        RefusedError: it went on, or the work is refused.
    """
    try:
        await run_in_threadpool(work)
    except RefusedError as refusal:
        if refusal.status == 409:
            refusal.more["document"] = await run_in_threadpool(document_data, workspace)
        raise
