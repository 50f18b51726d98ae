"""A scene at rest and a shot to the scene that is filmed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from real2sam2real.lifting.scene_repair import repaired_scene
from real2sam2real.run.options import DEFAULT_FPS, DEFAULT_FRAMES, ShotOptions
from real2sam2real.scene.camera_moves import ImportedPath
from real2sam2real.scene.entity_animation import poses
from real2sam2real.scene.folder import read_scene, save_scene
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.shot import Shot, load_shot


def open_scene(folder: Path) -> tuple[Scene, list[str]]:
    """The scene in `folder` with every mesh closed, and notes on what was changed, left out or repaired.

    Raises:
        UserError: the folder is no scene folder, a file in it is damaged, or a mesh has no surface at all.
    """
    scene, notes = read_scene(folder)
    scene, repaired = repaired_scene(scene)
    return scene, [*notes, *repaired]


class SceneReader:
    """`open_scene` for those who open the same folders again and again; one that was not touched is read once.

    The scenes that it gives are shared: nobody may change their arrays.
    """

    def __init__(self) -> None:
        self._opened: dict[Path, tuple[frozenset[tuple[str, int, int]], Scene, list[str]]] = {}

    def open(self, folder: Path) -> tuple[Scene, list[str]]:
        """The scene of `open_scene`, and its notes.

        Raises:
            UserError: as `open_scene`.
        """
        files = _state(folder)
        known = self._opened.get(folder)
        if known is None or known[0] != files:
            self._opened[folder] = known = (files, *open_scene(folder))
        return known[1], list(known[2])


def provenance_notes(scene: Scene) -> list[str]:
    """What a lifter, or the repair of its meshes, wants people to know, from the entities' provenance."""
    notes = []
    for entity in scene.entities:
        told = entity.provenance.get("notes", [])
        notes += [f"{entity.name}: {note}" for note in ([told] if isinstance(told, str) else told)]
    return notes


def _state(folder: Path) -> frozenset[tuple[str, int, int]]:
    """The files of a folder with their sizes and times of change."""
    found = ((path, path.stat()) for path in folder.rglob("*"))
    return frozenset((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in found)


def read_shot(options: ShotOptions) -> Shot:
    """The shot file, with what the flags add to it.

    Raises:
        UserError: the file or a flag cannot be read.
    """
    flags = Shot.from_flags(
        camera=options.camera,
        move=options.move,
        remove=options.remove,
        frames=options.frames,
        fps=options.fps,
        prompt=options.prompt,
    )
    return flags if options.shot is None else load_shot(options.shot).merged(flags)


def with_defaults(shot: Shot) -> Shot:
    """The shot of a scene that was at rest until now: what it leaves open gets its default."""
    return replace(
        shot,
        frames=DEFAULT_FRAMES if shot.frames is None else shot.frames,
        fps=DEFAULT_FPS if shot.fps is None else shot.fps,
        camera=() if shot.camera is None else shot.camera,
    )


def shot_inputs(shot: Shot) -> tuple[Path, ...]:
    """Files that a shot reads when it is applied: imported camera paths."""
    return tuple(Path(move.file) for move in shot.camera or () if isinstance(move, ImportedPath))


def direct_to_folder(lifted: Scene, shot: Shot, folder: Path) -> list[str]:
    """Apply the shot to the scene `lifted` and write the result; returns notes for people.

    Raises:
        UserError: the shot does not fit the scene.
    """
    directed = shot.apply(lifted)
    save_scene(directed, folder)
    notes = along_notes(lifted, shot, directed)
    if not shot.camera and not shot.entities:
        notes.append(
            'nothing moves: no shot was given; try --camera "orbit 20deg around NAME" or --move "NAME: right 1"'
        )
    return notes


def along_notes(scene: Scene, shot: Shot, directed: Scene) -> list[str]:
    """What a shot does without saying so: motions of the scene's own that it replaces, and what goes along unnamed.

    Of what goes along all that is removed is told, and what moves by a guess.
    """
    notes = [
        f"{name} has a motion of its own in the scene, which the shot's moves replace; take them out to have it back"
        for name, moves in shot.entities.items()
        if name in scene.names and poses(moves) and scene.entity(name).motion.travels
    ]
    for name, moves in shot.entities.items():
        carried = [
            each for each in (scene.carried_by(name) if name in scene.names else ()) if each not in shot.entities
        ]
        gone = [each for each in carried if each not in directed.names]
        guessed = [each for each in carried if (r := scene.entity(each).relation) is not None and r.guessed]
        if gone:
            notes.append(f"{', '.join(gone)} went with {name}; '{gone[0]}: floating' in the shot keeps it")
        elif guessed and moves:
            notes.append(f"{', '.join(guessed)} goes along with {name}, as it seems to stand on it or to belong to it")
    return notes


def directed_scene(folder: Path, options: ShotOptions) -> tuple[Scene, list[str]]:
    """The scene in `folder` under the shot that `options` give, without any as the folder holds it; and notes.

    Raises:
        UserError: the folder or the shot cannot be read, or they do not fit.
    """
    shot = read_shot(options)
    scene, notes = open_scene(folder)
    if scene.frames == 1 and shot.frames is None:
        shot = with_defaults(shot)
    return shot.apply(scene), notes
