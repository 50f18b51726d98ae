"""Requests of the page: which are let in, and how their bodies are read; and refusals as answers.

Every request carries the token in its path and comes to one of the server's own names from the server's own page. So no
other page, no other host name that leads here and no other program of the machine gets in.
"""

from __future__ import annotations

import hmac
import sys
import traceback
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from real2sam2real.errors import NoRoomError, UserError, first_line
from real2sam2real.files import why_no_room
from real2sam2real.studio.errors import RefusedError
from real2sam2real.workfolder.json_values import parse_json

T = TypeVar("T")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
MOST_JSON_BYTES = 4_000_000
HEADERS = {
    # three.js reads the pictures inside a GLB through blob: addresses.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self' blob: data:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Gate:
    """Lets in what has the token and comes from the server's own page; all else is refused before it is looked at.

    Args:
        app: what is behind it, which sees paths without the token.
        token: the first part of every path.
        hosts: the names and ports by which the server may be called, such as "127.0.0.1:8016".
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Collection[str]) -> None:
        self.app, self.token, self.hosts = app, token.encode(), {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web socket is ours
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        guarded = _with_headers(send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, guarded)
            return
        path = "/" + scope["path"][1:].partition("/")[2]
        await self.app({**scope, "path": path, "raw_path": path.encode()}, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = [(name.lower(), value.decode("latin-1").lower()) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            return _refused(403, "This server answers to its own address alone; open the address that it printed.")
        head, slash, _ = scope["path"][1:].partition("/")
        if not hmac.compare_digest(head.encode(), self.token):
            return _refused(403, "The address lacks the server's token; open the one that r2s2r studio printed.")
        origins = [value for name, value in headers if name == b"origin"]
        sites = [value for name, value in headers if name == b"sec-fetch-site"]
        if any(origin != f"http://{hosts[0]}" for origin in origins) or set(sites) - {"same-origin", "none"}:
            return _refused(403, "Another page asked for this; only the studio's own may.")
        if scope["method"] not in METHODS:
            return _refused(405, f"{scope['method'][:20]} is not understood here.")
        if not slash:  # relative addresses need the slash
            return Response(status_code=307, headers={"Location": f"/{self.token.decode()}/"})
        return None


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.lower().encode() not in present]
            if b"cache-control" not in present:
                more.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sending


async def body_of(request: Request, most: int, what: str) -> bytes:
    """A body of at most so many bytes; reading stops where it is longer.

    Raises:
        RefusedError: it is longer.
    """
    return b"".join([part async for part in limited(request, most, what)])


async def body_to_file(request: Request, path: Path, most: int, what: str) -> None:
    """Write a body of at most so many bytes to a file.

    Raises:
        RefusedError: it is longer.
    """
    with path.open("wb") as file:
        async for part in limited(request, most, what):
            await run_in_threadpool(file.write, part)


def plain_name(request: Request, other: str) -> str:
    """The name that a person has given to a file, safe as one here; `other` where there is none."""
    name = unquote(request.headers.get("x-name", other))
    return "".join(c if c.isalnum() or c in " _-." else "_" for c in Path(name).name)[-80:].lstrip(". ") or other


async def limited(request: Request, most: int, what: str) -> Any:
    """The parts of a body, as they come.

    Raises:
        RefusedError: it is longer than so many bytes.
    """
    refusal = RefusedError(413, f"This {what} is too large; up to {most / 1e6:g} MB are taken.")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > most:
        raise refusal
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise refusal
        yield part


async def json_of(request: Request, most: int = MOST_JSON_BYTES) -> dict[str, Any]:
    """A body of JSON, which must be an object.

    Raises:
        RefusedError: it is something else, or too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(400, f"The request's body is '{kind[:60]}'; application/json is understood.")
    try:
        value = parse_json(await body_of(request, most, "request"), finite=True)
    except ValueError as error:
        raise RefusedError(
            400, f"The request's body is no JSON that is read here ({first_line(error)[:120]})."
        ) from error
    if not isinstance(value, dict):
        raise RefusedError(400, "The request's body is no JSON object.")
    return value


def value_of(body: dict[str, Any], name: str, kind: type[T]) -> T:
    """A value of a request.

    Raises:
        RefusedError: it is missing, or of another type.
    """
    value = body.get(name)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise RefusedError(
            400, f"The request's '{name}' is {str(value)[:60]!r}; it must be {_KINDS.get(kind, 'something else')}."
        )
    return value


_KINDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "a text", dict: "an object", list: "a list"}


def answer_to(error: Exception) -> Response:
    """The answer in place of one that could not be given."""
    if isinstance(error, RefusedError):
        return JSONResponse({"error": str(error), **error.more}, error.status)
    reason = why_no_room(error)
    if isinstance(error, NoRoomError) or reason:
        told = (
            str(error) if isinstance(error, NoRoomError) else f"A file could not be written: {reason}. Free some space."
        )
        return JSONResponse({"error": told}, 507)
    if isinstance(error, UserError):
        return JSONResponse({"error": str(error)}, 422)
    if isinstance(error, MemoryError):
        return JSONResponse({"error": "There is not enough memory for this."}, 507)
    traceback.print_exception(error, file=sys.stderr)
    told = f"unexpected {type(error).__name__}; the terminal that runs r2s2r studio shows where. Nothing saved is lost."
    return JSONResponse({"error": told}, 500)


Endpoint = Callable[[Request], Awaitable[Response]]


def answering(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose errors become answers."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:
            return answer_to(error)

    return guarded
