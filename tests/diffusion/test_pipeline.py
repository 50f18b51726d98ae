import numpy as np
import pytest
import torch
from peft import LoraConfig

from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.pipeline import Real2Sam2RealPipeline

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
    loaded = Real2Sam2RealPipeline.from_pretrained(tmp_path, local_files_only=True)
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
    generate(make_pipeline(), on_step=lambda step, steps, latents: seen.append((step, steps, latents.shape[2])))
    assert seen == [(1, 3, 3), (2, 3, 3), (3, 3, 3)]


def test_a_fresh_lora_changes_nothing(make_pipeline):
    pipeline = make_pipeline()
    before = generate(pipeline)
    pipeline.transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v"]))
    assert np.array_equal(before, generate(pipeline))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"given": normals(6)}, "4k \\+ 1"),
        ({"given": normals()[:, :16]}, "normals has shape"),
        ({"init_video": normals()[:1]}, "init_video has shape"),
        ({"init_video": normals(), "strength": 0.0}, "strength"),
    ],
)
def test_what_does_not_fit_is_refused(make_pipeline, options, message):
    with pytest.raises(ValueError, match=message):
        generate(make_pipeline(), **options)


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
