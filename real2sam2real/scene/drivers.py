"""Camera moves at work on the rig, one class per way of moving."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import quaternions
from real2sam2real.geometry.rotations import about_x, about_y
from real2sam2real.scene import moves as m
from real2sam2real.scene.stage import UP, Stage, unit
from real2sam2real.scene.timing import Timing
from real2sam2real.scene.units import BadValueError, located

if TYPE_CHECKING:
    from real2sam2real.scene.rig import Rig

_POLE = math.radians(89.5)

MoveT = TypeVar("MoveT", bound=m.TimedCameraMove)


class Driver(Generic[MoveT]):
    """One move at work: `begin` when its span starts, `advance` at every step of progress."""

    def __init__(self, move: MoveT, stage: Stage) -> None:
        self.move, self.stage = move, stage
        with located(move.where):
            self.timing = Timing.of(move.span, move.easing, stage.scene)
        self.begun = False

    def step(self, rig: Rig, before: float, after: float) -> None:
        """Do the share of the move that lies between two moments, given as frame numbers."""
        if after <= self.timing.start:
            return
        with located(self.move.where):
            if not self.begun:
                self.begun = True
                self.begin(rig)
            a, b = self.timing.progress(before), self.timing.progress(after)
            if a != b:
                self.advance(rig, a, b)

    def begin(self, rig: Rig) -> None:
        """Note what depends on where the camera is when the move starts."""

    def advance(self, rig: Rig, a: float, b: float) -> None:
        """Change the rig by the share from progress `a` to progress `b`."""


class Head(Driver[m.Pan | m.Tilt | m.Roll]):
    """Pan, tilt, roll: angles that add up."""

    def advance(self, rig: Rig, a: float, b: float) -> None:
        """Turn the head."""
        name = self.move.kind
        setattr(rig, name, getattr(rig, name) + math.radians(self.move.angle) * (b - a))


class Travel(Driver[m.Dolly | m.Truck | m.Pedestal]):
    """A straight track, fixed to the carriage when the move starts."""

    def begin(self, rig: Rig) -> None:
        """Lay the track."""
        move = self.move
        self.amount = self.stage.length(move.distance, rig.position, move.target)
        if isinstance(move, m.Pedestal):
            direction = UP
        elif isinstance(move, m.Truck):
            direction = rig.upright()[:, 0]
        elif move.target is None:
            direction = -rig.upright()[:, 2]
        else:
            direction = unit(self.stage.place(move.target) - rig.position, "the camera stands on its target already")
        self.on_carriage = rig.carriage.T @ direction

    def advance(self, rig: Rig, a: float, b: float) -> None:
        """Travel along it; up and down stay the world's."""
        direction = UP if isinstance(self.move, m.Pedestal) else rig.carriage @ self.on_carriage
        rig.position = rig.position + direction * (self.amount * (b - a))


class DollyZoom(Driver[m.DollyZoom]):
    """A dolly along the view whose zoom undoes the change of the target's depth."""

    def begin(self, rig: Rig) -> None:
        """Lay the track and note the target."""
        self.goal = self.stage.place(self.move.target)
        forward = -rig.upright()[:, 2]
        depth = float((self.goal - rig.position) @ forward)
        if depth <= 0:
            raise BadValueError("the target of the dolly-zoom is behind the camera")
        self.amount = self.move.distance.in_scene(self.stage.scene.unit, depth)
        if self.amount >= depth * (1 - 1e-6):
            raise BadValueError(
                f"the dolly-zoom travels {self.amount:.3g} units but its target is only {depth:.3g} units deep; "
                "stop before it, for example at '50%'"
            )
        self.on_carriage = rig.carriage.T @ forward

    def advance(self, rig: Rig, a: float, b: float) -> None:
        """Travel, and zoom by the change of depth."""
        forward = -rig.upright()[:, 2]
        before = float((self.goal - rig.position) @ forward)
        rig.position = rig.position + rig.carriage @ self.on_carriage * (self.amount * (b - a))
        after = float((self.goal - rig.position) @ forward)
        if min(before, after) <= 0:
            raise BadValueError("during the dolly-zoom the camera passes its target; shorten the other moves")
        rig.zoom *= after / before


class Zoom(Driver[m.Zoom]):
    """Geometric change of the focal length, so that equal times multiply it by equal factors."""

    def begin(self, rig: Rig) -> None:
        """Note the factor that leads to the wanted focal length."""
        lens, intrinsics = self.move.lens, self.stage.scene.camera.intrinsics
        current = intrinsics.fx * rig.zoom * rig.base_zoom[rig.step_index]
        if lens.unit == "x":
            self.factor = lens.value
        elif lens.unit == "mm":
            self.factor = lens.value / 36.0 * intrinsics.width / current
        else:
            self.factor = intrinsics.width / (2 * math.tan(math.radians(lens.value) / 2)) / current

    def advance(self, rig: Rig, a: float, b: float) -> None:
        """Multiply the focal length."""
        rig.zoom *= self.factor ** (b - a)


class Around(Driver[m.Orbit | m.Spiral | m.Crane]):
    """Turn the whole carriage about a target, so that the target stays where it is in the picture."""

    def begin(self, rig: Rig) -> None:
        """Note the pivot and what is to be done around it."""
        move = self.move
        self.pivot = self.stage.place(move.target)
        unit(self.pivot - rig.position, "the camera stands on the point it should circle around")
        self.azimuth = math.radians(0.0 if isinstance(move, m.Crane) else move.angle)
        self.elevation = math.radians(move.elevation) if isinstance(move, m.Orbit) else 0.0
        self.radius = move.radius if isinstance(move, m.Spiral) else 1.0
        self.height = 0.0
        if not isinstance(move, m.Orbit):
            self.height = self.stage.length(move.height, rig.position, move.target)

    def advance(self, rig: Rig, a: float, b: float) -> None:
        """Move the carriage to its next place around the pivot and turn it along."""
        part = b - a
        turn = about_y(self.azimuth * part)
        offset = turn @ (rig.position - self.pivot)
        flat = math.hypot(offset[0], offset[2])
        if flat < 1e-9:
            if self.elevation or self.height or self.radius != 1:
                raise BadValueError("the camera stands straight above or below its target; it can only turn there")
            rig.carriage, rig.position = turn @ rig.carriage, self.pivot + offset
            return
        outward = np.array([offset[0], 0.0, offset[2]]) / flat
        angle = math.atan2(offset[1], flat)
        if self.elevation:
            distance, raised = math.hypot(flat, offset[1]), angle + self.elevation * part
            if abs(raised) > _POLE:
                raise BadValueError(
                    f"an elevation of {math.degrees(self.elevation):.3g} deg carries the camera over its target's "
                    f"{'top' if raised > 0 else 'bottom'}; it stands at {math.degrees(angle):.1f} deg already"
                )
            flat, height = distance * math.cos(raised), distance * math.sin(raised)
        else:
            height = offset[1] + self.height * part
            flat *= self.radius**part
            raised = math.atan2(height, flat)
        lift = quaternions.to_matrix(quaternions.from_axis_angle(np.cross(outward, UP), raised - angle))
        rig.carriage = lift @ turn @ rig.carriage
        rig.position = self.pivot + outward * flat + UP * height


class Aim(Driver[m.LookAt | m.Track]):
    """Correct pan and tilt so that a target appears in a wanted direction of the picture."""

    def begin(self, rig: Rig) -> None:
        """Note where the target goes and where in the picture it shall be."""
        self.goals = self.stage.followed(self.move.target)
        self.last_turn = 0.0
        self.wanted = np.array([0.0, 0.0, -1.0])
        if isinstance(self.move, m.Track):
            earlier = rig.aims[: rig.aims.index(self)]
            direction = unit(self.goal(rig.time) - rig.position, "the camera stands on the target it should track")
            self.wanted = rig.upright(earlier).T @ direction

    def goal(self, time: float) -> Float:
        """`(3,)` where the target is at frame number `time`; a track that has ended looks on at the same place."""
        time = min(time, self.timing.end) if isinstance(self.move, m.Track) else time
        low = int(time)
        high = min(low + 1, len(self.goals) - 1)
        return self.goals[low] + (self.goals[high] - self.goals[low]) * (time - low)

    def correct(self, rig: Rig, level: Float, turn: float, lift: float) -> tuple[float, float]:
        """Turn about the world's vertical and lift about the camera's right axis, with this aim's share added."""
        share = 1.0 if isinstance(self.move, m.Track) else self.timing.progress(rig.time)
        with located(self.move.where):
            toward = unit(self.goal(rig.time) - rig.position, "the camera passes through the target it looks at")
        tilt = rig.tilt + lift
        x, y, z = self.wanted
        row = level[1]
        along, across = row[1] * y + row[2] * z, row[2] * y - row[1] * z
        reach = max(math.hypot(along, across), 1e-12)
        middle_angle = math.atan2(across, along)
        half = math.acos(min(max((toward[1] - row[0] * x) / reach, -1.0), 1.0))
        angle = min((_wrap(middle_angle + sign * half - tilt) for sign in (1, -1)), key=abs)
        seen = level @ about_x(tilt + angle) @ self.wanted
        heading = math.atan2(toward[0], toward[2]) - math.atan2(seen[0], seen[2]) - turn
        heading = self.last_turn + _wrap(heading - self.last_turn)
        self.last_turn = heading
        return turn + share * heading, lift + share * angle


def _wrap(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


DRIVERS: dict[type[m.CameraMove], type[Driver]] = {  # type: ignore[type-arg]
    m.Pan: Head, m.Tilt: Head, m.Roll: Head, m.Zoom: Zoom, m.DollyZoom: DollyZoom,
    m.Dolly: Travel, m.Truck: Travel, m.Pedestal: Travel,
    m.Orbit: Around, m.Spiral: Around, m.Crane: Around,
}  # fmt: skip
"""How each move that changes the rig step by step is performed."""
