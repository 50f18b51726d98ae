"""The preview: the shot without any learned part, for a look before time is spent on generating it.

Layers, from the back: the photo with the places of moved objects painted over (`plate`), seen from the frame's camera
(`backdrop`); soft contact shadows; the textured meshes. Where an object and the camera are as in the photo,
the photo itself is shown, so the first frame of a shot that starts at rest is exactly the photo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numba
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, UInt8
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.edge_softness import SOFTEST, edge_sigma
from real2sam2real.rendering import backdrop, staging
from real2sam2real.rendering.billboards import billboard_entities, billboard_opacity
from real2sam2real.rendering.frame import Frame
from real2sam2real.rendering.inpaint import Inpainter, inpaint
from real2sam2real.rendering.matte import soften
from real2sam2real.rendering.ordered_map import ordered_map
from real2sam2real.rendering.plate import Plate, find_object_areas
from real2sam2real.rendering.relief import LayeredRelief
from real2sam2real.rendering.renderer import render_frames
from real2sam2real.scene import Billboard, Entity, Scene

_LEAVING = 0.04  # the shadow that the photo shows is gone when its object has moved by this share of its size
_REST_SHADOW = 0.8  # how dark the ground is under an object that still stands where the photo shows it
_SERIAL_WORK = 2_000_000  # pixels of all frames, below which starting threads costs more than it saves
_FOOT = 0.2  # the lowest share of an object's height whose outline throws the shadow
WALL = 0.9
"""The background's wall stands this many times as far away as the farthest corner of the photo's objects.

What stands upright in the photo without being an object leans as soon as it is taken for ground. Little of it stands
nearer than the objects do, and a floor that runs up a backdrop beyond them is hardly seen.
"""


def preview_frames(
    scene: Scene,
    *,
    width: int,
    height: int,
    frames: Sequence[int] | None = None,
    inpainter: Inpainter = inpaint,
) -> Iterator[UInt8]:
    """Draw a shot with the photo's own pixels, resampled to this size: `(height, width, 3)` uint8 for each frame.

    Entities need not have masks; the outline of their mesh at rest serves in place of one. Places are painted over
    before the first picture comes, by the `inpainter`. `frames` are the numbers of those to draw, all if None.

    Raises:
        UserError: the scene has no photo, or a mask has another size than the photo.
        ValueError: the size is not positive, or a frame is outside the shot.
    """
    photo = scene.photo
    if photo is None:
        raise UserError("the scene has no photo, so there is nothing to show a preview over; lift it from a photo.")
    shown: list[Entity | Billboard] = [*scene.entities, *scene.removed, *scene.billboards]
    for thing in shown:
        if thing.mask is not None and thing.mask.shape != photo.shape[:2]:
            raise UserError(
                f"the mask of '{thing.name}' is {thing.mask.shape[1]}×{thing.mask.shape[0]} but the photo is "
                f"{photo.shape[1]}×{photo.shape[0]}; masks are drawn on the photo's own pixels."
            )
    numbers = range(scene.frames) if frames is None else list(frames)
    billboards = billboard_entities(scene)[: 255 - len(scene.entities)]
    scene = replace(scene, entities=(*scene.entities, *billboards))
    rendered = render_frames(
        scene, width=width, height=height, frames=numbers, normals=False, color=True, antialias=True
    )
    layers = _SharedLayers(scene, billboards, photo, (width, height), inpainter)
    jobs = layers.jobs(numbers, rendered)
    if width * height * len(numbers) < _SERIAL_WORK:
        return map(layers.draw, jobs)
    return ordered_map(layers.draw, jobs, threads=numba.config.NUMBA_NUM_THREADS)


@dataclass(frozen=True, kw_only=True, eq=False)
class _FrameJob:
    """What the layers of one frame are drawn from; the plate and its surroundings are those of many frames."""

    number: int
    frame: Frame
    plate: UInt8
    painted: UInt8
    background: backdrop.BoundlessPicture | None  # None where the camera rests


class _SharedLayers:
    def __init__(
        self, scene: Scene, billboards: list[Entity], photo: UInt8, size: tuple[int, int], inpainter: Inpainter
    ) -> None:
        width, height = size
        self.inpainter = inpainter
        self.scene = scene  # whose last entities are the billboards
        self.billboards = billboards
        self.camera = scene.camera.resized(width, height)
        self.camera_rests = staging.camera_rests(scene, self.camera)
        self.displaced, self.shadow_left = self._departures()
        if photo.shape[:2] != (height, width):
            photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        self.in_photo = [k for k, entity in enumerate(scene.entities) if entity.in_photo]
        self.removed = [entity for entity in scene.removed if entity.in_photo]
        self.background = backdrop.GroundAndWall(
            world_from_camera=scene.photo_world_from_camera,
            intrinsics=self.camera.intrinsics,
            ground_y=scene.ground_y,
            wall_distance=staging.wall_distance(scene, WALL),
        )
        self.relief: LayeredRelief | None = None
        if scene.background is not None and not self.camera_rests.all():
            eyes = self.camera.world_from_camera[~self.camera_rests, :3, 3]
            pose, lens = scene.photo_world_from_camera, self.camera.intrinsics
            self.relief = LayeredRelief(scene.background, pose, lens, eyes)
        bodies = _bodies(self.scene, width, height)
        softness = [edge_sigma(photo, body) for body in bodies]
        self.softness = {k: sigma for k, sigma in zip(self.in_photo, softness, strict=False) if sigma}
        self.places = find_object_areas(photo, bodies, softness, rough=self._stands_forever())
        self.plate = self._make_plate(photo)
        self.margins = backdrop.Margins.of(self._coarse_lookups(), width, height)
        self.widened = self.margins.widened(self.plate.emptied, inpainter)
        behind = [] if self.relief is None else self.relief.fill(self.plate.emptied, inpainter)
        self.behind = [backdrop.BoundlessPicture(self.margins.paste(each, self.widened)) for each in behind]

    def _departures(self) -> tuple[Bool, Float]:
        """`(T, N)` each: is an entity not as the photo shows it; how far (0…1) has its shadow left with it."""
        shape = (self.scene.frames, len(self.scene.entities))
        displaced, shadow_left = np.ones(shape, bool), np.ones(shape)
        for k, entity in enumerate(self.scene.entities):
            if entity.in_photo:
                distance = staging.displacement(entity)
                moved = distance > staging.still_distance(self.scene, entity, self.camera)
                fraction = np.clip(distance / (_LEAVING * staging.size(entity)), 0, 1)
                shadow_left[:, k] = np.where(moved, fraction * fraction * (3 - 2 * fraction), 0)
                displaced[:, k] = moved | ~self.camera_rests
        return displaced, shadow_left

    def _make_plate(self, photo: UInt8) -> Plate:
        ever_left = [bool(self.displaced[:, k].any()) for k in self.in_photo] + [True] * len(self.removed)
        forever = self._stands_forever()
        shadows = [
            None if stands else self._rest_shadow(self.scene.entities[k])
            for k, stands in zip(self.in_photo, forever, strict=False)
        ]
        return Plate(photo, self.places, ever_left, shadows + [None] * len(self.removed), self.inpainter, forever)

    def _stands_forever(self) -> list[bool]:
        """For each of the places, the removed entities' last, whether it is a billboard's."""
        first = len(self.scene.entities) - len(self.billboards)
        return [k >= first for k in self.in_photo] + [False] * len(self.removed)

    @property
    def _throws_shadows(self) -> bool:
        """Not where the background is known and has no ground."""
        return self.scene.ground_y is not None or self.scene.background is None

    def _rest_shadow(self, entity: Entity) -> Float32 | None:
        if not self._throws_shadows:
            return None
        vertices = transforms.apply(entity.rest_world_from_object, entity.mesh.vertices)
        pose = self.scene.photo_world_from_camera
        ground = _ground_below(self.scene, entity)
        return contact_shadow(vertices, ground, pose, self.camera.intrinsics, strength=_REST_SHADOW)

    def _coarse_lookups(self) -> Iterator[Float32]:
        """Where the frames look at the background, at a few pixels that include the corners' neighbourhood."""
        for number in np.flatnonzero(~self.camera_rests).tolist():
            pose, intrinsics = self.camera.world_from_camera[number], self.camera.intrinsics_at(number).resized(48, 27)
            flat = self.background.lookup(pose, intrinsics)
            if self.relief is not None:
                first = self.relief.lookups(pose, intrinsics)[0]
                flat = np.where(np.isfinite(first), first, flat)
            yield flat

    def jobs(self, numbers: Iterable[int], rendered: Iterable[Frame]) -> Iterator[_FrameJob]:
        """What the renderer gave for each frame, with the plate behind it."""
        pasted: UInt8 | None = None
        background: backdrop.BoundlessPicture | None = None
        for number, frame in zip(numbers, rendered, strict=True):
            left = [(float(self.displaced[number, k]), float(self.shadow_left[number, k])) for k in self.in_photo]
            plate, painted = self.plate.at(left + [(1.0, 1.0)] * len(self.removed))
            rests = bool(self.camera_rests[number])
            if not rests and plate is not pasted:
                pasted, background = plate, backdrop.BoundlessPicture(self.margins.paste(plate, self.widened))
            seen = None if rests else background
            yield _FrameJob(number=number, frame=frame, plate=plate, painted=painted, background=seen)

    def draw(self, job: _FrameJob) -> UInt8:
        """One frame of the preview `(H, W, 3)`."""
        number, frame = job.number, job.frame
        background = job.plate if job.background is None else self._seen_from(number, job.background)
        picture = np.empty_like(background)
        coverage, color = self._matte(number, frame)
        shown = self._shown(number, frame, coverage, job.painted)
        _mix(background, self._light(number), color, shown, picture)
        return picture

    def _seen_from(self, number: int, background: backdrop.BoundlessPicture) -> UInt8:
        pose, intrinsics = self.camera.world_from_camera[number], self.camera.intrinsics_at(number)
        flat = self.background.lookup(pose, intrinsics, (self.margins.left, self.margins.top))
        if self.relief is None:
            return background.sample(flat)
        lookups = [self.margins.shift(each) for each in self.relief.lookups(pose, intrinsics)]
        return self.relief.draw(lookups, flat, [background.sample, *(each.sample for each in self.behind)])

    def _matte(self, number: int, frame: Frame) -> tuple[Float32, UInt8]:
        """How much of each pixel is a mesh, and its colour: outlines that are soft in the photo stay as soft."""
        coverage, color = np.asarray(frame.coverage, np.float32), np.asarray(frame.color)
        zoom = float(self.camera.zoom[number])
        for k, sigma in self.softness.items():
            if self.displaced[number, k] and self.scene.entities[k].motion.visible[number]:
                nearer = staging.nearest_depth(self.scene, self.scene.entities[k]) / self._depth_of(k, number)
                coverage, color = soften(coverage, color, frame.ids, k + 1, min(sigma * zoom * nearer, SOFTEST))
        return coverage, color

    def _depth_of(self, k: int, number: int) -> float:
        """How far an entity's nearest point is from a frame's camera, along its axis."""
        camera_from_world = transforms.invert_rigid(self.camera.world_from_camera[number])
        corners = (
            self.scene.entities[k].motion.matrices()[number]
            @ np.c_[staging.corners_object(self.scene.entities[k]), np.ones(8)].T
        )
        return max(float(-(camera_from_world @ corners)[2].max()), 1e-6)

    def _shown(self, number: int, frame: Frame, coverage: Float32, painted: UInt8) -> Float32:
        """`(H, W)`: how much of each pixel is a mesh: its coverage, but nothing where the photo shows the same."""
        if self.billboards:
            opacity = np.ones(len(self.scene.entities) + 1, np.float32)
            opacity[-len(self.billboards) :] = billboard_opacity(self.scene, self.billboards, number)
            coverage = coverage * opacity[frame.ids]
        if self.displaced[number].all():
            return coverage
        differs = np.concatenate([[0], self.displaced[number]]).astype(np.uint8)[frame.ids] * np.uint8(255)
        # At a soft edge the id may be "none" although a displaced object covers part of the pixel.
        reach = 1 + round(2.5 * max((self.softness[k] for k in self.softness if self.displaced[number, k]), default=0))
        kernel = np.ones((2 * reach + 1,) * 2, np.uint8)
        differs = np.maximum(cv2.dilate(differs, kernel) * (frame.ids == 0), differs)
        return coverage * (np.maximum(differs, painted).astype(np.float32) / 255)

    def _light(self, number: int) -> Float32:
        """`(H, W)`: what the contact shadows leave of the light on the ground."""
        light = np.ones((self.camera.intrinsics.height, self.camera.intrinsics.width), np.float32)
        for k, entity in enumerate(self.scene.entities):
            strength = self.shadow_left[number, k]
            if strength > 0 and entity.motion.visible[number] and self._throws_shadows:
                shadow = contact_shadow(
                    entity.vertices_world(number),
                    _ground_below(self.scene, entity),
                    self.camera.world_from_camera[number],
                    self.camera.intrinsics_at(number),
                )
                if shadow is not None:
                    light *= 1 - shadow * np.float32(strength)
        for k, place in zip(self.in_photo, self.places, strict=False):  # those of removed entities come last
            if not self.displaced[number, k]:
                light[place.window][place.body] = 1  # it stands before the ground that the shadows lie on
        return light


def _ground_below(scene: Scene, entity: Entity) -> float:
    """The scene's ground, or the height on which the entity stood in the photo where none is known."""
    if scene.ground_y is not None:
        return scene.ground_y
    rest = entity.rest_world_from_object
    return float((entity.mesh.vertices @ rest[1, :3] + rest[1, 3]).min())


def emptied_photo(scene: Scene, inpainter: Inpainter = inpaint) -> UInt8:
    """The scene's photo `(H, W, 3)` uint8 with the places of all its objects, and of their shadows, painted over.

    Raises:
        UserError: the scene has no photo.
    """
    photo = scene.photo
    if photo is None:
        raise UserError("the scene has no photo, so no place can be painted over; lift it from a photo.")
    places = find_object_areas(photo, _bodies(scene, photo.shape[1], photo.shape[0]))
    return Plate(photo, places, [True] * len(places), [None] * len(places), inpainter).emptied


def _bodies(scene: Scene, width: int, height: int) -> list[Bool]:
    """Per object of the photo, then per removed one: its pixels `(height, width)` bool."""
    shown = [entity for entity in (*scene.entities, *scene.removed) if entity.in_photo]
    drawn = np.zeros((height, width), np.uint8)
    if any(entity.mask is None for entity in shown):
        drawn = next(render_frames(staging.at_rest(scene), width=width, height=height)).ids
    bodies = []
    for number, entity in enumerate(shown, start=1):
        if entity.mask is None:
            bodies.append(drawn == number)
        else:
            mask = cv2.resize(entity.mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            bodies.append(mask >= 0.5)
    return bodies


def contact_shadow(
    vertices_world: Float, ground_y: float, world_from_camera: Float, intrinsics: Intrinsics, *, strength: float = 0.55
) -> Float32 | None:
    """`(H, W)` float32 in 0…1: the share of light that an object of vertices `(V, 3)` takes from the ground below it.

    This is no light simulation: the outline of the object's foot is laid on the ground and blurred, the more and the
    fainter the higher the object floats. `strength` is lost in the middle, when it stands on the ground.

    None where there is nothing for the camera, at a pose `(4, 4)`, to see: the object reaches below the ground, floats
    high above it, or part of its shadow is behind the camera.
    """
    low, high = vertices_world.min(axis=0), vertices_world.max(axis=0)
    height = max(float(high[1] - low[1]), 1e-9)
    lift = (float(low[1]) - ground_y) / height
    if not -0.25 < lift < 1.5 or world_from_camera[1, 3] <= ground_y:
        return None
    foot = vertices_world[vertices_world[:, 1] <= low[1] + _FOOT * height]
    hull = cv2.convexHull(np.ascontiguousarray(foot[:, [0, 2]], np.float32))[:, 0]
    corners = np.column_stack([hull[:, 0], np.full(len(hull), ground_y), hull[:, 1]])
    pixels, depth = intrinsics.project(transforms.apply(transforms.invert_rigid(world_from_camera), corners))
    if len(pixels) < 3 or not (depth > 1e-3).all() or np.abs(pixels).max() > 30000:
        return None
    shape = (intrinsics.height, intrinsics.width)
    extent = float(np.sqrt(max(cv2.contourArea(pixels.astype(np.float32)), 1.0)))
    sigma = max(0.7, extent * (0.05 + 0.25 * max(lift, 0.0)))
    margin = int(3 * sigma) + 2
    left, top = np.clip(np.floor(pixels.min(axis=0)) - margin, 0, shape[::-1]).astype(int)
    right, bottom = np.clip(np.ceil(pixels.max(axis=0)) + margin, 0, shape[::-1]).astype(int)
    if right <= left or bottom <= top:
        return None
    blob = np.zeros((bottom - top, right - left), np.float32)
    fixed_point = np.rint((pixels - 0.5 - (left, top)) * 16).astype(np.int32)
    cv2.fillConvexPoly(blob, fixed_point, 1.0, lineType=cv2.LINE_8, shift=4)
    shadow = np.zeros(shape, np.float32)
    strength *= float(np.exp(-2.0 * max(lift, 0.0)))
    shadow[top:bottom, left:right] = strength * cv2.GaussianBlur(blob, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return shadow


@numba.njit(cache=True, nogil=True)
def _mix(background, light, color, shown, picture):  # type: ignore[no-untyped-def]
    half = np.float32(0.5)
    one = np.float32(1.0)
    for row in range(shown.shape[0]):
        for column in range(shown.shape[1]):
            share = shown[row, column]
            for channel in range(3):
                value = background[row, column, channel] * light[row, column] * (one - share)
                picture[row, column, channel] = np.uint8(value + color[row, column, channel] * share + half)
