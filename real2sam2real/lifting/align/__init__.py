"""Lay a mesh onto the photo: the similarity that brings its silhouette and its depth onto a mask.

`align` is the way in. It searches (`starts`), fits (`fitting`) and draws (`drawing`) against an `ObjectObservation`.
"""

from real2sam2real.lifting.align.aligning import Alignment, align
from real2sam2real.lifting.align.target import ObjectObservation

__all__ = ["Alignment", "ObjectObservation", "align"]
