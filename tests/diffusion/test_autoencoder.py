import numpy as np
import pytest
import torch

from real2sam2real.diffusion.autoencoder import BlockTransformAutoencoder, fit_autoencoder, temporal_basis
from real2sam2real.diffusion.conditioning import decode_latents, encode_latents


def moving_waves(count, frames=9, height=32, width=48):
    """Smooth clips `(3, T, H, W)` that drift, so that space and time both matter."""
    rng = np.random.default_rng(0)
    y, x, t = np.meshgrid(np.arange(height), np.arange(width), np.arange(frames), indexing="ij")
    for _ in range(count):
        fx, fy, ft, phase = rng.uniform(-0.25, 0.25, 4) * [1, 1, 1, 12]
        wave = np.sin(fx * x + fy * y + ft * t + phase)
        colour = rng.uniform(-0.8, 0.8, 3)
        yield torch.tensor(colour[:, None, None, None] * wave.transpose(2, 0, 1)[None], dtype=torch.float32)


@pytest.fixture(scope="module")
def autoencoder():
    return fit_autoencoder(moving_waves(24), channels=24, noise=0.01)


def reconstruction_psnr(model, clip):
    out = model.decode(model.encode(clip[None]).latent_dist.mode()).sample[0]
    return -10 * torch.log10(((out - clip) / 2).square().mean()).item()


def test_keeps_clips_it_was_fitted_to(autoencoder):
    assert np.mean([reconstruction_psnr(autoencoder, clip) for clip in moving_waves(6)]) > 32


def test_more_channels_keep_more():
    quality = [
        np.mean([reconstruction_psnr(fit_autoencoder(moving_waves(8), z, noise=0.001), c) for c in moving_waves(4)])
        for z in (4, 12, 48)
    ]
    assert quality[0] < quality[1] < quality[2]


def test_a_still_video_has_the_same_latent_in_every_frame(autoencoder):
    still = next(moving_waves(1))[None, :, :1].expand(-1, -1, 9, -1, -1)
    latents = encode_latents(autoencoder, still)
    torch.testing.assert_close(latents[:, :, 1:], latents[:, :, :1].expand(-1, -1, 2, -1, -1), atol=1e-5, rtol=0)


def test_latents_are_standardised_to_unit_power(autoencoder):
    latents = torch.cat([encode_latents(autoencoder, clip[None])[:, :, 1:] for clip in moving_waves(24)])
    assert 0.8 < latents.square().mean().sqrt().item() < 1.25


def test_temporal_basis_is_orthogonal_and_starts_with_the_mean():
    basis = temporal_basis()
    torch.testing.assert_close(basis @ basis.T * 4, torch.eye(4, dtype=torch.float64))
    torch.testing.assert_close(basis[0], torch.full((4,), 0.25, dtype=torch.float64))


def test_standardising_is_undone(autoencoder):
    clip = next(moving_waves(1))[None]
    through = decode_latents(autoencoder, encode_latents(autoencoder, clip))
    direct = autoencoder.decode(autoencoder.encode(clip).latent_dist.mode()).sample
    torch.testing.assert_close(through, direct, atol=1e-4, rtol=0)


def test_saved_and_loaded_is_the_same(autoencoder, tmp_path):
    autoencoder.save_pretrained(tmp_path)
    loaded = BlockTransformAutoencoder.from_pretrained(tmp_path)
    clip = next(moving_waves(1))[None]
    assert torch.equal(loaded.encode(clip).latent_dist.mode(), autoencoder.encode(clip).latent_dist.mode())
    assert loaded.config.z_dim == 24


@pytest.mark.parametrize("shape", [(8, 32, 48), (9, 30, 48), (9, 32, 44)])
def test_sizes_off_the_grid_are_refused(autoencoder, shape):
    with pytest.raises(ValueError, match="cannot be encoded"):
        autoencoder.encode(torch.zeros(1, 3, *shape))
