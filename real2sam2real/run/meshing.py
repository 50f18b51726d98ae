"""Meshes that the embedded lifter does not make: the user's own files, and lifters in their own environments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.lift.lifted import LiftedMesh
from real2sam2real.lift.mesh_files import read_mesh_file
from real2sam2real.lift.workers.lifter import open_lifter
from real2sam2real.lift.workers.options import LifterOptions as WorkerPlace
from real2sam2real.lift.workers.requests import LiftRequest
from real2sam2real.perceive import Photo
from real2sam2real.perceive.view import PhotoView
from real2sam2real.run.config import DEFAULT_FPS, LifterOptions, LiftOptions, split_named, value_for
from real2sam2real.run.progress import Progress

REQUESTS = ".lifting"
"""Beside the scene folder: what is asked of a lifter's process and what it has answered, so that it can go on."""


def own_meshes(options: LiftOptions, view: PhotoView) -> dict[str, LiftedMesh]:
    """The meshes that --mesh names.

    Raises:
        UserError: one cannot be read, or a name comes twice.
    """
    meshes: dict[str, LiftedMesh] = {}
    for name, file in split_named("--mesh", options.mesh):
        if name in meshes:
            raise UserError(f"--mesh names '{name}' twice; an object has one mesh")
        meshes[name] = read_own_mesh(Path(file), name, options, view)
    return meshes


def read_own_mesh(file: Path, name: str, options: LiftOptions, view: PhotoView) -> LiftedMesh:
    """One mesh file, read as the options say.

    Raises:
        UserError: it cannot be read.
    """
    return read_mesh_file(
        file,
        name=name,
        frame=options.mesh_frame,
        up=options.mesh_up,
        intrinsics=view.intrinsics,
        up_camera=view.up_camera,
        fps=DEFAULT_FPS,
        clip=options.clip,
        loop=options.loop,
    )


def place_of(lifter: str, options: LifterOptions, *, offline: bool) -> WorkerPlace:
    """Where a lifter runs, as the workers are told."""
    return WorkerPlace(
        python=value_for(lifter, options.lifter_python),
        host=options.lifter_host,
        code=value_for(lifter, options.lifter_code),
        weights=value_for(lifter, options.lifter_weights),
        timeout=options.lifter_timeout,
        offline=offline,
    )


def lift_elsewhere(
    lifter: str,
    masks: Mapping[str, Mask],
    photo: Photo,
    view: PhotoView,
    options: LifterOptions,
    folder: Path,
    progress: Progress,
    *,
    offline: bool = False,
) -> dict[str, LiftedMesh]:
    """The meshes that a lifter in an environment of its own makes of some masks.

    Raises:
        MissingPartError: its environment or weights are not there.
        UserError: it failed, or could not lift one of the objects; what it has made is kept for the next try.
    """
    chosen = place_of(lifter, options, offline=offline)
    request = LiftRequest(
        pixels=photo.pixels, masks=masks, view=view, folder=folder.parent / REQUESTS / folder.name / lifter
    )
    outcome = open_lifter(lifter, chosen).lift(request, progress.say)
    if outcome.failures:
        reasons = "\n".join(f"  {failure.name}: {failure.reason}" for failure in outcome.failures)
        other = f"--lifter {outcome.failures[0].name}=embedded"
        raise UserError(
            f"{lifter} could not lift {len(outcome.failures)} of {len(masks)} objects:\n{reasons}\nThe others are "
            f"kept: the same command goes on. Or lift one with another lifter: {other}"
        )
    return {mesh.name: mesh for mesh in outcome.meshes}
