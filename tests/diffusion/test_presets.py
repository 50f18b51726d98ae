"""What a preset promises is what the transformer is asked to do."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.diffusion.checkpoints import OFFICIAL_SETTINGS, CheckpointSettings
from real2sam2real.diffusion.generate import stream_segments
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
from real2sam2real.diffusion.presets import PRESETS, choose_sampling
from real2sam2real.diffusion.sampling import make_scheduler

HEIGHT, WIDTH = 16, 16
TINY = replace(OFFICIAL_SETTINGS, area=HEIGHT * WIDTH, max_frames=9)


@dataclass
class Steering:
    frames: int
    prompt: str = "red"

    @property
    def photo(self):
        return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)

    def normals_in(self, convention):
        assert convention == NormalConvention()
        return np.random.default_rng(1).integers(0, 256, (self.frames, HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pipeline(wan_animate):
    encoder, tokenizer = wan_animate.text_encoder()
    image_encoder, image_processor = wan_animate.image_encoder()
    return Real2Sam2RealPipeline(
        vae=wan_animate.vae(),
        transformer=wan_animate.our_transformer(wan_animate.wan_animate_transformer()),
        scheduler=make_scheduler("euler", 5.0),
        text_encoder=encoder,
        tokenizer=tokenizer,
        image_encoder=image_encoder,
        image_processor=image_processor,
    )


@pytest.mark.parametrize("frames", [9, 13])
@pytest.mark.parametrize("name", list(PRESETS))
def test_passes_are_counted_as_they_are_made(pipeline, name, frames):
    sampling = choose_sampling(TINY, name)
    made = []
    hook = pipeline.transformer.blocks[-1].attn1.register_forward_hook(lambda *_: made.append(1))
    try:
        segments = list(stream_segments(pipeline, TINY, Steering(frames), sampling=sampling))
    finally:
        hook.remove()
    assert len(made) == sampling.passes(frames)
    assert sum(segment.video.shape[2] for segment in segments) == frames
    assert not pipeline.transformer.is_cache_enabled


def test_81_frames_take_the_passes_that_the_pages_name():
    passes = {name: preset.passes(81) for name, preset in PRESETS.items()}
    assert passes == {"official": 100, "quality": 50, "balanced": 24, "fast": 4}


def test_a_checkpoint_samples_its_own_way_unless_told_otherwise():
    settings = CheckpointSettings(area=64, max_frames=17, steps=4)
    own = choose_sampling(settings, None)
    assert (own.steps, own.guided, own.spacing, own.segment_frames) == (4, False, "even", 17)
    assert choose_sampling(settings, None, steps=7).steps == 7
    changed = choose_sampling(OFFICIAL_SETTINGS, "quality", guidance=1.0)
    assert (changed.passes(81), changed.name) == (25, "quality")


def test_a_preset_never_asks_for_longer_segments_than_the_checkpoint_makes():
    short = replace(TINY, max_frames=5)
    assert all(choose_sampling(short, name).segment_frames <= 5 for name in PRESETS)
    assert all(choose_sampling(short, name).plan(9) for name in PRESETS)
