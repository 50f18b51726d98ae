"""How an entity moves through the frames of a shot: rigid motion with scale, visibility, deformation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Bool, Float, Float32
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.scene.timing import Easing, check_distinct, ease
from real2sam2real.scene.units import BadValueError

SMALLEST = 1e-6  # factor between keyframes


@dataclass(frozen=True, kw_only=True)
class Keyframe:
    """A pose at a frame. `easing` shapes the way from this keyframe to the next one."""

    frame: float  # frame number, 0 is the photo
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)  # `(3,)` in world units
    rotation_wxyz: tuple[float, float, float, float] = quaternions.IDENTITY  # `(4,)`
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)  # `(3,)` along the object's own axes
    easing: Easing = "linear"


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """One entity's pose at every frame, as `world_from_object` in parts.

    Attributes:
        translation: `(T, 3)` float64 in world units.
        rotation_wxyz: `(T, 4)` float64, unit length.
        scale: `(T, 3)` float64 along the object's own axes; none is zero.
        visible: `(T,)` bool; a hidden entity is not rendered in that frame.
        vertices_object: `(T, V, 3)` float32 deformed vertices in the object frame, or None for a rigid entity.

    Raises:
        ValueError: shapes disagree, a value is not finite, or a scale is zero.
    """

    translation: Float
    rotation_wxyz: Float
    scale: Float
    visible: Bool
    vertices_object: Float32 | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "translation", np.asarray(self.translation, np.float64))
        set_(self, "rotation_wxyz", quaternions.normalize(self.rotation_wxyz))
        set_(self, "scale", np.asarray(self.scale, np.float64))
        set_(self, "visible", np.asarray(self.visible, bool))
        t = len(self.translation)
        shapes = {"translation": (t, 3), "rotation_wxyz": (t, 4), "scale": (t, 3), "visible": (t,)}
        for name, expected in shapes.items():
            if (shape := getattr(self, name).shape) != expected:
                raise ValueError(f"{name} has shape {shape}; a motion of {t} frames needs {expected}")
        if not (np.isfinite(self.translation).all() and np.isfinite(self.scale).all()):
            raise ValueError("a translation or scale is not finite (NaN or infinity)")
        if np.any(np.abs(self.scale) < 1e-9):
            raise ValueError("a scale is zero; hide the entity instead of shrinking it to nothing")
        if self.vertices_object is not None:
            vertices = np.asarray(self.vertices_object, np.float32)
            if vertices.ndim != 3 or vertices.shape[0] != t or vertices.shape[2] != 3:
                raise ValueError(f"deformed vertices have shape {vertices.shape}; expected ({t}, V, 3)")
            if not np.isfinite(vertices).all():
                raise ValueError("deformed vertices are not finite (NaN or infinity)")
            set_(self, "vertices_object", vertices)

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.translation)

    @property
    def travels(self) -> bool:
        """Whether the pose changes."""
        return any(bool((each != each[0]).any()) for each in (self.translation, self.rotation_wxyz, self.scale))

    @classmethod
    def still(cls, frames: int, world_from_object: ArrayLike) -> Motion:
        """Rest at one `(4, 4)` pose for `frames` frames."""
        return cls.from_matrices(np.broadcast_to(np.asarray(world_from_object, np.float64), (frames, 4, 4)))

    @classmethod
    def from_matrices(cls, world_from_object: ArrayLike) -> Motion:
        """From a pose given per frame, `(T, 4, 4)`. Shear is not representable and is lost."""
        translation, rotation, scale = transforms.decompose(world_from_object)
        return cls(
            translation=translation, rotation_wxyz=rotation, scale=scale, visible=np.ones(len(translation), bool)
        )

    @classmethod
    def from_keyframes(cls, keyframes: Sequence[Keyframe], frames: int) -> Motion:
        """Interpolate keyframes: positions and scales componentwise, rotations along the shorter arc.

        Before the first keyframe and after the last one the pose holds.

        Raises:
            ValueError: there is no keyframe, or two stand on the same frame.
        """
        if not keyframes:
            raise ValueError("a motion from keyframes needs at least one keyframe")
        keys = sorted(keyframes, key=lambda key: key.frame)
        times = np.array([key.frame for key in keys], np.float64)
        if np.any(np.diff(times) <= 0):
            raise ValueError(f"two keyframes stand on the same frame: {times.tolist()}")
        at = np.clip(np.arange(frames, dtype=np.float64), times[0], times[-1])
        left = np.clip(np.searchsorted(times, at, side="right") - 1, 0, max(len(keys) - 2, 0))
        right = np.minimum(left + 1, len(keys) - 1)
        span = np.where(right > left, times[right] - times[left], 1.0)
        linear = (at - times[left]) / span
        fraction = np.array([ease(f, keys[k].easing) for f, k in zip(linear, left, strict=True)])
        translation = np.array([key.translation for key in keys], np.float64)
        rotation = np.array([key.rotation_wxyz for key in keys], np.float64)
        scale = np.array([key.scale for key in keys], np.float64)
        mix = fraction[:, None]
        return cls(
            translation=translation[left] * (1 - mix) + translation[right] * mix,
            rotation_wxyz=quaternions.slerp(rotation[left], rotation[right], fraction),
            scale=scale[left] * (1 - mix) + scale[right] * mix,
            visible=np.ones(frames, bool),
        )

    def matrices(self) -> Float:
        """`world_from_object` `(T, 4, 4)` float64."""
        return transforms.compose(self.translation, self.rotation_wxyz, self.scale)

    def hidden(self, first: int, last: int) -> Motion:
        """The same motion, not rendered in frames `first…last` (both inclusive)."""
        visible = self.visible.copy()
        visible[first : last + 1] = False
        return replace(self, visible=visible)


def through_keyframes(keyframes: Sequence[Keyframe], frames: int, *, steps: int, what: str) -> Motion:
    """The motion through keyframes that people wrote.

    Args:
        keyframes: at least one.
        frames: of the shot.
        steps: time steps per frame; the motion has `(frames - 1) * steps + 1` of them.
        what: their scale is, for messages.

    Raises:
        BadValueError: two stand on the same frame, or an easing overshoots until there is nothing left of the scale.
    """
    check_distinct(key.frame for key in keyframes)
    try:
        finer = [replace(key, frame=key.frame * steps) for key in keyframes]
        motion = Motion.from_keyframes(finer, (frames - 1) * steps + 1)
        smallest = float(motion.scale.min())
    except ValueError:  # it is zero
        smallest = 0.0
    if smallest < SMALLEST:
        raise BadValueError(
            f"the easing overshoots so far that the {what} becomes {smallest:.2g}x between two keyframes; lower its "
            "handles"
        )
    return motion
