"""Textured rooms that stand still: what a camera path can be recovered from, with every pose known.

The worlds of `world` have a backdrop at infinity, which tells nothing of where a camera is. A room has walls at a
distance, and everything in it is drawn by the product's own renderer, so that a film of it is right by construction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from real2sam2real.arrays import Float, Int, UInt8
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lab.synth.materials import Domain, sample_material
from real2sam2real.lab.synth.seeds import Rng, generator, is_held_out
from real2sam2real.lab.synth.shapes import HELD_OUT_SHAPES, TRAIN_SHAPES, base_shape
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import Light, render_frames
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

WALL_TEXELS = 768  # of a wall's texture along each side
OBJECT_TEXELS = 512  # of an object's texture from left to right
EYE_HEIGHT = 1.5  # of the camera over the floor, in units that are about metres
ROOM = "room"

_ROOMS, _OBJECTS, _LIGHT, _VIEW = range(0x400, 0x404)
_DETAIL = 0.05  # the smallest features of a wall, in units
_BOX_FACES = (  # the corners of each wall as signs, so that it faces inwards
    ((-1, -1, -1), (1, -1, -1), (1, 1, -1), (-1, 1, -1)),
    ((1, -1, 1), (-1, -1, 1), (-1, 1, 1), (1, 1, 1)),
    ((-1, -1, 1), (-1, -1, -1), (-1, 1, -1), (-1, 1, 1)),
    ((1, -1, -1), (1, -1, 1), (1, 1, 1), (1, 1, -1)),
    ((-1, -1, 1), (1, -1, 1), (1, -1, -1), (-1, -1, -1)),
    ((-1, 1, -1), (1, 1, -1), (1, 1, 1), (-1, 1, 1)),
)
_HALVES = ((0, 1, 2), (0, 2, 3))  # the triangles of a wall


@dataclass(frozen=True, kw_only=True, eq=False)
class Room:
    """A room with things in it, and the camera of a photo of it."""

    seed: int  # what it was made from
    objects: Scene  # of one frame: the things alone, with the camera; `photo` and masks are there
    shell: Entity  # walls, floor and ceiling, seen from inside; no closed mesh
    light: Light

    def film(self, shot: Scene) -> Iterator[UInt8]:
        """Frames `(H, W, 3)` uint8 sRGB of a directed form of `objects`, in this room and light."""
        still = Motion.still(shot.frames, self.shell.rest_world_from_object)
        whole = replace(shot, entities=(replace(self.shell, motion=still), *shot.entities), removed=())
        lens = shot.camera.intrinsics
        drawn = render_frames(whole, width=lens.width, height=lens.height, color=True, antialias=True, light=self.light)
        for frame in drawn:
            assert frame.color is not None
            yield frame.color


def sample_room(seed: int, *, width: int, height: int, objects: int | None = None) -> Room:
    """Make the room of a seed: the same in every process.

    Args:
        seed: from `TRAIN_SEEDS` or `HELD_OUT_SEEDS`, which decides the kinds of things in it.
        width: of the photo in pixels.
        height: likewise.
        objects: how many things stand in it; two to five by default.

    Raises:
        ValueError: the seed is in neither range.
    """
    shapes = HELD_OUT_SHAPES if is_held_out(seed) else TRAIN_SHAPES
    rng = generator(seed, _ROOMS)
    half = _half_extents(rng)
    shell = _shell(rng, half)
    view = generator(seed, _VIEW)
    focal = height * view.uniform(0.75, 1.1)
    eye = np.array([view.uniform(-0.5, 0.5), EYE_HEIGHT - half[1] * 2 + half[1], half[2] * 0.8])
    look = np.array([0.0, eye[1] - view.uniform(0.2, 0.6), -0.2 * half[2]])
    pose = transforms.look_at(eye, look)
    placed = _things(generator(seed, _OBJECTS), half, shapes, objects)
    camera = CameraPath.still(1, Intrinsics.from_focal(width, height, focal), pose)
    scene = Scene(entities=tuple(placed), camera=camera, photo_world_from_camera=pose, ground_y=float(-half[1]))
    room = Room(seed=seed, objects=scene, shell=shell, light=_light(generator(seed, _LIGHT)))
    return replace(room, objects=_with_photo(room))


def bare_walls(seed: int) -> Mesh:
    """Walls, floor and ceiling of a seed's room without their textures, in its world, seen from inside."""
    half = _half_extents(generator(seed, _ROOMS))
    corners = np.concatenate([np.array(signs, np.float64) * half for signs in _BOX_FACES])
    faces = [[4 * k + corner for corner in triangle] for k in range(len(_BOX_FACES)) for triangle in _HALVES]
    return Mesh(vertices=corners, faces=np.array(faces, np.int32))


def _half_extents(rng: Rng) -> Float:
    """Half the width, height and depth of a room, the first that is drawn of it."""
    return np.array([rng.uniform(2.5, 4.0), rng.uniform(1.2, 1.7), rng.uniform(3.0, 4.5)])


def _shell(rng: Rng, half: Float) -> Entity:
    """The walls from inside, each with a texture of its own, three beside and two over each other."""
    corners, faces, uvs, panels = [], [], [], []
    for number, signs in enumerate(_BOX_FACES):
        corner = np.array(signs, np.float64) * half
        corners.append(corner)
        faces += [[4 * number + k for k in triangle] for triangle in _HALVES]
        panels.append(_wall(rng, corner))
        edge = 0.5 / WALL_TEXELS  # no texel of the neighbouring wall shows at the seam
        corner_of_panel = np.array([number % 3, number // 3])
        square = np.array([[edge, 1 - edge], [1 - edge, 1 - edge], [1 - edge, edge], [edge, edge]])
        placed = (square + corner_of_panel) / (3, 2)
        uvs += [placed[list(triangle)] for triangle in _HALVES]
    texture = np.concatenate([np.concatenate(panels[:3], axis=1), np.concatenate(panels[3:], axis=1)])
    mesh = Mesh(
        vertices=np.concatenate(corners),
        faces=np.array(faces, np.int32),
        corner_uvs=np.array(uvs),
        texture=texture,
    )
    return Entity(name=ROOM, mesh=mesh, rest_world_from_object=np.eye(4), motion=Motion.still(1, np.eye(4)))


def _wall(rng: Rng, corners: Float) -> UInt8:
    """The texture of a wall with these corners: lower left, lower right, upper right, upper left."""
    across = np.linspace(0, 1, WALL_TEXELS)[None, :, None]
    down = np.linspace(1, 0, WALL_TEXELS)[:, None, None]
    points = corners[0] + across * (corners[1] - corners[0]) + down * (corners[3] - corners[0])
    low, high = corners.min(axis=0), corners.max(axis=0)
    domain = Domain(low=tuple(low.tolist()), high=tuple(high.tolist()), detail=_DETAIL)
    colors = sample_material(rng, domain, plain=0.0).colors(points, 0.01)
    return (colors.reshape(WALL_TEXELS, WALL_TEXELS, 3) * 255 + 0.5).astype(np.uint8)


def _things(rng: Rng, half: Float, shapes: range, count: int | None) -> list[Entity]:
    """Things on the floor that do not touch each other, as many as find room."""
    wanted = int(rng.integers(2, 6)) if count is None else count
    placed: list[Entity] = []
    taken: list[tuple[Float, float]] = []
    for _ in range(50 * wanted):
        if len(placed) == wanted:
            break
        size = rng.uniform(0.6, 1.3)
        where = np.array([rng.uniform(-0.6, 0.6) * half[0], -half[1], rng.uniform(-0.7, 0.15) * half[2]])
        if any(np.linalg.norm(where - other) < 0.75 * (size + reach) for other, reach in taken):
            continue
        taken.append((where, size))
        placed.append(_thing(rng, int(rng.choice(shapes)), len(placed) + 1, where, size))
    return placed


def _thing(rng: Rng, index: int, number: int, where: Float, size: float) -> Entity:
    shape = base_shape(index)
    points, rows = _fine_texels(shape.texel_points * size, shape.texel_material)
    low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    domain = Domain(low=tuple(low.tolist()), high=tuple(high.tolist()), detail=0.03)
    image = np.empty(points.shape, np.float32)
    for k in range(int(rows.max()) + 1):
        material = sample_material(rng, domain, plain=0.1)
        image[rows == k] = material.colors(points[rows == k], 0.005).reshape(-1, *points.shape[1:])
    mesh = Mesh(
        vertices=shape.vertices * size,
        faces=shape.faces,
        corner_uvs=shape.corner_uvs,
        texture=(image * 255 + 0.5).astype(np.uint8),
    )
    pose = np.eye(4)
    pose[:3, :3] = transforms.about_y(rng.uniform(0, 2 * np.pi))[:3, :3]
    pose[:3, 3] = where
    return Entity(
        name=f"{shape.kind}-{number}",
        mesh=mesh,
        rest_world_from_object=pose,
        motion=Motion.still(1, pose),
        provenance={"lifter": "synth", "shape": index},
    )


def _fine_texels(points: Float, rows: Int) -> tuple[Float, Int]:
    """An atlas's surface points and materials with more texels: neighbours are interpolated, strips stay apart."""
    factor = max(1, OBJECT_TEXELS // points.shape[1])
    fine = np.repeat(np.repeat(points, factor, axis=0), factor, axis=1)
    steps = (np.arange(factor) + 0.5) / factor - 0.5
    along = np.gradient(points, axis=1)
    down = np.gradient(points, axis=0)
    shift = np.tile(steps, points.shape[1])[None, :, None] * np.repeat(np.repeat(along, factor, 0), factor, 1)
    shift += np.tile(steps, points.shape[0])[:, None, None] * np.repeat(np.repeat(down, factor, 0), factor, 1)
    return fine + shift, np.repeat(rows, factor)


def _light(rng: Rng) -> Light:
    ambient = float(rng.uniform(0.6, 0.75))
    direction = (float(rng.uniform(-1, 1)), float(rng.uniform(0.6, 1.2)), float(rng.uniform(0.2, 1)))
    return Light(direction_world=direction, ambient=ambient, diffuse=1.05 - ambient)


def _with_photo(room: Room) -> Scene:
    """The room's things with the photo of the room, and where it shows each of them."""
    lens = room.objects.camera.intrinsics
    (photo,) = room.film(room.objects)
    whole = replace(room.objects, entities=(room.shell, *room.objects.entities))
    (frame,) = render_frames(whole, width=lens.width, height=lens.height, normals=False)
    entities = tuple(replace(e, mask=frame.ids == k + 2) for k, e in enumerate(room.objects.entities))
    return replace(room.objects, entities=entities, photo=photo)
