"""Meshes of the user's own on the command line: lifted with, added, filmed."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.media import write_png
from real2sam2real.scene.folder import load_scene

WIDTH, HEIGHT, FOCAL = 160, 120, 150.0
LENS = Intrinsics(width=WIDTH, height=HEIGHT, fx=FOCAL, fy=FOCAL, cx=WIDTH / 2, cy=HEIGHT / 2)
BOX = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)])
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


def corners_camera(x: float, z: float, size: tuple[float, float, float]) -> np.ndarray:
    """A box on the ground, one unit below a camera that looks straight ahead, turned by 30°."""
    turn = np.array([[np.sqrt(0.75), 0, 0.5], [0, 1, 0], [-0.5, 0, np.sqrt(0.75)]])
    return (BOX * size) @ turn.T + [x, -1.0, z]


BOXES = {
    "crate": corners_camera(-0.7, -3.2, (0.6, 0.8, 0.9)),
    "trunk": corners_camera(0.9, -4.0, (1.1, 0.5, 0.6)),
}


def write_ply(path: Path, vertices: np.ndarray) -> Path:
    lines = ["ply", "format ascii 1.0", f"element vertex {len(vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += ["element face 6", "property list uchar int vertex_indices", "end_header"]
    lines += [" ".join(f"{value:.6f}" for value in vertex) for vertex in vertices]
    lines += [" ".join(map(str, (4, *quad))) for quad in QUADS]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of two boxes, their masks, and their meshes in the photo's camera, one of them claimed wrongly."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(1)
    pixels = cv2.resize(rng.integers(60, 200, (15, 20, 3), dtype=np.uint8), (WIDTH, HEIGHT))
    write_png(folder / "photo.png", pixels)
    faces = np.array([[q[0], q[k], q[k + 1]] for q in QUADS for k in (1, 2)], np.int32)
    for name, vertices in BOXES.items():
        mask = inverse_depth(vertices, faces, LENS) > 0
        write_png(folder / f"{name}.png", np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2))
    write_ply(folder / "crate.ply", BOXES["crate"])
    write_ply(folder / "trunk.ply", BOXES["trunk"] * [1, 1, 1] * 0.7 + [0.2, 0.3, -0.6])
    return folder


@pytest.fixture(scope="module")
def crate_once(made_once, inputs: Path) -> Path:
    """A scene of the crate alone, from its own mesh; not to be changed."""
    crate = ("--mask", inputs / "crate.png", "--mesh", f"crate={inputs / 'crate.ply'}")
    folder, ended = made_once("lift", inputs / "photo.png", *crate, "--focal", FOCAL, "--pitch", 0, "-o", "scene")
    assert ended.status == 0, ended.err
    assert "silhouette on its mask: IoU" in ended.err
    return folder / "scene"


@pytest.fixture
def lifted(cli, crate_once: Path) -> Path:
    """The same where the command is called."""
    return Path(shutil.copytree(crate_once, "scene"))


def test_a_mesh_in_the_photos_camera_stays_where_it_is(lifted: Path) -> None:
    scene = load_scene(lifted)
    vertices = scene.entities[0].vertices_world(0)
    np.testing.assert_allclose(vertices.min(axis=0), BOXES["crate"].min(axis=0), atol=0.03)
    np.testing.assert_allclose(vertices.max(axis=0), BOXES["crate"].max(axis=0), atol=0.03)
    assert scene.ground_y == pytest.approx(-1, abs=0.02)
    assert scene.camera.intrinsics.fx == pytest.approx(FOCAL)
    record = json.loads((lifted / "scene.json").read_text())["entities"][0]["provenance"]
    assert record["alignment"]["iou_after"] > 0.95


def test_another_mesh_is_added_aligned_and_on_the_same_ground(cli, lifted: Path, inputs: Path) -> None:
    ended = cli("add", lifted, inputs / "trunk.ply", "--mask", inputs / "trunk.png")
    assert ended.status == 0, ended.err
    assert ended.out == "scene\n"
    scene = load_scene(lifted)
    assert scene.names == ["crate", "trunk"]
    vertices = scene.entity("trunk").vertices_world(0)
    assert vertices[:, 1].min() == pytest.approx(scene.ground_y, abs=0.02)
    np.testing.assert_allclose(vertices.mean(axis=0), BOXES["trunk"].mean(axis=0), atol=0.15)
    assert scene.entity("trunk").provenance["alignment"]["iou_after"] > 0.95


def test_the_scene_is_filmed_from_its_folder(cli, lifted: Path) -> None:
    shot = ("--camera", "orbit 20deg around crate", "--move", "crate: right 0.3", "--frames", 5)
    ended = cli("run", lifted, *shot, "--preview-only", "-o", "out")
    assert ended.status == 0, ended.err
    assert load_scene(Path("out/lifted")).names == ["crate"]
    assert load_scene(Path("out/scene")).frames == 5
    for name in ("preview.mp4", "normals.mp4", "index.html", "pictures/fit.jpg"):
        assert (Path("out") / name).stat().st_size > 0
    again = cli("run", lifted, *shot, "--preview-only", "-o", "out")
    assert "open the scene …" not in again.err.splitlines()


def test_own_and_embedded_meshes_share_a_scene(cli, inputs: Path) -> None:
    masks = [flag for name in BOXES for flag in ("--mask", inputs / f"{name}.png")]
    mesh = ("--mesh", f"crate={inputs / 'crate.ply'}")
    ended = cli("lift", inputs / "photo.png", *masks, *mesh, "--focal", FOCAL, "--pitch", 0, "-o", "scene")
    assert ended.status == 0, ended.err
    scene = load_scene(Path("scene"))
    lowest = [entity.vertices_world(0)[:, 1].min() for entity in scene.entities]
    np.testing.assert_allclose(lowest, scene.ground_y, atol=0.03)
    assert scene.entity("trunk").provenance["lifter"] == "embedded"
    middle = scene.entity("trunk").vertices_world(0).mean(axis=0)
    np.testing.assert_allclose(middle, BOXES["trunk"].mean(axis=0), atol=0.5)


def test_adding_a_mesh_again_replaces_it(cli, lifted: Path, inputs: Path) -> None:
    again = cli("add", lifted, inputs / "crate.ply", "--mask", inputs / "crate.png", "--no-align")
    assert again.status == 0, again.err
    assert load_scene(lifted).names == ["crate"]


def refused(ended, *words: str) -> None:
    assert ended.status == 2
    assert len(ended.err.strip().splitlines()) >= 1
    assert "Traceback" not in ended.err
    for word in words:
        assert word in ended.err


def test_what_cannot_be_is_said(cli, lifted: Path, inputs: Path) -> None:
    photo, mask = inputs / "photo.png", ("--mask", inputs / "crate.png")
    refused(cli("lift", photo, *mask, "--mesh", f"cart={inputs / 'crate.ply'}", "-o", "x"), "'cart'", "crate")
    refused(cli("lift", photo, *mask, "--mesh", "crate=nothing.ply", "-o", "x"), "nothing.ply")
    refused(cli("add", lifted, inputs / "trunk.ply"), "no object was named")
    two = ("--mask", inputs / "crate.png", "--mask", inputs / "trunk.png")
    refused(cli("add", lifted, inputs / "trunk.ply", *two), "2 objects are named")
    refused(cli("run", lifted, *mask, "-o", "y"), "r2s2r add")
    refused(cli("lift", photo, *mask, "--lifter", "magic", "-o", "x"), "magic")
    assert not Path("x").exists()


def test_masks_are_written_with_a_picture_and_can_be_given_back(cli, inputs: Path) -> None:
    masks = [flag for name in BOXES for flag in ("--mask", inputs / f"{name}.png")]
    ended = cli("masks", inputs / "photo.png", *masks, "-o", "found")
    assert ended.status == 0, ended.err
    assert {path.name for path in Path("found").rglob("*.png")} == {"masks.png", "crate.png", "trunk.png"}
    ended = cli("lift", inputs / "photo.png", "--mask", "found/masks", "-o", "scene")
    assert ended.status == 0, ended.err
    assert load_scene(Path("scene")).names == ["crate", "trunk"]
