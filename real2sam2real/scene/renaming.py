"""Another name for an entity, in a scene and in a shot that speaks of it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TypeVar

from real2sam2real.errors import UserError
from real2sam2real.scene import entity_moves as em
from real2sam2real.scene.move_syntax import WrittenMove
from real2sam2real.scene.scene import Entity, Scene
from real2sam2real.scene.shot import Shot

MoveT = TypeVar("MoveT", bound=WrittenMove)
_NAMING = ("target", "look_at", "other")
"""Fields of moves and keyframes that name an entity."""


def renamed_scene(scene: Scene, name: str, to: str) -> Scene:
    """The scene in which an entity is called `to`, also where others stand on it.

    Raises:
        UserError: there is no such entity, or the new name cannot be used.
    """
    if name not in scene.names:
        raise UserError(f"no entity called '{name}'; there are {', '.join(scene.names)}")
    if to in scene.names and to != name:
        raise UserError(f"'{to}' is already in the scene; choose another name")
    try:
        return replace(scene, entities=tuple(_renamed_entity(entity, name, to) for entity in scene.entities))
    except ValueError as error:
        raise UserError(str(error)) from error


def _renamed_entity(entity: Entity, name: str, to: str) -> Entity:
    relation = entity.relation
    if relation is not None and relation.to == name:
        entity = replace(entity, relation=replace(relation, to=to))
    if entity.provenance.get("copy_of") == name:
        entity = replace(entity, provenance={**entity.provenance, "copy_of": to})
    return replace(entity, name=to) if entity.name == name else entity


def renamed_shot(shot: Shot, name: str, to: str) -> Shot:
    """The shot that says of `to` what it said of the entity `name`, and looks at it where it looked at that."""
    camera = None if shot.camera is None else tuple(_renamed_move(move, name, to) for move in shot.camera)
    entities = {
        to if each == name else each: tuple(_renamed_move(move, name, to) for move in moves)
        for each, moves in shot.entities.items()
    }
    return replace(shot, camera=camera, entities=entities)


def _renamed_move(move: MoveT, name: str, to: str) -> MoveT:
    changes: dict[str, object] = {}
    for field in fields(move):
        value = getattr(move, field.name)
        if field.name in _NAMING and value == name:
            changes[field.name] = to
        elif field.name == "keys":
            changes[field.name] = tuple(_renamed_move(key, name, to) for key in value)
        elif field.name == "name" and isinstance(move, em.Duplicate) and value == name:  # a copy that the shot makes
            changes[field.name] = to
    return replace(move, **changes) if changes else move  # type: ignore[arg-type]
