"""A shot: how the camera and the entities of a scene move, from a YAML file or from flags. See docs/shots.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.scene import camera_moves as cm
from real2sam2real.scene import entity_moves as em
from real2sam2real.scene import shot_yaml
from real2sam2real.scene.carrying import carry, release
from real2sam2real.scene.entity_animation import displacement, front_object
from real2sam2real.scene.kept_motions import KeptMotions
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.move_syntax import WrittenMove, parse_integer, written
from real2sam2real.scene.relation import GROUND, Relation
from real2sam2real.scene.retime import retimed
from real2sam2real.scene.scene import Entity, Scene
from real2sam2real.scene.targets import entity_called
from real2sam2real.scene.units import BadValueError, located, nearest, split_quantity

KEYS = ("frames", "fps", "prompt", "seed", "camera", "entities")
MAX_FRAMES = 4097  # 4k + 1; four minutes at 16 fps, far beyond any checkpoint, and still a moderate scene in memory


@dataclass(frozen=True, kw_only=True)
class Shot:
    """The direction of a scene.

    Attributes:
        frames: number of frames T = 4k + 1, or None to keep the scene's.
        fps: frames per second, or None to keep the scene's.
        prompt: what the video should show, or None to keep the scene's.
        seed: of handheld moves without a seed of their own.
        camera: camera moves, or None to keep the scene's camera; an empty tuple lets it rest.
        entities: moves by entity name.

    Raises:
        UserError: frames or fps cannot be used.
    """

    frames: int | None = None
    fps: float | None = None
    prompt: str | None = None
    seed: int = 0
    camera: tuple[cm.CameraMove, ...] | None = None
    entities: Mapping[str, tuple[em.EntityMove, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with located(""):
            if self.frames is not None:
                check_frames(self.frames)
            if self.fps is not None:
                check_fps(self.fps)

    @classmethod
    def from_flags(
        cls,
        *,
        camera: Sequence[str] = (),
        move: Sequence[str] = (),
        remove: Sequence[str] = (),
        frames: int | None = None,
        fps: float | None = None,
        prompt: str | None = None,
        seed: int = 0,
    ) -> Shot:
        """A shot from the texts of the command line's flags of the same names.

        `camera` is such as "orbit 30deg around car; dolly in 0.5", `move` such as "car: forward 2, turn 25deg" (an
        entity may come up several times), `remove` entity names.

        Raises:
            UserError: a text cannot be read; the message quotes the flag and names the nearest valid word.
        """
        moves = [part for text in camera for part in cm.parse_camera_flag(text)]
        entities: dict[str, tuple[em.EntityMove, ...]] = {}
        removals = [(name, (em.Remove(where=f"--remove '{name}'"),)) for name in remove]
        for name, found in [*map(em.parse_entity_flag, move), *removals]:
            entities[name] = (*entities.get(name, ()), *found)
        return cls(
            frames=frames, fps=fps, prompt=prompt, seed=seed, camera=tuple(moves) if camera else None, entities=entities
        )

    def merged(self, other: Shot) -> Shot:
        """This shot with what `other` adds: its values win, its moves follow (flags on top of a file)."""
        entities = {name: (*self.entities.get(name, ()), *moves) for name, moves in other.entities.items()}
        return Shot(
            frames=self.frames if other.frames is None else other.frames,
            fps=self.fps if other.fps is None else other.fps,
            prompt=self.prompt if other.prompt is None else other.prompt,
            seed=other.seed or self.seed,
            camera=self.camera if other.camera is None else (*(self.camera or ()), *other.camera),
            entities={**self.entities, **entities},
        )

    def apply(self, scene: Scene, kept: KeptMotions | None = None) -> Scene:
        """Direct `scene`: entities are removed, copied and moved, then the camera; what the shot leaves out stays.

        An entity with moves starts from its pose in the photo, so that applying a shot twice is the same as once.
        Motions that stay are stretched to the shot's length. What stands on an entity, or belongs to it, goes where
        that goes: it is moved, hidden, copied and removed with it.

        Args:
            scene: to be directed.
            kept: for who applies shots that differ little, again and again: what has not changed is not computed anew.

        Raises:
            UserError: an unknown entity, a span outside the shot, a move that cannot be performed, or a camera that
                gets inside an entity.
        """
        kept = KeptMotions() if kept is None else kept
        scene, entities = self.staged(scene)
        for name, moves in entities.items():
            with located(moves[0].where if moves else ""):
                entity = entity_called(scene, name)
            scene = scene.with_motion(name, kept.of_entity(moves, entity, scene))
        scene = carry(scene)
        for name, moves in entities.items():
            if _removes(moves) and name in scene.names:  # else it went along with its carrier
                for each in reversed([name, *scene.carried_by(name)]):
                    scene = scene.without(each)
        if self.camera is not None:
            scene = replace(scene, camera=kept.of_camera(self.camera, scene, seed=self.seed))
        if (found := camera_inside(scene)) is not None:
            frame, name = found
            raise UserError(
                f"in frame {frame} the camera is inside '{name}'; shorten or turn the moves that bring them together, "
                f"or hide '{name}' for those frames"
            )
        return scene

    def staged(self, scene: Scene) -> tuple[Scene, dict[str, tuple[em.EntityMove, ...]]]:
        """The scene before anything moves, in the shot's length and with its copies, and the moves to perform in it.

        Motions that stay are each entity's own, without those of carriers.

        Raises:
            UserError: an unknown entity, or a copy or a relation that cannot be.
        """
        scene = replace(
            scene,
            fps=scene.fps if self.fps is None else self.fps,
            prompt=scene.prompt if self.prompt is None else self.prompt,
        )
        scene = retimed(scene, scene.frames if self.frames is None else self.frames)
        gone = {entity.name for entity in scene.removed} - set(scene.names)
        entities = {n: moves for n, moves in self.entities.items() if not (n in gone and _removes(moves))}
        scene = _with_relations(release(scene), entities)
        for name, moves in entities.items():
            scene = _with_copies(scene, name, moves)
        return scene, entities

    def relations(self) -> dict[str, Relation]:
        """What it says about what belongs together, by entity name."""
        return {name: found for name, moves in self.entities.items() if (found := em.relation_of(moves)) is not None}

    def to_yaml(self) -> str:
        """The shot as the text of a shot file, which `parse_shot` reads back as an equal shot."""
        return yaml.safe_dump(self.to_data(), sort_keys=False, allow_unicode=True, width=100)

    def to_data(self) -> dict[str, Any]:
        """The shot as JSON values in the words of a shot file, which `shot_from_data` reads back as an equal shot."""
        data: dict[str, Any] = {}
        for key in ("frames", "fps", "prompt"):
            if (value := getattr(self, key)) is not None:
                data[key] = value
        if self.seed:
            data["seed"] = self.seed
        if self.camera is not None:
            data["camera"] = [_as_data(move) for move in self.camera]
        if self.entities:
            data["entities"] = {name: [_as_data(move) for move in moves] for name, moves in self.entities.items()}
        return data


def load_shot(path: Path | str) -> Shot:
    """Read a shot file.

    Raises:
        UserError: it cannot be read, or a key, entity, unit, move or easing is unknown; the message names file and
            line, and the nearest valid word.
    """
    path = Path(path)
    return _shot(shot_yaml.read_yaml(path), path.parent)


def parse_shot(text: str, *, file: str = "shot", folder: Path = Path()) -> Shot:
    """Read a shot from YAML text; `file` names it in messages. Raises as `load_shot` does.

    Paths in it are relative to `folder`.
    """
    return _shot(shot_yaml.parse_yaml(text, file), folder)


def shot_from_data(data: Any, folder: Path = Path()) -> Shot:
    """Read a shot from JSON values in the words of a shot file; messages name the move by its number.

    Paths in it are relative to `folder`.

    Raises:
        UserError: as `load_shot` does.
    """
    return _shot(shot_yaml.DataNode(data), folder)


def check_frames(frames: int) -> None:
    """Raise a `BadValueError` unless `frames` is 4k + 1 and of a sensible size."""
    if frames < 1 or frames > MAX_FRAMES:
        raise BadValueError(f"frames is {frames}; a shot has 1 to {MAX_FRAMES} frames")
    if frames % 4 != 1:
        below, above = frames - (frames - 1) % 4, frames + (1 - frames) % 4
        raise BadValueError(
            f"frames is {frames}, but a shot has 4k + 1 frames (1, 5, 9, …, 81): the video model encodes four at a "
            f"time after the first; the nearest are {below} and {above}"
        )


def check_fps(fps: float) -> None:
    """Raise a `BadValueError` unless `fps` is a sensible frame rate."""
    if not math.isfinite(fps) or not 0 < fps <= 1000:
        raise BadValueError(f"fps is {fps:g}; give a frame rate above 0 and up to 1000, such as 16")


def _shot(root: shot_yaml.ShotNode | None, folder: Path) -> Shot:
    if root is None or root.empty:
        return Shot()
    entries = root.entries("a shot file")
    values: dict[str, Any] = {}
    for key, (key_source, source) in entries.items():
        if key not in KEYS:
            raise key_source.error(f"'{key}' is not a key of a shot file{nearest(key, KEYS)} (keys: {', '.join(KEYS)})")
        if key == "camera":
            values[key] = tuple(  # paths in a shot file are relative to the file
                replace(move, file=str(folder / move.file)) if isinstance(move, cm.ImportedPath) else move
                for move in shot_yaml.moves(source, cm.CAMERA_MOVES)
            )
        elif key == "entities":
            named = {} if source.empty else source.entries("moves by entity name")
            values[key] = {name: shot_yaml.moves(value, em.ENTITY_MOVES) for name, (_, value) in named.items()}
        elif source.empty:
            raise key_source.error(f"'{key}' has no value")
        else:
            with located(source.where):
                values[key] = _scalar(key, source.text(f"a value of '{key}'"))
    return Shot(**values)


def _scalar(key: str, text: str) -> Any:
    if key == "prompt":
        return text
    if key == "fps":
        fps = split_quantity(text, "a frame rate", ["", "fps"])[0]
        check_fps(fps)
        return fps
    value = parse_integer(text)
    if key == "frames":
        check_frames(value)
    return value


def _as_data(move: WrittenMove) -> Any:
    main, settings = written(move)
    if not main and not settings:
        return move.kind
    return {move.kind: main or None, **settings}


def _removes(moves: Sequence[em.EntityMove]) -> bool:
    return any(isinstance(move, em.Remove) for move in moves)


def _with_relations(scene: Scene, entities: Mapping[str, Sequence[em.EntityMove]]) -> Scene:
    """The scene with what the moves say about what belongs together."""
    for name, moves in entities.items():
        relation = em.relation_of(moves)
        if relation is None:
            continue
        with located(moves[0].where):
            entity = entity_called(scene, name)
            if relation.to is not None and relation.to != GROUND:
                entity_called(scene, relation.to)
            try:
                scene = scene.with_entity(replace(entity, relation=relation))
            except ValueError as error:
                raise BadValueError(str(error)) from error
    return scene


def _with_copies(scene: Scene, name: str, moves: Sequence[em.EntityMove]) -> Scene:
    for move in moves:
        if not isinstance(move, em.Duplicate):
            continue
        with located(move.where):
            source = entity_called(scene, name)
            linear = source.rest_world_from_object[:3, :3]
            forward = linear / np.linalg.norm(linear, axis=0) @ front_object(moves, source, scene)
            offset = displacement(move.by, move.axes, source, scene, forward)
            names = {name: move.name} | {each: f"{move.name} {each}" for each in scene.carried_by(name)}
            for original, copy in names.items():
                scene = _with_copy(scene, original, copy, offset)
            for original, copy in list(names.items())[1:]:
                relation = scene.entity(original).relation
                assert relation is not None  # it is carried
                tied = replace(relation, to=names[str(relation.to)])
                scene = scene.with_entity(replace(scene.entity(copy), relation=tied))
    return scene


def _with_copy(scene: Scene, name: str, copy_name: str, offset: Float) -> Scene:
    """The scene with a copy that rests, in place of one that an earlier shot made."""
    if copy_name in scene.names:
        if scene.entity(copy_name).provenance.get("copy_of") != name:
            raise BadValueError(f"'{copy_name}' is already in the scene; choose another name for the copy")
        scene = scene.without(copy_name)
    try:
        scene = scene.duplicated(name, copy_name, offset)
    except ValueError as error:
        raise BadValueError(str(error)) from error
    copy = scene.entity(copy_name)
    still = Motion.still(scene.frames, copy.rest_world_from_object)
    still = replace(still, vertices_object=copy.motion.vertices_object)
    return scene.with_entity(replace(copy, motion=still, provenance={**copy.provenance, "copy_of": name}))


def camera_inside(scene: Scene) -> tuple[int, str] | None:
    """The first frame and the name of a visible entity that the camera is inside of, or None.

    From there its mesh is seen inside out, and no video model knows what to do.
    """
    eyes = scene.camera.world_from_camera[:, :3, 3]
    found = [(frame, entity.name) for entity in scene.entities if (frame := _first_inside(entity, eyes)) is not None]
    return min(found, default=None)


def _first_inside(entity: Entity, eyes_world: Float) -> int | None:
    inverse = np.linalg.inv(entity.motion.matrices())
    eyes = np.einsum("tij,tj->ti", inverse[:, :3, :3], eyes_world) + inverse[:, :3, 3]
    deformed = entity.motion.vertices_object
    vertices = entity.mesh.vertices
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    if deformed is not None:
        low, high = deformed.min(axis=(0, 1)).astype(np.float64), deformed.max(axis=(0, 1)).astype(np.float64)
    near = np.all((eyes > low) & (eyes < high), axis=1) & entity.motion.visible
    for frame in np.flatnonzero(near):
        points = vertices if deformed is None else deformed[frame].astype(np.float64)
        if winding_number(points, entity.mesh.faces, eyes[frame]) > 0.5:
            return int(frame)
    return None


def winding_number(vertices: Float, faces: np.ndarray, point: Float) -> float:
    """How often a surface winds around `point` `(3,)`: 1 inside a closed outward mesh, 0 outside.

    `vertices` are `(V, 3)` in the frame of `point`, `faces` `(F, 3)` int. It is the sum of the triangles' solid angles
    over 4π (van Oosterom and Strackee, 1983).
    """
    a, b, c = (vertices[faces[:, k]] - point for k in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
    triple = np.einsum("ij,ij->i", a, np.cross(b, c))
    dots = [np.einsum("ij,ij->i", u, v) for u, v in ((a, b), (b, c), (c, a))]
    divisor = la * lb * lc + dots[0] * lc + dots[1] * la + dots[2] * lb
    return float(np.sum(2 * np.arctan2(triple, divisor)) / (4 * np.pi))
