"""A procedural world with known geometry, poses and video: training data for `mini`, ground truth for tests."""

from real2sam2real.lab.synth.clip import SynthClip, changed_region, far_homographies, lifted_scene, static_region
from real2sam2real.lab.synth.config import WorldConfig, varied_world
from real2sam2real.lab.synth.seeds import HELD_OUT_SEEDS, TRAIN_SEEDS
from real2sam2real.lab.synth.world import clip_stream, sample_clip

__all__ = [
    "HELD_OUT_SEEDS",
    "TRAIN_SEEDS",
    "SynthClip",
    "WorldConfig",
    "changed_region",
    "clip_stream",
    "far_homographies",
    "lifted_scene",
    "sample_clip",
    "static_region",
    "varied_world",
]
