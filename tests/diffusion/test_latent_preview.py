from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from einops import reduce
from safetensors.torch import save_file
from torch.nn import functional

import real2sam2real
from real2sam2real import media
from real2sam2real.diffusion import conditioning, tiny_decoder
from real2sam2real.diffusion.autoencoder import BlockTransformAutoencoder
from real2sam2real.diffusion.latent_preview import (
    LinearPreview,
    TinyPreview,
    contact_strip,
    find_preview,
    is_wan,
    write_preview_image,
)
from real2sam2real.diffusion.tiny_decoder import TinyDecoder, find_tiny_decoder, load_tiny_decoder
from real2sam2real.errors import UserError

ASSETS = Path(real2sam2real.__file__).parent / "assets"


@pytest.fixture(scope="module")
def mini():
    return BlockTransformAutoencoder.from_pretrained(ASSETS / "mini_base" / "vae")


@pytest.fixture(scope="module")
def wan():
    """Wan 2.1's autoencoder with narrow layers: the statistics of its latents are in its config."""
    torch.manual_seed(0)
    return AutoencoderKLWan(base_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1).eval()


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("R2S2R_TAEW", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def published_weights():
    """All tensors of the published file: an encoder, and the decoder by its layers' places."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}

    def convolution(name, outputs, inputs, size=3, *, bias=True):
        spread = (2 / (inputs * size**2)) ** 0.5
        tensors[f"{name}.weight"] = spread * torch.randn(outputs, inputs, size, size, generator=generator)
        if bias:
            tensors[f"{name}.bias"] = 0.1 * torch.randn(outputs, generator=generator)

    convolution("encoder.0", 64, 3)
    convolution("decoder.1", 256, 16)
    for first, width, following, grow in ((3, 256, 128, 1), (9, 128, 64, 2), (15, 64, 64, 2)):
        for block in range(first, first + 3):
            convolution(f"decoder.{block}.conv.0", width, 2 * width)
            convolution(f"decoder.{block}.conv.2", width, width)
            convolution(f"decoder.{block}.conv.4", width, width)
        convolution(f"decoder.{first + 4}.conv", grow * width, width, 1, bias=False)
        convolution(f"decoder.{first + 5}", following, width, bias=False)
    convolution("decoder.22", 3, 64)
    return tensors


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("taew") / "taew2_1.safetensors"
    save_file({key: tensor.half() for key, tensor in published_weights().items()}, path)
    return path


def decoded_at_once(latents, tensors):
    """The same network in one piece: all frames through one layer after the other, `(F, 3, 8h, 8w)`."""

    def convolved(frames, name):
        weight = tensors[f"{name}.weight"]
        return functional.conv2d(frames, weight, tensors.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    frames = functional.relu(convolved(3 * torch.tanh(latents[0].movedim(1, 0) / 3), "decoder.1"))
    for first in (3, 9, 15):
        for block in range(first, first + 3):
            before = torch.cat([torch.zeros_like(frames[:1]), frames[:-1]])
            inner = torch.cat([frames, before], dim=1)
            for layer in (0, 2):
                inner = functional.relu(convolved(inner, f"decoder.{block}.conv.{layer}"))
            frames = functional.relu(convolved(inner, f"decoder.{block}.conv.4") + frames)
        frames = frames.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        frames = convolved(frames, f"decoder.{first + 4}.conv").reshape(-1, *frames.shape[1:])
        frames = convolved(frames, f"decoder.{first + 5}")
    return convolved(functional.relu(frames), "decoder.22")[3:]


@pytest.fixture(scope="module")
def latents():
    return torch.randn(1, 16, 3, 4, 5, generator=torch.Generator().manual_seed(1))


def test_the_tiny_decoder_streams_what_the_network_makes_at_once(weights, latents):
    stored = {key: tensor.half().float() for key, tensor in published_weights().items()}
    expected = decoded_at_once(latents, stored)
    decoder = load_tiny_decoder(weights, dtype=torch.float32)
    streamed = torch.cat(list(decoder.stream(latents)))
    assert streamed.shape == (4 * 3 - 3, 3, 32, 40)
    assert expected.std() > 0.1
    assert (streamed - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_smaller_previews_have_a_frame_for_each_latent_frame(weights, latents, scale):
    decoder = load_tiny_decoder(weights, dtype=torch.float32)
    frames = list(decoder.stream(latents, scale=scale, all_frames=False))
    assert [frame.shape for frame in frames] == [(1, 3, 4 * scale, 5 * scale)] * 3


def test_the_last_of_a_latent_frames_moments_is_shown(weights, latents):
    """Growth by several frames keeps the last one's weights: the very last frame is what the whole decoder ends with.

    Only the first latent frame can be compared, since what the blocks remember differs behind it.
    """
    decoder = load_tiny_decoder(weights, dtype=torch.float32)
    for layer in decoder.decoder:
        if isinstance(layer, tiny_decoder.MemoryBlock):
            width = layer.conv[0].weight.shape[0]
            layer.conv[0].weight.data[:, width:] = 0  # nothing is remembered
    every = list(decoder.stream(latents))
    one_each = list(decoder.stream(latents, all_frames=False))
    for number, frame in enumerate(one_each):
        torch.testing.assert_close(frame, every[4 * number])


def test_an_impossible_scale_is_refused(latents):
    with pytest.raises(ValueError, match="scale of 3"):
        next(TinyDecoder().stream(latents, scale=3))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_both_published_formats_are_read(tmp_path, weights, latents, suffix):
    path = tmp_path / f"taew2_1{suffix}"
    if suffix == ".pth":
        torch.save({key: tensor.half() for key, tensor in published_weights().items()}, path)
    else:
        path.write_bytes(weights.read_bytes())
    frames = TinyPreview(path).frames(latents)
    assert frames.shape == (3, 16, 20, 3)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames, TinyPreview(weights).frames(latents))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("decoder.13.conv.weight"), "missing: decoder.13.conv.weight"),
        (lambda tensors: tensors.update({"head.weight": torch.zeros(1)}), "unexpected: head.weight"),
        (lambda tensors: tensors.update({"decoder.1.weight": torch.zeros(256, 48, 3, 3)}), "decoder.1.weight is"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, message):
    tensors = published_weights()
    change(tensors)
    path = tmp_path / "other.safetensors"
    save_file(tensors, path)
    with pytest.raises(UserError, match=message):
        load_tiny_decoder(path, dtype=torch.float32)


def test_weights_are_found_by_path_variable_and_cache(tmp_path, monkeypatch, weights):
    assert find_tiny_decoder() is None
    snapshot = tmp_path / "cache" / "models--lightx2v--Autoencoders" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    (snapshot / "taew2_1.safetensors").write_bytes(weights.read_bytes())
    assert find_tiny_decoder() == snapshot / "taew2_1.safetensors"
    monkeypatch.setenv("R2S2R_TAEW", str(weights.parent))
    assert find_tiny_decoder() == weights


def test_a_wrong_path_is_told(tmp_path, monkeypatch):
    for path in (tmp_path, tmp_path / "nowhere"):
        monkeypatch.setenv("R2S2R_TAEW", str(path))
        with pytest.raises(UserError, match=r"variable R2S2R_TAEW names .* taew2_1\.safetensors or taew2_1\.pth"):
            find_tiny_decoder()


def test_the_best_preview_at_hand_is_taken(mini, wan, weights, monkeypatch):
    assert is_wan(wan)
    assert not is_wan(mini)
    assert isinstance(find_preview(mini), LinearPreview)
    assert isinstance(find_preview(wan), LinearPreview)
    monkeypatch.setenv("R2S2R_TAEW", str(weights))
    assert isinstance(find_preview(wan), TinyPreview)
    assert isinstance(find_preview(mini), LinearPreview)


def test_wans_factors_are_for_standardised_latents(wan):
    """Channels of unit variance fill the range of colours; at the autoencoder's own scale most would be clipped."""

    def clipped(latents):
        frames = find_preview(wan).frames(latents)
        return np.isin(frames, (0, 255)).mean()

    standardised = torch.randn(1, 16, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    config = wan.config
    mean, std = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (config.latents_mean, config.latents_std))
    assert clipped(standardised) < 0.2
    assert clipped(standardised * std + mean) > 0.5


@pytest.fixture(scope="module")
def clip():
    """Nine frames of a real photo that passes by."""
    photo = media.resized(media.read_image(ASSETS / "demo" / "photo.jpg"), 288, 144)
    return np.stack([photo[:, 4 * frame : 4 * frame + 256] for frame in range(9)])


def decibels(frames, truth):
    return 10 * np.log10(255**2 / np.mean((frames.astype(float) - truth) ** 2))


def test_a_fitted_projection_shows_real_pictures(mini, clip):
    latents = conditioning.encode_latents(mini, conditioning.to_video_tensor(clip))
    frames = find_preview(mini).frames(latents)
    assert frames.shape == (3, 18, 32, 3)
    blocks = reduce(clip.astype(float), "t (h y) (w x) c -> t h w c", "mean", y=8, x=8)
    truth = np.stack([blocks[0], blocks[1:5].mean(axis=0), blocks[5:].mean(axis=0)])
    assert decibels(np.full_like(truth, 128), truth) < 15
    assert decibels(frames, truth) > 40


def test_fitting_is_repeatable_and_leaves_the_seed_alone(mini):
    state = torch.random.get_rng_state()
    first, second = LinearPreview.fitted(mini), LinearPreview.fitted(mini)
    assert torch.equal(first.factors, second.factors)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_projection_of_another_video_autoencoder_is_fitted(wan):
    shifted = AutoencoderKLWan.from_config({**wan.config, "latents_mean": [0.0] * 16}).eval()
    preview = find_preview(shifted)
    assert preview.factors.shape == (16, 3)
    assert preview.factors.isfinite().all()


def test_a_strip_shows_moments_from_first_to_last():
    frames = np.arange(21, dtype=np.uint8)[:, None, None, None] * np.ones((1, 9, 16, 3), np.uint8)
    strip = contact_strip(frames, columns=5, height=36)
    assert strip.shape == (36, 5 * 64, 3)
    assert strip[0, ::64, 0].tolist() == [0, 5, 10, 15, 20]
    assert contact_strip(frames[:2], columns=5, height=9).shape == (9, 32, 3)


def test_the_live_picture_is_replaced_and_leaves_the_reference_out(mini, clip, tmp_path):
    preview, path = find_preview(mini), tmp_path / "live.png"
    video = conditioning.encode_latents(mini, conditioning.to_video_tensor(clip))
    for brightness in (-20.0, 20.0):
        reference = torch.full_like(video[:, :, :1], brightness)
        write_preview_image(path, preview, torch.cat([reference, video], dim=2))
        shown = media.read_image(path)
        assert np.array_equal(shown, contact_strip(preview.frames(video)))
    assert [file.name for file in tmp_path.iterdir()] == ["live.png"]
