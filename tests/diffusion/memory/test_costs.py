"""What is extrapolated or put together from parts, against the whole."""

import json

import pytest
import torch

from real2sam2real.diffusion.checkpoints import find_checkpoint
from real2sam2real.diffusion.memory import autoencoder_cost
from real2sam2real.diffusion.memory.architecture import WAN_ANIMATE_14B, Architecture, as_fake, autoencoder_of
from real2sam2real.diffusion.memory.autoencoder_cost import measure_decoding, measure_encoding, tiled_area
from real2sam2real.diffusion.memory.cost import Clip, Cost, metered
from real2sam2real.diffusion.memory.encoder_cost import measure_image_encoder, measure_text_encoder
from real2sam2real.diffusion.memory.tracking import fake_device
from real2sam2real.diffusion.memory.transformer_cost import measure_pass, plain_weights

TINY = {"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 96, "text_dim": 16, "freq_dim": 16}
NARROW_VAE = {"base_dim": 8, "z_dim": 16}
WORK = {measure_encoding: autoencoder_cost._encode, measure_decoding: autoencoder_cost._decode}
SMALL = Clip(frames=17, width=96, height=64)


def architecture(**changes: object) -> Architecture:
    config = {**TINY, "image_dim": 32, "added_kv_proj_dim": 24, "num_layers": 2, **changes}
    return Architecture(transformer=config, autoencoder=NARROW_VAE)


@pytest.mark.parametrize(("keys_values", "prompts"), [(True, 1), (False, 2)])
def test_more_blocks_by_extrapolation_cost_what_they_cost(keys_values: bool, prompts: int) -> None:
    options = {"keys_values": keys_values, "prompts": prompts, "token_chunks": 2}
    # With one block fewer than is run, all are run; with more, the rest is extrapolated from two and three.
    from_few = measure_pass(architecture(num_layers=2), SMALL, **options).extrapolated(
        measure_pass(architecture(num_layers=3), SMALL, **options), 3
    )
    assert measure_pass(architecture(num_layers=5), SMALL, **options).working == from_few.working
    whole = architecture(num_layers=5)
    assert measure_pass(whole, SMALL, **options).weights == plain_weights(whole)


def test_the_14b_model_in_figures_that_are_known() -> None:
    """Counted by hand from the published config: widths 5120 and 13824, 40 blocks, 79 200 tokens."""
    cost = measure_pass(WAN_ANIMATE_14B, Clip())
    width, hidden, tokens = 5120, 13824, 22 * 45 * 80
    assert (cost.tokens, cost.layers) == (tokens, 40)
    assert cost.attention_flops == 40 * 4 * width * tokens * (tokens + 512 + 257)
    linear = 40 * 2 * tokens * (6 * width * width + 2 * width * hidden)
    assert linear < cost.other_flops < 1.001 * linear  # beside it: patches, the last projection, time
    matrices = 40 * (10 * width * width + 2 * width * hidden)
    assert 2 * matrices < cost.weights < 2 * 1.02 * matrices
    # At least the tokens, queries, keys and values; no attention matrix.
    assert 4 * tokens * width * 2 < cost.working < 16 * tokens * width * 2


def test_quantised_weights_are_counted_as_they_are_stored() -> None:
    sizes = {
        weights: measure_pass(WAN_ANIMATE_14B, SMALL, weights=weights).all_blocks
        for weights in ("bfloat16", "int8", "float8", "nf4", "gguf")
    }
    for weights, share in {"int8": 1 / 2, "float8": 1 / 2, "nf4": 0.516 / 2, "gguf": 0.5625 / 2}.items():
        assert sizes[weights] == pytest.approx(share * sizes["bfloat16"], rel=0.01)


def test_chunks_and_kept_keys_show_in_the_working_memory() -> None:
    plain = measure_pass(WAN_ANIMATE_14B, Clip())
    # Keys and values of text and image for 40 blocks.
    kept = 40 * 2 * (512 + 257) * 5120 * 2
    assert plain.working - measure_pass(WAN_ANIMATE_14B, Clip(), keys_values=False).working == pytest.approx(
        kept, rel=0.2
    )
    assert measure_pass(WAN_ANIMATE_14B, Clip(), token_chunks=8).working < 0.85 * plain.working


@pytest.mark.parametrize("measure", [measure_encoding, measure_decoding])
def test_longer_clips_by_extrapolation_cost_what_they_cost(measure) -> None:
    def exact(frames: int) -> Cost:
        autoencoder = autoencoder_of(architecture())
        clip = Clip(frames=frames, width=96, height=64)
        with fake_device():
            as_fake(autoencoder, torch.float32)
            return metered(autoencoder, lambda: WORK[measure](autoencoder, clip))

    assert measure(architecture(), Clip(frames=33, width=96, height=64)) == exact(33)


@pytest.mark.parametrize("measure", [measure_encoding, measure_decoding])
def test_tiles_need_what_the_autoencoder_needs_for_them(measure) -> None:
    """Against diffusers' tiling as it is, blending and all."""
    clip = Clip(frames=5, width=320, height=288)
    wide = Architecture(autoencoder={"base_dim": 48})
    autoencoder = autoencoder_of(wide)
    with fake_device():
        as_fake(autoencoder, torch.float32)
        autoencoder.enable_tiling()
        whole = metered(autoencoder, lambda: WORK[measure](autoencoder, clip))
    cost = measure(wide, clip, tiled=True)
    assert cost.weights == whole.weights
    assert whole.working <= cost.working <= 1.05 * whole.working
    assert whole.flops == pytest.approx(cost.flops, rel=0.05)
    assert cost.working < 0.8 * measure(wide, clip).working


def test_tiles_overlap() -> None:
    autoencoder = autoencoder_of(WAN_ANIMATE_14B)
    # Across 1280: starts 0, 192, … 1152, the last two narrower; down 720: 0, 192, 384, 576.
    assert tiled_area(autoencoder, Clip()) == (5 * 256 + 256 + 128) * (3 * 256 + 144)


def test_encoders_of_the_release() -> None:
    """5.68 billion parameters in bfloat16, 0.63 billion in float32."""
    assert measure_text_encoder(WAN_ANIMATE_14B).weights == pytest.approx(5.68e9 * 2, rel=0.01)
    assert measure_text_encoder(WAN_ANIMATE_14B).largest_layer == 256384 * 4096 * 2
    assert measure_image_encoder(WAN_ANIMATE_14B).weights == pytest.approx(0.631e9 * 4, rel=0.01)
    assert measure_text_encoder(architecture()) == measure_image_encoder(architecture()) == Cost()


def test_a_folders_configs_tell_its_architecture() -> None:
    mini = Architecture.of_folder(find_checkpoint("mini-base"))
    assert mini.autoencoder_class == "BlockTransformAutoencoder"
    assert mini.text_encoder is None
    config = json.loads((find_checkpoint("mini-base") / "transformer" / "config.json").read_text())
    clip = Clip(frames=9, width=64, height=48)
    assert measure_pass(mini, clip).layers == config["num_layers"]
    # It needs no tiles, so asking for them changes nothing.
    assert measure_decoding(mini, clip, tiled=True) == measure_decoding(mini, clip)
