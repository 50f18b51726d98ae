"""News for the pages that are open, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse

from real2sam2real.studio.document import StudioDocument

_ALIVE_SECONDS = 10.0  # a line of nothing this often, so that a page that has left is noticed


def event_stream(document: StudioDocument, ending: asyncio.Event) -> StreamingResponse:
    """All that `document.tell` sends, until the page leaves or the server ends."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def listen(event: str, values: Any) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, (event, values))

    async def stream() -> AsyncIterator[str]:
        document.listeners.append(listen)
        ended = asyncio.create_task(ending.wait())
        news = asyncio.create_task(queue.get())
        try:
            yield _line("document", {"revision": document.revision})
            while not ending.is_set():
                done, _ = await asyncio.wait({news, ended}, timeout=_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if news in done:
                    heard = news.result()
                    news = asyncio.create_task(queue.get())
                    yield _line(*heard)
                else:
                    yield ":\n\n"
        finally:  # the page leaves while both wait
            news.cancel()
            ended.cancel()
            document.listeners.remove(listen)

    return StreamingResponse(stream(), media_type="text/event-stream")


def _line(event: str, values: Any) -> str:
    return f"event: {event}\ndata: {json.dumps(values)}\n\n"
