"""An adapter, and a shot, for ComfyUI: one file of weights, the photo, the normals and the workflow."""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

from dataclasses import replace
from pathlib import Path

from real2sam2real import media
from real2sam2real.control.folder import is_of_shape, letterboxed
from real2sam2real.control.reading import ControlStream, open_control
from real2sam2real.diffusion.checkpoints import (
    METADATA_KEY,
    CheckpointSettings,
    find_checkpoint,
    is_adapter,
    load_settings,
)
from real2sam2real.diffusion.comfyui import ComfyuiShot, api_workflow, editor_workflow
from real2sam2real.diffusion.prompts import NEGATIVE_PROMPT
from real2sam2real.diffusion.weights.adapter_file import read_adapter
from real2sam2real.diffusion.weights.export import save_for_comfyui
from real2sam2real.diffusion.weights.load import OFFICIAL_SHIFT
from real2sam2real.errors import UserError
from real2sam2real.workfolder.records import write_json

_AT_ONCE = 16  # frames in memory


def export_for_comfyui(
    adapter: str, out: Path, *, control: Path | None = None, offline: bool = False
) -> tuple[list[Path], list[str]]:
    """Write an adapter as one file that ComfyUI loads, and beside it the workflow in both of its formats.

    Args:
        adapter: its folder, its file, or its name on the hub.
        out: the file of weights, `NAME.safetensors`; beside it come `NAME_workflow.json` and `NAME_api.json`.
        control: a control folder whose prompt, size, length and rate the workflow gets. Its photo and its normals, in
            the adapter's convention, are written as `NAME_photo.png` and `NAME_normals.mp4` (lossless).
        offline: never reach for the network.

    Returns:
        What was written, and what a person should know.

    Raises:
        MissingPartError: the adapter is not on this machine and cannot be fetched.
        UserError: it is no adapter for the published base, or holds what ComfyUI would leave out; `out` is misnamed; or
            the control folder is damaged.
    """
    if out.suffix != ".safetensors":
        raise UserError(f"{out} is no name for weights of ComfyUI; give one that ends in .safetensors")
    found = find_checkpoint(adapter, offline=offline)
    settings = load_settings(found) if is_adapter(found) else None
    if settings is None or settings.base is not None:
        raise UserError(
            f"{adapter} is not made for Wan2.2-Animate-14B, and ComfyUI runs no other base of the method; give an "
            "adapter for it, such as JiayiWuLeo/Real2SAM2Real"
        )
    stream = None if control is None else open_control(control)
    save_for_comfyui(out, read_adapter(found), {METADATA_KEY: settings.to_json()})
    shot = ComfyuiShot(
        lora=out.name,
        negative_prompt=NEGATIVE_PROMPT,
        width=1280,
        height=720,
        frames=settings.max_frames,
        fps=16,
        settings=settings,
        shift=settings.shift or OFFICIAL_SHIFT,
    )
    notes = []
    if stream is not None:
        shot = _of_control(shot, stream, out)
        _write_inputs(stream, settings, shot, out.parent)
        if stream.frames > shot.frames:
            notes.append(
                f"the shot has {stream.frames} frames, of which the workflow makes the first {shot.frames}; "
                "r2s2r generate makes all, segment by segment"
            )
    written = [out, out.with_name(f"{out.stem}_workflow.json"), out.with_name(f"{out.stem}_api.json")]
    write_json(written[1], editor_workflow(shot))
    write_json(written[2], api_workflow(shot))
    return written + ([] if stream is None else [out.with_name(shot.photo), out.with_name(shot.normals)]), notes


def _of_control(shot: ComfyuiShot, stream: ControlStream, out: Path) -> ComfyuiShot:
    """The shot of a control folder, at the adapter's working size, of 4k + 1 frames."""
    width, height = shot.settings.fit(*stream.size)
    return replace(
        shot,
        photo=f"{out.stem}_photo.png",
        normals=f"{out.stem}_normals.mp4",
        prompt=stream.prompt,
        width=width,
        height=height,
        frames=min(1 + 4 * -(-(stream.frames - 1) // 4), shot.settings.max_frames),
        fps=stream.fps,
    )


def _write_inputs(stream: ControlStream, settings: CheckpointSettings, shot: ComfyuiShot, folder: Path) -> None:
    photo, width, height = stream.photo, shot.width, shot.height
    if not is_of_shape(photo, width=width, height=height):
        photo = letterboxed(photo, width=width, height=height)
    media.write_png(folder / shot.photo, photo)
    normals = stream.normals_in(settings.normal_convention)
    count = min(len(normals), shot.frames)
    with media.lossless_video_writer(folder / shot.normals, stream.fps) as video:
        for start in range(0, count, _AT_ONCE):
            for frame in normals[start : min(start + _AT_ONCE, count)]:
                video.add(frame)
