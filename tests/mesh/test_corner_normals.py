"""Hard edges stay hard from the file to the rendered normals, against analytic truth; smooth surfaces stay smooth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from real2sam2real.geometry import transforms
from real2sam2real.geometry.camera import Intrinsics
from real2sam2real.lifting.photo_texture import refined
from real2sam2real.mesh import Mesh, concatenate
from real2sam2real.mesh.corner_normals import carrying, deformed, shading_points, with_corner_normals
from real2sam2real.mesh.deformed_normals import normals_of
from real2sam2real.mesh.readers import read_mesh
from real2sam2real.mesh.repair import repair
from real2sam2real.rendering import render_frames
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.gltf import load_glb, save_glb

LENS = Intrinsics.from_fov(96, 72, horizontal_degrees=45)
LOOK = transforms.look_at([1.7, 1.4, 2.2], [0, 0, 0])


def cube() -> trimesh.Trimesh:
    return trimesh.creation.box(extents=(1, 1, 1))


def cylinder() -> trimesh.Trimesh:
    shape = trimesh.creation.cylinder(radius=0.5, height=1.2, sections=48)
    return shape.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))


def cup() -> trimesh.Trimesh:
    profile = [[0, -0.5], [0.5, -0.5], [0.5, 0.5], [0.42, 0.5], [0.42, -0.42], [0, -0.42]]
    shape = trimesh.creation.revolve(profile, sections=64)
    return shape.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))


def cone() -> trimesh.Trimesh:
    profile = [[0, -0.5], [0.6, -0.5], [0.2, 0.5], [0, 0.5]]
    shape = trimesh.creation.revolve(profile, sections=64)
    return shape.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))


def truth(kind: str, points: np.ndarray) -> np.ndarray:
    """Outward normals `(N, 3)` of the ideal shape at points on it."""
    x, y, z = points.T
    if kind == "cube":
        axis = np.argmax(np.abs(points), axis=1)
        return np.eye(3)[axis] * np.sign(points[np.arange(len(points)), axis])[:, None]
    radius = np.hypot(x, z)
    out = np.stack([x, np.zeros_like(x), z], axis=1) / np.maximum(radius, 1e-9)[:, None]
    up = np.array([0.0, 1.0, 0.0])
    candidates = {
        "cylinder": [(np.abs(radius - 0.5), out), (np.abs(y - 0.6), up), (np.abs(y + 0.6), -up)],
        "cup": [
            (np.abs(radius - 0.5), out),
            (np.abs(y - 0.5), up),
            (np.abs(radius - 0.42) + (y < -0.42), -out),
            (np.abs(y + 0.42) + (radius > 0.42), up),
        ],
        "cone": [
            (np.abs((radius - 0.4 + 0.4 * y) / np.hypot(1, 0.4)), (out + 0.4 * up) / np.hypot(1, 0.4)),
            (np.abs(y - 0.5), up),
        ],
    }[kind]
    nearest = np.argmin([distance for distance, _ in candidates], axis=0)
    return np.stack([np.broadcast_to(normal, points.shape) for _, normal in candidates])[nearest, np.arange(len(x))]


SHAPES = {"cube": cube, "cylinder": cylinder, "cup": cup, "cone": cone}


def scene_of(mesh: Mesh, motion: Motion | None = None) -> Scene:
    motion = motion or Motion.still(1, np.eye(4))
    thing = Entity(name="thing", mesh=mesh, rest_world_from_object=np.eye(4), motion=motion)
    camera = CameraPath.still(motion.frames, LENS, LOOK)
    return Scene(entities=(thing,), camera=camera, photo_world_from_camera=LOOK, fps=16.0)


def mean_error(scene: Scene, kind: str, frame: int = 0, stretch: float = 1.0) -> float:
    """Degrees between rendered normals and the shape's own, over all pixels that see it."""
    (image,) = render_frames(scene, width=96, height=72, frames=[frame])
    seen = image.ids > 0
    rows, columns = np.nonzero(seen)
    points_camera = LENS.unproject(np.stack([columns + 0.5, rows + 0.5], axis=1), image.depth[seen])
    points = transforms.apply(LOOK, points_camera) / [1, stretch, 1]
    ideal = truth(kind, points) / [1, stretch, 1]
    ideal = ideal @ LOOK[:3, :3]
    ideal /= np.linalg.norm(ideal, axis=1, keepdims=True)
    cosine = np.sum(ideal * image.normals[seen], axis=1).clip(-1, 1)
    return float(np.degrees(np.arccos(cosine)).mean())


def written(shape: trimesh.Trimesh, path: Path) -> Mesh:
    shape.export(path)
    return read_mesh(path).mesh


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("ending", ["stl", "obj", "ply", "glb"])
def test_files_without_normals_get_hard_edges(kind: str, ending: str, tmp_path: Path) -> None:
    mesh = written(SHAPES[kind](), tmp_path / f"shape.{ending}")
    assert mean_error(scene_of(mesh), kind) < 1.0


@pytest.mark.parametrize("kind", SHAPES)
def test_hard_edges_survive_closing_and_fewer_triangles(kind: str, tmp_path: Path) -> None:
    shape = SHAPES[kind]().subdivide().subdivide()
    shape.update_faces(np.arange(len(shape.faces)) != 5)  # a hole to close
    mesh = written(shape, tmp_path / "shape.ply")
    mended = repair(mesh, clean=True, max_faces=max(len(mesh.faces) // 4, 40)).mesh
    assert mended.is_closed()
    assert mean_error(scene_of(mended), kind) < 1.0


@pytest.mark.parametrize("kind", SHAPES)
def test_hard_edges_survive_photo_texturing_and_the_scene_file(kind: str, tmp_path: Path) -> None:
    mesh = written(SHAPES[kind](), tmp_path / "shape.stl")
    large = refined(mesh, np.linalg.inv(LOOK), Intrinsics.from_fov(960, 720, horizontal_degrees=45))
    assert len(large.faces) > len(mesh.faces)
    save_glb(scene_of(large), tmp_path / "scene.glb")
    (back,) = load_glb(tmp_path / "scene.glb", frames=1, fps=16.0).entities
    assert back.mesh.is_closed()
    np.testing.assert_allclose(back.mesh.corner_normals, large.corner_normals, atol=1e-6)
    assert mean_error(scene_of(back.mesh), kind) < 1.0


def test_normals_of_the_file_are_believed(tmp_path: Path) -> None:
    """Weighted normals, as game assets have them: flat faces that a bevel joins are shaded flat."""
    box = cube()
    lean = np.array([0.2, 0.1, 0.0])
    normals = box.vertices / np.linalg.norm(box.vertices, axis=1, keepdims=True)
    corner = box.face_normals[:, None] + lean + 0 * normals[box.faces]
    corner /= np.linalg.norm(corner, axis=2, keepdims=True)
    lines = [f"v {x} {y} {z}" for x, y, z in box.vertices]
    lines += [f"vn {x:.7f} {y:.7f} {z:.7f}" for x, y, z in corner.reshape(-1, 3)]
    lines += [
        "f " + " ".join(f"{v + 1}//{3 * number + k + 1}" for k, v in enumerate(face))
        for number, face in enumerate(box.faces)
    ]
    (tmp_path / "box.obj").write_text("\n".join(lines))
    mesh = read_mesh(tmp_path / "box.obj").mesh
    assert mesh.corner_normals is not None
    np.testing.assert_allclose(mesh.corner_normals, corner, atol=1e-6)


def test_the_halves_of_a_bent_flat_quadrilateral_are_flat() -> None:
    """Blender writes a polygon's one normal to both; Cycles draws each half's own, as do we."""
    mesh = cube()
    corner = (mesh.vertices > 0).all(axis=1, keepdims=True)
    lifted = Mesh(vertices=mesh.vertices * np.where(corner, 1.3, 1.0), faces=mesh.faces)
    polygon = np.repeat(mesh.face_normals[:, None], 3, axis=1)
    cross = lifted.face_cross_products()
    for normal in np.unique(mesh.face_normals.round(6), axis=0):
        mine = np.linalg.norm(mesh.face_normals - normal, axis=1) < 1e-3
        polygon[mine] = cross[mine].sum(axis=0) / np.linalg.norm(cross[mine].sum(axis=0))
    shaded, note = with_corner_normals(lifted, polygon.astype(np.float32))
    assert not note
    assert shaded.corner_normals is not None
    plane = cross / np.linalg.norm(cross, axis=1, keepdims=True)
    assert np.abs(plane - polygon[:, 0]).max() > 0.05
    np.testing.assert_allclose(shaded.corner_normals, np.repeat(plane[:, None], 3, axis=1), atol=1e-6)


def test_a_file_that_says_smooth_is_smooth(tmp_path: Path) -> None:
    box = cube()
    _ = box.vertex_normals
    (tmp_path / "box.ply").write_bytes(trimesh.exchange.ply.export_ply(box, vertex_normal=True))
    assert read_mesh(tmp_path / "box.ply").mesh.corner_normals is None


def test_normals_that_fit_nothing_are_computed(tmp_path: Path) -> None:
    mesh = Mesh(vertices=cube().vertices, faces=cube().faces)
    sideways = np.broadcast_to(np.float32([0, 0, 1]), (12, 3, 3))
    shaded, note = with_corner_normals(mesh, sideways)
    assert "do not fit" in note
    assert mean_error(scene_of(shaded), "cube") < 0.01
    holed = cube().face_normals[:, None].repeat(3, axis=1).astype(np.float32)
    holed[3], holed[5] = np.nan, 0.0
    shaded, note = with_corner_normals(mesh, holed)
    assert not note
    assert mean_error(scene_of(shaded), "cube") < 0.01
    shaded, _ = with_corner_normals(mesh.flipped(), cube().face_normals[:, None].repeat(3, axis=1).astype(np.float32))
    assert mean_error(scene_of(shaded.flipped()), "cube") < 0.01


@pytest.mark.parametrize("noise", [0.0, 0.004, 0.02])
def test_noise_of_a_scan_makes_no_creases(noise: float) -> None:
    ball = trimesh.creation.icosphere(subdivisions=5)
    rng = np.random.default_rng(0)
    scan = Mesh(vertices=ball.vertices * (1 + noise * rng.standard_normal((len(ball.vertices), 1))), faces=ball.faces)
    shaded, _ = with_corner_normals(scan, None)
    off = np.linalg.norm(shaded.normals_at_corners() - scan.normals_at_corners(), axis=2) > 0.2
    assert off.mean() < 0.02


def test_deformed_normals_keep_their_place() -> None:
    mesh, _ = with_corner_normals(Mesh(vertices=cup().vertices, faces=cup().faces), None)
    turn = transforms.compose([1, 2, 3], [0.5, 0.5, 0.5, 0.5])
    for matrix in (turn, np.diag([1, 3.0, 1, 1]), turn @ np.diag([1, 3.0, 1, 1]), np.diag([-1.0, 1, 1, 1])):
        moved = mesh.transformed(matrix)
        faces = moved.faces if np.linalg.det(matrix) > 0 else moved.faces[:, ::-1]
        bent = deformed(mesh, transforms.apply(matrix, mesh.vertices))
        expected = moved.corner_normals if np.linalg.det(matrix) > 0 else moved.corner_normals[:, ::-1]
        sign = 1 if np.linalg.det(matrix) > 0 else -1  # wound inside out, its normals point inward
        np.testing.assert_allclose(sign * bent.corner_normals, expected, atol=1e-5)
        np.testing.assert_array_equal(faces, mesh.faces)
    stretched = mesh.vertices * [1, 2, 1]
    frames = np.stack([mesh.vertices, stretched]).astype(np.float32)
    scene = scene_of(mesh, replace(Motion.still(2, np.eye(4)), vertices_object=frames))
    assert mean_error(scene, "cup", 0) < 1.0
    assert mean_error(scene, "cup", 1, stretch=2.0) < 1.0


def test_the_kernel_is_the_reference() -> None:
    mesh, _ = with_corner_normals(Mesh(vertices=cone().vertices, faces=cone().faces), None)
    rest, points = shading_points(mesh)
    normals = np.empty_like(rest)
    normals_of(mesh.vertices, mesh.faces, points, carrying(mesh), normals)
    np.testing.assert_allclose(normals, rest, atol=1e-6)
    np.testing.assert_allclose(normals[points], mesh.corner_normals, atol=1e-6)


def test_a_smooth_mesh_beside_a_hard_one_keeps_its_normals() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    smooth = Mesh(vertices=ball.vertices, faces=ball.faces)
    assert with_corner_normals(smooth, None)[0].corner_normals is None
    hard, _ = with_corner_normals(Mesh(vertices=cube().vertices + 3, faces=cube().faces), None)
    both = concatenate([smooth, hard])
    np.testing.assert_allclose(both.corner_normals[: len(ball.faces)], smooth.normals_at_corners())
