"""A scene's entities as flat arrays, made once per rendering."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Int, Int32, UInt8, UInt32
from real2sam2real.mesh.corner_normals import carrying, shading_points
from real2sam2real.mesh.deformed_normals import normals_of
from real2sam2real.mesh.mesh import Mesh
from real2sam2real.rendering.shading import GREY, TEXTURE, VERTEX_COLORS
from real2sam2real.scene import CameraPath, Scene


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedColors:
    """Where each entity's colour comes from."""

    table: Int  # `(E, 3)` int64: GREY, VERTEX_COLORS or TEXTURE; first row in `levels` and number of levels
    levels: Int  # `(N, 3)` int64: first texel, height and width of each level of each texture
    vertex_colors: UInt8  # `(V, 3)` uint8, empty when no entity is coloured by vertices
    corner_uvs: Float32  # `(F, 3, 2)` float32, empty when no entity has a texture
    texels: UInt32  # `(N,)` uint32, red + 256 · green + 65536 · blue


def pyramid(texture: UInt8) -> list[UInt8]:
    """The texture `(H, W, 3)` and its halvings down to one texel, each the mean over the area it stands for."""
    levels = [np.ascontiguousarray(texture[..., :3], np.uint8)]
    while max(levels[-1].shape[:2]) > 1:
        height, width = levels[-1].shape[:2]
        half = (max(width // 2, 1), max(height // 2, 1))
        levels.append(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA))
    return levels


def _in_one_word(image: UInt8) -> UInt32:
    """`(H, W, 3)` uint8 as `(H, W)` uint32: one memory access fetches all channels."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2RGBA).view("<u4")[..., 0] & np.uint32(0xFFFFFF)


def pack_colors(meshes: list[Mesh], vertex_starts: Int, face_starts: Int) -> PackedColors:
    """Collect textures and vertex colours; a texture goes before vertex colours."""
    table = np.zeros((len(meshes), 3), np.int64)
    textured = [mesh.texture is not None and mesh.texture.size > 0 for mesh in meshes]
    painted = [mesh.vertex_colors is not None and not flat for mesh, flat in zip(meshes, textured, strict=True)]
    vertex_colors = np.zeros((vertex_starts[-1] if any(painted) else 0, 3), np.uint8)
    corner_uvs = np.zeros((face_starts[-1] if any(textured) else 0, 3, 2), np.float32)
    images: list[UInt8] = []
    for e, mesh in enumerate(meshes):
        table[e, 0] = GREY
        if textured[e] and mesh.texture is not None and mesh.corner_uvs is not None:
            levels = pyramid(mesh.texture)
            table[e] = TEXTURE, len(images), len(levels)
            images += levels
            corner_uvs[face_starts[e] : face_starts[e + 1]] = mesh.corner_uvs
        elif painted[e]:
            table[e, 0] = VERTEX_COLORS
            vertex_colors[vertex_starts[e] : vertex_starts[e + 1]] = mesh.vertex_colors
    firsts = np.cumsum([0] + [image.shape[0] * image.shape[1] for image in images])
    sizes = [(first, *image.shape[:2]) for first, image in zip(firsts[:-1], images, strict=True)]
    return PackedColors(
        table=table,
        levels=np.array(sizes, np.int64).reshape(-1, 3),
        vertex_colors=vertex_colors,
        corner_uvs=corner_uvs,
        texels=np.concatenate([np.zeros(0, np.uint32)] + [_in_one_word(image).ravel() for image in images]),
    )


class PackedScene:
    """Meshes, poses and colours of E entities, V vertices and F faces; read-only while frames are drawn.

    Vertices and unit normals are at rest, in object frames. A smooth mesh has one normal per vertex, another one per
    shading point (N in all); see `mesh.corner_normals`.
    """

    def __init__(self, scene: Scene, camera: CameraPath, *, color: bool) -> None:
        self.entities = scene.entities
        meshes = [entity.mesh for entity in scene.entities]
        self.vertex_starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes]).astype(np.int64)  # `(E + 1,)`
        self.face_starts = np.cumsum([0] + [len(mesh.faces) for mesh in meshes]).astype(np.int64)  # `(E + 1,)`
        self.vertices: Float = np.concatenate([np.zeros((0, 3))] + [mesh.vertices for mesh in meshes])  # `(V, 3)`
        offsets = self.vertex_starts[:-1].astype(np.int32)
        self.faces: Int32 = np.concatenate(  # `(F, 3)` into the joined vertices
            [np.zeros((0, 3), np.int32)] + [mesh.faces + start for mesh, start in zip(meshes, offsets, strict=True)]
        )
        self.face_entity: UInt8 = np.repeat(np.arange(len(meshes), dtype=np.uint8), np.diff(self.face_starts))  # `(F,)`
        self._pack_normals(meshes)
        self._place(scene, camera)
        self.colors = pack_colors(meshes if color else [], self.vertex_starts, self.face_starts)  # or empty

    def _pack_normals(self, meshes: list[Mesh]) -> None:
        self._points: list[Int32] = []  # by entity `(F_e, 3)`, each corner's shading point in its own numbers
        normals = [np.zeros((0, 3))]
        for mesh in meshes:
            own, points = (np.empty_like(mesh.vertices), mesh.faces)
            if mesh.corner_normals is None:
                normals_of(mesh.vertices, mesh.faces, mesh.faces, np.zeros((0, 3, 3)), own)
            else:
                own, points = shading_points(mesh)
            normals.append(own)
            self._points.append(points)
        self._carried = [carrying(mesh) for mesh in meshes]
        self.normals: Float = np.concatenate(normals)  # `(N, 3)`
        self.normal_starts = np.cumsum([len(own) for own in normals]).astype(np.int64)  # `(E + 1,)`
        self.normal_faces: Int32 = self.faces  # `(F, 3)` into the joined normals
        if any(mesh.corner_normals is not None for mesh in meshes):
            pairs = zip(self._points, self.normal_starts[:-1].astype(np.int32), strict=True)
            self.normal_faces = np.concatenate([points + start for points, start in pairs])

    def _place(self, scene: Scene, camera: CameraPath) -> None:
        shape = (scene.frames, len(scene.entities))
        world_from_object = np.zeros((*shape, 4, 4))
        self.shown: Bool = np.zeros(shape, bool)  # `(T, E)`
        for e, entity in enumerate(scene.entities):
            world_from_object[:, e] = entity.motion.matrices()
            self.shown[:, e] = entity.motion.visible
        self.camera_from_object: Float = camera.camera_from_world()[:, None] @ world_from_object  # `(T, E, 4, 4)`
        linear = self.camera_from_object[..., :3, :3]  # and so `(T, E, 3, 3)` matrices of normals
        self.normal_matrices: Float = np.ascontiguousarray(np.swapaxes(np.linalg.inv(linear), -1, -2))
        self.mirrored: Bool = np.linalg.det(linear) < 0  # `(T, E)`

    def vertex_span(self, entity: int) -> slice:
        """The vertices of one entity."""
        return slice(int(self.vertex_starts[entity]), int(self.vertex_starts[entity + 1]))

    def at(self, frame: int) -> tuple[Float, Float]:
        """Vertices `(V, 3)` and normals `(N, 3)` of one frame, deformation included; shared where nothing deforms."""
        deforming = [e for e, entity in enumerate(self.entities) if entity.motion.vertices_object is not None]
        if not deforming:
            return self.vertices, self.normals
        vertices, normals = self.vertices.copy(), self.normals.copy()
        for e in deforming:
            entity, span = self.entities[e], self.vertex_span(e)
            if entity.motion.vertices_object is not None and self.shown[frame, e]:
                vertices[span] = entity.motion.vertices_object[frame]
                own = normals[self.normal_starts[e] : self.normal_starts[e + 1]]
                normals_of(vertices[span], entity.mesh.faces, self._points[e], self._carried[e], own)
        return vertices, normals
