"""What the readers of mesh files are made of: polygons, joined looks and paths, odd corners of the formats, damage."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.lifting.file_animation import entity_motion
from real2sam2real.lifting.mesh_files import read_mesh_file
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.gltf.textures import srgb_from_linear
from real2sam2real.mesh.readers import MESH_FORMATS
from real2sam2real.mesh.readers.joining import drawn_colors, join_meshes
from real2sam2real.mesh.readers.polygons import triangulated

SEEDS = st.integers(0, 2**32 - 1)


def in_some_plane(rng: np.random.Generator, flat: np.ndarray) -> np.ndarray:
    turn = quaternions.to_matrix(rng.normal(size=4))
    return np.pad(flat, ((0, 0), (0, 1))) @ turn.T + rng.normal(size=3)


def area(flat: np.ndarray) -> float:
    x, y = flat.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


# --- polygons


def test_a_bent_quadrilateral_is_cut_from_its_first_corner() -> None:
    """As Blender cuts it, whichever diagonal covers less; a concave one is cut inside."""
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    for height in (-0.7, 0.7):
        bent = square + np.outer([0, height, 0, height / 2], [0, 0, 1])
        assert triangulated(bent, np.arange(4), np.array([4]))[0].tolist() == [[0, 1, 2], [0, 2, 3]]
    dart = square + np.outer([0, 1, 0, 0], [-0.8, 0.6, 0])
    assert triangulated(dart, np.arange(4), np.array([4]))[0].tolist() == [[1, 2, 3], [1, 3, 0]]


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, sizes=st.lists(st.integers(3, 14), min_size=1, max_size=5))
def test_polygons_are_covered_once_and_keep_their_winding(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    flat = []
    for size in sizes:  # star-shaped about its middle, mostly concave
        angle = (np.arange(size) + rng.uniform(-0.3, 0.3, size)) * 2 * np.pi / size
        flat.append(rng.uniform(0.2, 1.0, (size, 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    plane = rng.normal(size=4)
    turn = quaternions.to_matrix(plane)
    corners = np.concatenate([np.pad(f, ((0, 0), (0, 1))) @ turn.T for f in flat])
    triangles, owner = triangulated(corners, np.arange(len(corners)), np.array(sizes))
    np.testing.assert_array_equal(owner, np.repeat(np.arange(len(sizes)), np.array(sizes) - 2))
    a, b, c = (corners[triangles[:, k]] for k in range(3))
    signed = np.cross(b - a, c - a) @ turn[:, 2] / 2
    assert signed.min() > -1e-6  # a triangle on the wrong side would also be covered twice
    np.testing.assert_allclose(np.bincount(owner, signed), [area(f) for f in flat], rtol=1e-6)


def test_polygons_without_area_do_not_stop_the_others() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0.5, 0]], float)
    corners = np.concatenate([np.zeros((6, 3)), square])
    triangles, owner = triangulated(corners, np.arange(len(corners)), np.array([6, 5]))
    assert owner.tolist() == [0] * 4 + [1] * 3
    a, b, c = (corners[triangles[owner == 1][:, k]] for k in range(3))
    assert np.cross(b - a, c - a)[:, 2].sum() / 2 == pytest.approx(1)


# --- looks


def bilinear(texture: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    height, width = texture.shape[:2]
    at = uvs * [width, height] - 0.5
    low = np.clip(np.floor(at).astype(int), 0, [width - 2, height - 2])
    fx, fy = (at - low).T[..., None]
    x, y = low.T
    t = texture.astype(float)
    top = t[y, x] * (1 - fx) + t[y, x + 1] * fx
    return top * (1 - fy) + (t[y + 1, x] * (1 - fx) + t[y + 1, x + 1] * fx) * fy


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, faces=st.integers(1, 40))
def test_colours_drawn_into_a_texture_blend_as_they_did_over_the_face(seed: int, faces: int) -> None:
    rng = np.random.default_rng(seed)
    colors = rng.integers(86, 170, (faces, 3, 3)).astype(np.uint8)  # so that no fourth pixel is clipped
    texture, uvs = drawn_colors(colors, most_pixels=1e6)
    weights = rng.dirichlet([1, 1, 1], faces)
    found = bilinear(texture, np.einsum("fk,fki->fi", weights, uvs))
    np.testing.assert_allclose(found, np.einsum("fk,fki->fi", weights, colors), atol=1e-6)


def test_colours_without_room_become_their_mean() -> None:
    colors = np.zeros((100, 3, 3), np.uint8)
    colors[:50] = 200
    texture, _ = drawn_colors(colors, most_pixels=50)
    assert (texture == 100).all()


def sheet(texture: np.ndarray | None, reach: float = 1.0, **fields: np.ndarray) -> Mesh:
    uvs = np.array([[[0, 0], [reach, 0], [0, reach]]], float)
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], float)
    return Mesh(
        vertices=vertices,
        faces=np.array([[0, 1, 2]]),
        texture=texture,
        corner_uvs=None if texture is None else uvs,
        **fields,
    )


def test_parts_of_one_texture_keep_it_with_its_repetitions() -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    joined, notes = join_meshes([sheet(picture, 3.0), sheet(picture)])
    assert joined.texture is picture
    assert joined.corner_uvs.max() == 3
    assert not notes


def test_repetitions_that_get_lost_are_told() -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    joined, notes = join_meshes([sheet(picture, 3.0), sheet(picture.copy())])
    assert joined.texture is not picture
    assert "repeats" in notes[0]


def test_parts_without_colours_among_coloured_ones_are_white() -> None:
    red = np.tile(np.uint8([255, 0, 0]), (3, 1))
    joined, _ = join_meshes([sheet(None, vertex_colors=red), sheet(None)])
    np.testing.assert_array_equal(joined.vertex_colors, np.concatenate([red, np.full((3, 3), 255)]))
    assert join_meshes([sheet(None), sheet(None)])[0].vertex_colors is None


# --- paths


def car(files, path: Path) -> Path:
    """A body that drives 8 along x in a second while its two wheels, of more faces, turn."""
    glb = files.glb()
    wheels = [glb.node(root=False, mesh=glb.cube(size=0.3), translation=[x, -1, 0]) for x in (-1, 1)]
    body = glb.node(mesh=glb.cube(), children=wheels)
    glb.clip(
        "drive",
        (body, "translation", [0, 1], [[0, 0, 0], [8, 0, 0]]),
        *((wheel, "rotation", [0, 0.5, 1], [files.turn_y(a) for a in (0, 90, 180)]) for wheel in wheels),
    )
    return glb.save(path)


def test_the_body_carries_the_wheels(files, tmp_path: Path) -> None:
    lifted = read_mesh_file(car(files, tmp_path / "car.glb"), name="car")
    motion = lifted.motion
    assert motion is not None
    np.testing.assert_allclose(motion.translation[:, 0], np.linspace(0, 8, 17), atol=1e-5)
    np.testing.assert_allclose(motion.rotation_wxyz, np.tile([1.0, 0, 0, 0], (17, 1)), atol=1e-6)
    moved = np.ptp(motion.vertices_object, axis=0).max(axis=1)
    assert (moved < 1e-5).sum() == 8  # of the body
    assert (moved > 0.1).sum() == 16
    assert any("3 components" in note for note in lifted.notes)


def test_stretching_along_one_axis_stays_with_the_vertices(files, tmp_path: Path) -> None:
    glb = files.glb()
    node = glb.node(mesh=glb.cube(), rotation=files.turn_y(30))
    glb.clip("stretch", (node, "scale", [0, 1], [[1, 1, 1], [3, 1, 1]]))
    lifted = read_mesh_file(glb.save(tmp_path / "it.glb"), name="it")
    turn = quaternions.to_matrix(quaternions.from_axis_angle([0, 1, 0], np.radians(30)))
    expected = files.cube * [3, 1, 1] @ turn.T + [0, 1, 0]
    shown = transforms.apply(lifted.motion.matrices()[16], lifted.motion.vertices_object[16])
    np.testing.assert_allclose(np.sort(shown, axis=0), np.sort(expected, axis=0), atol=1e-5)


def test_growing_evenly_is_a_pose(files, tmp_path: Path) -> None:
    glb = files.glb()
    node = glb.node(mesh=glb.cube(), scale=[1, 2, 1])
    glb.clip("grow", (node, "scale", [0, 1], [[1, 2, 1], [3, 6, 3]]))
    lifted = read_mesh_file(glb.save(tmp_path / "it.glb"), name="it")
    assert lifted.motion.vertices_object is None
    np.testing.assert_allclose(lifted.motion.scale[16], [3, 3, 3], rtol=1e-6)
    np.testing.assert_allclose(lifted.motion.translation[16], [0, -4, 0], atol=1e-5)  # about the file's origin


def test_mirrored_parts_are_wound_outward(files, tmp_path: Path) -> None:
    glb = files.glb()
    cube = glb.cube()
    glb.node(mesh=cube)
    glb.node(mesh=cube, scale=[-1, 1, 1], translation=[5, 0, 0])
    assert read_mesh_file(glb.save(tmp_path / "it.glb"), name="it").mesh.volume() == pytest.approx(16)


def test_what_is_never_seen_is_left_out(files, tmp_path: Path) -> None:
    glb = files.glb()
    glb.node(mesh=glb.cube())
    glb.node(name="ghost", mesh=glb.cube(), extensions={"KHR_node_visibility": {"visible": False}})
    lifted = read_mesh_file(glb.save(tmp_path / "it.glb"), name="it")
    assert len(lifted.mesh.faces) == 12
    assert any("ghost" in note for note in lifted.notes)
    glb.builder.root["nodes"][0]["extensions"] = {"KHR_node_visibility": {"visible": False}}
    with pytest.raises(UserError, match="visible"):
        read_mesh_file(glb.save(tmp_path / "it.glb"), name="it")


def test_a_loop_goes_on_in_the_shot(files, tmp_path: Path) -> None:
    path = car(files, tmp_path / "car.glb")
    lifted = read_mesh_file(path, name="car", loop=True, rest_seconds=0.25, fps=20)
    x = entity_motion(lifted, np.eye(4), 40, 10.0).translation[:, 0]
    seconds = 0.25 + np.arange(40) / 10
    over = seconds > 1 + 1e-6
    np.testing.assert_allclose(x + 2, 8 * np.where(over, seconds % 1, seconds), atol=1e-4)
    held = read_mesh_file(path, name="car", rest_seconds=0.25)
    assert entity_motion(held, np.eye(4), 40, 10.0).translation[-1, 0] == pytest.approx(6, abs=1e-5)
    given = read_mesh_file(path, name="car", loop=True, frames=40, fps=10)
    np.testing.assert_allclose(given.motion.translation[[5, 15, 25], 0], [4, 4, 4], atol=1e-5)


def test_the_rest_is_the_moment_that_the_photo_shows(files, tmp_path: Path) -> None:
    path = files.skinned_arm(tmp_path / "arm.glb")
    bent = read_mesh_file(path, name="arm", rest_seconds=1.0)
    assert bent.motion is None  # it is over
    whole = read_mesh_file(path, name="arm")
    last = whole.motion.vertices_object[-1]
    np.testing.assert_allclose(np.ptp(bent.mesh.vertices, axis=0), np.ptp(last, axis=0), atol=1e-5)
    with pytest.raises(UserError, match="second 3"):
        read_mesh_file(path, name="arm", rest_seconds=3.0)


def test_a_pose_of_several_scales_is_refused(files, tmp_path: Path) -> None:
    lifted = read_mesh_file(car(files, tmp_path / "car.glb"), name="car")
    with pytest.raises(ValueError, match="scale"):
        entity_motion(lifted, np.diag([1, 2, 1, 1.0]), 5, 16.0)


def test_a_long_animation_of_a_heavy_mesh_is_read_in_part(files, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("real2sam2real.mesh.readers.gltf.MOST_READ_NUMBERS", 24 * 5)
    lifted = read_mesh_file(files.skinned_arm(tmp_path / "arm.glb"), name="arm")
    assert lifted.motion.frames == 5
    assert any("17 frames" in note and "first 5" in note for note in lifted.notes)
    glb = files.glb()
    node = glb.node(mesh=glb.cube())  # a pose per frame is light, however long
    glb.clip("go", (node, "translation", [0, 1], [[0, 0, 0], [1, 0, 0]]))
    assert read_mesh_file(glb.save(tmp_path / "it.glb"), name="it").motion.frames == 17


def test_what_appears_later_is_told(files, tmp_path: Path) -> None:
    glb = files.glb()
    glb.node(mesh=glb.cube())
    late = glb.node(name="late", mesh=glb.cube(), translation=[3, 0, 0], scale=[0, 0, 0])
    glb.clip("show", (late, "scale", [0, 0.5, 0.51, 1], [[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]]))
    lifted = read_mesh_file(glb.save(tmp_path / "it.glb"), name="it")
    assert any("late is hidden at first" in note for note in lifted.notes)
    assert np.ptp(lifted.mesh.vertices[:, 0]) == pytest.approx(5)


# --- frames


def test_gravity_turns_the_object_frame(files, tmp_path: Path) -> None:
    (tmp_path / "it.obj").write_text(files.obj(vertices=files.cube * 0.2 + [0.3, -0.5, -6]))
    pitch = np.radians(25)
    up = np.array([0, np.cos(pitch), np.sin(pitch)])
    lifted = read_mesh_file(tmp_path / "it.obj", name="it", up_camera=up)
    np.testing.assert_allclose(lifted.camera_from_object[:3, 1], up, atol=1e-12)
    assert lifted.camera_from_object[2, 2] > 0.9  # towards the camera
    back = transforms.apply(lifted.camera_from_object, lifted.mesh.vertices)
    np.testing.assert_allclose(np.sort(back, axis=0), np.sort(files.cube * 0.2 + [0.3, -0.5, -6], axis=0), atol=1e-9)
    low, high = lifted.mesh.bounds()
    np.testing.assert_allclose([low[1], low[0] + high[0], low[2] + high[2]], 0, atol=1e-12)


def test_a_claim_behind_the_camera_is_refused(files, tmp_path: Path) -> None:
    (tmp_path / "it.obj").write_text(files.obj(vertices=np.add(files.cube, [0, 0, 5])))
    with pytest.raises(UserError, match="camera-opencv"):
        read_mesh_file(tmp_path / "it.obj", name="it", coordinate_frame="camera-opengl")
    with pytest.raises(UserError, match="up"):
        read_mesh_file(tmp_path / "it.obj", name="it", coordinate_frame="camera-opencv", up="z")
    hint = read_mesh_file(tmp_path / "it.obj", name="it").notes
    assert any("camera-opencv" in note for note in hint)


def test_a_sword_along_the_line_of_sight_is_not_posed(files, tmp_path: Path) -> None:
    (tmp_path / "it.obj").write_text(files.obj(vertices=files.cube * [0.1, 0.1, 2] - [0, 0, 2.1]))
    assert read_mesh_file(tmp_path / "it.obj", name="it").camera_from_object is None


# --- corners of the formats


def test_the_content_tells_the_format(files, tmp_path: Path) -> None:
    (tmp_path / "it.obj").write_text(files.ply())
    assert read_mesh_file(tmp_path / "it.obj", name="it").provenance["format"] == "PLY"
    assert tuple(MESH_FORMATS) == (".glb", ".gltf", ".obj", ".ply", ".stl")


def test_ply_with_texture_coordinates_at_corners(files, tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(tmp_path / "skin.png")
    text = files.ply(polygons=files.triangles.tolist())
    text = text.replace("comment made by hand", "comment TextureFile skin.png")
    text = text.replace("end_header", "property list uchar float texcoord\nend_header")
    head, body = text.split("end_header\n")
    rows = body.splitlines()
    rows[8:] = [f"{row} 6 0 0 1 0 0 1" for row in rows[8:]]
    (tmp_path / "it.ply").write_bytes("\r\n".join((head + "end_header").splitlines() + rows).encode())
    mesh = read_mesh_file(tmp_path / "it.ply", name="it").mesh
    assert mesh.is_closed()
    assert (mesh.texture == 90).all()
    assert sorted(map(tuple, mesh.corner_uvs[0].tolist())) == [(0, 0), (0, 1), (1, 1)]  # v runs down


def test_ply_of_16_bit_colours_and_short_faces(files, tmp_path: Path) -> None:
    text = files.ply(colors=files.colors, polygons=[*files.quads, (0, 1)]).replace("uchar red", "ushort red")
    text = text.replace("uchar green", "ushort green").replace("uchar blue", "ushort blue")
    head, body = text.split("end_header\n")
    rows = body.splitlines()
    rows[:8] = [" ".join([*row.split()[:3], "65535", "32896", "0"]) for row in rows[:8]]
    (tmp_path / "it.ply").write_text(head + "end_header\n" + "\n".join(rows))
    lifted = read_mesh_file(tmp_path / "it.ply", name="it")
    assert (lifted.mesh.vertex_colors == [255, 128, 0]).all()
    assert any("1 faces with fewer" in note for note in lifted.notes)


PLY_REFUSED = {
    "strips": ("element tristrips 1\nproperty list int int vertex_indices", "triangle strips"),
    "packed splats": ("property uint packed_position\nproperty uint packed_rotation", "(?i)splat"),
    "a type that does not exist": ("property quaternion q", "quaternion"),
    "a line of nothing": ("colour red", "colour red"),
}


@pytest.mark.parametrize("case", PLY_REFUSED)
def test_ply_refused(case: str, tmp_path: Path) -> None:
    line, reason = PLY_REFUSED[case]
    head = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
    (tmp_path / "it.ply").write_text(f"{head}{line}\nend_header\n1 2 3 3 0 0 0\n")
    with pytest.raises(UserError, match=reason):
        read_mesh_file(tmp_path / "it.ply", name="it")


def noted(text: str, folder: Path, **beside: str) -> tuple[Mesh, str]:
    (folder / "it.obj").write_text(text)
    for name, content in beside.items():
        (folder / f"{name}.mtl").write_text(content)
    lifted = read_mesh_file(folder / "it.obj", name="it")
    return lifted.mesh, "\n".join(lifted.notes)


def test_obj_remarks(files, tmp_path: Path) -> None:
    obj = files.obj()
    mesh, notes = noted("mtllib gone.mtl\nusemtl skin\n" + obj, tmp_path)
    assert "gone.mtl" in notes
    assert "skin" in notes
    assert mesh.vertex_colors is None
    assert "curved" in noted(obj + "cstype bezier\ncurv 0 1 1 2\nf 1 2\n", tmp_path)[1]
    assert "fewer than three" in noted(obj + "f 1 2\n", tmp_path)[1]
    assert "no colour" in noted(obj.replace("v -1.0 -1.0 -1.0", "v -1 -1 -1 0 0 0", 1), tmp_path)[1]


def test_obj_of_tabs_comments_and_byte_colours(files, tmp_path: Path) -> None:
    lines = [
        f"{line} 255 128 0 # red" if line.startswith("v") else line + " # face" for line in files.obj().splitlines()
    ]
    mesh, notes = noted("\ufeff" + "\n".join(lines).replace(" ", "\t"), tmp_path)
    assert (mesh.vertex_colors == [255, 128, 0]).all()
    assert "not all in front" in notes  # and nothing else is said
    assert notes.count("\n") == 0


@pytest.mark.parametrize(("written_by", "code"), [("# Blender 5", int(srgb_from_linear(0.5))), ("# hand", 128)])
def test_material_colours_are_light_in_blender_and_codes_elsewhere(files, written_by, code, tmp_path: Path) -> None:
    mesh, _ = noted("mtllib m.mtl\nusemtl grey\n" + files.obj(), tmp_path, m=f"{written_by}\nnewmtl grey\nKd 0.5\n")
    assert (mesh.vertex_colors == code).all()


def test_pictures_outside_the_folder_are_not_opened(files, tmp_path: Path) -> None:
    tmp_path = tmp_path / ("long" * 20)  # the note shows the end of a long path
    inside = tmp_path / "model"
    inside.mkdir(parents=True)
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(tmp_path / "secret.png")
    obj = "mtllib m.mtl\nvt 0 0\nusemtl a\n" + "\n".join(
        line.replace(" ", "/1 ") + "/1" if line[0] == "f" else line for line in files.obj().splitlines()
    ).replace("f/1 ", "f ")
    library = f"newmtl a\nmap_Kd -s 2 2 2 {tmp_path.as_posix()}/secret.png\n"
    mesh, notes = noted(obj, inside, m=library)
    assert mesh.texture is None
    assert "secret.png' is not beside it" in notes
    assert "'-s'" in notes
    Image.fromarray(np.full((4, 4, 3), 70, np.uint8)).save(inside / "secret.png")  # the same name beside it is meant
    assert (noted(obj, inside, m=library)[0].texture == 70).all()
    (inside / "secret.png").write_bytes(b"no picture")
    assert "cannot be decoded" in noted(obj, inside, m=library)[1]


# --- damage


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    broken = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(len(broken)))
        kind = rng.integers(4)
        if kind == 0:
            broken[at] = int(rng.integers(256))
        elif kind == 1:
            broken[at : at + 4] = struct.pack("<I", int(rng.integers(2**32)))
        elif kind == 2:
            broken[at:at] = rng.choice([b"-", b"9999999", b"nan", b"\n", b" 1e999 ", b"/"])
        else:
            del broken[at : at + int(rng.integers(1, 30))]
        if not broken:
            break
    return bytes(broken)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, kind=st.sampled_from(["obj", "ply", "plyb", "stl"]))
def test_damaged_files_are_read_or_refused_with_a_message(seed: int, kind: str, files, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    if kind == "obj":
        data = files.obj().encode()
    elif kind == "ply":
        data = files.ply(colors=files.colors).encode()
    elif kind == "plyb":
        text = files.ply(header="format binary_big_endian 1.0", polygons=[*files.quads, (0, 1, 2)])
        body = io.BytesIO()
        body.write(text[: text.index("end_header")].encode() + b"end_header\n" + files.cube.astype(">f4").tobytes())
        body.writelines(struct.pack(f">B{len(p)}i", len(p), *p) for p in [*files.quads, (0, 1, 2)])
        data = body.getvalue()
    else:
        corners = files.cube[files.triangles].astype("<f4")
        rows = b"".join(b"\0" * 12 + corner.tobytes() + b"\0\0" for corner in corners)
        data = b"\0" * 80 + struct.pack("<I", 12) + rows
    path = tmp_path / f"it.{kind[:3]}"
    path.write_bytes(damaged(rng, data))
    try:
        mesh = read_mesh_file(path, name="it").mesh
    except UserError:
        return
    assert len(mesh.faces) > 0
    assert np.isfinite(mesh.vertices).all()
