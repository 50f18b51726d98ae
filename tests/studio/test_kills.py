"""A kill at any step of a change leaves the document of before or of after it, with files that fit and all its undo."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from real2sam2real.scene.folder import load_scene, save_scene
from real2sam2real.scene.shot import Shot
from real2sam2real.studio.document import StudioDocument
from real2sam2real.studio.history import Contents, History
from real2sam2real.studio.workspace import create_workspace, is_workspace, read_workspace


def opened(folder: Path) -> StudioDocument:
    return StudioDocument(folder, History.open(folder / "history"))


def changes(aside: Path, scene_folder: Path) -> dict[str, Callable[[StudioDocument], object]]:
    """Kinds of changes, each with what it takes prepared."""
    scene = load_scene(scene_folder)
    save_scene(replace(scene, entities=scene.entities[:1]), aside / "other")
    marked = aside / "marked"
    (marked / "masks").mkdir(parents=True)
    (marked / "objects.json").write_text('{"a": 1}')
    (marked / "masks" / "1.png").write_bytes(b"mask")
    return {
        "edit": lambda document: document.commit("Edit", shot=Shot.from_flags(frames=9, move=["car: right 1"])),
        "edit again": lambda document: document.commit("Edit", shot=Shot.from_flags(frames=9, move=["car: right 2"])),
        "scene": lambda document: document.commit("Scene", scene=aside / "other"),
        "marks": lambda document: document.commit("Marks", objects=marked),
        "undo": lambda document: document.go(-1, None),
        "redo": lambda document: document.go(1, None),
        "all": lambda document: document.commit(
            "All", shot="frames: 5\n", scene=scene_folder, objects=aside / "nothing"
        ),
    }


ORDER = ["edit", "scene", "marks", "undo", "undo", "redo", "edit again", "marks", "all", "undo"]


def test_a_change_is_done_or_not(kills: ModuleType, scene_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    known = changes(tmp_path, scene_folder)
    folder = tmp_path / "work" / "space"
    create_workspace(scene_folder, folder)
    for number, name in enumerate(ORDER):
        document = opened(folder)
        before, labels = document.state, [state.label for state in document.history.states]
        with kills.every_kill(folder, tmp_path / f"copies{number}") as struck:
            known[name](document)
        after = document.state
        assert len(struck) >= 3, name
        for kill in struck[:: kills.SPARSE if number > 4 else 1]:
            place = tmp_path / "again" / "space"
            kill.strike(place)
            found = opened(place)
            assert found.state in (before, after), (name, kill.step)
            contents = Contents.of(found.state)
            assert found.files.materials() == {k: getattr(contents, k) for k in ("shot", "scene", "objects")}, kill.step
            assert not found.problems
            assert found.history.state.label in [*labels, after.label]
            assert opened(place).state == found.state  # and there it stays
            assert found.directed()[0] is not None
            if found.history.undo:
                found.go(-1, None)
                found.go(1, None)


def test_a_workspace_is_made_or_not(kills: ModuleType, scene_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "space"
    with kills.every_kill(folder.parent, tmp_path / "copies") as struck:
        create_workspace(scene_folder, folder)
    assert struck
    for kill in struck:
        kill.strike()
        if is_workspace(folder):
            assert read_workspace(folder).name == "street"
            assert opened(folder).scene() is not None
        else:
            create_workspace(scene_folder, folder)


def test_what_was_changed_after_a_kill_is_taken_in(kills: ModuleType, scene_folder: Path, tmp_path: Path) -> None:
    """A shot file that a person wrote while no server ran is nobody's remains."""
    folder = tmp_path / "space"
    create_workspace(scene_folder, folder)
    document = opened(folder)
    with kills.every_kill(folder, tmp_path / "copies") as struck:
        document.commit("Edit", shot=Shot.from_flags(frames=9, move=["car: right 1"]))
    for kill in struck:
        kill.strike(tmp_path / "again")
        (tmp_path / "again" / "shot.yaml").write_text("frames: 5 # mine\n")
        found = opened(tmp_path / "again")
        assert (found.state.shot, found.state.label) == ("frames: 5 # mine\n", "changed outside"), kill.step


def test_an_unreadable_change_is_kept_aside(scene_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "space"
    create_workspace(scene_folder, folder)
    document = opened(folder)
    (folder / "shot.yaml").write_text("camera: [orbti 3]\n")
    document.take_outside()
    assert "unknown camera move 'orbti'; did you mean 'orbit'" in document.problems["shot"]
    assert document.history.undo is None
    document.commit("Edit", shot=Shot.from_flags(frames=9))
    assert (folder / "shot-edited-1.yaml").read_text() == "camera: [orbti 3]\n"
    assert list(document.problems.values()) == ["shot of before is kept as shot-edited-1.yaml"]
    assert document.files.shot_text() == Shot(frames=9).to_yaml()


def test_a_scene_edited_outside_is_taken_in(scene_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "space"
    create_workspace(scene_folder, folder)
    document = opened(folder)
    (folder / "scene" / "mine.blend").write_bytes(b"a person's own")
    scene = load_scene(folder / "scene")
    save_scene(replace(scene, prompt="from Blender"), folder / "scene")
    document.take_outside(patient=True)
    assert document.history.undo is None  # it may be half-written
    document.take_outside(patient=True)
    assert document.history.undo == "changed outside"
    assert document.scene()[0].prompt == "from Blender"
    document.go(-1, None)
    assert load_scene(folder / "scene").prompt == ""
    assert (folder / "scene" / "mine.blend").read_bytes() == b"a person's own"
    (folder / "scene" / "scene.glb").write_bytes(b"glTF")
    document.take_outside()
    assert "scene was changed outside and cannot be taken in" in document.problems["scene"]
    assert document.scene()[0].prompt == ""


def test_an_unedited_shot_file_stays_to_the_letter(scene_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "space"
    create_workspace(scene_folder, folder)
    text = "# my shot\r\nframes:   9\r\ncamera: {pan: 3}   # slowly\r\n"
    (folder / "shot.yaml").write_bytes(text.encode())
    document = opened(folder)
    document.commit("Same", shot=Shot.from_flags(frames=9, camera=["pan 3"]))
    document.commit("Scene", scene=scene_folder)
    assert (folder / "shot.yaml").read_bytes() == text.encode()
    document.commit("Other", shot=Shot.from_flags(frames=9, camera=["pan 4"]))
    document.go(-1, None)
    assert (folder / "shot.yaml").read_bytes() == text.encode()


# Angle, word to merge by, seconds since the edit before.
EDITS = [(1, "a", 0.0), (2, "a", 0.5), (3, "a", 0.9), (4, "b", 0.1), (5, "b", 1.5), (6, "", 0.0), (7, "", 0.0)]


def test_edits_of_one_word_within_a_second_are_one_step(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "space"
    create_workspace(scene_folder, folder)
    document = opened(folder)
    clock = [1000.0]
    monkeypatch.setattr("real2sam2real.studio.history.time.time", lambda: clock[0])
    for angle, merge, later in EDITS:
        clock[0] += later
        document.commit(f"Pan {angle}", shot=Shot.from_flags(frames=9, camera=[f"pan {angle}"]), merge=merge)
    assert [state.label for state in document.history.states] == ["opened", "Pan 3", "Pan 4", "Pan 5", "Pan 6", "Pan 7"]
    assert len(list((folder / "history" / "states").iterdir())) == 6


def test_twenty_steps_back_and_forward(scene_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "space"
    create_workspace(scene_folder, folder)
    document = opened(folder)
    texts = [document.files.shot_text()]
    for angle in range(20):
        document.commit(f"Pan {angle}", shot=Shot.from_flags(frames=9, camera=[f"pan {angle}"]))
        texts.append(document.files.shot_text())
    back = [document.files.shot_text() for _ in range(20) if document.go(-1, None) is None]
    assert back == texts[-2::-1]
    document = opened(folder)
    forward = [document.files.shot_text() for _ in range(20) if document.go(1, None) is None]
    assert forward == texts[1:]


def test_snapshots_that_no_state_names_are_gone(scene_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    folder = tmp_path / "space"
    create_workspace(scene_folder, folder)
    document, known = opened(folder), changes(tmp_path, scene_folder)
    known["scene"](document)
    assert len(list((folder / "history" / "scenes").iterdir())) == 2
    document.go(-1, None)
    known["edit"](document)  # what was undone is gone
    assert len(list((folder / "history" / "scenes").iterdir())) == 1
