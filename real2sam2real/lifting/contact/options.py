"""What a person may choose about contact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Switch = Literal["auto", "off"]


@dataclass(frozen=True, kw_only=True)
class ContactOptions:
    """What may be done about the contacts of a scene.

    Raises:
        ValueError: a number is out of range.
    """

    ground: Switch = "auto"  # "auto" stands what shows its lower edge on the ground; "off" leaves heights as they are
    # "auto" keeps entities in touch with what they stand on and separates what interpenetrates
    separation: Switch = "auto"
    level: Switch = "auto"  # "auto" turns a base that is nearly level until it is; "off" turns nothing
    floating: tuple[str, ...] = ()  # names of entities that are in the air on purpose: the ground does not draw them
    # largest factor by which an entity may come nearer or go farther. What would have to go farther than that is taken
    # to float, or to stand on something that has no mesh
    reach: float = 1.5
    max_level_degrees: float = 3.0  # largest angle between a base and the ground that is put right
    # how much of its silhouette (IoU with the one before) an entity may lose to a turn or a translation
    max_iou_loss: float = 0.02

    def __post_init__(self) -> None:
        if not 1 <= self.reach <= 10:
            raise ValueError(f"reach is {self.reach:g}; it is a factor of 1…10")
        if not 0 <= self.max_level_degrees <= 15:
            raise ValueError(f"max_level_degrees is {self.max_level_degrees:g}; larger turns than 15° are no levelling")
        if not 0 <= self.max_iou_loss <= 0.2:
            raise ValueError(f"max_iou_loss is {self.max_iou_loss:g}; it is a share of the silhouette, 0…0.2")
