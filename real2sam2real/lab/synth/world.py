"""`sample_clip`: one integer -> a world of textured, moving, closed bodies, and the video that a camera takes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import Intrinsics
from real2sam2real.lab.synth.background import Background, GroundPlane, Painter, compose
from real2sam2real.lab.synth.clip import SynthClip
from real2sam2real.lab.synth.config import WorldConfig
from real2sam2real.lab.synth.layout import Layout, ObjectPlan, View, sample_layout
from real2sam2real.lab.synth.lighting import FrameShader, Lighting, contact_shadows, sample_lighting
from real2sam2real.lab.synth.materials import Domain, SolidTexture, paint, sample_material, sky
from real2sam2real.lab.synth.seeds import TRAIN_SEEDS, Rng, generator, is_held_out
from real2sam2real.lab.synth.shapes import base_shape
from real2sam2real.lab.synth.variety import vary_camera, vary_objects
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import Light, render_frames
from real2sam2real.scene import CameraPath, Entity, Scene

_LAYOUT, _TEXTURES, _BACKGROUND, _CAMERA, _OBJECTS, _LIGHTING = range(6)


def sample_clip(
    seed: int, *, width: int, height: int, frames: int, config: WorldConfig | None = None, fps: float = 16.0
) -> SynthClip:
    """Make the clip of a seed: bit for bit the same in every process and at any thread count.

    Another size shows the same world through the same vertical field of view; another number of frames samples the
    same moves more or less densely.

    Args:
        seed: from `TRAIN_SEEDS` or `HELD_OUT_SEEDS`.
        width: of the video in pixels, 16 or more.
        height: likewise.
        frames: T.
        config: what kinds of worlds to draw; the default distribution if None.
        fps: of the scene; the moves always fill the whole clip.

    Raises:
        ValueError: the seed is in neither range, or a size is too small.
    """
    if min(width, height) < 16 or frames < 1:
        raise ValueError(f"cannot make a clip of {width}×{height}×{frames}; at least 16×16 pixels and one frame")
    config = WorldConfig() if config is None else config
    held_out = is_held_out(seed)
    layout = sample_layout(generator(seed, _LAYOUT), config, held_out=held_out)
    background, light = _sample_surroundings(generator(seed, _BACKGROUND), config, layout)
    grounded = layout.view.ground_y is not None
    lighting = sample_lighting(generator(seed, _LIGHTING), config, light, grounded=grounded)
    layout = vary_camera(generator(seed, _CAMERA), config, layout)
    layout = vary_objects(generator(seed, _OBJECTS), config, layout, held_out=held_out)
    times = np.linspace(0.0, 1.0, frames)
    poses, zoom = layout.camera(times)
    focal = height / layout.view.span
    intrinsics = Intrinsics.from_focal(width, height, focal)
    scene = Scene(
        entities=tuple(
            _entity(plan, k, _texture(generator(seed, _TEXTURES, k), config, layout, plan), times)
            for k, plan in enumerate(layout.objects)
        ),
        camera=CameraPath(world_from_camera=poses, intrinsics=intrinsics, zoom=zoom),
        photo_world_from_camera=poses[0],
        fps=fps,
        ground_y=layout.view.ground_y,
    )
    return _film(seed, scene, background, light, lighting)


def clip_stream(
    first_seed: int = 0, *, step: int = 1, width: int, height: int, frames: int, config: WorldConfig | None = None
) -> Iterator[SynthClip]:
    """Training clips without end: `first_seed`, `first_seed + step`, …, starting over at the end of the range.

    Give worker k of n `first_seed=start + k, step=n`. There is no global state, so any number of processes or threads
    may run streams; in workers set `NUMBA_NUM_THREADS=1`.

    Raises:
        ValueError: the first seed is not a training seed, or the step is not positive.
    """
    if first_seed not in TRAIN_SEEDS or step < 1:
        raise ValueError(f"first_seed {first_seed} must lie in 0…{TRAIN_SEEDS.stop - 1} and step {step} be positive")
    seed = first_seed
    while True:
        yield sample_clip(seed, width=width, height=height, frames=frames, config=config)
        seed = (seed + step) % TRAIN_SEEDS.stop


def _entity(plan: ObjectPlan, number: int, texture: np.ndarray, times: Float) -> Entity:
    """The scene's entity for a plan; its mask is added when the first frame is known."""
    shape = base_shape(plan.shape)
    mesh = Mesh(vertices=shape.vertices * plan.stretch, faces=shape.faces, corner_uvs=shape.corner_uvs, texture=texture)
    motion = plan.move.motion(plan.position, plan.yaw, times)
    if plan.deformation is not None:
        motion = replace(motion, vertices_object=plan.deformation.vertices(mesh.vertices, times))
    return Entity(
        name=f"{shape.kind}-{number + 1}",
        mesh=mesh,
        rest_world_from_object=motion.matrices()[0],
        motion=motion,
        provenance={"lifter": "synth", "shape": plan.shape},
    )


def _texture(rng: Rng, config: WorldConfig, layout: Layout, plan: ObjectPlan) -> np.ndarray:
    """The atlas of one object, with features of the configured size in the first frame."""
    shape = base_shape(plan.shape)
    points = shape.texel_points * plan.stretch
    size = float(plan.extent.max())
    detail = config.detail * layout.view.span * plan.depth
    low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    domain = Domain(low=tuple(low.tolist()), high=tuple(high.tolist()), detail=detail)
    count = int(shape.texel_material.max()) + 1
    materials = [sample_material(rng, domain, vivid=config.vivid, plain=0.2 if k == 0 else 0.6) for k in range(count)]
    return paint(points, shape.texel_material, materials, 0.012 * size)


def _sample_surroundings(rng: Rng, config: WorldConfig, layout: Layout) -> tuple[Background, Light]:
    view = layout.view
    detail = config.detail * view.span
    far_domain = Domain(low=(-0.9, -0.5, 0.0), high=(0.9, 0.6, 0.0), detail=detail)
    vivid = 0.8 * config.vivid
    if view.ground_y is not None and rng.random() < 0.45:
        far = sky(rng, far_domain)
    else:
        far = sample_material(rng, far_domain, vivid=vivid, plain=0.25)
    ground = _sample_ground(rng, view, layout, far, detail, vivid) if view.ground_y is not None else None
    direction = (float(rng.uniform(-1, 1)), float(rng.uniform(0.5, 1.3)), float(rng.uniform(-0.3, 1)))
    ambient = float(rng.uniform(0.45, 0.7))
    shiny = rng.random() < 0.3
    light = Light(
        direction_world=direction,
        ambient=ambient,
        diffuse=1.1 - ambient,
        specular=float(rng.uniform(0.1, 0.35)) if shiny else 0.0,
        shininess=float(rng.uniform(8, 40)),
    )
    shift = -0.25 / direction[1]
    shadow = float(rng.uniform(0.25, 0.6)) if config.shadows else 0.0
    background = Background(
        far=far, ground=ground, shadow=shadow, shadow_shift=(shift * direction[0], shift * direction[2])
    )
    return background, light


def _sample_ground(rng: Rng, view: View, layout: Layout, far: SolidTexture, detail: float, vivid: float) -> GroundPlane:
    distance = float(np.median([plan.depth for plan in layout.objects]))
    half = 1.1
    domain = Domain(low=(-half, -half, 0.0), high=(half, half, 0.0), detail=detail)
    material = sample_material(rng, domain, vivid=0.8 * vivid, plain=0.35)
    along = np.zeros((16, 3))
    along[:, 0] = np.linspace(-0.4, 0.4, 16)
    horizon = far.colors(along, 0.05).mean(axis=0)
    haze = 0.5 * horizon + 0.5 * material.ramp.mean(axis=0)
    return GroundPlane(
        y=float(view.ground_y or 0.0),
        material=material,
        unit=distance,
        centre=(float(layout.focus[0]), float(layout.focus[2])),
        half=half,
        haze_color=haze.astype(np.float32),
        haze_distance=distance * float(rng.uniform(2.0, 5.0)),
    )


def _film(seed: int, scene: Scene, background: Background, light: Light, lighting: Lighting | None) -> SynthClip:
    """Render the scene over its background, in its plain light unless there is a `lighting`."""
    intrinsics = scene.camera.intrinsics
    shape = (scene.frames, intrinsics.height, intrinsics.width)
    painter = Painter(background, scene.camera, intrinsics.width, intrinsics.height)
    shadows, strengths = contact_shadows(scene, background.shadow, background.shadow_shift)
    shader = None if lighting is None else FrameShader(scene, lighting)
    video = np.empty((*shape, 3), np.uint8)
    normals, ids, depth = np.empty((*shape, 3), np.float32), np.empty(shape, np.uint8), np.empty(shape, np.float32)
    rendered = render_frames(
        scene, width=intrinsics.width, height=intrinsics.height, color=True, antialias=True, threads=1,
        light=light if shader is None else None,
    )  # fmt: skip
    for t, frame in enumerate(rendered):
        color, hits = painter.view(t)
        assert frame.color is not None
        assert frame.coverage is not None
        front = frame.color
        if shader is not None:
            color, front = shader.lit_background(t, color, hits), shader.lit_objects(t, frame)
        compose(color, hits, front, frame.coverage, shadows[t], strengths[t], video[t])
        ids[t], depth[t] = frame.ids, frame.depth
        np.multiply(frame.normals, (frame.ids > 0)[..., None], out=normals[t])
    return SynthClip(
        seed=seed,
        scene=_with_photo(scene, video[0], ids[0]),
        light=light if lighting is None else lighting.light,
        lighting=lighting,
        video=video,
        normals=normals,
        ids=ids,
        depth=depth,
    )


def _with_photo(scene: Scene, photo: np.ndarray, ids: np.ndarray) -> Scene:
    """The scene as if lifted from its first frame."""
    masks = [ids == k + 1 for k in range(len(scene.entities))]
    entities = tuple(
        replace(entity, mask=mask if mask.any() else None, in_photo=bool(mask.any()))
        for entity, mask in zip(scene.entities, masks, strict=True)
    )
    return replace(scene, entities=entities, photo=photo.copy())
