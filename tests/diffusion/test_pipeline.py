from functools import partial

import numpy as np
import pytest
import torch
from peft import LoraConfig

from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
from real2sam2real.diffusion.pipeline import Finished
from real2sam2real.diffusion.presets import PRESETS, Sampling

SIZE = (32, 48)
FRAMES = 5


def photo():
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def normals(frames=FRAMES):
    return np.random.default_rng(1).integers(0, 256, (frames, *SIZE, 3), dtype=np.uint8)


def generate(pipeline, *, seed=0, given=None, **options):
    given = normals() if given is None else given
    generator = torch.Generator().manual_seed(seed)
    return pipeline(photo(), given, num_inference_steps=3, generator=generator, **options)


@pytest.mark.parametrize("prediction", ["velocity", "sample"])
def test_same_seed_same_video(make_pipeline, prediction):
    pipeline = make_pipeline(prediction=prediction)
    first, again, other = generate(pipeline), generate(pipeline), generate(pipeline, seed=1)
    assert first.shape == (FRAMES, *SIZE, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_normals_matter(make_pipeline):
    pipeline = make_pipeline()
    assert not np.array_equal(generate(pipeline), generate(pipeline, given=normals()[::-1].copy()))


def test_saved_and_loaded_makes_the_same_video(make_pipeline, tmp_path):
    pipeline = make_pipeline()
    pipeline.save_pretrained(tmp_path)
    loaded = Real2Sam2RealPipeline.from_pretrained(tmp_path, dtype=torch.float32)
    assert np.array_equal(generate(pipeline), generate(loaded))


def test_a_start_from_the_preview_stays_near_it_at_low_strength(make_pipeline):
    """With a network that says nothing (zero velocity), what comes out is the start."""
    pipeline = make_pipeline()
    torch.nn.init.zeros_(pipeline.transformer.proj_out.weight)
    torch.nn.init.zeros_(pipeline.transformer.proj_out.bias)
    preview = np.broadcast_to(photo(), (FRAMES, *SIZE, 3)).copy()
    through = conditioning.to_frames(
        conditioning.decode_latents(
            pipeline.vae, conditioning.encode_latents(pipeline.vae, conditioning.to_video_tensor(preview))
        )
    )
    distance = [
        np.abs(generate(pipeline, init_video=preview, strength=s).astype(int) - through).mean() for s in (0.02, 0.5, 1)
    ]
    assert distance[0] < 6
    assert distance[0] < distance[1] < distance[2]


def test_steps_are_reported(make_pipeline):
    seen = []
    pipeline = make_pipeline()

    def observe(pipe, step, timestep, tensors):
        assert pipe is pipeline
        seen.append((pipe.segment, pipe.num_segments, step, pipe.num_timesteps, sorted(tensors)))

    generate(pipeline, callback_on_step_end=observe, callback_on_step_end_tensor_inputs=["latents", "estimate"])
    assert seen == [(0, 1, step, 3, ["estimate", "latents"]) for step in range(3)]


def test_the_estimate_of_the_last_step_is_the_result(make_pipeline):
    pipeline, seen = make_pipeline(), []

    def observe(pipe, step, timestep, tensors):
        seen.append(tensors)

    names = ["latents", "estimate"]
    generate(pipeline, callback_on_step_end=observe, callback_on_step_end_tensor_inputs=names)
    torch.testing.assert_close(seen[-1]["estimate"], seen[-1]["latents"], atol=1e-5, rtol=0)
    assert (seen[0]["estimate"] - seen[0]["latents"]).abs().max() > 0.1


def test_latents_that_a_callback_returns_are_used(make_pipeline):
    pipeline = make_pipeline()

    def blank(pipe, step, timestep, tensors):
        return {"latents": torch.zeros_like(tensors["latents"])}

    grey = conditioning.to_frames(conditioning.decode_latents(pipeline.vae, torch.zeros(1, 4, 2, 4, 6)))
    assert np.array_equal(generate(pipeline, callback_on_step_end=blank), grey)


def test_unknown_callback_tensors_are_refused(make_pipeline):
    with pytest.raises(ValueError, match="prompt_embeds"):
        generate(make_pipeline(), callback_on_step_end_tensor_inputs=["prompt_embeds"])


@pytest.mark.parametrize("frames", [4, 6, 7])
def test_any_number_of_frames_comes_back_as_asked(make_pipeline, frames):
    assert len(generate(make_pipeline(), given=normals(frames))) == frames


def test_keeping_keys_and_values_changes_nothing(make_pipeline):
    pipeline = make_pipeline()
    kept = generate(pipeline)
    pipeline.keep_keys_values = False
    assert np.array_equal(generate(pipeline), kept)


def test_a_fresh_lora_changes_nothing(make_pipeline):
    pipeline = make_pipeline()
    before = generate(pipeline)
    pipeline.transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v"]))
    assert np.array_equal(before, generate(pipeline))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": Sampling(segment_frames=6)}, "longest is 6; it must be 4k \\+ 1"),
        ({"sampling": Sampling(segment_frames=5, overlap=5)}, "leaves nothing new"),
        ({"guidance_scale": 2.0}, "guidance needs a text encoder"),
        ({"output_type": "pil"}, "'pil'"),
        ({"given": normals()[:, :16]}, "normals has shape"),
        ({"init_video": normals()[:1]}, "init_video has shape"),
        ({"init_video": normals(), "strength": 0.0}, "strength"),
    ],
)
def test_what_does_not_fit_is_refused(make_pipeline, options, message):
    with pytest.raises(ValueError, match=message):
        generate(make_pipeline(), **options)


def test_finished_segments_need_the_end_of_the_last():
    with pytest.raises(ValueError, match="tail"):
        Finished(segments=1)


def test_a_run_leaves_the_pipeline_as_it_was(make_pipeline):
    """Schedulers, step caches, hooks and progress are a run's own, whether it ends, is dropped or fails."""
    pipeline = make_pipeline()
    pipeline.scheduler.set_timesteps(7)

    def state():
        scheduler = {key: repr(value) for key, value in vars(pipeline.scheduler).items() if key != "_internal_dict"}
        scheduler |= {key: value for key, value in pipeline.scheduler.config.items() if not key.startswith("_")}
        own = {key: repr(value) for key, value in vars(pipeline).items() if not isinstance(value, torch.nn.Module)}
        registries = [getattr(module, "_diffusers_hook", None) for module in pipeline.transformer.modules()]
        hooks = [sorted(registry.hooks) for registry in registries if registry is not None and registry.hooks]
        weights = [tensor.clone() for tensor in pipeline.transformer.state_dict().values()]
        return scheduler, own, hooks, pipeline.transformer.is_cache_enabled, weights

    def same(one, other):
        return one[:4] == other[:4] and all(map(torch.equal, one[4], other[4]))

    before, identity = state(), id(pipeline.scheduler)
    generate(pipeline, sampling=PRESETS["balanced"], guidance_scale=1.0)
    assert same(state(), before)
    assert id(pipeline.scheduler) == identity
    dropped = pipeline.stream(photo(), normals(), sampling=PRESETS["balanced"], guidance_scale=1.0)
    next(dropped)
    assert pipeline.transformer.is_cache_enabled
    dropped.close()
    assert same(state(), before)

    def fail(*_):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        generate(pipeline, callback_on_step_end=fail)
    assert same(state(), before)


def test_sizes_off_the_grid_are_refused(make_pipeline):
    with pytest.raises(ValueError, match="multiples of 16"):
        make_pipeline()(photo()[:24], normals()[:, :24])


def test_condition_channels_mark_the_photo_alone():
    reference, empty = torch.full((2, 5, 1, 3, 4), 7.0), torch.full((1, 5, 2, 3, 4), 9.0)
    channels = conditioning.condition_channels(reference, empty)
    assert channels.shape == (2, 9, 3, 3, 4)
    assert (channels[:, :4, 0] == 1).all()
    assert (channels[:, :4, 1:] == 0).all()
    assert (channels[:, 4:, 0] == 7).all()
    assert (channels[:, 4:, 1:] == 9).all()


def test_guidance_with_a_text_encoder_moves_the_video(make_pipeline, tiny_text):
    pipeline = make_pipeline(text_dim=tiny_text[0].config.d_model)
    pipeline.register_modules(text_encoder=tiny_text[0], tokenizer=tiny_text[1])
    plain, prompted = generate(pipeline, prompt="red"), generate(pipeline, prompt="blue")
    guided = generate(pipeline, prompt="red", negative_prompt="blue", guidance_scale=4.0)
    assert not np.array_equal(plain, prompted)
    assert not np.array_equal(plain, guided)


@pytest.fixture(scope="module")
def tiny_text():
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

    torch.manual_seed(0)
    config = UMT5Config(vocab_size=8, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    words = Tokenizer(WordLevel({"<pad>": 0, "red": 1, "blue": 2, "<unk>": 3}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>")
    return UMT5EncoderModel(config).eval(), tokenizer


@pytest.mark.parametrize("whole", [True, False])
def test_clip_sees_the_whole_photo_only_when_it_is_resized_without_crop(wan_animate, whole):
    """The original Wan code resizes; CLIP's own processing, which diffusers uses, cuts the sides off."""
    _, processor = wan_animate.image_encoder()
    prepare = partial(conditioning.pixels_for_clip, resize_without_crop=whole)
    photo = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    other_sides = photo.copy()
    other_sides[:, :12] = other_sides[:, -12:] = 0
    pixels = prepare(photo, processor)
    assert pixels.shape == prepare(photo[:, :32], processor).shape
    assert torch.equal(pixels, prepare(other_sides, processor)) != whole


def test_a_photo_resized_without_crop_keeps_its_colours(wan_animate):
    _, processor = wan_animate.image_encoder()
    grey = np.full((32, 64, 3), 100, np.uint8)
    mean, std = torch.tensor(processor.image_mean), torch.tensor(processor.image_std)
    pixels = conditioning.pixels_for_clip(grey, processor, resize_without_crop=True)
    expected = ((100 / 255 - mean) / std).view(1, 3, 1, 1).expand_as(pixels)
    torch.testing.assert_close(pixels, expected)
