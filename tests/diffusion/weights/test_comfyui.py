"""The one file for ComfyUI: named and applied as its own loader does, and read back to the same."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from real2sam2real.control.folder import Control, save_control
from real2sam2real.diffusion.conditioning import condition_channels
from real2sam2real.diffusion.sampling import make_scheduler, set_steps
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.diffusion.weights import keys
from real2sam2real.diffusion.weights.adapter_file import Adapter, LowRank, read_adapter
from real2sam2real.diffusion.weights.adapters import apply_adapters
from real2sam2real.diffusion.weights.base import find_base
from real2sam2real.diffusion.weights.export import save_for_comfyui
from real2sam2real.diffusion.weights.load import load_transformer
from real2sam2real.errors import UserError
from real2sam2real.run.exporting import export_for_comfyui


def rand(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape)


@pytest.fixture
def adapter() -> Adapter:
    torch.manual_seed(21)
    shapes = {"attn1.to_q": (128, 128), "attn2.to_k": (128, 128), "ffn.net.0.proj": (64, 128), "ffn.net.2": (128, 64)}
    pairs = {
        f"blocks.{block}.{name}": LowRank(down=rand(4, into), up=rand(out, 4), alpha=2.0 + block)
        for block in range(2)
        for name, (out, into) in shapes.items()
    }
    embedding = {"pose_patch_embedding.weight": rand(128, 4, 1, 2, 2), "pose_patch_embedding.bias": rand(128)}
    return Adapter(name="ours", files=(), low_rank=pairs, replacements=embedding)


def as_comfyui_reads(file: dict[str, torch.Tensor], state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What ComfyUI makes of the original state, by the rules of its loader; fails where a key would be left over.

    For each weight, by its name with underscores or in full: up @ down · alpha / rank, or `.diff`, or `.set_weight`,
    the last of these alone; `.diff_b` for its bias. Other parameters are known by their full names.
    """
    if "lora_unet__blocks_0_cross_attn_k.lora_down.weight" in file:
        file = {key.replace("lora_unet__", "lora_unet_"): value for key, value in file.items()}
    result, used = dict(state), set()

    def take(key: str) -> torch.Tensor | None:
        used.add(key)
        return file.get(key)

    for key in state:
        name = key.removesuffix(".weight")
        aliases = [f"diffusion_model.{name}"]
        if name != key:
            aliases.append(f"lora_unet_{name.replace('.', '_')}")
        for alias in aliases:
            alpha, down, up = (take(f"{alias}.{part}") for part in ("alpha", "lora_down.weight", "lora_up.weight"))
            if up is not None:
                change = (1.0 if alpha is None else alpha.item() / down.shape[0]) * (up.flatten(1) @ down.flatten(1))
                result[key] = state[key] + change.reshape(state[key].shape)
            if (whole := take(f"{alias}.diff")) is not None:
                result[key] = state[key] + whole
            if (bias := take(f"{alias}.diff_b")) is not None:
                result[f"{name}.bias"] = state[f"{name}.bias"] + bias
            if (new := take(f"{alias}.set_weight")) is not None:
                result[key] = new
    assert not file.keys() - used
    return result


@pytest.fixture
def transformer(layouts):
    return load_transformer(find_base(layouts.diffusers), torch.float32)


@pytest.mark.parametrize("kind", ["as trained", "without cross-attention", "with differences"])
def test_comfyui_and_we_make_the_same_of_it(adapter, transformer, tmp_path, kind):
    if kind == "without cross-attention":
        adapter = replace(adapter, low_rank={k: v for k, v in adapter.low_rank.items() if "attn2" not in k})
    if kind == "with differences":  # one of them on a weight that has a pair too
        shapes = {
            "patch_embedding.weight": (128, 12, 1, 2, 2),
            "patch_embedding.bias": (128,),
            "blocks.1.ffn.net.2.weight": (128, 64),
            "blocks.0.norm2.bias": (128,),
            "blocks.0.attn1.norm_q.weight": (128,),
        }
        adapter = replace(adapter, differences={key: rand(*shape) for key, shape in shapes.items()})
    start = {keys.to_original(key): value.clone() for key, value in transformer.state_dict().items()}
    save_for_comfyui(tmp_path / "one.safetensors", adapter)
    theirs = as_comfyui_reads(load_file(tmp_path / "one.safetensors"), start)
    again = read_adapter(tmp_path / "one.safetensors")
    assert again.replacements.keys() == adapter.replacements.keys()
    apply_adapters(transformer, [(again, 1.0)], merge=True)
    ours = {keys.to_original(key): value for key, value in transformer.state_dict().items()}
    for key, value in ours.items():
        torch.testing.assert_close(theirs[key], value, rtol=0, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}")
    changed = {key for key in start if not torch.equal(start[key], ours[key])}
    assert len(changed) == len(adapter.low_rank) + len({*adapter.differences} - {"blocks.1.ffn.net.2.weight"}) + 2


def test_its_names_and_shapes_are_these(adapter, tmp_path):
    save_for_comfyui(tmp_path / "one.safetensors", adapter, {"note": "x"})
    written = load_file(tmp_path / "one.safetensors")
    pairs = {
        f"lora_unet__blocks_{block}_{name}.{part}"
        for block in range(2)
        for name in ("self_attn_q", "cross_attn_k", "ffn_0", "ffn_2")
        for part in ("lora_down.weight", "lora_up.weight", "alpha")
    }
    weight, bias = "lora_unet__pose_patch_embedding.set_weight", "diffusion_model.pose_patch_embedding.bias.set_weight"
    assert written.keys() == {*pairs, weight, bias}
    assert written[weight].shape == (128, 4, 1, 2, 2)
    assert written[bias].shape == (128,)
    assert written["lora_unet__blocks_1_ffn_0.lora_down.weight"].shape == (4, 128)
    assert written["lora_unet__blocks_1_ffn_0.alpha"] == 3.0
    with safe_open(tmp_path / "one.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt", "note": "x"}
    few = replace(adapter, low_rank={"blocks.1.attn1.to_q": adapter.low_rank["blocks.1.attn1.to_q"]})
    save_for_comfyui(tmp_path / "few.safetensors", few)
    assert {key.split(".")[0] for key in load_file(tmp_path / "few.safetensors")} == {
        "lora_unet_blocks_1_self_attn_q",  # one underscore, as nothing tells ComfyUI of two
        "lora_unet_pose_patch_embedding",
        "diffusion_model",
    }


def test_saved_and_read_is_the_same_adapter(adapter, tmp_path):
    save_for_comfyui(tmp_path / "one.safetensors", adapter)
    again = read_adapter(tmp_path / "one.safetensors")
    assert again.alpha_from == "the file"
    assert again.low_rank.keys() == adapter.low_rank.keys()
    for module, pair in adapter.low_rank.items():
        found = again.low_rank[module]
        assert torch.equal(found.up, pair.up)
        assert torch.equal(found.down, pair.down)
        assert found.alpha == pair.alpha
    for key, value in adapter.replacements.items():
        assert torch.equal(again.replacements[key], value)


def test_what_comfyui_would_leave_out_is_refused(adapter, tmp_path):
    changes = {"blocks.1.scale_shift_table": rand(1, 6, 128)}
    with pytest.raises(UserError, match=r"ours changes modulations \(blocks.1.scale_shift_table\), which ComfyUI"):
        save_for_comfyui(tmp_path / "one.safetensors", replace(adapter, differences=changes))
    with pytest.raises(UserError, match="is empty"):
        save_for_comfyui(tmp_path / "one.safetensors", Adapter(name="none", files=()))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["lora_unet__blocks_0_norm3.set_weight", "diffusion_model.head.head.bias.set_weight"])
def test_nothing_but_the_embedding_of_the_normals_is_set(adapter, tmp_path, key):
    save_for_comfyui(tmp_path / "one.safetensors", adapter)
    save_file(load_file(tmp_path / "one.safetensors") | {key: rand(128)}, tmp_path / "one.safetensors")
    with pytest.raises(UserError, match=f"not understood .*{key}"):
        read_adapter(tmp_path / "one.safetensors")


COMFYUI = os.environ.get("R2S2R_COMFYUI", "").split(os.pathsep)


@pytest.mark.skipif(COMFYUI == [""], reason="R2S2R_COMFYUI names no ComfyUI checkout (and no folders of what it needs)")
def test_comfyui_itself_gives_what_we_give(tmp_path):
    """Its loaders, its node and its model on a tiny random base, without an adapter and with two of them."""
    torch.manual_seed(22)
    model = Real2Sam2RealTransformer3DModel(num_attention_heads=2, ffn_dim=64, num_layers=5, added_kv_proj_dim=256)
    state = {key: value + 0.05 * torch.randn_like(value) for key, value in model.state_dict().items()}
    model.load_state_dict(state)
    model.eval().requires_grad_(False)
    told_by = {"face_adapter.fuser_blocks.0.k_norm.weight": torch.ones(128)}  # that it is Wan-Animate; it never runs
    original = {keys.to_original(key): value for key, value in state.items()}
    save_file({key: value.contiguous() for key, value in (original | told_by).items()}, tmp_path / "base.safetensors")
    inputs = {
        "base": str(tmp_path / "base.safetensors"), "loras": [], "width": 96, "height": 64, "frames": 9,
        "text": torch.randn(1, 512, 4096), "image": torch.randn(1, 257, 1280), "pixels": torch.rand(9, 64, 96, 3),
        "photo": torch.randn(1, 16, 1, 8, 12), "pose": torch.randn(1, 16, 3, 8, 12),
        "grey": torch.randn(1, 16, 3, 8, 12), "noisy": torch.randn(1, 16, 4, 8, 12), "level": torch.tensor([0.7]),
    }  # fmt: skip

    def ours() -> torch.Tensor:
        noisy = torch.cat([inputs["noisy"], condition_channels(inputs["photo"], inputs["grey"])], dim=1)
        return model(noisy, 1000 * inputs["level"], inputs["text"], inputs["pose"], inputs["image"])

    expected = {"base": ours()}
    for names in (
        ("attn1.to_q", "attn2.to_k"),
        ("attn1.to_q", "attn2.to_v"),
    ):  # with the pair that ComfyUI looks for, and without
        pairs = {
            f"blocks.{k}.{name}": LowRank(down=rand(8, 256), up=rand(256, 8), alpha=4.0)
            for k in range(5)
            for name in names
        }
        embedding = {"pose_patch_embedding.weight": rand(256, 16, 1, 2, 2), "pose_patch_embedding.bias": rand(256)}
        one = Adapter(name="one", files=(), low_rank=pairs, replacements=embedding)
        path = tmp_path / f"{names[1]}.safetensors"
        save_for_comfyui(path, one)
        model.load_state_dict({key: value.clone() for key, value in state.items()})
        apply_adapters(model, [(one, 1.0)], merge=True)
        inputs["loras"].append(str(path))
        expected[str(path)] = ours()
    write_a_workflow(tmp_path, str(path))
    torch.save(inputs, tmp_path / "given.pt")
    side = Path(__file__).parents[1] / "comfyui_side.py"
    paths = os.pathsep.join(COMFYUI)
    command = [sys.executable, str(side), str(tmp_path / "given.pt"), str(tmp_path / "result.pt")]
    subprocess.run(command, cwd=COMFYUI[0], env={**os.environ, "PYTHONPATH": paths}, check=True)
    found = torch.load(tmp_path / "result.pt", weights_only=False)
    for name, value in expected.items():
        assert (found[name] - value).abs().max() < 1e-5 * value.abs().max(), name
        assert name == "base" or (value - expected["base"]).abs().max() > 0.1
    assert found["trim"] == 1
    assert found["latent"] == (1, 16, 4, 8, 12)
    assert found["encoded"][2] == ((9, 64, 96, 3), 0.5, 0.5)
    assert found["valid"][0], found["valid"]
    for name, steps, spacing in (("normal", 25, "scheduler"), ("simple", 4, "even")):
        scheduler = make_scheduler("euler", 5.0)
        set_steps(scheduler, steps, spacing, 1.0, torch.device("cpu"))
        torch.testing.assert_close(scheduler.sigmas, found[name])


def write_a_workflow(folder: Path, adapter: str) -> None:
    """The shot of a tiny control folder, and empty files where ComfyUI looks for the models that it names."""
    pixels = np.zeros((5, 32, 48, 3), np.uint8)
    ids = np.zeros((5, 32, 48), np.uint8)
    save_control(folder / "control", Control(normals=pixels, ids=ids, photo=pixels[0], prompt="a car", fps=16))
    export_for_comfyui(adapter, folder / "toy.safetensors", control=folder / "control")
    models = json.loads((folder / "toy_workflow.json").read_text())["nodes"]
    places = [model for node in models for model in node["properties"].get("models", [])]
    for place in [*places, {"directory": "loras", "name": "toy.safetensors"}]:
        (folder / place["directory"]).mkdir()
        (folder / place["directory"] / place["name"]).touch()
