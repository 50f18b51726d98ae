"""What an object stands on or belongs to, by what the user said or by the masks; and how far away that makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Float32, Int, Mask
from real2sam2real.lifting.ground import Ground
from real2sam2real.lifting.kinds import ThingKind
from real2sam2real.lifting.outline import Outline
from real2sam2real.scene.relation import GROUND, Relation, RelationWord

TOUCH_PIXELS = (2, 4, 7)  # below its lower edge, where what it ends on is looked for
RIM = 15  # pixels across which two masks that touch are compared
FOOT_SHARE = 0.15  # of its height: columns that end farther up are no part of its lower edge
MIN_TOUCH_SHARE, MIN_TOUCH_SHARE_IN_AIR = 0.5, 0.25  # of the lower edge
SMALL_SHARE = 0.8  # of the pixels of what it ends on

Pixels = tuple[Int, Int]  # rows and columns


@dataclass(frozen=True, kw_only=True, eq=False)
class Carrier:
    """What decides how far away an object is, in place of the ground."""

    outline: Outline  # of the other object
    relation: Relation

    def meeting(self, outline: Outline) -> tuple[Pixels, Pixels]:
        """Pixels of an object, and pixels of this one, that are equally far away."""
        if self.relation.word == "on":
            own = lower_edge(outline.mask)
            return own, _below(own, self.outline.mask)
        if self.relation.word == "with":
            own_rim, other_rim = rims(outline.mask, self.outline.mask)
            if own_rim.any():
                return _pixels(own_rim), _pixels(other_rim)
        return _pixels(outline.mask), _pixels(self.outline.mask)

    def depth(self, outline: Outline, nearer: Float32) -> tuple[Pixels, float] | None:
        """Pixels of an object and how far away it is there, by the depths `nearer` `(H, W)` of what is lifted.

        None where this one is not lifted yet.
        """
        own, other = self.meeting(outline)
        found = nearer[other]
        found = found[found > 0]
        return (own, float(np.median(found))) if len(found) else None


def carriers_of(
    outlines: Sequence[Outline],
    kinds: Mapping[str, ThingKind | None],
    ground: Ground,
    said: Mapping[str, Relation],
) -> dict[str, Carrier]:
    """By name, what objects stand on or belong to, as a cup does to a table and a head to its body.

    What the user `said` counts; but what belongs to another thing apart from it, and is seen to stand on the ground,
    stands there. Else two masks that touch stand at one depth unless the ground says otherwise: what would stand on
    nothing, above the horizon, is carried, and so are small things that by their word lie on others. What floats is as
    far away as what is next to it in the picture, unless its word says as what.
    """
    by_name = {outline.name: outline for outline in outlines}
    found = {
        name: Carrier(outline=by_name[relation.to], relation=relation)
        for name, relation in said.items()
        if name in by_name and relation.to in by_name and not _stands_apart(relation, by_name, name, ground)
    }
    for outline in outlines:
        relation = said.get(outline.name)
        if relation is None:
            guess = _guessed(outline, outlines, kinds[outline.name], ground)
            if guess is not None and not _carries(outline, guess.outline, found):
                found[outline.name] = guess
        elif relation.word == "floating" and relation.to is None:
            others = [o for o in outlines if o is not outline and not _carries(outline, o, found)]
            if others:
                nearest = min(others, key=lambda other: _gap(outline.mask, other.mask))
                found[outline.name] = Carrier(outline=nearest, relation=relation)
    return found


def rims(mask: Mask, other: Mask) -> tuple[Mask, Mask]:
    """Where two masks are next to each other: of both, what lies near the other; nothing where they are apart."""
    rim = np.ones((RIM, RIM), np.uint8)
    wide, wide_other = (cv2.dilate(each.astype(np.uint8), rim).astype(bool) for each in (mask, other))
    return mask & wide_other, other & wide


def _stands_apart(relation: Relation, by_name: Mapping[str, Outline], name: str, ground: Ground) -> bool:
    """Whether an object belongs to another one that it is not next to, and shows where it stands."""
    outline, other = by_name[name], by_name.get(relation.to or "")
    if relation.word != "with" or other is None or rims(outline.mask, other.mask)[0].any():
        return False
    return outline.stands_in_view and ground.is_below_horizon(outline.contact_row)


def standing_on(carriers: Mapping[str, Carrier]) -> dict[str, str]:
    """The names of what objects stand on, by their names."""
    return {name: carrier.outline.name for name, carrier in carriers.items() if carrier.relation.word == "on"}


def stands_by_word(relation: Relation | None, names: Mapping[str, object]) -> bool:
    """Whether a relation says that its entity stands on the ground."""
    return relation is not None and relation.word == "on" and relation.to == GROUND and GROUND not in names


def _carries(outline: Outline, other: Outline, found: Mapping[str, Carrier]) -> bool:
    """Whether `other` hangs on `outline` already, directly or not."""
    at = found.get(other.name)
    while at is not None:
        if at.outline is outline:
            return True
        at = found.get(at.outline.name)
    return False


def _guessed(outline: Outline, outlines: Sequence[Outline], kind: ThingKind | None, ground: Ground) -> Carrier | None:
    if outline.cut_below:
        return None
    others = [other for other in outlines if other is not outline]
    touches = {other.name: _touch_share(outline, other) for other in others}
    carrier = max(others, key=lambda other: touches[other.name], default=None)
    if carrier is None:
        return None
    lies = kind is not None and kind.carried
    if not ground.is_below_horizon(outline.contact_row):
        least = MIN_TOUCH_SHARE_IN_AIR
    elif lies:
        least = MIN_TOUCH_SHARE if outline.mask.sum() < SMALL_SHARE * carrier.mask.sum() else np.inf
    else:
        return None
    if touches[carrier.name] <= least:
        return None
    word: RelationWord = "on" if lies and kind is not None and not kind.attached else "with"
    return Carrier(outline=carrier, relation=Relation(word=word, to=carrier.name, guessed=True))


def lower_edge(mask: Mask) -> Pixels:
    """Rows and columns of the lowest pixels of the columns that reach down to where it ends."""
    columns = np.nonzero(mask.any(axis=0))[0]
    rows = mask.shape[0] - 1 - np.argmax(mask[::-1, columns], axis=0)
    low = rows >= rows.max() - max(2.0, FOOT_SHARE * np.ptp(np.nonzero(mask.any(axis=1))[0]))
    return rows[low], columns[low]


def _touch_share(outline: Outline, other: Outline) -> float:
    """How much of an outline's lower edge lies on another one."""
    rows, columns = lower_edge(outline.mask)
    last = other.mask.shape[0] - 1
    return float(np.any([other.mask[np.minimum(rows + k, last), columns] for k in TOUCH_PIXELS], axis=0).mean())


def _below(edge: Pixels, other: Mask) -> Pixels:
    """The first pixels of another mask below a lower edge, where it touches that; else the next ones, else all of it.

    Farther down, what is seen flatly, as a table's top, is much nearer.
    """
    rows, columns = edge
    shown = other[:, columns] & (np.arange(len(other))[:, None] > rows)
    first = shown.argmax(axis=0)
    found = shown.any(axis=0)
    touching = found & (first - rows <= TOUCH_PIXELS[-1])
    chosen = touching if touching.any() else found
    return (first[chosen], columns[chosen]) if chosen.any() else _pixels(other)


def _gap(mask: Mask, other: Mask) -> float:
    """Pixels between two masks, in the picture."""
    away = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, 3)
    return float(away[mask].min())


def _pixels(mask: Mask) -> Pixels:
    rows, columns = np.nonzero(mask)
    return rows, columns


def carriers_first(outlines: Sequence[Outline], carriers: Mapping[str, Carrier]) -> list[Outline]:
    """The same outlines in their order, but what carries something before that."""
    by_name = {outline.name: outline for outline in outlines}
    order: list[Outline] = []

    def add(outline: Outline, waiting: tuple[str, ...]) -> None:
        carrier = carriers.get(outline.name)
        if carrier is not None and carrier.outline.name not in waiting:
            add(by_name[carrier.outline.name], (*waiting, outline.name))
        if outline not in order:
            order.append(outline)

    for outline in outlines:
        add(outline, ())
    return order
