"""Colour for a lifted mesh: the photo where that shows it; elsewhere the lifter's colours, or the nearest seen ones.

A lifter's colours are coarser than the photo, and a body model has none. So that the first frame looks like the photo,
every face that the photo shows takes its texture from there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from real2sam2real.arrays import Bool, Float, Mask, UInt8
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.texture import PhotoPage, photo_page
from real2sam2real.mesh import Mesh

SEEN_COSINE = 0.2  # faces seen flatter than this show streaks
DEPTH_SLACK = 0.01  # of the depth: how far behind the drawn surface a face may lie and still be it
LEVELS = 32  # per colour channel of the palette
SWATCH = 4  # pixels along a swatch, so that its middle is its colour however it is filtered
NORMAL_REACH = 0.06  # of the mesh's diagonal: how much a turned-away face counts as farther away
DEPTH_REACH = 0.4  # how much a difference in depth counts beside one across the picture
NEIGHBOURS = 40
LONGEST_EDGE = 24.0  # pixels of the photo
MOST_REFINED = 20_000  # faces


def with_photo(
    mesh: Mesh, camera_from_object: Float, pixels: UInt8, mask: Mask, hidden: Mask, intrinsics: Intrinsics
) -> Mesh:
    """The mesh with a texture made of the photo and, for what the photo does not show, a palette of its own colours.

    Vertex colours or a texture of its own are kept for the unseen faces. Of the photo `(H, W, 3)`, `mask` `(H, W)`
    shows it, and the edges of `hidden` `(H, W)`, what is in front of it, are kept out.
    """
    points = transforms.apply(camera_from_object, mesh.vertices)
    placed = replace(mesh, vertices=points, corner_normals=None)
    corners = intrinsics.project(points)[0][mesh.faces]
    seen = _seen_faces(placed, corners, mask, intrinsics)
    if not seen.any():
        return mesh
    page = photo_page(pixels, mask, hidden, corners[seen])
    own = _own_colors(mesh)
    if own is None:
        own = _nearest_seen(placed, corners, seen, page)
    return _with_palette(mesh, corners, seen, page, own)


def refined(mesh: Mesh, camera_from_object: Float, intrinsics: Intrinsics) -> Mesh:
    """The same surface in smaller faces, where they are so large in the photo that its perspective bends within them.

    Each round cuts every face into four at the middles of its edges, so a closed mesh stays closed.
    """
    while len(mesh.faces) * 4 <= MOST_REFINED:
        points = transforms.apply(camera_from_object, mesh.vertices)
        corners = intrinsics.project(points)[0][mesh.faces]
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1)
        if not np.nanmax(edges, initial=0.0) > LONGEST_EDGE:
            break
        mesh = _in_four(mesh)
    return mesh


def _in_four(mesh: Mesh) -> Mesh:
    count = len(mesh.vertices)
    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    ends, number = np.unique(edges, axis=0, return_inverse=True)
    a, b, c = mesh.faces.T
    ab, bc, ca = count + number.reshape(-1, 3).T
    faces = np.stack([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]).transpose(2, 0, 1).reshape(-1, 3)
    vertices = np.concatenate([mesh.vertices, mesh.vertices[ends].mean(axis=1)])
    colors, uvs, normals = mesh.vertex_colors, mesh.corner_uvs, _halfway(mesh.normals_at_corners().astype(np.float64))
    if colors is not None:
        colors = np.concatenate([colors, np.round(colors[ends].mean(axis=1)).astype(np.uint8)])
    if uvs is not None:
        uvs = _halfway(uvs)
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-300)
    return replace(
        mesh,
        vertices=vertices,
        faces=faces.astype(np.int32),
        vertex_colors=colors,
        corner_uvs=uvs,
        corner_normals=normals.astype(np.float32),
    )


def _halfway(values: Float) -> Float:
    """`(4F, 3, C)` of the quarters of faces that have `values` `(F, 3, C)` at their corners."""
    u, v, w = values.transpose(1, 0, 2)
    uv, vw, wu = (u + v) / 2, (v + w) / 2, (w + u) / 2
    parts = [[u, uv, wu], [uv, v, vw], [wu, vw, w], [uv, vw, wu]]
    return np.stack([np.stack(part, axis=1) for part in parts], axis=1).reshape(-1, 3, values.shape[2])


def _seen_faces(placed: Mesh, corners: Float, mask: Mask, intrinsics: Intrinsics) -> Bool:
    """`(F,)`: faces that look at the camera, are the nearest surface at their middle, and lie within the mask."""
    normals = _unit_normals(placed)
    middle = placed.vertices[placed.faces].mean(axis=1)
    cosine = -(normals * middle).sum(axis=1) / np.linalg.norm(middle, axis=1)
    drawn = inverse_depth(placed.vertices, placed.faces, intrinsics)
    at = np.floor(np.nan_to_num(corners.mean(axis=1), nan=-1.0)).astype(np.int64)
    inside = (at >= 0).all(axis=1) & (at[:, 0] < intrinsics.width) & (at[:, 1] < intrinsics.height)
    x, y = np.where(inside[:, None], at, 0).T
    nearest = drawn[y, x] * -middle[:, 2] <= 1 + DEPTH_SLACK
    return inside & (cosine > SEEN_COSINE) & nearest & mask[y, x] & np.isfinite(corners).all(axis=(1, 2))


def _unit_normals(mesh: Mesh) -> Float:
    normals = mesh.face_cross_products()
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)


def _own_colors(mesh: Mesh) -> UInt8 | None:
    """`(F, 3)` the mesh's own colour at the middle of each face, or None where it has none.

    One colour all over is no colour: body models come in a pale blue.
    """
    if mesh.texture is not None and mesh.corner_uvs is not None:
        height, width = mesh.texture.shape[:2]
        at = np.mod(mesh.corner_uvs.mean(axis=1), 1.0) * [width, height]
        x, y = np.minimum(at.astype(np.int64), [width - 1, height - 1]).T
        return mesh.texture[y, x]
    if mesh.vertex_colors is None or (mesh.vertex_colors == mesh.vertex_colors[0]).all():
        return None
    colors: UInt8 = mesh.vertex_colors[mesh.faces].mean(axis=1).round().astype(np.uint8)
    return colors


def _nearest_seen(placed: Mesh, corners: Float, seen: Bool, page: PhotoPage) -> UInt8:
    """`(F, 3)` what unseen faces take over: the colours of the seen faces around, those in front of them above all.

    A jacket's back is as its front; that the mean of many is taken, keeps faces off the backs of heads.
    """
    middle = placed.vertices[placed.faces].mean(axis=1)
    normals = _unit_normals(placed)
    diagonal = float(np.linalg.norm(np.ptp(placed.bounds(), axis=0)))
    place = np.concatenate([middle * [1, 1, DEPTH_REACH], NORMAL_REACH * diagonal * normals], axis=1)
    at = page.at(corners[seen]).mean(axis=1).astype(np.int64)
    shown = page.image[at[:, 1], at[:, 0]].astype(np.float64)
    count = min(NEIGHBOURS, len(shown))
    distance, nearest = cKDTree(place[seen]).query(place, k=[*range(1, count + 1)])
    weight = 1 / (distance + 0.01 * diagonal)
    colors = (shown[nearest] * weight[..., None]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    return np.round(colors).astype(np.uint8)


def _with_palette(mesh: Mesh, corners: Float, seen: Bool, page: PhotoPage, own: UInt8) -> Mesh:
    """Unseen faces take their own colour from a palette below the photo."""
    front = page.image
    step = 256 // LEVELS
    numbers, swatch = np.unique((own[~seen] // step) @ np.array([LEVELS**2, LEVELS, 1]), return_inverse=True)
    palette = np.stack([numbers // LEVELS**2, numbers // LEVELS % LEVELS, numbers % LEVELS], axis=-1) * step + step // 2
    width = max(front.shape[1], SWATCH)
    across = width // SWATCH
    down = -(-max(1, len(palette)) // across)
    swatches = np.zeros((down * across, 3), np.uint8)
    swatches[: len(palette)] = palette
    swatches = swatches.reshape(down, across, 3).repeat(SWATCH, axis=0).repeat(SWATCH, axis=1)
    image = np.zeros((front.shape[0] + swatches.shape[0], width, 3), np.uint8)
    image[: front.shape[0], : front.shape[1]] = front
    image[front.shape[0] :, : swatches.shape[1]] = swatches
    at = page.at(corners)
    middle = np.stack([swatch % across, swatch // across], axis=-1) * SWATCH + SWATCH / 2 + [0, front.shape[0]]
    at[~seen] = middle[:, None]
    return replace(mesh, vertex_colors=None, corner_uvs=at / [image.shape[1], image.shape[0]], texture=image)
