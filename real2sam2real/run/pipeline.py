"""`r2s2r run`: all stages from a photo to a page, each redone only when something that decides its result changed.

photo, objects ──lift──► lifted/ ──direct──► scene/ ──render──► control/ ──generate──► generated.mp4
                            └─pictures─► pictures/    └─preview─► preview.mp4, normals.mp4
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from real2sam2real.errors import UserError
from real2sam2real.options import as_json
from real2sam2real.run.directing import (
    SceneReader,
    direct_to_folder,
    provenance_notes,
    read_shot,
    shot_inputs,
    with_defaults,
)
from real2sam2real.run.folder import RunFolder, Stage, open_run
from real2sam2real.run.options import RunConfig
from real2sam2real.run.pictures import pictures_to_folder
from real2sam2real.run.progress import Progress
from real2sam2real.run.rendering import (
    control_size,
    load_inpainter,
    normals_to_file,
    preview_to_file,
    render_to_folder,
    upscales,
)
from real2sam2real.run.report import PAGE, write_report
from real2sam2real.scene.folder import SCENE_FILE, save_scene
from real2sam2real.scene.shot import Shot

# What every stage that touches a scene depends on.
_SCENE = ("geometry", "mesh", "scene")
_OPENED_SCENE = (*_SCENE, "lifting", "run/directing.py")


def run(config: RunConfig, out: Path, *, command: Sequence[str], progress: Progress) -> Path:
    """Make, or go on with, the run folder `out`; returns the path of its page, which shows the `command`.

    Raises:
        UserError: an input cannot be used, or `out` is in use or holds something else.
    """
    is_scene = (config.photo / SCENE_FILE).is_file()
    if is_scene and config.objects.any_named:
        raise UserError(f"{config.photo} is a scene, which has its objects already; r2s2r add puts another one into it")
    for path in (config.photo, *config.named_files):
        if not path.exists():
            raise UserError(f"there is no file '{path}'; check the path")
    if not config.stops_at_preview:  # asked first, so that a missing part is known at once
        from real2sam2real.run.generating import model_inputs

        model_inputs(config.generate)
    shot = with_defaults(read_shot(config.shot))
    with open_run(out, command=command, config=as_json(config), progress=progress) as folder:
        scenes = SceneReader()
        for stage in _stages(config, shot, folder, scenes, is_scene=is_scene):
            folder.do(stage)
        folder.save()
        write_report(folder, scenes)
    return out / PAGE


def _stages(
    config: RunConfig, shot: Shot, folder: RunFolder, scenes: SceneReader, *, is_scene: bool
) -> Iterator[Stage]:
    """The stages in order; each is made only when those before it are done, because it may look at their results."""
    progress = folder.progress
    inpainter = load_inpainter(config.inpaint, offline=config.generate.offline)
    lifted, directed, control = folder.path / "lifted", folder.path / "scene", folder.path / "control"
    yield (_scene_stage(config.photo, lifted, scenes) if is_scene else _lift_stage(config, shot, lifted, progress))
    yield Stage(
        name="pictures",
        title="picture masks and meshes",
        code=(*_OPENED_SCENE, "rendering", "run/pictures.py"),
        settings=None,
        inputs=(lifted,),
        outputs=("pictures",),
        work=lambda made: pictures_to_folder(scenes.open(lifted)[0], made / "pictures"),
    )
    yield Stage(
        name="direct",
        title="direct the shot",
        code=_OPENED_SCENE,
        settings=shot.to_yaml(),
        inputs=(lifted, *shot_inputs(shot)),
        outputs=(directed.name,),
        work=lambda made: _direct(scenes, lifted, shot, made / directed.name),
    )
    scene, repaired = scenes.open(directed)  # again, because it may have been edited by hand
    yield Stage(
        name="preview",
        title="preview",
        code=(*_OPENED_SCENE, "rendering", "control/normal_convention.py", "run/rendering.py"),
        settings=["draft" if config.draft else None, config.inpaint],
        inputs=(directed,),
        outputs=("preview.mp4", "normals.mp4"),
        work=lambda made: [
            *repaired,
            *preview_to_file(scene, made / "preview.mp4", progress, draft=config.draft, inpainter=inpainter),
            *normals_to_file(scene, made / "normals.mp4", progress, draft=config.draft),
        ],
    )
    if config.stops_at_preview:
        return
    model = config.generate
    width, height = control_size(scene, config.size, model.checkpoint, offline=model.offline)
    upscale = upscales(model.checkpoint, model.upscale, offline=model.offline)
    yield Stage(
        name="render",
        title="render the control",
        code=(*_OPENED_SCENE, "rendering", "control", "run/rendering.py", "run/enlarging.py", "diffusion/upscaling.py"),
        settings=[width, height, config.inpaint, upscale],
        inputs=(directed,),
        outputs=(control.name,),
        work=lambda made: render_to_folder(
            scene,
            made / control.name,
            width=width,
            height=height,
            progress=progress,
            inpainter=inpainter,
            upscale=upscale,
        ),
    )
    from real2sam2real.run.generating import generate_to_file, model_inputs
    from real2sam2real.run.segments import segments_folder

    video = "generated.mp4"
    segments = segments_folder(folder.path / video)
    yield Stage(
        name="generate",
        title="generate the video",
        code=("control", "diffusion", "run/generating.py"),
        settings=config.generate.decisive(),
        inputs=(control, *model_inputs(config.generate)),
        outputs=(video,),
        work=lambda made: generate_to_file(control, config.generate, made / video, progress, segments=segments),
        scratch=(segments.name,),
    )


def _direct(scenes: SceneReader, lifted: Path, shot: Shot, directed: Path) -> list[str]:
    scene, notes = scenes.open(lifted)
    return [*notes, *direct_to_folder(scene, shot, directed)]


def _scene_stage(given: Path, lifted: Path, scenes: SceneReader) -> Stage:
    """A scene that was lifted before, taken over: the run folder holds all that its page tells of."""

    def take_over(made: Path) -> list[str]:
        scene, notes = scenes.open(given)
        save_scene(scene, made / lifted.name)
        return [*notes, *provenance_notes(scene)]

    return Stage(
        name="lift",
        title="open the scene",
        code=(*_OPENED_SCENE, "run/pipeline.py"),
        settings=None,
        inputs=(given,),
        outputs=(lifted.name,),
        work=take_over,
    )


def _lift_stage(config: RunConfig, shot: Shot, lifted: Path, progress: Progress) -> Stage:
    def lift(made: Path) -> list[str]:
        # Seconds of imports, which a lifted photo's run saves.
        from real2sam2real.run.compiling import compile_beside
        from real2sam2real.run.lifting import REQUESTS, lift_to_folder

        compile_beside()
        return lift_to_folder(
            config.photo,
            config.objects,
            config.view,
            config.lift,
            made / lifted.name,
            progress,
            said=shot.relations(),
            kept=lifted.parent / REQUESTS,
            offline=config.generate.offline,
        )

    return Stage(
        name="lift",
        title="lift the objects into 3D",
        code=(*_SCENE, "perceive", "lifting", "run/lifting.py", "run/kept_lifting.py", "run/photo.py"),
        settings=as_json([config.objects, config.view, config.lift, list(shot.relations().items())]),
        inputs=(config.photo, *config.named_files),
        outputs=(lifted.name,),
        work=lift,
    )
