"""Camera paths as tools really leave them: odd orders, times, lenses and names mean what they can only mean."""

import json
import logging

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.scene import CameraPath
from real2sam2real.scene.paths import load_camera_path, save_camera_path
from real2sam2real.scene.paths.distortion import shift

LENS = Intrinsics.from_fov(640, 360, horizontal_degrees=60)
PINHOLE = "1 PINHOLE 1280 720 900 900 640 360"


def colmap(folder, names, cameras=PINHOLE, *, points="\n"):
    """A model whose camera steps to +x by 0.1 from image to image."""
    rows = [f"{k} 1 0 0 0 {-k / 10} 0 0 1 {name}\n{points}" for k, name in enumerate(names)]
    (folder / "cameras.txt").write_text(cameras + "\n", encoding="utf-8")
    (folder / "images.txt").write_text("".join(rows), encoding="utf-8")
    (folder / "points3D.txt").write_text("")
    return folder


def steps(path):
    return path.world_from_camera[:, 0, 3].round(6).tolist()


@pytest.mark.parametrize("points", ["\n", "", "12.5 40 -1 3 4 7\n", "\r\n"])
@pytest.mark.parametrize("name", ["IMG {0:04d} (1).png", "frame{0}.png", "1²{0}.png", "a {0} b c.jpg", "{0}", "Ⅷ-{0}"])
def test_colmap_names_and_points_lines(tmp_path, name, points):
    path = load_camera_path(colmap(tmp_path, [name.format(k) for k in range(12)], points=points))
    assert steps(path) == [k / 10 for k in range(12)]


@pytest.mark.parametrize(
    "camera",
    [
        "1 SIMPLE_RADIAL 1280 720 900 640 360 0",
        "1 RADIAL 1280 720 900 640 360 0 0",
        "1 OPENCV 1280 720 900 900 640 360 0 0 0 0",
        "1 FULL_OPENCV 1280 720 900 900 640 360 0 0 0 0 0 0 0 0",
        "1 FOV 1280 720 900 900 640 360 0",
        PINHOLE + "\n2 OPENCV 1280 720 900 900 640 360 0.5 0 0 0",
        PINHOLE + "\n2 OPENCV_FISHEYE 9 9 900 900 640 360 0.5 0 0 0",
        PINHOLE + "\n2 PINHOLE 0 0 0 0 0 0",
    ],
)
def test_a_lens_without_distortion_and_an_unused_camera_do_not_matter(tmp_path, camera, caplog):
    path = load_camera_path(colmap(tmp_path, ["a", "b"], camera))
    assert path.intrinsics == Intrinsics(width=1280, height=720, fx=900, fy=900, cx=640, cy=360)
    assert not caplog.records


@pytest.mark.parametrize("source", ["colmap", "nerf"])
def test_a_little_distortion_is_told_in_pixels(tmp_path, source, caplog):
    if source == "colmap":
        path = colmap(tmp_path, ["a", "b"], "1 OPENCV 1280 720 900 900 640 360 0.004 0 0 0")
    else:
        path = transforms_json(tmp_path, ["a", "b"], k1=0.004)
    assert load_camera_path(path).frames == 2
    assert "up to 2.0" in caplog.text


def test_distortion_is_that_of_opencv():
    import cv2

    radial, tangential = (0.1, -0.02, 0.003, 0.01, 0.02, -0.001), (0.002, -0.003)
    x, y = np.meshgrid(np.linspace(0, 1280, 17), np.linspace(0, 720, 17))
    rays = np.stack([(x - 600) / 900, (y - 380) / 800, np.ones_like(x)], axis=-1).reshape(-1, 1, 3)
    matrix = np.array([[900.0, 0, 600], [0, 800, 380], [0, 0, 1]])
    coefficients = np.array([*radial[:2], *tangential, *radial[2:]])
    moved, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, coefficients)
    expected = np.linalg.norm(moved[:, 0] - np.stack([x, y], axis=-1).reshape(-1, 2), axis=1).max()
    assert shift((900, 800, 600, 380), (1280, 720), radial, tangential) == pytest.approx(expected)


def transforms_json(folder, names, *, places=None, rows=4, **fields):
    places = range(len(names)) if places is None else places
    frames = []
    for name, place in zip(names, places, strict=True):
        pose = np.eye(4)
        pose[0, 3] = place / 10
        frames.append({"file_path": name, "transform_matrix": pose[:rows].tolist()})
    data = {"w": 1280, "h": 720, "fl_x": 900, "fl_y": 900, "cx": 640, "cy": 360, "frames": frames} | fields
    (folder / "transforms.json").write_text(json.dumps(data))
    return folder / "transforms.json"


@pytest.mark.parametrize("pattern", ["images/frame_{:05d}.png", "./r_{}.jpg", "IMG {} (1).png"])
def test_frames_that_jump_take_the_order_of_their_names(tmp_path, pattern, caplog):
    order = np.random.default_rng(0).permutation(12).tolist()
    path = load_camera_path(transforms_json(tmp_path, [pattern.format(k) for k in order], places=order, rows=3))
    assert steps(path) == [k / 10 for k in range(12)]
    assert "order of their file names" in caplog.text


@pytest.mark.parametrize("names", [["b", "c", "a", "d"], ["x", "x", "x", "x"], [None, "a", "c", "b"]])
def test_frames_that_go_on_smoothly_keep_their_order(tmp_path, names):
    assert steps(load_camera_path(transforms_json(tmp_path, names))) == [0, 0.1, 0.2, 0.3]


def test_the_path_of_nerfstudios_viewer(tmp_path):
    poses = [np.diag([1.0, 1, 1, 1]), np.array([[1.0, 0, 0, 2], [0, 1, 0, 3], [0, 0, 1, 4], [0, 0, 0, 1]])]
    cameras = [
        {"camera_to_world": pose.ravel().tolist(), "fov": fov} for pose, fov in zip(poses, (50, 25), strict=True)
    ]
    data = {"camera_path": cameras, "render_height": 1080, "render_width": 1920, "seconds": 4}
    (tmp_path / "camera_path.json").write_text(json.dumps(data))
    path = load_camera_path(tmp_path / "camera_path.json")
    np.testing.assert_allclose(path.world_from_camera[1, :3, 3], [2, 3, 4])
    focal = 540 / np.tan(np.radians([25, 12.5]))
    np.testing.assert_allclose([path.intrinsics_at(k).fy for k in (0, 1)], focal)
    (tmp_path / "camera_path.json").write_text(json.dumps(data | {"camera_path": [{"fov": 50}]}))
    with pytest.raises(UserError, match="camera 0: expected 'camera_to_world'"):
        load_camera_path(tmp_path / "camera_path.json")


def test_a_zoom_written_for_nerfstudio_stands_where_it_looks(tmp_path):
    """nerfstudio takes fl_x from the top of the file where it is there, and then for all frames."""
    poses = np.tile(np.eye(4), (3, 1, 1))
    for zoom in (np.ones(3), np.array([1, 1.5, 2])):
        save_camera_path(tmp_path / "t.json", CameraPath(world_from_camera=poses, intrinsics=LENS, zoom=zoom))
        data = json.loads((tmp_path / "t.json").read_text())
        read = [data.get("fl_x", frame["fl_x"]) for frame in data["frames"]]
        np.testing.assert_allclose(read, LENS.fx * zoom)
        np.testing.assert_allclose(load_camera_path(tmp_path / "t.json").zoom, zoom)


@pytest.mark.parametrize(
    ("times", "word", "order"),
    [
        ([0, 0, 0, 0], "evenly spaced", [0, 1, 2, 3]),
        ([7, 7, 7, 7], "evenly spaced", [0, 1, 2, 3]),
        ([0, 2, 1, 3], "not in order", [0, 2, 1, 3]),
        ([3, 2, 1, 0], "not in order", [3, 2, 1, 0]),
        ([0, 1, 1, 2], "repeat a time", [0, 1, 3]),
        ([2, 0, 2, 1], "repeat a time", [1, 3, 0]),
    ],
)
@pytest.mark.parametrize("kind", ["tum", "realestate10k"])
def test_times_that_repeat_or_run_back(tmp_path, kind, times, word, order, caplog):
    rows = []
    for k, time in enumerate(times):
        if kind == "tum":
            rows.append(f"{time} {k / 10} 0 0 0 0 0 1")
        else:
            rows.append(f"{time} 0.5 0.9 0.5 0.5 0 0 1 0 0 {-k / 10} 0 1 0 0 0 0 1 0")
    (tmp_path / "p.txt").write_text("\n".join(rows))
    path = load_camera_path(tmp_path / "p.txt", intrinsics=LENS, align_first_frame=False)
    assert steps(path) == [k / 10 for k in order]
    assert word in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "# by a SLAM\n#\n0.0 0 0 0 0 0 0 1\n\n# lost\n0.1 0.1 0 0 0 0 0 1\n  # again\n0.2 0.2 0 0 0 0 0 1\n",
        "0,0,0,0,0,0,0,1\r\n1e-1,\t0.1, 0,0, 0,0,0,1\r\n0.2 , 0.2,0,0,0,0,0,1\r\n\r\n",
        "\ufeff1311868164.363181 0 0 0 0 0 0 1\n1311868164.399026 1e-1 0 0 0 0 0 -1\n1311868164.430940 .2 0 0 0 0 0 1",
    ],
    ids=["comments and gaps", "commas and CRLF", "a byte-order mark and the other quaternion"],
)
def test_tum_as_others_write_it(tmp_path, text):
    (tmp_path / "p.txt").write_text(text, encoding="utf-8", newline="")
    path = load_camera_path(tmp_path / "p.txt", intrinsics=LENS, align_first_frame=False)
    assert steps(path) == [0, 0.1, 0.2]


def test_a_tiny_radial_term_is_told_with_its_size(tmp_path, caplog):
    path = load_camera_path(colmap(tmp_path, ["a", "b"], "1 SIMPLE_RADIAL 1280 720 900 640 360 1e-7"))
    assert path.intrinsics == Intrinsics(width=1280, height=720, fx=900, fy=900, cx=640, cy=360)
    assert "by up to 0.0" in caplog.text


def test_versecrafters_npz_is_blenders_camera(tmp_path, caplog):
    blender = np.tile(np.eye(4, dtype=np.float32), (3, 1, 1))
    blender[:, :3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # looks along +Y, with +Z up
    blender[:, 1, 3] = [0, 1, 2]  # and goes there
    np.savez(tmp_path / "v.npz", extrinsics=blender)
    with caplog.at_level(logging.WARNING):
        path = load_camera_path(tmp_path / "v.npz", intrinsics=LENS, align_first_frame=False)
    np.testing.assert_allclose(path.world_from_camera[2], transforms.compose([0, 0, -2], [1, 0, 0, 0]), atol=1e-7)
    assert "VerseCrafter" in caplog.text
    np.savez(tmp_path / "w.npz", extrinsics=blender, intrinsics=np.eye(3))
    with pytest.raises(UserError, match="the file has: extrinsics, intrinsics; store"):
        load_camera_path(tmp_path / "w.npz", intrinsics=LENS)
    np.savez(tmp_path / "x.npz", cam_c2w=blender)
    with pytest.raises(UserError, match="the file has: cam_c2w; store"):
        load_camera_path(tmp_path / "x.npz", intrinsics=LENS)
