"""What a user may choose about lifting. Light: no array is touched here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from real2sam2real.errors import UserError
from real2sam2real.lifting.workers.environment import LifterEnvironment
from real2sam2real.options import Texts, split_named, value_for

Contact = Literal["auto", "off"]
MeshFrame = Literal["auto", "object", "camera-opengl", "camera-opencv"]
MeshUp = Literal["y", "z"]


@dataclass(frozen=True, kw_only=True)
class LifterOptions:
    """Which lifter makes the meshes, and where it runs; docs/lifters.md says how each is set up."""

    lifter: Annotated[Texts, arg(metavar="[NAME=]LIFTER")] = ()
    """embedded (default), sam3d, sam3d-body, triposg or step1x3d, for all objects or for one."""
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

    def lifter_of(self, name: str) -> str:
        """The lifter of one object."""
        return value_for(name, self.lifter) or "embedded"

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
    mesh_frame: Annotated[MeshFrame, arg(metavar="{auto,object,camera-opengl,camera-opencv}")] = "auto"
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
    contact: Annotated[Contact, arg(metavar="{auto,off}")] = "auto"
    """Let things stand on the ground and on each other, and part those that reach into one another."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_faces < 100:
            raise UserError(f"--max-faces {self.max_faces} is too few; at least 100 are needed")

    @property
    def own_meshes(self) -> dict[str, Path]:
        """The mesh files of the user's own by the objects that they stand for.

        Raises:
            UserError: one has no name or no file, or a name comes twice.
        """
        return {name: Path(file) for name, file in split_named("--mesh", self.mesh).items()}
