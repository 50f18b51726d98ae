from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.scene_repair import repaired_scene
from real2sam2real.mesh import Mesh, concatenate
from real2sam2real.mesh.holes import least_area
from real2sam2real.mesh.repair import RepairedMesh, is_solid, repair
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

RNG = np.random.default_rng(0)


def mesh_of(shape: trimesh.Trimesh, offset: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    return Mesh(vertices=shape.vertices + np.array(offset), faces=shape.faces)


SPHERE = mesh_of(trimesh.creation.icosphere(subdivisions=3))
VOLUME = SPHERE.volume()
CUBE = mesh_of(trimesh.creation.box())


def with_faces(mesh: Mesh, faces: np.ndarray) -> Mesh:
    return Mesh(vertices=mesh.vertices, faces=faces)


def some(share: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(len(SPHERE.faces)) < share


def flipped_some() -> Mesh:
    return with_faces(SPHERE, np.where(some(0.3)[:, None], SPHERE.faces[:, ::-1], SPHERE.faces))


def with_fins() -> Mesh:
    f, n = SPHERE.faces, len(SPHERE.vertices)
    fins = [[f[0, 0], f[0, 1], n], [f[40, 0], f[40, 1], n + 1]]
    return Mesh(vertices=np.concatenate([SPHERE.vertices, [[2, 0, 0], [0, 2, 0]]]), faces=np.concatenate([f, fins]))


def unwelded() -> Mesh:
    f = SPHERE.faces
    return Mesh(vertices=SPHERE.vertices[f].reshape(-1, 3), faces=np.arange(3 * len(f)).reshape(-1, 3))


BROKEN = {
    "one hole": (with_faces(SPHERE, SPHERE.faces[12:]), "hole"),
    "many holes": (with_faces(SPHERE, SPHERE.faces[~some(0.05)]), "holes filled"),
    "flips": (flipped_some(), "wrong way"),
    "inside out": (SPHERE.flipped(), "inside out"),
    "double faces": (with_faces(SPHERE, np.concatenate([SPHERE.faces, SPHERE.faces[:90], SPHERE.faces[:50, ::-1]])),
                     "double faces"),
    "fins": (with_fins(), "flaps"),
    "soup": (unwelded(), "double vertices"),
    "degenerate": (with_faces(SPHERE, np.concatenate([SPHERE.faces, [[1, 1, 2], [3, 3, 3]]])), "degenerate"),
    "unused vertex": (Mesh(vertices=np.concatenate([SPHERE.vertices, [[50, 0, 0]]]), faces=SPHERE.faces[1:]), "hole"),
}  # fmt: skip


def check(closed: RepairedMesh) -> None:
    assert is_solid(closed.mesh)
    assert trimesh.Trimesh(closed.mesh.vertices, closed.mesh.faces, process=False).is_watertight
    assert closed.source_vertices.shape == (len(closed.mesh.vertices),)
    assert closed.report.volume_after == pytest.approx(closed.mesh.volume())


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sphere_is_a_sphere_again(name: str) -> None:
    mesh, told = BROKEN[name]
    closed = repair(mesh)
    check(closed)
    assert closed.mesh.volume() == pytest.approx(VOLUME, rel=0.03)
    assert any(told in note for note in closed.report.notes), closed.report.notes
    assert not closed.report.rebuilt


def test_a_closed_mesh_is_left_alone() -> None:
    closed = repair(SPHERE)
    assert closed.mesh is SPHERE
    assert closed.report.notes == ()


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), drop=st.floats(0, 0.2), turn=st.floats(0, 0.5), double=st.floats(0, 0.1))
def test_any_mixture_of_damage_is_closed(seed: int, drop: float, turn: float, double: float) -> None:
    faces = SPHERE.faces[~some(drop, seed)]
    again = faces[np.random.default_rng(seed + 1).random(len(faces)) < double]
    faces = np.concatenate([faces, again])
    turned = np.random.default_rng(seed + 2).random(len(faces)) < turn
    closed = repair(with_faces(SPHERE, np.where(turned[:, None], faces[:, ::-1], faces)))
    check(closed)
    assert closed.mesh.volume() == pytest.approx(VOLUME, rel=0.1)


def test_parts_that_overlap_become_one() -> None:
    other = mesh_of(trimesh.creation.icosphere(subdivisions=3), (0.9, 0, 0))
    broken = concatenate([SPHERE, with_faces(other, other.faces[1:])])
    closed = repair(broken)
    check(closed)
    lens = np.pi * (4 + 0.9) * (2 - 0.9) ** 2 / 12  # of two unit spheres 0.9 apart
    assert closed.mesh.volume() == pytest.approx(2 * VOLUME - lens, rel=0.02)
    assert any("united" in note for note in closed.report.notes)


def test_cubes_that_share_an_edge_or_a_corner_stay_two() -> None:
    for offset in ((1, 1, 0), (1, 1, 1)):
        other = Mesh(vertices=CUBE.vertices + offset, faces=CUBE.faces)
        closed = repair(concatenate([CUBE.flipped(), other]))
        check(closed)
        assert closed.mesh.volume() == pytest.approx(2)


@pytest.mark.parametrize("count", [1, 2, 50])
def test_a_sheet_gets_a_thickness(count: int) -> None:
    rows, columns = np.divmod(np.arange((count + 1) * 2), 2)
    vertices = np.column_stack([columns, rows, 0.05 * np.sin(rows)]).astype(float)
    a = 2 * np.arange(count)[:, None]
    faces = np.concatenate([a + np.array([0, 1, 2]), a + np.array([1, 3, 2])])
    closed = repair(Mesh(vertices=vertices, faces=faces))
    check(closed)
    assert any("sheet" in note for note in closed.report.notes)
    assert closed.mesh.volume() < 0.05 * count * np.linalg.norm([1, count])


def test_a_bowl_is_capped_and_not_thickened() -> None:
    half = with_faces(SPHERE, SPHERE.faces[SPHERE.vertices[SPHERE.faces].mean(axis=1)[:, 2] > 0])
    closed = repair(half)
    check(closed)
    assert closed.mesh.volume() == pytest.approx(VOLUME / 2, rel=0.1)  # its rim is ragged


def moebius() -> Mesh:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rim = [
        [(1 + w * np.cos(t / 2)) * np.cos(t), (1 + w * np.cos(t / 2)) * np.sin(t), w * np.sin(t / 2)]
        for t in angle
        for w in (-0.3, 0.3)
    ]
    faces = []
    for k in range(40):
        c, d = (2 * k + 2, 2 * k + 3) if k < 39 else (1, 0)
        faces += [[2 * k, c, 2 * k + 1], [2 * k + 1, c, d]]
    return Mesh(vertices=np.array(rim), faces=np.array(faces))


def test_a_one_sided_strip_is_cut_and_thickened() -> None:
    closed = repair(moebius())
    check(closed)
    assert any("one-sided" in note for note in closed.report.notes)
    assert np.abs(closed.mesh.bounds() - moebius().bounds()).max() < 0.1


@pytest.mark.parametrize("seed", range(4))
def test_random_triangles_end_as_something_closed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    check(repair(Mesh(vertices=rng.normal(size=(25, 3)), faces=rng.integers(0, 25, (40, 3)))))


def test_nothing_cannot_be_closed() -> None:
    for mesh in (
        Mesh(vertices=np.zeros((0, 3)), faces=np.zeros((0, 3), int)),
        Mesh(vertices=np.ones((5, 3)), faces=np.array([[0, 1, 2], [2, 3, 4]])),
    ):
        with pytest.raises(UserError, match="no surface"):
            repair(mesh)


def test_triangles_without_area_have_no_volume_but_end_closed_or_refused() -> None:
    line = Mesh(vertices=np.arange(9.0)[:, None] * np.ones(3), faces=np.array([[0, 1, 2], [3, 5, 8]]))
    check(repair(line))


def painted(mesh: Mesh) -> Mesh:
    """Colours by position, and a texture coordinate by position on every corner."""
    low, high = mesh.bounds()
    place = (mesh.vertices - low) / (high - low)
    return Mesh(
        vertices=mesh.vertices,
        faces=mesh.faces,
        vertex_colors=np.round(place * 255).astype(np.uint8),
        corner_uvs=place[:, :2][mesh.faces],
        texture=np.zeros((4, 4, 3), np.uint8),
    )


@pytest.mark.parametrize("name", ["flips", "one hole", "soup", "double faces", "overlap"])
def test_colours_and_texture_stay_where_they_were(name: str) -> None:
    if name == "overlap":
        other = mesh_of(trimesh.creation.icosphere(subdivisions=3), (0.9, 0, 0))
        mesh = concatenate([with_faces(SPHERE, SPHERE.faces[1:]), other])
    else:
        mesh = BROKEN[name][0]
    mesh = painted(mesh)
    closed = repair(mesh).mesh
    low, high = mesh.bounds()
    expected = (closed.vertices - low) / (high - low)
    assert closed.vertex_colors is not None
    assert closed.corner_uvs is not None
    assert closed.texture is mesh.texture
    near = np.abs(closed.vertex_colors / 255 - expected).max(axis=1)
    assert np.quantile(near, 0.95) < 0.1
    uv_error = np.abs(closed.corner_uvs - expected[:, :2][closed.faces]).max(axis=(1, 2))
    assert np.quantile(uv_error, 0.95) < 0.1
    if name == "flips":
        assert uv_error.max() < 1e-9


def test_least_area_covers_a_flat_polygon_once() -> None:
    angle = np.sort(RNG.uniform(0, 2 * np.pi, 15))
    polygon = np.column_stack([np.cos(angle), np.sin(angle), 0 * angle]) * RNG.uniform(0.5, 1, (15, 1))
    a, b, c = (polygon[least_area(polygon)[:, k]] for k in range(3))
    signed = np.cross(b - a, c - a)[:, 2] / 2
    following = np.roll(polygon, -1, axis=0)
    shoelace = (polygon[:, 0] * following[:, 1] - polygon[:, 1] * following[:, 0]).sum() / 2
    assert np.abs(signed).sum() == pytest.approx(shoelace)
    assert (signed > -1e-12).all()


def scene_with(mesh: Mesh, motion: Motion) -> Scene:
    camera = CameraPath.still(motion.frames, Intrinsics.from_fov(64, 48, horizontal_degrees=50))
    return Scene(
        entities=(Entity(name="ball", mesh=mesh, rest_world_from_object=np.eye(4), motion=motion),), camera=camera
    )


def test_a_scene_is_closed_with_its_deformation() -> None:
    from dataclasses import replace

    mesh = BROKEN["soup"][0]
    mesh = with_faces(mesh, mesh.faces[1:])
    waves = np.stack([mesh.vertices * (1 + 0.1 * t) for t in range(3)]).astype(np.float32)
    scene = scene_with(mesh, replace(Motion.still(3, np.eye(4)), vertices_object=waves))
    closed, notes = repaired_scene(scene)
    entity = closed.entity("ball")
    assert is_solid(entity.mesh)
    assert any(note.startswith("'ball': ") for note in notes)
    assert entity.provenance["repaired"]
    deformed = entity.motion.vertices_object
    assert deformed is not None
    assert np.allclose(deformed[2], entity.mesh.vertices * 1.2, atol=0.02)


def test_a_closed_scene_stays_the_same() -> None:
    scene = scene_with(SPHERE, Motion.still(2, np.eye(4)))
    closed, notes = repaired_scene(scene)
    assert notes == []
    assert closed.entity("ball") is scene.entity("ball")


def test_the_error_names_the_entity() -> None:
    flat = Mesh(vertices=np.ones((3, 3)), faces=np.array([[0, 1, 2]]))
    with pytest.raises(UserError, match="'ball': the mesh has no surface"):
        repaired_scene(scene_with(flat, Motion.still(2, np.eye(4))))


def test_the_real_bench_is_closed(shared_data: Path) -> None:
    loaded = trimesh.load(shared_data / "dancer" / "bench.glb", force="mesh", process=False)
    colors = np.asarray(loaded.visual.vertex_colors)[:, :3].astype(np.uint8)
    bench = Mesh(vertices=loaded.vertices, faces=loaded.faces, vertex_colors=colors)
    assert not is_solid(bench)
    closed = repair(bench)
    check(closed)
    assert not closed.report.rebuilt
    assert np.allclose(closed.mesh.bounds(), bench.bounds(), atol=0.01 * np.ptp(bench.bounds()))
    assert closed.mesh.vertex_colors is not None
