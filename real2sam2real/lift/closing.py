"""Make any mesh closed: mend what can be mended, rebuild what cannot, and say what was done. See docs/lifting.md."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import manifold3d
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from real2sam2real.errors import UserError
from real2sam2real.geometry import Mesh
from real2sam2real.geometry.quaternions import Float
from real2sam2real.lift import repair
from real2sam2real.lift.appearance import transferred
from real2sam2real.lift.holes import border_loops, filled
from real2sam2real.lift.remesh import remeshed
from real2sam2real.lift.repair import Index, Soup
from real2sam2real.scene import Entity, Scene

SHEET_SHARE = 0.004  # a part whose volume is less than this share of area × diagonal encloses nothing
SHEET_THICKNESS = 0.012  # of its diagonal
MAX_UNION_PARTS = 400


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
        mesh: closed, manifold along its edges, outward-wound: every part has positive volume.
        report: what was mended.
        source_vertices: `(V,)` int64, the input vertex nearest to each vertex; carries deformations over.
    """

    mesh: Mesh
    report: ClosingReport
    source_vertices: NDArray[np.int64]


def close_mesh(mesh: Mesh) -> ClosedMesh:
    """Close a mesh, whatever is wrong with it.

    Vertices are welded, degenerate and double faces and flaps dropped, surfaces that only touch parted, faces wound
    consistently, holes filled, sheets given a thickness, parts turned outward and, where they overlap, united. If the
    outcome is still not a closed solid it is rebuilt from voxels. A mesh that is closed already comes back unchanged.

    Raises:
        UserError: the mesh has no face, or no extent.
    """
    before = mesh.volume()
    if is_solid(mesh):
        report = ClosingReport(volume_before=before, volume_after=before)
        return ClosedMesh(mesh=mesh, report=report, source_vertices=np.arange(len(mesh.vertices)))
    if not len(mesh.faces) or not np.ptp(mesh.vertices[mesh.faces].reshape(-1, 3), axis=0).any():
        raise UserError("the mesh has no surface (no face with an extent); export the object again")
    work = _Work()
    closed = work.mended(mesh)
    if closed is None:
        closed = work.rebuilt_from_voxels(mesh)
    _, source = cKDTree(mesh.vertices).query(closed.vertices)
    report = ClosingReport(
        notes=tuple(work.notes), volume_before=before, volume_after=closed.volume(), rebuilt=work.rebuilt
    )
    return ClosedMesh(mesh=closed, report=report, source_vertices=source)


def closed_scene(scene: Scene) -> tuple[Scene, list[str]]:
    """The scene with every entity's mesh closed, and what was mended, entity by entity.

    Deformations follow: each vertex moves as the input vertex nearest to it.
    """
    notes: list[str] = []
    entities = tuple(_closed_entity(entity, notes) for entity in scene.entities)
    return replace(scene, entities=entities), notes


def is_solid(mesh: Mesh) -> bool:
    """Whether every edge has two faces that agree and every connected part has positive volume."""
    if not mesh.is_closed():
        return False
    faces = mesh.faces.astype(np.int64)
    part = repair.parts(faces, len(mesh.vertices))
    return bool((repair.part_volumes(mesh.vertices, faces, part) > 0).all())


def _closed_entity(entity: Entity, notes: list[str]) -> Entity:
    try:
        closed = close_mesh(entity.mesh)
    except UserError as error:
        raise UserError(f"'{entity.name}': {error}") from None
    if closed.mesh is entity.mesh:
        return entity
    notes += [f"'{entity.name}': {note}" for note in closed.report.notes]
    motion = entity.motion
    if motion.vertices_object is not None:
        source = closed.source_vertices
        offset = (closed.mesh.vertices - entity.mesh.vertices[source]).astype(np.float32)
        motion = replace(motion, vertices_object=motion.vertices_object[:, source] + offset)
    provenance = {**entity.provenance, "mended": list(closed.report.notes)}
    return replace(entity, mesh=closed.mesh, motion=motion, provenance=provenance)


@dataclass(kw_only=True)
class _Work:
    """One closing in progress: what was done so far."""

    notes: list[str] = field(default_factory=list)
    rebuilt: bool = False

    def note(self, count: int, one: str, many: str) -> None:
        if count:
            self.notes.append(one if count == 1 else many.format(count))

    def mended(self, mesh: Mesh) -> Mesh | None:
        """The mesh with its own faces kept, or None where that does not end in a solid."""
        soup = self._cleaned(mesh)
        if not len(soup.faces):
            return None
        soup, turned, one_sided = repair.oriented(soup)
        if one_sided:
            self.notes.append("a part is one-sided, like a Möbius strip")
            return None
        self.note(turned, "1 face wound the wrong way was turned", "{} faces wound the wrong way were turned")
        soup = self._solid_parts(repair.cut_apart(soup))
        result = _painted(mesh, soup)
        return self._united(result) if is_solid(result) else None

    def _cleaned(self, mesh: Mesh) -> Soup:
        soup = repair.weld(mesh.vertices, mesh.faces.astype(np.int64))
        self.note(
            len(np.unique(mesh.faces)) - len(soup.vertices), "1 double vertex welded", "{} double vertices welded"
        )
        proper = repair.without_degenerate(soup)
        self.note(len(soup.faces) - len(proper.faces), "1 degenerate face dropped", "{} degenerate faces dropped")
        single = repair.without_duplicates(proper)
        self.note(len(proper.faces) - len(single.faces), "1 double face dropped", "{} double faces dropped")
        clean, fins = repair.without_fins(single)
        self.note(fins, "1 loose flap dropped", "{} loose flaps dropped")
        return clean if len(clean.faces) else single

    def _solid_parts(self, soup: Soup) -> Soup:
        """Holes filled, sheets thickened, every part turned outward."""
        sheets = _sheets(soup)
        self.note(
            len(np.unique(sheets[sheets >= 0])),
            "1 open sheet given a thickness",
            "{} open sheets given a thickness",
        )
        if (sheets >= 0).any():
            soup = _joined(soup.keep(sheets < 0), _thickened(soup.keep(sheets >= 0)))
        soup, holes = filled(soup)
        self.note(holes, "1 hole filled", "{} holes filled")
        part = repair.parts(soup.faces, len(soup.vertices))
        inside_out = repair.part_volumes(soup.vertices, soup.faces, part) < 0
        self.note(int(inside_out.sum()), "1 part was inside out", "{} parts were inside out")
        return soup.with_faces(np.where(inside_out[part][:, None], soup.faces[:, ::-1], soup.faces))

    def _united(self, mesh: Mesh) -> Mesh | None:
        """Overlapping parts as one solid."""
        faces = mesh.faces.astype(np.int64)
        part = repair.parts(faces, len(mesh.vertices))
        count = int(part.max()) + 1
        if count == 1 or count > MAX_UNION_PARTS or not _boxes_overlap(mesh, part):
            return mesh
        solids = [_as_manifold(mesh.vertices, faces[part == k]) for k in range(count)]
        if any(solid.status() != manifold3d.Error.NoError for solid in solids):
            return mesh
        union = manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Add)
        if union.status() != manifold3d.Error.NoError or union.is_empty():
            return mesh
        if len(union.decompose()) == count and abs(union.volume() / mesh.volume() - 1) < 1e-5:
            return mesh  # their boxes overlap, they do not
        united = _from_manifold(union)
        if not is_solid(united) or not 0.3 < united.volume() / mesh.volume() <= 1.001:
            return mesh
        self.notes.append(f"{count} parts that overlap were united")
        return transferred(mesh, united)

    def rebuilt_from_voxels(self, mesh: Mesh) -> Mesh:
        """A new surface around the old one."""
        self.rebuilt = True
        result = remeshed(mesh.vertices, mesh.faces.astype(np.int64))
        if not is_solid(result):
            result = _outer_parts(result)
        if not is_solid(result):
            raise UserError("the mesh cannot be closed: nothing of it encloses a volume; export the object again")
        self.notes.append("the surface was rebuilt, fine detail is lost")
        return transferred(mesh, result)


def _sheets(soup: Soup) -> Index:
    """`(F,)`: the number of the part for faces of open parts that would enclose next to nothing, else -1."""
    part = repair.parts(soup.faces, len(soup.vertices))
    loops = border_loops(soup.faces)
    if not loops:
        return np.full(len(part), -1, np.int64)
    owner = np.empty(len(soup.vertices), np.int64)
    owner[soup.faces.reshape(-1)] = np.repeat(part, 3)
    capped, _ = filled(soup)
    owner = np.concatenate([owner, np.zeros(len(capped.vertices) - len(owner), np.int64)])
    capped_part = owner[capped.faces[:, 0]]
    volume = np.abs(repair.part_volumes(capped.vertices, capped.faces, capped_part))
    a, b, c = (soup.vertices[soup.faces[:, k]] for k in range(3))
    area = np.bincount(part, np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)
    open_parts = np.zeros(len(area), bool)
    open_parts[[owner[loop[0]] for loop in loops]] = True
    thin = open_parts & (volume <= SHEET_SHARE * area**1.5)
    return np.where(thin[part], part, -1)


def _thickened(soup: Soup) -> Soup:
    """Open sheets as slabs: a copy on either side, walls along the border."""
    vertices, faces = soup.vertices, soup.faces
    normals = Mesh(vertices=vertices, faces=faces.astype(np.int32)).vertex_normals()
    used = np.unique(faces)
    offset = 0.5 * SHEET_THICKNESS * float(np.linalg.norm(np.ptp(vertices[used], axis=0))) * normals
    count = len(vertices)
    walls = []
    for loop in border_loops(faces):
        a, b = loop, np.roll(loop, -1)
        walls += [np.stack([a, b, b + count], axis=-1), np.stack([a, b + count, a + count], axis=-1)]
    new = np.concatenate([faces, faces[:, ::-1] + count, *walls])
    extra = np.full(len(new) - 2 * len(faces), -1, np.int64)
    return Soup(
        vertices=np.concatenate([vertices + offset, vertices - offset]),
        faces=new,
        source_vertex=np.concatenate([soup.source_vertex, soup.source_vertex]),
        source_face=np.concatenate([soup.source_face, soup.source_face, extra]),
    )


def _joined(a: Soup, b: Soup) -> Soup:
    return Soup(
        vertices=np.concatenate([a.vertices, b.vertices]),
        faces=np.concatenate([a.faces, b.faces + len(a.vertices)]),
        source_vertex=np.concatenate([a.source_vertex, b.source_vertex]),
        source_face=np.concatenate([a.source_face, b.source_face]),
    )


def _painted(mesh: Mesh, soup: Soup) -> Mesh:
    """The mended faces with the input's colours: exact where a face is the input's own, flat where it is new."""
    used, faces = np.unique(soup.faces, return_inverse=True)
    faces = faces.reshape(-1, 3)
    result = Mesh(vertices=soup.vertices[used], faces=faces.astype(np.int32))
    if mesh.vertex_colors is not None:
        source = soup.source_vertex[used]
        colors = mesh.vertex_colors[np.maximum(source, 0)]
        if (source < 0).any():
            known = source >= 0
            _, near = cKDTree(result.vertices[known]).query(result.vertices[~known])
            colors[~known] = colors[known][near]
        result = replace(result, vertex_colors=colors)
    if mesh.corner_uvs is not None:
        result = replace(result, corner_uvs=_corner_uvs(mesh, soup, faces), texture=mesh.texture)
    return result


def _corner_uvs(mesh: Mesh, soup: Soup, faces: Index) -> Float:
    assert mesh.corner_uvs is not None
    known = soup.source_face >= 0
    source = soup.source_face[known]
    uvs = np.zeros((len(faces), 3, 2))
    welded = repair.weld(mesh.vertices, mesh.faces.astype(np.int64))
    number = np.full(len(mesh.vertices), -1, np.int64)
    number[mesh.faces.reshape(-1)] = welded.faces.reshape(-1)
    # A turned face lists its corners in another order, so match corners by the vertex they stand on.
    corner_vertex = number[soup.source_vertex[soup.faces[known]]]
    input_vertex = welded.faces[source]
    at = np.argmax(corner_vertex[:, :, None] == input_vertex[:, None, :], axis=2)
    uvs[known] = np.take_along_axis(mesh.corner_uvs[source], at[..., None], axis=1)
    vertex_uv = np.zeros((int(faces.max()) + 1, 2))
    has_uv = np.zeros(len(vertex_uv), bool)
    vertex_uv[faces[known]] = uvs[known]
    has_uv[faces[known]] = True
    new = np.nonzero(~known)[0]
    first = np.argmax(has_uv[faces[new]], axis=1)
    uvs[new] = vertex_uv[faces[new, first]][:, None]
    return uvs


def _boxes_overlap(mesh: Mesh, part: Index) -> bool:
    """Whether the bounding boxes of any two parts meet."""
    order = np.argsort(part, kind="stable")
    starts = np.concatenate([[0], np.nonzero(np.diff(part[order]))[0] + 1])
    corners = mesh.vertices[mesh.faces[order]]
    low = np.minimum.reduceat(corners.min(axis=1), starts, axis=0)
    high = np.maximum.reduceat(corners.max(axis=1), starts, axis=0)
    meet = (low[:, None] <= high[None]).all(axis=2) & (low[None] <= high[:, None]).all(axis=2)
    return bool(np.triu(meet, 1).any())


def _as_manifold(vertices: Float, faces: Index) -> manifold3d.Manifold:
    used, local = np.unique(faces, return_inverse=True)
    return manifold3d.Manifold(
        manifold3d.Mesh64(
            vert_properties=np.ascontiguousarray(vertices[used]), tri_verts=local.reshape(-1, 3).astype(np.uint64)
        )
    )


def _from_manifold(solid: manifold3d.Manifold) -> Mesh:
    result = solid.to_mesh64()
    return Mesh(
        vertices=np.asarray(result.vert_properties, np.float64)[:, :3],
        faces=np.asarray(result.tri_verts).astype(np.int32),
    )


def _outer_parts(mesh: Mesh) -> Mesh:
    """Without parts of negative volume: cavities, which a rebuilt surface does not need."""
    faces = mesh.faces.astype(np.int64)
    if not len(faces):
        return mesh
    part = repair.parts(faces, len(mesh.vertices))
    positive = repair.part_volumes(mesh.vertices, faces, part) > 0
    used, local = np.unique(faces[positive[part]], return_inverse=True)
    return Mesh(vertices=mesh.vertices[used], faces=local.reshape(-1, 3).astype(np.int32))
