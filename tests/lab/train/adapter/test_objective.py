"""A step against one written out plainly; what is withheld; what does not count."""

import copy

import pytest
import torch

from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.lab.train.adapter.objective import (
    LEVEL_FLOOR,
    Batch,
    NullConditions,
    draw_step_noise,
    fine_tuning_loss,
)
from real2sam2real.lab.train.adapter.trainable import attach

B, Z, F, H, W = 3, 4, 3, 4, 6


def transformer(prediction="velocity"):
    torch.manual_seed(0)
    model = Real2Sam2RealTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        latent_channels=Z,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        image_dim=20,
        added_kv_proj_dim=24,
        rope_max_seq_len=32,
        prediction=prediction,
    )
    attach(model, rank=4, alpha=2.0, start="base", generator=torch.Generator().manual_seed(2))
    return model


def trained_state(model):
    return {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}


def rand(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch():
    return Batch(
        video=rand(1, B, Z, F, H, W),
        photo=rand(2, B, Z, 1, H, W),
        normals=rand(3, B, Z, F, H, W),
        text=rand(4, B, 512, 16),
        image=rand(5, B, 7, 20),
    )


def null_conditions():
    return NullConditions(video=rand(6, 1, Z, F, H, W), normals=rand(7, 1, Z, F, H, W), text=rand(8, 1, 512, 16))


def step_noise(**shares):
    dropped = {"drop_text": 0.5, "drop_image": 0.5, "drop_normals": 0.5, **shares}
    return draw_step_noise(batch(), shift=5.0, generator=torch.Generator().manual_seed(0), **dropped)


def plain_loss(model, clips, random, empty):
    """Clip by clip, with nothing but the transformer itself."""
    total = 0.0
    for k in range(B):
        sigma = float(random.level[k])
        clean = torch.cat([clips.photo[k], clips.video[k]], dim=1)
        noisy = (1 - sigma) * clean + sigma * random.noise[k]
        mask = torch.zeros(4, F + 1, H, W)
        mask[:, 0] = 1.0
        condition = torch.cat([clips.photo[k], empty.video[0]], dim=1)
        output = model(
            torch.cat([noisy, mask, condition], dim=0)[None],
            torch.tensor([1000 * sigma]),
            (clips.text[k] if random.keep_text[k] else empty.text[0])[None],
            (clips.normals[k] if random.keep_normals[k] else empty.normals[0])[None],
            (clips.image[k] if random.keep_image[k] else torch.zeros_like(clips.image[k]))[None],
        )[0]
        for frame in range(1, F + 1):
            target = (random.noise[k] - clean)[:, frame]
            guess = output[:, frame]
            if model.config.prediction == "sample":
                difference = (guess - clean[:, frame]) / max(sigma, LEVEL_FLOOR)
            else:
                difference = guess - target
            total = total + difference.square().sum()
    return total / (B * Z * F * H * W)


@pytest.mark.parametrize("prediction", ["velocity", "sample"])
def test_a_step_equals_one_written_out(prediction):
    ours, plain = transformer(prediction), transformer(prediction)
    random = step_noise()
    for flags in (random.keep_text, random.keep_image, random.keep_normals):
        assert 0 < int(flags.sum()) < B, "a seed at which each condition is kept once and withheld once"
    losses = (
        fine_tuning_loss(ours, batch(), random, null_conditions()),
        plain_loss(plain, batch(), random, null_conditions()),
    )
    for model, loss in zip((ours, plain), losses, strict=True):
        loss.backward()
        torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, eps=1e-3).step()
    assert abs(float(losses[0] - losses[1])) <= 1e-5
    start, after, expected = (trained_state(m) for m in (transformer(prediction), ours, plain))
    assert max(float((after[n] - expected[n]).abs().max()) for n in after) <= 1e-5
    assert max(float((after[n] - start[n]).abs().max()) for n in after) > 1e-4


@torch.no_grad()
def test_the_reference_frame_does_not_count():
    model, random = transformer(), step_noise()

    class Spoiled:
        config = model.config

        def __call__(self, *given, **named):
            output = model(*given, **named)
            output[:, :, 0] += 1e3
            return output

    assert fine_tuning_loss(Spoiled(), batch(), random, null_conditions()) == fine_tuning_loss(
        model, batch(), random, null_conditions()
    )


@torch.no_grad()
@pytest.mark.parametrize("condition", ["text", "image", "normals"])
def test_what_is_always_withheld_says_nothing_and_what_never_is_does(condition):
    model = transformer()
    other = copy.copy(batch())
    object.__setattr__(other, condition, getattr(other, condition) + 1.0)
    for share, same in ((1.0, True), (0.0, False)):
        random = step_noise(**{f"drop_{condition}": share})
        losses = [fine_tuning_loss(model, clips, random, null_conditions()) for clips in (batch(), other)]
        assert torch.equal(*losses) == same


def test_levels_are_shifted_towards_noise():
    many = Batch(
        video=torch.zeros(4000, 1, 1, 1, 1),
        photo=torch.zeros(4000, 1, 1, 1, 1),
        normals=torch.zeros(4000, 1, 1, 1, 1),
        text=torch.zeros(4000, 1, 1),
    )
    level = draw_step_noise(many, shift=5.0, generator=torch.Generator().manual_seed(0)).level
    assert level.min() >= 0
    assert level.max() <= 1
    # u uniform, σ = 5u / (1 + 4u): the median is σ(½) = 5/6.
    assert abs(float(level.median()) - 5 / 6) < 0.02


def test_the_same_seed_draws_the_same_step():
    first, second = step_noise(), step_noise()
    assert all(torch.equal(getattr(first, name), getattr(second, name)) for name in vars(first))
