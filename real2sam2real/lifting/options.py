"""What a user may choose about lifting. Light: no array is touched here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from real2sam2real.errors import UserError
from real2sam2real.lifting.workers.environment import LifterEnvironment
from real2sam2real.options import Texts, value_for

if TYPE_CHECKING:
    from real2sam2real.scene.relation import Relation, RelationWord

Switch = Literal["auto", "off"]
MeshFrame = Literal["auto", "object", "camera-opengl", "camera-opencv", "camera-pytorch3d"]
MeshUp = Literal["y", "z"]


@dataclass(frozen=True, kw_only=True)
class LifterOptions:
    """Which lifter makes the meshes, and where it runs; docs/lifters.md says how each is set up."""

    lifter: Annotated[Texts, arg(metavar="[NAME=]LIFTER")] = ()
    """embedded, people, sam3d, sam3d-body, triposg or step1x3d, for all objects or for one; else embedded, and people
    for persons where it is installed."""
    lifter_python: Annotated[Texts, arg(metavar="[LIFTER=]PATH")] = ()
    """Python of the lifter's own environment."""
    lifter_host: Annotated[str | None, arg(metavar="USER@HOST", help_behavior_hint="(default: this machine)")] = None
    """Where the lifter runs, reached by ssh."""
    lifter_code: Annotated[Texts, arg(metavar="[LIFTER=]FOLDER")] = ()
    """Clone of the lifter's repository, where it is not installed in that environment."""
    lifter_weights: Annotated[Texts, arg(metavar="[LIFTER=]PATH|ID")] = ()
    """The lifter's weights, where they are not in their usual place."""
    lifter_timeout: Annotated[float, arg(metavar="SECONDS")] = 1800.0
    """Stop a lifter that is longer at one object, or at loading its model."""

    def __post_init__(self) -> None:
        if not self.lifter_timeout > 0:
            raise UserError(f"--lifter-timeout {self.lifter_timeout:g} leaves no time; an object takes about a minute")

    def lifter_of(self, name: str) -> str | None:
        """The lifter of one object, where one is named for it."""
        return value_for(name, self.lifter)

    def environment_of(self, lifter: str, *, offline: bool = False) -> LifterEnvironment:
        """Where a lifter runs, and with what."""
        return LifterEnvironment(
            python=value_for(lifter, self.lifter_python),
            host=self.lifter_host,
            code=value_for(lifter, self.lifter_code),
            weights=value_for(lifter, self.lifter_weights),
            timeout=self.lifter_timeout,
            offline=offline,
        )


@dataclass(frozen=True, kw_only=True)
class LiftOptions(LifterOptions):
    """How objects become meshes; docs/lifting.md, docs/lifters.md and docs/meshes.md tell more."""

    mesh: Annotated[Texts, arg(metavar="NAME=FILE")] = ()
    """A mesh of your own for an object: GLB, OBJ, PLY or STL."""
    mesh_frame: Annotated[MeshFrame, arg(metavar="{auto,object,camera-opengl,camera-opencv,camera-pytorch3d}")] = "auto"
    """What the numbers in mesh files mean: their own frame, or a place in front of the photo's camera."""
    mesh_up: Annotated[MeshUp, arg(metavar="{y,z}")] = "y"
    """The axis that points up in mesh files of their own frame."""
    clip: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: the first)")] = None
    """The animation of a mesh file that is played."""
    loop: bool = False
    """Begin that animation again after its end."""
    max_faces: Annotated[int, arg(metavar="N")] = 40_000
    """Most triangles of a mesh that is not made by the embedded lifter."""
    align: bool = True
    """Leave meshes where they say that they are, in place of aligning them with their masks."""
    optimize_focal: bool = False
    """Let the alignment change the focal length too."""
    billboards: bool = True
    """Leave what else stands in the photo lying in the backdrop, in place of drawing it upright in the preview."""
    on: Annotated[Texts, arg(metavar="NAME=OTHER")] = ()
    """What an object stands on: another object, with which it then moves, or 'ground'."""
    with_: Annotated[Texts, arg(name="with", metavar="NAME=OTHER")] = ()
    """What an object belongs to, as a sitter to a chair: it stays in touch with it, and moves with it."""
    floating: Annotated[Texts, arg(metavar="NAME[=OTHER]")] = ()
    """An object that stands on nothing, where told as far away as another one."""
    contact: Annotated[Switch, arg(metavar="{auto,off}")] = "auto"
    """Let things stand on the ground and on each other, and part those that reach into one another."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_faces < 100:
            raise UserError(f"--max-faces {self.max_faces} is too few; at least 100 are needed")

    def relations(self, names: Sequence[str]) -> dict[str, Relation]:
        """What the options say about where objects belong, by name; all of them are among `names`.

        Raises:
            UserError: a name is unknown or comes twice, or objects would carry each other.
        """
        from real2sam2real.scene.relation import GROUND, Relation, check_circles  # not for --help: NumPy is behind it

        said: dict[str, Relation] = {}
        words: dict[RelationWord, tuple[str, ...]] = {"on": self.on, "with": self.with_, "floating": self.floating}
        for word, flag in [(word, flag) for word, flags in words.items() for flag in flags]:
            name, _, other = (part.strip() for part in flag.partition("="))
            if not name or (not other and word != "floating"):
                raise UserError(f"--{word} '{flag}' is not NAME=OTHER; write it as --{word} cup=table")
            known = {*names, "", GROUND} if word == "on" else {*names, ""}
            if name not in names or other not in known:
                unknown = other if name in names else name
                raise UserError(f"--{word} {flag}: there is no object '{unknown}'; the objects are {', '.join(names)}")
            if name in said:
                raise UserError(f"--{word} {flag}: it was said already that '{name}' {said[name]}; keep one of both")
            said[name] = Relation(word=word, to=other or None)
        try:
            check_circles(said)
        except ValueError as error:
            raise UserError(str(error)) from error
        return said


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
