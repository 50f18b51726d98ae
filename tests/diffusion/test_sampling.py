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
@pytest.mark.parametrize("solver", ["euler", "unipc"])
def test_the_true_sample_leads_to_itself(solver, steps):
    """With the exact answer at every step the flow is a straight line, and any number of steps arrives."""
    generator = torch.Generator().manual_seed(0)
    sample, noise = (torch.randn(1, 4, 3, 2, 2, generator=generator) for _ in range(2))
    scheduler = sampling.make_scheduler(solver, 3.0)
    sampling.set_steps(scheduler, steps, "even" if solver == "euler" else "scheduler", 1.0, torch.device("cpu"))
    estimates = []
    arrived = sampling.denoise(
        scheduler,
        lambda x, t, level: sampling.velocity_from_sample(x, sample, level),
        noise,
        lambda step: estimates.append(step.estimate),
    )
    torch.testing.assert_close(arrived, sample, atol=1e-4, rtol=0)
    for estimate in estimates:
        torch.testing.assert_close(estimate, sample, atol=1e-4, rtol=0)


def test_velocity_from_sample_inverts_adding_noise():
    sample, noise = torch.randn(2, 3), torch.randn(2, 3)
    noisy = sampling.add_noise(sample, noise, 0.7)
    torch.testing.assert_close(sampling.velocity_from_sample(noisy, sample, 0.7), noise - sample)


def test_a_full_run_is_spaced_as_diffusers_does_or_evenly():
    scheduler = sampling.make_scheduler("euler", 5.0)
    sampling.set_steps(scheduler, 4, "even", 1.0, torch.device("cpu"))
    torch.testing.assert_close(scheduler.sigmas, torch.tensor([1.0, 0.9375, 0.8333, 0.625, 0.0]), atol=1e-4, rtol=0)
    sampling.set_steps(scheduler, 4, "scheduler", 1.0, torch.device("cpu"))
    reference = FlowMatchEulerDiscreteScheduler(shift=5.0)
    reference.set_timesteps(4)
    assert torch.equal(scheduler.sigmas, reference.sigmas)
    assert sampling.scheduler_shift(scheduler) == 5.0


def test_both_solvers_reach_what_a_straight_flow_leads_to():
    """Where the velocity is constant along the path, any solver arrives at the sample."""
    generator = torch.Generator().manual_seed(0)
    sample, noise = (torch.randn(1, 4, 3, 2, 2, generator=generator) for _ in range(2))
    for solver in ("euler", "unipc"):
        scheduler = sampling.make_scheduler(solver, 5.0)
        sampling.set_steps(scheduler, 6, "scheduler", 1.0, torch.device("cpu"))
        arrived = sampling.denoise(scheduler, lambda x, t, level: noise - sample, noise)
        torch.testing.assert_close(arrived, sample, atol=1e-2, rtol=0)
    assert sampling.scheduler_shift(scheduler) == 5.0


def test_a_partial_start_needs_euler():
    scheduler = sampling.make_scheduler("unipc", 5.0)
    with pytest.raises(ValueError, match="Euler"):
        sampling.set_steps(scheduler, 4, "scheduler", 0.5, torch.device("cpu"))
