import json

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.control import NormalConvention, read_control, save_control, write_control
from real2sam2real.control.folder import Control
from real2sam2real.control.reading import open_control
from real2sam2real.errors import UserError

LEFT = NormalConvention.preset("left-up-towards")
FILES = {
    "source_image.png",
    "object_animation_normal.mp4",
    "caption.json",
    "normals.mkv",
    "ids.mkv",
    "control.json",
}


@pytest.fixture
def folder(tmp_path, scene, frames):
    path = tmp_path / "control"
    write_control(
        path, iter(frames), photo=scene.photo, prompt=scene.prompt, fps=scene.fps, convention=LEFT, names=scene.names
    )
    return path


def test_everything_comes_back_exactly(folder, scene, frames):
    control = read_control(folder)
    np.testing.assert_array_equal(control.normals, [LEFT.encode(f.normals, f.ids) for f in frames])
    np.testing.assert_array_equal(control.ids, [f.ids for f in frames])
    np.testing.assert_array_equal(control.photo, scene.photo)
    assert set(np.unique(control.ids)) == {0, 1, 2}
    assert (control.prompt, control.fps, control.normal_convention) == (scene.prompt, scene.fps, LEFT)
    assert (control.names, control.frames, control.size) == (("left", "right"), 5, (64, 36))
    assert {p.name for p in folder.iterdir()} == FILES


def test_saving_what_was_read_gives_the_same_again(folder, tmp_path):
    control = read_control(folder)
    save_control(tmp_path / "again", control)
    again = read_control(tmp_path / "again")
    for name in ("normals", "ids", "photo"):
        np.testing.assert_array_equal(getattr(again, name), getattr(control, name))
    assert (again.prompt, again.fps, again.normal_convention, again.names) == (
        control.prompt,
        control.fps,
        control.normal_convention,
        control.names,
    )


def test_a_folder_that_names_the_convention_as_older_ones_do_is_read(folder):
    path = folder / "control.json"
    older = path.read_text("utf-8").replace('"normal_convention"', '"coding"')
    assert '"coding"' in older
    path.write_text(older, "utf-8")
    assert read_control(folder).normal_convention == open_control(folder).normal_convention == LEFT


def test_the_official_files_are_what_the_official_script_reads(folder, scene, frames):
    assert json.loads((folder / "caption.json").read_text("utf-8")) == {"text": scene.prompt}
    np.testing.assert_array_equal(media.read_image(folder / "source_image.png"), scene.photo)
    video = media.read_video(folder / "object_animation_normal.mp4")
    assert video.shape == (5, 36, 64, 3)
    error = video.astype(float) - [LEFT.encode(f.normals, f.ids) for f in frames]
    assert np.mean(error**2) < 255**2 / 10**2.5  # colour at half resolution costs most in so small a picture


def test_official_files_alone_are_read_only_when_asked_for(folder):
    exact = read_control(folder)
    for name in ("normals.mkv", "ids.mkv", "control.json"):
        (folder / name).unlink()
    with pytest.raises(UserError, match="from_official"):
        read_control(folder)
    control = read_control(folder, from_official=True)
    assert "no ids" in control.notes[0]
    assert set(np.unique(control.ids)) == {0, 1}
    assert ((control.ids > 0) != (exact.ids > 0)).mean() < 0.03
    assert (control.normals[control.ids == 0] == 0).all()
    assert control.fps == exact.fps


@pytest.mark.parametrize("name", sorted(FILES - {"object_animation_normal.mp4"}))
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        read_control(folder)


@pytest.mark.parametrize("name", ["normals.mkv", "ids.mkv", "source_image.png", "control.json", "caption.json"])
def test_a_truncated_file_is_named(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        read_control(folder)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("version", 99, "version 99"),
        ("frames", 6, "shape"),
        ("width", 32, "shape"),
        ("fps", 0, "positive"),
        ("fps", "fast", "fps"),
        ("normal_convention", {"directions": []}, "normal convention"),
        ("entities", [{"id": 1, "name": "left"}], "holds id 2"),
        ("entities", [{"id": 7, "name": "left"}], "entity 1"),
        ("notes", None, "notes"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(folder, key, value, words):
    path = folder / "control.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(UserError, match=words):
        read_control(folder)


def test_videos_that_contradict_each_other_are_refused(folder, frames):
    media.write_lossless_video(folder / "ids.mkv", [f.ids for f in frames[:-1]], 12.5)
    with pytest.raises(UserError, match=r"ids\.mkv"):
        read_control(folder)


def test_a_bad_caption_is_refused(folder):
    (folder / "caption.json").write_text('{"prompt": "a car"}')
    with pytest.raises(UserError, match='"text"'):
        read_control(folder)


def test_failing_midway_leaves_the_old_folder(folder, scene, frames):
    def broken():
        yield frames[0]
        raise RuntimeError("the renderer broke")

    def no_preview(made):
        raise OSError("the disk is full")

    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(RuntimeError, match="the renderer broke"):
        write_control(folder, broken(), photo=scene.photo, prompt="", fps=16)
    with pytest.raises(OSError, match="the disk is full"):
        write_control(folder, frames, photo=scene.photo, prompt="another", fps=16, also=no_preview)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["control"]


def test_a_photo_of_another_size_is_resized_and_of_another_shape_refused(tmp_path, scene, frames):
    large = np.repeat(np.repeat(scene.photo, 2, axis=0), 2, axis=1)
    write_control(tmp_path / "a", frames, photo=large, prompt="", fps=16)
    np.testing.assert_array_equal(read_control(tmp_path / "a").photo, scene.photo)
    with pytest.raises(UserError, match="another shape"):
        write_control(tmp_path / "b", frames, photo=scene.photo[:, :30], prompt="", fps=16)
    assert not (tmp_path / "b").exists()


def test_bad_calls_are_refused(tmp_path, scene, frames):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        write_control(tmp_path / "file", frames, photo=scene.photo, prompt="", fps=16)
    with pytest.raises(ValueError, match="no frame"):
        write_control(tmp_path / "empty", [], photo=scene.photo, prompt="", fps=16)
    with pytest.raises(ValueError, match="entity names"):
        write_control(tmp_path / "names", frames, photo=scene.photo, prompt="", fps=16, names=["left"])
    with pytest.raises(UserError, match="not a folder"):
        read_control(tmp_path / "nowhere")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_control_checks_its_parts():
    normals, ids = np.zeros((2, 4, 6, 3), np.uint8), np.zeros((2, 4, 6), np.uint8)
    photo = np.zeros((4, 6, 3), np.uint8)
    Control(normals=normals, ids=ids, photo=photo, prompt="", fps=16)
    with pytest.raises(ValueError, match="ids"):
        Control(normals=normals, ids=ids[:1], photo=photo, prompt="", fps=16)
    with pytest.raises(ValueError, match="photo"):
        Control(normals=normals, ids=ids, photo=photo[:3], prompt="", fps=16)
    with pytest.raises(ValueError, match="fps"):
        Control(normals=normals, ids=ids, photo=photo, prompt="", fps=0)
