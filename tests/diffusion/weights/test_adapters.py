"""Adapters in every published form change the transformer alike: merged, kept apart, alone or together."""

import json
from dataclasses import replace

import pytest
import torch
from diffusers.quantizers.gguf.utils import dequantize_gguf_tensor
from safetensors.torch import load_file, save_file

from real2sam2real.diffusion.weights import keys
from real2sam2real.diffusion.weights.adapter_file import (
    COMFYUI_FILE,
    LORA_FILE,
    POSE_FILE,
    Adapter,
    LowRank,
    read_adapter,
)
from real2sam2real.diffusion.weights.adapters import apply_adapters
from real2sam2real.diffusion.weights.base import find_base
from real2sam2real.diffusion.weights.export import save_adapter
from real2sam2real.diffusion.weights.load import load_transformer
from real2sam2real.errors import MissingPartError, UserError

RANK, ALPHA = 64, 32  # of the official adapter: scale 1/2
TARGETS = {"self_attn.q": (128, 128), "self_attn.k": (128, 128), "self_attn.v": (128, 128), "cross_attn.q": (128, 128),
           "cross_attn.k": (128, 128), "cross_attn.v": (128, 128), "ffn.0": (64, 128), "ffn.2": (128, 64)}  # fmt: skip


@pytest.fixture(scope="module")
def state(layouts):
    return {
        key: value.clone()
        for key, value in load_transformer(find_base(layouts.diffusers), torch.float32).state_dict().items()
    }


@pytest.fixture
def transformer(layouts, state):
    """A fresh transformer, its weights copied from the file so that they are aligned alike."""
    model = load_transformer(find_base(layouts.diffusers), torch.float32)
    model.load_state_dict({key: value.clone() for key, value in state.items()}, assign=True)
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def official():
    """The tensors of an official LoRA: bare original names, rank 64, no alpha."""
    generator = torch.Generator().manual_seed(11)
    tensors = {}
    for block in range(2):
        for name, (out, into) in TARGETS.items():
            tensors[f"blocks.{block}.{name}.lora_A.weight"] = 0.05 * torch.randn(RANK, into, generator=generator)
            tensors[f"blocks.{block}.{name}.lora_B.weight"] = 0.05 * torch.randn(out, RANK, generator=generator)
    return tensors


@pytest.fixture(scope="module")
def embedding():
    generator = torch.Generator().manual_seed(12)
    return {
        "weight": torch.randn(128, 4, 1, 2, 2, generator=generator),
        "bias": torch.randn(128, generator=generator),
    }


@pytest.fixture
def official_folder(tmp_path, official, embedding):
    folder = tmp_path / "official"
    folder.mkdir()
    save_file(official, folder / LORA_FILE)
    save_file(embedding, folder / POSE_FILE)
    return folder


@pytest.fixture
def merged_by_hand(state, official, embedding):
    """The state that the official adapter must lead to."""
    expected = dict(state)
    for key, down in official.items():
        if ".lora_A." in key:
            weight = keys.to_ours(key.replace("lora_A.", ""))
            expected[weight] = state[weight] + ALPHA / RANK * (official[key.replace("_A", "_B")] @ down)
    return expected | {f"pose_patch_embedding.{key}": value for key, value in embedding.items()}


def run(model, inputs):
    with torch.no_grad():
        return model(**inputs)


def assert_state(model, expected, **tolerance):
    found = model.state_dict()
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, msg=lambda text, key=key: f"{key}: {text}", **tolerance)


def test_the_official_folder_changes_every_weight_by_half_its_product(
    transformer, official_folder, merged_by_hand, state
):
    adapter = read_adapter(official_folder)
    assert len(adapter.low_rank) == 2 * len(TARGETS)
    assert {pair.scale for pair in adapter.low_rank.values()} == {0.5}
    assert adapter.alpha_from == "the official training (alpha 32)"
    apply_adapters(transformer, [(adapter, 1.0)], merge=True)
    assert_state(transformer, merged_by_hand, rtol=0, atol=1e-7)
    changed = [key for key, value in transformer.state_dict().items() if not torch.equal(value, state[key])]
    assert len(changed) == 2 * len(TARGETS) + 2


def renamed(official, name, *, up="lora_B", down="lora_A", up_times=1.0, alpha=None):
    """The official LoRA's tensors, each module called as `name` says."""
    tensors = {}
    for key, value in official.items():
        module = name(key.partition(".lora_")[0])
        is_up = ".lora_B." in key
        tensors[f"{module}.{up if is_up else down}.weight"] = value * (up_times if is_up else 1.0)
        if alpha is not None:
            tensors[f"{module}.alpha"] = torch.tensor(float(alpha))
    return tensors


def kohya(underscores):
    return lambda module: f"lora_unet{'_' * underscores}{module.replace('.', '_')}"


def prefixed(prefix):
    return lambda module: prefix + module


def of_diffusers(module):
    return f"transformer.{keys.module_to_ours(module)}"


COMFYUI = {"up": "lora_up", "down": "lora_down", "alpha": ALPHA}
# By what the form is: how the official tensors are renamed, the file's name, and the settings beside or inside it.
FORMS = {
    "official file": ({}, LORA_FILE, None),
    "official file, renamed": ({}, "lora.safetensors", None),
    "official in ComfyUI's keys": (
        {"name": kohya(2), "up": "lora_up", "down": "lora_down"},
        "lora_comfyui.safetensors",
        None,
    ),
    "DiffSynth": ({"up": "lora_B.default", "down": "lora_A.default", "up_times": 0.5}, "lora.safetensors", None),
    "comfyui": ({"name": kohya(2), **COMFYUI}, "lora.safetensors", None),
    "kohya": ({"name": kohya(1), **COMFYUI}, "lora.safetensors", None),
    "kohya of diffusers": ({"name": lambda m: kohya(1)(keys.module_to_ours(m)), **COMFYUI}, "lora.safetensors", None),
    "prefix": ({"name": prefixed("diffusion_model."), "up_times": 0.5}, "lora.safetensors", None),
    "two prefixes": ({"name": prefixed("model.diffusion_model."), **COMFYUI}, "lora.safetensors", None),
    "no alpha": (
        {"name": prefixed("diffusion_model."), "up": "lora_up", "down": "lora_down", "up_times": 0.5},
        "lora.safetensors",
        None,
    ),
    "peft": ({"name": prefixed("base_model.model.")}, "adapter_model.safetensors", {"lora_alpha": ALPHA, "r": RANK}),
    "diffusers": ({"name": of_diffusers}, "pytorch_lora_weights.safetensors", "metadata"),
    "diffusers, no settings": ({"name": of_diffusers, "up_times": 0.5}, "lora.safetensors", None),
    "diffusers, bare": ({"name": keys.module_to_ours, "up_times": 0.5}, "lora.safetensors", None),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_equal_outputs(transformer, tmp_path, official, official_folder, inputs, form):
    change, file, settings = FORMS[form]
    tensors = renamed(
        official, change.get("name", lambda module: module), **{k: v for k, v in change.items() if k != "name"}
    )
    notes = {"lora_adapter_metadata": json.dumps({"transformer.lora_alpha": ALPHA, "transformer.r": RANK})}
    save_file(tensors, tmp_path / file, notes if settings == "metadata" else None)
    if isinstance(settings, dict):
        (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    adapter = read_adapter(tmp_path / file)
    expected = read_adapter(official_folder / LORA_FILE)
    assert adapter.low_rank.keys() == expected.low_rank.keys()
    apply_adapters(transformer, [(adapter, 1.0)], merge=True)
    output = run(transformer, inputs)
    apply_adapters(transformer, [(expected, -1.0)], merge=True)
    apply_adapters(transformer, [(expected, 1.0)], merge=True)
    torch.testing.assert_close(output, run(transformer, inputs), rtol=0, atol=1e-6)
    for module, pair in expected.low_rank.items():
        found = adapter.low_rank[module]
        assert torch.equal(found.scale * found.up, pair.scale * pair.up)
        assert torch.equal(found.down, pair.down)


def test_an_alpha_of_the_callers_wins_over_all_but_the_files_own(tmp_path, official):
    save_file(official, tmp_path / LORA_FILE)
    adapter = read_adapter(tmp_path / LORA_FILE, alpha=16)
    assert {pair.scale for pair in adapter.low_rank.values()} == {0.25}
    assert adapter.alpha_from == "the caller"
    save_file(renamed(official, kohya(2), up="lora_up", down="lora_down", alpha=8), tmp_path / "own.safetensors")
    adapter = read_adapter(tmp_path / "own.safetensors", alpha=16)
    assert {pair.scale for pair in adapter.low_rank.values()} == {0.125}
    assert adapter.alpha_from == "the file"


def test_an_adapter_that_is_not_the_official_one_has_the_scale_1(tmp_path, official):
    """By its layers or its rank: named as the official files, without an alpha, as other trainers save theirs."""
    more = {key.replace("_attn.q", "_attn.o"): value for key, value in official.items() if "_attn.q" in key}
    fewer = {key: value[:16] if ".lora_A." in key else value[:, :16] for key, value in official.items()}
    for name, tensors in {"more": {**official, **more}, "fewer": fewer}.items():
        save_file({key: value.clone() for key, value in tensors.items()}, tmp_path / f"{name}.safetensors")
        adapter = read_adapter(tmp_path / f"{name}.safetensors")
        assert {pair.scale for pair in adapter.low_rank.values()} == {1.0}
        assert adapter.alpha_from == "its rank (scale 1)"


@pytest.fixture
def distillation():
    """A LoRA with whole differences beside its pairs, on every kind of parameter, as lightx2v's are."""
    generator = torch.Generator().manual_seed(13)

    def rand(*shape):
        return 0.03 * torch.randn(*shape, generator=generator)

    pairs = {
        "blocks.0.cross_attn.k_img": (128, 128),
        "blocks.1.cross_attn.v_img": (128, 128),
        "blocks.0.self_attn.o": (128, 128),
        "img_emb.proj.1": (32, 32),
        "img_emb.proj.3": (128, 32),
        "text_embedding.0": (128, 32),
        "time_embedding.0": (128, 32),
        "time_projection.1": (768, 128),
        "head.head": (16, 128),
    }
    tensors = {}
    for name, (out, into) in pairs.items():
        tensors[f"diffusion_model.{name}.lora_down.weight"] = rand(4, into)
        tensors[f"diffusion_model.{name}.lora_up.weight"] = rand(out, 4)
    tensors["diffusion_model.patch_embedding.lora_down.weight"] = rand(4, 12, 1, 2, 2)
    tensors["diffusion_model.patch_embedding.lora_up.weight"] = rand(128, 4, 1, 1, 1)
    differences = {
        "blocks.0.cross_attn.k_img.diff_b": (128,),
        "blocks.0.cross_attn.norm_k_img.diff": (128,),
        "blocks.1.self_attn.norm_q.diff": (128,),
        "blocks.1.norm3.diff": (128,),
        "blocks.1.norm3.diff_b": (128,),
        "blocks.0.diff_m": (1, 6, 128),
        "blocks.1.modulation.diff": (1, 6, 128),
        "head.diff_m": (1, 2, 128),
        "head.head.diff": (16, 128),
        "head.head.diff_b": (16,),
        "img_emb.proj.0.diff": (32,),
        "img_emb.proj.4.diff_b": (128,),
        "patch_embedding.diff_b": (128,),
        "text_embedding.2.diff": (128, 128),
        "time_embedding.2.diff_b": (128,),
    }
    return tensors | {f"diffusion_model.{name}": rand(*shape) for name, shape in differences.items()}


@pytest.fixture
def distillation_file(tmp_path, distillation):
    save_file(distillation, tmp_path / "lightx2v.safetensors")
    return tmp_path / "lightx2v.safetensors"


def test_differences_and_pairs_of_a_distillation_lora_all_land(transformer, distillation_file, distillation, state):
    adapter = read_adapter(distillation_file)
    assert adapter.alpha_from == "its rank (scale 1)"
    apply_adapters(transformer, [(adapter, 0.5)], merge=True)
    expected = dict(state)
    for key, value in distillation.items():
        owner, _, leaf = key.removeprefix("diffusion_model.").rpartition(".")
        if owner.endswith("lora_up"):
            name = keys.to_ours(owner.replace("lora_up", "weight"))
            down = distillation[key.replace("lora_up", "lora_down")]
            expected[name] = expected[name] + 0.5 * (value.flatten(1) @ down.flatten(1)).reshape(expected[name].shape)
        elif leaf.startswith("diff"):
            leaf = {"diff": "weight", "diff_b": "bias", "diff_m": "modulation"}[leaf]
            key = owner if owner.endswith("modulation") else f"{owner}.{leaf}"
            expected[keys.to_ours(key)] = expected[keys.to_ours(key)] + 0.5 * value
    assert_state(transformer, expected, rtol=0, atol=1e-7)
    assert len([key for key in state if not torch.equal(state[key], expected[key])]) == 10 + 15 - 1


@pytest.mark.parametrize("alpha", [None, 2.0])
def test_biases_of_diffusers_own_conversion_land_at_the_pairs_scale(transformer, tmp_path, state, alpha):
    """`lora_B.bias`, as diffusers writes lightx2v's `.diff_b`; peft multiplies it by alpha / rank too."""
    generator = torch.Generator().manual_seed(14)
    module = "blocks.0.attn1.to_q"
    down, up, bias = (0.1 * torch.randn(*shape, generator=generator) for shape in ((4, 128), (128, 4), (128,)))
    tensors = {"lora_A.weight": down, "lora_B.weight": up, "lora_B.bias": bias}
    notes = {"lora_adapter_metadata": json.dumps({"transformer.lora_alpha": alpha})} if alpha else None
    path = tmp_path / "pytorch_lora_weights.safetensors"
    save_file({f"transformer.{module}.{key}": value for key, value in tensors.items()}, path, notes)
    adapter = read_adapter(path)
    scale = 1.0 if alpha is None else alpha / 4
    assert adapter.low_rank[module].scale == scale
    assert torch.equal(adapter.differences[f"{module}.bias"], scale * bias)
    apply_adapters(transformer, [(adapter, 0.5)], merge=True)
    changed = {f"{module}.weight": 0.5 * scale * (up @ down), f"{module}.bias": 0.5 * scale * bias}
    assert_state(transformer, state | {key: state[key] + value for key, value in changed.items()}, rtol=0, atol=1e-7)


def test_a_bias_without_its_pair_is_refused(tmp_path, official):
    save_file({**official, "blocks.1.self_attn.o.lora_B.bias": torch.ones(128)}, tmp_path / "bad.safetensors")
    with pytest.raises(UserError, match="has a LoRA's up bias part but not its down"):
        read_adapter(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("merge", [True, False])
def test_zeroed_adapters_change_nothing_to_the_bit(transformer, official, distillation, tmp_path, inputs, merge):
    before = run(transformer, inputs)
    adapters = []
    for name, tensors in (("ours", official), ("light", distillation)):
        # As a LoRA starts: its down part random, its up part zero.
        zeroed = {key: value if "lora_A" in key or "lora_down" in key else 0 * value for key, value in tensors.items()}
        save_file(zeroed, tmp_path / f"{name}.safetensors")
        adapters.append((read_adapter(tmp_path / f"{name}.safetensors"), 1.0))
    apply_adapters(transformer, adapters, merge=merge)
    assert torch.equal(run(transformer, inputs), before)


def test_merged_block_by_block_while_loading_is_as_merged_at_once(
    layouts, official_folder, distillation_file, transformer
):
    adapters = [(read_adapter(official_folder), 0.7), (read_adapter(distillation_file), 1.0)]
    finished = []
    loaded = load_transformer(
        find_base(layouts.diffusers), torch.float32, adapters=adapters, store=lambda block: finished.append(block)
    )
    assert finished == list(loaded.blocks)
    apply_adapters(transformer, adapters, merge=True)
    for name, value in transformer.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


@pytest.mark.parametrize("merge", [True, False])
def test_a_zeroed_patch_embedding_is_no_normals_at_all(
    transformer, official_folder, official, embedding, inputs, merge
):
    save_file({key: 0 * value for key, value in embedding.items()}, official_folder / POSE_FILE)
    save_file({key: 0 * value for key, value in official.items()}, official_folder / LORA_FILE)
    before = run(transformer, {**inputs, "pose_hidden_states": None})
    apply_adapters(transformer, [(read_adapter(official_folder), 1.0)], merge=merge)
    assert torch.equal(run(transformer, inputs), before)


@pytest.mark.parametrize("weight", [1.0, 0.6, -1.5])
def test_merged_and_apart_agree(layouts, state, official_folder, distillation_file, inputs, weight):
    outputs = []
    for merge in (True, False):
        model = load_transformer(find_base(layouts.diffusers), torch.float32)
        model.load_state_dict({key: value.clone() for key, value in state.items()}, assign=True)
        adapters = [(read_adapter(official_folder), 1.0), (read_adapter(distillation_file), weight)]
        apply_adapters(model, adapters, merge=merge)
        outputs.append(run(model, inputs))
    base = run(load_transformer(find_base(layouts.diffusers), torch.float32), inputs)
    assert (outputs[0] - outputs[1]).abs().max() <= 1e-5
    assert (outputs[0] - base).abs().max() > 0.05


def test_pefts_scale_is_alpha_over_rank_times_weight(transformer, official):
    def pair(rank, alpha):
        return LowRank(down=torch.randn(rank, 128), up=torch.randn(128, rank), alpha=alpha)

    pairs = {
        "blocks.0.attn1.to_q": pair(64, 32.0),
        "blocks.1.attn1.to_q": pair(4, 32.0),
        "blocks.0.attn1.to_k": pair(8, 1.5),
        "blocks.1.attn2.to_v": pair(64, 64.0),
    }
    apply_adapters(transformer, [(Adapter(name="odd.one", files=(), low_rank=pairs), 0.75)], merge=False)
    layers = {name: module for name, module in transformer.named_modules() if hasattr(module, "lora_A")}
    assert layers.keys() == pairs.keys()
    for name, layer in layers.items():
        assert layer.scaling == {"odd_one": pairs[name].alpha / pairs[name].rank * 0.75}
        assert layer.lora_A["odd_one"].weight.shape == pairs[name].down.shape
        assert torch.equal(layer.lora_B["odd_one"].weight, pairs[name].up)
        assert not any(parameter.requires_grad for parameter in layer.parameters())
    assert transformer.active_adapters() == ["odd_one"]


def test_weights_of_adapters_kept_apart_can_change_and_go(
    transformer, official_folder, distillation_file, inputs, state
):
    before = run(transformer, inputs)
    adapters = [(read_adapter(official_folder), 1.0), (read_adapter(distillation_file), 1.0)]
    applied = apply_adapters(transformer, adapters, merge=False)
    assert applied.weights == {"official": 1.0, "lightx2v": 1.0}
    both = run(transformer, inputs)
    applied.set_weights({"lightx2v": 0.25})
    quarter = run(transformer, inputs)
    applied.set_weights({"lightx2v": 1.0})
    assert torch.equal(run(transformer, inputs), both)
    assert not torch.equal(quarter, both)
    with pytest.raises(UserError, match="no adapter is called fast; applied are lightx2v, official"):
        applied.set_weights({"fast": 1.0})
    applied.remove()
    assert_state(transformer, state, rtol=0, atol=0)
    assert torch.equal(run(transformer, inputs), before)
    assert not hasattr(transformer, "peft_config")
    again = apply_adapters(transformer, adapters, merge=False)
    assert torch.equal(run(transformer, inputs), both)
    again.set_weights({"lightx2v": 0.25})
    assert torch.equal(run(transformer, inputs), quarter)


def test_adapters_kept_apart_follow_a_transformer_that_is_converted(transformer, official_folder, distillation_file):
    applied = apply_adapters(
        transformer, [(read_adapter(official_folder), 1.0), (read_adapter(distillation_file), 1.0)], merge=False
    )
    transformer.to(torch.float64)
    applied.set_weights({"lightx2v": 0.5})
    assert {parameter.dtype for parameter in transformer.parameters()} == {torch.float64}
    applied.remove()
    assert {parameter.dtype for parameter in transformer.parameters()} == {torch.float64}


def test_adapters_applied_one_after_the_other_are_both_in_use(
    transformer, official_folder, distillation_file, inputs, state
):
    first = apply_adapters(transformer, [(read_adapter(official_folder), 1.0)], merge=False)
    alone = run(transformer, inputs)
    second = apply_adapters(transformer, [(read_adapter(distillation_file), 1.0)], merge=False)
    same = apply_adapters(transformer, [(replace(read_adapter(official_folder), replacements={}), 1.0)], merge=False)
    assert same.weights == {"official_2": 1.0}
    assert not torch.equal(run(transformer, inputs), alone)
    same.remove()
    second.remove()
    assert torch.equal(run(transformer, inputs), alone)
    first.remove()
    assert_state(transformer, state, rtol=0, atol=0)


def test_merged_adapters_stay(transformer, official_folder):
    applied = apply_adapters(transformer, [(read_adapter(official_folder), 1.0)], merge=True)
    with pytest.raises(UserError, match="merged adapters cannot be removed"):
        applied.remove()
    with pytest.raises(UserError, match="merged adapters cannot be given another weight"):
        applied.set_weights({"official": 0.5})


def test_merging_rounds_to_the_weights_dtype_once(transformer, official_folder, merged_by_hand):
    model = transformer.to(torch.bfloat16)
    small = replace(read_adapter(official_folder), replacements={})
    start = {key: value.clone() for key, value in model.state_dict().items()}
    # Each alone is lost in bfloat16; a hundred together are not, if they are summed before rounding.
    apply_adapters(model, [(small, 1e-3)] * 100, merge=True)
    name = "blocks.0.attn1.to_q.weight"
    pair = small.low_rank["blocks.0.attn1.to_q"]
    expected = (start[name].float() + 0.1 * 0.5 * (pair.up @ pair.down)).bfloat16()
    assert model.state_dict()[name].dtype == torch.bfloat16
    assert (model.state_dict()[name] != expected).float().mean() < 0.01
    assert not torch.equal(expected, start[name])


@torch.no_grad()
def test_packed_weights_take_adapters_apart_and_refuse_them_merged(layouts, official_folder, distillation_file, inputs):
    def packed():
        return load_transformer(find_base(layouts.gguf["Q8_0"], components=layouts.original), torch.float32)

    model = packed()
    adapters = [(read_adapter(official_folder), 1.0), (read_adapter(distillation_file), 0.5)]
    base = model(**inputs)
    with pytest.raises(UserError, match=r"quantised weights \(blocks\.0.*keep them apart"):
        apply_adapters(model, adapters, merge=True)
    assert torch.equal(model(**inputs), base)
    applied = apply_adapters(model, adapters, merge=False)
    # The same weights unpacked, so that the adapters can be merged into them.
    plain = load_transformer(find_base(layouts.diffusers), torch.float32)
    plain.load_state_dict(unpacked(packed()), assign=True)
    apply_adapters(plain, adapters, merge=True)
    difference = (model(**inputs) - plain(**inputs)).abs().max()
    assert difference <= 1e-4
    assert (plain(**inputs) - base).abs().max() > 0.05
    applied.remove()
    assert torch.equal(model(**inputs), base)


def unpacked(model):
    return {key: dequantize_gguf_tensor(value).float().clone() for key, value in model.named_parameters()}


def test_only_one_adapter_may_bring_a_patch_embedding(transformer, official_folder):
    adapter = read_adapter(official_folder)
    with pytest.raises(UserError, match=r"only one adapter may replace the patch embedding.*official, official"):
        apply_adapters(transformer, [(adapter, 1.0), (adapter, 1.0)], merge=False)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("diffusion_model.face_adapter.fuser_blocks.0.linear2.lora_A.weight", (4, 8), "face and motion branch"),
        ("lora_unet__motion_encoder_enc_fc_0.lora_down.weight", (4, 8), "face and motion branch"),
        ("transformer.face_adapter.0.to_q.lora_A.weight", (4, 8), "face and motion branch"),
        ("blocks.0.self_attn.gate.lora_A.weight", (4, 8), "not understood"),
        ("lora_unet__blocks_0_self_attn_gate.lora_down.weight", (4, 8), "not understood"),
        ("lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", (4, 8), "not understood"),
        ("blocks.0.self_attn.q.lora_magnitude_vector", (8,), "not understood"),
        ("blocks.0.self_attn.q.hada_w1_a", (8, 8), "not understood"),
        ("blocks.0.self_attn.q.weight", (8, 8), "not understood"),
        ("blocks.1.self_attn.o.lora_A.weight", (4, 8), "has a LoRA's down part but not its up"),
        ("blocks.1.self_attn.o.lora_B.weight", (4, 8), "up part but not its down"),
        ("blocks.1.self_attn.o.alpha", (), "alpha part but not its down"),
    ],
)  # fmt: skip
def test_keys_that_cannot_land_are_refused_by_name(tmp_path, official, key, shape, message):
    save_file({**official, key: torch.zeros(shape)}, tmp_path / "bad.safetensors")
    with pytest.raises(UserError, match=message) as caught:
        read_adapter(tmp_path / "bad.safetensors")
    assert "bad.safetensors" in str(caught.value)
    assert key in str(caught.value) or "blocks.1" in str(caught.value)


def test_the_face_branch_of_an_adapter_is_left_out_on_request(tmp_path, official):
    face = {"face_encoder.conv1.diff_b": torch.zeros(2), "face_adapter.fuser_blocks.0.linear2.diff": torch.zeros(2, 2)}
    save_file({**official, **face}, tmp_path / "mixed.safetensors")
    adapter = read_adapter(tmp_path / "mixed.safetensors", leave_out_face=True)
    assert sorted(adapter.face_keys) == sorted(face)
    assert len(adapter.low_rank) == 2 * len(TARGETS)
    save_file(face, tmp_path / "face.safetensors")
    with pytest.raises(UserError, match="holds nothing for this model"):
        read_adapter(tmp_path / "face.safetensors", leave_out_face=True)


@pytest.mark.parametrize("merge", [True, False])
def test_an_adapter_of_another_model_is_refused_before_anything_changes(transformer, tmp_path, official, state, merge):
    wrong = {
        **official,
        "blocks.0.ffn.0.lora_A.weight": torch.ones(64, 96),
        "blocks.7.self_attn.q.lora_A.weight": torch.ones(64, 128),
        "blocks.7.self_attn.q.lora_B.weight": torch.ones(128, 64),
        "patch_embedding.diff": torch.ones(128, 16, 1, 2, 2),
        "blocks.9.diff_m": torch.ones(1, 6, 128),
    }
    save_file(wrong, tmp_path / "other.safetensors")
    with pytest.raises(UserError) as caught:
        apply_adapters(transformer, [(read_adapter(tmp_path / "other.safetensors"), 1.0)], merge=merge)
    message = str(caught.value)
    assert "the adapter other does not fit" in message
    assert "blocks.0.ffn.net.0.proj is (64, 128), its LoRA is for (64, 96)" in message
    assert "there is no blocks.7.attn1.to_q" in message
    assert "patch_embedding.weight is (128, 12, 1, 2, 2), the adapter's is (128, 16, 1, 2, 2)" in message
    assert "there is no blocks.9.scale_shift_table" in message
    assert_state(transformer, state, rtol=0, atol=0)


def test_pairs_that_do_not_fit_together_are_refused(tmp_path, official):
    save_file({**official, "blocks.0.ffn.0.lora_B.weight": torch.ones(64, 32)}, tmp_path / "bad.safetensors")
    with pytest.raises(UserError, match=r"does not fit together: down \(64, 128\), up \(64, 32\)"):
        read_adapter(tmp_path / "bad.safetensors")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{", "cannot be used"),
        ('{"r": 64}', "lora_alpha"),
        ('{"lora_alpha": 32, "use_dora": true}', "use_dora"),
        ('{"lora_alpha": 32, "use_rslora": true}', "use_rslora"),
        ('{"lora_alpha": 32, "alpha_pattern": {"blocks.0.gate": 2}}', "blocks.0.gate"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(official_folder, settings, message):
    (official_folder / "adapter_config.json").write_text(settings)
    with pytest.raises(UserError, match=message):
        read_adapter(official_folder)


def test_two_adapters_in_one_file_are_refused(tmp_path, official):
    again = {key.replace("_A.", "_A.other."): value for key, value in official.items()}
    save_file({**official, **{key: value.clone() for key, value in again.items()}}, tmp_path / "two.safetensors")
    with pytest.raises(UserError, match=r"two\.safetensors holds one thing twice: .*lora_A"):
        read_adapter(tmp_path / "two.safetensors")


def test_folders_without_one_clear_adapter_are_refused(tmp_path, official):
    with pytest.raises(UserError, match="does not exist"):
        read_adapter(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is no adapter"):
        read_adapter(tmp_path)
    save_file(official, tmp_path / "a.safetensors")
    assert read_adapter(tmp_path).files == (tmp_path / "a.safetensors",)
    save_file(official, tmp_path / "b.safetensors")
    with pytest.raises(UserError, match=r"several adapters \(a\.safetensors, b\.safetensors\)"):
        read_adapter(tmp_path)


def test_keeping_apart_without_peft_says_how_to_get_it(transformer, official_folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(MissingPartError, match="pip install peft"):
        apply_adapters(transformer, [(read_adapter(official_folder), 1.0)], merge=False)


@pytest.mark.parametrize("form", ["official", "comfyui"])
@pytest.mark.parametrize("source", ["official", "light"])
def test_saved_and_read_is_the_same(tmp_path, official_folder, distillation_file, form, source):
    adapter = read_adapter(official_folder if source == "official" else distillation_file)
    some = next(iter(adapter.low_rank))
    odd = replace(adapter.low_rank[some], alpha=3.0)
    kept = adapter.differences
    if form == "comfyui":  # has no place for two kinds of them
        kept = {key: value for key, value in kept.items() if key != "proj_out.weight" and "table" not in key}
    adapter = replace(adapter, low_rank={**adapter.low_rank, some: odd}, differences=kept)
    save_adapter(tmp_path / "saved", adapter, form=form)
    again = read_adapter(tmp_path / "saved")
    for field in ("low_rank", "differences", "replacements"):
        assert getattr(again, field).keys() == getattr(adapter, field).keys()
    for module, pair in adapter.low_rank.items():
        assert torch.equal(again.low_rank[module].up, pair.up)
        assert torch.equal(again.low_rank[module].down, pair.down)
        assert again.low_rank[module].alpha == pair.alpha
    for key, value in {**adapter.differences, **adapter.replacements}.items():
        assert torch.equal({**again.differences, **again.replacements}[key], value)


def test_the_official_form_is_the_official_names(tmp_path, official_folder, official, embedding):
    save_adapter(tmp_path / "saved", read_adapter(official_folder))
    written = load_file(tmp_path / "saved" / LORA_FILE)
    assert written.keys() == official.keys()
    assert load_file(tmp_path / "saved" / POSE_FILE).keys() == embedding.keys()
    settings = json.loads((tmp_path / "saved" / "adapter_config.json").read_text())
    assert (settings["r"], settings["lora_alpha"]) == (RANK, ALPHA)
    assert settings["target_modules"] == ["ffn.0", "ffn.2", "k", "q", "v"]
    save_adapter(tmp_path / "saved", read_adapter(official_folder), form="comfyui")
    comfyui = load_file(tmp_path / "saved" / COMFYUI_FILE)
    assert comfyui["lora_unet__blocks_0_self_attn_q.alpha"] == ALPHA
    assert {*read_adapter(tmp_path / "saved").files} == {tmp_path / "saved" / POSE_FILE, tmp_path / "saved" / LORA_FILE}


def test_what_is_saved_says_its_alphas_and_is_not_empty(tmp_path, official_folder):
    save_adapter(tmp_path / "saved", read_adapter(official_folder))
    saved = read_adapter(tmp_path / "saved")
    assert saved.alpha_from == "its settings"
    assert all(pair.alpha == ALPHA for pair in saved.low_rank.values())
    with pytest.raises(UserError, match="empty"):
        save_adapter(tmp_path / "empty", Adapter(name="nothing", files=()))
