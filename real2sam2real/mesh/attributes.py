"""Carry colours, texture coordinates and normals over to a repaired surface, or to another one close to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from real2sam2real.arrays import Float, Float32, Int, UInt8
from real2sam2real.mesh.bvh import Bvh, Nearest
from real2sam2real.mesh.corner_normals import adopted, crease_normals, pointing_outward
from real2sam2real.mesh.mesh import Mesh
from real2sam2real.mesh.solidity import connected
from real2sam2real.mesh.soup import Soup, following, twins, weld

SAME_UV = 1e-5  # of the texture's side
TOWARDS_CORNER = (1.0, 0.97, 0.85, 0.65, 0.4, 0.2)  # of the way from a face's middle
INSIDE = 0.05  # of the way from a corner to its face's middle, at which another surface's normal is asked for
ALONGSIDE = 0.7  # least cosine between a face and the one that gives it normals, where there is one close by
STRETCH = 4.0  # times the usual length in the texture per length on the surface: a new face beyond spans a seam


def with_attributes_of(mesh: Mesh, soup: Soup) -> Mesh:
    """The repaired faces with the input's attributes: exact where a face is a piece of the input's, else as nearby."""
    soup = soup.compact()
    result = Mesh(vertices=soup.vertices, faces=soup.faces.astype(np.int32))
    if mesh.vertex_colors is None and mesh.corner_uvs is None and mesh.corner_normals is None:
        return result
    weights = _weights(mesh, soup)
    if mesh.vertex_colors is not None:
        result = replace(result, vertex_colors=_vertex_colors(mesh, soup, weights))
    if mesh.corner_uvs is not None:
        result = replace(result, corner_uvs=_corner_uvs(mesh, soup, weights), texture=mesh.texture)
    if mesh.corner_normals is not None:
        result = replace(result, corner_normals=_corner_normals(mesh, mesh.corner_normals, soup, weights, result))
    return result


def transfer_attributes(source: Mesh, target: Mesh) -> Mesh:
    """`target` with the looks and hard edges of `source`: each corner's are those of the nearest point on its side."""
    if source.vertex_colors is None and source.corner_uvs is None and source.corner_normals is None:
        return target
    tree = Bvh.over(source.vertices, source.faces)
    result = target
    if source.vertex_colors is not None:
        found = tree.nearest(target.vertices, target.vertex_normals())
        colors = source.vertex_colors[source.faces[found.face]].astype(np.float64)
        mixed = np.einsum("vk,vkc->vc", found.weights, colors)
        result = replace(result, vertex_colors=np.round(mixed).clip(0, 255).astype(np.uint8))
    if source.corner_uvs is not None:
        result = replace(result, corner_uvs=_moved_uvs(source, target, tree), texture=source.texture)
    if source.corner_normals is not None:
        result = replace(result, corner_normals=_moved_normals(source.corner_normals, target, tree))
    return result


def nearest_vertices(source: Mesh, target: Mesh) -> Int:
    """`(V,)` int64: for each vertex of `target` the vertex of `source` that it follows, on the same side of a wall."""
    tree = Bvh.over(source.vertices, source.faces)
    found = tree.nearest(target.vertices, target.vertex_normals())
    corner = np.argmax(found.weights, axis=1)
    return source.faces[found.face, corner].astype(np.int64)


def _moved_uvs(source: Mesh, target: Mesh, tree: Bvh) -> Float:
    """`(F, 3, 2)`: each corner's coordinates at the nearest point of the chart that the face's middle lies in.

    A chart is a piece of surface whose texture is in one piece. A face that reaches over the chart's border takes what
    lies on the border, since beyond it the texture shows something else.
    """
    assert source.corner_uvs is not None
    corners = target.vertices[target.faces].reshape(-1, 3)
    normal = target.face_cross_products()
    normal = np.repeat(normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300), 3, axis=0)
    middles = np.repeat(target.vertices[target.faces].mean(axis=1), 3, axis=0)
    home = tree.nearest(middles[::3], normal[::3])
    uvs = np.repeat(_uvs_at(source, home), 3, axis=0)
    middle_uvs, chart = uvs.copy(), _charts(source)
    home_chart = np.repeat(chart[home.face], 3)
    scale = np.repeat(_stretch(source, source.corner_uvs, home.face), 3)
    left = np.arange(len(corners))
    for share in TOWARDS_CORNER:
        points = middles[left] + share * (corners[left] - middles[left])
        found = tree.nearest(points, normal[left])
        there = _uvs_at(source, found)
        reach = STRETCH * scale[left] * np.linalg.norm(points - middles[left], axis=1)
        same = (chart[found.face] == home_chart[left]) & (
            np.linalg.norm(there - middle_uvs[left], axis=1) <= reach + 1e-9
        )
        uvs[left[same]] = there[same]
        left = left[~same]
        if not len(left):
            break
    return uvs.reshape(-1, 3, 2)


def _moved_normals(normals: Float32, target: Mesh, tree: Bvh) -> Float32:
    """`(F, 3, 3)`: the normals just inside each corner, where its own side of an edge is the nearest."""
    corners = target.vertices[target.faces]
    points = (corners + INSIDE * (corners.mean(axis=1, keepdims=True) - corners)).reshape(-1, 3)
    face = target.face_cross_products()
    face = np.repeat(face / np.maximum(np.linalg.norm(face, axis=1, keepdims=True), 1e-300), 3, axis=0)
    found = tree.nearest(points, face, ALONGSIDE)
    there = np.einsum("nk,nkc->nc", found.weights, normals[found.face].astype(np.float64))
    return adopted(target, there.reshape(-1, 3, 3))


def _uvs_at(source: Mesh, found: Nearest) -> Float:
    assert source.corner_uvs is not None
    uvs: Float = np.einsum("nk,nkd->nd", found.weights, source.corner_uvs[found.face])
    return uvs


def _charts(mesh: Mesh) -> Int:
    """`(F,)`: the number of the chart of each face; neighbours whose coordinates agree along their edge share one."""
    assert mesh.corner_uvs is not None
    faces = mesh.faces.astype(np.int64)
    half, other = twins(faces)
    flat = mesh.corner_uvs.reshape(-1, 2)
    apart = np.maximum(
        np.abs(flat[half] - flat[following(other)]).max(axis=1), np.abs(flat[following(half)] - flat[other]).max(axis=1)
    )
    whole = apart < SAME_UV
    return connected(half[whole] // 3, other[whole] // 3, len(faces))


def barycentric(triangles: Float, points: Float) -> Float:
    """`(N, M, 3)` weights, clamped to the triangle, of points `(N, M, 3)` projected onto triangles `(N, 3, 3)`."""
    a = triangles[:, None, 0]
    u, v = triangles[:, None, 1] - a, triangles[:, None, 2] - a
    w = points - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    divisor = uu * vv - uv * uv
    safe = np.where(divisor > 1e-300, divisor, 1.0)
    second = np.where(divisor > 1e-300, (vv * wu - uv * wv) / safe, 0.0)
    third = np.where(divisor > 1e-300, (uu * wv - uv * wu) / safe, 0.0)
    weights = np.maximum(np.stack([1 - second - third, second, third], axis=-1), 0.0)
    return weights / weights.sum(axis=-1, keepdims=True)


def _weights(mesh: Mesh, soup: Soup) -> Float:
    """`(F, 3, 3)`: each corner's weights in the input face that its face comes from; zero for a new face."""
    weights = np.zeros((len(soup.faces), 3, 3))
    known = np.nonzero(soup.source_face >= 0)[0]
    triangles = mesh.vertices[mesh.faces[soup.source_face[known]]]
    corners = soup.vertices[soup.faces[known]]
    weights[known] = barycentric(triangles, corners)
    # Sheets got a thickness and slivers have no inside, so a corner that is the input's is matched by its number.
    welded, _ = weld(Soup.of(mesh))
    number = np.full(len(mesh.vertices), -1, np.int64)
    number[mesh.faces.reshape(-1)] = welded.faces.reshape(-1)
    origin = soup.source_vertex[soup.faces[known]]
    mine = np.where(origin >= 0, number[np.maximum(origin, 0)], -2)
    same = mine[:, :, None] == welded.faces[soup.source_face[known]][:, None, :]
    exact = same.any(axis=2)
    unit = np.eye(3)[np.argmax(same, axis=2)]
    weights[known] = np.where(exact[..., None], unit, weights[known])
    return weights


def _vertex_colors(mesh: Mesh, soup: Soup, weights: Float) -> UInt8:
    assert mesh.vertex_colors is not None
    count = len(soup.vertices)
    colors = np.zeros((count, 3), np.uint8)
    known = np.nonzero(soup.source_face >= 0)[0]
    corner_colors = mesh.vertex_colors[mesh.faces[soup.source_face[known]]].astype(np.float64)
    mixed = np.einsum("fck,fkd->fcd", weights[known], corner_colors)
    has = np.zeros(count, bool)
    colors[soup.faces[known].reshape(-1)] = np.round(mixed).clip(0, 255).astype(np.uint8).reshape(-1, 3)
    has[soup.faces[known].reshape(-1)] = True
    own = soup.source_vertex >= 0
    colors[own], has = mesh.vertex_colors[soup.source_vertex[own]], has | own
    lost = np.nonzero(~has)[0]
    if len(lost):
        found = Bvh.over(mesh.vertices, mesh.faces).nearest(soup.vertices[lost])
        near = mesh.faces[found.face, np.argmax(found.weights, axis=1)]
        colors[lost] = mesh.vertex_colors[near]
    return colors


def _corner_uvs(mesh: Mesh, soup: Soup, weights: Float) -> Float:
    assert mesh.corner_uvs is not None
    known = soup.source_face >= 0
    uvs = np.zeros((len(soup.faces), 3, 2))
    uvs[known] = np.einsum("fck,fkd->fcd", weights[known], mesh.corner_uvs[soup.source_face[known]])
    if known.all():
        return uvs
    new = np.nonzero(~known)[0]
    vertex_uv, has = np.zeros((len(soup.vertices), 2)), np.zeros(len(soup.vertices), bool)
    vertex_uv[soup.faces[known].reshape(-1)] = uvs[known].reshape(-1, 2)
    has[soup.faces[known].reshape(-1)] = True
    uvs[new] = vertex_uv[soup.faces[new]]
    usual = np.median(_stretch(soup, uvs, np.nonzero(known)[0]))
    torn = ~has[soup.faces[new]].all(axis=1) | (_stretch(soup, uvs, new) > STRETCH * usual)
    flat = new[torn]
    first = np.argmax(has[soup.faces[flat]], axis=1)
    uvs[flat] = vertex_uv[soup.faces[flat, first]][:, None]
    return uvs


def _corner_normals(mesh: Mesh, normals: Float32, soup: Soup, weights: Float, result: Mesh) -> Float32:
    """`(F, 3, 3)`: mixed from the face that each is a piece of; what fills a hole gets hard creases."""
    known = soup.source_face >= 0
    mixed = np.zeros((len(soup.faces), 3, 3))
    mixed[known] = np.einsum("fck,fkd->fcd", weights[known], normals[soup.source_face[known]].astype(np.float64))
    if not known.all():
        made = crease_normals(result)
        mixed[~known] = (result.normals_at_corners() if made is None else made)[~known]
    return pointing_outward(result, mixed)


def _stretch(surface: Mesh | Soup, uvs: Float, faces: Int) -> Float:
    """`(N,)`: the longest side in the texture over the longest side on the surface, of some faces."""
    corners = surface.vertices[surface.faces[faces]]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max(axis=1)
    texture: Float = np.linalg.norm(uvs[faces] - np.roll(uvs[faces], 1, axis=1), axis=-1).max(axis=1)
    return texture / np.maximum(sides, 1e-300)
