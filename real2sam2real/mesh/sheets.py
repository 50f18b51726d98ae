"""Surfaces that enclose nothing, as solids: open sheets and one-sided strips get a thickness."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Bool, Int
from real2sam2real.mesh.holes import border_loops, fill_holes
from real2sam2real.mesh.mesh import Mesh
from real2sam2real.mesh.soup import Soup, concatenate, edge_counts

SHEET_SHARE = 0.004  # a component whose volume is less than this share of area × diagonal encloses nothing
SHEET_THICKNESS = 0.012  # of its diagonal
STRIP_SHARE = 4.0  # of its border's square to its area, beyond which a one-sided component is a strip; a disk has 12.6


def thicken_sheets(soup: Soup) -> tuple[Soup, int]:
    """Open components that would enclose next to nothing if their holes were filled, as slabs; and their number.

    The others are left open, and come first.
    """
    if not len(border_loops(soup.faces)):
        return soup, 0
    component = soup.components()
    is_open = np.bincount(component, (edge_counts(soup.faces) == 1).any(axis=1)) > 0
    owner = np.zeros(len(soup.vertices), np.int64)
    owner[soup.faces.reshape(-1)] = np.repeat(component, 3)
    filled, _ = fill_holes(soup)  # its faces have at least one corner of the soup's, and that is the first one
    volume = np.abs(filled.volumes(owner[filled.faces[:, 0]]))
    area = np.bincount(component, soup.areas())
    sheet = (is_open & (volume <= SHEET_SHARE * area**1.5))[component]
    if not sheet.any():
        return soup, 0
    return concatenate([soup.keep(~sheet), thickened(soup.keep(sheet))]), len(np.unique(component[sheet]))


def strips(soup: Soup) -> Bool:
    """`(F,)`: faces of components with a long border for their area."""
    component = soup.components()
    corners = soup.vertices[soup.faces]
    sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=-1)
    border = np.bincount(component, (sides * (edge_counts(soup.faces) == 1)).sum(axis=1))
    long: Bool = border**2 > STRIP_SHARE * np.bincount(component, soup.areas())
    return long[component]


def thickened(soup: Soup) -> Soup:
    """Open sheets as slabs: a copy on either side, walls along the border."""
    vertices, faces = soup.vertices, soup.faces
    normals = Mesh(vertices=vertices, faces=faces.astype(np.int32)).vertex_normals()
    used = np.unique(faces)
    offset = 0.5 * SHEET_THICKNESS * float(np.linalg.norm(np.ptp(vertices[used], axis=0))) * normals
    count = len(vertices)
    walls: list[Int] = []
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
