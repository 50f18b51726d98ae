"""A plan changes where weights lie and how they are stored, never what comes out beyond the format's precision."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from real2sam2real.diffusion.memory.apply import apply_plan
from real2sam2real.diffusion.memory.costs import FORMATS
from real2sam2real.diffusion.memory.formats import quantize
from real2sam2real.diffusion.memory.plans import PLANS, Plan, find_plan
from real2sam2real.errors import MissingPartError, UserError

# Wide enough that a block's weights are more than the scales of a quantised format.
WIDE = {"num_attention_heads": 4, "attention_head_dim": 32, "ffn_dim": 256, "image_dim": 32, "added_kv_proj_dim": 128}


def inputs(device: str = "cpu") -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).bfloat16().to(device)

    return {
        "hidden_states": noise(1, 12, 3, 4, 6),
        "timestep": torch.tensor([500.0], device=device),
        "encoder_hidden_states": noise(1, 5, 16),
        "pose_hidden_states": noise(1, 4, 2, 4, 6),
        "encoder_hidden_states_image": noise(1, 257, 32),
    }


def relative_error(result: torch.Tensor, expected: torch.Tensor) -> float:
    return float((result.float() - expected.float()).norm() / expected.float().norm())


@pytest.fixture
def make_bfloat16(make_transformer):
    def make():
        transformer = make_transformer(**WIDE)
        for name, parameter in transformer.named_parameters():
            if not set(name.split(".")) & {*transformer._keep_in_fp32_modules}:
                parameter.data = parameter.data.bfloat16()
        return transformer.requires_grad_(False)

    return make


# What rounding weights to so many bits may change, and less than which it cannot have happened.
PRECISION = {"int8": (1e-5, 0.01), "fp8": (0.002, 0.04), "nf4": (0.01, 0.12), "fp8-dynamic": (0.005, 0.06)}


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_GPU])])
@pytest.mark.parametrize("plan", [plan for plan in PLANS if plan.device == "cuda"], ids=lambda plan: plan.name)
@torch.no_grad()
def test_every_plan_computes_what_plain_weights_do(make_bfloat16, make_pipeline, plan: Plan, device: str) -> None:
    if device == "cuda" and torch.cuda.get_device_capability() < plan.capability:
        pytest.skip(f"the GPU is too old for {plan.name}")
    pipeline = make_pipeline()
    pipeline.vae = copy.deepcopy(pipeline.vae)
    expected = make_bfloat16().to(device)(**inputs(device))
    pipeline.transformer = make_bfloat16()
    apply_plan(pipeline, plan, device)
    for _ in range(2):  # streamed blocks come and go each time
        error = relative_error(pipeline.transformer(**inputs(device)), expected)
        least, most = PRECISION.get(plan.name.removeprefix("stream-"), (0, 0.006))
        assert least <= error <= most
    constants = pipeline.transformer.precompute(
        *(
            inputs(device)[name]
            for name in ("encoder_hidden_states", "pose_hidden_states", "encoder_hidden_states_image")
        ),
        keys_values=pipeline.keep_keys_values,
    )
    given = inputs(device)
    kept = pipeline.transformer(given["hidden_states"], given["timestep"], constants=constants)
    assert relative_error(kept, expected) <= most
    places = {parameter.device.type for parameter in pipeline.transformer.blocks.parameters()}
    assert places == {"cpu" if plan.blocks_streamed else device}
    assert pipeline._execution_device.type == device


@torch.no_grad()
def test_streaming_changes_no_bit(make_bfloat16, make_pipeline) -> None:
    plain, streamed = make_pipeline(), make_pipeline()
    plain.transformer, streamed.transformer = make_bfloat16(), make_bfloat16()
    plan = find_plan("stream")
    apply_plan(streamed, plan, "cpu")
    plain.transformer.set_token_chunks(plan.token_chunks)
    assert torch.equal(streamed.transformer(**inputs()), plain.transformer(**inputs()))


# Bytes for each weight and for each output channel: a float32 scale, and for int8 a zero point.
@pytest.mark.parametrize(
    ("weights", "size", "channel"),
    [("int8", 1, 5), ("float8", 1, 4), ("float8-dynamic", 1, 4), ("nf4", FORMATS["nf4"].weight, 0)],
)
def test_quantised_weights_take_the_bytes_they_should(
    measured, make_bfloat16, weights: str, size: float, channel: int
) -> None:
    block = make_bfloat16().blocks[0]
    linears = [module for module in block.modules() if isinstance(module, nn.Linear)]
    values, outputs = sum(m.weight.numel() for m in linears), sum(m.out_features for m in linears)
    rest = measured.bytes_of(block.parameters()) - sum(m.weight.nbytes for m in linears)
    quantize(block, weights)
    if weights == "nf4":
        stored = [state for m in block.modules() if hasattr(m, "weight") for state in nf4_tensors(m.weight)]
        # One code book, and one for the scales, per layer are no more than that.
        assert measured.bytes_of(stored) == pytest.approx(
            values * size + len(linears) * 4 * (16 + 256 + 1), abs=64 * len(linears)
        )
    else:
        assert measured.bytes_of(block.parameters()) - rest == values * size + channel * outputs


def nf4_tensors(weight: torch.Tensor) -> list[torch.Tensor]:
    state = getattr(weight, "quant_state", None)
    if state is None:
        return []
    return [weight, state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code]


def test_a_lora_that_is_kept_apart_is_not_quantised(make_bfloat16) -> None:
    from peft import LoraConfig

    transformer = make_bfloat16()
    transformer.add_adapter(LoraConfig(r=4, target_modules=["to_q"]))
    block = transformer.blocks[0]
    quantize(block, "int8")
    assert type(block.attn1.to_q.base_layer.weight).__name__ == "Int8Tensor"
    assert type(block.attn1.to_q.lora_A["default"].weight) is nn.Parameter
    with torch.no_grad():
        assert relative_error(transformer(**inputs()), make_bfloat16()(**inputs())) <= PRECISION["int8"][1]


@pytest.mark.parametrize("weights", ["int8", "float8", "float8-dynamic", "nf4"])
def test_what_is_quantised_is_not_quantised_again(make_bfloat16, weights: str) -> None:
    block = make_bfloat16().blocks[0]
    quantize(block, weights)
    stored = list(block.parameters())
    quantize(block, weights)
    assert all(now is before for now, before in zip(block.parameters(), stored, strict=True))


def test_what_is_around_the_blocks_keeps_its_precision(make_bfloat16, make_pipeline) -> None:
    pipeline = make_pipeline()
    pipeline.transformer = make_bfloat16()
    apply_plan(pipeline, find_plan("int8"), "cpu")
    kinds = {
        name: type(module.weight).__name__
        for name, module in pipeline.transformer.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv3d))
    }
    assert {kind for name, kind in kinds.items() if name.startswith("blocks.")} == {"Int8Tensor"}
    assert {kind for name, kind in kinds.items() if not name.startswith("blocks.")} == {"Parameter"}


def test_a_whole_clip_under_a_plan(make_pipeline) -> None:
    photo = np.full((32, 32, 3), 90, np.uint8)

    def video(plan: Plan | None) -> np.ndarray:
        pipeline = make_pipeline()
        if plan is not None:
            apply_plan(pipeline, plan, "cpu")
            pipeline.vae.to(torch.float32)
        return pipeline(photo, frames=5, num_inference_steps=2, generator=torch.Generator().manual_seed(0)).astype(int)

    assert np.abs(video(None) - video(find_plan("stream-int8"))).mean() < 1.5


def test_a_missing_package_is_named(make_bfloat16, monkeypatch) -> None:
    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", fail)
    for weights, package in (("int8", "torchao"), ("nf4", "bitsandbytes")):
        with pytest.raises(MissingPartError, match=f"pip install {package}"):
            quantize(make_bfloat16().blocks[0], weights)


def test_an_unknown_plan_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no memory plan 'huge'.*resident, compact"):
        find_plan("huge")


def test_the_stand_in_for_packed_weights_has_the_layers_shapes(measured) -> None:
    packed = measured.PackedLinear(nn.Linear(6, 8, dtype=torch.bfloat16), 0.5)
    assert measured.bytes_of([packed.packed]) == 24
    assert packed(torch.zeros(2, 6, dtype=torch.bfloat16)).shape == (2, 8)
