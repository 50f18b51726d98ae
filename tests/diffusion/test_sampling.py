import itertools

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from real2sam2real.diffusion import sampling


def shifted(value, shift):
    return shift * value / (1 + (shift - 1) * value)


def test_full_schedule_starts_at_one_and_matches_the_scheduler_of_the_official_script():
    scheduler = FlowMatchEulerDiscreteScheduler(shift=5.0)
    scheduler.set_timesteps(sigmas=sampling.schedule(25, 5.0))
    expected = [shifted(1 - k / 25, 5.0) for k in range(25)]
    torch.testing.assert_close(scheduler.sigmas[:-1], torch.tensor(expected), atol=1e-6, rtol=0)
    assert scheduler.sigmas[-1] == 0


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("start", [0.2, 0.6, 1.0])
def test_partial_schedule_starts_at_its_strength(start, shift):
    levels = [shifted(u, shift) for u in sampling.schedule(20, shift, start)]
    assert levels[0] == pytest.approx(start)
    assert all(a > b for a, b in itertools.pairwise(levels))
    assert len(levels) <= 20


@pytest.mark.parametrize(("steps", "start"), [(0, 1.0), (5, 0.0), (5, 1.5), (5, -0.1)])
def test_nonsense_is_refused(steps, start):
    with pytest.raises(ValueError):
        sampling.schedule(steps, 3.0, start)


@pytest.mark.parametrize("steps", [1, 7])
def test_the_true_velocity_leads_to_the_sample(steps):
    """With the exact answer at every step the flow is a straight line, and any number of steps arrives."""
    generator = torch.Generator().manual_seed(0)
    sample, noise = (torch.randn(1, 4, 3, 2, 2, generator=generator) for _ in range(2))
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(sigmas=sampling.schedule(steps, 3.0))
    arrived = sampling.denoise(
        scheduler, lambda x, t: sampling.velocity_from_sample(x, sample, t.view(-1, 1, 1, 1, 1) / 1000), noise
    )
    torch.testing.assert_close(arrived, sample, atol=1e-4, rtol=0)


def test_velocity_from_sample_inverts_adding_noise():
    sample, noise = torch.randn(2, 3), torch.randn(2, 3)
    noisy = sampling.add_noise(sample, noise, 0.7)
    torch.testing.assert_close(sampling.velocity_from_sample(noisy, sample, 0.7), noise - sample)
