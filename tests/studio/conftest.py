"""What the studio's tests share: a small scene on disk, a page that is open on it, and jobs for tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from real2sam2real.scene.folder import save_scene
from tests.studio.pages import Page, open_page, two_boxes


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
