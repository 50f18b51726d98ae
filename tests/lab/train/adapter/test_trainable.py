import copy

import pytest
import torch
from torch import nn

from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.diffusion.weights.adapter_file import read_adapter
from real2sam2real.diffusion.weights.adapters import apply_adapters
from real2sam2real.diffusion.weights.export import save_adapter
from real2sam2real.errors import UserError
from real2sam2real.lab.train.adapter.config import AdapterConfig
from real2sam2real.lab.train.adapter.exports import adapter_from
from real2sam2real.lab.train.adapter.trainable import (
    attach,
    count_parameters,
    lora_layers,
)

SIZE = {"rank": 4, "alpha": 2.0}


def base():
    torch.manual_seed(0)
    return Real2Sam2RealTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        latent_channels=4,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        image_dim=20,
        added_kv_proj_dim=24,
        rope_max_seq_len=32,
    )


def inputs():
    generator = torch.Generator().manual_seed(1)

    def rand(*shape):
        return torch.randn(*shape, generator=generator)

    return {
        "hidden_states": rand(1, 12, 4, 4, 6),
        "timestep": torch.tensor([700.0]),
        "encoder_hidden_states": rand(1, 512, 16),
        "pose_hidden_states": rand(1, 4, 3, 4, 6),
        "encoder_hidden_states_image": rand(1, 7, 20),
    }


def attached(**options):
    transformer = base()
    attach(transformer, **SIZE, generator=torch.Generator().manual_seed(2), **options)
    return transformer


def trained_state(transformer):
    return {name: p.detach() for name, p in transformer.named_parameters() if p.requires_grad}


def trained(transformer, steps=3):
    """A few real steps, so that every trainable parameter has left its start."""
    optimizer = torch.optim.AdamW([p for p in transformer.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(steps):
        transformer(**inputs()).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return transformer


@torch.no_grad()
def test_before_the_first_step_the_output_is_that_of_the_base_without_normals():
    output = attached()(**inputs())
    assert torch.equal(output, base()(**{**inputs(), "pose_hidden_states": None}))
    assert not torch.equal(output, base()(**inputs())), "the base's own embedding would have changed it"


@torch.no_grad()
def test_the_base_s_own_patch_embedding_may_stay():
    assert torch.equal(attached(start="base")(**inputs()), base()(**inputs()))


def test_steps_change_the_embedding_and_the_lora_and_nothing_else():
    before = attached()
    after = trained(copy.deepcopy(before))
    own = dict(before.named_parameters())
    changed = {name for name, parameter in after.named_parameters() if not torch.equal(parameter, own[name])}
    assert changed == {name for name, parameter in after.named_parameters() if parameter.requires_grad}
    layers = {name.split(".", 2)[2] for name, _ in lora_layers(after)}
    attention = {f"attn{k}.to_{kind}" for k in (1, 2) for kind in "qkv"}
    assert layers == attention | {"ffn.net.0.proj", "ffn.net.2"}
    embedding = {name for name in changed if "lora_" not in name}
    assert embedding == {"pose_patch_embedding.weight", "pose_patch_embedding.bias"}


def test_the_same_seed_draws_the_same_start():
    first, second = trained_state(attached()), trained_state(attached())
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = base()
    attach(other, **SIZE, generator=torch.Generator().manual_seed(3))
    assert any(not torch.equal(first[name], value) for name, value in trained_state(other).items())


def test_the_share_at_14b_is_that_of_the_paper():
    with torch.device("meta"):
        transformer = Real2Sam2RealTransformer3DModel()
    before = sum(parameter.numel() for parameter in transformer.parameters())
    counted = attach(transformer)
    width, ffn, layers, rank = 5120, 13824, 40, 64
    per_block = 6 * rank * 2 * width + 2 * rank * (width + ffn)
    assert counted.lora == layers * per_block == 254_279_680
    assert counted.embedding == 16 * 4 * width + width == 332_800
    assert counted.frozen == before - counted.embedding
    assert 1.5 < counted.percent < 1.8, str(counted)


@torch.no_grad()
@pytest.mark.parametrize("form", ["official", "comfyui"])
@pytest.mark.parametrize("merge", [False, True])
def test_what_is_exported_and_loaded_gives_the_same_output(tmp_path, form, merge):
    with torch.enable_grad():
        tuned = trained(attached())
    save_adapter(
        tmp_path / "tuned", adapter_from(trained_state(tuned), {}, AdapterConfig(dataset="none", **SIZE)), form=form
    )
    loaded = base()
    apply_adapters(loaded, [(read_adapter(tmp_path / "tuned"), 1.0)], merge=merge)
    expected, output = tuned(**inputs()), loaded(**inputs())
    assert (output - expected).abs().max() <= (1e-5 if merge else 0)
    assert (expected - base()(**inputs())).abs().max() > 1e-2


def test_the_count_is_told_in_words():
    counted = count_parameters(attached())
    assert counted.trainable == counted.embedding + counted.lora
    assert f"{counted.trainable:,} of " in str(counted)
    assert f"({counted.percent:.2f} %)" in str(counted)


def test_what_cannot_be_tuned_is_refused():
    with pytest.raises(UserError, match="Wan-Animate"):
        attach(nn.Linear(2, 2))
    with pytest.raises(UserError, match="already"):
        attach(attached())
    with pytest.raises(UserError, match="positive"):
        attach(base(), rank=0)
