"""The whole way with a base model and adapters, on tiny random weights in the real layouts."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors.torch import save_file

from real2sam2real import media
from real2sam2real.control.folder import Control, save_control
from real2sam2real.diffusion import ranks
from real2sam2real.diffusion.checkpoints import OFFICIAL_SETTINGS, SETTINGS_FILE
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline, locate, sampling_of
from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import UserError
from real2sam2real.run.generating import (
    Generator,
    _on_this_rank,
    generate_to_file,
)
from real2sam2real.run.progress import Progress

HEIGHT, WIDTH = 32, 48
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def parts():
    spec = importlib.util.spec_from_file_location("wan_animate", TESTS / "diffusion" / "wan_animate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def base(parts, tmp_path_factory):
    """A base in diffusers' layout, as `WanAnimatePipeline` saves it."""
    from diffusers import WanAnimatePipeline

    encoder, tokenizer = parts.text_encoder()
    image_encoder, image_processor = parts.image_encoder()
    folder = tmp_path_factory.mktemp("base")
    WanAnimatePipeline(
        vae=parts.vae(),
        text_encoder=encoder,
        tokenizer=tokenizer,
        image_encoder=image_encoder,
        image_processor=image_processor,
        transformer=parts.wan_animate_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
    ).save_pretrained(folder)
    return folder


def write_adapter(folder, *, zero=False, settings=True):
    """The official files for the tiny transformer: width 24, feed-forward 32, rank 4."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(7)

    def rand(*shape):
        return torch.zeros(shape) if zero else torch.randn(shape, generator=generator) * 0.1

    lora = {}
    for block in range(2):
        for name, outputs, inputs in (("self_attn.q", 24, 24), ("cross_attn.v", 24, 24), ("ffn.0", 32, 24)):
            lora[f"blocks.{block}.{name}.lora_A.weight"] = rand(4, inputs)
            lora[f"blocks.{block}.{name}.lora_B.weight"] = rand(outputs, 4)
    save_file(lora, folder / "lora_diffusion_pytorch_model.safetensors")
    if not zero:
        patch = {"weight": rand(24, 4, 1, 2, 2), "bias": rand(24)}
        save_file(patch, folder / "pose_patch_embedding.safetensors")
    if settings:
        tiny = replace(OFFICIAL_SETTINGS, area=HEIGHT * WIDTH, max_frames=9, steps=2)
        (folder / SETTINGS_FILE).write_text(tiny.to_json())
    return folder


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return write_adapter(tmp_path_factory.mktemp("adapters") / "ours")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("R2S2R_CACHE", str(tmp_path / "cache"))


def write_control(folder, frames):
    rng = np.random.default_rng(0)
    normals = rng.integers(60, 256, (frames, HEIGHT, WIDTH, 3), dtype=np.uint8)
    ids = np.ones((frames, HEIGHT, WIDTH), np.uint8)
    photo = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    save_control(folder, Control(normals=normals, ids=ids, photo=photo, prompt="red blue", fps=16.0))
    return folder


def options(base, adapter, **changes):
    return GenerateOptions(**{"base": str(base), "checkpoint": str(adapter), "offline": True, **changes})


def test_a_base_with_an_adapter_makes_a_video(base, adapter, tmp_path):
    control = write_control(tmp_path / "control", 9)
    notes = generate_to_file(control, options(base, adapter), tmp_path / "v.mp4", Progress())
    assert media.read_video(tmp_path / "v.mp4").shape == (9, HEIGHT, WIDTH, 3)
    assert any("memory plan cpu" in note for note in notes)
    assert any("6 low-rank pairs at scale 8" in note for note in notes)  # alpha 32, rank 4
    assert any("4 passes" in note for note in notes)  # two steps with guidance


def test_the_text_encoder_is_loaded_for_new_prompts_only(base, adapter, tmp_path):
    said = []
    progress = Progress()
    progress.info = said.append
    control = write_control(tmp_path / "control", 5)
    for name in ("a", "b"):
        generate_to_file(control, options(base, adapter), tmp_path / f"{name}.mp4", progress)
    assert sum("text encoder" in line for line in said) == 2  # the prompt and the negative prompt, once
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_an_adapter_of_zeros_changes_nothing_and_another_does(base, adapter, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    normals = np.random.default_rng(1).integers(0, 256, (5, HEIGHT, WIDTH, 3), dtype=np.uint8)

    def made(*adapters):
        pipeline = Real2Sam2RealPipeline.from_pretrained(base, adapters=adapters, offline=True)
        pipeline.set_progress_bar_config(disable=True)
        generator = torch.Generator().manual_seed(0)
        return pipeline(photo, normals, prompt="red", num_inference_steps=2, generator=generator, output_type="pt")

    plain = made()
    assert torch.equal(made(write_adapter(tmp_path / "nothing", zero=True)), plain)
    assert (made(adapter) - plain).abs().max() > 1e-3


def cut_in_the_second_segment(generator, control, path):
    kept = generator._chunks

    def cut_short(*arguments, **options):
        for chunk in kept(*arguments, **options):
            if chunk.index == 1:
                raise KeyboardInterrupt
            yield chunk

    generator._chunks = cut_short
    with pytest.raises(KeyboardInterrupt):
        generator.to_file(control, path, Progress())
    generator._chunks = kept
    assert not path.exists()
    assert len(list(path.with_name(f".{path.name}.segments").glob("*.mkv"))) == 1


def segments_made(generator, control, path):
    asked = []
    generator._observer = lambda advance: lambda pipeline, *_: asked.append(pipeline.segment)
    generator.to_file(control, path, Progress())
    return set(asked)


def test_longer_shots_are_made_by_segments_and_go_on_after_an_interruption(base, adapter, tmp_path):
    control = write_control(tmp_path / "control", 17)
    given = options(base, adapter, guidance=1.0)
    generate_to_file(control, given, tmp_path / "whole.mp4", Progress())
    assert len(media.read_video(tmp_path / "whole.mp4")) == 17
    generator = Generator.load(given, Progress())
    cut_in_the_second_segment(generator, control, tmp_path / "cut.mp4")
    assert segments_made(generator, control, tmp_path / "cut.mp4") == {1, 2}
    assert (tmp_path / "cut.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert not (tmp_path / ".cut.mp4.segments").exists()


def test_segments_that_were_rounded_otherwise_are_made_anew(base, adapter, tmp_path):
    """What "auto" comes to may change between two runs: a compiler that was installed, another card."""
    control = write_control(tmp_path / "control", 17)
    generator = Generator.load(options(base, adapter, guidance=1.0, steps=1), Progress())
    assert generator.model.resolved == {"memory": "cpu", "compile": "off", "attention": "native"}
    cut_in_the_second_segment(generator, control, tmp_path / "v.mp4")
    generator.model = replace(generator.model, resolved={**generator.model.resolved, "compile": "on"})
    assert segments_made(generator, control, tmp_path / "v.mp4") == {0, 1, 2}


def test_how_it_is_compiled_decides_a_run_where_it_is_asked_for():
    hashes = {json.dumps(GenerateOptions(compile=one).decisive(), sort_keys=True) for one in ("auto", "on", "off")}
    assert len(hashes) == 3
    assert "compile" not in GenerateOptions().decisive()


def test_the_official_preset_takes_the_authors_folders(base, adapter, tmp_path):
    """A photo of another shape, no caption, 32 frames a second; and the official video of a folder of ours."""
    theirs, ours = tmp_path / "case", write_control(tmp_path / "control", 9)
    theirs.mkdir()
    with media.video_writer(theirs / "object_animation_normal.mp4", 32) as writer:
        for frame in media.read_video(ours / "normals.mkv"):
            writer.add(frame)
    media.write_png(theirs / "source_image.png", np.full((20, 20, 3), 200, np.uint8))
    given = options(base, adapter, preset="official", seed=42, guidance=1.0, steps=1)
    for folder, frames in ((theirs, 5), (ours, 9)):
        notes = generate_to_file(folder, given, tmp_path / "v.mp4", Progress())
        info = media.video_info(tmp_path / "v.mp4")
        assert (info.width, info.height, info.frames, info.fps) == (64, 32, frames, 16)
        assert any(f"64×32, {frames} frames at 16" in note for note in notes)
        assert any("lossy normals" in note for note in notes)
    with pytest.raises(UserError, match="starts from noise"):
        generate_to_file(ours, replace(given, init="preview"), tmp_path / "v.mp4", Progress())


def test_presets_name_their_passes(base, tmp_path):
    plain = write_adapter(tmp_path / "plain", settings=False)

    def sampling(**changes):
        given = options(base, plain, **changes)
        return sampling_of(given, locate(given))

    assert (sampling().name, sampling().passes(81)) == ("quality", 50)
    for name, passes in (("official", 100), ("balanced", 24), ("fast", 4)):
        assert sampling(preset=name).passes(81) == passes
    assert sampling(preset="balanced", guidance=1.0).passes(81) == 12
    assert sampling(steps=10).passes(81) == 20
    assert sampling(guided_steps=13, guidance_interval=2).passes(81) == 44
    assert sampling().passes(161) == 150  # three segments


def test_what_cannot_be_used_is_named(base, adapter, tmp_path):
    for changes, message in (
        ({"memory": "resident"}, "there is no GPU"),
        ({"memory": "tiny"}, "no memory plan 'tiny'"),
        ({"lora": (f"{adapter}=heavy",)}, "'heavy' is no number"),
        ({"lora": (str(tmp_path / "gone.safetensors"),)}, "gone.safetensors"),
        ({"base": str(tmp_path)}, str(tmp_path)),
        ({"checkpoint": "mini", "preset": "quality"}, "reads no text"),
        ({"normal_convention": "upside-down"}, "no normal convention"),
    ):
        with pytest.raises(UserError, match=message):
            Generator.load(replace(options(base, adapter), **changes), Progress())


def test_two_ranks_share_a_long_shot(base, adapter, tmp_path, processes, monkeypatch):
    processes.preload()
    monkeypatch.setattr(ranks, "START_METHOD", "forkserver")  # from the tests' server, which has torch loaded
    control = write_control(tmp_path / "control", 13)
    given = options(base, adapter, guidance=1.0)
    generate_to_file(control, given, tmp_path / "one.mp4", Progress())
    work = (control, given, tmp_path / "two.mp4", True, False)
    notes = ranks.run_on_ranks(2, _on_this_rank, work, device="cpu")
    assert any("2 segments" in note for note in notes)
    one, two = (media.read_video(tmp_path / name).astype(int) for name in ("one.mp4", "two.mp4"))
    assert np.abs(one - two).max() <= 3  # bfloat16 sums in another order, then H.264
    assert sorted(path.name for path in tmp_path.iterdir() if "two" in path.name) == ["two.mp4"]
