"""Lifting what is marked: the job, what a later lift keeps, and the shot that fits the new scene."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from real2sam2real.cli.main import main
from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LifterOptions
from real2sam2real.run.demo import demo_folder
from real2sam2real.run.progress import Progress
from real2sam2real.scene.shot import parse_shot
from real2sam2real.studio import lifting
from real2sam2real.studio.lifting import fitting_shot, start_options, take_in
from real2sam2real.studio.marking import Marking, marking_of, marks_data
from real2sam2real.studio.marking_choices import marking_choices
from real2sam2real.studio.workspaces import Workspaces
from real2sam2real.workfolder.kept import KeptResults
from tests.studio.pages import two_boxes


@pytest.fixture
def marking(tmp_path: Path) -> Iterator[Marking]:
    """The demo's photo with its cup marked."""
    workspaces = Workspaces(tmp_path / "studio")
    found = marking_of(workspaces.get(workspaces.add(demo_folder() / "photo.jpg")))
    assert found is not None
    found.bring_mask(found.document.revision, demo_folder() / "cup.png")
    found.change(found.document.revision, {"view": {"focal": None, "pitch": 45.0, "roll": None}})
    yield found
    workspaces.close()


def lift(marking: Marking) -> dict[str, Any]:
    """What the job's process does."""
    document = marking.document
    options = start_options(document, marking.photo, LifterOptions())
    return lifting.lift(document.folder, options, Progress())


def test_a_lift_becomes_the_scene_and_undo_brings_the_former_one_back(
    marking: Marking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = marking.document
    assert document.scene() is None
    notes = lift(marking)["notes"]
    assert any("pitch as given" in note for note in notes)
    take_in(document)
    found = document.scene()
    assert found is not None
    assert found[0].names == ["cup"]
    mask = f"cup={demo_folder() / 'cup.png'}"
    with pytest.raises(SystemExit) as ended:
        main(["lift", str(marking.photo), "--mask", mask, "--pitch", "45", "-o", str(tmp_path / "cli")])
    assert ended.value.code in (0, None)
    own, other = document.folder / "scene" / "scene.glb", tmp_path / "cli" / "scene.glb"
    assert own.read_bytes() == other.read_bytes()
    assert marks_data(marking)["view"]["estimated"]["pitch"] == pytest.approx(45, abs=0.01)
    document.go(-1, None)
    assert document.scene() is None

    made: list[Any] = []
    get = KeptResults.get
    monkeypatch.setattr(
        KeptResults, "get", lambda self, code, of, make: get(self, code, of, lambda: made.append(of) or make())
    )
    document.go(1, None)
    ball = np.zeros((400, 600), bool)
    ball[20:90, 500:580] = True
    buffer = io.BytesIO()
    Image.fromarray(ball).save(buffer, "PNG")
    marking.paint(document.revision, None, buffer.getvalue())
    lift(marking)
    again = len(made)
    lift(marking)
    assert len(made) == again  # what is unchanged is not made again
    assert again > 0


def test_the_shot_stays_as_far_as_it_fits() -> None:
    scene = two_boxes()
    shot = parse_shot(
        """
        frames: 9
        camera: [orbit: 10 deg, {orbit: 5 deg, around: dog}]
        entities:
          car: [move: right 1]
          dog: [move: right 1]
          man: [{turn: 30 deg}]
        """
    )
    fits, notes = fitting_shot(scene, shot)
    assert list(fits.entities) == ["car", "man"]
    assert fits.entities["car"] == shot.entities["car"]
    assert fits.camera is not None
    assert len(fits.camera) == 1
    assert fits.frames == 9
    assert any("moves of 'dog'" in note for note in notes)
    assert any("camera's 'orbit'" in note for note in notes)
    assert fitting_shot(scene, fits) == (fits, [])


def test_a_lift_renames_nothing_away_silently(marking: Marking) -> None:
    document = marking.document
    lift(marking)
    take_in(document)
    document.commit("move", shot="frames: 9\nentities:\n  cup: [move: right 10%]\n")
    id_ = marking.marks.objects[0].id
    marking.change(document.revision, {"say": {"id": id_, "name": "mug"}})
    lift(marking)
    told = take_in(document)
    found = document.scene()
    assert found is not None
    assert found[0].names == ["mug"]
    assert any("moves of 'cup' are left out" in note for note in told)
    assert document.shot().entities == {}
    document.go(-1, None)
    assert list(document.shot().entities) == ["cup"]


def test_nothing_marked_and_a_lost_snapshot_are_told(marking: Marking) -> None:
    document = marking.document
    options = start_options(document, marking.photo, LifterOptions())
    shutil.rmtree(document.history.snapshot("objects", str(document.state.objects)))
    with pytest.raises(UserError, match="no object is marked"):
        lifting.lift(document.folder, options, Progress())
    while document.history.undo is not None:
        document.go(-1, None)
    with pytest.raises(UserError, match="draw a box"):
        start_options(document, marking.photo, LifterOptions())


def test_a_full_disk_leaves_the_scene_that_was_there(marking: Marking, monkeypatch: pytest.MonkeyPatch) -> None:
    lift(marking)
    take_in(marking.document)
    before, revision = marking.document.state, marking.document.revision
    lift(marking)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    marking.document._scenes.clear()
    place = marking.document.folder / ".kept" / "lifted"
    (place / "extra.json").write_text("{}")  # another content, which has to be copied
    with pytest.raises(UserError, match="disk is full"):
        take_in(marking.document)
    assert (marking.document.state, marking.document.revision) == (before, revision)


def test_lifters_that_are_not_here_say_what_they_need() -> None:
    found = marking_choices(LifterOptions())
    by_name = {each["name"]: each for kind in ("segmenters", "lifters", "depths") for each in found[kind]}
    assert by_name["embedded"]["ready"]
    assert "--lifter-python" in by_name["triposg"]["says"]
    assert not by_name["sam2"]["ready"]
    assert by_name["sam2"]["says"]
    assert "cup" in found["words"]
    assert "mug" in found["words"]
