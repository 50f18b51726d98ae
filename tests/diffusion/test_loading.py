"""Python's door and the command line's lead to the same model: the same names give the same video, bit for bit."""

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UniPCMultistepScheduler
from safetensors.torch import save_file

from real2sam2real.diffusion import loading
from real2sam2real.diffusion.checkpoints import (
    METADATA_KEY,
    OFFICIAL_SETTINGS,
    SETTINGS_FILE,
    CheckpointSettings,
    find_checkpoint,
    is_checkpoint_name,
)
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline, load_model, locate
from real2sam2real.diffusion.memory.machine import inspect_machine
from real2sam2real.diffusion.options import GenerateOptions, ModelOptions
from real2sam2real.diffusion.presets import PRESETS
from real2sam2real.diffusion.weights.adapter_file import LORA_FILE, POSE_FILE, Adapter, LowRank
from real2sam2real.diffusion.weights.export import save_for_comfyui
from real2sam2real.errors import UserError
from real2sam2real.run.generating import Generator
from real2sam2real.run.progress import Progress

WIDTH, LATENT = 128, 16


def _layouts_module():
    path = Path(__file__).parent / "weights" / "conftest.py"
    spec = importlib.util.spec_from_file_location("layouts_of_wan", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.LATENT, module.IMAGE = LATENT, 160  # as its VAE and its image encoder
    return module


wan, companions, layouts = (getattr(_layouts_module(), name) for name in ("wan", "companions", "layouts"))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("R2S2R_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def roomy_machine(monkeypatch):
    """Of the original layout, encoders are taken to be as large as the published ones."""
    machine = replace(loading.inspect_machine(), free_ram=2**40)
    monkeypatch.setattr(loading, "inspect_machine", lambda: machine)


def write_adapter(folder: Path, width: int, channels: int, settings: CheckpointSettings | None) -> Path:
    """Official files for any transformer of this width."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(7)

    def rand(*shape):
        return torch.randn(shape, generator=generator) * 0.1

    pair = {"lora_A.weight": rand(4, width), "lora_B.weight": rand(width, 4)}
    save_file({f"blocks.0.self_attn.q.{key}": value for key, value in pair.items()}, folder / LORA_FILE)
    save_file({"weight": rand(width, channels, 1, 2, 2), "bias": rand(width)}, folder / POSE_FILE)
    if settings is not None:
        (folder / SETTINGS_FILE).write_text(settings.to_json())
    return folder


def videos(
    choice: ModelOptions, pipeline: Real2Sam2RealPipeline, size: tuple[int, int], **options
) -> list[torch.Tensor]:
    """What either door's model makes of the same inputs: the command line's first."""
    rng = np.random.default_rng(0)
    photo, normals = (rng.integers(0, 256, (*count, *size, 3), dtype=np.uint8) for count in ((), (5,)))
    model = load_model(locate(choice), log=lambda text: None)
    sampling = options.get("sampling") or model.located.sampling()
    assert pipeline.sampling == model.located.sampling()
    made = []
    for door, prompt in (
        (model.pipeline, model.prompts("a cup", guided=sampling.guided)),
        (pipeline, {"prompt": "a cup"}),
    ):
        generator = torch.Generator().manual_seed(0)
        made.append(door(photo, normals, generator=generator, output_type="pt", **prompt, **options))
    return made


def same(made: list[torch.Tensor]) -> bool:
    return torch.equal(*made) and bool(made[0].std() > 0.01)


def test_mini_is_the_same_by_both_doors():
    assert same(videos(ModelOptions(checkpoint="mini"), Real2Sam2RealPipeline.from_pretrained(), (64, 96)))


def test_an_adapter_on_mini_base_is_the_same_by_both_doors(tmp_path):
    config = Real2Sam2RealPipeline.from_pretrained("mini-base").transformer.config
    width = config.num_attention_heads * config.attention_head_dim
    settings = CheckpointSettings(area=64 * 96, max_frames=9, steps=2, shift=2.0, base="mini-base")
    adapter = write_adapter(tmp_path / "adapter", width, config.latent_channels, settings)
    choice = ModelOptions(checkpoint=str(adapter))
    assert same(videos(choice, Real2Sam2RealPipeline.from_pretrained(adapter), (64, 96)))
    assert load_model(locate(choice)).pipeline.scheduler.config.shift == 2.0


@pytest.mark.parametrize(("layout", "solver"), [("diffusers", "euler"), ("original", "unipc")])
def test_a_published_layout_is_the_same_by_both_doors(layouts, tmp_path, layout, solver):
    """The solver is the settings', whatever scheduler the base's layout brings."""
    base = Path(shutil.copytree(getattr(layouts, layout), tmp_path / "base"))
    if layout == "diffusers":
        scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)
        scheduler.save_pretrained(base / "scheduler")
    settings = replace(OFFICIAL_SETTINGS, area=32 * 48, max_frames=9, steps=2, solver=solver)
    adapter = write_adapter(tmp_path / "adapter", WIDTH, LATENT, settings)
    choice = ModelOptions(checkpoint=str(adapter), base=str(base), offline=True)
    for pipeline in (
        Real2Sam2RealPipeline.from_pretrained(adapter, base=base, offline=True),
        Real2Sam2RealPipeline.from_pretrained(base, adapters=[adapter], offline=True),
    ):
        assert ("UniPC" in type(pipeline.scheduler).__name__) == (solver == "unipc")
        assert same(videos(choice, pipeline, (32, 48)))
    assert same(videos(choice, pipeline, (32, 48), sampling=replace(PRESETS["balanced"], steps=6, segment_frames=9)))


def test_an_adapter_without_settings_samples_by_the_default_preset(layouts, tmp_path):
    """By Euler and a shift of 5, although the published folder in diffusers' layout brings UniPC."""
    adapter = write_adapter(tmp_path / "adapter", WIDTH, LATENT, None)
    theirs = Path(shutil.copytree(layouts.diffusers, tmp_path / "theirs"))
    unipc = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    unipc.save_pretrained(theirs / "scheduler")
    for base, adapters in ((layouts.original, [adapter]), (theirs, [adapter]), (theirs, [])):
        pipeline = Real2Sam2RealPipeline.from_pretrained(base, adapters=adapters, offline=True)
        assert pipeline.sampling == PRESETS["quality"]
        assert pipeline.resize_without_crop
        assert (type(pipeline.scheduler).__name__, pipeline.scheduler.config.shift) == (
            "FlowMatchEulerDiscreteScheduler", 5.0,
        )  # fmt: skip


def test_a_pipeline_without_settings_keeps_its_scheduler(make_pipeline, tmp_path):
    pipeline = make_pipeline()
    pipeline.register_modules(
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    )
    pipeline.save_pretrained(tmp_path)
    loaded = Real2Sam2RealPipeline.from_pretrained(tmp_path)
    assert isinstance(loaded.scheduler, UniPCMultistepScheduler)
    assert (loaded.sampling.steps, loaded.sampling.guidance_scale, loaded.sampling.segment_frames) == (25, 1.0, 81)


def test_what_was_located_names_all_that_decides():
    located = locate(ModelOptions())
    assert located.files == (find_checkpoint("mini"),)


def test_an_adapter_of_one_file_is_a_checkpoint(tmp_path):
    """As `r2s2r export comfyui` writes it, with its settings inside."""
    settings = CheckpointSettings(area=48 * 48, max_frames=9, base="mini-base", steps=3)
    pair = LowRank(down=torch.ones(1, 2), up=torch.ones(2, 1), alpha=1.0)
    one = Adapter(name="one", files=(), low_rank={"blocks.0.attn2.to_k": pair})
    save_for_comfyui(tmp_path / "one.safetensors", one, {METADATA_KEY: settings.to_json()})
    located = locate(ModelOptions(checkpoint=str(tmp_path / "one.safetensors")))
    assert located.settings == settings
    assert [adapter.path for adapter in located.adapters] == [tmp_path / "one.safetensors"]
    assert located.base.own
    assert not located.uses_presets
    assert not is_checkpoint_name(tmp_path / "one.safetensors")  # it may be a base's as well


def test_the_attention_kernel_that_is_named_runs():
    located, lines = locate(ModelOptions(checkpoint="mini")), []
    model = load_model(located, attention="native", log=lines.append)
    assert lines == ["attention: native"]
    assert {block.attn1.processor._attention_backend for block in model.pipeline.transformer.blocks} == {"native"}


@pytest.mark.parametrize(
    ("name", "message"), [("magic", "no attention kernel 'magic'; give auto"), ("sage_hub", "'sage_hub'.*cannot run")]
)
def test_an_attention_kernel_that_cannot_run_is_named_before_anything_is_loaded(monkeypatch, name, message):
    """By the option of `r2s2r generate`, on a machine without a GPU."""
    monkeypatch.setattr(loading, "inspect_machine", lambda: inspect_machine("cpu"))
    monkeypatch.setattr(loading, "load_transformer", lambda *given, **named: pytest.fail("loaded"))
    with pytest.raises(UserError, match=message):
        Generator.load(GenerateOptions(attention=name, offline=True), Progress())
