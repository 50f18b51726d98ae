"""Make any mesh closed: mend what can be mended, rebuild what cannot, and say what was done. See docs/lifting.md.

`close_mesh` leaves everything in its place. `cleaning.clean_mesh` also drops what is not part of the object and makes
it light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Int
from real2sam2real.errors import UserError
from real2sam2real.mesh import Mesh, mending, repair
from real2sam2real.mesh.appearance import nearest_vertices, painted, transferred
from real2sam2real.mesh.mending import Mending
from real2sam2real.mesh.remesh import remeshed


@dataclass(frozen=True, kw_only=True)
class ClosingReport:
    """What was mended.

    Attributes:
        notes: in words, empty when the mesh was closed already.
        volume_before: signed volume of the input as it was, in its units cubed; means little for an open mesh.
        volume_after: of the result.
        rebuilt: whether the surface had to be rebuilt from voxels.
    """

    notes: tuple[str, ...] = ()
    volume_before: float = 0.0
    volume_after: float = 0.0
    rebuilt: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class ClosedMesh:
    """A closed mesh and how it came to be.

    Attributes:
        mesh: closed, manifold along its edges and at its vertices, outward-wound: every part has positive volume.
        report: what was mended.
        source_vertices: `(V,)` int64, the input vertex nearest to each vertex, on its own side of a thin wall; carries
            deformations over.
    """

    mesh: Mesh
    report: ClosingReport
    source_vertices: Int


def close_mesh(mesh: Mesh) -> ClosedMesh:
    """Close a mesh, whatever is wrong with it.

    Vertices are welded, degenerate and double faces and flaps dropped, inner walls that hang on the surface dropped,
    surfaces that only touch parted, faces wound consistently, holes filled, sheets given a thickness, parts turned
    outward, surfaces that run through themselves cut, and parts that overlap united. If the outcome is still not a
    solid it is rebuilt from voxels. A mesh that is closed already comes back unchanged.

    Raises:
        UserError: the mesh has no face, or no extent.
    """
    before = mesh.volume()
    if is_solid(mesh):
        report = ClosingReport(volume_before=before, volume_after=before)
        return ClosedMesh(mesh=mesh, report=report, source_vertices=np.arange(len(mesh.vertices)))
    work = Mending()
    closed, rebuilt = made_solid(mesh, work)
    report = ClosingReport(notes=tuple(work.notes), volume_before=before, volume_after=closed.volume(), rebuilt=rebuilt)
    return ClosedMesh(mesh=closed, report=report, source_vertices=nearest_vertices(mesh, closed))


def made_solid(mesh: Mesh, work: Mending, *, clean: bool = False) -> tuple[Mesh, bool]:
    """The mesh as a solid with its looks, and whether it had to be rebuilt from voxels.

    Args:
        mesh: any triangles.
        work: takes down what is done.
        clean: whether floaters and hollows that cannot be seen go too.

    Raises:
        UserError: the mesh has no face, or no extent, or encloses nothing even when it is rebuilt.
    """
    if not len(mesh.faces) or not np.ptp(mesh.vertices[mesh.faces].reshape(-1, 3), axis=0).any():
        raise UserError("the mesh has no surface (no face with an extent); export the object again")
    soup = work.soup_of(mesh)
    if len(soup.faces):
        soup = work.closed_parts(work.wound(work.without_inner_walls(soup)))
        closed = work.without_floaters(soup) if clean else soup
        told = len(work.notes)
        soup = work.united(closed)
        soup = work.without_pockets(soup) if clean else soup
        for result in (painted(mesh, soup), painted(mesh, closed)):
            if is_solid(result):
                return result, False
            # What was closed is still a solid where cutting its crossings came to nothing.
            work.notes[told:] = ["where the surface runs through itself, it was left so"]
    return _rebuilt(mesh, work), True


def is_solid(mesh: Mesh) -> bool:
    """Whether the mesh is manifold, its faces agree, and every connected part has positive volume."""
    return mending.is_solid(mesh.vertices, mesh.faces)


def _rebuilt(mesh: Mesh, work: Mending) -> Mesh:
    """A new surface around the old one."""
    result = remeshed(mesh.vertices, mesh.faces.astype(np.int64))
    if not is_solid(result):
        result = _outer_parts(result)
    if not is_solid(result):
        raise UserError("the mesh cannot be closed: nothing of it encloses a volume; export the object again")
    work.notes.append("the surface was rebuilt, fine detail is lost")
    return transferred(mesh, result)


def _outer_parts(mesh: Mesh) -> Mesh:
    """Without parts of negative volume: cavities, which a rebuilt surface does not need."""
    faces = mesh.faces.astype(np.int64)
    if not len(faces):
        return mesh
    part = repair.parts(faces, len(mesh.vertices))
    positive = repair.part_volumes(mesh.vertices, faces, part) > 0
    used, local = np.unique(faces[positive[part]], return_inverse=True)
    return Mesh(vertices=mesh.vertices[used], faces=local.reshape(-1, 3).astype(np.int32))
