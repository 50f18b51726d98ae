"""What the studio's tests share: a small scene on disk, a page that is open on it, and jobs for tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from real2sam2real.run.demo import demo_folder
from real2sam2real.scene.folder import save_scene
from real2sam2real.studio.workspaces import Workspace
from tests.studio.browser import RunningStudio, Tab, running_browser, running_studio, tabs_of
from tests.studio.pages import Page, open_page, two_boxes
from tests.studio.photo_page import PhotoTab


@pytest.fixture(scope="session")
def scene_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "street"
    save_scene(two_boxes(), folder)
    return folder


@pytest.fixture
def page(scene_folder: Path, tmp_path: Path) -> Iterator[Page]:
    with open_page(tmp_path / "studio", scene_folder) as opened:
        yield opened


@pytest.fixture
def job_program(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a job's program with kinds of jobs for tests."""
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    )
    return "job_program"


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("studio")) as found:
        yield found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    with running_browser() as found:
        yield found


@pytest.fixture
def open_tab(running: RunningStudio, chromium: Any) -> Iterator[Callable[[Workspace], Tab]]:
    with tabs_of(running, chromium) as found:
        yield found


@pytest.fixture
def photo_tab(running: RunningStudio, chromium: Any, tmp_path: Path) -> Iterator[PhotoTab]:
    """The page of the demo's photo with nothing marked."""
    workspace = running.workspace(demo_folder() / "photo.jpg", tmp_path / "workspace")
    tab = PhotoTab(chromium.new_page(viewport={"width": 1280, "height": 800}), workspace)
    tab.open(running.address)
    yield tab
    tab.page.close()
    assert not tab.errors


@pytest.fixture
def tab(running: RunningStudio, open_tab: Callable[[Workspace], Tab], scene_folder: Path, tmp_path: Path) -> Tab:
    """The page of a fresh workspace of the two boxes."""
    return open_tab(running.workspace(scene_folder, tmp_path / "workspace"))
