import pytest
import torch
from diffusers import MagCacheConfig, TaylorSeerCacheConfig

from real2sam2real.diffusion import caches
from real2sam2real.diffusion.caches import FirstBlock, TaylorSeer, computed_steps, step_cache

STEPS = 12
LAYERS = 3
BRANCHES = ("cond", "uncond")


class Run:
    """Passes of a tiny transformer as in a guided run, with a count of the blocks that were really computed."""

    def __init__(self, model, change=0.05):
        generator = torch.Generator().manual_seed(1)
        self.model = model
        self.start = torch.randn(1, 12, 4, 4, 6, generator=generator)
        self.drift = change * torch.randn(1, 12, 4, 4, 6, generator=generator)
        self.normals = torch.randn(1, 4, 3, 4, 6, generator=generator)
        self.text = {name: torch.randn(1, 3, 16, generator=generator) for name in BRANCHES}
        self.computed = [0] * LAYERS
        for index, block in enumerate(model.blocks):
            block.attn1.register_forward_hook(lambda *_, index=index: self._count(index))

    def _count(self, index):
        self.computed[index] += 1

    @torch.no_grad()
    def __call__(self, steps=STEPS):
        """Outputs per step and branch, and the number of computed blocks per step and layer (of two branches)."""
        outputs, counts = [], []
        dtype = self.model.dtype
        for step in range(steps):
            before = list(self.computed)
            latents = (self.start + step * self.drift).to(dtype)
            time = torch.tensor([1000 - 900 * step / steps])
            outputs.append({})
            for name in BRANCHES:
                with self.model.cache_context(name):
                    outputs[-1][name] = self.model(latents, time, self.text[name].to(dtype), self.normals.to(dtype))
            counts.append([after - was for after, was in zip(self.computed, before, strict=True)])
        return outputs, counts


@pytest.fixture
def run(make_transformer):
    return Run(make_transformer(num_layers=LAYERS))


def difference(first, second):
    return max((a[name] - b[name]).abs().max().item() for a, b in zip(first, second, strict=True) for name in BRANCHES)


@pytest.mark.parametrize(
    "cache",
    [
        TaylorSeer(),
        TaylorSeer(warmup=1, interval=3, final=0),
        TaylorSeer(warmup=2, interval=4, final=2),
        TaylorSeer(interval=1),
        TaylorSeer(warmup=20),
    ],
    ids=str,
)
def test_the_plan_is_what_the_hook_does(run, cache):
    with step_cache(run.model, cache, STEPS):
        _, counts = run()
    assert [count == [2] * LAYERS for count in counts] == computed_steps(STEPS, cache)
    assert all(len(set(count)) == 1 for count in counts)


def test_of_twenty_steps_the_default_computes_twelve():
    assert sum(computed_steps(20, TaylorSeer())) == 12
    assert computed_steps(3, None) == [True] * 3


def test_the_last_step_is_computed_whatever_the_interval():
    assert computed_steps(9, TaylorSeer(warmup=4)) == [True] * 4 + [False, True, False, True, True]


def test_a_plan_that_depends_on_the_video_is_not_told():
    with pytest.raises(ValueError, match="FirstBlock"):
        computed_steps(20, FirstBlock())


def test_skipped_steps_go_on_along_the_last_two_computed_ones(run):
    with step_cache(run.model, TaylorSeer(), STEPS):
        outputs, _ = run()
    for name in BRANCHES:
        made = [output[name] for output in outputs]
        torch.testing.assert_close(made[4], 2 * made[3] - made[2], atol=1e-5, rtol=0)
        torch.testing.assert_close(made[6], made[5] + (made[5] - made[3]) / 2, atol=1e-5, rtol=0)
    assert not torch.allclose(outputs[4]["cond"], outputs[4]["uncond"], atol=1e-3)


def test_order_zero_repeats(run):
    with step_cache(run.model, TaylorSeer(order=0), STEPS):
        outputs, _ = run()
    assert torch.equal(outputs[4]["cond"], outputs[3]["cond"])


@pytest.mark.parametrize(("dtype", "same"), [(torch.bfloat16, True), (torch.float32, False)])
def test_keeping_outputs_in_float32_loses_nothing(run, monkeypatch, dtype, same):
    """In bfloat16, a bfloat16 model gives the same and a float32 model does not."""
    run.model.to(dtype)
    with step_cache(run.model, TaylorSeer(), STEPS):
        kept_in_float32, _ = run()
    half = TaylorSeerCacheConfig(
        cache_interval=2, disable_cache_before_step=4, taylor_factors_dtype=torch.bfloat16, use_lite_mode=True
    )
    monkeypatch.setattr(caches, "_configuration", lambda *_: half)
    with step_cache(run.model, TaylorSeer(), STEPS):
        kept_in_bfloat16, _ = run()
    assert (difference(kept_in_float32, kept_in_bfloat16) == 0) == same


def test_first_block_cache_is_exact_at_threshold_zero(run):
    plain, _ = run()
    with step_cache(run.model, FirstBlock(threshold=0), STEPS):
        cached, counts = run()
    assert counts == [[2] * LAYERS] * STEPS
    assert difference(plain, cached) == 0


def test_first_block_cache_skips_the_others_when_little_changes(make_transformer):
    run = Run(make_transformer(num_layers=LAYERS), change=0.002)
    plain, _ = run()
    with step_cache(run.model, FirstBlock(threshold=0.1), STEPS):
        cached, counts = run()
    layers = [sum(layer) for layer in zip(*counts, strict=True)]
    assert layers[0] == 2 * STEPS
    assert layers[1] == layers[2] < 2 * STEPS
    size = max(output["cond"].abs().max() for output in plain)
    assert difference(plain, cached) < 0.1 * size


def test_our_hook_decides_as_diffusers_own(run, monkeypatch):
    patterns = []
    for _ in range(2):
        with step_cache(run.model, FirstBlock(threshold=0.08), STEPS):
            patterns.append(run()[1])
        monkeypatch.setattr(caches, "_decide_together", lambda transformer: None)
    assert patterns[0] == patterns[1]
    assert [0, 0] in [count[1:] for count in patterns[0]]
    assert [2, 2] in [count[1:] for count in patterns[0][1:]]


def test_mag_cache_knows_the_block(run):
    run.model.enable_cache(MagCacheConfig(mag_ratios=[1.0] * STEPS, num_inference_steps=STEPS, max_skip_steps=1))
    cached, counts = run()
    run.model.disable_cache()
    assert [0] * LAYERS in counts
    assert [2] * LAYERS in counts
    plain, _ = run()
    assert 0 < difference(plain, cached) < 1


@pytest.mark.parametrize("cache", [TaylorSeer(), FirstBlock(threshold=10)], ids=str)
def test_runs_after_a_reset_are_the_same(run, cache):
    with step_cache(run.model, cache, STEPS):
        first, counts = run()
        caches.reset_step_cache(run.model)
        second, again = run()
        third, _ = run()
    assert counts == again
    assert difference(first, second) == 0
    assert difference(first, third) > 0


def test_an_interrupted_run_leaves_no_cache_behind(run):
    def interrupted():
        with step_cache(run.model, TaylorSeer(), STEPS):
            run(5)
            raise KeyboardInterrupt

    plain, _ = run()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not run.model.is_cache_enabled
    assert difference(plain, run()[0]) == 0


@pytest.mark.parametrize("wrong", [{"warmup": 0}, {"interval": 0}, {"order": -1}, {"final": -1}], ids=str)
def test_settings_that_cannot_run_are_refused(wrong):
    with pytest.raises(ValueError, match="cannot be run"):
        TaylorSeer(**wrong)
