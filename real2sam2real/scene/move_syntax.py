"""How moves are written: classes whose fields say how their values read, and vocabularies that know the classes.

A move is written as its name, a main value, and settings: `orbit: 30 deg` + `around: car` in YAML, `orbit 30 deg
around car` in a flag. Both become the same `Words`, and `build` makes the same move of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, dataclass_transform

from real2sam2real.errors import UserError
from real2sam2real.scene.timing import BEZIER, EASINGS, BezierEasing, Easing
from real2sam2real.scene.units import (
    BadValueError,
    Length,
    NotAQuantityError,
    Point,
    Span,
    Time,
    located,
    nearest,
    number_text,
    parse_angle,
    parse_factor,
    parse_hertz,
    parse_point,
    point_text,
    split_list,
    split_outside,
    split_quantity,
)

T = TypeVar("T")
MoveT = TypeVar("MoveT", bound="WrittenMove")
Target = str | Point
_KEY = "setting"


@dataclass(frozen=True)
class Words:
    """What was written for one move: a main value and settings, each with the place it was written at."""

    main: str | Sequence[Words] | None  # text after the move's name, or None; for keyframes it may be a list of `Words`
    settings: Mapping[str, str | Sequence[Words]]  # text (or a list of `Words`) by setting name, in the order written
    where: str = ""  # file and line, or the flag's text
    # where each setting was written, if it differs from `where`
    places: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of value: its name for messages, how it is read and how it is written."""

    name: str
    parse: Callable[[Any], T]
    write: Callable[[T], Any] = str
    nested: bool = False
    choices: tuple[str, ...] = ()  # the words it is one of, where there are only some


@dataclass(frozen=True)
class Setting:
    """How one field of a move is written."""

    kind: Kind[Any]  # its kind of value
    main: bool = False  # True for the value that stands right after the move's name
    # other names, each with a text put before the value ("seconds" puts the unit there)
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)
    signs: Mapping[str, int] = dataclasses.field(default_factory=dict)  # direction words and their signs: "left" -1

    def parse(self, written: str | Sequence[Words]) -> Any:
        """The value of what was written; direction words turn its sign."""
        if self.kind.nested:
            return self.kind.parse(written)
        if not isinstance(written, str):
            raise BadValueError(f"expected {self.kind.name}, found a list of settings")
        words = written.split()
        sign = 1
        for place in (0, -1):
            if len(words) > 1 and words[place].lower() in self.signs:
                sign = self.signs[words.pop(place).lower()]
                written = " ".join(words)
                break
        try:
            value = self.kind.parse(written)
        except BadValueError as error:
            if self.signs and words and words[0].isalpha():
                raise BadValueError(f"{error}{nearest(words[0], self.signs)}") from error
            raise
        return -value if sign < 0 else value


def setting(
    kind: Kind[Any],
    *,
    main: bool = False,
    words: Sequence[str] | Mapping[str, str] = (),
    signs: Mapping[str, int] | None = None,
    **default: Any,
) -> Any:
    """A dataclass field of a move; pass `default=` unless the value must be given."""
    prefixes = words if isinstance(words, Mapping) else dict.fromkeys(words, "")
    return dataclasses.field(metadata={_KEY: Setting(kind, main, prefixes, signs or {})}, **default)


def choice(what: str, one: str, all_: str, names: Sequence[str]) -> Kind[str]:
    """One of a few words; `one` and `all_` name it in messages: "unknown pivot 'x' (pivots: …)"."""

    def parse(text: str) -> str:
        name = unquoted(text).lower()
        if name not in names:
            raise BadValueError(f"unknown {one} '{text}'{nearest(name, names)} ({all_}: {', '.join(names)})")
        return name

    return Kind(what, parse, choices=tuple(names))


_named_easing: Callable[[str], Any] = choice("an easing", "easing", "easings", (*EASINGS, BEZIER)).parse


def parse_target(text: str) -> Target:
    """An entity's name (quotes allowed), or a point in the world such as "(0, 1, -3)"."""
    parts = split_list(text)
    if len(parts) == 3:
        return parse_point(text)
    name = unquoted(text)
    if not name:
        raise BadValueError("a target is missing; name an entity or a point such as '(0, 1, -3)'")
    return name


def unquoted(text: str) -> str:
    """The text without surrounding spaces and quotes."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def parse_integer(text: str) -> int:
    """A whole number of at least 0."""
    value, _ = split_quantity(text, "a plain number", [""])
    if value != int(value) or value < 0:
        raise BadValueError(f"'{text}' is not a whole number of at least 0")
    return int(value)


def parse_easing(text: str) -> Easing:
    """The name of an easing, or a curve: "bezier (0.4, 0, 0.2, 1)"."""
    return BezierEasing.parse(text) if text.strip().lower().startswith(BEZIER) else _named_easing(text)


def _parse_flag(text: str) -> bool:
    words = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
    if text.strip().lower() not in words:
        raise BadValueError(f"'{text}' is neither yes nor no")
    return words[text.strip().lower()]


ANGLE = Kind("an angle", parse_angle, lambda degrees: f"{number_text(degrees)} deg")
LENGTH = Kind("a distance", Length.parse)
FACTOR = Kind("a factor", parse_factor, lambda factor: f"{number_text(factor)}x")
HERTZ = Kind("a frequency", parse_hertz, lambda hertz: f"{number_text(hertz)} Hz")
INTEGER = Kind("a whole number", parse_integer)
TIME = Kind("a time", Time.parse)
SPAN = Kind("a span of time", Span.parse)
EASING: Kind[Easing] = Kind("an easing", parse_easing)
TARGET = Kind("an entity or a point", parse_target, lambda to: to if isinstance(to, str) else point_text(to))
POINT = Kind("a point", parse_point, point_text)
NAME = Kind("a name", unquoted)
YES_NO = Kind("yes or no", _parse_flag, lambda value: "yes" if value else "no")


@dataclass(frozen=True)
class Vocabulary(Generic[MoveT]):
    """The moves that a shot may name; each class enters itself when it is defined (see `WrittenMove`)."""

    what: str  # what they are, for messages
    # words that name a move and belong to its main value too: "forward 2 m" is a `move`
    value_words: frozenset[str] = frozenset()
    names: dict[str, type[MoveT]] = dataclasses.field(default_factory=dict)  # the moves by name
    # the moves by name and by every other word for them
    words: dict[str, type[MoveT]] = dataclasses.field(default_factory=dict)

    def find(self, name: str, where: str) -> type[MoveT]:
        """The move called `name`.

        Raises:
            UserError: there is none; the message names the nearest one.
        """
        with located(where):
            if name.lower() not in self.words:
                names = ", ".join(self.names)
                raise BadValueError(f"unknown {self.what} '{name}'{nearest(name, self.words)} (moves: {names})")
        return self.words[name.lower()]

    def parse(self, text: str, where: str) -> tuple[MoveT, ...]:
        """Read moves such as "orbit 30deg around car frames 10-40; dolly in 0.5", separated by semicolons or commas.

        Raises:
            UserError: there is no move, or a part cannot be read; the message begins with `where`.
        """
        with located(where):
            parts = [part.strip() for part in split_outside(text, ";,")]
            if not any(parts):
                raise BadValueError("there is no move in it; write for example 'orbit 30 deg' or 'forward 2 units'")
        moves = []
        for part in filter(None, parts):
            name, _, body = part.partition(" ")
            cls = self.find(name, where)
            moves.append(build(cls, flag_words(cls, part if name.lower() in self.value_words else body, where)))
        return tuple(moves)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting,))
@dataclass(frozen=True, kw_only=True)
class WrittenMove:
    """Something that can be written as a name, a main value and settings.

    Subclasses become frozen dataclasses. Those with a name enter the vocabulary of their base class, if it has one:
    `class Orbit(CameraMove, name="orbit", synonyms=("arc",))`.
    """

    kind: ClassVar[str] = ""
    vocabulary: ClassVar[Vocabulary[Any] | None] = None
    where: str = dataclasses.field(default="", compare=False, repr=False)

    def __init_subclass__(cls, *, name: str = "", synonyms: Sequence[str] = ()) -> None:
        dataclass(frozen=True, kw_only=True)(cls)
        cls.kind = name
        if name and cls.vocabulary is not None:
            cls.vocabulary.names[name] = cls
            cls.vocabulary.words.update(dict.fromkeys([name, *synonyms], cls))


SPAN_WORDS = {"frames": "frames ", "seconds": "seconds ", "over": "", "from": "", "during": ""}


class TimedMove(WrittenMove):
    """A move that takes time."""

    span: Span = setting(SPAN, words=SPAN_WORDS, default=Span())  # when it happens; the whole shot unless given
    easing: Easing = setting(EASING, default="ease")  # how it starts and ends


class WrittenKeyframe(WrittenMove):
    """What keyframes of cameras and of entities share; the `easing` of one shapes the way to the next."""

    time: Time = setting(TIME, words={"frame": "frame ", "at": ""})
    position: Point | None = setting(POINT, default=None)  # a place in the world
    by: Point | None = setting(POINT, default=None)  # an offset from the place in the photo

    def __post_init__(self) -> None:
        if self.position is not None and self.by is not None:
            raise BadValueError("a keyframe has a 'position' in the world or an offset 'by', not both")


def settings_of(cls: type[WrittenMove]) -> dict[str, Setting]:
    """The settings of a move by field name."""
    return {field.name: field.metadata[_KEY] for field in dataclasses.fields(cls) if _KEY in field.metadata}


def setting_words(cls: type[WrittenMove]) -> dict[str, str]:
    """Field names by every word that introduces a setting in YAML or a flag; the main value has none."""
    found = {}
    for name, item in settings_of(cls).items():
        spelled = [] if item.main else [name.rstrip("_").replace("_", "-")]
        found.update(dict.fromkeys([*spelled, *item.words], name))
    return found


def build(cls: type[MoveT], words: Words) -> MoveT:
    """Make a move of what was written.

    Raises:
        UserError: an unknown or doubled setting, a missing value, or one that cannot be read.
    """
    known, settings = setting_words(cls), settings_of(cls)
    label = cls.kind or "this"
    values: dict[str, Any] = {}
    main = next((name for name, item in settings.items() if item.main), None)
    with located(words.where):
        if words.main:
            if main is None:
                raise BadValueError(f"'{label}' takes no value, but '{words.main}' was given")
            values[main] = _main_value(settings[main], words.main, label, known)
    for word, text in words.settings.items():
        with located(words.places.get(word, words.where)):
            if word not in known:
                names = ", ".join(known)
                raise BadValueError(f"'{label}' has no setting '{word}'{nearest(word, known)} (it has: {names})")
            name = known[word]
            if name in values:
                raise BadValueError(f"'{label}' says '{word}' twice, or by two names; keep one")
            prefix = settings[name].words.get(word, "")
            values[name] = settings[name].parse(f"{prefix}{text}" if isinstance(text, str) else text)
    for field in dataclasses.fields(cls):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in values:
            what = settings[field.name].kind.name
            called = "" if field.name == main else f" called '{field.name}'"
            raise UserError(f"{words.where}: '{label}' needs {what}{called}")
    with located(words.where):
        return cls(**values, where=words.where)


def _main_value(item: Setting, main: str | Sequence[Words], label: str, known: Mapping[str, str]) -> Any:
    """The main value; when stray words follow it, the message says which word was probably meant."""
    try:
        return item.parse(main)
    except NotAQuantityError as error:
        strays = [word for word in str(main).split()[1:] if word[0].isalpha() and word.lower() not in item.signs]
        if not strays:
            raise
        hint = nearest(strays[0], [*known, *((*EASINGS, BEZIER) if "easing" in known else ())])
        raise BadValueError(f"'{label}' does not know the word '{strays[0]}' in '{main}'{hint}") from error


def written(move: WrittenMove) -> tuple[Any, dict[str, Any]]:
    """Main value and settings as they stand in YAML: texts, or lists for keyframes; defaults are left out."""
    main: Any = ""
    texts: dict[str, Any] = {}
    for field in dataclasses.fields(move):
        if _KEY not in field.metadata:
            continue
        item: Setting = field.metadata[_KEY]
        value = getattr(move, field.name)
        if item.main:
            main = item.kind.write(value)
        elif value != field.default:
            texts[field.name.rstrip("_").replace("_", "-")] = item.kind.write(value)
    return main, texts


def flag_words(cls: type[WrittenMove], text: str, where: str) -> Words:
    """Read "30 deg around car frames 10-40 ease-in" as a main value and settings of `cls`.

    A word that names a setting starts it, and it runs to the next such word; a bare easing sets the easing, and a
    curve's numbers follow it. Quotes keep a name with such words together.
    """
    known = setting_words(cls)
    current: str | None = None
    parts: dict[str | None, list[str]] = {None: []}
    with located(where):
        tokens = [token for token in split_outside(text, " \t\n") if token]
    for token in tokens:
        word = token.lower()
        if _starts_easing(word) and "easing" in known and known.get(current or "") != "easing":
            parts["easing"] = [word]
            current = "easing" if word == BEZIER else current
        elif word in known:
            if word in parts:
                raise UserError(f"{where}: '{word}' stands twice in '{text.strip()}'; keep one")
            current = word
            parts[word] = []
        else:
            parts[current].append(token)
    main = " ".join(parts.pop(None)) or None
    settings = {str(word): " ".join(values) for word, values in parts.items()}
    for word, value in settings.items():
        if not value:
            raise UserError(f"{where}: '{word}' has no value in '{text.strip()}'")
    return Words(main, settings, where)


def _starts_easing(word: str) -> bool:
    return word in EASINGS or word == BEZIER or word.startswith(f"{BEZIER}(")


def keyframes_kind(cls: type[MoveT]) -> Kind[tuple[MoveT, ...]]:
    """A list of `cls`: in YAML a list of settings, in a flag "(frame 0 pan 10 deg; frame 40 pan 30 deg)"."""

    def parse(value: str | Sequence[Words]) -> tuple[MoveT, ...]:
        if isinstance(value, str):
            try:
                return parse([flag_words(cls, part, "") for part in split_list(value, ";") if part])
            except UserError as error:  # the flag is named by whoever reads it
                raise BadValueError(str(error).removeprefix(": ")) from error
        if not value:
            raise BadValueError("the list of keyframes is empty; give at least one")
        return tuple(build(cls, words) for words in value)

    return Kind("a list of keyframes", parse, lambda keys: [written(key)[1] for key in keys], nested=True)
