"""Triangle meshes whose topology is closed and whose texture seams live on face corners.

A texture seam must not tear the surface open, so texture coordinates belong to face corners and not to vertices:
neighbouring faces share vertices even where the texture jumps. See docs/conventions.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Float32, Int, Int32, UInt8
from real2sam2real.geometry import transforms


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """A triangle mesh; faces are wound counter-clockwise seen from outside.

    Attributes:
        vertices: `(V, 3)` float64, in the frame its owner states (an entity's object frame, mostly).
        faces: `(F, 3)` int32 indices into `vertices`.
        vertex_colors: `(V, 3)` uint8 sRGB, or None.
        corner_uvs: `(F, 3, 2)` float64 per face corner, origin at the texture's top-left corner (glTF), or None.
        texture: `(H, W, 3)` uint8 sRGB, or None; needs `corner_uvs`.
        corner_normals: `(F, 3, 3)` float32 outward unit normals per face corner, in the vertices' frame, where the
            surface has hard edges; None where it is smooth. See `mesh.corner_normals`.

    Raises:
        ValueError: shapes do not fit, a vertex is not finite, or an index is out of range.
    """

    vertices: Float
    faces: Int32
    vertex_colors: UInt8 | None = None
    corner_uvs: Float | None = None
    texture: UInt8 | None = None
    corner_normals: Float32 | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "vertices", np.ascontiguousarray(self.vertices, np.float64))
        faces = np.asarray(self.faces)
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3:
            raise ValueError(f"vertices have shape {self.vertices.shape}; expected (V, 3)")
        if faces.ndim != 2 or faces.shape[1] != 3:
            raise ValueError(f"faces have shape {faces.shape}; expected (F, 3)")
        if not np.all(np.isfinite(self.vertices)):
            bad = int(np.sum(~np.isfinite(self.vertices).all(axis=1)))
            raise ValueError(f"{bad} of {len(self.vertices)} vertices are not finite (NaN or infinity)")
        if faces.size and (faces.min() < 0 or faces.max() >= len(self.vertices)):
            raise ValueError(
                f"face indices span {faces.min()}…{faces.max()} but there are {len(self.vertices)} vertices"
            )
        set_(self, "faces", np.ascontiguousarray(faces, np.int32))
        self._check_appearance()

    def _check_appearance(self) -> None:
        if self.vertex_colors is not None and self.vertex_colors.shape != self.vertices.shape:
            raise ValueError(f"vertex colours {self.vertex_colors.shape} do not match vertices {self.vertices.shape}")
        if self.corner_uvs is not None and self.corner_uvs.shape != (len(self.faces), 3, 2):
            raise ValueError(f"corner UVs {self.corner_uvs.shape} do not match {len(self.faces)} faces")
        if self.corner_normals is not None and self.corner_normals.shape != (len(self.faces), 3, 3):
            raise ValueError(f"corner normals {self.corner_normals.shape} do not match {len(self.faces)} faces")
        if self.texture is not None and self.corner_uvs is None:
            raise ValueError("a texture needs corner_uvs to say where it lies on the mesh")

    def face_cross_products(self) -> Float:
        """`(F, 3)`: outward normals with twice the face's area as their length, in the vertices' frame."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return np.cross(b - a, c - a)

    def vertex_normals(self, vertices: ArrayLike | None = None) -> Float:
        """Smooth unit normals `(V, 3)` of the mesh, or of deformed `vertices` `(V, 3)` in place of its own.

        Face normals are weighted by the corner's angle, which does not depend on how a polygon is cut into triangles
        (Thürmer and Wüthrich, 1998).
        """
        points = self.vertices if vertices is None else np.asarray(vertices, np.float64)
        corners = points[self.faces]
        face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        face /= np.maximum(np.linalg.norm(face, axis=1, keepdims=True), 1e-300)
        normals = np.zeros_like(points)
        for k in range(3):
            to_next = corners[:, (k + 1) % 3] - corners[:, k]
            to_last = corners[:, (k + 2) % 3] - corners[:, k]
            sine = np.linalg.norm(np.cross(to_next, to_last), axis=1)
            angle = np.arctan2(sine, np.sum(to_next * to_last, axis=1))
            for axis in range(3):
                normals[:, axis] += np.bincount(self.faces[:, k], angle * face[:, axis], minlength=len(points))
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        return np.where(length > 1e-12, normals / np.maximum(length, 1e-300), np.array([0.0, 0.0, 1.0]))

    def normals_at_corners(self) -> Float32:
        """`(F, 3, 3)` unit normals that the surface is shaded with: `corner_normals`, else those of the vertices."""
        if self.corner_normals is not None:
            return self.corner_normals
        return self.vertex_normals()[self.faces].astype(np.float32)

    def volume(self) -> float:
        """Signed volume: positive when a closed mesh is wound outward."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return float(np.sum(a * np.cross(b, c)) / 6)

    def is_closed(self) -> bool:
        """True when every edge is shared by exactly two faces that run along it in opposite directions."""
        return is_closed(self.faces.astype(np.int64))

    def bounds(self) -> Float:
        """`(2, 3)`: the smallest and the largest coordinate along each axis."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    def transformed(self, matrix: ArrayLike) -> Mesh:
        """The mesh under `(4, 4)`; a mirroring matrix also turns the winding, so that outward stays outward."""
        matrix = np.asarray(matrix, np.float64)
        moved = replace(self, vertices=transforms.apply(matrix, self.vertices))
        if self.corner_normals is not None:
            normals = self.corner_normals.astype(np.float64) @ np.linalg.inv(matrix[:3, :3])
            normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-300)
            normals *= np.sign(np.linalg.det(matrix[:3, :3]))  # what mirrors is flipped below
            moved = replace(moved, corner_normals=normals.astype(np.float32))
        return moved if np.linalg.det(matrix[:3, :3]) > 0 else moved.flipped()

    def flipped(self) -> Mesh:
        """The same surface wound the other way round."""
        uvs = None if self.corner_uvs is None else self.corner_uvs[:, ::-1]
        normals = None if self.corner_normals is None else -self.corner_normals[:, ::-1]
        return replace(self, faces=self.faces[:, ::-1], corner_uvs=uvs, corner_normals=normals)


def is_closed(faces: Int) -> bool:
    """`Mesh.is_closed` of `(F, 3)` vertex numbers."""
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    count = int(faces.max(initial=0)) + 1
    forward, backward = np.sort(starts * count + ends), np.sort(ends * count + starts)
    return bool(len(faces) and np.all(np.diff(forward) > 0) and np.array_equal(forward, backward))


def footprint(points: Float) -> Float:
    """`(3,)` middle of the ground that upright points `(N, 3)` stand on."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])


def concatenate(meshes: list[Mesh]) -> Mesh:
    """One mesh with the faces of all, in order; colours are kept where every mesh has them, textures are not."""
    if not meshes:
        raise ValueError("there is no mesh to join")
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    colors = [m.vertex_colors for m in meshes if m.vertex_colors is not None]
    hard = any(m.corner_normals is not None for m in meshes)
    return Mesh(
        vertices=np.concatenate([m.vertices for m in meshes]),
        faces=np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]),
        vertex_colors=np.concatenate(colors) if len(colors) == len(meshes) else None,
        corner_normals=np.concatenate([m.normals_at_corners() for m in meshes]) if hard else None,
    )
