"""What `r2s2r export comfyui` writes: one workflow in two formats, and what it names."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from real2sam2real import media
from real2sam2real.control.folder import Control, save_control
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.diffusion.checkpoints import METADATA_KEY, OFFICIAL_SETTINGS, CheckpointSettings, load_settings
from real2sam2real.diffusion.weights.adapter_file import Adapter, LowRank, read_adapter
from real2sam2real.diffusion.weights.export import save_adapter, save_for_comfyui
from real2sam2real.errors import UserError
from real2sam2real.run.exporting import export_for_comfyui

OTHER = NormalConvention(directions=("left", "up", "towards"))
SETTINGS = CheckpointSettings(
    area=96 * 64, max_frames=9, steps=4, guidance_scale=1.0, shift=3.0, continues=True, normal_convention=OTHER
)


@pytest.fixture
def adapter() -> Adapter:
    pair = LowRank(down=torch.ones(2, 128), up=torch.ones(128, 2), alpha=2.0)
    embedding = {
        "pose_patch_embedding.weight": torch.ones(128, 4, 1, 2, 2),
        "pose_patch_embedding.bias": torch.ones(128),
    }
    return Adapter(name="ours", files=(), low_rank={"blocks.0.attn2.to_k": pair}, replacements=embedding)


@pytest.fixture
def control(tmp_path: Path) -> Control:
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 2, (11, 32, 48), dtype=np.uint8)
    normals = np.where(ids[..., None] > 0, generator.integers(60, 255, (11, 32, 48, 3), dtype=np.uint8), 0)
    control = Control(
        normals=normals.astype(np.uint8), ids=ids, photo=normals[0].astype(np.uint8), prompt="a car", fps=12
    )
    save_control(tmp_path / "control", control)
    return control


def test_the_workflow_of_the_published_adapter(adapter: Adapter, tmp_path: Path, cli) -> None:
    save_adapter(tmp_path / "official", adapter)
    ended = cli("export", "comfyui", tmp_path / "official", "-o", tmp_path / "one.safetensors")
    assert ended.status == 0
    names = ["one.safetensors", "one_workflow.json", "one_api.json"]
    assert ended.out.split() == [str(tmp_path / name) for name in names]
    nodes = json.loads((tmp_path / "one_api.json").read_text())
    by_kind = {node["class_type"]: node["inputs"] for node in nodes.values()}

    def before(kind: str, name: str) -> str:
        return nodes[by_kind[kind][name][0]]["class_type"]

    chain = ["KSampler", "ModelSamplingSD3", "LoraLoaderModelOnly", "UNETLoader"]
    assert [before(kind, "model") for kind in chain[:-1]] == chain[1:]
    assert by_kind["LoraLoaderModelOnly"]["lora_name"] == "one.safetensors"
    assert by_kind["LoraLoaderModelOnly"]["strength_model"] == 1.0
    assert by_kind["ModelSamplingSD3"]["shift"] == 5.0
    animate = by_kind["WanAnimateToVideo"]
    assert before("WanAnimateToVideo", "reference_image") == "LoadImage"
    assert before("WanAnimateToVideo", "pose_video") == "GetVideoComponents"
    assert (animate["width"], animate["height"], animate["length"]) == (1280, 720, 81)
    assert not animate.keys() & {"face_video", "background_video", "character_mask", "continue_motion"}
    sampler = {"steps": 25, "cfg": 4.5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0, "seed": 0}
    assert sampler.items() <= by_kind["KSampler"].items()
    assert by_kind["CLIPVisionEncode"]["crop"] == "none"
    assert before("TrimVideoLatent", "samples") == "KSampler"
    assert by_kind["TrimVideoLatent"]["trim_amount"] == [before_id(nodes, "WanAnimateToVideo"), 3]
    assert before("VAEDecode", "samples") == "TrimVideoLatent"
    assert before("SaveVideo", "video") == "CreateVideo"
    assert by_kind["CreateVideo"]["fps"] == 16


def before_id(nodes: dict, kind: str) -> str:
    return next(number for number, node in nodes.items() if node["class_type"] == kind)


def test_both_formats_are_one_workflow(adapter: Adapter, tmp_path: Path) -> None:
    save_for_comfyui(tmp_path / "a.safetensors", adapter)
    export_for_comfyui(str(tmp_path / "a.safetensors"), tmp_path / "one.safetensors")
    api = json.loads((tmp_path / "one_api.json").read_text())
    editor = json.loads((tmp_path / "one_workflow.json").read_text())
    drawn = {node["id"]: node for node in editor["nodes"]}
    assert {str(number) for number, node in drawn.items() if node["type"] != "MarkdownNote"} == api.keys()
    joined = set()
    for link, source, output, target, slot, kind in editor["links"]:
        place, given = drawn[target]["inputs"][slot], drawn[source]["outputs"][output]
        assert place["link"] == link
        assert link in given["links"]
        assert place["type"] == given["type"] == kind
        joined.add((str(target), place["name"], str(source), output))
    assert joined == {
        (number, name, *value)
        for number, node in api.items()
        for name, value in ((name, tuple(value)) for name, value in node["inputs"].items() if isinstance(value, list))
    }
    for number, node in api.items():
        values = [value for name, value in node["inputs"].items() if not isinstance(value, list) and "." not in name]
        shown = drawn[int(number)]["widgets_values"]
        assert [value for value in shown if value in values] == values or node["class_type"] == "TrimVideoLatent"
    assert len({tuple(node["pos"]) for node in drawn.values()}) == len(drawn)
    assert editor["last_node_id"] == max(drawn)
    assert editor["last_link_id"] == len(editor["links"])


def test_a_control_folder_fills_the_workflow(adapter: Adapter, control: Control, tmp_path: Path) -> None:
    """At the adapter's size, in its convention, of 4k + 1 frames; the file of weights keeps the settings."""
    save_for_comfyui(tmp_path / "a.safetensors", adapter, {METADATA_KEY: SETTINGS.to_json()})
    out = tmp_path / "one.safetensors"
    written, notes = export_for_comfyui(str(tmp_path / "a.safetensors"), out, control=tmp_path / "control")
    assert [path.name for path in written[3:]] == ["one_photo.png", "one_normals.mp4"]
    assert notes == [
        "the shot has 11 frames, of which the workflow makes the first 9; r2s2r generate makes all, segment by segment"
    ]
    nodes = json.loads(written[2].read_text()).values()
    by_kind = {node["class_type"]: node["inputs"] for node in nodes}
    animate, sampler = by_kind["WanAnimateToVideo"], by_kind["KSampler"]
    assert (animate["width"], animate["height"], animate["length"]) == (96, 64, 9)
    assert (sampler["steps"], sampler["cfg"], sampler["scheduler"]) == (4, 1.0, "simple")
    assert by_kind["ModelSamplingSD3"]["shift"] == 3.0
    assert by_kind["CreateVideo"]["fps"] == 12
    assert by_kind["LoadImage"]["image"] == "one_photo.png"
    assert {node["inputs"].get("text") for node in nodes} >= {"a car", "bad detailed"}
    assert np.array_equal(media.read_image(written[3]), control.photo)
    normals = media.read_video(written[4])
    assert np.array_equal(normals, control.normals_in(OTHER)[:9])
    assert not np.array_equal(normals, control.normals[:9])
    assert load_settings(out) == SETTINGS
    assert read_adapter(out).low_rank.keys() == adapter.low_rank.keys()


def test_what_comfyui_cannot_run_is_refused(adapter: Adapter, tmp_path: Path) -> None:
    ours = CheckpointSettings(area=96 * 64, max_frames=9, base="mini-base")
    save_for_comfyui(tmp_path / "ours.safetensors", adapter, {METADATA_KEY: ours.to_json()})
    out = tmp_path / "one.safetensors"
    for name in ("mini", str(tmp_path / "ours.safetensors")):
        with pytest.raises(UserError, match=r"not made for Wan2\.2-Animate-14B"):
            export_for_comfyui(name, out)
    with pytest.raises(UserError, match=r"one\.bin is no name for weights of ComfyUI"):
        export_for_comfyui(str(tmp_path / "ours.safetensors"), tmp_path / "one.bin")
    save_for_comfyui(tmp_path / "bad.safetensors", adapter, {METADATA_KEY: '{"area": 5}'})
    with pytest.raises(UserError, match=r"real2sam2real\.checkpoint in .*bad\.safetensors cannot be used"):
        export_for_comfyui(str(tmp_path / "bad.safetensors"), out)
    save_for_comfyui(tmp_path / "told.safetensors", adapter)
    assert load_settings(tmp_path / "told.safetensors") == OFFICIAL_SETTINGS
    assert not out.exists()
