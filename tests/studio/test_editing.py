"""Objects are edited by hand in the page, in real Chromium: what comes of it in the shot file on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.scene.shot import load_shot
from real2sam2real.studio.workspaces import Workspace
from tests.studio.browser import RunningStudio, Tab
from tests.studio.pages import two_boxes

CAR, MAN = (np.array([-1.0, -0.5, -5.5]), np.array([1.5, -0.5, -4.5]))  # a point on the front of each


def on_disk(tab: Tab) -> dict[str, np.ndarray]:
    """World from entity `(T, 4, 4)` of all entities, by the shot file and by nothing of the studio."""
    directed = load_shot(tab.workspace.folder / "shot.yaml").apply(two_boxes())
    return {entity.name: entity.motion.matrices() for entity in directed.entities}


def names(tab: Tab) -> list[str]:
    """The entities that the shot shows."""
    directed, _ = tab.workspace.document.directed()
    assert directed is not None
    return directed.names


def hover_handle(tab: Tab, name: str, axis: tuple[float, float, float], handle: str) -> tuple[float, float]:
    """Move the pointer along an axis from an entity's origin until it is over a handle; where that is.

    The name "" is the camera's, where the photo was taken.
    """
    origin = tab.pose(name)[:3, 3] if name else np.zeros(3)
    for reach in np.arange(0.15, 2.0, 0.05):
        at = tab.on_page(origin + reach * np.array(axis))
        tab.page.mouse.move(*at)
        if tab.page.evaluate("studioTest.handle()") == handle:
            return at
    raise AssertionError(f"the handle {handle} of {name} is nowhere")


def test_what_is_clicked_is_selected(tab: Tab) -> None:
    tab.page.mouse.click(*tab.on_page(MAN))
    assert tab.role("treeitem", "man").get_attribute("aria-selected") == "true"
    tab.role("treeitem", "car").click()
    assert tab.role("treeitem", "man").get_attribute("aria-selected") == "false"
    tab.page.mouse.click(*tab.on_page((0.25, 0.5, -6)))
    assert tab.role("treeitem", "car").get_attribute("aria-selected") == "false"
    tab.role("button", "Lock man").click()
    tab.page.mouse.click(*tab.on_page(MAN))
    assert tab.page.locator("[role=treeitem][aria-selected=true]").count() == 0


def test_a_handle_moves_along_its_axis_for_the_whole_shot(tab: Tab) -> None:
    tab.role("treeitem", "car").click()
    at = hover_handle(tab, "car", (1, 0, 0), "X")
    before = tab.pose("car")
    tab.drag(at, (at[0] + 60, at[1] + 25))
    tab.saved(2)
    moved = on_disk(tab)["car"]
    assert moved[0, 0, 3] - before[0, 3] > 0.1
    np.testing.assert_allclose(moved[0, 1:3, 3], before[1:3, 3], atol=1e-4)
    # Dragged at rest, it rests there for the whole shot.
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-9)
    np.testing.assert_allclose(tab.pose("car"), moved[0], atol=1e-4)
    np.testing.assert_array_equal(on_disk(tab)["man"][0], two_boxes().entity("man").rest_world_from_object)


def test_a_body_that_is_dragged_slides_on_the_ground(tab: Tab) -> None:
    tab.role("treeitem", "man").click()
    start, end = tab.on_page(MAN), tab.on_page(MAN + np.array([-0.6, 0, -0.8]))
    tab.page.evaluate("studioTest.goTo(16)")
    tab.drag(start, end)
    tab.saved(2)
    moved, rest = on_disk(tab)["man"], two_boxes().entity("man").rest_world_from_object
    np.testing.assert_allclose(moved[16, :3, 3] - rest[:3, 3], [-0.6, 0, -0.8], atol=0.05)
    np.testing.assert_allclose(moved[0], rest, atol=1e-6)  # a later frame is a key there, on the way from the photo
    assert moved[8, 0, 3] != pytest.approx(moved[16, 0, 3], abs=1e-3)


def test_turning_snaps_and_escape_gives_up(tab: Tab) -> None:
    tab.role("treeitem", "car").click()
    tab.page.keyboard.press("e")
    at = hover_handle(tab, "car", (0.7071, 0, 0.7071), "Y")
    tab.page.keyboard.down("Control")
    tab.drag(at, (at[0] + 50, at[1] + 4))
    tab.page.keyboard.up("Control")
    tab.saved(2)
    turned = on_disk(tab)["car"][0]
    angle = np.degrees(np.arctan2(turned[0, 2], turned[0, 0]))
    assert abs(angle) > 1
    assert angle / 15 == pytest.approx(round(angle / 15), abs=1e-3)
    at = hover_handle(tab, "car", (0.7071, 0, 0.7071), "Y")
    tab.page.mouse.down()
    tab.page.mouse.move(at[0] - 40, at[1], steps=3)
    tab.page.keyboard.press("Escape")
    tab.page.mouse.up()
    tab.saved(2)
    np.testing.assert_allclose(tab.pose("car"), turned, atol=1e-4)


def test_numbers_set_a_pose(tab: Tab) -> None:
    tab.role("treeitem", "car").click()
    field = tab.role("textbox", "Position Y")
    field.fill("-0.25")
    field.press("Enter")
    tab.saved(2)
    assert on_disk(tab)["car"][0, 1, 3] == pytest.approx(-0.25, abs=1e-6)
    tab.role("button", "Drop to ground").click()
    tab.saved(3)
    assert on_disk(tab)["car"][0, 1, 3] == pytest.approx(-1.0, abs=1e-6)


def test_enter_ends_typing_so_that_keys_are_shortcuts_again(tab: Tab) -> None:
    tab.role("treeitem", "Camera").click()
    tab.role("combobox", "New move").fill("orbit 10 deg")
    tab.page.keyboard.press("Enter")
    tab.saved(2)
    angle = tab.role("spinbutton", "angle, number")
    angle.fill("20")
    angle.press("Enter")
    tab.saved(3)
    tab.page.keyboard.press("3")
    tab.role("radio", "Normals").and_(tab.page.locator("[aria-checked=true]")).wait_for()
    assert angle.input_value() == "20"
    tab.page.keyboard.press("Control+z")
    tab.saved(4)
    assert angle.input_value() == "10"


def test_space_plays_after_a_button_was_clicked(tab: Tab) -> None:
    tab.role("radio", "Textured").click()
    tab.page.keyboard.press("Home")
    tab.page.keyboard.press("Space")
    tab.role("button", "Pause").wait_for()


def test_a_refused_move_says_why_and_changes_nothing(tab: Tab) -> None:
    tab.role("treeitem", "car").click()
    field = tab.role("combobox", "New move")
    field.fill("forward 3 bananas")
    field.press("Enter")
    tab.page.get_by_role("alert").filter(has_text="bananas").wait_for()
    assert tab.workspace.document.revision == 1
    field.fill("forward 3 units frames 0-24")
    field.press("Enter")
    tab.saved(2)
    moved = on_disk(tab)["car"][:, 2, 3]
    assert moved[24] - moved[0] == pytest.approx(3)
    assert moved[-1] == moved[24]


def test_rename_duplicate_and_delete(tab: Tab) -> None:
    tab.role("treeitem", "car").dblclick()
    name = tab.role("textbox", "Name of car")
    name.fill("van")
    name.press("Enter")
    tab.saved(2)
    tab.role("treeitem", "van").wait_for()
    tab.page.keyboard.press("Shift+D")
    tab.role("treeitem", "van 2").wait_for()
    tab.saved(3)
    tab.page.mouse.click(*tab.on_page(MAN))
    tab.page.keyboard.press("Delete")
    tab.role("button", "Restore man").wait_for()
    tab.saved(4)
    assert names(tab) == ["van", "van 2"]
    tab.role("treeitem", "van 2").click()
    tab.role("button", "Delete").click()
    tab.saved(5)
    tab.role("button", "Restore man").click()
    tab.saved(6)
    assert names(tab) == ["van", "man"]


def test_steps_back_and_forward_give_the_same_files(tab: Tab) -> None:
    steps = 20
    tab.role("treeitem", "car").click()
    texts = [tab.shot_text()]
    field = tab.role("combobox", "New move")
    for step in range(steps):
        field.fill(f"up {step + 1}% frames {step}-{step + 4}")
        field.press("Enter")
        tab.saved(step + 2)
        texts.append(tab.shot_text())
    assert len(set(texts)) == steps + 1
    field.press("Escape")
    field.blur()
    for step, text in enumerate(reversed(texts[:-1])):
        tab.page.keyboard.press("Control+z")
        tab.saved(steps + 2 + step)
        assert tab.shot_text() == text
    for step, text in enumerate(texts[1:]):
        tab.page.keyboard.press("Control+Shift+z")
        tab.saved(2 * steps + 2 + step)
        assert tab.shot_text() == text


def test_two_pages_do_not_overwrite_each_other(
    running: RunningStudio, open_tab: Callable[[Workspace], Tab], scene_folder: Path, tmp_path: Path
) -> None:
    workspace = running.workspace(scene_folder, tmp_path / "workspace")
    first, second = open_tab(workspace), open_tab(workspace)
    first.role("treeitem", "car").click()
    first.page.keyboard.press("Shift+D")
    first.saved(2)
    second.role("treeitem", "car 2").wait_for()  # the other page hears of it
    second.page.route("**/events", lambda route: route.abort())
    second.page.reload()  # and now it hears of nothing
    second.until("window.studioTest?.names().length > 0")
    first.role("treeitem", "man").click()
    first.page.keyboard.press("Delete")
    first.saved(3)
    second.role("treeitem", "car").click()
    second.page.keyboard.press("Delete")
    second.page.get_by_role("alert").filter(has_text="changed meanwhile").wait_for()
    second.role("button", "Restore man").wait_for()  # it shows what is there now
    assert workspace.document.revision == 3
    second.page.keyboard.press("Delete")
    second.reached(4)
