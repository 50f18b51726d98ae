"""Camera paths: every format says the same thing as the others, and comes back as it went out."""

import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.scene import CameraPath
from real2sam2real.scene.paths import FORMATS, load_camera_path, save_camera_path

LENS = Intrinsics(width=640, height=360, fx=500.0, fy=510.0, cx=318.0, cy=183.5)
NAMES = {
    "colmap": "model", "colmap-binary": "model", "tum": "path.txt", "realestate10k": "path.txt",
    "nerf": "transforms.json", "numpy": "path.npz", "gltf": "path.glb",
}  # fmt: skip
KEEPS_ZOOM = [name for name in FORMATS if name != "tum"]
EXACT = [name for name in FORMATS if name != "gltf"]


def wandering_path(seed: int, frames: int = 9, lens: Intrinsics = LENS) -> CameraPath:
    random = np.random.default_rng(seed)
    poses = transforms.compose(random.normal(size=(frames, 3)) * 3, random.normal(size=(frames, 4)))
    return CameraPath(world_from_camera=poses, intrinsics=lens, zoom=random.uniform(0.5, 2, frames))


def square_lens() -> Intrinsics:
    return Intrinsics.from_fov(640, 360, horizontal_degrees=60)


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_round_trip(tmp_path, name, seed):
    path = wandering_path(seed)
    save_camera_path(tmp_path / NAMES[name], path, format=name)
    loaded = load_camera_path(tmp_path / NAMES[name], intrinsics=LENS, align_first_frame=False)
    np.testing.assert_allclose(loaded.world_from_camera, path.world_from_camera, atol=1e-12)
    if name in KEEPS_ZOOM:
        for frame in range(path.frames):
            old, new = path.intrinsics_at(frame), loaded.intrinsics_at(frame)
            assert (new.width, new.height) == (640, 360)
            np.testing.assert_allclose([new.fx, new.fy, new.cx, new.cy], [old.fx, old.fy, old.cx, old.cy], rtol=1e-12)


def test_round_trip_through_gltf(tmp_path):
    path = wandering_path(3, lens=square_lens())
    save_camera_path(tmp_path / "path.glb", path)
    loaded = load_camera_path(tmp_path / "path.glb", intrinsics=square_lens(), align_first_frame=False)
    np.testing.assert_allclose(loaded.world_from_camera, path.world_from_camera, atol=2e-6)
    np.testing.assert_allclose(loaded.zoom * loaded.intrinsics.fx, path.zoom * path.intrinsics.fx, rtol=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_the_first_frame_becomes_the_photos_camera(tmp_path, name):
    path = wandering_path(1, lens=square_lens())
    save_camera_path(tmp_path / NAMES[name], path, format=name)
    loaded = load_camera_path(tmp_path / NAMES[name], intrinsics=square_lens())
    np.testing.assert_array_equal(loaded.world_from_camera[0], np.eye(4))
    expected = np.linalg.inv(path.world_from_camera[0]) @ path.world_from_camera
    np.testing.assert_allclose(loaded.world_from_camera, expected, atol=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_saving_over_an_old_path_replaces_it(tmp_path, name):
    for seed in (1, 2):
        save_camera_path(tmp_path / NAMES[name], wandering_path(seed, lens=square_lens()), format=name)
    loaded = load_camera_path(tmp_path / NAMES[name], intrinsics=square_lens(), align_first_frame=False)
    expected = wandering_path(2, lens=square_lens()).world_from_camera
    np.testing.assert_allclose(loaded.world_from_camera, expected, atol=1e-5)
    assert [entry.name for entry in tmp_path.iterdir()] == [NAMES[name]]


def opencv_pixel(camera_from_world: np.ndarray, lens: list[float], point: np.ndarray) -> np.ndarray:
    """Where an OpenCV camera sees a point, by the book."""
    x, y, z = camera_from_world[:3, :3] @ point + camera_from_world[:3, 3]
    return np.array([lens[0] * x / z + lens[2], lens[1] * y / z + lens[3]])


def our_pixel(path: CameraPath, frame: int, point: np.ndarray) -> np.ndarray:
    camera = transforms.apply(path.camera_from_world()[frame], point[None])
    return path.intrinsics_at(frame).project(camera)[0][0]


POINT = np.array([0.3, -0.2, 4.0])  # before an OpenCV camera at the origin, below and to the right of its axis
POSE = transforms.compose([0.1, 0.2, -0.3], quaternions.from_axis_angle([1.0, 2.0, 3.0], 0.2))  # camera_from_world


def as_text(values) -> str:
    return " ".join(repr(float(value)) for value in np.ravel(values))


def test_colmap_text_as_colmap_writes_it(tmp_path):
    (tmp_path / "cameras.txt").write_text(
        "# comment\n7 PINHOLE 640 360 500 510 320 180\n9 SIMPLE_PINHOLE 640 360 500 320 180\n"
    )
    pose = f"{as_text(quaternions.from_matrix(POSE[:3, :3]))} {as_text(POSE[:3, 3])}"
    (tmp_path / "images.txt").write_text(
        f"# comment\n2 {pose} 7 frame 10.png\n1.5 2.5 -1 3 4 17\n1 1 0 0 0 0 0 0 7 frame 2.png\n\n"
    )
    path = load_camera_path(tmp_path, align_first_frame=False)
    assert path.frames == 2  # "frame 2" stands before "frame 10"
    np.testing.assert_allclose(our_pixel(path, 0, POINT), opencv_pixel(np.eye(4), [500, 510, 320, 180], POINT))
    np.testing.assert_allclose(our_pixel(path, 1, POINT), opencv_pixel(POSE, [500, 510, 320, 180], POINT))


def test_realestate10k_as_published(tmp_path):
    file = tmp_path / "clip.txt"
    file.write_text(
        f"https://www.youtube.com/watch?v=x\n0 0.8 1.4 0.5 0.5 0.0 0.0 {as_text(np.eye(4)[:3])}\n"
        f"33000 0.8 1.4 0.5 0.5 0.0 0.0 {as_text(POSE[:3])}\n"
    )
    path = load_camera_path(file, intrinsics=LENS, align_first_frame=False)
    lens = [0.8 * 640, 1.4 * 360, 320, 180]
    np.testing.assert_allclose(our_pixel(path, 1, POINT), opencv_pixel(POSE, lens, POINT))


def test_tum_as_the_benchmark_writes_it(tmp_path):
    w, x, y, z = quaternions.from_matrix(np.linalg.inv(POSE)[:3, :3])
    file = tmp_path / "groundtruth.txt"
    file.write_text(
        f"# timestamp tx ty tz qx qy qz qw\n10.5 {as_text(np.linalg.inv(POSE)[:3, 3])} {as_text([x, y, z, w])}\n"
    )
    path = load_camera_path(file, intrinsics=LENS, align_first_frame=False)
    lens = [LENS.fx, LENS.fy, LENS.cx, LENS.cy]
    np.testing.assert_allclose(our_pixel(path, 0, POINT), opencv_pixel(POSE, lens, POINT))


def test_nerf_camera_looks_along_minus_z(tmp_path):
    file = tmp_path / "transforms.json"
    pose = transforms.compose([1.0, 2.0, 3.0], quaternions.IDENTITY)
    frames = [{"file_path": "a.png", "transform_matrix": pose.tolist()}]
    file.write_text(json.dumps({"camera_angle_x": np.pi / 2, "w": 200, "h": 100, "frames": frames}))
    path = load_camera_path(file, align_first_frame=False)
    assert path.intrinsics.fx == pytest.approx(100)
    np.testing.assert_allclose(our_pixel(path, 0, np.array([1.5, 2.5, 2.0])), [150, 0], atol=1e-9)


def test_nerf_field_of_view_without_a_size_takes_the_photos(tmp_path):
    file = tmp_path / "transforms.json"
    file.write_text(json.dumps({"camera_angle_x": np.pi / 2, "frames": [{"transform_matrix": np.eye(4).tolist()}]}))
    lens = load_camera_path(file, intrinsics=LENS).intrinsics
    assert (lens.width, lens.height, lens.fx, lens.fy) == pytest.approx((640, 360, 320, 320))
    with pytest.raises(UserError, match="size"):
        load_camera_path(file)


def test_a_bare_array_of_poses(tmp_path):
    path = wandering_path(5)
    np.save(tmp_path / "poses.npy", path.world_from_camera)
    loaded = load_camera_path(tmp_path / "poses.npy", intrinsics=LENS, align_first_frame=False)
    np.testing.assert_array_equal(loaded.world_from_camera, path.world_from_camera)


def test_sampling_follows_the_time_stamps(tmp_path):
    file = tmp_path / "path.tum"
    file.write_text("0 0 0 0 0 0 0 1\n1 1 0 0 0 0 0 1\n4 7 0 0 0 0 0 1\n")
    path = load_camera_path(file, intrinsics=LENS, frames=5)
    np.testing.assert_allclose(path.world_from_camera[:, 0, 3], [0, 1, 3, 5, 7])


def test_sampling_turns_at_constant_speed(tmp_path):
    angles = np.radians([0, 40])
    poses = transforms.compose(np.zeros((2, 3)), quaternions.from_axis_angle([0.0, 1.0, 0.0], angles))
    np.save(tmp_path / "poses.npy", poses)
    path = load_camera_path(tmp_path / "poses.npy", intrinsics=LENS, frames=5)
    turned = quaternions.angle_between(quaternions.from_matrix(path.world_from_camera[:, :3, :3]), quaternions.IDENTITY)
    np.testing.assert_allclose(np.degrees(turned), [0, 10, 20, 30, 40], atol=1e-9)


def test_sampling_a_gltf_camera(tmp_path):
    poses = transforms.compose(np.outer(np.arange(5.0), [1, 0, -2]), quaternions.IDENTITY)
    path = CameraPath(world_from_camera=poses, intrinsics=square_lens(), zoom=np.ones(5))
    save_camera_path(tmp_path / "path.glb", path)
    longer = load_camera_path(tmp_path / "path.glb", intrinsics=square_lens(), frames=9)
    np.testing.assert_allclose(longer.world_from_camera[:, 0, 3], np.arange(9) / 2, atol=1e-5)
    with pytest.raises(UserError, match="image size"):
        load_camera_path(tmp_path / "path.glb")


def write_colmap(folder, camera="1 PINHOLE 640 360 500 500 320 180", image="1 1 0 0 0 0 0 0 1 a.png"):
    (folder / "cameras.txt").write_text(camera + "\n")
    (folder / "images.txt").write_text(image + "\n\n")
    return folder


@pytest.mark.parametrize(
    ("camera", "image", "message"),
    [
        ("1 OPENCV 640 360 500 500 320 180 0.2 0 0 0", None, r"cameras.txt:1: .*moves pixels by up to 40.*undistort"),
        ("1 SIMPLE_RADIAL 640 360 500 320 180 0.1", None, r"lens distortion moves pixels"),
        ("1 OPENCV_FISHEYE 640 360 500 500 320 180 0 0 0 0", None, r"OPENCV_FISHEYE is no pinhole"),
        ("1 PINEHOLE 640 360 500 500 320 180", None, "unknown camera model 'PINEHOLE'"),
        ("1 PINHOLE 640 360 500 500 320", None, "PINHOLE has 4 parameters, but here are 3"),
        ("1 PINHOLE 640 0 500 500 320 180", None, "not usable"),
        ("1 PINHOLE 640 x 500 500 320 180", None, "height is 'x'"),
        ("1 PINHOLE 640", None, "cameras.txt:1: expected"),
        (None, "1 0 0 0 0 0 0 0 1 a.png", r"images.txt:1: the quaternion has length 0"),
        (None, "1 1 0 0 0 nan 0 0 1 a.png", r"images.txt:1: 'nan' is not a finite number"),
        (None, "1 1 0 0 0 0 0 0 1", r"images.txt:1: .*9 columns"),
        (None, "1 1 0 0 0 0 0 0 4 a.png", "uses camera 4"),
        (None, "1 1 0 0 0 0 0 0 1 a.png\n2 1 0 0", "images.txt:2: expected the points of 'a.png'"),
        (None, "# nothing", "no images"),
    ],
)
def test_bad_colmap_text(tmp_path, camera, image, message):
    given = {key: value for key, value in (("camera", camera), ("image", image)) if value is not None}
    with pytest.raises(UserError, match=message):
        load_camera_path(write_colmap(tmp_path, **given))


def test_bad_colmap_binary_is_refused_wherever_it_is_cut(tmp_path):
    save_camera_path(tmp_path / "model", wandering_path(1, frames=2), format="colmap-binary")
    for name in ("images.bin", "cameras.bin"):
        file = tmp_path / "model" / name
        whole = file.read_bytes()
        for length in range(0, len(whole), 3):
            file.write_bytes(whole[:length])
            with pytest.raises(UserError, match=name):
                load_camera_path(tmp_path / "model")
        file.write_bytes(whole)
    (tmp_path / "model" / "images.bin").write_bytes(struct.pack("<Q", 2**60))
    with pytest.raises(UserError, match="truncated"):
        load_camera_path(tmp_path / "model")


def test_colmap_binary_with_points_and_distortion(tmp_path):
    save_camera_path(tmp_path / "model", wandering_path(1, frames=1), format="colmap-binary")
    image = struct.pack("<i7di", 1, 1, 0, 0, 0, 1, 2, 3, 1) + b"a.png\0" + struct.pack("<Q", 2) + bytes(48)
    (tmp_path / "model" / "images.bin").write_bytes(struct.pack("<Q", 2) + image + image.replace(b"a.png", b"b.png"))
    path = load_camera_path(tmp_path / "model", align_first_frame=False)
    np.testing.assert_allclose(path.world_from_camera[1][:3, 3], [-1, -2, -3])
    fisheye = struct.pack("<QiiQQ8d", 1, 1, 5, 640, 360, 500, 500, 320, 180, 0, 0, 0, 0)
    (tmp_path / "model" / "cameras.bin").write_bytes(fisheye)
    with pytest.raises(UserError, match="OPENCV_FISHEYE"):
        load_camera_path(tmp_path / "model")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0 0 0 0 0 0 1\n1 0 0 0 0 0 0", r"p.tum:2: .*found 7 columns"),
        ("0 0 0 0 0 0 0 0", r"p.tum:1: the quaternion has length 0"),
        ("0 inf 0 0 0 0 0 1", r"p.tum:1: 'inf' is not a finite number"),
        ("0 a 0 0 0 0 0 1", r"p.tum:1: 'a' is not a number"),
        ("# only a comment", "no poses"),
    ],
)
def test_bad_tum(tmp_path, text, message):
    (tmp_path / "p.tum").write_text(text)
    with pytest.raises(UserError, match=message):
        load_camera_path(tmp_path / "p.tum", intrinsics=LENS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 1 1 .5 .5 0 0 1 0 0 0 0 1 0 0 0 0 1", r"p.txt:2: .*found 18 columns"),
        ("0 1 1 .5 .5 0 0 2 0 0 0 0 1 0 0 0 0 1 0", r"p.txt:2: .*not a rotation"),
        ("0 0 1 .5 .5 0 0 1 0 0 0 0 1 0 0 0 0 1 0", r"p.txt:2: the focal lengths are 0"),
        ("0 1 1 .5 .5 0 0 1 0 0 NaN 0 1 0 0 0 0 1 0", r"p.txt:2: 'NaN'"),
    ],
)
def test_bad_realestate10k(tmp_path, line, message):
    (tmp_path / "p.txt").write_text(f"https://example.org\n{line}\n")
    with pytest.raises(UserError, match=message):
        load_camera_path(tmp_path / "p.txt", intrinsics=LENS, format="realestate10k")


def nerf(**changes):
    return {"fl_x": 500, "w": 640, "h": 360, "frames": [{"transform_matrix": np.eye(4).tolist()}]} | changes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (nerf(frames=[]), "no list of 'frames'"),
        (nerf(frames=[3]), "frame 0: expected an object"),
        (nerf(frames=[{}]), "frame 0: 'transform_matrix' has shape"),
        (nerf(frames=[{"transform_matrix": [["a"] * 4] * 4}]), "not a 4×4 matrix"),
        (nerf(frames=[{"transform_matrix": (2 * np.eye(4)).tolist()}]), "not a rotation"),
        (nerf(frames=[{"transform_matrix": (np.eye(4) * np.nan).tolist()}]), "not finite"),
        (nerf(k1=0.1), "distortion"),
        (nerf(camera_model="OPENCV_FISHEYE"), "no pinhole"),
        (nerf(fl_x="long"), "'fl_x' is 'long'"),
        (nerf(fl_x=-5), "must be positive"),
        (nerf(w=None), "'w' and 'h'"),
        (nerf(fl_x=None, camera_angle_x=4.0), "between 0 and π"),
        ([1, 2], "JSON object"),
    ],
)
def test_bad_nerf(tmp_path, data, message):
    (tmp_path / "t.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=message):
        load_camera_path(tmp_path / "t.json")


def test_bad_json_names_the_line(tmp_path):
    (tmp_path / "t.json").write_text('{"frames":\n[}')
    with pytest.raises(UserError, match=r"t.json:2: this is not valid JSON"):
        load_camera_path(tmp_path / "t.json")


def test_bad_numpy(tmp_path):
    file = tmp_path / "p.npz"
    cases = [
        ({"poses": np.eye(4)[None]}, "no array 'world_from_camera'"),
        ({"world_from_camera": np.eye(4)}, r"shape \(4, 4\)"),
        ({"world_from_camera": np.full((2, 4, 4), np.nan)}, "not finite"),
        ({"world_from_camera": np.array([[["a"]]])}, "expected real numbers"),
        ({"world_from_camera": np.eye(4)[None], "intrinsics": np.eye(3)}, "'image_size'"),
        ({"world_from_camera": np.eye(4)[None], "intrinsics": np.eye(2)}, r"shape \(2, 2\)"),
        ({"world_from_camera": np.eye(4)[None], "intrinsics": np.eye(3), "image_size": np.array([0, 3])}, "image_size"),
    ]
    for arrays, message in cases:
        np.savez(file, **arrays)
        with pytest.raises(UserError, match=message):
            load_camera_path(file, intrinsics=LENS)


def test_numpy_never_unpickles(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('unpickled')",))

    np.savez(tmp_path / "p.npz", world_from_camera=np.array([Bomb()], dtype=object))
    with pytest.raises(UserError, match="NumPy file of plain numbers"):
        load_camera_path(tmp_path / "p.npz", intrinsics=LENS)


def test_truncated_numpy(tmp_path):
    save_camera_path(tmp_path / "p.npz", wandering_path(1))
    whole = (tmp_path / "p.npz").read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "p.npz").write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"p\.npz"):
            load_camera_path(tmp_path / "p.npz", intrinsics=LENS)


def test_what_cannot_be_told_or_found(tmp_path):
    (tmp_path / "p.txt").write_text("1 2 3\n")
    with pytest.raises(UserError, match="cannot tell which camera-path format"):
        load_camera_path(tmp_path / "p.txt")
    with pytest.raises(UserError, match="no such file"):
        load_camera_path(tmp_path / "missing.tum")
    with pytest.raises(UserError, match="no COLMAP model"):
        load_camera_path(tmp_path)
    with pytest.raises(UserError, match="did you mean 'colmap'"):
        load_camera_path(tmp_path / "p.txt", format="colmp")
    (tmp_path / "p.tum").write_text("0 0 0 0 0 0 0 1\n")
    with pytest.raises(UserError, match="knows no focal length"):
        load_camera_path(tmp_path / "p.tum")


def test_a_folder_with_other_things_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds more than a COLMAP model"):
        save_camera_path(tmp_path, wandering_path(1), format="colmap")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
