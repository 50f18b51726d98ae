"""What is marked on a photo, lifted to the scene at rest: the job, what it needs, and the shot that fits afterwards."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.lifting.ground import ASSUMED
from real2sam2real.lifting.options import LifterOptions, LiftOptions
from real2sam2real.options import as_json
from real2sam2real.perceive.camera.estimate import UP_IS_UNKNOWN
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.directing import open_scene
from real2sam2real.run.lifting import lift_to_folder
from real2sam2real.run.photo import read_photo
from real2sam2real.run.progress import Progress
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.shot import Shot, parse_shot
from real2sam2real.studio.cutting import LIFT
from real2sam2real.studio.document import StudioDocument, apply_shot
from real2sam2real.studio.objects import MASKS, MarkedObject, PhotoMarks, load_marks
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.records import read_record, write_json

KEPT, INPUTS, LIFTED, HORIZON = ".kept", "inputs", "lifted", "horizon.json"
"""In a workspace: what was cut out and lifted before, which may be deleted at any time; files that a person brought."""
LEVEL_DEGREES = 0.5  # a roll below this is none


def entities_of(marks: PhotoMarks) -> list[MarkedObject]:
    """What becomes entities: all but the occluders."""
    return [each for each in marks.objects if not each.facts.occluder]


def segment_options(marks: PhotoMarks, masks: Path) -> SegmentOptions:
    """The marks as `r2s2r lift` is told of them, by their files in the folder `masks`."""
    return SegmentOptions(
        mask=tuple(f"{each.name}={masks / f'{each.name}.png'}" for each in entities_of(marks)),
        occluder=tuple(str(masks / f"{each.name}.png") for each in marks.objects if each.facts.occluder),
    )


def view_options(marks: PhotoMarks, inputs: Path) -> ViewOptions:
    """What is known of the camera, and which depth is taken."""
    lift = marks.lift
    own = lift.depth_file is not None
    return ViewOptions(
        focal=marks.view.focal,
        pitch=marks.view.pitch,
        roll=marks.view.roll,
        depth=str(inputs / str(lift.depth_file)) if own else lift.depth,
        depth_kind=lift.depth_kind if own else "auto",
    )


def lift_options(marks: PhotoMarks, inputs: Path, environments: LifterOptions) -> LiftOptions:
    """How objects become meshes.

    Args:
        marks: what the page says.
        inputs: the folder of files that a person brought.
        environments: where lifters of other environments run, as the command that started the studio says.
    """
    lift, entities = marks.lift, entities_of(marks)
    said = {each.name: each.facts.relation for each in entities if each.facts.relation is not None}
    flags: dict[str, list[str]] = {"on": [], "with": [], "floating": []}
    for name, relation in said.items():
        flags[relation.word].append(name if relation.to is None else f"{name}={relation.to}")
    lifters = [f"{each.name}={each.facts.lifter}" for each in entities if each.facts.lifter]
    return LiftOptions(
        lifter=(*environments.lifter, *([lift.lifter] if lift.lifter else []), *lifters),
        lifter_python=environments.lifter_python,
        lifter_host=environments.lifter_host,
        lifter_code=environments.lifter_code,
        lifter_weights=environments.lifter_weights,
        lifter_timeout=environments.lifter_timeout,
        mesh=tuple(f"{each.name}={inputs / each.facts.mesh}" for each in entities if each.facts.mesh),
        max_faces=lift.max_faces,
        align=lift.align,
        billboards=lift.billboards,
        contact=lift.contact,
        on=tuple(flags["on"]),
        with_=tuple(flags["with"]),
        floating=tuple(flags["floating"]),
    )


# The same in the shell.


def shell_commands(marks: PhotoMarks, folder: Path, photo: Path) -> list[str]:
    """Two commands: one cuts the same masks, the other lifts them to the same scene. None where nothing is marked."""
    if not entities_of(marks):
        return []
    cut = ["r2s2r", "masks", str(photo)]
    for each in entities_of(marks):
        cut += _cut_flags(each, folder)
    if marks.lift.segmenter != "embedded":
        cut += ["--segmenter", marks.lift.segmenter]
    own = replace(segment_options(marks, folder / MASKS), mask=())
    lift = ["r2s2r", "lift", str(photo)]
    for each in entities_of(marks):
        lift += ["--mask", f"{each.name}=marked/masks/{each.name}.png"]
    lift += [word for file in own.occluder for word in ("--occluder", file)]
    lift += _view_flags(view_options(marks, folder / INPUTS))
    lift += _lift_flags(lift_options(marks, folder / INPUTS, LifterOptions()))
    return [shlex.join([*cut, "-o", "marked"]), shlex.join([*lift, "-o", "scene"])]


def _cut_flags(each: MarkedObject, folder: Path) -> list[str]:
    """How the command line cuts one object out; by its mask where a person painted, or a word found several."""
    facts, flags = each.facts, []
    if each.is_painted or facts.source not in ("box", "points"):
        return ["--mask", f"{facts.name}={folder / MASKS / f'{facts.name}.png'}"]
    if facts.box is not None:
        flags += ["--box", f"{facts.name}={','.join(f'{round(value)}' for value in facts.box)}"]
    if facts.inside:
        points = "".join(f"+{x:g},{y:g}" for x, y in facts.inside)
        points += "".join(f"-{x:g},{y:g}" for x, y in facts.outside)
        flags += ["--points", f"{facts.name}={points[1:]}"]
    return flags


def _view_flags(view: ViewOptions) -> list[str]:
    flags = [] if view.focal is None else ["--focal", f"{view.focal:g}"]
    flags += [] if view.pitch is None else ["--pitch", f"{view.pitch:g}"]
    flags += [] if view.depth == "none" else ["--depth", view.depth]
    return flags + ([] if view.depth_kind == "auto" else ["--depth-kind", view.depth_kind])


def _lift_flags(lift: LiftOptions) -> list[str]:
    named = {
        "--lifter": lift.lifter,
        "--mesh": lift.mesh,
        "--on": lift.on,
        "--with": lift.with_,
        "--floating": lift.floating,
    }
    flags = [word for flag, values in named.items() for value in values for word in (flag, value)]
    flags += [] if lift.max_faces == LiftOptions.max_faces else ["--max-faces", str(lift.max_faces)]
    flags += [] if lift.contact == "auto" else ["--contact", lift.contact]
    flags += [] if lift.billboards else ["--no-billboards"]
    return flags + ([] if lift.align else ["--no-align"])


# The job.


def lift(folder: Path, options: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Lift what is marked; the work of the kind "lift" of `job`.

    Args:
        folder: the workspace.
        options: `objects`, the snapshot's id; `photo`, the file's name in the workspace; `shot`, the shot's text;
            `environments`, of `LifterOptions`.
        progress: where it says what it does.

    Returns:
        `notes`, and of them the `guess` of where the horizon is, or None. The scene lies in `.kept/lifted`.

    Raises:
        UserError: nothing is marked, or something cannot be lifted.
    """
    photo = folder / str(options["photo"])
    size = read_photo(photo).photo
    snapshot = folder / "history" / "objects" / str(options["objects"])
    marks = load_marks(snapshot, (size.width, size.height))
    if not entities_of(marks):
        raise UserError("no object is marked on the photo, so nothing can be lifted; draw a box around one first")
    environments = typed(LifterOptions, dict(options["environments"]), "environments")
    notes = lift_to_folder(
        photo,
        segment_options(marks, snapshot / MASKS),
        view_options(marks, folder / INPUTS),
        lift_options(marks, folder / INPUTS, environments),
        folder / KEPT / LIFTED,
        progress,
        said=parse_shot(str(options["shot"]), folder=folder).relations(),
        kept=folder / KEPT / LIFT,
        offline=True,
    )
    if marks.view.roll and abs(marks.view.roll) > LEVEL_DEGREES and marks.lift.depth == "none":
        notes.append(_ROLL_NOTE)
    progress.notes(notes)
    guesses = [note for note in notes if note.startswith((ASSUMED, UP_IS_UNKNOWN))]
    return {"notes": notes, "guess": guesses[0] if guesses else None}


_ROLL_NOTE = (
    "the roll of the horizon counts for meshes of your own and of other lifters, and with depth; the embedded lifter "
    "takes the camera to be level sideways"
)


@dataclass(frozen=True, kw_only=True)
class HorizonGuess:
    """That nothing told a lift where the horizon is; in `.kept/horizon.json`."""

    note: str  # of the lift, for people
    up: tuple[float, float, float]  # in the camera of the scene that was lifted

    def holds(self, scene: Scene) -> bool:
        """Whether a scene still has the camera that was guessed."""
        return bool(np.allclose(_up_of(scene), self.up, atol=1e-6))


def _up_of(scene: Scene) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in scene.photo_world_from_camera[1, :3])
    return x, y, z


def horizon_guess(folder: Path, scene: Scene) -> str | None:
    """What the last lift said of a scene's horizon where it is a guess; None where something told it."""
    try:
        found = read_record(folder / KEPT / HORIZON, partial(typed, HorizonGuess), what="record", remedy="delete it")
    except (OSError, UserError):
        return None
    return found.note if found.holds(scene) else None


def take_in(document: StudioDocument, guess: str | None = None) -> list[str]:
    """Make what a lift has left the document's scene, with the shot as far as it fits; returns notes for people.

    Args:
        document: of the workspace.
        guess: what the lift says of the horizon where nothing told it.

    Raises:
        UserError: it cannot be read.
    """
    place = document.folder / KEPT / LIFTED
    scene, notes = open_scene(place)
    shot, left_out = fitting_shot(scene, document.shot())
    document.commit("lift", scene=place, shot=shot)
    record = document.folder / KEPT / HORIZON
    if guess is None:
        record.unlink(missing_ok=True)
    else:
        write_json(record, asdict(HorizonGuess(note=guess, up=_up_of(scene))))
    shutil.rmtree(place, ignore_errors=True)
    return [*notes, *left_out]


def fitting_shot(scene: Scene, shot: Shot) -> tuple[Shot, list[str]]:
    """A shot as far as it fits a scene, and in words what was left out of it."""
    if _problem(scene, shot) is None:
        return shot, []
    fits, notes = replace(shot, entities={}, camera=None), list[str]()
    waiting = dict(shot.entities)
    for _ in range(2):  # one may need a copy that a later one makes
        for name in list(waiting):
            tried = replace(fits, entities={**fits.entities, name: waiting[name]})
            if _problem(scene, tried) is None:
                fits = tried
                del waiting[name]
    for name in waiting:
        reason = _problem(scene, replace(fits, entities={**fits.entities, name: waiting[name]}))
        notes.append(f"the moves of '{name}' are left out of the shot: {reason}")
    fits = replace(fits, entities={name: fits.entities[name] for name in shot.entities if name in fits.entities})
    if shot.camera is None:
        return fits, notes
    fits = replace(fits, camera=())
    for move in shot.camera:
        tried = replace(fits, camera=(*(fits.camera or ()), move))
        reason = _problem(scene, tried)
        if reason is None:
            fits = tried
        else:
            notes.append(f"the camera's '{move.kind}' is left out of the shot: {reason}")
    return fits, notes


def _problem(scene: Scene, shot: Shot) -> str | None:
    try:
        apply_shot(scene, shot)
    except UserError as error:
        return str(error)
    return None


def start_options(document: StudioDocument, photo: Path, environments: LifterOptions) -> dict[str, Any]:
    """The options of a job that lifts what is marked now; see `lift`.

    Raises:
        UserError: nothing is marked.
    """
    state = document.state
    if state.objects is None:
        raise UserError("no object is marked on the photo, so nothing can be lifted; draw a box around one first")
    return {"objects": state.objects, "photo": photo.name, "shot": state.shot, "environments": as_json(environments)}
