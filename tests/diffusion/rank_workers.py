"""What the ranks of `test_parallel.py` do: functions that a new process can import."""

import os
import signal
import sys
import time
from pathlib import Path
from unittest.mock import patch

import torch
from torch import distributed

from real2sam2real.diffusion.ranks import (
    from_main_rank,
    is_main_rank,
    ranks_joined,
    run_on_ranks,
    start_parallel,
    stop_parallel,
    tell_starter,
)
from real2sam2real.errors import UserError
from real2sam2real.run.progress import Progress, Relay

TINY = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "latent_channels": 4,
    "text_dim": 16,
    "freq_dim": 16,
    "ffn_dim": 32,
    "num_layers": 3,
    "rope_max_seq_len": 32,
    "image_dim": 20,
    "added_kv_proj_dim": 24,
}
STEPS = 8


def transformer(heads=2):
    from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

    torch.manual_seed(0)
    config = {**TINY, "num_attention_heads": heads, "added_kv_proj_dim": 12 * heads}
    return Real2Sam2RealTransformer3DModel(**config).eval()


def inputs(frames):
    """(frames + 1) × 3 × 3 tokens, text and image."""
    generator = torch.Generator().manual_seed(1)

    def rand(*shape):
        return torch.randn(*shape, generator=generator)

    return {
        "hidden_states": rand(2, 12, frames + 1, 6, 6),
        "timestep": torch.tensor([700.0, 20.0]),
        "encoder_hidden_states": rand(2, 5, 16),
        "pose_hidden_states": rand(2, 4, frames, 6, 6),
        "encoder_hidden_states_image": rand(2, 7, 20),
    }


def worst(value):
    """The largest of the ranks' values, so that no rank's error is missed."""
    largest = torch.tensor(float(value))
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    return largest.item()


def attend_with_log_sum_exp(ctx, query, key, value, *args, **kwargs):
    """Attention of `(B, L, H, E)` that also gives its log-sum-exp, as the kernels do that ring attention needs."""
    scores = torch.einsum("blhe,bmhe->blhm", query, key) / query.shape[-1] ** 0.5
    return torch.einsum("blhm,bmhe->blhe", scores.softmax(-1), value), scores.logsumexp(-1)


def gather_any(tensor, dim, group):
    """As diffusers' `_all_gather_anything`, which leaves unequal parts to NCCL; gloo cannot gather them."""
    sizes = [None] * distributed.get_world_size(group)
    distributed.all_gather_object(sizes, tensor.shape[dim], group)
    padding = tensor.new_zeros(*tensor.shape[:dim], max(sizes) - tensor.shape[dim], *tensor.shape[dim + 1 :])
    parts = [torch.empty_like(torch.cat([tensor, padding], dim)) for _ in sizes]
    distributed.all_gather(parts, torch.cat([tensor, padding], dim), group)
    return torch.cat([part.narrow(dim, 0, size) for part, size in zip(parts, sizes, strict=True)], dim)


@torch.no_grad()
def compare_passes():
    """Largest difference from one process, kind of split, and tokens of rank 0, for each case."""
    from diffusers.hooks import context_parallel
    from diffusers.models import attention_dispatch

    from real2sam2real.diffusion import parallel

    results = {}

    def compare(name, *, heads=2, frames=3, kind="auto", tokens=None, chunks=1, known=False):
        model, given = transformer(heads), inputs(frames)
        model.set_token_chunks(chunks)
        if known:
            constants = model.precompute(*(given.pop(key) for key in list(given)[2:]))
            given["constants"] = constants
        alone = model(**given)
        split = parallel.enable_context_parallel(model, kind, tokens=tokens)
        seen = []
        model.blocks[1].attn1.register_forward_hook(lambda module, args, output: seen.append(output.shape[1]))
        together = model(**given)
        parallel.disable_context_parallel(model)
        afterwards = model(**given)
        difference = max((together - alone).abs().max(), (afterwards - alone).abs().max())
        results[name] = (worst(difference), f"{split.kind} {'even' if split.even else 'any'}", seen)

    context_parallel._all_gather_anything = gather_any
    compare("even", tokens=36)
    compare("any number of tokens", frames=2)
    compare("any number of heads", heads=3)
    compare("chunks", chunks=3)
    compare("constants", known=True, tokens=36)
    with (
        patch.object(attention_dispatch, "_native_attention_forward_op", attend_with_log_sum_exp),
        patch.object(parallel, "WITHOUT_LOG_SUM_EXP", set()),
    ):
        compare("ring", kind="ring", tokens=36)
        compare("ring, any number of tokens", kind="ring", frames=2)
    return results


@torch.no_grad()
def compare_caches():
    """For each cache and order of enabling: the largest difference from one process, and whether blocks 2 and 3 ran."""
    from real2sam2real.diffusion import caches, parallel

    given = inputs(3)
    latents, drift = given.pop("hidden_states"), 0.1 * torch.randn(2, 12, 4, 6, 6, generator=torch.manual_seed(2))
    drift[:, :, :2] *= 0.1  # little changes in rank 0's tokens, much in rank 1's
    ran = []

    def run(model):
        outputs, ran[:] = [], []
        for step in range(STEPS):
            ran.append(0)
            with model.cache_context("cond"):
                outputs.append(model(latents + step * drift, **given))
        return torch.stack(outputs), list(ran)

    def count(*_):
        ran[-1] += 1

    results = {}
    for name, cache in (("taylor", caches.TaylorSeer(warmup=2)), ("first block", caches.FirstBlock(threshold=0.03))):
        for first in ("cache", "ranks"):
            model = transformer()
            model.blocks[2].attn1.register_forward_hook(count)
            with caches.step_cache(model, cache, STEPS):
                alone, ran_alone = run(model)
            if first == "ranks":
                parallel.enable_context_parallel(model)
            with caches.step_cache(model, cache, STEPS):
                if first == "cache":
                    parallel.enable_context_parallel(model)
                together, ran_together = run(model)
            plain, _ = run(model)
            parallel.disable_context_parallel(model)
            difference = max((together - alone).abs().max(), (plain - run(model)[0]).abs().max())
            results[name, first] = (worst(difference), ran_alone, ran_together)
    return results


@torch.no_grad()
def own_decisions():
    """What each rank would decide by its own tokens, and what both decide."""
    from real2sam2real.diffusion import caches, parallel

    seen = []

    class Watched(caches.SharedFirstBlockHook):
        def _should_compute_remaining_blocks(self, hidden_states_residual):
            before = self.state_manager.get_state().head_block_residual
            decision = super()._should_compute_remaining_blocks(hidden_states_residual)
            if before is not None:
                own = (hidden_states_residual - before).abs().mean() / before.abs().mean()
                seen.append((bool(own > self.threshold), decision))
            return decision

    model, given = transformer(), inputs(3)
    parallel.enable_context_parallel(model)
    with (
        patch.object(caches, "SharedFirstBlockHook", Watched),
        caches.step_cache(model, caches.FirstBlock(threshold=0.12), 2),
    ):
        for step in range(2):
            given["hidden_states"][:, :, 2:] += step  # the second rank's tokens
            with model.cache_context("cond"):
                model(**given)
    gathered = [None] * distributed.get_world_size()
    distributed.all_gather_object(gathered, seen)
    return gathered


def compare_pipeline(folder):
    """Largest difference between one process and the ranks, of a whole video with and without a step cache."""
    import numpy as np

    from real2sam2real.diffusion import caches, parallel
    from real2sam2real.diffusion.loading import Real2Sam2RealPipeline

    pipeline = Real2Sam2RealPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    normals = random.integers(0, 256, (9, 32, 48, 3), dtype=np.uint8)

    def generate(cache=None):
        generator = torch.Generator().manual_seed(3)
        with caches.step_cache(pipeline.transformer, cache, 4):
            return pipeline(photo, normals, num_inference_steps=4, generator=generator, output_type="pt")

    wanted = [None, caches.TaylorSeer(warmup=2)]
    alone = [generate(cache) for cache in wanted]
    parallel.enable_context_parallel(pipeline.transformer)
    together = [generate(cache) for cache in wanted]
    assert not torch.equal(*alone)
    return [worst((a - b).abs().max()) for a, b in zip(alone, together, strict=True)]


def tell_progress():
    """What a rank tells of its work; the other rank is not heard."""
    progress = Progress(listener=Relay(tell_starter))
    progress.info(f"rank {distributed.get_rank()} works")
    progress.notes(["short of memory"])
    for _ in progress.track(range(2), "steps", 2):
        pass


def everything(folder):
    """All comparisons, since starting processes costs more than they do."""
    tell_progress()
    shared = from_main_rank(torch.full((2,), 5.0 + distributed.get_rank()).expand(3, 2))
    streams = [None] * distributed.get_world_size()
    distributed.all_gather_object(streams, (sys.stdout.name, sys.stderr.name))
    return {
        "streams": streams,
        "noise": worst((shared - 5).abs().max()),
        "passes": compare_passes(),
        "caches": compare_caches(),
        "decisions": own_decisions(),
        "pipeline": compare_pipeline(folder),
    }


def fail(how):
    """Rank 1 fails while rank 0 waits for it."""
    if distributed.get_rank() == 1:
        if how == "error":
            raise UserError("the photo is missing")
        os.kill(os.getpid(), 9)
    distributed.barrier()


def wait_for_ever(folder):
    """Tell the process id, wait, and tell what could be cleaned up."""
    path = Path(folder) / str(distributed.get_rank())
    path.with_suffix(".part").write_text(str(os.getpid()))
    path.with_suffix(".part").rename(path)
    try:
        time.sleep(600)
    finally:
        path.with_suffix(".clean").touch()


def main():
    """Run by the tests as a program: `wait FOLDER` starts ranks, `joined` is started by torchrun."""
    if sys.argv[1] == "wait":
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start what is in the background without
        run_on_ranks(2, wait_for_ever, (sys.argv[2],), device="cpu")
        return
    start_parallel(2, "cpu")
    total = torch.tensor([distributed.get_rank() + 1.0])
    distributed.all_reduce(total)
    if is_main_rank():
        print(f"sum {total.item():.0f} of {ranks_joined()}")
    stop_parallel()


if __name__ == "__main__":
    main()
