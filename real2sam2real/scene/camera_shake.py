"""The shake of a held camera."""

from __future__ import annotations

import math

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry.rotations import about_x, about_y, about_z
from real2sam2real.scene import camera_moves as cm
from real2sam2real.scene.easing import ease
from real2sam2real.scene.targets import MoveTargets
from real2sam2real.scene.units import BadValueError, located


class CameraShake:
    """Sums of sines with random phases: smooth, band-limited, the same for the same seed at any frame rate."""

    WAVES = 6
    SETTLE_SECONDS = 0.5

    def __init__(self, move: cm.Handheld, targets: MoveTargets) -> None:
        self.move, self.targets = move, targets
        with located(move.where):
            self.start, self.end = move.span.in_frames(targets.scene.frames, targets.scene.fps)
        random = np.random.default_rng([targets.seed if move.seed is None else move.seed, 0x5A4E])
        shape = (6, self.WAVES)
        self.frequencies = move.frequency * random.uniform(0.15, 1.0, shape)
        self.phases = random.uniform(0, 2 * np.pi, shape)
        weights = random.uniform(0.5, 1.0, shape) / self.frequencies
        self.weights = weights / np.sqrt(np.sum(weights**2, axis=1, keepdims=True) / 2)
        camera = targets.photo_camera[:3, 3]
        with located(move.where):
            shift = self._shift(camera)
        swing = math.radians(move.rotation)
        self.amplitudes = move.amount * np.array([swing, swing, swing / 2, shift, shift, shift])

    def _shift(self, camera: Float) -> float:
        """Sway in world units; a share of the distance to nothing is no sway."""
        try:
            return self.targets.length(self.move.shift, camera)
        except BadValueError:
            if self.move.shift.unit == "%":
                return 0.0
            raise

    def offset(self, frame: int) -> Float:
        """`(4, 4)` camera-from-shaken-camera transform: identity at the ends of the span and outside it."""
        fps = self.targets.scene.fps
        seconds = frame / fps
        edge = min(frame - self.start, math.inf if self.end >= self.targets.last else self.end - frame) / fps
        if edge <= 0:
            return np.eye(4)
        envelope = float(ease(edge / self.SETTLE_SECONDS, "ease"))
        waves = np.sin(2 * np.pi * self.frequencies * seconds + self.phases)
        pitch, yaw, roll, x, y, z = self.amplitudes * envelope * np.sum(self.weights * waves, axis=1)
        pose = np.eye(4)
        pose[:3, :3] = about_y(yaw) @ about_x(pitch) @ about_z(roll)
        pose[:3, 3] = x, y, z
        return pose
