"""Scene x camera -> normals, instance ids, depth and colour, on the CPU. Conventions: docs/conventions.md."""

from real2sam2real.rendering.frame import Frame, Light
from real2sam2real.rendering.renderer import render_frames

__all__ = ["Frame", "Light", "render_frames"]
