"""What a person has marked on a photo: objects with their masks, what is known of the camera, and how to lift it all.

In a workspace these are `objects.json` and `masks/`:

    masks/NAME.png        what belongs to an object once those in front of it have taken theirs; --mask reads it
    masks/whole/ID.png    all that was cut out and painted for it
    masks/cut/ID.png      what its box and points gave, where a person has painted on it since
    inputs/DIGEST.SUFFIX  meshes and depth maps that a person brought along, beside `masks/`

Boxes and points are in pixels of the photo's file; masks have the size at which the photo is worked on
(`run.photo.read_photo`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image

from real2sam2real.arrays import Float, Mask
from real2sam2real.errors import UserError
from real2sam2real.lifting.options import Switch
from real2sam2real.media.pictures import open_picture
from real2sam2real.perceive.camera.options import DepthKind, DepthModel
from real2sam2real.perceive.masks import MAX_INSTANCES, MIN_PIXELS, Masks, clean_masks
from real2sam2real.perceive.segment.options import SegmentModel
from real2sam2real.perceive.segment.overlaps import resolve_overlaps
from real2sam2real.perceive.segment.points import parts_with
from real2sam2real.scene.relation import Relation, RelationWord, check_circles
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.records import read_record, write_json

OBJECTS, MASKS = "objects.json", "masks"
FORMAT = 1
Source = Literal["box", "points", "text", "proposed", "brush", "file"]
Point = tuple[float, float]

_REMEDY = "undo in the studio, or delete it and the folder masks, and mark the objects again"


@dataclass(frozen=True, kw_only=True)
class MarkedRelation:
    """Where an object belongs; see `Relation`."""

    word: RelationWord
    to: str | None = None


@dataclass(frozen=True, kw_only=True)
class MarkedFacts:
    """What is said of one object, beside its mask.

    Raises:
        UserError: the name cannot be an entity's.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(4))
    name: str
    source: Source  # how the mask came about
    box: tuple[float, float, float, float] | None = None  # left, top, right, bottom
    inside: tuple[Point, ...] = ()
    outside: tuple[Point, ...] = ()
    word: str = ""  # that found it
    occluder: bool = False  # no object of its own: it hides a part of others
    lifter: str | None = None  # None for the usual one
    mesh: str | None = None  # file in inputs/ of a mesh of its own
    mesh_name: str = ""  # what that file was called
    relation: MarkedRelation | None = None

    def __post_init__(self) -> None:
        refuse_name(self.name)


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkedObject:
    """One object with its masks, `(H, W)` bool."""

    facts: MarkedFacts
    whole: Mask  # all of it, also where another one is in front
    cut: Mask | None = None  # what box and points gave, where `whole` was painted on since

    @property
    def name(self) -> str:
        """What it is called."""
        return self.facts.name

    @property
    def id(self) -> str:
        """Which one it is, whatever it is called."""
        return self.facts.id

    @property
    def is_painted(self) -> bool:
        """Whether its mask is not what its box, points or word gave."""
        return self.cut is not None or self.facts.source in ("brush", "file")

    def said(self, **facts: Any) -> MarkedObject:
        """The same with other facts."""
        return replace(self, facts=replace(self.facts, **facts))

    def recut(self, mask: Mask, inside: Float, outside: Float) -> MarkedObject:
        """The same with another mask from its box and points; what was painted on it stays painted.

        A stroke that a point contradicts is gone.

        Args:
            mask: `(H, W)` bool.
            inside: `(N, 2)` pixels x, y of the mask, on the object.
            outside: `(M, 2)` likewise, beside it.
        """
        if self.cut is None:
            return replace(self, whole=mask)
        added = _without_parts_at(self.whole & ~self.cut, outside)
        erased = _without_parts_at(self.cut & ~self.whole, inside)
        painted = (mask | added) & ~erased
        return replace(self, whole=painted, cut=mask if added.any() or erased.any() else None)

    def painted(self, added: Mask, erased: Mask) -> MarkedObject:
        """The same with pixels added and others taken away."""
        whole = (self.whole | added) & ~erased
        cut = self.whole if self.cut is None and self.facts.source not in ("brush", "file") else self.cut
        return self if np.array_equal(whole, self.whole) else replace(self, whole=whole, cut=cut)


@dataclass(frozen=True, kw_only=True)
class MarkedView:
    """What a person knows of the photo's camera; see `ViewOptions`. None is left to the estimate."""

    focal: float | None = None  # in pixels of the photo's file
    pitch: float | None = None  # degrees
    roll: float | None = None  # degrees


@dataclass(frozen=True, kw_only=True)
class LiftChoice:
    """How the objects are cut out and lifted; see `SegmentOptions`, `LiftOptions` and `ViewOptions`."""

    segmenter: SegmentModel = "embedded"
    lifter: str | None = None  # for all; None for the usual ones
    max_faces: int = 40_000
    contact: Switch = "auto"
    billboards: bool = True
    align: bool = True
    depth: DepthModel = "none"
    depth_file: str | None = None  # in inputs/; in place of `depth`
    depth_name: str = ""  # what that file was called
    depth_kind: DepthKind = "auto"


@dataclass(frozen=True, kw_only=True)
class _ObjectsFile:
    """The content of objects.json."""

    format: int
    size: tuple[int, int]  # of the masks, width and height
    objects: list[MarkedFacts]
    view: MarkedView = field(default_factory=MarkedView)
    lift: LiftChoice = field(default_factory=LiftChoice)


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoMarks:
    """All that is marked on one photo; objects in the order of their ids in renders."""

    size: tuple[int, int]  # of the masks: width and height of the photo as it is worked on
    objects: tuple[MarkedObject, ...] = ()
    view: MarkedView = field(default_factory=MarkedView)
    lift: LiftChoice = field(default_factory=LiftChoice)

    @property
    def names(self) -> list[str]:
        """Of all objects, occluders included."""
        return [each.name for each in self.objects]

    @cached_property
    def resolved(self) -> Masks:
        """Disjoint masks `(H, W)` bool by name, by the rules of `collect_masks`, without the occluders; with notes.

        Raises:
            UserError: two are the same object, or one is empty or hidden.
        """
        wholes = {each.name: each.whole for each in self.objects if not each.facts.occluder}
        return clean_masks(resolve_overlaps(wholes, ())) if wholes else Masks()

    def shown_mask(self, each: MarkedObject) -> Mask:
        """`(H, W)` bool: what belongs to an object once those in front of it have taken theirs."""
        return each.whole if each.facts.occluder else self.resolved[each.name]

    def find(self, id_: str) -> MarkedObject:
        """An object by its id.

        Raises:
            UserError: there is none.
        """
        for each in self.objects:
            if each.id == id_:
                return each
        raise UserError("this object is not there any more; look at the list, and do it again")

    def with_object(self, changed: MarkedObject) -> PhotoMarks:
        """With an object in place of the one of its id, or as the last one.

        Raises:
            UserError: the name is taken, or the masks do not go together.
        """
        known = changed.id in {each.id for each in self.objects}
        if any(each.name == changed.name and each.id != changed.id for each in self.objects):
            raise UserError(f"there is an object called '{changed.name}' already; choose another name")
        if not known and len(self.objects) >= MAX_INSTANCES:
            raise UserError(f"{MAX_INSTANCES} objects are marked, and no more fit; delete some")
        kept = tuple(changed if each.id == changed.id else each for each in self.objects)
        return self._checked(replace(self, objects=kept if known else (*kept, changed)))

    def without(self, id_: str) -> PhotoMarks:
        """Without one object; what was said to belong to it belongs nowhere."""
        gone = self.find(id_)
        kept = [each for each in self.objects if each.id != id_]
        lost = [each.facts.relation is not None and each.facts.relation.to == gone.name for each in kept]
        objects = tuple(each.said(relation=None) if bare else each for each, bare in zip(kept, lost, strict=True))
        return replace(self, objects=objects)

    def renamed(self, id_: str, name: str) -> PhotoMarks:
        """With another name for an object, also where others speak of it."""
        old = self.find(id_).name
        objects = []
        for each in self.objects:
            relation = each.facts.relation
            if relation is not None and relation.to == old:
                each = each.said(relation=replace(relation, to=name))
            objects.append(each)
        marks = replace(self, objects=tuple(objects))
        return marks.with_object(marks.find(id_).said(name=name.strip()))

    def ordered(self, ids: Sequence[str]) -> PhotoMarks:
        """In another order.

        Raises:
            UserError: it is not one of all objects.
        """
        if sorted(ids) != sorted(each.id for each in self.objects):
            raise UserError("the order does not name every object once; look at the list, and do it again")
        return replace(self, objects=tuple(self.find(id_) for id_ in ids))

    def painted(self, id_: str, mask: Mask) -> PhotoMarks:
        """With the mask of an object as a person has painted it; what it gains is taken from the others.

        Args:
            id_: of the object.
            mask: `(H, W)` bool, in place of what is shown of it.

        Raises:
            UserError: nothing is left of an object.
        """
        target = self.find(id_)
        shown = self.shown_mask(target)
        added, erased = mask & ~shown, shown & ~mask
        none = np.zeros_like(mask)
        taken = none if target.facts.occluder else added
        objects = [
            each.painted(added, erased)
            if each.id == id_
            else each
            if each.facts.occluder
            else each.painted(none, taken)
            for each in self.objects
        ]
        _refuse_nothing_left(objects)
        return self._checked(replace(self, objects=tuple(objects)))

    def with_painted(self, new: MarkedObject) -> PhotoMarks:
        """With a new object that a person painted; what it covers is taken from the others."""
        none = np.zeros_like(new.whole)
        others = [each if each.facts.occluder else each.painted(none, new.whole) for each in self.objects]
        _refuse_nothing_left(others)
        return replace(self, objects=tuple(others)).with_object(new)

    @staticmethod
    def _checked(marks: PhotoMarks) -> PhotoMarks:
        _ = marks.resolved  # raises where the masks do not go together
        marks.check_relations()
        return marks

    def check_relations(self) -> None:
        """See that what is said of where objects belong can be.

        Raises:
            UserError: objects would carry each other.
        """
        try:
            check_circles(
                {
                    each.name: Relation(word=said.word, to=said.to)
                    for each in self.objects
                    if (said := each.facts.relation) is not None
                }
            )
        except ValueError as error:
            raise UserError(str(error)) from error

    def free_name(self, stem: str) -> str:
        """A name like `stem` that no object has: cup, cup_2 and so on."""
        candidates = (stem, *(f"{stem}_{number}" for number in range(2, len(self.objects) + 3)))
        return next(name for name in candidates if name not in self.names)


def refuse_name(name: str) -> None:
    """See that a scene's entity can be called so.

    Raises:
        UserError: it cannot.
    """
    if not name or not (name[0].isalnum() or name[0] == "_") or name != name.strip() or len(name) > 80:
        raise UserError(
            f"'{name[:80]}' cannot be an object's name; start with a letter, a digit or '_', up to 80 of them"
        )
    if bad := sorted({c for c in name if not (c.isalnum() or c in "_-. ")}):
        raise UserError(f"the name '{name}' contains {' '.join(bad)}; use letters, digits, spaces, _ - . only")


def save_marks(folder: Path, marks: PhotoMarks) -> None:
    """Write `objects.json` and `masks/` into a new folder."""
    for name, mask in _mask_files(marks):
        path = folder / MASKS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).convert("1").save(path)
    described = _ObjectsFile(
        format=FORMAT,
        size=marks.size,
        objects=[each.facts for each in marks.objects],
        view=marks.view,
        lift=marks.lift,
    )
    write_json(folder / OBJECTS, asdict(described))


def _mask_files(marks: PhotoMarks) -> Iterator[tuple[str, Mask]]:
    for each in marks.objects:
        yield f"{each.name}.png", marks.shown_mask(each)
        yield f"whole/{each.id}.png", each.whole
        if each.cut is not None:
            yield f"cut/{each.id}.png", each.cut


def load_marks(folder: Path, size: tuple[int, int]) -> PhotoMarks:
    """Read what is marked; nothing where nothing is.

    Args:
        folder: with `objects.json` and `masks/`.
        size: width and height of the photo as it is worked on.

    Raises:
        UserError: a file is damaged, missing, or of another size.
    """
    try:
        described = read_record(folder / OBJECTS, _described, what="list of marked objects", remedy=_REMEDY)
    except FileNotFoundError:
        return PhotoMarks(size=size)
    objects = tuple(_load_object(folder / MASKS, facts, size) for facts in described.objects)
    return PhotoMarks(size=size, objects=objects, view=described.view, lift=described.lift)


def _described(values: Any) -> _ObjectsFile:
    found = typed(_ObjectsFile, values)
    if found.format != FORMAT:
        raise ValueError(f"format {found.format}, where this version reads {FORMAT}")
    for what, each in (("name", [o.name for o in found.objects]), ("id", [o.id for o in found.objects])):
        if len(set(each)) < len(each):
            raise ValueError(f"two objects have one {what}")
    if any(not each.id.isalnum() for each in found.objects):
        raise ValueError("an id is not one of letters and digits")
    return found


def _load_object(folder: Path, facts: MarkedFacts, size: tuple[int, int]) -> MarkedObject:
    whole, cut = folder / "whole" / f"{facts.id}.png", folder / "cut" / f"{facts.id}.png"
    return MarkedObject(facts=facts, whole=read_mask(whole, size), cut=read_mask(cut, size) if cut.exists() else None)


def read_mask(path: Path, size: tuple[int, int]) -> Mask:
    """`(H, W)` bool: a mask that the studio or its page wrote.

    Raises:
        UserError: it is damaged, or of another size.
    """
    image = open_picture(path).image
    if image.size != size:
        raise UserError(
            f"the mask '{path.name}' has {image.width}×{image.height} pixels where the photo is worked on at "
            f"{size[0]}×{size[1]}; load the page again"
        )
    return np.asarray(image.convert("L")) > 127


def mask_digest(mask: Mask) -> str:
    """Short, and another one for another mask `(H, W)` bool."""
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()[:12]


def middle_of(mask: Mask) -> Point:
    """The pixel x, y of a mask `(H, W)` bool that lies deepest in it, its centre at +0.5."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(column) + 0.5, float(row) + 0.5


def _refuse_nothing_left(objects: Iterable[MarkedObject]) -> None:
    for each in objects:
        if each.whole.sum() < MIN_PIXELS:
            raise UserError(
                f"nothing would be left of '{each.name}'; an object needs {MIN_PIXELS} pixels. Delete it, or choose it "
                "and paint on it"
            )


def _without_parts_at(mask: Mask, points: Float) -> Mask:
    """Without the parts of a mask `(H, W)` that hold one of some points `(N, 2)`."""
    return mask & ~parts_with(mask, points) if mask.any() and len(points) else mask
