"""`r2s2r run` and the stages on their own, from a photo to a page."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.control.reading import read_control
from real2sam2real.media import read_image, read_video, video_info, write_png
from real2sam2real.scene.folder import load_scene

SHOT = ("--camera", "orbit 10deg around ball", "--move", "ball: right 0.2", "--frames", "5")


@pytest.fixture(scope="module")
def command(photo: Path, mask: Path, checkpoint: Path) -> tuple[object, ...]:
    """What makes a run."""
    return "run", photo, "--mask", f"ball={mask}", *SHOT, "--checkpoint", checkpoint, "-o", "out"


@pytest.fixture
def whole_run(cli, command):
    """Make a run, with more flags if wanted; gives how it ended and the run folder."""

    def run(*more: str):
        return cli(*command, *more), Path("out")

    return run


@pytest.fixture(scope="module")
def run_once(made_once, command) -> Path:
    """A finished run; not to be changed."""
    folder, ended = made_once(*command)
    assert ended.status == 0, ended.err
    return folder / "out"


@pytest.fixture
def finished(cli, run_once: Path) -> Path:
    """A finished run, where `whole_run` would make it."""
    return Path(shutil.copytree(run_once, "out"))


def stages_done(err: str) -> list[str]:
    return [line.removesuffix(" …") for line in err.splitlines() if line.endswith(" …")]


def test_run_makes_everything_once(whole_run) -> None:
    ended, out = whole_run()
    assert ended.status == 0, ended.err
    assert ended.out == "out/index.html\n"
    scene = load_scene(out / "scene")
    assert (scene.frames, scene.names) == (5, ["ball"])
    control = read_control(out / "control")
    assert control.size == (80, 64)
    for name in ("preview.mp4", "normals.mp4", "generated.mp4"):
        assert len(read_video(out / name)) == 5
    assert video_info(out / "generated.mp4").width == control.size[0]
    assert video_info(out / "preview.mp4").width == 128
    record = json.loads((out / "run.json").read_text())
    assert list(record["stages"]) == ["lift", "pictures", "direct", "preview", "render", "generate"]
    assert any("from the preview's latents at strength 0.5" in note for note in record["stages"]["generate"]["notes"])
    assert len(stages_done(ended.err)) == 6

    again, _ = whole_run()
    assert stages_done(again.err) == []
    assert again.err.count("unchanged, kept") == 6

    before = read_video(out / "generated.mp4")
    other, _ = whole_run("--seed", "1")
    assert stages_done(other.err) == ["generate the video"]
    assert not np.array_equal(read_video(out / "generated.mp4"), before)

    moved, _ = whole_run("--move", "ball: up 0.1")
    assert stages_done(moved.err) == ["direct the shot", "preview", "render the control", "generate the video"]


def test_a_run_that_was_cut_off_goes_on(whole_run, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("real2sam2real.run.pipeline.render_to_folder", cut_off)
        ended, out = whole_run()
    assert ended.status == 130
    assert not (out / "index.html").exists()
    ended, out = whole_run()
    assert stages_done(ended.err) == ["render the control", "generate the video"]


def test_a_run_that_was_killed_goes_on(whole_run, photo: Path, mask: Path) -> None:
    arguments = ["run", photo, "--mask", f"ball={mask}", *SHOT, "-o", "out", "--preview-only"]
    child = subprocess.Popen([sys.executable, "-m", "real2sam2real", *arguments], stderr=subprocess.PIPE, text=True)
    assert any(line.startswith("direct the shot") for line in child.stderr)
    child.kill()
    child.communicate()
    ended, out = whole_run("--preview-only")
    assert ended.status == 0
    assert "lift the objects into 3D" not in stages_done(ended.err)
    assert not [path for path in out.rglob(".*") if path.name not in (".lock", ".lifting")]


def test_preview_only_needs_no_checkpoint(whole_run) -> None:
    ended, out = whole_run("--checkpoint", "nowhere", "--preview-only")
    assert ended.status == 0, ended.err
    assert not (out / "control").exists()
    assert "Generated video" not in (out / "index.html").read_text(encoding="utf-8")


def test_a_draft_is_small_and_half_the_frames_and_the_video_of_before_is_marked(whole_run, finished: Path) -> None:
    page = (finished / "index.html").read_text(encoding="utf-8")
    assert "Of an earlier shot" not in page
    assert "r2s2r render out/scene --size full" in page
    ended, out = whole_run("--draft", "--move", "ball: up 0.1")
    assert ended.status == 0, ended.err
    for name in ("preview.mp4", "normals.mp4"):
        info = video_info(out / name)
        assert (info.frames, info.fps) == (3, 8)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert 'data-frames="3" data-fps="8"' in page
    assert "Of an earlier shot" in page
    assert "a draft: 128×" in page
    whole_run("--draft")
    assert "Of an earlier shot" in (out / "index.html").read_text(encoding="utf-8")


def test_a_preview_that_follows_no_change_leaves_the_video_as_it_is(whole_run, finished: Path) -> None:
    _, out = whole_run("--preview-only")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Generated video" in page
    assert "Of an earlier shot" not in page


def test_stages_one_by_one_give_what_run_gives(cli, run_once: Path, photo: Path, mask: Path, checkpoint: Path) -> None:
    assert cli("lift", photo, "--mask", f"ball={mask}", "-o", "scene").out == "scene\n"
    assert cli("direct", "scene", *SHOT, "-o", "directed").status == 0
    assert cli("preview", "directed", "-o", "preview.mp4").status == 0
    assert cli("render", "directed", "--checkpoint", checkpoint, "-o", "control").status == 0
    assert cli("generate", "control", "--checkpoint", checkpoint, "-o", "video.mp4").status == 0
    assert read_video("video.mp4").shape == read_video(run_once / "generated.mp4").shape
    assert np.array_equal(read_video("preview.mp4"), read_video(run_once / "preview.mp4"))
    assert np.array_equal(read_control(Path("control")).normals, read_control(run_once / "control").normals)


def test_motion_goes_over_another_photo(cli, photo: Path, scene: Path, checkpoint: Path) -> None:
    cli("render", "scene", *SHOT, "--size", "64x48", "-o", "control")
    assert cli("transfer", "control", photo, "--prompt", "a ball", "-o", "other").status == 0
    assert read_control(Path("other")).prompt == "a ball"
    made = cli("generate", "other", "--checkpoint", checkpoint, "-o", "v.mp4")
    assert made.status == 0
    assert "from noise, because" in made.err
    no_start = cli("generate", "other", "--checkpoint", checkpoint, "--init", "preview", "-o", "w.mp4")
    assert no_start.status == 2
    assert "leave --init out" in no_start.err
    assert not Path("w.mp4").exists()


@pytest.mark.slow  # the start is a preview like any other; the motion over another photo: the test above
def test_motion_of_a_run_goes_over_another_photo_with_a_start(cli, photo: Path, scene: Path, checkpoint: Path) -> None:
    """The other photo is the first one in other colours, so its preview is the first one's in other colours."""
    shutil.copytree(scene, "run/lifted")
    assert cli("direct", "run/lifted", *SHOT, "-o", "run/scene").status == 0
    write_png("other.png", 255 - read_image(photo))
    assert cli("transfer", "run", "other.png", "-o", "other").status == 0
    assert cli("render", "run/scene", "-o", "control").status == 0
    before, after = (read_video(f"{name}/preview.mkv").astype(int) for name in ("control", "other"))
    assert np.abs(before - after).mean() > 20
    assert np.abs(255 - before - after).mean() < 12
    assert cli("transfer", "run/lifted", "other.png", "-o", "still").status == 2
    assert cli("generate", "other", "--checkpoint", checkpoint, "-o", "v.mp4").status == 0


def test_camera_path_goes_out_and_comes_back(cli, scene: Path) -> None:
    cli("direct", "scene", *SHOT, "-o", "directed")
    assert cli("camera", "directed", "-o", "path.json").status == 0
    assert cli("direct", "scene", "--camera", "path path.json", "--frames", "5", "-o", "followed").status == 0
    wanted, found = (load_scene(Path(name)).camera.world_from_camera for name in ("directed", "followed"))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_an_edited_scene_is_filmed_as_edited(whole_run, finished: Path, cli) -> None:
    out = finished
    cli("direct", out / "scene", "--move", "ball: up 0.3", "-o", "edited")
    shutil.copy("edited/scene.glb", out / "scene" / "scene.glb")
    ended, _ = whole_run()
    assert stages_done(ended.err) == ["preview", "render the control", "generate the video"]


def test_full_size_is_what_the_official_inference_works_at(cli, scene: Path) -> None:
    cli("render", "scene", "--frames", "1", "--size", "full", "-o", "control")
    width, height = read_control(Path("control")).size
    assert (width % 16, height % 16) == (0, 0)
    assert width * height == pytest.approx(960 * 960, rel=0.03)
