"""From surfaces of several materials to one closed-as-possible `Mesh` with one texture or vertex colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Bool, Float, Float32, Int, UInt8
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.corner_normals import with_corner_normals
from real2sam2real.mesh.gltf.surfaces import Surface
from real2sam2real.mesh.gltf.textures import build_atlas, into_atlas, plain_tile, srgb_from_linear
from real2sam2real.mesh.gltf.welding import group_rows, weld
from real2sam2real.mesh.gltf.wrapping import from_first_tile, repetitions, wrapped_surfaces


@dataclass(frozen=True, eq=False)
class WeldedMesh:
    """A welded mesh (V vertices) and what deforms it."""

    mesh: Mesh  # in the glTF mesh's own frame, undeformed
    targets: Float  # `(K, V, 3)` displacements of its morph targets
    skin: tuple[Int, Float] | None  # joint numbers `(V, J)` and their weights `(V, J)`, or None
    notes: tuple[str, ...]  # how its materials became one, as sentences for the user


def weld_surfaces(label: str, surfaces: list[Surface]) -> WeldedMesh | None:
    """Join and weld surfaces with equally many morph targets; None where no triangle is left.

    Notes begin with `label`.
    """
    surfaces, wrapped = wrapped_surfaces(surfaces)
    starts = np.cumsum([0] + [len(s.positions) for s in surfaces[:-1]])
    positions = _joined([s.positions for s in surfaces])
    triangles = _joined(
        [s.triangles + start if start else s.triangles for s, start in zip(surfaces, starts, strict=True)]
    )
    skin = _joined_skin(surfaces)
    targets = _joined([s.targets for s in surfaces], axis=1)
    first, faces = weld(_places(positions, skin, targets), triangles)
    kept = faces[:, 0] >= 0
    if not kept.any():
        return None
    appearance = _Appearance(label, surfaces)
    mesh = Mesh(
        vertices=positions if len(first) == len(positions) else positions[first],
        faces=(faces if kept.all() else faces[kept]).astype(np.int32),
        vertex_colors=appearance.vertex_colors(first),
        corner_uvs=appearance.corner_uvs(triangles, kept),
        texture=appearance.texture,
    )
    mesh, note = with_corner_normals(mesh, _corner_normals(surfaces, kept))
    if note:
        appearance.notes.append(f"{label}: {note}")
    return WeldedMesh(
        mesh=mesh,
        targets=targets[:, first],
        skin=None if skin is None else (skin[0][first], skin[1][first]),
        notes=(*wrapped, *appearance.notes),
    )


def _joined(arrays: list[NDArray[Any]], axis: int = 0) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)


def _corner_normals(surfaces: list[Surface], kept: Bool) -> Float32 | None:
    if all(s.corner_normals is None for s in surfaces):
        return None
    parts = [np.zeros((*s.triangles.shape, 3)) if s.corner_normals is None else s.corner_normals for s in surfaces]
    return _joined(parts)[kept].astype(np.float32)


def _joined_skin(surfaces: list[Surface]) -> tuple[Int, Float] | None:
    width = max((s.skin[0].shape[1] for s in surfaces if s.skin is not None), default=0)
    if not width:
        return None
    starts = np.cumsum([0] + [len(s.positions) for s in surfaces])
    joints, weights = np.zeros((starts[-1], width), np.int64), np.zeros((starts[-1], width))
    for surface, start, end in zip(surfaces, starts[:-1], starts[1:], strict=True):
        if surface.skin is not None:
            own = surface.skin[0].shape[1]
            joints[start:end, :own], weights[start:end, :own] = surface.skin
    return joints, weights


def _places(positions: Float, skin: tuple[Int, Float] | None, targets: Float) -> Int:
    """Group ids `(N,)`: equal where the position and everything that deforms it are equal."""
    places = group_rows(positions)
    extras = list(targets)
    if skin is not None:
        joints, weights = skin
        order = np.argsort(-weights, axis=1, kind="stable")
        extras += [np.take_along_axis(joints, order, 1).astype(np.float64), np.take_along_axis(weights, order, 1)]
    if extras and (shared := np.bincount(places)[places] > 1).any():
        rows = np.concatenate([places[shared, None].astype(np.float64), *(extra[shared] for extra in extras)], axis=1)
        places[shared] = places.max() + 1 + group_rows(rows)
        places = np.unique(places, return_inverse=True)[1].astype(np.int64)
    return places


class _Appearance:
    """Decides between a texture, an atlas and vertex colours for the joined surfaces.

    One material with a texture keeps it. Several with a texture, or several plain colours, become an atlas, so that
    their borders stay crisp. Without textures COLOR_0 and the base colour factor become vertex colours.
    """

    def __init__(self, label: str, surfaces: list[Surface]) -> None:
        self._surfaces = surfaces
        self.notes: list[str] = []
        self.texture: UInt8 | None = None
        self._places: Float | None = None
        self._spans: list[Int] = []  # by surface `(2,)`, how often its tile holds its texture
        textured = [self._usable_texture(s) for s in surfaces]
        materials = {id(s.material) for s in surfaces}
        plain = all(s.colors is None for s in surfaces)
        factors = {None if s.material.factor is None else tuple(s.material.factor) for s in surfaces}
        if any(t is not None for t in textured) and len(materials) == 1 and all(t is not None for t in textured):
            self.texture = textured[0]
        elif any(t is not None for t in textured) or (plain and len(factors) > 1):
            tiles = [self._tile(s) if t is None else t for s, t in zip(surfaces, textured, strict=True)]
            tiles = self._repeated(label, tiles, textured)
            self.texture, self._places = build_atlas(tiles)
            self.notes.append(f"{label} has {len(materials)} materials; they were joined into one texture")
        if self.texture is not None and not plain:
            self.notes.append(f"{label} has vertex colours over a texture; only the texture is shown")
        self._textured = [t is not None for t in textured]

    def _repeated(self, label: str, tiles: list[UInt8], textured: list[UInt8 | None]) -> list[UInt8]:
        """The tiles, with a texture laid out as often as it repeats within a face of any surface that shows it."""
        shown: dict[int, list[Float]] = {}
        for surface, texture in zip(self._surfaces, textured, strict=True):
            if texture is not None and surface.uvs is not None:
                shown.setdefault(id(texture), []).append(surface.uvs[surface.triangles])
        spans = {}
        for key, tile in {id(tile): tile for tile in tiles}.items():
            spans[key], beyond = np.ones(2, np.int64), 0
            if key in shown:
                spans[key], beyond = repetitions(tile, np.concatenate(shown[key]))
            if beyond:
                lost = f"the texture repeats within {beyond:,} faces, which the joined texture cannot show"
                self.notes.append(f"{label}: {lost}")
        laid = {id(t): t if spans[id(t)].max() == 1 else np.tile(t, (*spans[id(t)][::-1], 1)) for t in tiles}
        self._spans = [spans[id(tile)] for tile in tiles]
        return [laid[id(tile)] for tile in tiles]

    def _usable_texture(self, surface: Surface) -> UInt8 | None:
        if surface.material.texture is not None and surface.uvs is None:
            self.notes.append(f"{surface.label} has a texture but no texture coordinates; it is shown without it")
            return None
        return surface.material.texture

    def _tile(self, surface: Surface) -> UInt8:
        color = np.ones(3) if surface.material.factor is None else surface.material.factor
        if surface.colors is not None:
            color = color * surface.colors.mean(axis=0)
        return plain_tile(srgb_from_linear(color))

    def vertex_colors(self, first: Int) -> UInt8 | None:
        """`(V, 3)` sRGB of the file vertices `first`, or None where nothing gives colours."""
        surfaces = self._surfaces
        plain = [s.plain_colors for s in surfaces if s.plain_colors is not None]
        if len(plain) == len(surfaces):
            return srgb_from_linear(_joined(plain)[first])
        factors = [None if self.texture is not None else s.material.factor for s in surfaces]
        none = all(s.colors is None and factor is None for s, factor in zip(surfaces, factors, strict=True))
        if none or self._places is not None:
            return None
        colors = [np.ones((len(s.positions), 3)) if s.colors is None else s.colors for s in surfaces]
        colors = [c if factor is None else c * factor for c, factor in zip(colors, factors, strict=True)]
        return srgb_from_linear(_joined(colors)[first])

    def corner_uvs(self, triangles: Int, kept: Bool) -> Float | None:
        """`(F, 3, 2)` of the `kept` `(M,)` of all surfaces' triangles `(M, 3)` of file vertices."""
        surfaces = self._surfaces
        if self._places is None and any(s.uvs is None for s in surfaces):
            return None
        uvs = _joined([np.full((len(s.positions), 2), 0.5) if s.uvs is None else s.uvs for s in surfaces])
        corners = uvs[triangles if kept.all() else triangles[kept]]
        if self._places is None:
            return corners
        owner = np.repeat(np.arange(len(surfaces)), [len(s.triangles) for s in surfaces])[kept]
        for k, place in enumerate(self._places):
            mine = owner == k
            inside = np.maximum(from_first_tile(corners[mine]) / self._spans[k], 0.0)
            corners[mine] = into_atlas(inside if self._textured[k] else np.full_like(inside, 0.5), place)
        return corners
