"""What is reckoned against what is counted on the networks' own code, and that, where it is from parts, against all."""

import pytest
import torch

from real2sam2real.diffusion.memory.costs import (
    FORMATS,
    Architecture,
    ClipSize,
    autoencoder_weights,
    autoencoder_working,
    image_encoder_cost,
    pass_cost,
    text_encoder_cost,
    transformer_weights,
)

WAN_ANIMATE_14B = Architecture()
TINY = {"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 96, "text_dim": 16, "freq_dim": 16}
NARROW_VAE = {"base_dim": 8, "z_dim": 16, "num_res_blocks": 1}
RUN = {"encode": lambda measured: measured._encode, "decode": lambda measured: measured._decode}
MEASURE = {"encode": lambda measured: measured.measure_encoding, "decode": lambda measured: measured.measure_decoding}
SMALL = ClipSize(frames=17, width=96, height=64)


def architecture(**changes: object) -> Architecture:
    config = {**TINY, "image_dim": 32, "added_kv_proj_dim": 24, "num_layers": 2, **changes}
    return Architecture(transformer=config, autoencoder=NARROW_VAE)


@pytest.mark.parametrize(("keys_values", "prompts"), [(True, 1), (False, 2)])
def test_more_blocks_by_extrapolation_cost_what_they_cost(measured, keys_values: bool, prompts: int) -> None:
    options = {"keys_values": keys_values, "prompts": prompts, "token_chunks": 2}
    whole = architecture(num_layers=4)
    cost = measured.measure_pass(whole, SMALL, **options)
    assert cost.working == measured.run_blocks(whole, SMALL, 4, **options).working
    block, rest = transformer_weights(whole, "bfloat16")
    assert cost.weights == 4 * block + rest


def test_the_14b_model_in_figures_that_are_known() -> None:
    """Counted by hand from the published config: widths 5120 and 13824, 40 blocks, 79 200 tokens."""
    cost = pass_cost(WAN_ANIMATE_14B, ClipSize())
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
        weights: pass_cost(WAN_ANIMATE_14B, SMALL, weights=weights).all_blocks
        for weights in ("bfloat16", "int8", "float8", "nf4", "gguf")
    }
    for weights, share in {"int8": 1 / 2, "float8": 1 / 2, "nf4": 0.516 / 2, "gguf": 0.5625 / 2}.items():
        assert sizes[weights] == pytest.approx(share * sizes["bfloat16"], rel=0.01)


def test_chunks_and_kept_keys_show_in_the_working_memory() -> None:
    plain = pass_cost(WAN_ANIMATE_14B, ClipSize())
    # Keys and values of text and image for 40 blocks.
    kept = 40 * 2 * (512 + 257) * 5120 * 2
    assert plain.working - pass_cost(WAN_ANIMATE_14B, ClipSize(), keys_values=False).working == pytest.approx(
        kept, rel=0.2
    )
    assert pass_cost(WAN_ANIMATE_14B, ClipSize(), token_chunks=8).working < 0.85 * plain.working


@pytest.mark.parametrize("work", ["encode", "decode"])
def test_longer_clips_by_extrapolation_cost_what_they_cost(measured, work) -> None:
    def exact(frames: int) -> object:
        autoencoder = measured.autoencoder_of(architecture())
        clip = ClipSize(frames=frames, width=96, height=64)
        with measured.fake_device():
            measured.as_fake(autoencoder, torch.float32)
            return measured.metered(autoencoder, lambda: RUN[work](measured)(autoencoder, clip))

    assert MEASURE[work](measured)(architecture(), ClipSize(frames=21, width=96, height=64)) == exact(21)


@pytest.mark.parametrize("work", ["encode", "decode"])
def test_tiles_need_what_the_autoencoder_needs_for_them(measured, work) -> None:
    """Against diffusers' tiling as it is, blending and all."""
    clip = ClipSize(frames=5, width=320, height=288)
    wide = Architecture(autoencoder={"base_dim": 48, "num_res_blocks": 1})
    autoencoder = measured.autoencoder_of(wide)
    with measured.fake_device():
        measured.as_fake(autoencoder, torch.float32)
        autoencoder.enable_tiling()
        whole = measured.metered(autoencoder, lambda: RUN[work](measured)(autoencoder, clip))
    cost = MEASURE[work](measured)(wide, clip, tiled=True)
    assert cost.weights == whole.weights
    assert whole.working <= cost.working <= 1.05 * whole.working
    assert whole.flops == pytest.approx(cost.flops, rel=0.05)
    assert cost.working < 0.8 * MEASURE[work](measured)(wide, clip).working


def test_tiles_overlap(measured) -> None:
    autoencoder = measured.autoencoder_of(WAN_ANIMATE_14B)
    # Across 1280: starts 0, 192, … 1152, the last two narrower; down 720: 0, 192, 384, 576.
    assert measured.tiled_area(autoencoder, ClipSize()) == (5 * 256 + 256 + 128) * (3 * 256 + 144)


def test_encoders_of_the_release() -> None:
    """5.68 billion parameters in bfloat16, 0.63 billion in float32."""
    text, image = text_encoder_cost(WAN_ANIMATE_14B.text_encoder, 2), image_encoder_cost(WAN_ANIMATE_14B.image_encoder)
    assert text.weights == pytest.approx(5.68e9 * 2, rel=0.01)
    assert text.largest_layer == 256384 * 4096 * 2
    assert image.weights == pytest.approx(0.631e9 * 4, rel=0.01)


@pytest.mark.parametrize(
    ("weights", "chunks", "kept", "prompts", "copies"),
    [
        *((weights, 1, True, 2, False) for weights in FORMATS),
        *((weights, 4, False, 1, True) for weights in ("bfloat16", "int8", "gguf")),
        ("bfloat16", 2, False, 1, False),
    ],
)
def test_a_pass_is_reckoned_as_it_is_counted(measured, weights, chunks, kept, prompts, copies) -> None:
    wide = architecture(num_layers=1, num_attention_heads=4, attention_head_dim=64, ffn_dim=700, added_kv_proj_dim=256)
    clip = ClipSize(frames=17, width=320, height=192)
    options = {"weights": weights, "token_chunks": chunks, "keys_values": kept, "prompts": prompts}
    ours = pass_cost(wide, clip, **options, attention_copies=copies)
    theirs = measured.measure_pass(wide, clip, **options, attention_copies=copies)
    assert (ours.block, ours.layers, ours.tokens) == (theirs.block, theirs.layers, theirs.tokens)
    assert ours.weights == theirs.weights
    assert ours.attention_flops == theirs.attention_flops
    assert ours.other_flops == pytest.approx(theirs.other_flops, rel=0.02)
    assert ours.working == pytest.approx(theirs.working, rel=0.02)


@pytest.mark.parametrize(("dtype", "tiled"), [(torch.bfloat16, False), (torch.bfloat16, True), (torch.float32, False)])
@pytest.mark.parametrize("work", ["encode", "decode"])
def test_the_autoencoder_is_reckoned_as_it_is_counted(measured, work, dtype, tiled) -> None:
    clip = ClipSize(frames=9, width=320, height=288)
    counted = MEASURE[work](measured)(WAN_ANIMATE_14B, clip, dtype, tiled=tiled)
    assert autoencoder_weights(WAN_ANIMATE_14B, dtype.itemsize) == counted.weights
    reckoned = autoencoder_working(WAN_ANIMATE_14B, clip, work, dtype.itemsize, tiled=tiled)
    assert reckoned == pytest.approx(counted.working, rel=0.02)


def test_encoders_are_reckoned_as_they_are_counted(measured) -> None:
    text = {
        **WAN_ANIMATE_14B.text_encoder,
        "d_model": 256,
        "d_ff": 640,
        "num_layers": 2,
        "num_heads": 4,
        "vocab_size": 999,
    }
    image = {**WAN_ANIMATE_14B.image_encoder, "hidden_size": 160, "intermediate_size": 640, "num_hidden_layers": 3}
    tiny = Architecture(text_encoder=text, image_encoder={**image, "num_attention_heads": 2})
    few_heads = Architecture(text_encoder={**WAN_ANIMATE_14B.text_encoder, "num_layers": 2, "num_heads": 8})
    narrow = Architecture(text_encoder={**WAN_ANIMATE_14B.text_encoder, "num_layers": 2, "d_model": 1024})
    for ours, theirs in (
        # At its fullest in the position bias, the feed-forward layers, attention.
        *(
            (text_encoder_cost(one.text_encoder, 2), measured.measure_text_encoder(one))
            for one in (tiny, few_heads, narrow)
        ),
        (image_encoder_cost(tiny.image_encoder), measured.measure_image_encoder(tiny)),
    ):
        assert ours.largest_layer == theirs.largest_layer
        assert ours.weights == pytest.approx(theirs.weights, rel=0.01)  # buffers are not reckoned
        assert ours.working == pytest.approx(theirs.working, rel=0.05)
