"""From a lifter's mesh to one that can be posed and drawn: one closed, light solid, nothing floating, nothing hidden.

`clean_mesh` closes as `closing.close_mesh` does, drops floaters (`floaters`) and hollows that nobody can look into
(`enclosure`), cuts what runs through itself (`arrangement`), and collapses edges down to a budget (`collapsing`).
Colours and textures are kept. See docs/lifting.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Float, Int
from real2sam2real.errors import UserError
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.appearance import nearest_vertices, transferred
from real2sam2real.mesh.bvh import Bvh
from real2sam2real.mesh.closing import is_solid, made_solid
from real2sam2real.mesh.collapsing import collapsed
from real2sam2real.mesh.mending import Mending

LEAST_TRIANGLES = 4  # of a closed surface
SAMPLES = 20_000  # of each kind per surface, at which distances are measured


@dataclass(frozen=True, kw_only=True)
class CleaningReport:
    """What became of a mesh.

    Attributes:
        notes: what was done, in words; empty when nothing was.
        volume_before: signed volume of the input as it was, in its units cubed; means little for an open mesh.
        volume_closed: of the solid before it was made light.
        volume_after: of the result.
        strayed: largest distance of the result from the input's surface, over the input's diagonal: what was made up.
        lost: largest distance of the input's surface from the result, over the input's diagonal: what was left out,
            dropped floaters and inner walls too.
        rebuilt: whether the surface had to be rebuilt from voxels.
    """

    notes: tuple[str, ...]
    volume_before: float
    volume_closed: float
    volume_after: float
    strayed: float
    lost: float
    rebuilt: bool

    @property
    def hausdorff(self) -> float:
        """The two-sided Hausdorff distance of input and result, at sampled points, over the input's diagonal."""
        return max(self.strayed, self.lost)

    @property
    def volume_change(self) -> float:
        """Relative to the input's volume; infinite where the input has none."""
        if self.volume_before == 0:
            return float("inf")
        return self.volume_after / self.volume_before - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class CleanedMesh:
    """A clean mesh and how it came to be.

    Attributes:
        mesh: closed, manifold along its edges and at its vertices, outward-wound, within the budget.
        report: what was done.
        source_vertices: `(V,)` int64, the input vertex nearest to each vertex, on its own side of a thin wall; carries
            deformations over.
    """

    mesh: Mesh
    report: CleaningReport
    source_vertices: Int


def clean_mesh(mesh: Mesh, *, max_triangles: int) -> CleanedMesh:
    """One closed, outward-wound, light solid out of whatever a lifter made, with its colours and texture.

    Args:
        mesh: any triangles.
        max_triangles: the budget. It is exceeded only by what the topology needs: every part keeps at least four
            triangles, every tunnel some more.

    Raises:
        UserError: the budget is no closed surface's, the mesh has no face or no extent, or encloses nothing even when
            it is rebuilt.
    """
    if max_triangles < LEAST_TRIANGLES:
        raise UserError(f"a budget of {max_triangles} triangles holds no closed surface; allow at least 100")
    work = Mending()
    solid, rebuilt = made_solid(mesh, work, clean=True)
    light = _light(solid, max_triangles, work)
    strayed, lost = _distances(mesh, light)
    report = CleaningReport(
        notes=tuple(work.notes),
        volume_before=mesh.volume(),
        volume_closed=solid.volume(),
        volume_after=light.volume(),
        strayed=strayed,
        lost=lost,
        rebuilt=rebuilt,
    )
    return CleanedMesh(mesh=light, report=report, source_vertices=nearest_vertices(mesh, light))


def _light(solid: Mesh, max_triangles: int, work: Mending) -> Mesh:
    """The solid within the budget, painted as it was."""
    if len(solid.faces) <= max_triangles:
        return solid
    light = collapsed(solid, max_triangles)
    if not is_solid(light):
        work.notes.append(f"its {len(solid.faces):,} triangles could not be made fewer")
        return solid
    work.notes.append(f"{len(solid.faces):,} triangles made {len(light.faces):,}")
    return transferred(solid, light)


def _distances(before: Mesh, after: Mesh) -> tuple[float, float]:
    """How far `after` strays from `before`, and how much of `before` it lost, over the diagonal of `before`."""
    used = before.vertices[before.faces].reshape(-1, 3)
    diagonal = float(np.linalg.norm(np.ptp(used, axis=0)))
    strayed = Bvh.over(before.vertices, before.faces).nearest(_points_on(after)).distance.max()
    lost = Bvh.over(after.vertices, after.faces).nearest(_points_on(before)).distance.max()
    return float(strayed) / diagonal, float(lost) / diagonal


def _points_on(mesh: Mesh) -> Float:
    """`(N, 3)` points of the surface: corners, middles, and others at random in proportion to the area."""
    corners = mesh.vertices[mesh.faces]
    middles, used = corners.mean(axis=1), mesh.vertices[np.unique(mesh.faces)]
    rng = np.random.default_rng(0)
    chosen = [points[:: max(1, len(points) // SAMPLES)] for points in (middles, used)]
    area = np.linalg.norm(mesh.face_cross_products(), axis=1)
    if area.sum() > 0:
        face = rng.choice(len(area), SAMPLES, p=area / area.sum())
        weights = rng.dirichlet(np.ones(3), SAMPLES)
        chosen.append(np.einsum("nk,nkd->nd", weights, corners[face]))
    return np.concatenate(chosen)
