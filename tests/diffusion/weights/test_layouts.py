"""One model, written in every layout, is the same model once loaded."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan, WanAnimateTransformer3DModel
from diffusers.quantizers.gguf.utils import GGUFLinear
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionModel, UMT5EncoderModel

from real2sam2real.diffusion.weights import files, keys
from real2sam2real.diffusion.weights.base import find_base
from real2sam2real.diffusion.weights.load import (
    load_image_encoder,
    load_scheduler,
    load_text_encoder,
    load_transformer,
    load_vae,
    transformer_config,
)
from real2sam2real.errors import UserError

EXACT = ["diffusers", "sharded", "no_index", "original", "single"]


def load_aligned(source, dtype=torch.float32):
    """The transformer with its weights copied from the mapped file into memory.

    A mapped tensor starts at any byte, and the CPU's kernels round differently in the last bit where it is not aligned.
    """
    model = load_transformer(source, dtype)
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    return model


@pytest.fixture(scope="module")
def reference(layouts, inputs):
    with torch.no_grad():
        return load_aligned(find_base(layouts.diffusers))(**inputs)


@torch.no_grad()
def test_loaded_equals_diffusers_class_with_its_face_branch_silenced(reference, expected):
    assert (reference - expected).abs().max() <= 1e-5
    assert expected.abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("layout", EXACT)
def test_every_layout_gives_the_same_output_to_the_bit(layouts, inputs, reference, layout):
    source = find_base(getattr(layouts, layout))
    assert torch.equal(load_aligned(source)(**inputs), reference)
    model = load_transformer(source, torch.float32)
    assert (model(**inputs) - reference).abs().max() <= 1e-5
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@torch.no_grad()
@pytest.mark.parametrize(("kind", "bound"), [("F32", 0.0), ("F16", 0.0), ("BF16", 0.02), ("Q8_0", 0.02), ("Q4_0", 0.3)])
def test_gguf_gives_the_same_output_within_its_precision(layouts, inputs, reference, kind, bound):
    source = find_base(layouts.gguf[kind], components=layouts.original)
    assert source.layout == "gguf"
    model = load_aligned(source)
    difference = (model(**inputs) - reference).abs().max() / reference.abs().max()
    assert difference <= bound
    assert (difference > 0) == (bound > 0)


def test_packed_weights_stay_packed_where_a_layer_can_compute_with_them(layouts):
    model = load_transformer(find_base(layouts.gguf["Q8_0"], components=layouts.original), torch.bfloat16)
    assert isinstance(model.blocks[0].attn1.to_q, GGUFLinear)
    assert model.blocks[0].attn1.to_q.weight.dtype == torch.uint8
    assert model.blocks[0].attn1.to_q.bias.dtype == torch.bfloat16
    time = model.condition_embedder.time_embedder.linear_1
    assert type(time) is torch.nn.Linear
    assert time.weight.dtype == torch.float32
    assert model.patch_embedding.weight.dtype == torch.bfloat16
    moved = model.to("cpu", torch.bfloat16)
    assert moved.blocks[0].attn1.to_q.weight.quant_type is not None


def test_dtypes_are_those_that_diffusers_loads(layouts):
    model = load_transformer(find_base(layouts.diffusers), torch.bfloat16)
    theirs = WanAnimateTransformer3DModel.from_pretrained(
        layouts.diffusers, subfolder="transformer", torch_dtype=torch.bfloat16, local_files_only=True
    )
    expected = {name: value for name, value in theirs.state_dict().items() if not keys.is_face_branch(name)}
    found = model.state_dict()
    assert {name: value.dtype for name, value in found.items()} == {key: v.dtype for key, v in expected.items()}
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert torch.equal(model.rope.freqs_cos, theirs.rope.freqs_cos)
    assert {value.dtype for value in found.values()} == {torch.float32, torch.bfloat16}


@pytest.mark.parametrize("layout", ["diffusers", "original", "single"])
def test_the_face_branch_is_never_read(layouts, layout, monkeypatch):
    read = []
    opened = files.open_tensors

    def spy(path):
        tensors = opened(path)

        def watch(key, tensor):
            def read_it():
                read.append(key)
                return tensor.read()

            return files.LazyTensor(file=tensor.file, key=key, shape=tensor.shape, read=read_it)

        return {key: watch(key, tensor) for key, tensor in tensors.items()}

    monkeypatch.setattr(files, "open_tensors", spy)
    load_transformer(find_base(getattr(layouts, layout)), torch.float32)
    assert len(read) > 60
    assert not [key for key in read if keys.is_face_branch(key)]


def test_configs_agree_between_layouts(layouts):
    configs = []
    for layout in EXACT:
        source = find_base(getattr(layouts, layout))
        configs.append(dict(load_transformer(source, torch.float32).config))
        configs[-1].pop("_use_default_values", None)
        assert configs[-1] == configs[-1] | transformer_config(source)
    assert all(config == configs[0] for config in configs)


@torch.no_grad()
def test_the_original_config_tells_what_shapes_do_not(layouts, wan, inputs, tmp_path):
    """The same weights with two heads, and another epsilon, are another model."""
    config = {**wan.config, "num_attention_heads": 2, "attention_head_dim": 64, "eps": 1e-3, "_use_default_values": []}
    theirs = WanAnimateTransformer3DModel.from_config(config)
    shared = {key: value for key, value in wan.state_dict().items() if not keys.is_face_branch(key)}
    assert all(keys.is_face_branch(key) for key in theirs.load_state_dict(shared, strict=False).missing_keys)
    for adapter in theirs.face_adapter:
        torch.nn.init.zeros_(adapter.to_out.weight)
        torch.nn.init.zeros_(adapter.to_out.bias)
    expected = theirs.eval()(**inputs, face_pixel_values=torch.zeros(1, 3, 5, 16, 16), return_dict=False)[0]
    folder = Path(shutil.copytree(layouts.original, tmp_path / "base"))
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "num_heads": 2, "eps": 1e-3}))
    source = find_base(folder)
    assert (load_transformer(source, torch.float32)(**inputs) - expected).abs().max() <= 1e-5
    (folder / "config.json").unlink()
    assert (load_transformer(find_base(folder), torch.float32)(**inputs) - expected).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 3}, "a multiple of the 3 heads"),
        ({"num_heads": "many"}, "a multiple of the 'many' heads"),
        ({"ffn_dim": 65}, "ffn_dim 65, where this transformer and its weights have 64"),
        ({"in_dim": 16}, "in_dim 16"),
        ({"window_size": [12, 12]}, "window_size"),
        ({"eps": 0}, "eps 0"),
    ],
)
def test_an_original_config_of_another_model_is_refused(layouts, reconfigured, change, message):
    source = reconfigured(layouts.original, change)
    with pytest.raises(UserError, match=message):
        transformer_config(source)


@torch.no_grad()
def test_vae_is_the_same_from_both_layouts(layouts):
    video = torch.randn(1, 3, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    theirs = AutoencoderKLWan.from_pretrained(layouts.diffusers, subfolder="vae", local_files_only=True).eval()
    expected = theirs.encode(video).latent_dist.mode()
    for layout in ("diffusers", "original"):
        vae = load_vae(find_base(getattr(layouts, layout)))
        latents = vae.encode(video).latent_dist.mode()
        assert torch.equal(latents, expected)
        assert torch.equal(vae.decode(latents).sample, theirs.decode(expected).sample)


@torch.no_grad()
def test_text_encoder_is_the_same_from_both_layouts(layouts):
    theirs = UMT5EncoderModel.from_pretrained(layouts.diffusers / "text_encoder", local_files_only=True).eval()
    outputs = []
    for layout in ("diffusers", "original"):
        tokenizer, encoder = load_text_encoder(find_base(getattr(layouts, layout)), torch.float32)
        tokens = tokenizer(["a cup"], padding="max_length", max_length=6, return_tensors="pt")
        assert tokens.input_ids[0].tolist() == [3, 4, 0, 0, 0, 0]
        outputs.append(encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state)
        assert encoder.encoder.embed_tokens.weight is encoder.shared.weight
    assert torch.equal(outputs[0], theirs(tokens.input_ids, tokens.attention_mask).last_hidden_state)
    assert torch.equal(outputs[0], outputs[1])


@torch.no_grad()
def test_image_encoder_is_the_same_from_both_layouts(layouts):
    theirs = CLIPVisionModel.from_pretrained(layouts.diffusers / "image_encoder", local_files_only=True).eval()
    photo = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(2))
    outputs = []
    for layout in ("diffusers", "original"):
        processor, encoder = load_image_encoder(find_base(getattr(layouts, layout)))
        pixels = processor(photo, return_tensors="pt", do_rescale=False).pixel_values
        assert pixels.shape == (1, 3, 28, 28)
        outputs.append(encoder(pixels, output_hidden_states=True).hidden_states[-2])
    assert torch.equal(outputs[0], theirs(pixels, output_hidden_states=True).hidden_states[-2])
    assert torch.equal(outputs[0], outputs[1])


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_encoders_whose_layers_are_read_when_called_say_the_same_and_hold_nothing(layouts, tmp_path, stored):
    source = find_base(layouts.diffusers)
    for name in ("text_encoder", "image_encoder"):
        shutil.copytree(getattr(source, name), tmp_path / name)
        file = tmp_path / name / "model.safetensors"
        save_file({key: value.to(stored) for key, value in load_file(file).items()}, file)
    source = replace(source, text_encoder=tmp_path / "text_encoder", image_encoder=tmp_path / "image_encoder")
    tokens, photo = torch.tensor([[3, 4, 0, 0]]), torch.rand(1, 3, 28, 28)
    for load, given in ((load_text_encoder, tokens), (load_image_encoder, photo)):
        whole, on_call = (load(source, torch.float32, on_call=on_call)[1] for on_call in (False, True))
        for _ in range(2):
            assert torch.equal(on_call(given).last_hidden_state, whole(given).last_hidden_state)
            assert {parameter.device.type for parameter in on_call.parameters()} == {"meta"}
        assert on_call.dtype == torch.float32


def test_scheduler_is_the_folders_own_or_the_official_one(layouts):
    assert load_scheduler(find_base(layouts.diffusers)).config.shift == 3.0
    official = load_scheduler(find_base(layouts.original))
    assert type(official).__name__ == "FlowMatchEulerDiscreteScheduler"
    assert official.config.shift == 5.0


def mapping_of(address):
    """The line of the kernel's list of memory mappings that holds an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, stop = (int(bound, 16) for bound in line.split()[0].split("-"))
        if start <= address < stop:
            return line
    return ""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux lists a process's mappings there")
def test_weights_stay_mapped_from_their_file_and_changing_them_leaves_it_alone(layouts):
    source = find_base(layouts.diffusers)
    before = source.transformer[0].read_bytes()
    model = load_transformer(source, torch.float32)
    assert source.transformer[0].name in mapping_of(model.blocks[0].ffn.net[2].weight.data_ptr())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert source.transformer[0].read_bytes() == before
