"""Wan's autoencoder chunk by chunk gives what it gives as a whole."""

import copy

import pytest
import torch

from real2sam2real.diffusion import causal_chunks
from real2sam2real.diffusion.causal_chunks import chunk_bounds, decode_chunks, encode_chunks, lay_out_channels_last
from real2sam2real.diffusion.conditioning import decode_latents, encode_latents

SIZE = (9, 32, 48)


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def autoencoder(wan_animate, request):
    return wan_animate.vae().to(request.param)


def clip(frames=SIZE[0]):
    return torch.rand(1, 3, frames, *SIZE[1:], generator=torch.Generator().manual_seed(2)) * 2 - 1


def in_chunks(video):
    return (video[:, :, first:stop] for first, stop in chunk_bounds(video.shape[2]))


@torch.no_grad()
def test_chunks_are_the_whole_to_the_bit(autoencoder):
    latents = encode_latents(autoencoder, clip())
    assert torch.equal(encode_chunks(autoencoder, in_chunks(clip()), *SIZE[1:]), latents)
    chunks = list(decode_chunks(autoencoder, latents))
    assert [chunk.shape[2] for chunk in chunks] == [1, 4, 4]
    assert torch.equal(torch.cat(chunks, dim=2), decode_latents(autoencoder, latents))


@torch.no_grad()
def test_the_autoencoder_may_be_used_between_two_chunks(autoencoder):
    latents = encode_latents(autoencoder, clip())
    made = []
    for chunk in decode_chunks(autoencoder, latents):
        made.append(chunk)
        decode_latents(autoencoder, encode_latents(autoencoder, clip(5)))
    assert torch.equal(torch.cat(made, dim=2), decode_latents(autoencoder, latents))


@torch.no_grad()
def test_what_cannot_go_by_chunks_is_one(autoencoder, tiny_autoencoder):
    autoencoder.enable_tiling(16, 16, 8, 8)
    for one in (autoencoder, tiny_autoencoder):
        latents = encode_chunks(one, in_chunks(clip()), *SIZE[1:])
        assert torch.equal(latents, encode_latents(one, clip()))
        (video,) = decode_chunks(one, latents)
        assert torch.equal(video, decode_latents(one, latents))
    autoencoder.use_tiling = False
    assert causal_chunks.goes_by_chunks(autoencoder, *SIZE[1:])
    autoencoder._hf_hook = object()  # diffusers' offloading of a whole model
    assert not causal_chunks.goes_by_chunks(autoencoder, *SIZE[1:])


@torch.no_grad()
def test_another_memory_layout_changes_rounding_alone(autoencoder):
    other = copy.deepcopy(autoencoder)
    lay_out_channels_last(other)
    laid = [p for p in other.parameters() if p.ndim == 5 and p.shape[1] > 1 and p[0, 0].numel() > 1]
    assert laid
    assert all(p.is_contiguous(memory_format=torch.channels_last_3d) and not p.is_contiguous() for p in laid)
    latents, moved = encode_latents(autoencoder, clip()), encode_latents(other, clip())
    precise = autoencoder.dtype == torch.float32
    assert (moved - latents).norm() / latents.norm() < (1e-5 if precise else 0.02)
    video, again = decode_latents(autoencoder, latents), decode_latents(other, latents)
    assert (again - video).norm() / video.norm() < (1e-5 if precise else 0.02)
