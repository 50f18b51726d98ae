"""Forty meshes broken in different ways, made closed, manifold and light again."""

import functools
import importlib.util
import sys
from pathlib import Path

import manifold3d
import numpy as np
import pytest
from scipy.spatial import cKDTree

from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.lifting.mesh_files import read_mesh_file
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.repair import repair

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "broken_meshes.py"
SPEC = importlib.util.spec_from_file_location("broken_meshes", BENCHMARK)
broken_meshes = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = broken_meshes  # its dataclasses look themselves up
SPEC.loader.exec_module(broken_meshes)
meshes_of_detail = functools.cache(broken_meshes.broken_meshes)
FORTY = meshes_of_detail(3)


def surface_points(mesh: Mesh, count: int = 20_000) -> np.ndarray:
    """`(count, 3)` evenly over the surface."""
    rng = np.random.default_rng(0)
    area = np.linalg.norm(mesh.face_cross_products(), axis=1)
    corners = mesh.vertices[mesh.faces[rng.choice(len(area), count, p=area / area.sum())]]
    a, b = rng.random((2, count, 1))
    a, b = np.where(a + b > 1, 1 - a, a), np.where(a + b > 1, 1 - b, b)
    return corners[:, 0] + a * (corners[:, 1] - corners[:, 0]) + b * (corners[:, 2] - corners[:, 0])


def hausdorff(one: Mesh, two: Mesh) -> float:
    """Of sampled surfaces, over the diagonal of the second."""
    a, b = surface_points(one), surface_points(two)
    far = max(cKDTree(a).query(b)[0].max(), cKDTree(b).query(a)[0].max())
    return float(far / np.linalg.norm(np.ptp(two.bounds(), axis=0)))


def check_solid(mesh: Mesh) -> None:
    """Watertight, manifold along edges and at vertices, of positive volume."""
    assert mesh.is_closed()
    assert mesh.volume() > 0
    solid = manifold3d.Manifold(
        manifold3d.Mesh64(vert_properties=mesh.vertices, tri_verts=mesh.faces.astype(np.uint64))
    )
    assert solid.status() == manifold3d.Error.NoError
    assert solid.volume() == pytest.approx(mesh.volume(), rel=1e-6)


def test_there_are_forty() -> None:
    assert len(FORTY) == 40


@pytest.mark.parametrize("name", FORTY)
def test_it_is_the_solid_that_it_should_have_been(name: str) -> None:
    broken = FORTY[name]
    cleaned = repair(broken.mesh, clean=True, max_faces=40_000)
    check_solid(cleaned.mesh)
    assert len(cleaned.mesh.faces) <= 40_000
    assert cleaned.mesh.volume() == pytest.approx(broken.volume, rel=broken.off)
    assert hausdorff(cleaned.mesh, broken.truth) <= broken.far + 0.02  # what sampling adds
    assert cleaned.report.volume_after == pytest.approx(cleaned.mesh.volume(), rel=1e-6)
    assert np.isfinite(cleaned.report.hausdorff_to_input)
    assert np.isfinite(cleaned.report.hausdorff_from_input)


def test_the_real_bench_is_a_light_solid(shared_data: Path) -> None:
    lifted: LiftedMesh = read_mesh_file(shared_data / "dancer" / "bench.glb", name="bench")
    cleaned = repair(lifted.mesh, clean=True, max_faces=40_000)
    check_solid(cleaned.mesh)
    assert len(cleaned.mesh.faces) <= 40_000
    assert cleaned.report.hausdorff_to_input < 0.02
    legs = cleaned.mesh.vertices[cleaned.mesh.vertices[:, 1] < 0.1 * np.ptp(cleaned.mesh.vertices[:, 1])]
    assert np.ptp(legs[:, 0]) > 0.8 * np.ptp(cleaned.mesh.vertices[:, 0])  # both ends still stand


@pytest.mark.parametrize(
    "name", ["boxes on one edge", "tube through itself", "spike through the back", "crumpled", "two that overlap"]
)
@pytest.mark.parametrize("detail", [3, 4, 5])
def test_surfaces_that_meet_do_not_grow(name: str, detail: int) -> None:
    """Whatever is cut or united, the work and its outcome stay in proportion to the input."""
    mesh = meshes_of_detail(detail)[name].mesh
    repaired = repair(mesh, clean=True).mesh
    check_solid(repaired)
    assert len(repaired.faces) <= 1.25 * len(mesh.faces) + 100
