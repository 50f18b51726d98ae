"""Finding a base: local layouts, companions from elsewhere, and the hub's cache, all without a network."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import filter_repo_objects

from real2sam2real.diffusion.options import DEFAULT_BASE
from real2sam2real.diffusion.weights.base import find_adapter, find_base
from real2sam2real.diffusion.weights.load import load_transformer, load_vae
from real2sam2real.errors import MissingPartError, UserError

REPO = "Wan-AI/Wan2.2-Animate-14B-Diffusers"


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty cache of the hub, and a way to put a repository into it, laid out as huggingface_hub does."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def put(repo: str, folder: Path) -> Path:
        home = tmp_path / "hub" / f"models--{repo.replace('/', '--')}"
        (home / "refs").mkdir(parents=True)
        (home / "refs" / "main").write_text("0123abcd")
        return Path(shutil.copytree(folder, home / "snapshots" / "0123abcd"))

    return put


def test_each_layout_is_recognised(layouts):
    found = {layout: find_base(getattr(layouts, layout)) for layout in ("diffusers", "sharded", "original", "single")}
    assert {layout: source.layout for layout, source in found.items()} == {
        "diffusers": "diffusers",
        "sharded": "diffusers",
        "original": "original",
        "single": "single-file",
    }
    assert len(found["sharded"].transformer) == 3
    assert found["diffusers"].transformer_config is not None
    assert found["original"].transformer_config == layouts.original / "config.json"
    assert found["single"].transformer_config is None
    assert found["original"].tokenizer == layouts.original / "google" / "umt5-xxl"
    assert found["original"].scheduler is None
    assert found["single"].vae == layouts.single.parent / "Wan2.1_VAE.pth"


def test_a_folder_with_one_weight_file_is_that_file(layouts):
    assert find_base(layouts.single.parent).transformer == (layouts.single,)


def test_a_folder_with_several_weight_files_asks_which(layouts, tmp_path):
    for name in ("a.safetensors", "b.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"several weight files \(a\.safetensors, b\.gguf\)"):
        find_base(tmp_path)


def test_the_transformers_own_folder_is_enough(layouts):
    source = find_base(layouts.diffusers / "transformer")
    assert source.layout == "diffusers"
    assert source.vae == layouts.diffusers / "vae"
    load_transformer(source)


def test_companions_come_from_a_folder_of_either_layout(layouts):
    transformer = layouts.gguf["F16"]
    for parts in (layouts.diffusers, layouts.original):
        source = find_base(transformer, components=parts)
        assert source.transformer == (transformer,)
        assert source.vae is not None
        assert source.vae.parent == parts
        load_vae(source)


def test_companions_that_are_missing_are_listed_with_the_remedy(layouts):
    with pytest.raises(MissingPartError) as caught:
        find_base(layouts.gguf["F16"])
    message = str(caught.value)
    assert "the vae (vae or Wan2.1_VAE.pth)" in message
    assert "the text encoder" in message
    assert DEFAULT_BASE in message


def test_a_folder_that_is_no_base_says_what_it_lacks(tmp_path):
    with pytest.raises(UserError, match=r"model_index\.json \(diffusers' layout\)"):
        find_base(tmp_path)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "nowhere", "models/gone.gguf", "a b/c"])
def test_a_path_that_does_not_exist_is_named(name):
    with pytest.raises(UserError, match="does not exist"):
        find_base(name, offline=True)


def test_a_missing_shard_is_named(layouts, tmp_path):
    folder = Path(shutil.copytree(layouts.original, tmp_path / "base"))
    (folder / "diffusion_pytorch_model-00002-of-00003.safetensors").unlink()
    with pytest.raises(MissingPartError, match=r"Missing: .*diffusion_pytorch_model-00002-of-00003\.safetensors"):
        find_base(folder)
    (folder / "diffusion_pytorch_model.safetensors.index.json").unlink()
    with pytest.raises(MissingPartError, match=r"Missing: .*diffusion_pytorch_model-00002-of-00003\.safetensors"):
        find_base(folder)


def test_offline_uses_the_cache(layouts, hub_cache, inputs):
    snapshot = hub_cache(REPO, layouts.sharded)
    source = find_base(REPO, offline=True)
    assert source.layout == "diffusers"
    assert source.vae == snapshot / "vae"
    with torch.no_grad():
        assert load_transformer(source, torch.float32)(**inputs).isfinite().all()


def test_offline_takes_the_companions_of_a_lone_file_from_the_cache(layouts, hub_cache):
    snapshot = hub_cache(REPO, layouts.diffusers)
    shutil.rmtree(snapshot / "transformer")
    source = find_base(layouts.gguf["F16"], offline=True, components=REPO)
    assert source.text_encoder == snapshot / "text_encoder"


def test_offline_takes_one_file_of_a_repository(layouts, hub_cache):
    hub_cache("someone/animate-gguf", layouts.gguf["F16"].parent)
    source = find_base("someone/animate-gguf/animate-F16.gguf", offline=True, components=layouts.original)
    assert source.layout == "gguf"
    load_transformer(source)


def test_offline_with_nothing_in_the_cache_says_how_to_get_it(hub_cache):
    with pytest.raises(MissingPartError, match=f"hf download {REPO}"):
        find_base(offline=True)
    with pytest.raises(MissingPartError, match=r"hf download someone/x-gguf y\.gguf"):
        find_base("someone/x-gguf/y.gguf", offline=True)


def test_offline_with_a_part_of_it_lists_the_missing_files(layouts, hub_cache):
    snapshot = hub_cache(REPO, layouts.sharded)
    gone = ["transformer/diffusion_pytorch_model-00003-of-00003.safetensors", "vae/diffusion_pytorch_model.safetensors"]
    for name in gone:
        (snapshot / name).unlink()
    shutil.rmtree(snapshot / "image_encoder")
    with pytest.raises(MissingPartError) as caught:
        find_base(REPO, offline=True)
    message = str(caught.value)
    assert all(name in message for name in gone)
    assert "the image encoder" in message
    assert f"hf download {REPO}" in message
    assert "--offline" in message


def test_without_a_network_the_hub_is_said_to_be_out_of_reach(hub_cache):
    """The suite runs with the hub switched off, which is what no network looks like."""
    with pytest.raises(MissingPartError, match=f"hf download {REPO}"):
        find_base(REPO)


@pytest.fixture
def remote(monkeypatch, tmp_path):
    """A hub that has one folder: the library's own filter decides what of it is fetched."""

    def serve(folder: Path) -> Path:
        def snapshot_download(repo, *, allow_patterns, ignore_patterns, local_files_only):
            names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
            for name in filter_repo_objects(names, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns):
                (tmp_path / "got" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / name, tmp_path / "got" / name)
            return str(tmp_path / "got")

        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
        return tmp_path / "got"

    return serve


def fetched(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_only_what_is_used_is_fetched_of_the_original_layout(layouts, remote, tmp_path):
    there = Path(shutil.copytree(layouts.original, tmp_path / "there"))
    for name in ("process_checkpoint/det/yolo.onnx", "relighting_lora/adapter_model.safetensors", "assets/a.png"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).touch()
    # A fourth shard that holds nothing but the face branch.
    index = there / "diffusion_pytorch_model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    weight_map |= {key: "diffusion_pytorch_model-face.safetensors" for key in weight_map if key.startswith("face_")}
    index.write_text(json.dumps({"weight_map": weight_map}))
    (there / "diffusion_pytorch_model-face.safetensors").touch()
    got = remote(there)
    source = find_base("Wan-AI/Wan2.2-Animate-14B")
    assert source.layout == "original"
    wanted = {*fetched(layouts.original)}
    assert fetched(got) == wanted


def test_companions_are_fetched_without_their_transformer(layouts, remote):
    got = remote(layouts.diffusers)
    find_base(layouts.gguf["F16"], components=REPO)
    assert not [name for name in fetched(got) if name.startswith("transformer/")]


def test_adapters_are_found_here_or_in_the_cache(layouts, hub_cache, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "lora.safetensors").touch()
    assert find_adapter(tmp_path / "adapter") == tmp_path / "adapter"
    snapshot = hub_cache("someone/lora", tmp_path / "adapter")
    assert find_adapter("someone/lora", offline=True) == snapshot
    assert find_adapter("someone/lora/lora.safetensors", offline=True) == snapshot / "lora.safetensors"
    with pytest.raises(UserError, match="does not exist"):
        find_adapter("./nowhere")
    with pytest.raises(MissingPartError, match="hf download someone/other"):
        find_adapter("someone/other", offline=True)
