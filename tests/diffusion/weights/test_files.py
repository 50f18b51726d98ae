"""Damaged, truncated, foreign and dangerous files: each is refused by name, and says what does not fit."""

import json
import os
import pickle
import shutil
from dataclasses import replace

import gguf
import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file

from real2sam2real.diffusion.weights.base import BaseSource, find_base
from real2sam2real.diffusion.weights.files import list_some, open_all, open_tensors, sharded
from real2sam2real.diffusion.weights.load import (
    load_image_encoder,
    load_scheduler,
    load_text_encoder,
    load_transformer,
    load_vae,
)
from real2sam2real.errors import MissingPartError, UserError


def alone(path):
    return BaseSource(name=str(path), layout="single-file", transformer=(path,))


@pytest.fixture
def single(layouts, tmp_path):
    """A copy of the single file that a test may spoil."""
    return shutil.copy(layouts.single, tmp_path / "animate.safetensors")


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.001])
@pytest.mark.parametrize("kind", ["single", "gguf"])
def test_a_truncated_file_is_named(layouts, tmp_path, kind, kept):
    whole = (layouts.single if kind == "single" else layouts.gguf["Q8_0"]).read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UserError, match=r"cut\.(single|gguf) is damaged(, cut short| or cut short)"):
        load_transformer(alone(path))


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.01])
def test_a_truncated_pickle_is_named(layouts, tmp_path, kept):
    whole = (layouts.original / "Wan2.1_VAE.pth").read_bytes()
    path = tmp_path / "cut.pth"
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UserError, match=r"cut\.pth is damaged or cut short"):
        load_vae(replace(find_base(layouts.original), vae=path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no weight file"),
        (b"<!DOCTYPE html><html>Not Found</html>", "is no weight file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (np.random.default_rng(0).bytes(5000), "is no weight file"),
        ((2**40).to_bytes(8, "little") + b'{"a": 1}', "damaged, cut short"),
        (b"GGUF" + bytes(200), "GGUF of version 0; versions 2 and 3"),
    ],
    ids=["empty", "html", "lfs", "noise", "header", "gguf"],
)
def test_what_is_no_weight_file_is_refused(tmp_path, content, message):
    path = tmp_path / "strange.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_transformer(alone(path))
    assert "strange.safetensors" in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"gone\.safetensors does not exist"):
        open_tensors(tmp_path / "gone.safetensors")


class Burglar:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.system, ("echo broken in > burglary",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_never_run(layouts, tmp_path, monkeypatch, zipped):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "Wan2.1_VAE.pth"
    torch.save({"decoder.conv1.weight": Burglar()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"Wan2\.1_VAE\.pth is refused: it asks for 'posix.system'"):
        load_vae(replace(find_base(layouts.original), vae=path))
    path.write_bytes(pickle.dumps(Burglar()))
    with pytest.raises(UserError, match=r"Wan2\.1_VAE\.pth"):
        load_vae(replace(find_base(layouts.original), vae=path))
    assert not (tmp_path / "burglary").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "burglary").exists()  # so the file was dangerous indeed


def test_pickles_of_old_and_new_make_and_with_a_wrapper_are_read(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3)}
    for name, content, zipped in (
        ("new", tensors, True),
        ("old", tensors, False),
        ("in", {"state_dict": tensors}, True),
    ):
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=zipped)
        opened = open_tensors(tmp_path / name)
        assert opened["a"].shape == (2, 3)
        assert torch.equal(opened["a"].read(), tensors["a"])


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, torch.zeros(3)])
def test_a_pickle_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth is no set of named tensors"):
        open_tensors(tmp_path / "other.pth")


def spoiled(single, change):
    tensors = load_file(single)
    change(tensors)
    save_file(tensors, single)
    return alone(single)


def test_missing_unexpected_and_wrongly_shaped_keys_are_named(single):
    prefix = "model.diffusion_model."

    def change(tensors):
        del tensors[f"{prefix}blocks.1.cross_attn.k_img.bias"]
        tensors[f"{prefix}blocks.1.self_attn.gate.weight"] = torch.zeros(2)
        tensors[f"{prefix}head.head.bias"] = torch.zeros(3)

    with pytest.raises(UserError) as caught:
        load_transformer(spoiled(single, change))
    message = str(caught.value)
    assert str(single) in message
    assert "missing: blocks.1.attn2.add_k_proj.bias" in message
    assert f"unexpected: {prefix}blocks.1.self_attn.gate.weight" in message
    assert f"wrong shape: {prefix}head.head.bias is (3,) instead of (16,)" in message


@pytest.mark.parametrize("part", ["pose_patch_embedding", "blocks.0.ffn"])
def test_another_wan_model_is_refused(single, part):
    def change(tensors):
        for key in [key for key in tensors if part in key]:
            del tensors[key]

    with pytest.raises(UserError, match=r"animate\.safetensors does not hold a Wan-Animate transformer: missing"):
        load_transformer(spoiled(single, change))


def test_a_weight_under_two_names_is_refused(single):
    key = "model.diffusion_model.head.head.bias"

    def change(tensors):
        tensors["head.head.bias"] = tensors[key].clone()

    with pytest.raises(UserError, match="one weight twice"):
        load_transformer(spoiled(single, change))


def test_files_too_large_for_one_mapping_are_mapped_tensor_by_tensor(layouts, monkeypatch):
    mapped = load_transformer(alone(layouts.single), torch.float32).state_dict()

    def refuse(*args, **kwargs):
        raise RuntimeError("unable to mmap 32790570816 bytes from file: Cannot allocate memory (12)")

    monkeypatch.setattr(safetensors, "safe_open", refuse)
    read = load_transformer(alone(layouts.single), torch.float32).state_dict()
    assert all(torch.equal(read[key], value) for key, value in mapped.items())


def test_a_foreign_width_is_refused(single):
    def change(tensors):
        tensors["model.diffusion_model.patch_embedding.weight"] = torch.zeros(100, 12, 1, 2, 2)

    with pytest.raises(UserError, match=r"\(100, 12, 1, 2, 2\)"):
        load_transformer(spoiled(single, change))


def test_companions_of_another_kind_are_refused(layouts):
    source = find_base(layouts.original)
    for load, part in ((load_vae, "vae"), (load_text_encoder, "text_encoder"), (load_image_encoder, "image_encoder")):
        wrong = source.image_encoder if part != "image_encoder" else source.vae
        with pytest.raises(UserError, match=r"\.pth does not hold .*: missing"):
            load(replace(source, **{part: wrong}))


def test_a_tensor_that_is_missing_from_a_companion_is_named(layouts, tmp_path):
    source = find_base(layouts.original)
    state = torch.load(source.vae, weights_only=True)
    del state["decoder.middle.1.proj.bias"]
    torch.save(state, tmp_path / "Wan2.1_VAE.pth")
    with pytest.raises(UserError, match=r"missing: decoder\.mid_block\.attentions\.0\.proj\.bias"):
        load_vae(replace(source, vae=tmp_path / "Wan2.1_VAE.pth"))


def test_companions_that_are_not_there_are_named(layouts):
    source = replace(find_base(layouts.original), vae=None, tokenizer=None, image_encoder=None)
    for load, what in ((load_vae, "VAE"), (load_text_encoder, "tokenizer"), (load_image_encoder, "image encoder")):
        with pytest.raises(MissingPartError, match=f"has no {what}"):
            load(source)


def test_encoders_without_their_package_say_how_to_get_it(layouts, monkeypatch):
    source = find_base(layouts.original)
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    for load in (load_text_encoder, load_image_encoder):
        with pytest.raises(MissingPartError, match="pip install transformers"):
            load(source)


def test_a_broken_tokenizer_is_named(layouts, tmp_path):
    source = find_base(layouts.original)
    for content in ("{", "{}", ""):
        folder = tmp_path / f"tokenizer{len(content)}"
        shutil.copytree(source.tokenizer, folder)
        (folder / "tokenizer.json").write_text(content)
        with pytest.raises(UserError, match=f"{folder.name} cannot be used"):
            load_text_encoder(replace(source, tokenizer=folder))


def test_broken_configs_are_named(layouts, tmp_path):
    source = find_base(layouts.diffusers)
    shutil.copytree(layouts.diffusers, tmp_path / "copy")
    copy = find_base(tmp_path / "copy")
    for folder, load in (("vae", load_vae), ("text_encoder", load_text_encoder), ("image_encoder", load_image_encoder)):
        (tmp_path / "copy" / folder / "config.json").write_text("{")
        with pytest.raises(UserError, match=folder):
            load(copy)
    (tmp_path / "copy" / "vae" / "config.json").write_text(json.dumps({"_class_name": "AutoencoderKL"}))
    with pytest.raises(UserError, match="describes a AutoencoderKL; needed is a AutoencoderKLWan"):
        load_vae(copy)
    (tmp_path / "copy" / "scheduler" / "scheduler_config.json").write_text(json.dumps({"_class_name": "WanPipeline"}))
    with pytest.raises(UserError, match="WanPipeline"):
        load_scheduler(copy)
    assert load_scheduler(source).config.shift == 3.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "WanTransformer3DModel"}, "describes a WanTransformer3DModel"),
        ({"_class_name": None}, "describes a model without a name"),
        ({"pos_embed_seq_len": 514}, "pos_embed_seq_len"),
        ({"in_channels": 36}, "channels are not those of Wan-Animate"),
        ({"out_channels": 48}, "channels are not those of Wan-Animate"),
        ({"vace_layers": [0, 5]}, "vace_layers"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantised weights"),
        ({"num_layers": 3}, "missing: blocks.2."),
    ],
)
def test_a_config_of_another_architecture_is_refused(layouts, reconfigured, change, message):
    source = reconfigured(layouts.diffusers, change)
    with pytest.raises(UserError, match=message):
        load_transformer(source)


def test_face_fields_of_a_config_do_not_matter(layouts, reconfigured):
    change = {"motion_of_a_later_version": 1, "in_channels": None}
    load_transformer(reconfigured(layouts.diffusers, change, without=("motion_", "face_")))


def test_scaled_float8_is_multiplied_out(single, inputs):
    """ComfyUI's scaled float8: a weight in float8, and its scale beside it."""
    plain = load_file(single)
    key = "model.diffusion_model.blocks.0.ffn.0.weight"
    scale = plain[key].abs().max() / 448
    packed = (plain[key] / scale).to(torch.float8_e4m3fn)
    product = packed.float() * scale

    def change(tensors):
        tensors[key] = packed
        tensors[key.replace("weight", "scale_weight")] = scale
        tensors[key.replace("weight", "scale_input")] = torch.ones(1)
        tensors["scaled_fp8"] = torch.zeros(2, dtype=torch.float8_e4m3fn)

    model = load_transformer(spoiled(single, change), torch.float32)
    assert torch.equal(model.blocks[0].ffn.net[0].proj.weight, product)
    assert (product - plain[key]).abs().max() > 0


def quantised(single, form, dtype=torch.float8_e4m3fn, scale=(1,), told=None):
    """As ComfyUI writes files today: the form of each layer as JSON in bytes, and its scale."""
    owner = "model.diffusion_model.blocks.0.ffn.0."

    def change(tensors):
        tensors[owner + "weight"] = tensors[owner + "weight"].to(dtype)
        tensors[owner + "weight_scale"] = torch.full(scale, 0.5)
        tensors[owner + "input_scale"] = torch.ones([])
        bytes_ = json.dumps({"format": form, "full_precision_matrix_mult": True}).encode() if told is None else told
        tensors[owner + "comfy_quant"] = torch.tensor(list(bytes_), dtype=torch.uint8)

    return spoiled(single, change)


@pytest.mark.parametrize(("form", "scale"), [("float8_e4m3fn", ()), ("float8_e5m2", (64,)), ("float8_e4m3fn", (64, 1))])
def test_float8_with_the_form_of_each_layer_is_multiplied_out(single, form, scale):
    dtype = getattr(torch, form)
    plain = load_file(single)["model.diffusion_model.blocks.0.ffn.0.weight"]
    model = load_transformer(quantised(single, form, dtype, scale), torch.float32)
    assert torch.equal(model.blocks[0].ffn.net[0].proj.weight, 0.5 * plain.to(dtype).float())


@pytest.mark.parametrize(
    ("form", "scale", "told", "message"),
    [
        ("nvfp4", (), None, "blocks.0.ffn.0.comfy_quant' says that its layer is stored as nvfp4, which is not read"),
        ("int8_tensorwise", (), None, "stored as int8_tensorwise"),
        (
            "float8_e4m3fn",
            (64, 4),
            None,
            r"weight_scale' is \(64, 4\) torch.float32, where one scale, or one for each row",
        ),
        ("float8_e4m3fn", (), b"[]", "does not say how its layer is stored"),
        ("float8_e4m3fn", (), b"{", "does not say how its layer is stored"),
    ],
)
def test_forms_of_layers_that_are_not_read_are_named(single, form, scale, told, message):
    with pytest.raises(UserError, match=message):
        load_transformer(quantised(single, form, scale=scale, told=told), torch.float32)


def test_a_model_with_no_place_for_normals_is_named(single):
    """As Wan-Animate-2's and image-to-video's files are."""
    with pytest.raises(UserError, match=r"missing pose_patch_embedding\.weight\. It is of another .*Wan-Animate-2"):
        load_transformer(spoiled(single, lambda t: [t.pop(k) for k in list(t) if "pose_patch" in k]), torch.float32)


def test_a_scale_beside_a_plain_weight_is_refused(single):
    def change(tensors):
        tensors["model.diffusion_model.blocks.0.ffn.0.scale_weight"] = torch.ones([])

    with pytest.raises(UserError, match="not float8"):
        load_transformer(spoiled(single, change), torch.float32)


def test_gguf_kinds_that_cannot_be_computed_with_are_refused(tmp_path):
    path = tmp_path / "odd.gguf"
    writer = gguf.GGUFWriter(path, arch="wan")
    writer.add_tensor("patch_embedding.bias", np.zeros(32, dtype=np.int32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UserError, match=r"odd\.gguf: 'patch_embedding\.bias' is stored as I32"):
        open_tensors(path)


def test_gguf_without_its_package_says_how_to_get_it(layouts, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(MissingPartError, match="pip install gguf"):
        open_tensors(layouts.gguf["F16"])


def test_shards_of_two_models_are_refused(layouts, tmp_path):
    with pytest.raises(UserError, match="both hold"):
        open_all([layouts.single, shutil.copy(layouts.single, tmp_path / "again.safetensors")])
    for name in ("-00001-of-00002", "-00001-of-00003"):
        (tmp_path / f"diffusion_pytorch_model{name}.safetensors").touch()
    with pytest.raises(UserError, match="several sets: of 2, 3 files"):
        sharded(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"weight_map": []}', '{"weight_map": {"a": "../../secret"}}'])
def test_a_broken_index_is_named(tmp_path, text):
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").write_text(text)
    with pytest.raises(UserError, match=r"index\.json"):
        sharded(tmp_path)


def test_shards_of_the_face_branch_alone_are_not_needed(tmp_path):
    names = {"blocks.0.ffn.0.weight": "a", "face_encoder.conv1.weight": "b", "motion_encoder.enc.fc.0.weight": "a"}
    index = {"weight_map": {key: f"{name}.safetensors" for key, name in names.items()}}
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    assert [path.name for path in sharded(tmp_path)] == ["a.safetensors"]


def test_lists_in_messages_are_short():
    assert list_some(["a", "b"]) == "a, b"
    assert list_some([str(number) for number in range(8)]) == "0, 1, 2, 3, 4 and 3 more"
