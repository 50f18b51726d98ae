"""The timeline and the camera's panel in real Chromium: what the hands do is what the shot file then says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from real2sam2real.scene.shot import load_shot, parse_shot
from real2sam2real.studio.workspaces import Workspace
from tests.studio.browser import RunningStudio, Tab
from tests.studio.pages import two_boxes

SHOT = """
frames: 49
camera:
  - orbit: 30 deg
    around: car
    frames: 10-40
entities:
  car:
    - keyframes:
        - {frame: 12, by: [0.5, 0, 0], turn: 15 deg}
        - {at: 50%, by: [1, 0, -1]}
        - {time: 2.5 s, by: [1.5, 0, -2]}
    - turn: right 20 deg
      seconds: 1-2
"""


@pytest.fixture
def keyed(running: RunningStudio, open_tab: Callable[[Workspace], Tab], scene_folder: Path, tmp_path: Path) -> Tab:
    """The page of two boxes with keys and spans."""
    workspace = running.workspace(scene_folder, tmp_path / "workspace")
    document = workspace.document
    document.commit("Shot", shot=parse_shot(SHOT), base=document.revision)
    tab = open_tab(workspace)
    tab.page.locator(".tl-key[data-frame='12']").first.wait_for()
    return tab


def shot_data(tab: Tab) -> dict[str, Any]:
    """The shot file on disk."""
    return load_shot(tab.workspace.folder / "shot.yaml").to_data()


def car_keys(tab: Tab) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = shot_data(tab)["entities"]["car"][0]["keyframes"]
    return keys


def car_pose(tab: Tab, frame: int) -> np.ndarray:
    """World from the car, by the shot file and by nothing of the studio."""
    directed = load_shot(tab.workspace.folder / "shot.yaml").apply(two_boxes())
    return directed.entity("car").motion.matrices()[frame]


def resting_view(tab: Tab) -> np.ndarray:
    """World from the view's camera, once it has come to rest."""
    before = None
    while before != (now := tab.page.evaluate("studioTest.camera()")):
        before = now
        tab.page.wait_for_timeout(500)
    return np.array(now).reshape(4, 4).T


def middle(tab: Tab, selector: str, nth: int = -1) -> tuple[float, float]:
    found = tab.page.locator(selector)
    box = found.nth(nth if nth >= 0 else found.count() - 1).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def key_at(tab: Tab, frame: int) -> tuple[float, float]:
    """The middle of a key of the car in the row of its keyframes."""
    return middle(tab, f".tl-move .tl-key[data-frame='{frame}']", 0)


def per_frame(tab: Tab) -> float:
    """Pixels of a frame."""
    return (key_at(tab, 24)[0] - key_at(tab, 12)[0]) / 12


def at_revision(tab: Tab) -> int:
    return tab.workspace.document.revision


def test_a_dragged_key_keeps_its_unit_and_is_one_step_of_undo(keyed: Tab) -> None:
    before, (x, y) = at_revision(keyed), key_at(keyed, 24)
    keyed.drag((x, y), (x + 5 * per_frame(keyed), y + 2), steps=9)
    keyed.saved(before + 1)
    assert [key["time"] for key in car_keys(keyed)] == ["12 frames", "60.4167%", "2.5 s"]
    assert car_keys(keyed)[1]["by"] == "(1 units, 0 units, -1 units)"
    keyed.page.keyboard.press("Control+z")
    keyed.saved(before + 2)
    assert car_keys(keyed)[1]["time"] == "50%"


def test_a_box_picks_three_keys_that_move_together(keyed: Tab) -> None:
    before, step, (x, y) = at_revision(keyed), per_frame(keyed), key_at(keyed, 12)
    end = key_at(keyed, 40)
    keyed.drag((x - 20, y - 9), (end[0] + 20, end[1] + 9))
    assert keyed.page.locator(".tl-move .tl-key.is-picked").count() == 3
    keyed.drag((x, y), (x - 4 * step, y))
    keyed.saved(before + 1)
    assert [key["time"] for key in car_keys(keyed)] == ["8 frames", "41.6667%", "2.25 s"]
    assert keyed.page.locator(".tl-move .tl-key.is-picked").count() == 3


def test_keys_are_copied_pasted_at_the_playhead_and_deleted(keyed: Tab) -> None:
    before = at_revision(keyed)
    keyed.page.mouse.click(*key_at(keyed, 12))
    keyed.page.keyboard.press("Control+c")
    keyed.page.evaluate("studioTest.goTo(30)")
    keyed.page.keyboard.press("Control+v")
    keyed.saved(before + 1)
    assert [key["time"] for key in car_keys(keyed)] == ["12 frames", "50%", "2.5 s", "30 frames"]
    assert car_keys(keyed)[3]["turn"] == "15 deg"
    keyed.page.keyboard.press("Delete")
    keyed.saved(before + 2)
    assert [key["time"] for key in car_keys(keyed)] == ["12 frames", "50%", "2.5 s"]


def test_an_easing_that_is_drawn_is_a_bezier_in_the_shot_file(keyed: Tab) -> None:
    before = at_revision(keyed)
    keyed.page.mouse.click(*key_at(keyed, 12))
    keyed.page.keyboard.press("c")
    keyed.page.locator("[data-handle='1']").wait_for()
    x, y = middle(keyed, "[data-handle='1']")
    keyed.drag((x, y), (x + 30, y - 12))
    keyed.saved(before + 1)
    easing = car_keys(keyed)[0]["easing"]
    assert easing.startswith("bezier (0.")
    assert easing.endswith(", 0.667, 1)")
    keyed.role("button", "ease-out").click()
    keyed.saved(before + 2)
    assert car_keys(keyed)[0]["easing"] == "ease-out"


def test_the_way_from_the_photo_can_be_eased(keyed: Tab) -> None:
    before = at_revision(keyed)
    keyed.page.mouse.click(*middle(keyed, ".tl-move .tl-key.is-photo", 0))
    easing = keyed.role("combobox", "Easing of the picked keys")
    easing.dispatch_event("pointerdown")  # without a click, which would open a list of the browser's own
    easing.focus()
    easing.select_option("linear")
    keyed.saved(before + 1)
    assert car_keys(keyed)[0] == {"time": "0 frames", "easing": "linear"}
    keyed.page.keyboard.press("End")
    assert keyed.role("slider", "Playhead").get_attribute("aria-valuenow") == "48"
    assert at_revision(keyed) == before + 1
    assert len(car_keys(keyed)) == 4


def test_the_end_of_a_span_is_dragged(keyed: Tab) -> None:
    before, step = at_revision(keyed), per_frame(keyed)
    x, y = middle(keyed, ".tl-bar-span[data-span='10-40'] .tl-end.is-end")
    keyed.drag((x, y), (x - 8 * step, y))
    keyed.saved(before + 1)
    orbit = shot_data(keyed)["camera"][0]
    assert orbit["span"] == "10 frames - 32 frames"
    assert orbit["orbit"] == "30 deg"
    x, y = middle(keyed, ".tl-bar-span[data-span='16-32']")
    keyed.drag((x, y), (x + 8 * step, y))
    keyed.saved(before + 2)
    assert shot_data(keyed)["entities"]["car"][1] == {"turn": "20 deg", "span": "1.5 s - 2.5 s"}


def test_an_orbit_is_changed_live_and_saved_once(keyed: Tab) -> None:
    before = at_revision(keyed)
    keyed.page.evaluate("studioTest.goTo(48)")
    keyed.role("treeitem", "Camera").click()
    man = "studioTest.onPage(1.5, -0.5, -5)[0]"
    was = keyed.page.evaluate(man)
    slider = keyed.role("slider", "angle")
    box = slider.bounding_box()
    mouse = keyed.page.mouse
    mouse.move(box["x"] + box["width"] * 0.58, box["y"] + box["height"] / 2)
    mouse.down()
    for part in (0.62, 0.7, 0.8, 0.9):
        mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] / 2)
        keyed.page.wait_for_timeout(50)
    keyed.until(f"Math.abs({man} - {was}) > 20")
    assert at_revision(keyed) == before
    mouse.up()
    keyed.saved(before + 1)
    angle = float(shot_data(keyed)["camera"][0]["orbit"].removesuffix(" deg"))
    assert angle > 60
    keyed.page.keyboard.press("Home")  # is the timeline's again, though the slider was pulled
    assert keyed.role("slider", "Playhead").get_attribute("aria-valuenow") == "0"
    assert at_revision(keyed) == before + 1
    keyed.role("button", "Undo").click()
    keyed.saved(before + 2)
    assert shot_data(keyed)["camera"][0]["orbit"] == "30 deg"


def test_two_camera_keys_from_the_free_view_are_where_it_looked_from(tab: Tab) -> None:
    tab.role("treeitem", "Camera").click()
    tab.page.keyboard.press("v")
    looked = {}
    x, y = tab.page.viewport_size["width"] / 2, 200
    for count, (frame, right) in enumerate(((16, 60), (40, -150)), start=2):
        tab.page.evaluate(f"studioTest.goTo({frame})")
        tab.drag((x, y), (x + right, y + 15))
        looked[frame] = resting_view(tab)
        tab.page.keyboard.press("k")
        tab.reached(count)
    (move,) = shot_data(tab)["camera"]
    assert [key["time"] for key in move["keyframes"]] == ["16 frames", "40 frames"]
    path = load_shot(tab.workspace.folder / "shot.yaml").apply(two_boxes()).camera.world_from_camera
    assert np.abs(looked[16] - looked[40]).max() > 0.1
    for frame, pose in looked.items():
        np.testing.assert_allclose(path[frame], pose, atol=0.01)


def test_the_focal_length_at_the_playhead_is_a_key(tab: Tab) -> None:
    tab.role("treeitem", "Camera").click()
    tab.page.evaluate("studioTest.goTo(32)")
    lens = tab.role("spinbutton", "Focal length in mm")
    photo = float(lens.input_value())
    lens.fill(str(2 * photo))
    lens.press("Enter")
    tab.saved(2)
    (key,) = shot_data(tab)["camera"][0]["keyframes"]
    assert key["time"] == "32 frames"
    assert float(key["zoom"].removesuffix("x")) == pytest.approx(2, abs=0.01)


def test_a_pose_is_kept_as_a_key_with_the_moves_that_lead_to_it(keyed: Tab) -> None:
    before = at_revision(keyed)
    keyed.role("treeitem", "car").click()
    keyed.page.evaluate("studioTest.goTo(30)")
    pose = car_pose(keyed, 30)
    keyed.page.keyboard.press("k")
    keyed.saved(before + 1)
    assert [key["time"] for key in car_keys(keyed)] == ["12 frames", "50%", "30 frames", "2.5 s"]
    assert keyed.page.locator(".tl-move .tl-key.is-picked").get_attribute("data-frame") == "30"
    np.testing.assert_allclose(car_pose(keyed, 30), pose, atol=0.01)
    assert np.abs(pose - car_pose(keyed, 0)).max() > 0.5


def test_every_move_of_the_vocabulary_is_offered_and_can_be_performed(tab: Tab) -> None:
    tab.role("treeitem", "Camera").click()
    tab.role("button", "Add a move").click()
    choices = tab.page.locator(".mv-choices button")
    choices.first.wait_for()
    names = choices.all_inner_texts()
    assert {"orbit", "spiral", "dolly-zoom", "handheld", "look-at"} <= {*names}
    assert "path" not in names
    for count, name in enumerate(names, start=1):
        if count > 1:
            tab.role("button", "Add a move").click()
        tab.page.locator(".mv-choices").get_by_role("button", name=name, exact=True).click()
        tab.page.locator(".mv-move").nth(count - 1).wait_for()
    assert [next(iter(move)) if isinstance(move, dict) else move for move in shot_data(tab)["camera"]] == names


def test_playing_goes_round_between_the_marks_which_are_kept(keyed: Tab) -> None:
    head = keyed.role("slider", "Playhead")
    for frame, mark in ((10, "i"), (14, "o")):
        keyed.page.evaluate(f"studioTest.goTo({frame})")
        keyed.page.keyboard.press(mark)
    keyed.page.evaluate("studioTest.goTo(30)")
    keyed.page.keyboard.press("Space")
    seen = set()
    for _ in range(40):
        keyed.page.wait_for_timeout(20)
        seen.add(int(head.get_attribute("aria-valuenow")))
    keyed.page.keyboard.press("Space")
    assert len(seen - {30}) > 1
    assert seen - {30} <= {10, 11, 12, 13, 14}
    kept = keyed.workspace.folder / "page.json"
    for _ in range(100):
        if kept.exists() and json.loads(kept.read_text()).get("marks"):
            break
        keyed.page.wait_for_timeout(50)
    assert json.loads(kept.read_text())["marks"] == {"start": 10, "end": 14}


def test_the_ruler_scrubs_and_saves_nothing(keyed: Tab) -> None:
    before, step, (x, _) = at_revision(keyed), per_frame(keyed), key_at(keyed, 12)
    y = middle(keyed, ".tl-lane-ruler")[1]
    keyed.drag((x, y), (x + 12 * step, y))
    assert keyed.role("slider", "Playhead").get_attribute("aria-valuenow") == "24"
    keyed.page.keyboard.press("ArrowRight")
    keyed.page.keyboard.press("Shift+ArrowRight")
    assert keyed.role("slider", "Playhead").get_attribute("aria-valuenow") == "40"
    assert at_revision(keyed) == before


def test_a_length_that_is_not_4k_1_is_explained_and_times_stretch(keyed: Tab) -> None:
    before = at_revision(keyed)
    keyed.role("checkbox", "stretch").check()
    length = (
        keyed.page.locator(".tl")
        .get_by_role("textbox", name="Frames", exact=True)
        .or_(keyed.page.locator(".tl").get_by_role("spinbutton", name="Frames", exact=True))
    )
    length.fill("98")
    length.press("Enter")
    keyed.saved(before + 1)
    assert "97 taken" in keyed.page.locator(".tl-note").inner_text()
    shot = shot_data(keyed)
    assert shot["frames"] == 97
    assert shot["camera"][0]["span"] == "20 frames - 80 frames"
    assert [key["time"] for key in car_keys(keyed)] == ["24 frames", "50%", "5 s"]
