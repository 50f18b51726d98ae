"""`repair`: any triangles as one closed, outward-wound solid, and a report of what was done. See docs/lifting.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from real2sam2real.arrays import Float, Int
from real2sam2real.errors import UserError
from real2sam2real.mesh import soup as soups
from real2sam2real.mesh.attributes import nearest_vertices, transfer_attributes, with_attributes_of
from real2sam2real.mesh.bvh import Bvh
from real2sam2real.mesh.components import drop_floaters, is_thicket, unite
from real2sam2real.mesh.decimation import decimate
from real2sam2real.mesh.hidden import TangledError, drop_inner_walls, drop_pockets
from real2sam2real.mesh.holes import fill_holes
from real2sam2real.mesh.mesh import Mesh
from real2sam2real.mesh.remesh import remesh
from real2sam2real.mesh.sheets import strips, thicken_sheets, thickened
from real2sam2real.mesh.solidity import is_solid
from real2sam2real.mesh.soup import Soup, concatenate, orient, split_nonmanifold

LEAST_FACES = 4  # of a closed surface
SAMPLES = 20_000  # of each kind per surface, at which distances are measured


@dataclass(frozen=True, kw_only=True)
class RepairReport:
    """What became of a mesh."""

    notes: tuple[str, ...] = ()  # what was done, in words; empty when nothing was
    volume_before: float  # signed volume of the input as it was, in its units cubed; means little for an open mesh
    volume_after: float  # of the result
    # one-sided Hausdorff distance from the result to the input's surface, at sampled points, over the input's diagonal:
    # what was made up
    hausdorff_to_input: float = 0.0
    # the same from the input to the result: what was left out, floaters and inner walls too
    hausdorff_from_input: float = 0.0
    rebuilt: bool = False  # whether the surface had to be rebuilt from voxels


@dataclass(frozen=True, kw_only=True, eq=False)
class RepairedMesh:
    """A solid and how it came to be."""

    # closed, manifold along its edges and at its vertices, outward-wound: every component has positive volume. It has
    # the input's colours and texture
    mesh: Mesh
    report: RepairReport  # what was done
    # `(V,)` int64, the input vertex nearest to each vertex, on its own side of a thin wall; carries deformations over
    source_vertices: Int


def repair(mesh: Mesh, *, clean: bool = False, max_faces: int | None = None) -> RepairedMesh:
    """Close a mesh, whatever is wrong with it.

    Vertices are welded, degenerate and double faces and flaps dropped, inner walls that hang on the surface dropped,
    surfaces that only touch separated, faces wound consistently, holes filled, sheets given a thickness, components
    turned outward, and those that overlap united. A surface that runs through itself stays so. If the outcome is still
    no solid, it is rebuilt from voxels. A mesh that is a solid already comes back as it is, unless it is to be cleaned.

    Args:
        mesh: any triangles.
        clean: also drop what is not part of the object: floaters, and hollows that nobody can look into.
        max_faces: the result's budget. It is exceeded only by what the topology needs: every component keeps at least
            four faces, every tunnel some more.

    Raises:
        UserError: the budget is no closed surface's, the mesh has no face or no extent, or encloses nothing even when
            it is rebuilt.
    """
    if max_faces is not None and max_faces < LEAST_FACES:
        raise UserError(f"a budget of {max_faces} triangles holds no closed surface; allow at least 100")
    solid, notes, rebuilt = (mesh, [], False) if not clean and is_solid(mesh) else _made_solid(mesh, clean)
    if max_faces is not None and len(solid.faces) > max_faces:
        solid, note = _within_budget(solid, max_faces)
        notes = [*notes, note]
    if solid is mesh:
        report = RepairReport(volume_before=mesh.volume(), volume_after=mesh.volume())
        return RepairedMesh(mesh=mesh, report=report, source_vertices=np.arange(len(mesh.vertices)))
    used = mesh.vertices[mesh.faces].reshape(-1, 3)
    diagonal = float(np.linalg.norm(np.ptp(used, axis=0)))
    report = RepairReport(
        notes=tuple(notes),
        volume_before=mesh.volume(),
        volume_after=solid.volume(),
        hausdorff_to_input=_one_sided_hausdorff(solid, mesh) / diagonal,
        hausdorff_from_input=_one_sided_hausdorff(mesh, solid) / diagonal,
        rebuilt=rebuilt,
    )
    return RepairedMesh(mesh=solid, report=report, source_vertices=nearest_vertices(mesh, solid))


def _made_solid(mesh: Mesh, clean: bool) -> tuple[Mesh, list[str], bool]:
    """The mesh as a solid with its attributes, what was done, and whether it had to be rebuilt from voxels."""
    if not len(mesh.faces) or not np.ptp(mesh.vertices[mesh.faces].reshape(-1, 3), axis=0).any():
        raise UserError("the mesh has no surface (no face with an extent); export the object again")
    soup, notes = _applied(Soup.of(mesh), _TIDY)
    if len(soup.faces) and not is_thicket(soup):
        soup, more = _wound(soup)
        closed, steps = _applied(soup, _CLOSE)
        notes += more + steps
        if clean:
            closed, floaters = _applied(closed, _DROP_FLOATERS)
            notes += floaters
        united, more = _applied(closed, _UNITE)
        if clean:
            try:
                united, pockets = _applied(united, _FILL_POCKETS)
            except TangledError:
                pockets = ["it runs through itself so often that hollows in it were not looked for"]
            more += pockets
        for outcome, told in ((united, more), (closed, ["components that overlap were left as they are"])):
            result = with_attributes_of(mesh, outcome)
            if is_solid(result):
                return result, notes + told, False
    return _rebuilt(mesh), [*notes, "the surface was rebuilt, fine detail is lost"], True


_Step = tuple[Callable[[Soup], tuple[Soup, int]], str, str]
"""What a step does, and what a note says where it did so once, and several times."""


def _applied(soup: Soup, steps: tuple[_Step, ...]) -> tuple[Soup, list[str]]:
    notes = []
    for step, one, many in steps:
        soup, count = step(soup)
        if count:
            notes.append(one if count == 1 else many.format(count))
    return soup, notes


def _wound(soup: Soup) -> tuple[Soup, list[str]]:
    """Faces wound alike, and surfaces that only touch separated."""
    soup, turned, one_sided = orient(soup)
    notes = []
    if turned:
        one, many = "1 face wound the wrong way was turned", "{} faces wound the wrong way were turned"
        notes.append(one if turned == 1 else many.format(turned))
    if not one_sided.any():
        return split_nonmanifold(soup), notes
    notes.append("a component is one-sided, like a Möbius strip: it was cut across")
    strip = one_sided & strips(soup)
    if not strip.any():
        return split_nonmanifold(soup), notes
    slabs = thickened(split_nonmanifold(soup.keep(strip)))  # cut open, they would be taken for bowls and filled
    return concatenate([split_nonmanifold(soup.keep(~strip)), slabs]), notes


def _turned_outward(soup: Soup) -> tuple[Soup, int]:
    component = soup.components()
    inside_out = soup.volumes(component) < 0
    faces = np.where(inside_out[component][:, None], soup.faces[:, ::-1], soup.faces)
    return replace(soup, faces=faces), int(inside_out.sum())


def _filled_pockets(soup: Soup) -> tuple[Soup, int]:
    emptied, pockets = drop_pockets(soup)
    if not pockets:
        return soup, 0
    filled = _outer_components(fill_holes(split_nonmanifold(emptied))[0])
    return unite(filled)[0], pockets


def _outer_components(soup: Soup) -> Soup:
    """Without components that enclose nothing, or a negative volume: cavities, and folds turned inside out."""
    if not len(soup.faces):
        return soup
    component = soup.components()
    return soup.keep((soup.volumes(component) > 0)[component])


_TIDY: tuple[_Step, ...] = (
    (soups.weld, "1 double vertex welded", "{} double vertices welded"),
    (soups.drop_degenerate, "1 degenerate face dropped", "{} degenerate faces dropped"),
    (soups.drop_duplicates, "1 double face dropped", "{} double faces dropped"),
    (soups.drop_flaps, "1 loose flap dropped", "{} loose flaps dropped"),
    (drop_inner_walls, "1 inner wall dropped", "{} inner walls dropped"),
)
_CLOSE: tuple[_Step, ...] = (
    (thicken_sheets, "1 open sheet given a thickness", "{} open sheets given a thickness"),
    (fill_holes, "1 hole filled", "{} holes filled"),
    (_turned_outward, "1 component was inside out", "{} components were inside out"),
)
_DROP_FLOATERS: tuple[_Step, ...] = ((drop_floaters, "1 floating component dropped", "{} floating components dropped"),)
_UNITE: tuple[_Step, ...] = ((unite, "", "{} components that overlap were united"),)
_FILL_POCKETS: tuple[_Step, ...] = (
    (_filled_pockets, "1 hollow that cannot be seen was filled", "{} hollows that cannot be seen were filled"),
)


def _rebuilt(mesh: Mesh) -> Mesh:
    result = remesh(mesh.vertices, mesh.faces.astype(np.int64))
    if not is_solid(result):
        outer = _outer_components(Soup.of(result)).compact()
        result = Mesh(vertices=outer.vertices, faces=outer.faces.astype(np.int32))
    if not is_solid(result):
        raise UserError("the mesh cannot be closed: nothing of it encloses a volume; export the object again")
    return transfer_attributes(mesh, result)


def _within_budget(solid: Mesh, max_faces: int) -> tuple[Mesh, str]:
    light = decimate(solid, max_faces)
    if not is_solid(light):
        return solid, f"its {len(solid.faces):,} triangles could not be made fewer"
    return transfer_attributes(solid, light), f"{len(solid.faces):,} triangles made {len(light.faces):,}"


def _one_sided_hausdorff(source: Mesh, target: Mesh) -> float:
    """The largest distance of a sampled point of `source` from `target`, in their unit."""
    return Bvh.over(target.vertices, target.faces).farthest(_points_on(source))


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
