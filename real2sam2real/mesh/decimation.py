"""Fewer triangles with the same look: edges collapse where neither the shape nor the shading shows it.

Normals are drawn smooth: each vertex has one, and triangles mix those of their corners. Collapsing by shape alone
leaves long triangles beside sharp edges, and these smear the edge's normal over the flat. So a collapse costs the
squared distance to the planes that met there (Garland and Heckbert, 1997) and also the area over which faces and their
vertex's normal come to differ, and so for colours, which are mixed likewise: a smooth gradient needs no vertices, a
painted stripe does (Hoppe, 1999). No collapse changes the topology or turns a face over: a closed manifold stays one.
"""

from __future__ import annotations

import heapq

import fast_simplification
import manifold3d
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Int, UInt8
from real2sam2real.mesh.compiled import kernel, part
from real2sam2real.mesh.mesh import Mesh

AGGRESSIVENESS = 5  # the library's default of 7 moves thin parts
SHADING = 0.0025  # of the diagonal: a distance that looks as wrong as a normal turned by one radian
PAINTING = 0.0015  # of the diagonal: a distance that looks as wrong as black in the place of white
CROWD = 48  # faces around a vertex, at most
PAINT = 23  # numbers that a vertex keeps of the colours about it
TURN = 0.2  # least cosine between a face's normals before and after a collapse
SLIVER = 0.01  # twice a face's area over its longest side squared, at least


def decimate(mesh: Mesh, max_faces: int, *, shape_only: bool = False) -> Mesh:
    """A closed mesh with at most `max_faces` faces; vertex colours come along, a texture is left behind.

    The mesh is manifold along its edges and at its vertices. More faces are left only where no edge may collapse any
    more: every component keeps at least four. `shape_only` is for a mesh that has no colours yet, and is far finer than
    its budget: a faster collapse that looks at the shape alone. Where it pinches thin parts together, manifold3d's,
    which never leaves the manifold, takes over with growing tolerance.

    Raises:
        ValueError: the mesh is not closed.
    """
    if not mesh.is_closed():
        raise ValueError("only a closed mesh can be made light and stay closed; close it first")
    if len(mesh.faces) <= max_faces:
        return Mesh(vertices=mesh.vertices, faces=mesh.faces, vertex_colors=mesh.vertex_colors)
    if shape_only:
        center, size = mesh.bounds().mean(axis=0), float(np.ptp(mesh.bounds(), axis=0).max())
        unit = ((mesh.vertices - center) / size).astype(np.float32)  # both libraries count in single precision
        vertices, faces = fast_simplification.simplify(unit, mesh.faces, target_count=max_faces, agg=AGGRESSIVENESS)
        smaller = Mesh(vertices=vertices.astype(np.float64) * size + center, faces=faces)
        if len(faces) <= max_faces * 1.01 and smaller.is_closed() and smaller.volume() > 0:
            return smaller
        return _simplified(unit, mesh, max_faces, size, center)
    return _collapsed(mesh, max_faces)


def _simplified(unit: Float32, mesh: Mesh, max_faces: int, size: float, center: Float) -> Mesh:
    solid = manifold3d.Manifold(manifold3d.Mesh(vert_properties=unit, tri_verts=mesh.faces.astype(np.uint32)))
    tolerance = 1e-4
    while solid.num_tri() > max_faces and tolerance < 0.05:
        solid = solid.simplify(tolerance)
        tolerance *= 1.5
    result = solid.to_mesh()
    vertices = np.asarray(result.vert_properties, np.float64)[:, :3] * size + center
    smaller = Mesh(vertices=vertices, faces=np.asarray(result.tri_verts).astype(np.int32))
    return smaller if smaller.is_closed() else Mesh(vertices=mesh.vertices, faces=mesh.faces)


def _collapsed(mesh: Mesh, max_faces: int) -> Mesh:
    center, size = mesh.bounds().mean(axis=0), float(np.linalg.norm(np.ptp(mesh.bounds(), axis=0)))
    points, faces = (mesh.vertices - center) / size, mesh.faces.astype(np.int64)
    colors = mesh.vertex_colors
    paints = np.zeros((0, PAINT)) if colors is None else _paints(points, faces, colors / 255) * PAINTING**2
    alive, merged = _collapse(points, faces, max_faces, SHADING * SHADING, paints)
    used, local = np.unique(faces[alive], return_inverse=True)
    if colors is not None:
        colors = np.where(merged[used, None], _colors(paints[used], points[used], colors[used]), colors[used])
    return Mesh(
        vertices=points[used] * size + center, faces=local.reshape(-1, 3).astype(np.int32), vertex_colors=colors
    )


def _colors(paints: Float, points: Float, before: UInt8) -> UInt8:
    """`(V, 3)`: the colour that differs least from what was painted about each vertex; `before` where nothing was."""
    weight = paints[:, PAINT - 1]
    mixed = np.einsum("vcx,vx->vc", paints[:, 10:19].reshape(-1, 3, 3), points) + paints[:, 19:22]
    mixed = np.where(weight[:, None] > 0, mixed / np.maximum(weight, 1e-300)[:, None], before / 255)
    return np.round(mixed * 255).clip(0, 255).astype(np.uint8)


@kernel
def _collapse(points: Float, faces: Int, target: int, shading: float, paints: Float) -> tuple[Bool, Bool]:
    """Collapse edges, cheapest first, until `target` faces are left; writes all arrays.

    Returns:
        Which faces are left, and which vertices are made of several.
    """
    alive, left = np.ones(len(faces), np.bool_), len(faces)
    head, tail, after = _corner_lists(faces, len(points))
    quadrics, version = _quadrics(points, faces), np.zeros(len(points), np.int64)
    smears, place, room = np.empty(len(points)), np.empty(3), np.empty((CROWD, 5))
    for v in range(len(points)):
        smears[v] = _smear(points, faces, head, after, v, v, points[v], room)
    heap = [(0.0, 0, 0, 0)]
    heap.pop()
    for f in range(len(faces)):
        for k in range(3):
            u, v = faces[f, k], faces[f, (k + 1) % 3]
            if u < v:
                cost = _cost(points, faces, head, after, quadrics, smears, paints, u, v, shading, place, room)
                heap.append((cost, u, v, 0))
    heapq.heapify(heap)
    while left > target and len(heap):
        _, u, v, stamp = heapq.heappop(heap)
        if version[u] < 0 or version[v] < 0 or version[u] + version[v] != stamp:
            continue
        if not _keeps_topology(faces, head, after, u, v):
            continue
        _place(points, quadrics, u, v, place)
        if not (_keeps_sides(points, faces, head, after, u, v, place)
                and _keeps_sides(points, faces, head, after, v, u, place)):  # fmt: skip
            continue
        left -= _merge(faces, alive, head, tail, after, u, v)
        points[u], quadrics[u] = place, quadrics[u] + quadrics[v]
        if len(paints):
            paints[u] += paints[v]
        smears[u] = _smear(points, faces, head, after, u, u, points[u], room)
        version[u], version[v] = version[u] + version[v] + 1, -1
        corner = head[u]
        while corner >= 0:
            w = faces[corner // 3, (corner + 1) % 3]  # every neighbour follows u in one face
            corner = after[corner]
            cost = _cost(points, faces, head, after, quadrics, smears, paints, u, w, shading, place, room)
            heapq.heappush(heap, (cost, u, w, version[u] + version[w]))
    return alive, version > 0


@kernel
def _corner_lists(faces: Int, count: int) -> tuple[Int, Int, Int]:
    """Each vertex's corners 3f + k as a linked list: the first, the last, and the one after each."""
    head, tail, after = np.full(count, -1), np.full(count, -1), np.full(3 * len(faces), -1)
    for corner in range(3 * len(faces)):
        v = faces[corner // 3, corner % 3]
        if head[v] < 0:
            tail[v] = corner
        after[corner] = head[v]
        head[v] = corner
    return head, tail, after


@kernel
def _merge(faces: Int, alive: Bool, head: Int, tail: Int, after: Int, u: int, v: int) -> int:
    """Give v's corners to u, drop the faces that had both and unlink the dead; gives how many were dropped."""
    dropped = 0
    corner = head[v]
    while corner >= 0:
        f = corner // 3
        if faces[f, 0] == u or faces[f, 1] == u or faces[f, 2] == u:
            alive[f] = False
            dropped += 1
        corner = after[corner]
    for end in (u, v):
        corner = head[end]
        while corner >= 0:
            if not alive[corner // 3]:
                for k in range(3):
                    if faces[corner // 3, k] != u and faces[corner // 3, k] != v:
                        _unlink_dead(alive, head, tail, after, faces[corner // 3, k])
            corner = after[corner]
        _unlink_dead(alive, head, tail, after, end)
    corner = head[v]
    while corner >= 0:
        faces[corner // 3, corner % 3] = u
        corner = after[corner]
    after[tail[u]] = head[v]
    tail[u] = tail[v]
    return dropped


@kernel
def _unlink_dead(alive: Bool, head: Int, tail: Int, after: Int, v: int) -> None:
    """Take the corners of dropped faces out of v's list; one is left at least."""
    last, corner = -1, head[v]
    while corner >= 0:
        following = after[corner]
        if alive[corner // 3]:
            if last < 0:
                head[v] = corner
            else:
                after[last] = corner
            last = corner
        corner = following
    after[last] = -1
    tail[v] = last


@kernel
def _quadrics(points: Float, faces: Int) -> Float:
    """`(V, 10)`: squared distances to the planes of each vertex's faces, by area; upper triangles, row-wise."""
    quadrics = np.zeros((len(points), 10))
    for f in range(len(faces)):
        a, b, c = points[faces[f, 0]], points[faces[f, 1]], points[faces[f, 2]]
        n = np.cross(b - a, c - a)
        length = np.sqrt((n * n).sum())
        if length == 0.0:
            continue
        n /= length
        plane = np.array([n[0], n[1], n[2], -(n * a).sum()])
        at = 0
        for i in range(4):
            for j in range(i, 4):
                for k in range(3):
                    quadrics[faces[f, k], at] += 0.5 * length * plane[i] * plane[j]
                at += 1
    return quadrics


@part
def _quadric_at(q: Float, p: Float) -> float:
    x, y, z = p[0], p[1], p[2]
    return (
        q[0] * x * x + q[4] * y * y + q[7] * z * z + q[9]
        + 2.0 * (q[1] * x * y + q[2] * x * z + q[5] * y * z + q[3] * x + q[6] * y + q[8] * z)
    )  # fmt: skip


@kernel
def _paints(points: Float, faces: Int, colors: Float) -> Float:
    """`(V, 23)`: sums over each vertex's faces of what their colours, continued over their planes, make, by area.

    With a colour g·p + d per channel: g gᵀ (upper triangle), g d and d d, summed over channels; then g of every
    channel, d of every channel, and the area.
    """
    paints, paint = np.zeros((len(points), PAINT)), np.empty(PAINT)
    for f in range(len(faces)):
        a = points[faces[f, 0]]
        ab, ac = points[faces[f, 1]] - a, points[faces[f, 2]] - a
        n = np.cross(ab, ac)
        nn = (n * n).sum()
        if nn <= (SLIVER * max((ab * ab).sum(), (ac * ac).sum())) ** 2:
            continue  # a sliver tells no gradient
        along_ab, along_ac = np.cross(ac, n) / nn, np.cross(n, ab) / nn
        paint[:] = 0.0
        for channel in range(3):
            c = colors[faces[f, 0], channel]
            g = (colors[faces[f, 1], channel] - c) * along_ab + (colors[faces[f, 2], channel] - c) * along_ac
            d = c - (g * a).sum()
            at = 0
            for i in range(3):
                for j in range(i, 3):
                    paint[at] += g[i] * g[j]
                    at += 1
                paint[6 + i] += g[i] * d
                paint[10 + 3 * channel + i] = g[i]
            paint[9] += d * d
            paint[19 + channel] = d
        paint[PAINT - 1] = 1.0
        for k in range(3):
            paints[faces[f, k]] += 0.5 * np.sqrt(nn) * paint
    return paints


@part
def _mispainted(paints: Float, u: int, v: int, p: Float) -> float:
    """Area times the squared difference from what was painted, if u and v became one vertex at p of the best colour."""
    if len(paints) == 0:
        return 0.0
    one, two = paints[u], paints[v]
    area = one[22] + two[22]
    if area <= 0.0:
        return 0.0
    x, y, z = p[0], p[1], p[2]
    error = (
        (one[0] + two[0]) * x * x + (one[3] + two[3]) * y * y + (one[5] + two[5]) * z * z + one[9] + two[9]
        + 2.0 * ((one[1] + two[1]) * x * y + (one[2] + two[2]) * x * z + (one[4] + two[4]) * y * z)
        + 2.0 * ((one[6] + two[6]) * x + (one[7] + two[7]) * y + (one[8] + two[8]) * z)
    )  # fmt: skip
    for channel in range(3):
        g = 10 + 3 * channel
        mean = (one[g] + two[g]) * x + (one[g + 1] + two[g + 1]) * y + (one[g + 2] + two[g + 2]) * z
        mean += one[19 + channel] + two[19 + channel]
        error -= mean * mean / area
    return max(error, 0.0)


@kernel
def _place(points: Float, quadrics: Float, u: int, v: int, place: Float) -> None:
    """Where the planes of both ends are nearest, drawn a little towards the middle of the edge."""
    q = quadrics[u] + quadrics[v]
    hold = 1e-3 * (q[0] + q[4] + q[7]) + 1e-300  # keeps the system solvable on planes and along creases
    mx, my = 0.5 * (points[u, 0] + points[v, 0]), 0.5 * (points[u, 1] + points[v, 1])
    mz = 0.5 * (points[u, 2] + points[v, 2])
    a, b, c, d, e, f = q[0] + hold, q[1], q[2], q[4] + hold, q[5], q[7] + hold
    # Solved for the step from the middle, which keeps the digits.
    rx = -(q[0] * mx + q[1] * my + q[2] * mz + q[3])
    ry = -(q[1] * mx + q[4] * my + q[5] * mz + q[6])
    rz = -(q[2] * mx + q[5] * my + q[7] * mz + q[8])
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    det = a * aa + b * bb + c * cc
    place[0] = mx + (aa * rx + bb * ry + cc * rz) / det
    place[1] = my + (bb * rx + (a * f - c * c) * ry + (b * c - a * e) * rz) / det
    place[2] = mz + (cc * rx + (b * c - a * e) * ry + (a * d - b * b) * rz) / det


@kernel
def _cost(
    points: Float, faces: Int, head: Int, after: Int, quadrics: Float, smears: Float, paints: Float,
    u: int, v: int, shading: float, place: Float, room: Float,
) -> float:  # fmt: skip
    _place(points, quadrics, u, v, place)
    cost = max(_quadric_at(quadrics[u] + quadrics[v], place), 0.0)
    smear = _smear(points, faces, head, after, u, v, place, room) - smears[u] - smears[v]
    return cost + shading * max(smear, 0.0) + _mispainted(paints, u, v, place)


@kernel
def _smear(points: Float, faces: Int, head: Int, after: Int, u: int, v: int, place: Float, room: Float) -> float:
    """Area times the squared difference of face and vertex normal, were u and v one vertex at `place`."""
    count, nx, ny, nz = 0, 0.0, 0.0, 0.0
    for end in range(1 if u == v else 2):
        own, other = (u, v) if end == 0 else (v, u)
        corner = head[own]
        while corner >= 0:
            f, k = corner // 3, corner % 3
            b, c = faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
            corner = after[corner]
            if u != v and (b == other or c == other):
                continue
            if count == CROWD:
                return np.inf
            bx, by, bz = points[b, 0] - place[0], points[b, 1] - place[1], points[b, 2] - place[2]
            cx, cy, cz = points[c, 0] - place[0], points[c, 1] - place[1], points[c, 2] - place[2]
            x, y, z = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
            double = np.sqrt(x * x + y * y + z * z)
            angle = np.arctan2(double, bx * cx + by * cy + bz * cz)
            if double > 0.0:
                x, y, z = x / double, y / double, z / double
            room[count, 0], room[count, 1], room[count, 2], room[count, 3] = x, y, z, 0.5 * double
            nx, ny, nz, count = nx + angle * x, ny + angle * y, nz + angle * z, count + 1
    length = max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-300)
    smear = 0.0
    for k in range(count):
        cosine = (room[k, 0] * nx + room[k, 1] * ny + room[k, 2] * nz) / length
        smear += room[k, 3] * (2.0 - 2.0 * cosine)
    return smear


@kernel
def _keeps_topology(faces: Int, head: Int, after: Int, u: int, v: int) -> bool:
    """Whether u and v share two neighbours and not more, and are no corners of a tetrahedron (the link condition)."""
    shared, degree_u, degree_v = 0, 0, 0
    corner = head[u]
    while corner >= 0:
        w = faces[corner // 3, (corner + 1) % 3]
        degree_u += 1
        other = head[v]
        while other >= 0:
            if faces[other // 3, (other + 1) % 3] == w:
                shared += 1
            other = after[other]
        corner = after[corner]
    corner = head[v]
    while corner >= 0:
        degree_v += 1
        corner = after[corner]
    return shared == 2 and degree_u + degree_v > 6 and degree_u + degree_v - 4 <= CROWD


@kernel
def _keeps_sides(points: Float, faces: Int, head: Int, after: Int, u: int, v: int, place: Float) -> bool:
    """Whether u's faces, but for those with v, stay on their side and become no slivers if u moves to `place`."""
    corner = head[u]
    while corner >= 0:
        f, k = corner // 3, corner % 3
        b, c = faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
        corner = after[corner]
        if b == v or c == v:
            continue
        old = np.cross(points[b] - points[u], points[c] - points[u])
        new = np.cross(points[b] - place, points[c] - place)
        old_size, new_size = np.sqrt((old * old).sum()), np.sqrt((new * new).sum())
        longest = max(((points[b] - place) ** 2).sum(), ((points[c] - place) ** 2).sum())
        if new_size < SLIVER * longest and new_size <= old_size:
            return False
        if (old * new).sum() < TURN * old_size * new_size:
            return False
    return True
