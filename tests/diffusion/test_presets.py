"""What a preset promises is what the transformer is asked to do."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.diffusion.checkpoints import OFFICIAL_SETTINGS, CheckpointSettings
from real2sam2real.diffusion.empty_clip import EmptyClip
from real2sam2real.diffusion.fitting import fit_control
from real2sam2real.diffusion.generate import stream_chunks, stream_segments
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.diffusion.presets import PRESETS, choose_sampling
from real2sam2real.diffusion.sampling import make_scheduler
from real2sam2real.errors import UserError

HEIGHT, WIDTH = 32, 32
TINY = replace(OFFICIAL_SETTINGS, area=HEIGHT * WIDTH, max_frames=9)


@dataclass
class Steering:
    frames: int
    prompt: str = "red"
    fps: float = 16.0
    size: tuple[int, int] = (WIDTH, HEIGHT)

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
        control = fit_control(Steering(frames), TINY, sampling)
        segments = list(stream_segments(pipeline, control, sampling=sampling))
    finally:
        hook.remove()
    assert len(made) == sampling.passes(frames)
    assert sum(segment.video.shape[2] for segment in segments) == frames
    assert not pipeline.transformer.is_cache_enabled


def test_the_official_preset_draws_its_noise_as_the_script_does(pipeline):
    """In bfloat16, on the device that computes, one segment after the other; ours is float32 and from the CPU."""
    first = {}
    for name in ("official", "quality"):
        sampling = replace(choose_sampling(TINY, name), steps=1, guidance_scale=1.0)
        seen = []
        hook = pipeline.transformer.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        with torch.no_grad():
            list(stream_segments(pipeline, fit_control(Steering(13), TINY, sampling), sampling=sampling, seed=42))
        hook.remove()
        first[name] = [noisy[:, : pipeline.vae.config.z_dim] for noisy in seen]
    generator = torch.Generator().manual_seed(42)
    expected = [torch.randn(1, 4, 4, 4, 4, generator=generator, dtype=torch.bfloat16).float() for _ in range(2)]
    assert all(map(torch.equal, first["official"], expected))
    assert not torch.equal(first["quality"][0], expected[0])


@pytest.fixture
def seen_by_the_autoencoder(pipeline):
    """Each call of the autoencoder's two halves: which, and the frames that it was given."""
    calls = []

    def note(name):
        return lambda _, given: calls.append((name, given[0].shape[2]))

    halves = {"encode": pipeline.vae.encoder, "decode": pipeline.vae.decoder}
    hooks = [half.register_forward_pre_hook(note(name)) for name, half in halves.items()]
    yield calls
    for hook in hooks:
        hook.remove()


def test_a_later_run_encodes_photo_and_normals_and_nothing_else(
    pipeline, seen_by_the_autoencoder, monkeypatch, tmp_path
):
    """The grey clip is the same for all segments and all runs: one of three encodings of a shot."""
    monkeypatch.setenv("R2S2R_CACHE", str(tmp_path))
    sampling = replace(choose_sampling(TINY, "fast"), steps=1, continues=False)
    calls, runs, videos = seen_by_the_autoencoder, [], []
    for frames in (9, 9, 13):
        monkeypatch.setattr(pipeline, "empty_clip", EmptyClip("of this autoencoder"))  # as a new process has it
        made = stream_segments(pipeline, fit_control(Steering(frames), TINY, sampling), sampling=sampling)
        videos.append([segment.video for segment in made])
        runs.append(calls.copy())
        calls.clear()
    photo, clip = [("encode", 1)], [("encode", 1), ("encode", 4), ("encode", 4)]
    decoded = [("decode", 1)] * 3  # latent frames
    segment = [*clip, *decoded]
    assert runs == [[*photo, *clip, *segment], [*photo, *segment], [*photo, *segment, *segment]]
    assert videos[0][0].equal(videos[1][0])


def test_frames_leave_as_they_are_decoded(pipeline, seen_by_the_autoencoder):
    """When the first is given out, the second chunk has been begun and no more."""
    sampling = replace(choose_sampling(TINY, "fast"), steps=1)
    control = fit_control(Steering(9), TINY, sampling)
    chunks = stream_chunks(pipeline, control, sampling=sampling)
    shapes, decoded = [], []
    for chunk in chunks:
        shapes.append((chunk.video.shape[2], chunk.tail is not None))
        decoded.append(sum(name == "decode" for name, _ in seen_by_the_autoencoder))
    assert shapes == [(1, False), (4, False), (4, True)]
    assert decoded == [2, 3, 3]


def made_and_passes(pipeline, **changes):
    sampling = choose_sampling(TINY, "quality", steps=6, **changes)
    made = []
    hook = pipeline.transformer.blocks[-1].attn1.register_forward_hook(lambda *_: made.append(1))
    (segment,) = stream_segments(pipeline, fit_control(Steering(9), TINY, sampling), sampling=sampling)
    hook.remove()
    assert len(made) == sampling.passes(9)
    return segment.video, len(made)


def test_guidance_of_late_steps_is_kept_from_the_last_that_is_computed(pipeline):
    whole, all_passes = made_and_passes(pipeline, guided_steps=6)
    late, some = made_and_passes(pipeline, guided_steps=3, guidance_interval=2)
    never, fewest = made_and_passes(pipeline, guided_steps=3, guidance_interval=0)
    assert (all_passes, some, fewest) == (12, 10, 9)
    off = [float((video - whole).norm()) for video in (late, never)]
    assert 0 < off[0] < off[1]
    assert (whole - never).abs().max() < 0.1
    with pytest.raises(UserError, match="--guided-steps 0 is too few"):
        GenerateOptions(guided_steps=0)
    with pytest.raises(UserError, match="--guidance-interval -1 is negative"):
        GenerateOptions(guidance_interval=-1)


def test_which_steps_are_guided():
    assert all(PRESETS["quality"].guides(step) for step in range(25))
    quality = PRESETS["quality"].changed(None, None, 13, 2)
    assert [step for step in range(25) if quality.guides(step)] == [*range(13), 14, 16, 18, 20, 22, 24]
    assert [step for step in range(10) if quality.changed(10, None).guides(step)] == [0, 1, 2, 3, 4, 5, 7, 9]
    assert not any(quality.changed(None, 1.0).guides(step) for step in range(25))
    assert all(PRESETS["official"].guides(step) for step in range(25))


def test_a_step_cache_counts_passes_so_that_none_may_be_left_out_between():
    with pytest.raises(UserError, match="--guidance-interval does not go with the step cache"):
        choose_sampling(TINY, "balanced", guided_steps=10, guidance_interval=2)
    with pytest.raises(UserError, match="--guidance-interval 2 counts from the last of --guided-steps on"):
        choose_sampling(TINY, "balanced", guidance_interval=2)
    assert choose_sampling(TINY, "fast", guidance_interval=2).passes(9) == 4


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
