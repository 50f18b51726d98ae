"""What is taken by hand beside an object's own handles, in real Chromium: dots of paths, the camera, joints."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.mesh.skin import Skin
from real2sam2real.scene.folder import load_scene, save_scene
from real2sam2real.scene.shot import load_shot
from real2sam2real.studio.workspaces import Workspace
from tests.studio.browser import RunningStudio, Tab
from tests.studio.pages import two_boxes
from tests.studio.test_editing import hover_handle, on_disk

KEYED = "frames: 17\nentities:\n  car:\n  - keyframes: [{frame: 8, by: [0.5, 0, 0.5]}]\n"


@pytest.fixture
def free(running: RunningStudio, open_tab: Callable[[Workspace], Tab], scene_folder: Path, tmp_path: Path) -> Tab:
    """The page of two boxes with a key of the car, seen from outside."""
    workspace = running.workspace(scene_folder, tmp_path / "workspace")
    workspace.document.commit("Shot", shot=KEYED)
    tab = open_tab(workspace)
    tab.role("treeitem", "Camera").click()
    tab.page.keyboard.press("v")
    tab.page.wait_for_timeout(300)
    return tab


def test_a_dot_of_a_path_is_dragged_along_the_ground(free: Tab) -> None:
    start, by = np.array([-0.5, -1.0, -5.5]), np.array([0.4, 0, 1.0])  # from where the key at frame 8 has the car
    np.testing.assert_allclose(on_disk(free)["car"][8, :3, 3], start, atol=1e-6)
    free.drag(free.on_page(start), free.on_page(start + by))
    free.saved(3)
    moved = on_disk(free)["car"]
    np.testing.assert_allclose(moved[8, :3, 3], start + by, atol=0.05)
    np.testing.assert_allclose(moved[0], two_boxes().entity("car").rest_world_from_object, atol=1e-6)
    assert free.page.get_by_role("slider", name="Playhead").get_attribute("aria-valuenow") == "8"
    assert free.role("treeitem", "car").get_attribute("aria-selected") == "true"


def test_the_camera_is_dragged_by_its_handles(free: Tab) -> None:
    free.page.evaluate("studioTest.goTo(16)")
    free.page.wait_for_timeout(200)
    at = hover_handle(free, "", (1, 0, 0), "X")
    free.drag(at, (at[0] + 50, at[1] + 5))
    free.saved(3)
    camera = load_shot(free.workspace.folder / "shot.yaml").apply(two_boxes()).camera
    moved = camera.world_from_camera[16, :3, 3]
    assert abs(moved[0]) > 0.05
    np.testing.assert_allclose(moved[1:], 0, atol=1e-4)
    np.testing.assert_allclose(camera.world_from_camera[0], np.eye(4), atol=1e-6)  # the photo's own at frame 0


def test_a_joint_is_bent_by_its_slider(
    running: RunningStudio, open_tab: Callable[[Workspace], Tab], tmp_path: Path
) -> None:
    scene = two_boxes()
    man = scene.entity("man")
    upper = (man.mesh.vertices[:, 1] > 0.5).astype(np.float32)
    skin = Skin(
        bones=("hips", "spine"),
        parents=(-1, 0),
        heads=np.array([[0.0, 0, 0], [0.0, 0.5, 0]]),
        weights=np.stack([1 - upper, upper], axis=1),
        axes=np.tile(np.array([[0.0, 0, 1], [0, 1.0, 0], [1.0, 0, 0]]), (2, 1, 1)),
    )
    save_scene(scene.with_entity(replace(man, skin=skin)), tmp_path / "scene")
    tab = open_tab(running.workspace(tmp_path / "scene", tmp_path / "workspace"))
    tab.role("treeitem", "man").click()
    before = tab.view("ids", 48, 160, 120)
    tab.role("slider", "Bend spine").fill("60")
    tab.saved(2)
    shot = load_shot(tab.workspace.folder / "shot.yaml")
    assert shot.to_data()["entities"] == {"man": [{"bend": "spine 60 deg"}]}
    bent = shot.apply(load_scene(tmp_path / "scene")).entity("man")
    assert np.abs(bent.vertices_world(bent.motion.frames - 1) - bent.vertices_world(0)).max() > 0.3
    tab.page.wait_for_timeout(500)  # for the vertices to come
    assert (tab.view("ids", 48, 160, 120) != before).any()  # it is drawn as it is bent
    tab.role("slider", "Bend spine").fill("0")
    tab.saved(3)
    assert load_shot(tab.workspace.folder / "shot.yaml").entities == {}
