"""The chain that makes one closed solid out of any triangles, step by step, and keeps a record. See docs/lifting.md."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from real2sam2real.arrays import Int
from real2sam2real.mesh import Mesh, repair
from real2sam2real.mesh.enclosure import without_inner_walls, without_pockets
from real2sam2real.mesh.floaters import without_floaters
from real2sam2real.mesh.holes import border_loops, filled
from real2sam2real.mesh.repair import Soup
from real2sam2real.mesh.uniting import united

SHEET_SHARE = 0.004  # a part whose volume is less than this share of area × diagonal encloses nothing
SHEET_THICKNESS = 0.012  # of its diagonal
STRIP_SHARE = 4.0  # of its border's square to its area, beyond which a one-sided part is a strip; a disk has 12.6


@dataclass(kw_only=True)
class Mending:
    """One mesh being mended: what was done so far, in words."""

    notes: list[str] = field(default_factory=list)

    def note(self, count: int, one: str, many: str) -> None:
        """Record something done `count` times; `many` has a place for the number."""
        if count:
            self.notes.append(one if count == 1 else many.format(count))

    def soup_of(self, mesh: Mesh) -> Soup:
        """The mesh's faces, welded, without degenerate and double ones, flaps and inner walls."""
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

    def without_inner_walls(self, soup: Soup) -> Soup:
        """Without patches that hang on the outer surface from within."""
        soup, walls = without_inner_walls(soup)
        self.note(walls, "1 inner wall dropped", "{} inner walls dropped")
        return soup

    def without_floaters(self, soup: Soup) -> Soup:
        """Without small parts that belong to nothing."""
        soup, floaters = without_floaters(soup)
        self.note(floaters, "1 floating part dropped", "{} floating parts dropped")
        return soup

    def wound(self, soup: Soup) -> Soup:
        """Faces wound alike, and parted where surfaces only touch."""
        soup, turned, one_sided = repair.oriented(soup)
        self.note(turned, "1 face wound the wrong way was turned", "{} faces wound the wrong way were turned")
        if not one_sided.any():
            return repair.cut_apart(soup)
        self.notes.append("a part is one-sided, like a Möbius strip: it was cut across")
        strip = one_sided & _strips(soup)
        if not strip.any():
            return repair.cut_apart(soup)
        slabs = _thickened(repair.cut_apart(soup.keep(strip)))  # cut open, they would be taken for bowls and filled
        rest = soup.keep(~strip)
        return repair.joined([repair.cut_apart(rest), slabs]) if len(rest.faces) else slabs

    def closed_parts(self, soup: Soup) -> Soup:
        """Holes filled, sheets thickened, every part turned outward."""
        sheets, capped, holes = _sheets(soup)
        self.note(
            len(np.unique(sheets[sheets >= 0])),
            "1 open sheet given a thickness",
            "{} open sheets given a thickness",
        )
        if (sheets >= 0).any():
            slabs = _thickened(soup.keep(sheets >= 0))
            capped, holes = filled(repair.joined([soup.keep(sheets < 0), slabs]))
        soup = capped
        self.note(holes, "1 hole filled", "{} holes filled")
        part = repair.parts(soup.faces, len(soup.vertices))
        inside_out = repair.part_volumes(soup.vertices, soup.faces, part) < 0
        self.note(int(inside_out.sum()), "1 part was inside out", "{} parts were inside out")
        return soup.with_faces(np.where(inside_out[part][:, None], soup.faces[:, ::-1], soup.faces))

    def united(self, soup: Soup) -> Soup:
        """Overlapping parts as one solid; parts within others disappear."""
        soup, count = united(soup)
        self.note(count, "", "{} parts that overlap were united")
        return soup

    def without_pockets(self, soup: Soup) -> Soup:
        """Without hollows that nobody can look into."""
        emptied, pockets = without_pockets(soup)
        if not pockets:
            return soup
        self.note(pockets, "1 hollow that cannot be seen was filled", "{} hollows that cannot be seen were filled")
        return united(_outward(filled(repair.cut_apart(emptied))[0]))[0]


def is_solid(vertices: np.ndarray, faces: np.ndarray) -> bool:
    """Whether edges and vertices are manifold, faces agree, and every connected part has positive volume."""
    if not Mesh(vertices=vertices, faces=faces).is_closed():
        return False
    faces = faces.astype(np.int64)
    part = repair.parts(faces, len(vertices))
    return bool((repair.part_volumes(vertices, faces, part) > 0).all()) and _one_fan_each(vertices, faces)


def _one_fan_each(vertices: np.ndarray, faces: Int) -> bool:
    soup = Soup(
        vertices=vertices, faces=faces, source_vertex=np.arange(len(vertices)), source_face=np.arange(len(faces))
    )
    return len(repair.cut_apart(soup).vertices) == len(np.unique(faces))


def _outward(soup: Soup) -> Soup:
    """Without parts that enclose nothing, or a negative volume: folds turned inside out."""
    if not len(soup.faces):
        return soup
    part = repair.parts(soup.faces, len(soup.vertices))
    return soup.keep((repair.part_volumes(soup.vertices, soup.faces, part) > 0)[part])


def _sheets(soup: Soup) -> tuple[Int, Soup, int]:
    """Which open parts would enclose next to nothing.

    Returns:
        `(F,)` the number of the part for faces of such parts, else -1; the soup with every hole filled; how many holes.
    """
    part = repair.parts(soup.faces, len(soup.vertices))
    loops = border_loops(soup.faces)
    if not loops:
        return np.full(len(part), -1, np.int64), soup, 0
    owner = np.empty(len(soup.vertices), np.int64)
    owner[soup.faces.reshape(-1)] = np.repeat(part, 3)
    capped, holes = filled(soup)
    owner = np.concatenate([owner, np.zeros(len(capped.vertices) - len(owner), np.int64)])
    capped_part = owner[capped.faces[:, 0]]
    volume = np.abs(repair.part_volumes(capped.vertices, capped.faces, capped_part))
    a, b, c = (soup.vertices[soup.faces[:, k]] for k in range(3))
    area = np.bincount(part, np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)
    open_parts = np.zeros(len(area), bool)
    open_parts[[owner[loop[0]] for loop in loops]] = True
    thin = open_parts & (volume <= SHEET_SHARE * area**1.5)
    return np.where(thin[part], part, -1), capped, holes


def _strips(soup: Soup) -> np.ndarray:
    """`(F,)` bool: faces of parts with a long border for their area, before they are cut."""
    part = repair.parts(soup.faces, len(soup.vertices))
    corners = soup.vertices[soup.faces]
    sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=-1)
    border = np.bincount(part, (sides * (repair.edge_counts(soup.faces) == 1)).sum(axis=1))
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.bincount(part, np.linalg.norm(cross, axis=1) / 2)
    strips: np.ndarray = (border**2 > STRIP_SHARE * area)[part]
    return strips


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
