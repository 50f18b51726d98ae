"""Lifters on the command line: a photo and masks go in, a scene with their meshes comes out, and failures are told."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from real2sam2real.cli.main import main
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.workers.conventions import ZUP_FROM_YUP
from real2sam2real.lifting.workers.requests import LiftRequest
from real2sam2real.media import write_png
from real2sam2real.perceive.view import PhotoView
from real2sam2real.scene.folder import load_scene

WIDTH, HEIGHT, FOCAL = 160, 120, 150.0
LENS = Intrinsics(width=WIDTH, height=HEIGHT, fx=FOCAL, fy=FOCAL, cx=WIDTH / 2, cy=HEIGHT / 2)
BOX = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)])
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
FACES = np.array([[q[0], q[k], q[k + 1]] for q in QUADS for k in (1, 2)])
UPRIGHT = np.array([np.cos(np.pi / 12), 0, np.sin(np.pi / 12), 0])  # turned by 30° about +Y
POSES = {"crate": ([-0.7, -1.0, -3.2], 0.9), "trunk": ([0.9, -1.0, -4.0], 0.7)}  # on the ground, one unit down


@pytest.fixture
def boxes(sam3d, sam3d_pose, tmp_path: Path):
    """The stand-in of SAM 3D Objects with two boxes in a photo; the photo and the masks lie in its folder."""
    rng = np.random.default_rng(1)
    pixels = cv2.resize(rng.integers(60, 200, (15, 20, 3), dtype=np.uint8), (WIDTH, HEIGHT))
    write_png(sam3d.folder / "photo.png", pixels)
    masks = {}
    for name, (position, scale) in POSES.items():
        camera_from_object = transforms.compose(np.array(position), UPRIGHT, scale)
        sam3d.camera_vertices[name] = transforms.apply(camera_from_object, BOX)
        masks[name] = inverse_depth(sam3d.camera_vertices[name], FACES.astype(np.int32), LENS) > 0
        write_png(sam3d.folder / f"{name}.png", np.repeat(masks[name][..., None].astype(np.uint8) * 255, 3, axis=2))
        rotation, translation, size = sam3d_pose(camera_from_object)
        np.savez(
            sam3d.folder / f"{masks[name].sum()}.npz",
            vertices_zup=BOX @ ZUP_FROM_YUP.T,
            faces=FACES,
            colors=np.full((len(BOX), 3), 128, np.uint8),
            rotation=rotation,
            translation=translation,
            scale=size[0],
        )
    sam3d.request = LiftRequest(pixels=pixels, masks=masks, view=PhotoView(intrinsics=LENS), folder=tmp_path / "x")
    return sam3d


@pytest.fixture
def r2s2r(boxes, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Calls `r2s2r` in a folder of its own, with the stand-in's environment named; gives status, output, errors."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    place = ("--lifter-python", sys.executable, "--lifter-code", boxes.clone)
    place += ("--lifter-weights", f"sam3d={boxes.folder / 'weights'}")

    def run(command: str, *arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in (command, *arguments, *place)])
        return int(end.value.code or 0), *capsys.readouterr()

    return run


def photo_and_masks(boxes) -> list[object]:
    masks = [flag for name in POSES for flag in ("--mask", boxes.folder / f"{name}.png")]
    return [boxes.folder / "photo.png", *masks, "--focal", FOCAL, "--pitch", 0]


def test_lifting_goes_on_after_a_failure_and_makes_the_scene(boxes, r2s2r) -> None:
    command = ("lift", *photo_and_masks(boxes), "--lifter", "sam3d", "-o", "scene")
    boxes.tell(trunk="memory")
    status, _, errors = r2s2r(*command)
    assert status == 2
    for part in ("could not lift 1 of 2 objects", "trunk: the card's memory does not suffice", "trunk=embedded"):
        assert part in errors
    assert "Traceback" not in errors.splitlines()
    assert not Path("scene").exists()

    boxes.tell(trunk=None)
    status, _, errors = r2s2r(*command)
    assert status == 0, errors
    assert "1 of 2 objects are lifted already" in errors
    assert boxes.lifted() == ["crate", "trunk", "trunk"]
    scene = load_scene(Path("scene"))
    for name in POSES:
        vertices = scene.entity(name).vertices_world(0)
        truth = boxes.camera_vertices[name]
        np.testing.assert_allclose(vertices.min(axis=0), truth.min(axis=0), atol=0.04)
        np.testing.assert_allclose(vertices.max(axis=0), truth.max(axis=0), atol=0.04)
        provenance = scene.entity(name).provenance
        assert (provenance["lifter"], provenance["seed"]) == ("sam3d", 42)
        assert provenance["alignment"]["iou_after"] > 0.95


def test_one_object_may_have_another_lifter(boxes, r2s2r) -> None:
    chosen = ("--lifter", "sam3d", "--lifter", "trunk=embedded")
    status, _, errors = r2s2r("lift", *photo_and_masks(boxes), *chosen, "-o", "scene")
    assert status == 0, errors
    assert boxes.lifted() == ["crate"]
    scene = load_scene(Path("scene"))
    assert [scene.entity(name).provenance["lifter"] for name in POSES] == ["sam3d", "embedded"]


def test_a_crash_is_one_message_and_nothing_is_half_written(boxes, r2s2r) -> None:
    boxes.tell(trunk="SIGSEGV")
    status, _, errors = r2s2r("lift", *photo_and_masks(boxes), "--lifter", "sam3d", "-o", "scene")
    assert status == 2
    for part in ("SIGSEGV at trunk", "1 of 2 objects are lifted and kept (crate)", "The same command goes on"):
        assert part in errors
    assert not Path("scene").exists()
    assert not [path for path in Path.cwd().rglob("*") if path.suffix == ".json" and not json.loads(path.read_text())]


def test_the_doctor_asks_the_environment(boxes, r2s2r) -> None:
    status, out, errors = r2s2r("doctor", "--lifter", "sam3d")
    assert status == 0, errors
    assert "SAM 3D Objects is ready: python 3" in out
    (boxes.folder / "weights" / "generator.ckpt").unlink()
    assert "generator.ckpt is missing" in " ".join(r2s2r("doctor", "--lifter", "sam3d")[1].split())
