"""A studio that serves in this process, and real Chromium looking at it."""

import base64
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from real2sam2real.arrays import Float, UInt8
from real2sam2real.studio.requests import Gate
from real2sam2real.studio.routing import Studio
from real2sam2real.studio.server import build_app
from real2sam2real.studio.serving import _listening
from real2sam2real.studio.workspaces import Workspace, Workspaces

TOKEN = "the-token"
# WebGL without a graphics card.
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_READ_VIEW = """([view, width, height]) => {
  const rows = studioTest.readView(view, width, height);
  let text = "";
  for (let at = 0; at < rows.length; at += 8192) text += String.fromCharCode(...rows.subarray(at, at + 8192));
  return btoa(text);
}"""
PATIENCE = 60_000  # ms, on a busy machine
SIZE, EMPTY = {"width": 1280, "height": 800}, "about:blank"


@dataclass(frozen=True, kw_only=True)
class RunningStudio:
    """A server and the address of its page."""

    studio: Studio
    address: str

    def workspace(self, target: Path, folder: Path) -> Workspace:
        """A new workspace of a target."""
        return self.studio.workspaces.get(self.studio.workspaces.add(target, folder))


@contextmanager
def running_studio(home: Path) -> Iterator[RunningStudio]:
    """A server of the built page; skips where the page is not built."""
    if not (resources.files("real2sam2real") / "assets" / "studio" / "studio.js").is_file():
        pytest.skip("the studio's page is not built; run 'npm install' and 'npm run build' in the folder studio")
    studio = Studio(workspaces=Workspaces(home), previews=False)  # which would take the processor from the tests
    with _listening("127.0.0.1", None) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        gate = Gate(build_app(studio), token=TOKEN, hosts=[host])
        server = uvicorn.Server(uvicorn.Config(gate, log_config=None, access_log=False, ws="none", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield RunningStudio(studio=studio, address=f"http://{host}/{TOKEN}/")
        finally:
            server.should_exit = True
            studio.end()
            thread.join(10)


@contextmanager
def running_browser() -> Iterator[Any]:
    """Debian's Chromium by Playwright's driver; skips where either is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is missing")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


class Tab:
    """The page of one workspace in the browser."""

    def __init__(self, page: Any, workspace: Workspace) -> None:
        self.page, self.workspace = page, workspace
        self.errors: list[str] = []
        page.on("pageerror", self._failed)
        page.set_default_timeout(PATIENCE)

    def _failed(self, error: Any) -> None:
        self.errors.append(str(error))

    def leave(self) -> None:
        """Leave an empty page, with nothing of this test, for the next one."""
        self.page.remove_listener("pageerror", self._failed)
        self.page.unroute_all()
        self.page.mouse.move(0, 0)
        self.page.goto(EMPTY)

    def open(self, address: str) -> None:
        """Go to the workspace's scene, and wait until it is drawn."""
        self.page.goto(f"{address}#w={self.workspace.id}")
        self.until("window.studioTest?.names().length > 0")

    def until(self, condition: str) -> None:
        """Wait for a condition in JavaScript; asked from here, because the page's policy lets no text be run in it."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"the page never came to: {condition}"
            self.page.wait_for_timeout(30)

    def role(self, role: str, name: str, *, exact: bool = True) -> Any:
        """What is there by its role and accessible name."""
        return self.page.get_by_role(role, name=name, exact=exact)

    def saved(self, revision: int) -> None:
        """Wait until the document has this revision and the page has no change under way."""
        self.reached(revision)
        self.role("status", "Save state").filter(has_text="Saved").wait_for()

    def reached(self, revision: int) -> None:
        """Wait until the document has this revision, and see that it has no later one."""
        deadline = time.monotonic() + PATIENCE / 1000
        while self.workspace.document.revision < revision and time.monotonic() < deadline:
            self.page.wait_for_timeout(30)
        assert self.workspace.document.revision == revision

    def on_page(self, point_world: Any) -> tuple[float, float]:
        """Where a point of the world is on the page, in CSS pixels."""
        x, y = self.page.evaluate("at => studioTest.onPage(...at)", [float(value) for value in point_world])
        return x, y

    def pose(self, name: str) -> Float:
        """`(4, 4)` world from entity, as it is drawn."""
        found = self.page.evaluate("name => studioTest.pose(name)", name)
        return np.array(found).reshape(4, 4).T

    def view(self, view: str, frame: int, width: int, height: int) -> UInt8:
        """`(H, W, 3)` uint8 of a view at a frame."""
        self.page.evaluate("frame => studioTest.goTo(frame)", frame)
        found = self.page.evaluate(_READ_VIEW, [view, width, height])
        return np.frombuffer(base64.b64decode(found), np.uint8).reshape(height, width, 4)[..., :3]

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 6) -> None:
        """Drag with the left button."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(*end, steps=steps)
        mouse.up()

    def shot_text(self) -> str:
        """The shot file."""
        return (self.workspace.folder / "shot.yaml").read_text(encoding="utf-8")


@contextmanager
def tabs_of(running: RunningStudio, browser: Any) -> Iterator[Callable[[Workspace], Tab]]:
    """Opens workspaces, each in a page of its own; none may have met an error.

    Pages that earlier tests have left are used again: everything is loaded anew, in half the processor time.
    """
    tabs: list[Tab] = []

    def opened(workspace: Workspace) -> Tab:
        left = (page for context in browser.contexts for page in context.pages)
        page = next((page for page in left if page.url == EMPTY and page.viewport_size == SIZE), None)
        tab = Tab(page or browser.new_page(viewport=SIZE), workspace)
        tabs.append(tab)
        tab.open(running.address)
        return tab

    yield opened
    for tab in tabs:
        tab.leave()
    assert not [error for tab in tabs for error in tab.errors]
