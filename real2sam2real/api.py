"""The package as functions: a photo becomes a scene, a shot, a control, a video. Values in, values out.

Nothing is written and nothing is said; what a person should know is in the result's notes or is logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Mask, UInt8
from real2sam2real.control.folder import Control
from real2sam2real.control.normal_convention import OPENGL
from real2sam2real.diffusion.conditioning import to_frames
from real2sam2real.diffusion.fitting import fit_control
from real2sam2real.diffusion.generate import stream_segments, working_size
from real2sam2real.diffusion.loading import load_model, locate
from real2sam2real.diffusion.options import ModelOptions
from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.photo import Photo
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.overlaps import MaskRequest, collect_masks
from real2sam2real.perceive.segment.segmenter import Segmenter
from real2sam2real.rendering import render_frames
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.run import lifting
from real2sam2real.run.directing import open_scene, with_defaults
from real2sam2real.run.photo import WorkingPhoto, read_photo
from real2sam2real.scene.folder import save_scene
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.shot import Shot, load_shot

__all__ = ["direct", "generate", "lift", "load_scene", "preview", "render", "save_scene"]

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the photo."""


def lift(
    photo: Path | str | UInt8,
    objects: Mapping[str, Path | str | Box | Mask],
    *,
    view: ViewOptions | None = None,
    options: LiftOptions | None = None,
    offline: bool = False,
) -> Scene:
    """Lift objects of a photo to closed meshes that stand where the photo shows them.

    Args:
        photo: a file, or `(H, W, 3)` uint8 sRGB pixels.
        objects: by name, each a mask picture's file, a box around it, or `(H, W)` bool.
        view: what is known of the camera; estimated where it is not given.
        options: which lifter makes which mesh, meshes of your own, contact.
        offline: never reach for the network.

    Returns:
        The scene at rest: one frame, seen by the photo's own camera.

    Raises:
        MissingPartError: a model or a lifter's environment is not there.
        UserError: the photo, an object or a mesh cannot be used.
    """
    working = WorkingPhoto(Photo(pixels=photo), 1.0, ()) if isinstance(photo, np.ndarray) else read_photo(Path(photo))
    view = view or ViewOptions()
    if view.focal is not None:
        view = replace(view, focal=view.focal * working.shrink)
    return lifting.lift(working.photo, _masks(working, objects), view=view, options=options, offline=offline)[0]


def _masks(working: WorkingPhoto, objects: Mapping[str, Path | str | Box | Mask]) -> dict[str, Mask]:
    """Disjoint masks of the working photo's size."""
    if not objects:
        raise UserError("no object was named, so nothing can be lifted; give at least one mask or box")
    size = working.photo.width, working.photo.height
    masks: dict[str, Mask] = {}
    boxes: dict[str, Sequence[float]] = {}
    for name, given in objects.items():
        if isinstance(given, np.ndarray):
            if given.shape != size[::-1] or given.dtype != bool:
                raise UserError(f"the mask '{name}' is {given.shape} {given.dtype}; the photo needs {size[::-1]} bool")
            masks[name] = given
        elif isinstance(given, (str, Path)):
            masks |= load_masks([f"{name}={given}"], *size)
        else:
            boxes[name] = [value * working.shrink for value in given]
    opened = Segmenter(SegmentOptions()).open(working.photo.pixels)
    return collect_masks(opened, MaskRequest(masks=masks, boxes=boxes))


def direct(
    scene: Scene,
    shot: Shot | Path | str | None = None,
    *,
    camera: str | Sequence[str] = (),
    moves: Mapping[str, str] | None = None,
    remove: Sequence[str] = (),
    frames: int | None = None,
) -> Scene:
    """Give a scene its motions.

    Args:
        scene: as lifted or loaded.
        shot: a shot, or a shot file's path.
        camera: camera moves in words, such as "orbit 20deg around car; dolly in 10%".
        moves: an object's moves in words by its name, such as "forward 2, turn right 25deg".
        remove: objects that are taken out of the photo.
        frames: length T = 4k + 1; None keeps the shot's, else the scene's, else takes 49.

    Raises:
        UserError: a word, name or unit is unknown, or the shot does not fit the scene.
    """
    words = Shot.from_flags(
        camera=[camera] if isinstance(camera, str) else camera,
        move=[f"{name}: {text}" for name, text in (moves or {}).items()],
        remove=remove,
        frames=frames,
    )
    if shot is not None:
        words = (shot if isinstance(shot, Shot) else load_shot(shot)).merged(words)
    if scene.frames == 1 and words.frames is None:
        words = with_defaults(words)
    return words.apply(scene)


def render(scene: Scene, *, size: tuple[int, int] | None = None) -> Control:
    """What steers the video model: instance-masked normals and ids at every frame.

    Args:
        scene: directed; it has a photo.
        size: width and height in pixels; None takes what `mini` generates at.

    Raises:
        UserError: the scene has no photo.
    """
    if scene.photo is None:
        raise UserError("the scene has no photo, which the video model needs; lift one")
    width, height = size or working_size("mini", scene.photo.shape[1], scene.photo.shape[0])
    frames = list(render_frames(scene, width=width, height=height))
    return Control(
        normals=np.stack([OPENGL.encode(frame.normals, frame.ids) for frame in frames]),
        ids=np.stack([frame.ids for frame in frames]),
        photo=Photo(pixels=scene.photo).resized(width, height).pixels,
        prompt=scene.prompt,
        fps=scene.fps,
        names=tuple(scene.names),
    )


def preview(scene: Scene, *, size: tuple[int, int] | None = None) -> UInt8:
    """The shot without a learned part, `(T, height, width, 3)` uint8 sRGB.

    Args:
        scene: directed; it has a photo.
        size: width and height in pixels; None takes the photo's.

    Raises:
        UserError: the scene has no photo.
    """
    intrinsics = scene.camera.intrinsics
    width, height = size or (intrinsics.width, intrinsics.height)
    return np.stack(list(preview_frames(scene, width=width, height=height)))


def generate(
    control: Control,
    *,
    preview: UInt8 | None = None,
    checkpoint: str | Path = "mini",
    strength: float | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> UInt8:
    """Let the video model paint the film: `(T, height, width, 3)` uint8 sRGB at the checkpoint's own size.

    `Real2Sam2RealPipeline` has every choice, and the 14 B model.

    Args:
        control: from `render`, or read from a control folder.
        preview: `(T, H, W, 3)` uint8 to start from; None starts from noise.
        checkpoint: "mini", a pipeline's folder, or an adapter that knows its base.
        strength: with a preview: 0 keeps it, 1 forgets it; None takes the checkpoint's own.
        steps: denoising steps; None takes the checkpoint's own.
        seed: of the noise; the same seed on the same machine gives the same video.

    Raises:
        UserError: the clip is too long for the checkpoint, or it cannot be loaded.
    """
    model = load_model(locate(ModelOptions(checkpoint=str(checkpoint))))
    segments = stream_segments(
        model.pipeline,
        fit_control(control, model.settings),
        preview=preview,
        strength=model.settings.strength if strength is None else strength,
        seed=seed,
        num_inference_steps=steps,
    )
    return np.concatenate([to_frames(segment.video) for segment in segments])


def load_scene(folder: Path | str) -> Scene:
    """Open a scene folder, also one that Blender has changed; every mesh is closed.

    Raises:
        UserError: it is no scene folder, or a file in it is damaged.
    """
    return open_scene(Path(folder))[0]
