"""Marking on the demo's photo as the page does: what is cut is what the command line cuts; nothing is ever lost."""

import io
import json
import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from real2sam2real.arrays import Mask
from real2sam2real.cli.main import main
from real2sam2real.errors import UserError
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.segment.detections import mask_iou
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.demo import demo_folder
from real2sam2real.run.photo import find_masks, read_photo
from real2sam2real.studio.errors import RefusedError
from real2sam2real.studio.marking import Marking, marking_of, marks_data
from real2sam2real.studio.workspaces import Workspaces

BOX = [72, 14, 484, 392]
Change = Callable[..., list[str]]


@pytest.fixture(scope="module")
def marking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marking]:
    """The demo's photo, with nothing marked when a test begins; one warm process for all tests."""
    workspaces = Workspaces(tmp_path_factory.mktemp("studio"))
    found = marking_of(workspaces.get(workspaces.add(demo_folder() / "photo.jpg")))
    assert found is not None
    yield found
    workspaces.close()


@pytest.fixture(autouse=True)
def nothing_marked(marking: Marking) -> None:
    while marking.document.history.undo is not None:
        marking.document.go(-1, None)


@pytest.fixture
def change(marking: Marking) -> Change:
    def ask(**what: Any) -> list[str]:
        return marking.change(marking.document.revision, what)

    return ask


@pytest.fixture(scope="module")
def cup() -> Mask:
    return load_masks([demo_folder() / "cup.png"], 600, 400)["cup"]


def objects(marking: Marking) -> Any:
    """As the page has them."""
    return json.loads(json.dumps(marks_data(marking)["objects"]))


def cut(**more: Any) -> dict[str, Any]:
    return {"box": None, "inside": [], "outside": [], "id": None, **more}


def on_command_line(**options: Any) -> dict[str, Mask]:
    photo = demo_folder() / "photo.jpg"
    return find_masks(photo, read_photo(photo), SegmentOptions(**options))[0]


def in_shell(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code in (0, None)


def as_png(mask: Mask) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_box_and_points_cut_what_the_command_line_cuts(marking: Marking, change: Change, cup: Mask) -> None:
    change(cut=cut(box=BOX))
    (found,) = objects(marking)
    assert (found["name"], found["source"]) == ("cup", "box")  # named by its looks
    mask = marking.mask(found["id"])
    assert mask_iou(mask, cup) > 0.95
    assert np.array_equal(mask, on_command_line(box=("cup=72,14,484,392",))["cup"])

    change(cut=cut(box=BOX, id=found["id"], outside=[[150, 340]]))
    (pointed,) = objects(marking)
    assert len(pointed["inside"]) == 1  # a point on the object comes with the first beside it
    (x, y), changed = pointed["inside"][0], marking.mask(found["id"])
    assert not changed[340, 150]
    same = on_command_line(box=("cup=72,14,484,392",), points=(f"cup={x:g},{y:g}-150,340",))["cup"]
    assert np.array_equal(changed, same)
    assert pointed["version"] != found["version"]

    marking.document.go(-1, None)
    assert np.array_equal(marking.mask(found["id"]), mask)


def test_the_commands_in_the_shell_cut_the_same(
    marking: Marking, change: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(cut=cut(box=BOX))
    (found,) = objects(marking)
    saucer = np.zeros((400, 600), bool)
    saucer[20:90, 500:580] = True
    marking.paint(marking.document.revision, None, as_png(saucer))
    change(lift=marks_data(marking)["lift"] | {"max_faces": 900, "contact": "off", "billboards": False})
    change(say={"id": objects(marking)[1]["id"], "relation": {"word": "on", "to": "cup"}})
    monkeypatch.chdir(tmp_path)
    masks, lift = marks_data(marking)["commands"]
    assert "--box cup=72,14,484,392" in masks
    assert all(flag in lift for flag in ("--max-faces 900", "--contact off", "--no-billboards", "--on object=cup"))
    in_shell(shlex.split(masks)[1:])
    assert np.array_equal(load_masks(Path("marked/masks"), 600, 400)["cup"], marking.mask(found["id"]))
    in_shell(shlex.split(lift)[1:])
    assert (tmp_path / "scene" / "scene.glb").is_file()


def test_a_word_finds_what_it_finds_on_the_command_line(marking: Marking, change: Change) -> None:
    change(find={"words": ["mug"]})
    found = on_command_line(text=("mug",))
    assert [each["name"] for each in objects(marking)] == list(found)
    for each in objects(marking):
        assert np.array_equal(marking.mask(each["id"]), found[each["name"]])
    with pytest.raises(UserError, match="sam2 or sam3"):
        change(find={"words": ["espresso"]})


def test_strokes_are_steps_of_undo(marking: Marking, cup: Mask) -> None:
    marking.paint(marking.document.revision, None, as_png(cup))
    (found,) = objects(marking)
    assert found["source"] == "brush"
    erased = cup.copy()
    erased[:, :200] = False
    marking.paint(marking.document.revision, found["id"], as_png(erased))
    assert np.array_equal(marking.mask(found["id"]), erased)
    marking.document.go(-1, None)
    assert np.array_equal(marking.mask(found["id"]), cup)
    marking.document.go(1, None)
    assert np.array_equal(marking.mask(found["id"]), erased)


def test_points_change_a_mask_of_ones_own_where_they_are(marking: Marking, change: Change, cup: Mask) -> None:
    marking.bring_mask(marking.document.revision, demo_folder() / "cup.png")
    (found,) = objects(marking)
    assert found["name"] == "cup"
    change(cut=cut(id=found["id"], outside=[[150, 340]]))
    changed = marking.mask(found["id"])
    assert not changed[340, 150]
    assert mask_iou(changed, cup) > 0.9
    assert objects(marking)[0]["source"] == "file"


def test_what_is_said_of_objects_is_kept(marking: Marking, change: Change, cup: Mask) -> None:
    marking.paint(marking.document.revision, None, as_png(cup))
    id_ = objects(marking)[0]["id"]
    change(say={"id": id_, "name": "red mug"})
    change(say={"id": id_, "occluder": True})
    change(view={"focal": 580.0, "pitch": 44.0, "roll": 0.0})
    (found,) = objects(marking)
    assert (found["name"], found["kind"], found["occluder"]) == ("red mug", "round", True)
    assert marks_data(marking)["view"] == {"focal": 580.0, "pitch": 44.0, "roll": 0.0, "estimated": None, "guess": None}
    change(delete=id_)
    assert objects(marking) == []


def refused(marking: Marking, words: str, change: Callable[[], object]) -> None:
    """Something is refused in words, and nothing is changed."""
    before, revision = objects(marking), marking.document.revision
    with pytest.raises(UserError, match=words):
        change()
    assert (objects(marking), marking.document.revision) == (before, revision)


def test_what_cannot_be_done_changes_nothing(marking: Marking, change: Change, cup: Mask, tmp_path: Path) -> None:
    marking.paint(marking.document.revision, None, as_png(cup))
    id_, base = objects(marking)[0]["id"], marking.document.revision
    bad = tmp_path / "bad.glb"
    bad.write_bytes(b"glTF no")
    picture = tmp_path / "mask.png"
    picture.write_bytes(b"\x89PNG no")
    map_ = tmp_path / "depth.npy"
    map_.write_bytes(b"no")
    refused(marking, "bad.glb", lambda: marking.bring_mesh(base, id_, bad))
    refused(marking, "no mesh", lambda: marking.bring_mesh(base, id_, picture))
    refused(marking, "mask.png", lambda: marking.bring_mask(base, picture))
    refused(marking, "looks like a photo", lambda: marking.bring_mask(base, demo_folder() / "photo.jpg"))
    refused(marking, "depth.npy", lambda: marking.bring_depth(base, map_))
    refused(marking, "10×10", lambda: marking.paint(base, id_, as_png(np.ones((10, 10), bool))))
    refused(marking, "nothing would be left", lambda: marking.paint(base, None, as_png(cup)))
    refused(marking, "same object", lambda: marking.bring_mask(base, demo_folder() / "cup.png"))
    refused(marking, "outside the photo", lambda: change(cut=cut(box=[900, 10, 950, 60])))
    refused(marking, "not there any more", lambda: change(delete="nobody"))
    refused(marking, "not understood", lambda: change(say={"id": id_, "colour": "red"}))
    refused(marking, "several changes", lambda: change(delete=id_, order=[id_]))
    refused(marking, "pitch", lambda: change(view={"focal": None, "pitch": 100.0, "roll": None}))
    assert not list((marking.document.folder / "inputs").glob("*"))
    with pytest.raises(RefusedError) as stale:
        marking.change(base - 1, {"delete": id_})
    assert stale.value.status == 409


def test_a_killed_worker_is_told_and_the_next_question_is_answered(marking: Marking, change: Change) -> None:
    marking.ask("warm")
    pid = marking.cutter.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # so that it dies over the question and not before
    killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    killer.start()
    refused(marking, "died", lambda: change(cut=cut(inside=[[280, 200]])))
    killer.join()
    marking.ask("warm")
    assert marking.cutter.pid != pid
    again = marking.cutter.pid
    assert again is not None
    os.kill(again, signal.SIGKILL)  # died unasked
    os.waitid(os.P_PID, again, os.WEXITED | os.WNOWAIT)  # with all its threads, and still to be reaped
    assert marking.ask("warm")["size"] == [600, 400]


def test_a_question_can_be_stopped(marking: Marking, change: Change) -> None:
    marking.ask("warm")
    stopper = threading.Timer(0.5, marking.cutter.stop)
    stopper.start()
    refused(marking, "Stopped", lambda: change(find={"words": []}))
    stopper.join()
    marking.cutter.stop()  # nothing is asked: nothing is ended
    assert marking.cutter.pid is None
    assert marking.ask("warm")["size"] == [600, 400]


def test_a_huge_photo_is_worked_on_smaller_and_counted_in_its_own_pixels(tmp_path: Path) -> None:
    big = tmp_path / "big.jpg"
    with Image.open(demo_folder() / "photo.jpg") as photo:
        photo.resize((7800, 5200)).save(big)
    workspaces = Workspaces(tmp_path / "studio")
    found = marking_of(workspaces.get(workspaces.add(big)))
    assert found is not None
    assert found.size == (1920, 1280)
    assert found.file_size == (7800, 5200)
    mask = np.zeros((1280, 1920), bool)
    mask[300:600, 300:600] = True
    found.paint(found.document.revision, None, as_png(mask))
    assert found._middle(mask) == pytest.approx((450 / found.shrink, 450 / found.shrink), abs=5)
    workspaces.close()
