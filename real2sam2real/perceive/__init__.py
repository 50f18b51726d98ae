"""From photo and mask files to pixels, masks and intrinsics."""

from real2sam2real.perceive.intrinsics import estimate_intrinsics
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.photo import Photo, load_photo

__all__ = ["Photo", "estimate_intrinsics", "load_masks", "load_photo"]
