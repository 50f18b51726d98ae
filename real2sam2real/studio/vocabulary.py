"""The words of a shot file as JSON for the page, made from the classes that read them."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

from real2sam2real.scene import camera_moves as cm
from real2sam2real.scene import entity_moves as em
from real2sam2real.scene.move_syntax import Setting, Vocabulary, WrittenMove, settings_of
from real2sam2real.scene.timing import EASINGS
from real2sam2real.scene.units import UNIT_WORDS


def vocabulary() -> dict[str, Any]:
    """Every move with its words, help and settings (names, kinds of values, choices, signs, defaults).

    `camera` and `entity` list the moves in the order of their classes, `cameraKeyframe` and `entityKeyframe` describe
    one keyframe of each, `valueWords` are those that name an entity's move and belong to its value (`forward`),
    `units` the unit words by quantity, each with the unit and the factor it stands for. The page's types are in
    `studio/src/shot/vocabulary.ts`.
    """
    return {
        "camera": _moves(cm.CAMERA_MOVES),
        "entity": _moves(em.ENTITY_MOVES),
        "cameraKeyframe": _move(cm.CameraKeyframe, ()),
        "entityKeyframe": _move(em.EntityKeyframe, ()),
        "valueWords": sorted(em.ENTITY_MOVES.value_words),
        "directions": list(em.DIRECTIONS),
        "easings": list(EASINGS),
        "units": {name: {word: list(unit) for word, unit in words.items()} for name, words in UNIT_WORDS.items()},
    }


def _moves(known: Vocabulary[Any]) -> list[dict[str, Any]]:
    return [
        _move(cls, [word for word, named in known.words.items() if named is cls and word != name])
        for name, cls in known.names.items()
    ]


def _move(cls: type[WrittenMove], words: tuple[str, ...] | list[str]) -> dict[str, Any]:
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    return {
        "name": cls.kind,
        "words": list(words),
        "help": inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " "),
        # Which file may be read is not for a page to say: such moves are shown, and come from the shot file alone.
        "readsFile": cls is cm.ImportedPath,
        "settings": [_setting(name, item, defaults[name]) for name, item in settings_of(cls).items()],
    }


def _setting(name: str, item: Setting, default: object) -> dict[str, Any]:
    required = default is dataclasses.MISSING
    return {
        "name": name.rstrip("_").replace("_", "-"),
        "words": dict(item.words),
        "main": item.main,
        "kind": item.kind.name,
        "choices": list(item.kind.choices),
        "signs": dict(item.signs),
        "required": required,
        "default": None if required or default is None else item.kind.write(default),
    }


if __name__ == "__main__":
    print(json.dumps(vocabulary(), indent=1, ensure_ascii=False))
