"""What a word tells about a thing's shape: its usual proportions, and the boxes and columns that it is made of.

Sizes are those of everyday things, in metres; only their ratios count, and only as far as `spread` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

Build = Literal["solid", "body"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One convex piece of a thing that fills −1…1 across (x), 0…1 upward (y) and −1…1 to its front (z)."""

    x: tuple[float, float]
    y: tuple[float, float]
    z: tuple[float, float]
    round: Literal["", "y", "z"] = ""  # the axis of an elliptic column, in place of a box


@dataclass(frozen=True, kw_only=True)
class ThingKind:
    """What things of one word have in common, seen from their front."""

    name: str
    # "solid": bounded by flat or turned faces; "body": grown or draped, thick where its silhouette is
    build: Build = "solid"
    width: float = 1.0
    height: float = 1.0
    depth: float = 1.0
    spread: float = 0.25  # standard deviation of the logarithm of width / depth
    rise_spread: float | None = None  # likewise of height / footprint, where that is another
    pitch: float = 14.0  # degrees by which a photographer usually looks down at it
    round: bool = False  # turned about an upright axis
    parts: tuple[Part, ...] = ()  # empty: one rounded solid
    fronted: bool = True  # whether one of its sides is its front
    limbed: bool = False  # whether its silhouette is thick where it is: limbs and a trunk, and no shell
    carried: bool = False  # whether it mostly lies on, or belongs to, something else than the ground
    attached: bool = False  # whether it is a part of that


def _legs(top: float, inset: float = 0.0, thick: float = 0.16) -> tuple[Part, ...]:
    low, high = (-1 + inset, -1 + inset + thick), (1 - inset - thick, 1 - inset)
    return tuple(Part(x=x, y=(0.0, top), z=z) for x in (low, high) for z in (low, high))


_ALL = (-1.0, 1.0)
_CAR = (Part(x=_ALL, y=(0.0, 0.64), z=_ALL), Part(x=(-0.86, 0.86), y=(0.6, 1.0), z=(-0.72, 0.38)))
_TRUCK = (Part(x=_ALL, y=(0.0, 0.72), z=_ALL), Part(x=_ALL, y=(0.7, 1.0), z=(-1.0, 0.72)))
_CHAIR = (
    Part(x=_ALL, y=(0.4, 0.5), z=_ALL),
    Part(x=(-0.96, 0.96), y=(0.46, 1.0), z=(-1.0, -0.78)),
    *_legs(0.42),
)
_ARMCHAIR = (
    Part(x=_ALL, y=(0.0, 0.48), z=_ALL),
    Part(x=_ALL, y=(0.46, 1.0), z=(-1.0, -0.5)),
    Part(x=(-1.0, -0.74), y=(0.46, 0.7), z=_ALL),
    Part(x=(0.74, 1.0), y=(0.46, 0.7), z=_ALL),
)
_SOFA = (
    Part(x=_ALL, y=(0.0, 0.5), z=_ALL),
    Part(x=_ALL, y=(0.48, 1.0), z=(-1.0, -0.45)),
    Part(x=(-1.0, -0.85), y=(0.48, 0.72), z=_ALL),
    Part(x=(0.85, 1.0), y=(0.48, 0.72), z=_ALL),
)
_BED = (Part(x=_ALL, y=(0.0, 0.55), z=_ALL), Part(x=_ALL, y=(0.0, 1.0), z=(-1.0, -0.9)))
_TABLE = (Part(x=_ALL, y=(0.9, 1.0), z=_ALL), *_legs(0.92, 0.03, 0.12))
_ROUND_TABLE = (
    Part(x=_ALL, y=(0.9, 1.0), z=_ALL, round="y"),
    Part(x=(-0.14, 0.14), y=(0.0, 0.92), z=(-0.14, 0.14), round="y"),
    Part(x=(-0.6, 0.6), y=(0.0, 0.06), z=(-0.6, 0.6), round="y"),
)
_STOOL = (Part(x=_ALL, y=(0.88, 1.0), z=_ALL), *_legs(0.9, 0.05, 0.18))
_OFFICE_CHAIR = (
    Part(x=(-0.85, 0.85), y=(0.4, 0.5), z=(-0.85, 0.85)),
    Part(x=(-0.8, 0.8), y=(0.5, 1.0), z=(-0.85, -0.55)),
    Part(x=(-0.12, 0.12), y=(0.06, 0.42), z=(-0.12, 0.12), round="y"),
    Part(x=_ALL, y=(0.0, 0.12), z=_ALL, round="y"),
)
_SCREEN = (
    Part(x=_ALL, y=(0.12, 1.0), z=(-0.25, 0.25)),
    Part(x=(-0.12, 0.12), y=(0.0, 0.4), z=(-0.25, 0.1)),
    Part(x=(-0.4, 0.4), y=(0.0, 0.04), z=_ALL),
)
_LAPTOP = (Part(x=_ALL, y=(0.0, 0.08), z=_ALL), Part(x=_ALL, y=(0.04, 1.0), z=(-1.0, -0.86)))
_TOILET = (
    Part(x=(-0.85, 0.85), y=(0.0, 0.52), z=(-0.7, 1.0)),
    Part(x=_ALL, y=(0.5, 1.0), z=(-1.0, -0.5)),
)
_BEAST = (
    Part(x=(-0.95, 0.95), y=(0.38, 0.86), z=(-0.92, 0.5), round="z"),
    Part(x=(-0.5, 0.5), y=(0.6, 1.0), z=(0.35, 1.0), round="z"),
    *(
        Part(x=x, y=(0.0, 0.6), z=z, round="y")
        for x in ((-0.85, -0.3), (0.3, 0.85))
        for z in ((-0.88, -0.62), (0.2, 0.46))
    ),
)


_BIKE = (
    Part(x=(-0.35, 0.35), y=(0.2, 0.8), z=(-0.8, 0.7)),
    Part(x=_ALL, y=(0.75, 1.0), z=(0.3, 0.55)),
    *(Part(x=(-0.22, 0.22), y=(0.0, 0.6), z=z) for z in ((-1.0, -0.4), (0.4, 1.0))),
)


def _kind(name: str, width: float, height: float, depth: float, spread: float = 0.25, **more: object) -> ThingKind:
    return ThingKind(name=name, width=width, height=height, depth=depth, spread=spread, **more)  # type: ignore[arg-type]


# Each kind with the words for it.
_WORDS: tuple[tuple[ThingKind, str], ...] = (
    (_kind("car", 1.8, 1.5, 4.0, 0.22, pitch=7.0, parts=_CAR),
     "car sedan taxi cab suv hatchback jeep limousine convertible coupe"),
    (_kind("truck", 2.3, 2.6, 5.6, 0.3, pitch=7.0, parts=_TRUCK),
     "truck van lorry bus minibus ambulance pickup firetruck camper trailer"),
    (_kind("train", 3.0, 3.8, 18.0, 0.5, pitch=7.0), "train tram locomotive wagon"),
    (_kind("two-wheeler", 0.75, 1.05, 2.0, 0.25, pitch=7.0, build="body", parts=_BIKE),
     "motorcycle motorbike bicycle bike scooter moped"),
    (_kind("chair", 0.46, 0.95, 0.5, 0.18, parts=_CHAIR), "chair seat"),
    (_kind("office chair", 0.62, 1.1, 0.6, 0.18, parts=_OFFICE_CHAIR), "office-chair desk-chair swivel-chair"),
    (_kind("armchair", 0.85, 0.9, 0.85, 0.2, parts=_ARMCHAIR), "armchair recliner"),
    (_kind("stool", 0.42, 0.75, 0.42, 0.25, parts=_STOOL, fronted=False), "stool barstool"),
    (_kind("sofa", 1.9, 0.85, 0.9, 0.25, parts=_SOFA), "sofa couch loveseat settee bench"),
    (_kind("bed", 1.4, 0.75, 2.05, 0.25, parts=_BED), "bed crib cot"),
    (_kind("table", 1.3, 0.75, 0.8, 0.35, parts=_TABLE, fronted=False), "table desk workbench"),
    (_kind("round table", 1.0, 0.75, 1.0, 0.15, parts=_ROUND_TABLE, fronted=False), "round-table"),
    (_kind("cabinet", 1.0, 0.9, 0.5, 0.3, rise_spread=0.6),
     "cabinet drawer drawers dresser sideboard commode counter nightstand chest shelf oven stove washer dishwasher "
     "washing-machine radiator piano fireplace"),
    (_kind("fridge", 0.65, 1.75, 0.65, 0.2), "fridge refrigerator freezer locker phone-booth vending-machine door"),
    (_kind("bookshelf", 0.85, 1.8, 0.32, 0.3, rise_spread=0.4), "bookshelf bookcase wardrobe closet cupboard"),
    (_kind("screen", 1.0, 0.68, 0.24, 0.25, parts=_SCREEN), "tv television monitor screen display"),
    (_kind("laptop", 0.34, 0.24, 0.25, 0.2, carried=True, pitch=18.0, parts=_LAPTOP), "laptop notebook"),
    (_kind("toilet", 0.42, 0.75, 0.66, 0.2, parts=_TOILET), "toilet"),
    (_kind("bathtub", 0.75, 0.6, 1.6, 0.3), "bathtub tub bath"),
    (_kind("box", 1.0, 1.0, 0.75, 0.3, carried=True, rise_spread=0.7, pitch=18.0, fronted=False),
     "box crate carton package parcel suitcase trunk cube carton radio toaster microwave speaker printer camera book"),
    (_kind("house", 8.0, 7.0, 9.0, 0.4, rise_spread=0.6, pitch=7.0),
     "house building hut cabin shed barn garage tower church"),
    (_kind("round", 1.0, 1.3, 1.0, 0.6, carried=True, pitch=18.0, round=True, fronted=False),
     "bottle can cup mug glass vase jar pot bowl bucket barrel bin plate candle cylinder pillar column basket tin lid "
     "trash-can trashcan dustbin flowerpot saucer chalice goblet pan cake hat stump urn hydrant cone"),
    (_kind("ball", 1.0, 1.0, 1.0, 0.08, carried=True, pitch=18.0, round=True, fronted=False),
     "ball apple orange football soccerball basketball globe melon pumpkin tomato egg balloon"),
    (_kind("person", 0.5, 1.7, 0.3, 0.3, pitch=7.0, build="body", limbed=True),
     "person man woman boy girl child kid people human pedestrian player dancer worker statue doll figure baby"),
    (_kind("head", 0.75, 1.0, 0.9, 0.2, carried=True, attached=True, pitch=7.0, build="body"),
     "head bust face skull helmet"),
    (_kind("beast", 0.5, 1.45, 1.8, 0.3, pitch=7.0, build="body", limbed=True, parts=_BEAST),
     "cow horse bull donkey deer dog wolf fox cat sheep goat pig lion tiger elephant bear zebra camel alpaca stag pony "
     "lamb puppy kitten giraffe rhino hippo"),
    (_kind("small animal", 0.65, 0.9, 1.0, 0.3, carried=True, pitch=18.0, build="body"),
     "bird duck rabbit bunny hen chicken rooster owl penguin frog turtle mouse squirrel swan goose"),
    (_kind("plant", 1.0, 1.3, 1.0, 0.5, pitch=7.0, build="body", fronted=False),
     "plant tree bush flower houseplant cactus shrub"),
    (_kind("lamp", 1.0, 3.0, 1.0, 0.6, pitch=7.0, build="body", fronted=False),
     "lamp post pole lantern streetlight sign-post light torch"),
    (_kind("bag", 0.34, 0.46, 0.22, 0.25, carried=True, build="body"), "bag backpack handbag rucksack purse sack"),
    (_kind("teapot", 1.0, 0.65, 0.65, 0.2, carried=True, pitch=18.0, build="body"),
     "teapot kettle jug pitcher watering-can"),
    (_kind("shoe", 0.1, 0.12, 0.28, 0.25, carried=True, pitch=18.0, build="body"), "shoe boot sneaker sandal slipper"),
    (_kind("sheet", 1.0, 1.2, 0.05, 0.5, pitch=7.0), "sign poster painting picture mirror window board curtain"),
)  # fmt: skip


# What else a word of a kind may mean, by the kinds' names.
_ALSO = MappingProxyType({"chair": ("office chair", "armchair"), "table": ("round table",), "screen": ("laptop",)})


@cache
def _kinds() -> Mapping[str, ThingKind]:
    return MappingProxyType({word: kind for kind, words in _WORDS for word in words.split()})


def variants(kind: ThingKind) -> tuple[ThingKind, ...]:
    """The kind itself, and what else its words are used for: a table has four legs, or one."""
    others = _ALSO.get(kind.name, ())
    return (kind, *(other for other, _ in _WORDS if other.name in others))


def kind_of(name: str) -> ThingKind | None:
    """The kind of a thing by its entity's name, such as "red car_2"; None where no word of it is known.

    The last known word counts, as the noun comes last; two words that are one ("washing machine") count as one.
    """
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
    known = _kinds()
    for last in range(len(words), 0, -1):
        single = words[last - 1]
        for word in (
            "-".join(words[max(0, last - 2) : last]),
            single,
            single.removesuffix("s"),
            single.removesuffix("es"),
        ):
            if word in known:
                return known[word]
    return None
