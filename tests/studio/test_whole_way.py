"""The whole way by hand, in real Chromium: box, lift, a handle, camera keys; then what the command line makes of it."""

import io
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from real2sam2real.cli.render import RenderCommand
from real2sam2real.control.reading import read_control
from real2sam2real.run.options import ShotOptions
from tests.studio.browser import RunningStudio
from tests.studio.photo_page import PhotoTab
from tests.studio.test_editing import hover_handle
from tests.studio.test_marking_page import BOX
from tests.studio.test_timeline import resting_view

SIZE = "384x256"


def exact(running: RunningStudio, tab: PhotoTab, frame: int, view: str) -> np.ndarray:
    """A frame as the studio's server draws it."""
    place = f"api/w/{tab.workspace.id}/frame/{tab.workspace.document.revision}/{frame}.png"
    with urllib.request.urlopen(f"{running.address}{place}?view={view}&size={SIZE}") as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())))


@pytest.mark.slow
def test_a_shot_made_by_hand_is_what_the_command_line_renders(
    running: RunningStudio, photo_tab: PhotoTab, tmp_path: Path
) -> None:
    tab = photo_tab
    tab.drag(tab.at(*BOX[:2]), tab.at(*BOX[2:]))
    tab.changed(2)
    tab.role("button", "Lift 1 object").click()
    tab.role("img", "Scene").wait_for()
    tab.until("window.studioTest?.names().length > 0")
    tab.role("treeitem", "cup").click()
    at = hover_handle(tab, "cup", (1, 0, 0), "X")
    tab.drag(at, (at[0] + 60, at[1] + 10))
    tab.saved(4)
    tab.role("treeitem", "Camera").click()
    tab.page.keyboard.press("v")
    for frame, right in ((16, 40), (48, -90)):
        tab.page.evaluate(f"studioTest.goTo({frame})")
        tab.drag((500, 200), (500 + right, 210))
        resting_view(tab)
        tab.page.keyboard.press("k")
        tab.page.wait_for_timeout(200)
    tab.saved(6)

    folder = tab.workspace.folder
    options = ShotOptions(shot=folder / "shot.yaml")
    RenderCommand(scene=folder / "scene", out=tmp_path / "control", shot=options, size=SIZE).execute()
    control = read_control(tmp_path / "control")
    assert control.frames == 49
    assert np.abs(control.normals[0].astype(int) - control.normals[48]).mean() > 1
    for frame in (0, 24, 48):
        np.testing.assert_array_equal(exact(running, tab, frame, "normals"), control.normals[frame])
        np.testing.assert_array_equal(exact(running, tab, frame, "ids"), control.ids[frame])
