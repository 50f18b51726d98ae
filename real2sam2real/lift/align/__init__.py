"""Lay a mesh onto the photo: the similarity that brings its silhouette and its depth onto a mask.

`align` is the way in. It searches (`starts`), fits (`fitting`) and draws (`drawing`) against a `Sight` of the photo.
"""

from real2sam2real.lift.align.aligning import Alignment, align
from real2sam2real.lift.align.target import Sight

__all__ = ["Alignment", "Sight", "align"]
