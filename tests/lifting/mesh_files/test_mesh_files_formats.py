"""GLB, OBJ, PLY and STL files of the user's own: geometry, colours, textures, frames."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.mesh_files import read_mesh_file
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.readers.reading import read_mesh

LENS = Intrinsics(width=1600, height=898, fx=1623.09, fy=1623.09, cx=800.0, cy=449.0)
QUARTERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8).repeat(8, 0).repeat(8, 1)
"""A picture of red, green (top), blue, yellow (bottom)."""


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def sampled(mesh: Mesh) -> np.ndarray:
    """`(F, 3)` colours in the middle of every face, from its texture."""
    assert mesh.texture is not None
    assert mesh.corner_uvs is not None
    height, width = mesh.texture.shape[:2]
    at = np.mod(mesh.corner_uvs.mean(axis=1), 1.0) * [width, height]
    return mesh.texture[at[:, 1].astype(int), at[:, 0].astype(int)]


def is_cube(mesh: Mesh, edge: float = 2.0) -> bool:
    """A closed cube that stands on its footprint's middle."""
    bounds = np.array([[-edge / 2, 0, -edge / 2], [edge / 2, edge, edge / 2]])
    return bool(
        mesh.is_closed()
        and len(mesh.vertices) == 8
        and np.allclose(mesh.bounds(), bounds, atol=1e-6)
        and np.isclose(mesh.volume(), edge**3)
    )


# --- PLY


@pytest.mark.parametrize("types", ["uchar int", "int uint", "uint8 int32", "short ushort", "uchar uchar", "double int"])
def test_ply_text_of_any_list_type(types: str, files, tmp_path: Path) -> None:
    (tmp_path / "cube.ply").write_text(files.ply(types=types, colors=files.colors))
    mesh = read_mesh_file(tmp_path / "cube.ply", name="cube").mesh
    assert is_cube(mesh)
    assert len(mesh.faces) == 12
    assert mesh.vertex_colors is not None
    right_top_front = np.flatnonzero((mesh.vertices > 0).all(axis=1) & (mesh.vertices[:, 1] > 1))
    np.testing.assert_array_equal(mesh.vertex_colors[right_top_front], [[255, 255, 255]])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("count", "item"), [("B", "i"), ("i", "H"), ("H", "B"), ("I", "I")])
def test_ply_binary_with_mixed_polygons(order: str, count: str, item: str, files, tmp_path: Path) -> None:
    kinds = {"B": "uchar", "i": "int", "H": "ushort", "I": "uint"}
    polygons = [*files.quads[1:], *(tuple(t) for t in files.triangles[:2].tolist())]
    name = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    header = files.ply(header=f"format {name} 1.0", polygons=polygons, types=f"{kinds[count]} {kinds[item]}")
    data = header[: header.index("end_header")].encode() + b"end_header\n"
    data += files.cube.astype(order + "f4").tobytes()
    data += b"".join(struct.pack(f"{order}{count}{len(p)}{item}", len(p), *p) for p in polygons)
    (tmp_path / "cube.ply").write_bytes(data)
    assert is_cube(read_mesh_file(tmp_path / "cube.ply", name="cube").mesh)


def test_ply_with_float_colours_and_further_elements(files, tmp_path: Path) -> None:
    text = files.ply().replace(
        "element face", "property float red\nproperty float green\nproperty float blue\nelement face"
    )
    head, body = text.split("end_header\n")
    rows = body.splitlines()
    rows[:8] = [f"{row} 1.0 0.5 0.0" for row in rows[:8]]
    head = head.replace(
        "element vertex", "element camera 1\nproperty float view\nproperty list int int tags\nelement vertex"
    )
    (tmp_path / "cube.ply").write_text(head + "end_header\n" + "\n".join(["0.5 2 7 7", *rows]) + "\n")
    mesh = read_mesh_file(tmp_path / "cube.ply", name="cube").mesh
    assert is_cube(mesh)
    assert mesh.vertex_colors is not None
    assert np.abs(mesh.vertex_colors.astype(int) - [255, 128, 0]).max() <= 1


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), suffix=st.sampled_from(["ply", "stl", "obj", "glb"]), text=st.booleans())
def test_what_another_library_writes_comes_back(seed: int, suffix: str, text: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    made = trimesh.creation.icosphere(subdivisions=1, radius=rng.uniform(0.1, 5))
    made.apply_transform(trimesh.transformations.random_rotation_matrix(rng.random(3)))
    made.apply_translation(rng.normal(size=3) * 3 + [0, 0, 20])
    path = tmp_path / f"ball.{suffix}"
    if suffix == "ply":
        made.export(path, encoding="ascii" if text else "binary_little_endian")
    elif suffix == "stl":
        made.export(path, file_type="stl_ascii" if text else "stl")
    else:
        made.export(path)
    lifted = read_mesh_file(path, name="ball")
    assert lifted.camera_from_object is None  # z > 0 is behind a camera
    assert lifted.mesh.is_closed()
    assert len(lifted.mesh.faces) == len(made.faces)
    assert lifted.mesh.volume() == pytest.approx(made.volume, rel=1e-4)
    middle = made.bounds.mean(axis=0)
    middle[1] = made.bounds[0, 1]
    expected = np.sort((made.vertices - middle).round(3), axis=0)
    np.testing.assert_allclose(np.sort(lifted.mesh.vertices, axis=0), expected, atol=2e-3)


# --- OBJ


def test_obj_with_groups_polygons_and_negative_indices(files, tmp_path: Path) -> None:
    lines = ["# a cube", "o box", *(f"v {x} {y} {z}" for x, y, z in files.cube.tolist())]
    lines += ["g sides", "s off", *("f " + " ".join(f"{i - 8}" for i in quad) for quad in files.quads[:3])]
    lines += ["g more # here", *("f " + " \\\n ".join(f"{i + 1}//1" for i in quad) for quad in files.quads[3:])]
    (tmp_path / "cube.obj").write_text("\r\n".join(lines))
    assert is_cube(read_mesh_file(tmp_path / "cube.obj", name="cube").mesh)


@pytest.mark.parametrize("form", ["{i}", "{i}/{i}", "{i}//1", "{i}/{i}/1", "{back}", "{back}//-1"])
def test_obj_corners_in_every_form(files, tmp_path: Path, form: str) -> None:
    lines = [f"{key} {x} {y} {z}" for key in ("v", "vt", "vn") for x, y, z in files.cube.tolist()]
    lines += ["f " + " ".join(form.format(i=i + 1, back=i - 8) for i in quad) for quad in files.quads]
    (tmp_path / "cube.obj").write_text("\n".join(lines))
    assert is_cube(read_mesh_file(tmp_path / "cube.obj", name="cube").mesh)


@pytest.mark.parametrize("face", ["f 1//1 2//1 //1", "f //1 //2 //3", "f 1//1 2//1 x//1"])
def test_obj_corners_without_a_vertex_are_refused(tmp_path: Path, face: str) -> None:
    (tmp_path / "odd.obj").write_text(f"v 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0 0 1\n{face}\n")
    with pytest.raises(UserError, match="line 5: cannot read"):
        read_mesh(tmp_path / "odd.obj")


def test_obj_negative_indices_count_from_the_last_vertex_so_far(files, tmp_path: Path) -> None:
    one = [*(f"v {x} {y} {z}" for x, y, z in files.cube.tolist())]
    faces = ["f " + " ".join(f"{i - 8}" for i in quad) for quad in files.quads]
    other = [f"v {x + 5} {y} {z}" for x, y, z in files.cube.tolist()]
    (tmp_path / "two.obj").write_text("\n".join([*one, *faces, *other, *faces]))
    mesh = read_mesh_file(tmp_path / "two.obj", name="two").mesh
    assert mesh.is_closed()
    assert mesh.volume() == pytest.approx(16)
    assert np.ptp(mesh.vertices[:, 0]) == pytest.approx(7)


def test_a_concave_polygon_is_cut_inside(tmp_path: Path) -> None:
    outline = [(0, 0), (4, 0), (4, 4), (3, 4), (3, 1), (1, 1), (1, 4), (0, 4)]  # a U
    lines = [f"v {x} {y} 0" for x, y in outline] + ["f " + " ".join(map(str, range(1, 9)))]
    (tmp_path / "u.obj").write_text("\n".join(lines))
    mesh = read_mesh_file(tmp_path / "u.obj", name="u").mesh
    assert np.linalg.norm(mesh.face_cross_products(), axis=1).sum() / 2 == pytest.approx(4 + 3 + 3)
    assert (mesh.face_cross_products()[:, 2] > 0).all()


def test_obj_vertex_colours(files, tmp_path: Path) -> None:
    rows = [f"v {x} {y} {z} {r} {g} {b}" for (x, y, z), (r, g, b) in zip(files.cube, files.colors / 255, strict=True)]
    faces = [line for line in files.obj().splitlines() if line.startswith("f")]
    (tmp_path / "cube.obj").write_text("\n".join(rows + faces))
    mesh = read_mesh_file(tmp_path / "cube.obj", name="cube").mesh
    assert mesh.vertex_colors is not None
    expected = (mesh.vertices - [0, 1, 0] > 0) * 255
    np.testing.assert_array_equal(mesh.vertex_colors, expected)


def textured_obj(files, folder: Path, materials: str, uses: dict[int, str]) -> Path:
    """A cube whose every face shows the whole picture; `uses` says from which face on which material holds."""
    lines = ["mtllib my cube.mtl", *(f"v {x} {y} {z}" for x, y, z in files.cube.tolist())]
    lines += ["vt 0 0", "vt 1 0", "vt 1 1", "vt 0 1"]
    for k, quad in enumerate(files.quads):
        lines += [f"usemtl {uses[k]}"] if k in uses else []
        lines.append("f " + " ".join(f"{i + 1}/{c + 1}" for c, i in enumerate(quad)))
    (folder / "my cube.mtl").write_text(materials)
    (folder / "cube.obj").write_text("\n".join(lines))
    return folder / "cube.obj"


def test_obj_texture_lies_the_right_way_up_and_seams_stay_closed(files, tmp_path: Path) -> None:
    (tmp_path / "quarters.png").write_bytes(png(QUARTERS))
    path = textured_obj(files, tmp_path, "newmtl skin\nKd 0.8 0.8 0.8\nmap_Kd quarters.png\n", {0: "skin"})
    mesh = read_mesh_file(path, name="cube").mesh
    assert is_cube(mesh)
    assert mesh.texture is not None
    assert mesh.corner_uvs is not None
    np.testing.assert_array_equal(mesh.texture, QUARTERS)
    low = mesh.corner_uvs[..., 1].max(axis=1)
    assert (low == 1).all()
    # the first corner of every polygon has OBJ's (0, 0): the picture's bottom left, ours (0, 1)
    first = mesh.faces[0].tolist().index(int(np.flatnonzero((mesh.vertices == [-1, 0, -1]).all(axis=1))[0]))
    np.testing.assert_allclose(mesh.corner_uvs[0, first], [0, 1])


def test_obj_of_two_materials_becomes_one_texture(files, tmp_path: Path) -> None:
    blue = np.zeros((4, 4, 3), np.uint8) + np.array([0, 0, 255], np.uint8)
    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / "blue sky.png").write_bytes(png(blue))
    materials = "newmtl red\nKd 1 0 0\nnewmtl sky\nKd 1 1 1\nmap_Kd -clamp on textures\\blue sky.png\n"
    path = textured_obj(files, tmp_path, materials, {0: "red", 3: "sky"})
    mesh = read_mesh_file(path, name="cube").mesh
    assert is_cube(mesh)
    colors = sampled(mesh)
    assert {tuple(c) for c in colors.tolist()} == {(255, 0, 0), (0, 0, 255)}
    assert (colors == [255, 0, 0]).all(axis=1).sum() == 6


def test_obj_whose_picture_is_missing_says_so(files, tmp_path: Path) -> None:
    path = textured_obj(files, tmp_path, "newmtl skin\nKd 0 1 0\nmap_Kd C:\\art\\gone.png\n", {0: "skin"})
    lifted = read_mesh_file(path, name="cube")
    assert is_cube(lifted.mesh)
    assert any("gone.png" in note for note in lifted.notes)
    assert lifted.mesh.texture is None
    np.testing.assert_array_equal(lifted.mesh.vertex_colors, np.full((8, 3), [0, 255, 0]))


# --- GLB


def test_glb_of_many_nodes_is_one_mesh_in_the_file_s_frame(files, tmp_path: Path) -> None:
    glb = files.glb()
    cube = glb.cube()
    for k in range(300):  # more than a scene may have entities
        glb.node(mesh=cube, translation=[3.0 * k, 0, 0])
    mesh = read_mesh_file(glb.save(tmp_path / "row.glb"), name="row").mesh
    assert len(mesh.faces) == 300 * 12
    assert mesh.is_closed()
    assert mesh.volume() == pytest.approx(300 * 8)
    np.testing.assert_allclose(mesh.bounds(), [[-449.5, 0, -1], [449.5, 2, 1]])


def test_glb_with_a_texture(files, tmp_path: Path) -> None:
    glb = files.glb()
    mesh = glb.cube(TEXCOORD_0=np.full((8, 2), [0.25, 0.75], np.float32))
    glb.material(mesh, {"baseColorTexture": {"index": glb.texture(png(QUARTERS))}})
    glb.node(mesh=mesh)
    found = read_mesh_file(glb.save(tmp_path / "cube.glb"), name="cube").mesh
    np.testing.assert_array_equal(found.texture, QUARTERS)
    assert (sampled(found) == [0, 0, 255]).all()


def test_glb_parts_with_texture_colours_and_neither_share_one_texture(files, tmp_path: Path) -> None:
    glb = files.glb()
    textured = glb.cube(TEXCOORD_0=np.full((8, 2), [0.75, 0.25], np.float32))
    glb.material(textured, {"baseColorTexture": {"index": glb.texture(png(QUARTERS))}})
    red = np.zeros((8, 4), np.float32) + np.array([1, 0, 0, 1], np.float32)
    colored = glb.cube(COLOR_0=red)
    plain = glb.cube()
    for k, mesh in enumerate((textured, colored, plain)):
        glb.node(mesh=mesh, translation=[4.0 * k, 0, 0])
    found = read_mesh_file(glb.save(tmp_path / "three.glb"), name="three").mesh
    assert found.is_closed()
    colors, x = sampled(found), found.vertices[found.faces].mean(axis=1)[:, 0]
    assert (colors[x < -2] == [0, 255, 0]).all()
    assert (colors[np.abs(x) < 2] == [255, 0, 0]).all()
    assert (np.ptp(colors[x > 2].astype(int), axis=1) == 0).all()  # no colour of its own: some grey or white


def test_glb_parts_of_vertex_colours_keep_them(files, tmp_path: Path) -> None:
    glb = files.glb()
    for k, color in enumerate(([1, 0, 0, 1], [0, 0, 1, 1])):
        glb.node(mesh=glb.cube(COLOR_0=np.tile(np.float32(color), (8, 1))), translation=[4.0 * k, 0, 0])
    found = read_mesh_file(glb.save(tmp_path / "two.glb"), name="two").mesh
    assert found.texture is None
    assert found.vertex_colors is not None
    assert (found.vertex_colors[found.vertices[:, 0] < 0] == [255, 0, 0]).all()
    assert (found.vertex_colors[found.vertices[:, 0] > 0] == [0, 0, 255]).all()


# --- frames


def write_obj(files, path: Path, vertices: np.ndarray) -> Path:
    path.write_text(files.obj(vertices=vertices))
    return path


def test_a_mesh_in_view_of_the_camera_is_posed(files, tmp_path: Path) -> None:
    vertices = np.add(files.cube, [1.0, -0.5, -8.0])
    lifted = read_mesh_file(write_obj(files, tmp_path / "cube.obj", vertices), name="cube", intrinsics=LENS)
    assert is_cube(lifted.mesh)
    assert lifted.intrinsics is None
    assert lifted.camera_from_object is not None
    back = transforms.apply(lifted.camera_from_object, lifted.mesh.vertices)
    np.testing.assert_allclose(np.sort(back, axis=0), np.sort(vertices, axis=0), atol=1e-9)
    assert any("camera" in note for note in lifted.notes)


@pytest.mark.parametrize("place", [(0, 0, 0), (0, 1, 0), (0, 0, 8), (200, 0, -8), (0, -90, -8)])
def test_a_mesh_that_the_camera_does_not_see_is_not_posed(place, files, tmp_path: Path) -> None:
    path = write_obj(files, tmp_path / "cube.obj", np.add(files.cube, place))
    lifted = read_mesh_file(path, name="cube", intrinsics=LENS)
    assert lifted.camera_from_object is None
    assert is_cube(lifted.mesh)


def test_the_caller_s_word_counts(files, tmp_path: Path) -> None:
    in_view = write_obj(files, tmp_path / "in.obj", np.add(files.cube, [0, 0, -8.0]))
    assert read_mesh_file(in_view, name="cube", coordinate_frame="object").camera_from_object is None
    around = write_obj(files, tmp_path / "around.obj", files.cube)
    posed = read_mesh_file(around, name="cube", coordinate_frame="camera-opengl")
    np.testing.assert_allclose(posed.camera_from_object[:3, 3], [0, -1, 0])


def test_an_opencv_pose_is_turned(files, tmp_path: Path) -> None:
    vertices = np.add(files.cube * [1, 2, 3], [1.0, 0.5, 8.0])
    path = write_obj(files, tmp_path / "cube.obj", vertices)
    lifted = read_mesh_file(path, name="cube", coordinate_frame="camera-opencv")
    back = transforms.apply(lifted.camera_from_object, lifted.mesh.vertices)
    np.testing.assert_allclose(np.sort(back, axis=0), np.sort(vertices * [1, -1, -1], axis=0), atol=1e-9)
    assert lifted.mesh.volume() == pytest.approx(48)
    assert lifted.mesh.bounds()[0, 1] == pytest.approx(0)


def test_z_up_is_turned_up(files, tmp_path: Path) -> None:
    path = write_obj(files, tmp_path / "post.obj", files.cube * [1, 2, 5])
    mesh = read_mesh_file(path, name="post", up="z").mesh
    np.testing.assert_allclose(mesh.bounds(), [[-1, 0, -2], [1, 10, 2]], atol=1e-12)
    assert mesh.volume() == pytest.approx(80)


# --- two real ones


def test_a_real_person(shared_data: Path) -> None:
    path = shared_data / "dancer" / "person.ply"
    lifted = read_mesh_file(path, name="person", intrinsics=LENS)
    judge = trimesh.load(path, process=False)
    assert len(lifted.mesh.faces) == 36_874
    assert lifted.mesh.is_closed()
    assert judge.body_count == 1
    assert lifted.camera_from_object is not None
    back = transforms.apply(lifted.camera_from_object, lifted.mesh.vertices)
    np.testing.assert_allclose(np.sort(back, axis=0), np.sort(judge.vertices, axis=0), atol=1e-6)
    assert lifted.mesh.bounds()[0, 1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("intrinsics", [LENS, None])
def test_a_real_bench(shared_data: Path, intrinsics: Intrinsics | None) -> None:
    path = shared_data / "dancer" / "bench.glb"
    lifted = read_mesh_file(path, name="bench", intrinsics=intrinsics)
    assert len(lifted.mesh.faces) == 227_278
    assert lifted.motion is None
    assert lifted.camera_from_object is not None
    back = transforms.apply(lifted.camera_from_object, lifted.mesh.vertices)
    np.testing.assert_allclose(back.min(axis=0), [-0.475851, -0.409879, -2.739644], atol=1e-5)
    np.testing.assert_allclose(back.max(axis=0), [0.077276, -0.216615, -2.496160], atol=1e-5)


def test_a_name_without_a_known_suffix(tmp_path: Path) -> None:
    (tmp_path / "thing.fbx").write_bytes(b"Kaydara FBX Binary")
    with pytest.raises(UserError, match=r"fbx.*glb"):
        read_mesh_file(tmp_path / "thing.fbx", name="thing")
