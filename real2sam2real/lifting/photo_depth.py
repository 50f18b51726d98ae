"""What the photo's depth says about objects that were lifted from their silhouettes: scale, distance, front surface.

A depth map and a lifted scene agree up to one factor, found where both know the ground, else from the objects. Where an
object touches the ground it stays there, whatever the map says, and a difference is told; what shows no such contact
goes where the map has it. Then its front takes on the map's relief. Everything moves along the photo camera's rays, so
no silhouette changes; the back stays, and nothing becomes thinner than a part of what it was.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Mask
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.depth_fields import nearest_known
from real2sam2real.lifting.outline import interpolated
from real2sam2real.lifting.texture import push_pull
from real2sam2real.mesh import Mesh
from real2sam2real.perceive.view import PhotoView
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

CORE_SHARE = 0.02  # of an object's size: so far within its outline a map mixes it with what is behind
MIN_CORE = 60  # pixels of an object with a depth: fewer say nothing
TOLD_DISTANCE = 1.25  # a factor between the ground's distance of an object and the map's that people are told of
THINNEST = 0.25  # of its thickness that is left of an object where the map would press it flat
SMOOTH_SHARE = 0.015  # of an object's size: the standard deviation of what the map's noise is smoothed by
WIDEST_SHIFT = 2.0  # object thicknesses by which its middle may lean as the map does


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneDepth:
    """The photo's depth in a scene's units."""

    depth: Float  # `(H, W)` along the camera's −Z; NaN where it is unknown
    note: str  # how its scale was found


def depth_for(scene: Scene, view: PhotoView) -> SceneDepth | None:
    """The view's depth at the scale of the scene; None where the view has none, or nothing connects the two."""
    if view.points_camera is None:
        return None
    depth = -view.points_camera[..., 2].astype(np.float64)
    eye = float(scene.photo_world_from_camera[1, 3])
    if view.ground is not None and view.ground.offset < 0 and scene.ground_y is not None and eye > scene.ground_y:
        return SceneDepth(depth=depth * ((eye - scene.ground_y) / -view.ground.offset), note="by the ground")
    ratios = [ratio for entity in scene.entities if (ratio := _ratio(scene, entity, depth)) is not None]
    if not ratios:
        return None
    return SceneDepth(depth=depth / float(np.median(ratios)), note="by the objects' distances")


def in_metres(scene: Scene, view: PhotoView) -> Scene:
    """A scene of a unit of its own at the scale of a metric view; the same where that is not known."""
    if view.unit != "metre" or scene.unit == "metre" or (found := depth_for(scene, view)) is None:
        return scene
    assert view.points_camera is not None
    factor = float(np.nanmedian(-view.points_camera[..., 2] / found.depth))
    poses = scene.camera.world_from_camera.copy()
    poses[:, :3, 3] *= factor
    photo_pose = scene.photo_world_from_camera.copy()
    photo_pose[:3, 3] *= factor
    return replace(
        scene,
        entities=tuple(_scaled(entity, factor) for entity in scene.entities),
        camera=CameraPath(world_from_camera=poses, intrinsics=scene.camera.intrinsics, zoom=scene.camera.zoom),
        photo_world_from_camera=photo_pose,
        ground_y=None if scene.ground_y is None else scene.ground_y * factor,
        unit="metre",
    )


def with_fronts(scene: Scene, view: PhotoView, standing: Collection[str]) -> tuple[Scene, list[str]]:
    """The scene with the depth's distances and fronts for what the embedded lifter made; and notes for people.

    `standing` names the objects whose contact with the ground is seen.
    """
    found = depth_for(scene, view)
    if found is None:
        return scene, []
    entities, notes, shaped = list(scene.entities), [f"the depth map is laid onto the scene {found.note}"], []
    for k, entity in enumerate(entities):
        ratio = _ratio(scene, entity, found.depth) if entity.provenance.get("lifter") == "embedded" else None
        if ratio is None:
            continue
        if entity.name not in standing or scene.ground_y is None:
            entity = _moved_to(scene, entity, 1 / ratio)
            notes.append(f"{entity.name}: as far away as the depth map has it")
            ratio = 1.0
        elif max(ratio, 1 / ratio) > TOLD_DISTANCE:
            notes.append(
                f"{entity.name}: stands on the ground {ratio:.2f} times as far away as the depth map has it; "
                "the ground is believed"
            )
        entities[k] = _with_front(scene, entity, found.depth * ratio)
        shaped.append(entity.name)
    if shaped:
        notes.append(f"front surfaces from the depth map: {', '.join(shaped)}")
    return replace(scene, entities=tuple(entities)), notes


def _scaled(entity: Entity, factor: float) -> Entity:
    rest = entity.rest_world_from_object.copy()
    rest[:3, 3] *= factor
    motion = replace(entity.motion, translation=entity.motion.translation * factor)
    mesh = replace(entity.mesh, vertices=entity.mesh.vertices * factor)
    skin = None if entity.skin is None else entity.skin.transformed(np.diag([factor, factor, factor, 1.0]))
    return replace(entity, mesh=mesh, skin=skin, rest_world_from_object=rest, motion=motion)


def _moved_to(scene: Scene, entity: Entity, factor: float) -> Entity:
    """The same in the photo, `factor` times as far from its camera."""
    eye = scene.photo_world_from_camera[:3, 3]
    rest = entity.rest_world_from_object.copy()
    rest[:3, 3] = eye + factor * (rest[:3, 3] - eye)
    mesh = replace(entity.mesh, vertices=entity.mesh.vertices * factor)
    skin = None if entity.skin is None else entity.skin.transformed(np.diag([factor, factor, factor, 1.0]))
    motion = Motion.still(entity.motion.frames, rest)
    return replace(entity, mesh=mesh, skin=skin, rest_world_from_object=rest, motion=motion)


def _core(mask: Mask) -> Bool:
    """The pixels of an object that lie well within its outline, so that no depth of its surroundings is mixed in."""
    reach = max(2.0, CORE_SHARE * np.sqrt(mask.sum()))
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    core: Bool = distance > min(reach, 0.5 * float(distance.max()))
    return core


def _ratio(scene: Scene, entity: Entity, depth: Float) -> float | None:
    """How many times as far away as by `depth` `(H, W)` an object's front is in the scene; None where unknown."""
    if entity.mask is None or not entity.in_photo or entity.mask.shape != depth.shape:
        return None
    drawn = inverse_depth(_points_camera(scene, entity), entity.mesh.faces, scene.camera.intrinsics)
    usable = _core(entity.mask) & (drawn > 0) & np.isfinite(depth)
    if usable.sum() < MIN_CORE:
        return None
    return float(np.median(1 / (drawn[usable] * depth[usable])))


def _points_camera(scene: Scene, entity: Entity) -> Float:
    matrix = transforms.invert_rigid(scene.photo_world_from_camera) @ entity.rest_world_from_object
    return transforms.apply(matrix, entity.mesh.vertices)


def _with_front(scene: Scene, entity: Entity, depth: Float) -> Entity:
    """The object with its front where `depth` `(H, W)`, brought to its distance, has it."""
    assert entity.mask is not None
    lens = scene.camera.intrinsics
    points = _points_camera(scene, entity)
    front, back = (inverse_depth(points, entity.mesh.faces, lens, farthest=far) for far in (False, True))
    drawn = front > 0
    front, back = (1 / np.where(drawn, each, 1.0) for each in (front, back))
    usable = _core(entity.mask) & drawn & np.isfinite(depth)
    offset = _smooth_offset(np.where(usable, depth - front, 0.0), usable, float(np.sqrt(entity.mask.sum())))
    thickness = back - front
    typical = float(np.quantile(thickness[drawn], 0.9))
    lean = np.zeros_like(offset)
    if entity.provenance.get("shape") == "inflated":  # a fitted solid is turned already, and would be sheared
        lean = np.clip(_plane(offset, usable), -WIDEST_SHIFT * typical, WIDEST_SHIFT * typical)
    bulge = np.clip(offset - lean, -typical, (1 - THINNEST) * thickness)
    moved = _pulled(points, lens, drawn, (front, thickness, lean, bulge))
    pose = transforms.invert_rigid(entity.rest_world_from_object) @ scene.photo_world_from_camera
    mesh: Mesh = replace(entity.mesh, vertices=transforms.apply(pose, moved))
    return replace(entity, mesh=mesh, provenance={**entity.provenance, "front": "depth map"})


def _smooth_offset(offset: Float, usable: Bool, size: float) -> Float:
    """Known offsets `(H, W)` without their noise, continued to where nothing is known."""
    rows, columns = np.nonzero(usable)
    window = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    known = usable[window]
    filled = nearest_known(offset[window], known)[0].astype(np.float32)
    filled = cv2.medianBlur(filled, 5)
    sigma = max(1.0, SMOOTH_SHARE * size)
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), sigma)
    smooth = cv2.GaussianBlur(filled * known, (0, 0), sigma)
    result = np.zeros(offset.shape, np.float32)
    result[window] = np.where(weight > 1e-3, smooth / np.maximum(weight, 1e-3), filled)
    near = np.zeros(offset.shape, bool)
    near[window] = True
    return nearest_known(result, near)[0].astype(np.float64)


def _plane(offset: Float, usable: Bool) -> Float:
    """`(H, W)`: the plane through the offsets of the usable pixels, least squares."""
    rows, columns = np.nonzero(usable)
    matrix = np.stack([rows, columns, np.ones(len(rows))], axis=1).astype(np.float64)
    a, b, c = np.linalg.lstsq(matrix, offset[usable], rcond=None)[0]
    row, column = np.mgrid[: offset.shape[0], : offset.shape[1]]
    return np.asarray(a * row + b * column + c)


def _pulled(points: Float, lens: Intrinsics, drawn: Bool, fields: tuple[Float, Float, Float, Float]) -> Float:
    """Points `(V, 3)` moved along their rays: all by the lean, and by the bulge the more the nearer to the front."""
    pixels, depth = lens.project(points)
    nodes = np.clip(np.nan_to_num(pixels[:, ::-1] - 0.5), 0, [lens.height - 1, lens.width - 1])
    front, thickness, lean, bulge = (interpolated(nearest_known(each, drawn)[0], nodes) for each in fields)
    share = np.clip((front + thickness - depth) / np.maximum(thickness, 1e-9), 0, 1)
    wanted = np.maximum(depth + lean + share * bulge, 0.1 * depth)
    return points * (wanted / depth)[:, None]


def filled_behind(inverse: Float, hole: Bool) -> Float:
    """Inverse depth `(H, W)` with a hole filled smoothly from around it; a plane that runs into it goes on."""
    known = (~hole).astype(np.float32)
    color = np.repeat((inverse * known)[..., None], 3, axis=2).astype(np.float32)
    filled = np.where(hole, push_pull(color, known)[..., 0], inverse)
    for sigma in (16.0, 8.0, 4.0, 2.0, 1.0, 1.0):  # towards the solution of Laplace's equation
        for _ in range(8):
            filled = np.where(hole, cv2.GaussianBlur(filled, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), inverse)
    return filled
