"""A directed scene to what steers and previews its video: the control folder and the preview."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from real2sam2real import media
from real2sam2real.arrays import Bool, UInt8
from real2sam2real.control.folder import write_control
from real2sam2real.control.normal_convention import OPENGL
from real2sam2real.errors import UserError
from real2sam2real.options import parse_size
from real2sam2real.rendering import render_frames
from real2sam2real.rendering.inpaint import Inpainter, inpaint
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.run.progress import Progress
from real2sam2real.scene.scene import Scene

# What the official inference works at: this area at the photo's aspect, sides in steps of 16.
FULL_AREA = 960 * 960
STEP = 16
PREVIEW_LONGEST_SIDE = 1280
VIDEO_LONGEST_SIDE = 960  # at least: a smaller photo's video is enlarged to it
DRAFT_LONGEST_SIDE = 480
CONTROL_PREVIEW = "preview.mkv"
"""In the control folder: the preview, lossless, from which generation may start and takes detail; see `start_size`."""

_LARGEST_STRETCH = 1.06
_PRESET, _DRAFT_PRESET = "veryfast", "ultrafast"  # of x264: the encoder would take as long as the renderer


def control_size(scene: Scene, size: str | None, checkpoint: str = "mini", *, offline: bool = False) -> tuple[int, int]:
    """Width and height of the control in pixels, at the photo's aspect.

    `size` is "WIDTHxHEIGHT", "full" (what the official inference works at), or None for the checkpoint's own.

    Raises:
        UserError: the size has another aspect than the photo.
    """
    width, height = scene.camera.intrinsics.width, scene.camera.intrinsics.height
    if size is None:
        from real2sam2real.diffusion.generate import working_size

        return working_size(checkpoint, width, height, offline=offline)
    if size == "full":
        scale = math.sqrt(FULL_AREA / (width * height))
        return max(STEP, round(width * scale / STEP) * STEP), max(STEP, round(height * scale / STEP) * STEP)
    wanted = parse_size(size)
    stretch = wanted[0] * height / (wanted[1] * width)
    if not 1 / _LARGEST_STRETCH < stretch < _LARGEST_STRETCH:
        raise UserError(
            f"--size {size} would stretch the photo of {width}×{height} pixels; "
            f"{wanted[0]}x{max(1, round(wanted[0] * height / width))} fits"
        )
    return wanted


def upscales(checkpoint: str, wanted: str | None = None, *, offline: bool = False) -> bool:
    """Whether videos of a checkpoint are enlarged: as `wanted`, "on" or "off", or else as the checkpoint says."""
    if wanted is not None:
        return wanted == "on"
    from real2sam2real.diffusion.checkpoints import find_checkpoint, load_settings

    return load_settings(find_checkpoint(checkpoint, offline=offline)).upscale


def preview_size(scene: Scene, *, draft: bool = False) -> tuple[int, int]:
    """The photo's size, at most 1280 pixels along the longer side (a draft's 480), both sides even."""
    width, height = scene.camera.intrinsics.width, scene.camera.intrinsics.height
    scale = min(1.0, (DRAFT_LONGEST_SIDE if draft else PREVIEW_LONGEST_SIDE) / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def start_size(scene: Scene, width: int, height: int) -> tuple[int, int]:
    """The size of a video that is enlarged, and of its preview in a control of `width × height`; both sides even.

    It has the photo's aspect; its longer side is the photo's, but not under 960 pixels nor over 1280, nor under the
    control's.
    """
    photo = scene.camera.intrinsics
    longest = max(photo.width, photo.height)
    wanted = max(width, height, min(PREVIEW_LONGEST_SIDE, max(VIDEO_LONGEST_SIDE, longest)))
    return round(photo.width * wanted / longest / 2) * 2, round(photo.height * wanted / longest / 2) * 2


def preview_times(scene: Scene, *, draft: bool = False) -> tuple[range, float]:
    """Which frames a preview shows, all or a draft's every second one, and how many a second."""
    step = 2 if draft else 1
    return range(0, scene.frames, step), scene.fps / step


def load_inpainter(name: str, *, offline: bool = False) -> Inpainter:
    """What paints over the places of moved objects: "patches", "lama", or LaMa's weights by a path or an id.

    Raises:
        MissingPartError: LaMa's weights are not there.
        UserError: the file holds something else.
    """
    if name == "patches":
        return inpaint
    from real2sam2real.rendering.lama import Lama

    return Lama.load(None if name == "lama" else name, offline=offline)


def render_to_folder(
    scene: Scene,
    folder: Path,
    *,
    width: int,
    height: int,
    progress: Progress,
    inpainter: Inpainter = inpaint,
    upscale: bool = False,
) -> list[str]:
    """Write the control folder, with the preview in it; returns notes for people.

    `upscale` draws that preview at the finished video's size in place of the control's (see `start_size`), and from the
    photo as a network enlarges it where the photo is smaller.

    Raises:
        UserError: the scene has no photo.
    """
    photo = scene.photo
    if photo is None:
        raise UserError("the scene has no photo, which the video model needs; make the scene with r2s2r lift")
    notes = [f"normals and ids are {width}×{height} pixels"]

    def draw_preview(made: Path) -> None:
        wide, high = start_size(scene, width, height) if upscale else (width, height)
        shown = scene
        if upscale and wide > photo.shape[1]:
            from real2sam2real.run.enlarging import with_enlarged_photo

            shown = with_enlarged_photo(scene, wide, high)
            notes.append(
                f"the photo of {photo.shape[1]}×{photo.shape[0]} pixels was enlarged to {wide}×{high} by "
                "Real-ESRGAN's video network before the start image was drawn from it"
            )
        pictures = preview_frames(shown, width=wide, height=high, inpainter=inpainter)
        previewed = progress.track(pictures, "start image", scene.frames)
        media.write_lossless_video(made / CONTROL_PREVIEW, previewed, scene.fps)

    write_control(
        folder,
        progress.track(render_frames(scene, width=width, height=height), "normals", scene.frames),
        photo=photo,
        prompt=scene.prompt,
        fps=scene.fps,
        names=scene.names,
        also=draw_preview,
    )
    return notes


def preview_to_file(
    scene: Scene, path: Path, progress: Progress, *, draft: bool = False, inpainter: Inpainter = inpaint
) -> list[str]:
    """Write the preview for people to look at, a `draft` small and of every second frame; returns notes."""
    (width, height), (numbers, fps) = preview_size(scene, draft=draft), preview_times(scene, draft=draft)
    inpainter = _quick(inpainter) if draft else inpainter
    pictures = preview_frames(scene, width=width, height=height, frames=numbers, inpainter=inpainter)
    _write_video(path, progress.track(pictures, "preview", len(numbers)), fps, draft=draft)
    if not draft:
        return []
    return [f"the preview is a draft: {width}×{height} pixels, {len(numbers)} of {scene.frames} frames"]


def normals_to_file(scene: Scene, path: Path, progress: Progress, *, draft: bool = False) -> list[str]:
    """Write the normals for people to look at, in the preview's size and frames; returns notes."""
    (width, height), (numbers, fps) = preview_size(scene, draft=draft), preview_times(scene, draft=draft)
    drawn = render_frames(scene, width=width, height=height, frames=numbers)
    pictures = (OPENGL.encode(frame.normals, frame.ids) for frame in drawn)
    _write_video(path, progress.track(pictures, "normals", len(numbers)), fps, draft=draft)
    return []


def _quick(inpainter: Inpainter) -> Inpainter:
    """The same, with everything made as a draft."""

    def paint(image: UInt8, hole: Bool, *, avoid: Bool | None = None, draft: bool = True) -> UInt8:
        return inpainter(image, hole, avoid=avoid, draft=True)

    return paint


def _write_video(path: Path, pictures: Iterable[UInt8], fps: float, *, draft: bool) -> None:
    media.write_video(path, pictures, fps, preset=_DRAFT_PRESET if draft else _PRESET)
