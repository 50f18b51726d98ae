"""Shading normals at face corners: hard edges stay hard, whoever reads, mends, lightens or draws the mesh.

A `Mesh` without `corner_normals` is smooth: each vertex has one normal. One with hard edges has a normal per corner;
corners that share vertex and normal are one shading point. A file's own normals are kept, since artists weight and bend
them; where there are none, edges where the surface turns by more than `CREASE` are hard. When vertices move, a normal
keeps its place against its faces, as covectors do (the inverse transpose of what moves the face).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Int, Int32
from real2sam2real.mesh.deformed_normals import normals_of
from real2sam2real.mesh.gltf.welding import group_rows
from real2sam2real.mesh.mesh import Mesh
from real2sam2real.mesh.solidity import connected
from real2sam2real.mesh.soup import following, twins

CREASE = 35.0  # degrees between two faces from which their edge is hard, where a file has no normals
ONE_NORMAL = 1e-4  # between the normals of one flat polygon, from rounding alone
MOST_SIDES = 12  # of such a polygon
SAME = 0.02  # radians: the file's normals are those of the smooth surface
APART = 15.0  # degrees between normals at an edge from which it stays hard when normals are carried to another mesh
CRUMB = 1e-4  # of the surface: a patch that small with creases all around it is a scan's noise
SHORT = 0.02  # of the diagonal: a line of creases that short, which parts nothing, is noise as well
MANY = 1000  # faces from which a surface may be a scan
ROUGH = 0.2  # of the edges turn by 20…50°, to both sides alike: the whole surface is rough, and no edge is a feature
WRONG = 0.2  # of the surface may have normals more than 75° off its faces; beyond, they are no shading normals


def with_corner_normals(mesh: Mesh, normals: Float32 | None) -> tuple[Mesh, str]:
    """The mesh with a file's `normals` `(F, 3, 3)`, else with hard creases; and a note on normals not believed.

    Rows that are not finite or zero count as missing. Where the outcome is the smooth surface's, none are kept.
    """
    found = None if normals is None else _usable(mesh, normals)
    note = "its normals do not fit its surface; they were computed" if normals is not None and found is None else ""
    missing = None if found is None else ~found.any(axis=2)
    if found is None or missing is None:
        found = crease_normals(mesh)
    elif missing.any():
        made = crease_normals(mesh)
        found[missing] = (mesh.normals_at_corners() if made is None else made)[missing]
    if found is not None and normals is not None and _is_smooth(mesh, found):
        found = None
    return replace(mesh, corner_normals=found), note


def _usable(mesh: Mesh, normals: Float32) -> Float32 | None:
    """Unit normals on the outer side of their faces, zero where there are none; None where they fit nothing."""
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    good = np.isfinite(length) & (length > 1e-6)
    units = np.where(good, normals / np.where(good, length, 1.0), 0.0).astype(np.float32)
    units, cosine = _outward(mesh, units)
    area = np.linalg.norm(mesh.face_cross_products(), axis=1)[:, None] * good[..., 0]
    if not area.any() or (area * (cosine < np.cos(np.radians(75)))).sum() > WRONG * area.sum():
        return None
    return _planes_of_polygons(mesh, units)


def _planes_of_polygons(mesh: Mesh, units: Float32) -> Float32:
    """The triangles of a flat polygon get their own planes' normals where the file gives all of them the polygon's.

    A flat quadrilateral that is bent has one normal in files, the mean of its halves'; renderers draw two planes.
    """
    cross = mesh.face_cross_products()
    flat = (np.ptp(units, axis=1).max(axis=1) < ONE_NORMAL) & units.any(axis=(1, 2)) & cross.any(axis=1)
    if not flat.any():
        return units
    half, other = twins(_by_place(mesh))
    f, g = half // 3, other // 3
    one = flat[f] & flat[g] & (np.abs(units[f, 0] - units[g, 0]).max(axis=1) < ONE_NORMAL)
    polygon = connected(f[one], g[one], len(cross))
    whole = _unit(np.stack([np.bincount(polygon, cross[:, k]) for k in range(3)], axis=1))[polygon]
    flat &= (np.bincount(polygon)[polygon] <= MOST_SIDES - 2) & (np.linalg.norm(whole - units[:, 0], axis=1) < SAME)
    return np.where(flat[:, None, None], _unit(cross)[:, None].astype(np.float32), units)


def pointing_outward(mesh: Mesh, normals: Float) -> Float32:
    """`(F, 3, 3)` unit normals on the outer side of their faces; zero ones become their face's."""
    face = np.repeat(_unit(mesh.face_cross_products())[:, None], 3, axis=1)
    some = np.linalg.norm(normals, axis=2, keepdims=True) > 1e-6
    return _outward(mesh, _unit(np.where(some, normals, face)).astype(np.float32))[0]


def _outward(mesh: Mesh, normals: Float32) -> tuple[Float32, Float]:
    """The normals of a face that was turned are turned; and `(F, 3)` the cosines to their faces."""
    face = _unit(mesh.face_cross_products())
    cosine = np.einsum("fkc,fc->fk", normals, face)
    sign = np.where(cosine.sum(axis=1) < 0, -1.0, 1.0)
    return (normals * sign[:, None, None]).astype(np.float32), cosine * sign[:, None]


def _unit(vectors: Float) -> Float:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300)


def _is_smooth(mesh: Mesh, normals: Float32) -> bool:
    off = np.linalg.norm(normals - mesh.normals_at_corners(), axis=2).max(axis=1) > SAME
    area = np.linalg.norm(mesh.face_cross_products(), axis=1)
    return bool(area[off].sum() <= 1e-3 * area.sum())


def crease_normals(mesh: Mesh) -> Float32 | None:
    """`(F, 3, 3)` normals that are smooth up to hard edges, or None where no edge is one."""
    faces = _by_place(mesh)
    half, other = twins(faces)
    hard = _creases(mesh, faces, half, other)
    if not hard.any():
        return None
    face = np.repeat(_unit(mesh.face_cross_products())[:, None], 3, axis=1)
    return fan_means(mesh, faces, face, half[~hard], other[~hard])


def _by_place(mesh: Mesh) -> Int:
    """`(F, 3)` faces in numbers that vertices of one place share: a file may have split them."""
    places = group_rows(mesh.vertices)
    return places[mesh.faces]


def _creases(mesh: Mesh, faces: Int, half: Int, other: Int) -> Bool:
    """`(N,)` which of the edges, given by their two half-edges, are hard."""
    cross = mesh.face_cross_products()
    area = np.linalg.norm(cross, axis=1)
    normal, flat = _unit(cross), faces.reshape(-1)
    f, g = half // 3, other // 3
    cosine = np.einsum("nc,nc->n", normal[f], normal[g]) * np.where(flat[half] == flat[other], -1.0, 1.0)
    hard: Bool = (cosine < np.cos(np.radians(CREASE))) & (area[f] > 0) & (area[g] > 0)
    if not hard.any() or _is_rough(mesh, half, other, cosine):
        return np.zeros_like(hard)
    patch = connected(f[~hard], g[~hard], len(faces))
    crumb = (np.bincount(patch, area) < CRUMB * area.sum())[patch]
    hard &= ~(crumb[f] | crumb[g])
    line = connected(flat[half[hard]], flat[following(half[hard])], int(flat.max(initial=-1)) + 1)[flat[half[hard]]]
    points = mesh.vertices[mesh.faces.reshape(-1)[half[hard]]]
    low, high = np.full((line.max(initial=-1) + 1, 3), np.inf), np.full((line.max(initial=-1) + 1, 3), -np.inf)
    np.minimum.at(low, line, points)
    np.maximum.at(high, line, points)
    short = np.linalg.norm(high - low, axis=1)[line] < SHORT * np.linalg.norm(np.ptp(mesh.vertices, axis=0))
    hard[np.flatnonzero(hard)[short & (patch[f] == patch[g])[hard]]] = False
    return hard


def _is_rough(mesh: Mesh, half: Int, other: Int, cosine: Float) -> bool:
    """Whether edges turn about as much as `CREASE` everywhere, outward as often as inward, as a noisy scan's do."""
    turning = (cosine < np.cos(np.radians(20))) & (cosine > np.cos(np.radians(50)))
    if len(mesh.faces) < MANY or turning.mean() < ROUGH:
        return False
    corners, normal = mesh.vertices[mesh.faces.reshape(-1)], mesh.face_cross_products()
    beyond = corners[following(following(other[turning]))] - corners[half[turning]]
    outward = (np.einsum("nc,nc->n", normal[half[turning] // 3], beyond) < 0).mean()
    return bool(0.3 < outward < 0.7)


def fan_means(mesh: Mesh, faces: Int, normals: Float, half: Int, other: Int) -> Float32:
    """`(F, 3, 3)`: every corner gets the mean, by angle, of the `normals` `(F, 3, 3)` of its fan.

    Fans are the corners about a vertex that the soft edges, given by their half-edges, hold together.
    """
    flat = faces.reshape(-1)
    alike = flat[half] != flat[other]
    i = np.concatenate([half, following(half)])
    j = np.concatenate([np.where(alike, following(other), other), np.where(alike, other, following(other))])
    fan = connected(i, j, len(flat))
    corners = mesh.vertices[mesh.faces]
    weighted = normals * _angles(corners)[..., None]
    total = np.stack([np.bincount(fan, weighted[..., k].reshape(-1)) for k in range(3)], axis=1)
    size = np.linalg.norm(total, axis=1, keepdims=True)
    means = np.where(size > 1e-9, total / np.maximum(size, 1e-300), 0.0)[fan].reshape(-1, 3, 3)
    return np.where((means != 0).any(axis=2, keepdims=True), means, normals).astype(np.float32)


def _angles(corners: Float) -> Float:
    """`(F, 3)` inner angles of triangles `(F, 3, 3)`."""
    to_next, to_last = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    sine = np.linalg.norm(np.cross(to_next, to_last), axis=2)
    return np.arctan2(sine, np.einsum("fkc,fkc->fk", to_next, to_last))


def adopted(mesh: Mesh, normals: Float) -> Float32:
    """`(F, 3, 3)`: `normals` found corner by corner on another surface, outward, and equal where an edge is soft."""
    units = pointing_outward(mesh, normals)
    faces = mesh.faces.astype(np.int64)
    half, other = twins(faces)
    flat = units.reshape(-1, 3)
    at_start = np.einsum("nc,nc->n", flat[half], flat[following(other)])
    at_end = np.einsum("nc,nc->n", flat[following(half)], flat[other])
    soft = np.minimum(at_start, at_end) >= np.cos(np.radians(APART))
    return fan_means(mesh, faces, units.astype(np.float64), half[soft], other[soft])


def shading_points(mesh: Mesh) -> tuple[Float, Int32]:
    """The mesh's distinct normals `(N, 3)`, each of one vertex, and `(F, 3)` the one of each corner."""
    if mesh.corner_normals is None:
        return mesh.vertex_normals(), mesh.faces
    normals = mesh.corner_normals.reshape(-1, 3)
    rows = np.concatenate([mesh.faces.reshape(-1, 1).astype(np.float64), normals], axis=1)
    group = group_rows(rows)
    _, first = np.unique(group, return_index=True)
    return normals[first].astype(np.float64), group.reshape(-1, 3).astype(np.int32)


def carrying(mesh: Mesh) -> Float:
    """`(F, 3, 3)` for `deformed_normals`: each corner's normal along two edges of its face and the face's own normal.

    Empty for a smooth mesh, whose normals follow from the vertices alone.
    """
    if mesh.corner_normals is None:
        return np.zeros((0, 3, 3))
    corners = mesh.vertices[mesh.faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    frame = np.stack([first, second, _unit(np.cross(first, second))], axis=1)
    return np.einsum("fkc,fjc->fkj", mesh.corner_normals.astype(np.float64), frame)


def deformed(mesh: Mesh, vertices: Float) -> Mesh:
    """The mesh with other `vertices` `(V, 3)`; its corner normals come along."""
    if mesh.corner_normals is None:
        return replace(mesh, vertices=vertices)
    _, points = shading_points(mesh)
    normals = np.empty((int(points.max()) + 1, 3))
    normals_of(np.ascontiguousarray(vertices, np.float64), mesh.faces, points, carrying(mesh), normals)
    return replace(mesh, vertices=vertices, corner_normals=normals[points].astype(np.float32))
