"""Make sets of cases, after the paper's design: random camera paths, or random moves of objects, with true poses.

Cases come from textured rooms of the procedural world, where the true film is known too, or from scenes that were
lifted from photos or made of GLB files (`r2s2r lift`, `r2s2r add`), where it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from real2sam2real import media
from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate.case_set import CASE, FILM, FORMAT, ROOM, SCENE, SET, CaseKind, CaseRecord, write_case
from real2sam2real.lab.evaluate.random_shots import random_camera_shot, random_object_shot
from real2sam2real.lab.synth.rooms import Room, sample_room
from real2sam2real.lab.synth.seeds import HELD_OUT_SEEDS, Rng, generator
from real2sam2real.run.directing import SceneReader
from real2sam2real.run.progress import Progress
from real2sam2real.run.rendering import control_size, render_to_folder
from real2sam2real.scene import Scene
from real2sam2real.scene.folder import save_scene
from real2sam2real.scene.shot import Shot
from real2sam2real.workfolder.lock import locked, require_own_place
from real2sam2real.workfolder.records import keep_settings

_CASES = 0x500
_ROOM_TRIES = 8
_STEP = 16  # pixels, of which video models take multiples
_WALL_DISTANCE = 0.25  # of the camera in a room, in its units


@dataclass(frozen=True, kw_only=True)
class CaseOptions:
    """How cases are made."""

    kind: CaseKind
    count: int
    frames: int = 25
    width: int = 640
    height: int = 360
    seed: int = 0
    paths: int = 2  # directions for each room or scene, as in the paper
    objects: int = 2  # most objects that move in a case of that kind


def make_cases(
    folder: Path,
    options: CaseOptions,
    *,
    scenes: Sequence[Path] = (),
    progress: Progress | None = None,
) -> list[str]:
    """Write a set of cases; what is whole already is kept, so that the same call goes on where it ended.

    Args:
        folder: of the set.
        options: how many, of which kind, how long and large; scenes keep their photo's aspect at about that area.
        scenes: scene folders at rest; without any, rooms are made.
        progress: where it says what it does.

    Returns:
        Notes for people: scenes in which no case was possible.

    Raises:
        UserError: the folder holds other things or another set, or too few cases are possible.
    """
    progress = progress or Progress()
    require_own_place(folder, "set of cases", known=(folder / SET).exists())
    folder.mkdir(parents=True, exist_ok=True)
    made_from = {"format": FORMAT, **asdict(options), "scenes": [scene.name for scene in scenes]}
    with locked(folder):
        keep_settings(folder / SET, made_from, what="set of cases", changeable=("count",))
        notes: list[str] = []
        number = 0
        for source in _sources(options, scenes):
            for path in range(options.paths):
                if number == options.count:
                    return notes
                name = f"{options.kind}-{number + 1:04}"
                if not (folder / name / CASE).is_file():
                    rng = generator(options.seed, _CASES, source.number, path)
                    try:
                        shot = source.draw(rng)
                    except UserError as error:
                        notes.append(f"{source.name}: {error}")
                        break
                    _write(folder, name, source, shot, options)
                    progress.info(f"  {name}  {source.name}")
                number += 1
        if number < options.count:
            raise UserError(
                f"{number} cases were possible, {options.count} were asked for; give more scenes, or a higher --paths"
            )
        return notes


@dataclass(frozen=True, kw_only=True, eq=False)
class _Source:
    """What cases are drawn from."""

    number: int  # of the room or the scene
    name: str
    scene: Scene  # at rest
    draw: Callable[[Rng], Shot]
    room: Room | None  # where the true film is known


def _sources(options: CaseOptions, scenes: Sequence[Path]) -> Iterator[_Source]:
    if scenes:
        reader = SceneReader()
        for number, path in enumerate(scenes):
            scene = reader.open(path)[0]
            yield _source(number, path.name, scene, options, None)
        return
    number = 0
    while True:
        seed = HELD_OUT_SEEDS[(options.seed * 100_003 + number) % len(HELD_OUT_SEEDS)]
        room = sample_room(seed, width=options.width, height=options.height)
        yield _source(number, f"{ROOM}{seed}", room.objects, options, room)
        number += 1


def _source(number: int, name: str, scene: Scene, options: CaseOptions, room: Room | None) -> _Source:
    def draw(rng: Rng) -> Shot:
        if options.kind == "objects":
            return random_object_shot(rng, scene, options.frames, options.objects)
        for _ in range(_ROOM_TRIES):
            shot = random_camera_shot(rng, scene, options.frames)
            if room is None or _stays_in(room, shot.apply(scene)):
                return shot
        raise UserError("every camera path went through a wall")

    return _Source(number=number, name=name, scene=scene, draw=draw, room=room)


def _stays_in(room: Room, directed: Scene) -> bool:
    half = np.abs(room.shell.mesh.vertices).max(axis=0) - _WALL_DISTANCE
    return bool((np.abs(directed.camera.world_from_camera[:, :3, 3]) < half).all())


def _write(folder: Path, name: str, source: _Source, shot: Shot, options: CaseOptions) -> None:
    directed = shot.apply(source.scene)
    width, height = options.width, options.height
    if source.room is None:
        width, height = _size(directed, options)
    case = folder / name
    render_to_folder(directed, case, width=width, height=height, progress=Progress())
    save_scene(directed, case / SCENE)
    if source.room is not None:
        media.write_lossless_video(case / FILM, source.room.film(directed), directed.fps)
    record = CaseRecord(
        name=name,
        kind=options.kind,
        seed=options.seed,
        source=source.name,
        shot=shot.to_yaml(),
        moved=tuple(shot.entities),
        frames=options.frames,
        width=width,
        height=height,
    )
    write_case(folder, record)


def _size(scene: Scene, options: CaseOptions) -> tuple[int, int]:
    """Width and height in steps of 16, of about the options' area, as near to the photo's aspect as can be."""
    lens = scene.camera.intrinsics
    ideal = (options.width * options.height * lens.width / lens.height) ** 0.5 / _STEP
    widths = {max(1, round(ideal * factor)) * _STEP for factor in np.linspace(0.85, 1.15, 13)}
    sizes = [(w, max(1, round(w * lens.height / lens.width / _STEP)) * _STEP) for w in sorted(widths)]
    width, height = min(sizes, key=lambda size: abs(np.log(size[0] * lens.height / (size[1] * lens.width))))
    return control_size(scene, f"{width}x{height}")
