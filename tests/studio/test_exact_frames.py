"""Frames of the studio are those of the command line, to the byte; and they go with the document."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from real2sam2real.cli.render import RenderCommand
from real2sam2real.control.reading import read_control
from real2sam2real.run.options import ShotOptions
from tests.studio.pages import Page


def picture(page: Page, revision: int, number: int, view: str, size: str = "control") -> np.ndarray:
    answer = page.raw("GET", f"api/w/{page.id}/frame/{revision}/{number}.png?view={view}&size={size}")
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_frames_are_those_that_render_writes(page: Page, tmp_path: Path) -> None:
    first = page.document()
    shot = {
        **first["shot"],
        "frames": 9,
        "camera": [{"orbit": "10 deg", "around": "car"}],
        "entities": {"car": [{"right": "0.5"}]},
    }
    edited = page.edit(first["revision"], shot)
    (workspace,) = page.studio.workspaces.open()
    folder = workspace.folder
    options = ShotOptions(shot=folder / "shot.yaml")
    RenderCommand(scene=folder / "scene", out=tmp_path / "control", shot=options, size="64x48").execute()
    control = read_control(tmp_path / "control")
    for number in (0, 4, 8):
        for view in ("normals", "ids"):
            mine = picture(page, edited["revision"], number, view, "64x48")
            np.testing.assert_array_equal(mine, getattr(control, view)[number])
    assert len(np.unique(control.ids)) == 3


def test_views_and_sizes(page: Page) -> None:
    revision = page.document()["revision"]
    assert picture(page, revision, 0, "preview", "preview").shape == (48, 64, 3)
    photo = np.asarray(Image.open(io.BytesIO(page.raw("GET", f"api/w/{page.id}/photo.png").content)))
    np.testing.assert_array_equal(picture(page, revision, 0, "preview", "preview"), photo)
    assert picture(page, revision, 0, "shaded", "32x24").shape == (24, 32, 3)


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("0/0.png", 404, "Revision 0 is past"),
        ("1/99.png", 422, "Frame 99 is outside the shot's frames 0…48"),
        ("1/0.png?view=x", 422, "There is no view 'x'"),
        ("1/0.png?size=1x1", 422, "outside 16…8192"),
        ("1/0.png?size=big", 422, "not understood"),
        ("1/-1.png", 404, "nothing at this address"),
    ],
)
def test_frames_that_there_are_not(page: Page, query: str, status: int, message: str) -> None:
    page.document()
    answer = page.raw("GET", f"api/w/{page.id}/frame/{query}")
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
