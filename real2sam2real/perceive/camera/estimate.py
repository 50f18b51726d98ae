"""`estimate_camera`: from a photo and the masks of its entities to intrinsics, depth, gravity, unit and ground."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from real2sam2real.arrays import Float, Float32, Mask
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.depth import (
    FAR_METRES,
    WORKING_SIDE,
    DepthEstimate,
    DepthEstimator,
    pointmap,
    resized_depth,
)
from real2sam2real.perceive.camera.depth_file import read_depth_file
from real2sam2real.perceive.camera.gravity import pitch_roll_of, up_of, vote_gravity
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.camera.planes import (
    LevelPlane,
    level_planes,
    steadied_normals,
    supporting_plane,
    with_normal,
)
from real2sam2real.perceive.camera.surfaces import find_surfaces
from real2sam2real.perceive.intrinsics import estimate_intrinsics, extents, horizon_row
from real2sam2real.perceive.photo import Photo
from real2sam2real.perceive.view import PhotoView, Plane

MIN_KNOWN = 0.02  # of the photo's pixels need a depth; with fewer the estimator saw nothing
TOLD_FOCAL = 0.1  # relative difference between the given and the estimated focal length that people are told of
HORIZON_PITCH_DEGREES = (-20.0, 80.0)
UP_IS_UNKNOWN = "which way is up cannot be told without depth; --pitch says how far the camera looks down"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Upright:
    """Which way is up and what lies level: None where it is not known."""

    up_camera: Float | None = None  # `(3,)` unit vector
    ground: LevelPlane | None = None  # the plane that things stand on
    gravity_facts: dict[str, object] = field(default_factory=lambda: {"source": "none"})  # how the first was found
    ground_facts: dict[str, object] = field(default_factory=lambda: {"source": "none"})  # and the second
    notes: tuple[str, ...] = ()  # the same for people


def load_estimator(options: ViewOptions) -> DepthEstimator | None:
    """Load the estimator that the options name; None for "none", and for a file.

    Raises:
        MissingPartError: its package or its weights are not on this machine.
        UserError: the weights are not the estimator's.
    """
    if options.depth == "depth-pro":
        from real2sam2real.perceive.camera.depth_pro import DepthPro

        return DepthPro.load(options.depth_model, offline=options.offline)
    if options.depth == "moge":
        from real2sam2real.perceive.camera.moge import MoGe

        return MoGe.load(options.depth_model, offline=options.offline)
    return None


def estimate_camera(
    photo: Photo,
    masks: Mapping[str, Mask],
    options: ViewOptions | None = None,
    *,
    estimator: DepthEstimator | None = None,
) -> PhotoView:
    """What the photo says about its camera and the world in front of it. docs/camera.md says where each comes from.

    Args:
        photo: at the size that the view is for; an estimator sees at most 1536 pixels along the longer side of it.
        masks: `(H, W)` bool by entity name; the ground is looked for beside them and under them.
        options: what is known, and which estimator to load.
        estimator: one that is loaded already, for many photos; used in place of the one that the options name.

    Raises:
        MissingPartError: the estimator's package or weights are not on this machine.
        UserError: the estimator's weights are not its own, it returns something else than it should, or a depth map
            cannot be used.
        ValueError: a mask has another size than the photo.
    """
    options = options or ViewOptions()
    for name, mask in masks.items():
        if mask.shape != photo.pixels.shape[:2]:
            raise ValueError(f"the mask '{name}' has shape {mask.shape}; the photo's is {photo.pixels.shape[:2]}")
    fov = options.horizontal_fov(photo.width)
    prior, focal_note = estimate_intrinsics(photo, fov, masks=masks)
    focal_source = "user" if fov is not None else "exif" if photo.focal_px is not None else "default"
    estimator = estimator or _own_depth(photo, masks, prior, options) or load_estimator(options)
    intrinsics, points, metric = prior, None, False
    depth_facts: dict[str, object] = {}
    depth_notes: list[str] = []
    if estimator is None:
        upright = _upright_from_masks(prior, masks.values(), options)
    else:
        known = prior.fx if focal_source != "default" else None
        estimate, points, intrinsics = _estimated(photo, estimator, known, prior.fx)
        if estimate.focal_source == "model":
            focal_source = estimator.name
            focal_note = f"field of view {intrinsics.horizontal_fov_degrees:.0f}°, as {estimator.name} sees it"
        metric, depth_facts = estimate.metric, {"depth": _depth_facts(estimator, estimate, points)}
        depth_notes = _depth_notes(estimator, estimate, points)
        upright = _upright_from_points(points, estimate, intrinsics, masks, options)
    level = upright.ground
    focal_facts = {"source": focal_source, "fov_degrees": intrinsics.horizontal_fov_degrees}
    return PhotoView(
        intrinsics=intrinsics,
        points_camera=points,
        up_camera=upright.up_camera,
        ground=None if level is None else Plane(normal=level.up_camera, offset=-level.height),
        unit="metre" if metric else "unit",
        provenance={
            "lens": focal_facts,
            **depth_facts,
            "gravity": upright.gravity_facts,
            "ground": upright.ground_facts,
        },
        notes=(focal_note, *depth_notes, *upright.notes),
    )


def _own_depth(
    photo: Photo, masks: Mapping[str, Mask], prior: Intrinsics, options: ViewOptions
) -> DepthEstimator | None:
    """The user's depth map, where the options name one."""
    if options.depth_file is None:
        return None
    pitch = _pitch_of_masks(prior, masks.values()) if options.pitch is None else options.pitch
    horizon = None if pitch is None else prior.cy - prior.fy * float(np.tan(np.radians(pitch)))
    size = (photo.width, photo.height)
    return read_depth_file(options.depth_file, options.depth_kind, size=size, masks=masks.values(), horizon=horizon)


def _estimated(
    photo: Photo, estimator: DepthEstimator, known: float | None, assumed: float
) -> tuple[DepthEstimate, Float32, Intrinsics]:
    """The estimate at the estimator's size; the pointmap `(H, W, 3)` and intrinsics at the photo's."""
    scale = min(1.0, WORKING_SIDE / max(photo.width, photo.height))
    width, height = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    shown = photo if (width, height) == (photo.width, photo.height) else photo.resized(width, height)
    zoom = width / photo.width
    estimate = estimator.estimate(
        shown.pixels, known_focal=None if known is None else known * zoom, assumed_focal=assumed * zoom
    )
    # A given focal length is kept to the last bit; only the model's own has to be brought to the photo's size.
    focal = known if known is not None else assumed if estimate.focal_source == "assumed" else estimate.focal_px / zoom
    intrinsics = Intrinsics.from_focal(photo.width, photo.height, focal)
    depth = resized_depth(estimate.depth, photo.width, photo.height)
    return estimate, pointmap(depth, intrinsics), intrinsics


def _depth_notes(estimator: DepthEstimator, estimate: DepthEstimate, points: Float32) -> list[str]:
    unit = "in metres" if estimate.metric else "of unknown scale"
    notes = [f"depth {unit} by {estimator.name} ({estimator.licence})"]
    own = estimate.model_focal_px
    if estimate.focal_source == "given" and own and abs(np.log(own / estimate.focal_px)) > TOLD_FOCAL:
        mine = np.degrees(2 * np.arctan(estimate.depth.shape[1] / (2 * own)))
        notes.append(f"{estimator.name} alone would say a field of view of {mine:.0f}°; the given one is used")
    if estimate.focal_source == "assumed":
        notes.append(f"{estimator.name} does not tell the field of view of this photo")
    if (share := _known_share(points)) < MIN_KNOWN:
        notes.append(f"{estimator.name} finds a surface in {share:.1%} of the photo only; its depth says little")
    return notes


def _depth_facts(estimator: DepthEstimator, estimate: DepthEstimate, points: Float32) -> dict[str, object]:
    own = estimate.model_focal_px
    return {
        "estimator": estimator.name,
        "model": estimator.model,
        "metric": estimate.metric,
        "seen_at": [estimate.depth.shape[1], estimate.depth.shape[0]],
        "own_focal_px": None if own is None else own * points.shape[1] / estimate.depth.shape[1],
        "known_share": _known_share(points),
        "farthest_metres": FAR_METRES if estimate.metric else None,
    }


def _known_share(points: Float32) -> float:
    return float(np.isfinite(points[..., 2]).mean())


def _upright_from_masks(intrinsics: Intrinsics, masks: Iterable[Mask], options: ViewOptions) -> _Upright:
    """Up without depth: as given, else from how objects shrink towards the horizon; no ground, for lack of scale."""
    roll = options.roll or 0.0
    if options.pitch is not None:
        return _seen_up(options.pitch, roll, "user", "pitch as given")
    pitch = _pitch_of_masks(intrinsics, masks)
    if pitch is None:
        return _Upright(notes=(UP_IS_UNKNOWN,))
    source = "sizes of the objects"
    return _seen_up(pitch, roll, source, f"camera looks down by {pitch:.0f}°, from the {source}")


def _pitch_of_masks(intrinsics: Intrinsics, masks: Iterable[Mask]) -> float | None:
    """Degrees that the camera looks down, as the sizes of the objects tell; None where they do not."""
    row = horizon_row(*extents(masks), intrinsics.height)
    pitch = None if row is None else float(np.degrees(np.arctan((intrinsics.cy - row) / intrinsics.fy)))
    low, high = HORIZON_PITCH_DEGREES
    return pitch if pitch is not None and low <= pitch <= high else None


def _seen_up(pitch: float, roll: float, source: str, note: str) -> _Upright:
    facts = _gravity_facts(source, pitch, roll)
    return _Upright(up_camera=up_of(pitch, roll), gravity_facts=facts, notes=(note,))


def _gravity_facts(source: str, pitch: float, roll: float) -> dict[str, object]:
    return {"source": source, "pitch_degrees": pitch, "roll_degrees": roll}


def _upright_from_points(
    points: Float32, estimate: DepthEstimate, intrinsics: Intrinsics, masks: Mapping[str, Mask], options: ViewOptions
) -> _Upright:
    """Up and ground from the surfaces in the pointmap, as far as they are not given."""
    surfaces = find_surfaces(points, intrinsics, masks.values(), estimate.normals_camera)
    surfaces = replace(surfaces, normals_camera=steadied_normals(surfaces))
    # The cells beside the entities vote; entities lean and curve as they like.
    usable = surfaces.free & np.isfinite(surfaces.normals_camera).all(axis=-1)
    gravity = vote_gravity(surfaces.normals_camera[usable], pitch=options.pitch, roll=options.roll)
    if gravity is None or not (gravity.is_seen or options.pitch is not None):
        upright = _upright_from_masks(intrinsics, masks.values(), options)
        return replace(upright, notes=("no surface in the depth tells which way is up", *upright.notes))
    given = [value is not None for value in (options.pitch, options.roll)]
    planes = level_planes(surfaces, gravity.up_camera, tilts=not all(given))
    up = _refined(gravity.up_camera, planes, options)
    planes = [with_normal(plane, surfaces, up) for plane in planes]
    pitch, roll = pitch_roll_of(up)
    source = "user" if all(given) else "user and surfaces" if any(given) else "surfaces"
    facts = _gravity_facts(source, pitch, roll) | {"flat_share": gravity.flat, "upright_share": gravity.upright}
    turned = f" and is turned by {roll:+.0f}°" if abs(roll) >= 1 else ""
    note = f"camera looks down by {pitch:.0f}°{turned}, {'as given' if all(given) else 'from the surfaces it sees'}"
    found = supporting_plane(planes, points, masks.values())
    if found is None:
        return _Upright(up_camera=up, gravity_facts=facts, notes=(note, "no ground is seen"))
    ground, standing = found
    share = ground.support / surfaces.cells
    length = f"{ground.height:.2f} m" if estimate.metric else f"{ground.height:.3g} units"
    return _Upright(
        up_camera=up,
        ground=ground,
        gravity_facts=facts,
        ground_facts={
            "source": "surfaces",
            "height": ground.height,
            "inlier_share": share,
            "entities_on_it": standing,
            "level_planes": len(planes),
        },
        notes=(note, f"the ground lies {length} below the camera; {share:.0%} of the photo shows it"),
    )


def _refined(up_camera: Float, planes: list[LevelPlane], options: ViewOptions) -> Float:
    """The best supported level plane's normal, which is surer than any cell's; what is given stays as it is."""
    if not planes:
        return up_camera
    pitch, roll = pitch_roll_of(planes[0].up_camera)
    return up_of(pitch if options.pitch is None else options.pitch, roll if options.roll is None else options.roll)
