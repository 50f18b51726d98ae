"""Shadows on the ground, and the light of varied worlds: coloured, moving, with a ground that mirrors.

The renderer gives the unlit colour and the normal of every pixel; they are shaded here, with the light of the frame.
Shadows are ellipses on the ground: soft ones under each object in every world with ground, cast ones in varied worlds.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import cv2
import numpy as np

from real2sam2real.arrays import Float, Float32, UInt8
from real2sam2real.lab.synth.config import WorldConfig
from real2sam2real.lab.synth.seeds import Rng
from real2sam2real.mesh.compiled import kernel
from real2sam2real.rendering import Frame, Light, render_frames
from real2sam2real.scene import CameraPath, Entity, Scene
from real2sam2real.scene.timing import ease

_CONTACT_SPREAD = 0.62
"""Semi-axis of a contact shadow over the object's full extent."""
_CAST_SPREAD = 0.36
"""The same of a cast shadow."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lighting:
    """The light of a varied clip."""

    light: Light  # its direction and shares in frame 0, without colour
    key: Float  # `(3,)` colour of the directional light, mean 1
    ambient: Float  # `(3,)` colour of the ambient light, mean 1
    turn: float  # radians about +Y by which the directional light has gone round at the end
    gains: tuple[float, float]  # strength of all light at the start and at the end
    shadow: float  # share of the directional light that a cast shadow takes away, 0 for none
    hardness: float  # of its edge, 1 (soft) … 4
    gloss: float  # reflectance of the ground at grazing view, 0 for a dull ground

    def directions(self, times: Float) -> Float:
        """Unit directions `(T, 3)` from the scene to the light, world space, at `times` `(T,)` in 0…1."""
        x, y, z = np.asarray(self.light.direction_world) / np.linalg.norm(self.light.direction_world)
        angle = self.turn * ease(times, "ease")
        c, s = np.cos(angle), np.sin(angle)
        return np.stack([c * x + s * z, np.full(len(times), y), c * z - s * x], axis=-1)

    def colors(self, times: Float) -> tuple[Float, Float]:
        """Colours `(T, 3)` of the ambient and of the directional light with their shares and strengths."""
        gain = self.gains[0] * (self.gains[1] / self.gains[0]) ** ease(times, "ease")
        return (
            gain[:, None] * self.light.ambient * self.ambient,
            gain[:, None] * self.light.diffuse * self.key,
        )


def sample_lighting(rng: Rng, config: WorldConfig, light: Light, *, grounded: bool) -> Lighting | None:
    """The light of one clip, or None when the renderer's plain `light` does; shadows are cast on a ground alone."""
    varied = rng.random() < config.varied_light
    casts = rng.random() < config.cast_shadows and grounded and config.shadows
    glossy = rng.random() < config.glossy and grounded
    if not (varied or casts or glossy):
        return None
    lighting = Lighting(
        light=light, key=np.ones(3), ambient=np.ones(3), turn=0.0, gains=(1.0, 1.0),
        shadow=float(rng.uniform(0.4, 1.0)) if casts else 0.0, hardness=float(rng.uniform(1.0, 4.0)),
        gloss=float(rng.uniform(0.45, 0.95)) if glossy else 0.0,
    )  # fmt: skip
    return _varied(rng, lighting) if varied else lighting


def _varied(rng: Rng, lighting: Lighting) -> Lighting:
    total = lighting.light.ambient + lighting.light.diffuse
    ambient = float(rng.uniform(0.28, 0.7))
    x, y, z = lighting.light.direction_world
    low = float(rng.uniform(0.4, 1.0))
    start = float(np.exp(rng.uniform(np.log(0.4), np.log(0.85)))) if rng.random() < 0.4 else rng.uniform(0.85, 1.08)
    end = float(np.clip(start * np.exp(rng.uniform(-0.7, 0.7)), 0.4, 1.12)) if rng.random() < 0.4 else start
    return replace(
        lighting,
        light=replace(lighting.light, direction_world=(x, y * low, z), ambient=ambient, diffuse=total - ambient),
        key=_sample_tint(rng),
        ambient=_sample_tint(rng),
        turn=float(rng.uniform(0.4, 1.5) * rng.choice([-1.0, 1.0])) if rng.random() < 0.4 else 0.0,
        gains=(float(start), float(end)),
    )


def _sample_tint(rng: Rng) -> Float:
    """A light's colour `(3,)` with mean 1: mostly warm or cool, at times of any hue."""
    hue = float(rng.choice([rng.uniform(0.04, 0.14), rng.uniform(0.54, 0.66), rng.random()]))
    color = np.array(colorsys.hsv_to_rgb(hue, float(rng.uniform(0.0, 0.4)), 1.0))
    return color / color.mean()


class FrameShader:
    """Shades the frames of one scene; ask for them in order."""

    def __init__(self, scene: Scene, lighting: Lighting) -> None:
        self.camera: CameraPath = scene.camera
        self.lighting = lighting
        self.ground_y = scene.ground_y
        times = np.linspace(0.0, 1.0, scene.frames)
        self.directions = lighting.directions(times)
        self.ambient, self.key = lighting.colors(times)
        self.rows = cast_shadows(scene, self.directions if lighting.shadow > 0 else self.directions[:0])
        height, width = self._shape = (scene.camera.intrinsics.height, scene.camera.intrinsics.width)
        self._mirrored = None
        if lighting.gloss > 0:
            self._mirrored = render_frames(mirrored(scene), width=width, height=height, color=True, threads=1)

    def lit_background(self, t: int, color: Float32, hits: Float32) -> Float32:
        """The background `(H, W, 3)` float32 of frame t in its light, from `Painter.view`'s colours and ground points.

        The far surrounding and the open ground get all light; a plain light leaves them as they are.
        """
        light = self.lighting.light
        full = light.ambient + light.diffuse
        pose = self.camera.world_from_camera[t]
        drop = pose[1, 3] - (self.ground_y if self.ground_y is not None else pose[1, 3])
        out = np.empty_like(color)
        _light_background(
            color, hits, self.rows[t], self.lighting.shadow, self.lighting.hardness, self.ambient[t] / full,
            self.key[t] / full, self._reflection(t), np.array([pose[0, 3], drop, pose[2, 3]]), self.lighting.gloss, out,
        )  # fmt: skip
        return out

    def lit_objects(self, t: int, frame: Frame) -> UInt8:
        """The objects `(H, W, 3)` uint8 of an unlit frame in the light of frame t."""
        assert frame.color is not None
        assert frame.coverage is not None
        return self._shade(t, frame.color, frame.normals, frame.coverage, self.directions[t])

    def _shade(self, t: int, color: UInt8, normals: Float32, coverage: Float32, direction: Float) -> UInt8:
        intrinsics = self.camera.intrinsics_at(t)
        light = self.lighting.light
        out = np.zeros_like(color)
        _shade(
            color, normals, coverage, direction @ self.camera.world_from_camera[t, :3, :3], self.ambient[t],
            self.key[t], self.key[t] / max(light.diffuse, 1e-6) * light.specular, light.shininess,
            np.array([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy]), out,
        )  # fmt: skip
        return out

    def _reflection(self, t: int) -> Float32:
        """The mirrored objects `(H, W, 4)` float32, colour in 0…1 times coverage, and coverage; or empty."""
        if self._mirrored is None:
            return np.zeros((0, 0, 4), np.float32)
        frame = next(self._mirrored)
        assert frame.color is not None
        out = np.empty((*self._shape, 4), np.float32)
        out[..., 3] = frame.ids > 0
        direction = self.directions[t] * (1.0, -1.0, 1.0)
        shaded = self._shade(t, frame.color, frame.normals, out[..., 3].copy(), direction)
        np.multiply(shaded, out[..., 3:] / 255, out=out[..., :3])
        side = 1 + 2 * max(1, round(self._shape[0] / 96))
        return cv2.blur(out, (side, side))


def mirrored(scene: Scene) -> Scene:
    """The scene's objects turned upside down about its ground plane."""
    ground = scene.ground_y or 0.0
    entities = []
    for entity in scene.entities:
        upside_down = replace(
            entity.motion,
            translation=entity.motion.translation * (1.0, -1.0, 1.0) + (0.0, 2 * ground, 0.0),
            rotation_wxyz=entity.motion.rotation_wxyz * (1.0, -1.0, 1.0, -1.0),
            scale=entity.motion.scale * (1.0, -1.0, 1.0),
        )
        rest = upside_down.matrices()[0]
        entities.append(replace(entity, motion=upside_down, rest_world_from_object=rest, mask=None))
    return replace(scene, entities=tuple(entities))


def contact_shadows(scene: Scene, strength: float, shift: tuple[float, float]) -> tuple[Float32, Float32]:
    """Shadows `(T, N, 2, 3)` as rows that map world (x, z, 1) to the ellipse's own axes, and darkening `(T, N)`.

    There is one for every object and frame, fading as the object leaves the ground, and none without a ground.

    Args:
        scene: the objects.
        strength: darkening under an object that touches the ground, 0…1.
        shift: world x, z by which a shadow moves per unit of the object's height.
    """
    ground_y = scene.ground_y
    entities = scene.entities if ground_y is not None and strength > 0 else ()
    rows = np.zeros((scene.frames, len(entities), 2, 3))
    strengths = np.zeros((scene.frames, len(entities)))
    for n, entity in enumerate(entities):
        rows[:, n], lift = _contact_shadow(entity, ground_y or 0.0, shift)
        strengths[:, n] = strength * np.exp(-2.5 * lift) * entity.motion.visible
    return rows.astype(np.float32), strengths.astype(np.float32)


def _contact_shadow(entity: Entity, ground_y: float, shift: tuple[float, float]) -> tuple[Float, Float]:
    """Rows `(T, 2, 3)` of one entity, and its height above the ground `(T,)` in units of its own size."""
    low, high = entity.mesh.bounds()
    extent = high - low
    matrices = entity.motion.matrices()
    linear, scale = matrices[:, :3, :3], entity.motion.scale[:, 0]
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * extent + low
    centre = linear @ ((low + high) / 2) + matrices[:, :3, 3]
    bottom = (linear @ corners.T).min(axis=2)[:, 1] + matrices[:, 1, 3]
    size = scale * extent.max()
    middle = centre[:, [0, 2]] + (centre[:, 1:2] - ground_y) * np.asarray(shift)
    rows = _ellipse_rows(linear[:, [0, 2]] * (extent * _CONTACT_SPREAD), 1e-4 * size**2, middle)
    return rows, np.maximum(bottom - ground_y, 0.0) / size


def cast_shadows(scene: Scene, directions: Float) -> Float32:
    """Rows `(T, N, 2, 3)` that map world (x, z, 1) to a shadow's own axes, where it fades at distance √3.

    A shadow is that of an ellipsoid as large as the object's box. A low light throws it no further than 2.5 heights.
    There is none without a ground, or without `directions` `(T, 3)` towards the light.
    """
    ground = scene.ground_y
    entities = scene.entities if ground is not None and len(directions) else ()
    rows = np.zeros((scene.frames, len(entities), 2, 3), np.float32)
    if entities:
        slant = -directions[:, [0, 2]] / np.maximum(directions[:, 1:2], 1e-6)
        slant *= np.minimum(1.0, 2.5 / np.maximum(np.linalg.norm(slant, axis=1, keepdims=True), 1e-6))
        project = np.zeros((scene.frames, 2, 3))
        project[:, 0, 0] = project[:, 1, 2] = 1.0
        project[:, :, 1] = slant
        for n, entity in enumerate(entities):
            rows[:, n] = _shadow(entity, ground or 0.0, project)
    return rows


def _shadow(entity: Entity, ground_y: float, project: Float) -> Float:
    """Rows `(T, 2, 3)` of one object's shadow, thrown by `project` `(T, 2, 3)`."""
    deformed = entity.motion.vertices_object
    vertices = entity.mesh.vertices[None] if deformed is None else deformed.astype(np.float64)
    low, high = vertices.min(axis=1), vertices.max(axis=1)
    matrices = entity.motion.matrices()
    linear = matrices[:, :3, :3]
    centre = np.einsum("tij,tj->ti", linear, np.broadcast_to((low + high) / 2, (len(linear), 3))) + matrices[:, :3, 3]
    middle = np.einsum("tij,tj->ti", project, centre - (0.0, ground_y, 0.0))
    return _ellipse_rows(project @ (linear * (_CAST_SPREAD * (high - low))[:, None, :]), None, middle)


def _ellipse_rows(half: Float, least: Float | None, middle: Float) -> Float:
    """Rows `(T, 2, 3)` of the ellipses about `middle` `(T, 2)` that a box of half axes `half` `(T, 2, 3)` spreads over.

    The spread is a 2×2 covariance, `least` `(T,)` at the least (by default a small share of it); its inverse square
    root maps to the ellipse's own axes.
    """
    covariance = half @ np.swapaxes(half, 1, 2)
    least = 1e-4 * np.trace(covariance, axis1=1, axis2=2) if least is None else least
    covariance += least[:, None, None] * np.eye(2)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors / np.sqrt(values)[:, None, :] @ np.swapaxes(vectors, 1, 2)
    return np.concatenate([root, -(root @ middle[..., None])], axis=2)


@kernel
def _light_background(
    color: Float32, hits: Float32, rows: Float32, shadow: float, hardness: float, ambient: Float, key: Float,
    mirror: Float32, camera: Float, gloss: float, out: Float32,
) -> None:  # fmt: skip
    """See `FrameShader.lit_background`; `camera` is x, height over the ground, z."""
    height, width = color.shape[0], color.shape[1]
    for row in range(height):
        for column in range(width):
            ground = hits[row, column, 2]
            direct = 1.0
            share = 0.0
            if ground > 0.0:
                x, z = hits[row, column, 0], hits[row, column, 1]
                for n in range(len(rows)):
                    a = rows[n, 0, 0] * x + rows[n, 0, 1] * z + rows[n, 0, 2]
                    b = rows[n, 1, 0] * x + rows[n, 1, 1] * z + rows[n, 1, 2]
                    square = a * a + b * b
                    if square < 3.0:
                        fade = min((1.0 - square / 3.0) * hardness, 1.0)
                        direct *= 1.0 - shadow * ground * fade * fade * (3.0 - 2.0 * fade)
                if gloss > 0.0:
                    dx, dz = x - camera[0], z - camera[2]
                    steep = camera[1] / np.sqrt(dx * dx + dz * dz + camera[1] * camera[1])
                    share = gloss * ground * (0.25 + 0.75 * (1.0 - steep) ** 3)
            for k in range(3):
                value = color[row, column, k] * (ambient[k] + key[k] * direct)
                if share > 0.0:
                    value += share * (mirror[row, column, k] - mirror[row, column, 3] * value)
                out[row, column, k] = value


@kernel
def _shade(
    color: UInt8, normals: Float32, coverage: Float32, direction: Float, ambient: Float, key: Float, specular: Float,
    shininess: float, intrinsics: Float, out: UInt8,
) -> None:  # fmt: skip
    """Colour × (ambient + key · max(0, n·l)) + specular · max(0, n·h)^shininess per channel, clipped at white."""
    height, width = coverage.shape
    for row in range(height):
        for column in range(width):
            if coverage[row, column] <= 0.0:
                continue
            x, y, z = normals[row, column, 0], normals[row, column, 1], normals[row, column, 2]
            diffuse = max(x * direction[0] + y * direction[1] + z * direction[2], 0.0)
            shine = 0.0
            if specular[0] + specular[1] + specular[2] > 0.0 and diffuse > 0.0:
                a, b = (column + 0.5 - intrinsics[2]) / intrinsics[0], (intrinsics[3] - row - 0.5) / intrinsics[1]
                length = np.sqrt(a * a + b * b + 1.0)
                hx, hy, hz = direction[0] - a / length, direction[1] - b / length, direction[2] + 1.0 / length
                norm = np.sqrt(hx * hx + hy * hy + hz * hz)
                shine = max((x * hx + y * hy + z * hz) / max(norm, 1e-9), 0.0) ** shininess
            for k in range(3):
                value = color[row, column, k] * (ambient[k] + key[k] * diffuse) + 255.0 * specular[k] * shine
                out[row, column, k] = np.uint8(min(value + 0.5, 255.0))
