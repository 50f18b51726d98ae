from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from real2sam2real import files
from real2sam2real.errors import UserError
from real2sam2real.mesh import Mesh
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.folder import load_scene, read_scene, save_scene
from real2sam2real.scene.gltf import load_glb, save_glb


def change_json(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "scene.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def edit_glb(folder: Path, scene: Scene) -> None:
    """What another program does: write `scene.glb` anew and leave everything else."""
    save_glb(scene, folder / "scene.glb")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_scene_that_was_taken_away_to_be_replaced_is_found(
    scene: Scene, kills: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed where the system cannot swap two names; a person's own file comes back with it."""
    monkeypatch.setattr(files, "_swapped", lambda *_: False)
    place = tmp_path / "work" / "scene"
    save_scene(scene, place)
    (place / "notes.txt").write_text("mine")
    with kills.every_kill(place.parent, tmp_path / "copies") as struck:
        save_scene(replace(scene, prompt="another"), place)
    (lost,) = [kill for kill in struck if not (kill.copy / "scene").exists()]
    lost.strike()
    assert load_scene(place).prompt == scene.prompt
    lost.strike()
    save_scene(replace(scene, prompt="a third"), place)
    assert (place / "notes.txt").read_text() == "mine"
    assert load_scene(place).prompt == "a third"


def test_everything_comes_back(scene: Scene, tmp_path: Path) -> None:
    scene = scene.duplicated("car", "copy", (1, 0, 0)).without("car")
    save_scene(scene, tmp_path / "scene")
    read, notes = read_scene(tmp_path / "scene")
    assert notes == []
    assert read.names == scene.names == ["red ball", "clay", "copy"]
    for name in ("fps", "prompt", "unit", "ground_y", "frames"):
        assert getattr(read, name) == getattr(scene, name)
    assert scene.photo is not None
    assert read.photo is not None
    np.testing.assert_array_equal(read.photo, scene.photo)
    np.testing.assert_array_equal(read.photo_world_from_camera, scene.photo_world_from_camera)
    np.testing.assert_array_equal(read.camera.world_from_camera, scene.camera.world_from_camera)
    np.testing.assert_array_equal(read.camera.zoom, scene.camera.zoom)
    assert read.camera.intrinsics == scene.camera.intrinsics
    assert [e.name for e in read.removed] == ["car"]
    for found, expected in zip((*read.entities, *read.removed), (*scene.entities, *scene.removed), strict=True):
        assert (found.in_photo, found.provenance) == (expected.in_photo, expected.provenance)
        assert found.facing == expected.facing
        np.testing.assert_array_equal(found.rest_world_from_object, expected.rest_world_from_object)
        np.testing.assert_array_equal(found.mesh.faces, expected.mesh.faces)
        np.testing.assert_allclose(found.motion.matrices(), expected.motion.matrices(), atol=2e-6)
        np.testing.assert_array_equal(found.motion.visible, expected.motion.visible)
        assert (found.mask is None) == (expected.mask is None)
    mask = read.removed[0].mask
    assert mask is not None
    np.testing.assert_array_equal(mask, scene.removed[0].mask)


def test_saving_again_what_was_loaded_changes_nothing(scene: Scene, tmp_path: Path) -> None:
    scene = scene.without("car")
    save_scene(scene, tmp_path / "a")
    save_scene(load_scene(tmp_path / "a"), tmp_path / "b")
    first, second = snapshot(tmp_path / "a"), snapshot(tmp_path / "b")
    assert first.keys() == second.keys() == {"photo.png", "scene.glb", "scene.json", "removed.glb", "masks/car.png"}
    assert first["masks/car.png"] == second["masks/car.png"]
    a, b = (load_glb(tmp_path / name / "scene.glb") for name in "ab")
    for one, other in zip(a.entities, b.entities, strict=True):
        np.testing.assert_allclose(one.motion.matrices(), other.motion.matrices(), atol=1e-6)


def test_an_edited_file_is_the_authority(
    scene: Scene, tmp_path: Path, make_entity: Callable[..., Entity], make_ball: Callable[..., Mesh]
) -> None:
    """A motion changed, one entity deleted, one that was never in the photo deleted, one added, the camera moved."""
    folder = tmp_path / "scene"
    save_scene(scene, folder)
    lifted = Motion.still(scene.frames, np.diag([2.0, 2, 2, 1]))
    added = make_entity("lamp post", make_ball(), lifted)
    camera = CameraPath.still(scene.frames, scene.camera.intrinsics)
    edited = scene.with_motion("red ball", lifted).with_entity(added)
    edited = replace(edited, entities=edited.entities[::-1], camera=camera)
    edit_glb(folder, replace(edited, entities=tuple(e for e in edited.entities if e.name not in ("car", "clay"))))
    read, notes = read_scene(folder)
    assert read.names == ["red ball", "lamp post"]
    assert len(notes) == 4
    np.testing.assert_allclose(read.entity("red ball").motion.matrices(), lifted.matrices(), atol=1e-6)
    rest = scene.entity("red ball").rest_world_from_object
    np.testing.assert_array_equal(read.entity("red ball").rest_world_from_object, rest)
    assert not read.entity("lamp post").in_photo
    np.testing.assert_allclose(read.camera.world_from_camera, camera.world_from_camera, atol=1e-6)
    assert [e.name for e in read.removed] == ["car"]  # the clay was not in the photo: nothing to paint over
    gone = read.removed[0]
    assert gone.mask is not None
    assert gone.mesh.is_closed()
    assert gone.mesh.volume() > 0
    np.testing.assert_allclose(gone.mesh.bounds(), scene.entity("car").mesh.bounds(), atol=1e-6)
    save_scene(read, folder)
    again = load_scene(folder)
    assert again.names == read.names
    assert [e.name for e in again.removed] == ["car"]


def test_a_mesh_with_a_new_origin_takes_its_first_frame_as_its_rest(scene: Scene, tmp_path: Path) -> None:
    """Blender's Apply Transforms moves the vertices and resets the pose."""
    folder = tmp_path / "scene"
    save_scene(scene, folder)
    car = scene.entity("car")
    applied = replace(
        car,
        mesh=car.mesh.transformed(car.rest_world_from_object),
        motion=Motion.still(scene.frames, np.eye(4)),
    )
    edit_glb(folder, scene.with_entity(applied))
    read, notes = read_scene(folder)
    assert len(notes) == 1
    np.testing.assert_array_equal(read.entity("car").rest_world_from_object, np.eye(4))
    clay = scene.entity("clay").rest_world_from_object
    np.testing.assert_array_equal(read.entity("clay").rest_world_from_object, clay)


def test_zoom_survives_an_edit_that_dropped_its_animation(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "scene"
    save_scene(scene, folder)
    lens = scene.camera.intrinsics
    dropped = replace(scene.camera, zoom=np.full(scene.frames, scene.camera.zoom[3]))
    edit_glb(folder, replace(scene, camera=dropped))
    np.testing.assert_array_equal(load_scene(folder).camera.zoom, scene.camera.zoom)
    longer = replace(scene.camera, zoom=np.full(scene.frames, 3.0))
    edit_glb(folder, replace(scene, camera=longer))
    read = load_scene(folder).camera
    np.testing.assert_allclose(read.zoom, 3.0, rtol=1e-6)
    assert read.intrinsics == lens


def test_what_an_edited_camera_leaves_open_is_told(scene: Scene, tmp_path: Path) -> None:
    """A still lens beside a scene that zooms, a view of other proportions, and an animation of a part of the shot."""
    save_scene(scene, tmp_path / "scene")
    lens = replace(scene.camera.intrinsics, width=2 * scene.camera.intrinsics.width)
    path = CameraPath.still(3, lens)
    path.world_from_camera[:, 0, 3] = [0, 0, 1]
    edit_glb(tmp_path / "scene", replace(scene, entities=(), camera=path))
    told = " ".join(read_scene(tmp_path / "scene")[1])
    assert "one for all frames" in told
    assert "the view's height counts" in told
    assert f"animated in frames 0 to 2 of 0…{scene.frames - 1}" in told


def test_the_camera_survives_an_edit_that_dropped_it(scene: Scene, tmp_path: Path, handmade: Any) -> None:
    folder = tmp_path / "scene"
    save_scene(scene, folder)
    (folder / "scene.glb").write_bytes(handmade.write().read_bytes())
    read, notes = read_scene(folder)
    np.testing.assert_array_equal(read.camera.world_from_camera, scene.camera.world_from_camera)
    assert any("without a camera" in note for note in notes)


def test_masks_of_names_that_differ_in_case_alone(
    scene: Scene, tmp_path: Path, make_entity: Callable[..., Entity], make_ball: Callable[..., Mesh]
) -> None:
    masks = [np.zeros((90, 160), bool) for _ in range(3)]
    for k, mask in enumerate(masks):
        mask[k] = True
    still = Motion.still(scene.frames, np.eye(4))
    names = ("Car", "car", "car.")
    entities = [make_entity(n, make_ball(), still, mask=m) for n, m in zip(names, masks, strict=True)]
    save_scene(replace(scene, entities=tuple(entities)), tmp_path / "scene")
    files = [p.stem.casefold() for p in (tmp_path / "scene" / "masks").iterdir()]
    assert len(set(files)) == 3
    for entity, mask in zip(load_scene(tmp_path / "scene").entities, masks, strict=True):
        np.testing.assert_array_equal(entity.mask, mask)


def test_saving_keeps_foreign_files_and_drops_old_ones(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "scene"
    save_scene(scene, folder)
    (folder / "notes").mkdir()
    (folder / "notes" / "shot.yaml").write_text("orbit: 30")
    (folder / "masks" / "mine.png").write_bytes(b"mine")
    (folder / "link").symlink_to("notes/shot.yaml")
    save_scene(replace(scene, entities=scene.entities[1:], photo=None), folder)
    assert set(snapshot(folder)) == {"scene.glb", "scene.json", "notes/shot.yaml", "masks/mine.png", "link"}
    assert (folder / "notes" / "shot.yaml").read_text() == "orbit: 30"
    assert (folder / "link").readlink() == Path("notes/shot.yaml")
    assert load_scene(folder).photo is None
    assert [p.name for p in tmp_path.iterdir()] == ["scene"]


def test_a_foreign_file_in_the_way_is_not_overwritten(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "scene"
    save_scene(replace(scene, photo=None), folder)
    (folder / "photo.png").write_bytes(b"my own")
    before = snapshot(folder)
    with pytest.raises(UserError, match="in the way"):
        save_scene(scene, folder)
    assert snapshot(folder) == before


def test_a_folder_that_is_no_scene_is_not_replaced(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(UserError, match="no scene"):
        save_scene(scene, tmp_path / "photos")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UserError, match="is a file"):
        save_scene(scene, tmp_path / "file")
    assert snapshot(tmp_path) == {"photos/cat.jpg": b"cat", "file": b"x"}
    (tmp_path / "empty").mkdir()
    save_scene(scene, tmp_path / "empty")
    assert load_scene(tmp_path / "empty").names == scene.names


def test_a_failed_save_leaves_the_old_scene(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "scene"
    save_scene(scene, folder)
    before = snapshot(folder)
    broken = replace(scene.entities[0], provenance={"made by": object()})
    with pytest.raises(ValueError, match="JSON"):
        save_scene(scene.with_entity(broken), folder)
    assert snapshot(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["scene"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda j: j.update(version=99), "version 99"),
        (lambda j: j.update(format="cake"), "not a scene"),
        (lambda j: j.pop("frames"), "'frames' is missing"),
        (lambda j: j.update(frames=10**9), "'frames'"),
        (lambda j: j.update(fps=0), "'fps'"),
        (lambda j: j["camera"].update(zoom=[1.0]), "'zoom'"),
        (lambda j: j["camera"]["zoom"].__setitem__(0, -1), "zoom"),
        (lambda j: j["camera"].update(fx=-3), "fx"),
        (lambda j: j["camera"].update(world_from_camera=[1, 2]), "4×4"),
        (lambda j: j["camera"]["world_from_camera"].pop(), "zoom has shape"),
        (lambda j: j.update(photo_world_from_camera=[[1] * 4] * 3), "4×4"),
        (lambda j: j["entities"][0].update(name=3), "'name'"),
        (lambda j: j["entities"][0].update(bounds=[1]), "'bounds'"),
        (lambda j: j["entities"][0].update(bounds=[[1, 2, 3]]), "two corners"),
        (lambda j: j["entities"][0].update(rest_world_from_object="none"), "rest_world_from_object"),
        (lambda j: j["entities"][0].update(mask="../../secret.png"), "does not lie"),
        (lambda j: j["entities"][0].update(mask="/etc/passwd"), "does not lie"),
        (lambda j: j["entities"][0].update(mask="masks/other.png"), "other.png"),
        (lambda j: j.update(entities="many"), "'entities'"),
        (lambda j: j["entities"].append(j["entities"][0]), "twice"),
    ],
)
def test_a_damaged_description_is_an_error(
    scene: Scene, tmp_path: Path, change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    save_scene(scene, tmp_path / "scene")
    change_json(tmp_path / "scene", change)
    with pytest.raises(UserError, match=words):
        load_scene(tmp_path / "scene")


def test_missing_and_damaged_files_are_errors(scene: Scene, tmp_path: Path) -> None:
    for name, words in {
        "scene.glb": "scene.glb",
        "photo.png": "photo.png",
        "masks/car.png": "car.png",
        "scene.json": "not a scene folder",
    }.items():
        folder = tmp_path / name.replace("/", " ")
        save_scene(scene, folder)
        (folder / name).unlink()
        with pytest.raises(UserError, match=words):
            load_scene(folder)
    folder = tmp_path / "garbage"
    save_scene(scene, folder)
    (folder / "photo.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"photo\.png"):
        load_scene(folder)
    (folder / "scene.json").write_text('{"format": ')
    with pytest.raises(UserError, match="damaged"):
        load_scene(folder)


def test_a_mask_of_another_size_is_an_error(scene: Scene, tmp_path: Path) -> None:
    save_scene(scene, tmp_path / "scene")
    Image.new("L", (10, 10)).save(tmp_path / "scene" / "masks" / "car.png")
    with pytest.raises(UserError, match="10×10"):
        load_scene(tmp_path / "scene")
