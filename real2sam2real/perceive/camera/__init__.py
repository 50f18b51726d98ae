"""The photo's camera: lens, depth, gravity, unit and ground, estimated or as given. See docs/camera.md."""

from real2sam2real.perceive.camera.cache import load_view, save_view
from real2sam2real.perceive.camera.look import load_estimator, look
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.camera.picture import picture_view

__all__ = ["ViewOptions", "load_estimator", "load_view", "look", "picture_view", "save_view"]
