"""Masks by word, point or box: GrabCut, SAM 2.1, MM-Grounding-DINO and SAM 3 behind one interface."""

from real2sam2real.perceive.segment.collecting import MaskRequest, collect_masks
from real2sam2real.perceive.segment.found import Found
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.overlaps import resolve_overlaps
from real2sam2real.perceive.segment.overlay import draw_overlay, write_masks
from real2sam2real.perceive.segment.segmenter import OpenedPhoto, Segmenter, load_segmenter

__all__ = [
    "Found",
    "MaskRequest",
    "OpenedPhoto",
    "SegmentOptions",
    "Segmenter",
    "collect_masks",
    "draw_overlay",
    "load_segmenter",
    "resolve_overlaps",
    "write_masks",
]
