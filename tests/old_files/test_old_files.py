"""What earlier versions wrote opens today: each file beside this one is as its version wrote it, small.

The scene folders and `run.json` were written by those versions themselves; the videos of controls and data sets, whose
coding has not changed, are made here.
"""

import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.control.reading import read_control
from real2sam2real.diffusion.checkpoints import SETTINGS_FILE, CheckpointSettings, load_settings
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.clip_format import ClipFormat
from real2sam2real.lab.curate.dataset import iterate_samples, read_info
from real2sam2real.lab.curate.pipeline.run import curate
from real2sam2real.lab.curate.pipeline.settings import CurationSettings, SourceVideo
from real2sam2real.lab.curate.prompts import SourcePrompt
from real2sam2real.lab.train.adapter.config import read_config
from real2sam2real.perceive.view import load_view
from real2sam2real.run.batch.making import latest_run
from real2sam2real.run.batch.records import read_shot_record
from real2sam2real.run.folder import Stage, open_run
from real2sam2real.run.progress import Progress
from real2sam2real.scene.folder import load_scene, read_scene, save_scene
from real2sam2real.scene.shot import load_shot

OLD = Path(__file__).parent
LEFT_UP_TOWARDS = NormalConvention(directions=("left", "up", "towards"))
WIDTH = HEIGHT = 16
FRAMES = 5


def drawn() -> dict[str, np.ndarray]:
    """A square that faces up to the left: the videos of a control or a sample, with its normals `(T, H, W, 3)`."""
    ids = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    ids[:, 4:12, 3:11] = 1
    normals = np.where(ids[..., None] > 0, [-0.6, 0.48, 0.64], 0).astype(np.float32)
    colors = np.where(ids[..., None] > 0, [204, 189, 209], 0).astype(np.uint8)  # red is brightest to the left
    video = np.where(ids[..., None] > 0, [200, 90, 30], [20, 40, 60]).astype(np.uint8)
    return {"video": video, "normals": colors, "ids": ids, "truth": normals}


def looks_to_the_left(normals: np.ndarray) -> None:
    truth = drawn()["truth"]
    inside = truth.any(axis=-1)
    assert np.abs(normals[inside] - truth[inside]).max() < 0.01
    assert not normals[~inside].any()


@pytest.mark.parametrize("name", ["scene_first", "scene_with_billboards"])
def test_scene_folders(tmp_path: Path, name: str) -> None:
    scene, notes = read_scene(OLD / name)
    (cup,), (lamp,) = scene.entities, scene.removed
    assert (cup.name, lamp.name) == ("cup", "lamp")
    np.testing.assert_allclose(cup.motion.translation[[0, -1]], [[0, 0, -4], [2, 0, -4]], atol=1e-6)
    np.testing.assert_allclose(cup.rest_world_from_object[:3, 3], [0, 0, -4])
    assert cup.mesh.vertex_colors is not None
    assert cup.mesh.vertex_colors[0].tolist() == [200, 40, 40]
    assert (scene.fps, scene.prompt, scene.unit, scene.ground_y) == (12.0, "a cup moves", "metre", -0.5)
    assert scene.photo is not None
    assert scene.photo[0, [0, -1]].tolist() == [[200, 120, 40], [10, 60, 180]]
    assert cup.mask is not None
    assert int(cup.mask.sum()) == 9
    assert cup.provenance == {"lifter": "mini", "seed": 3}
    np.testing.assert_allclose(scene.camera.zoom, np.linspace(1, 2, FRAMES))
    # The first version kept the camera's poses in scene.glb alone.
    np.testing.assert_allclose(scene.camera.world_from_camera[:, 0, 3], np.linspace(0, 0.4, FRAMES), atol=1e-6)
    assert (cup.relation, cup.skin) == (None, None)
    assert not [note for note in notes if "edited" in note or "removed" in note or "belongs" in note]
    if name == "scene_with_billboards":
        assert (scene.billboards[0].name, scene.billboards[0].distance, cup.facing) == ("passer-by", 7.5, 90.0)
        assert scene.background is not None
        assert float(scene.background.inverse_depth[0, 0]) == pytest.approx(0.1)
    shutil.copytree(OLD / name, tmp_path / "scene")
    save_scene(scene, tmp_path / "scene")  # in place of the old one
    again = load_scene(tmp_path / "scene")
    np.testing.assert_allclose(again.entities[0].motion.matrices(), cup.motion.matrices(), atol=1e-6)


def test_a_shot_file(tmp_path: Path) -> None:
    shot = load_shot(OLD / "shot.yaml")
    assert (shot.frames, shot.fps, shot.prompt) == (49, 16, "A red car drives off.")
    assert len(shot.camera) == 5
    assert {name: len(moves) for name, moves in shot.entities.items()} == {"car": 4, "second car": 2, "man": 2}
    (tmp_path / "again.yaml").write_text(shot.to_yaml())
    assert load_shot(tmp_path / "again.yaml") == shot


def test_a_control_folder(tmp_path: Path) -> None:
    shutil.copy(OLD / "control.json", tmp_path)
    (tmp_path / "caption.json").write_text('{"text": "a cup"}\n')
    videos = drawn()
    media.write_png(tmp_path / "source_image.png", videos["video"][0])
    for name in ("normals", "ids"):
        media.write_lossless_video(tmp_path / f"{name}.mkv", videos[name], 12.0)
    control = read_control(tmp_path)
    assert (control.prompt, control.names, control.notes) == ("a cup", ("cup",), ("a note",))
    assert control.normal_convention == LEFT_UP_TOWARDS
    looks_to_the_left(control.normal_convention.decode(control.normals, control.ids))


def test_a_data_set(tmp_path: Path) -> None:
    shutil.copy(OLD / "dataset.json", tmp_path)
    (tmp_path / "shards").mkdir()
    videos = drawn()
    with tarfile.open(tmp_path / "shards" / "shard-000000.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for part in ("video", "normals", "ids"):
            media.write_lossless_video(tmp_path / "v.mkv", videos[part], 12.0)
            tar.add(tmp_path / "v.mkv", f"000000-a-b_000_000.{part}.mkv")
        described = tarfile.TarInfo("000000-a-b_000_000.json")
        described.size = (OLD / "sample.json").stat().st_size
        tar.addfile(described, io.BytesIO((OLD / "sample.json").read_bytes()))
    assert read_info(tmp_path).normal_convention == LEFT_UP_TOWARDS
    (sample,) = iterate_samples(tmp_path)
    assert (sample.caption, sample.labels, sample.record["source"]) == ("a cup – turning", {1: "cup"}, "a b.mp4")
    assert np.array_equal(sample.video, videos["video"])
    looks_to_the_left(sample.normals)


def curation() -> tuple[list[SourceVideo], CurationSettings]:
    prompt = SourcePrompt(label="cup", box=(1, 2, 9, 12))
    sources = [SourceVideo(key="000000-a-b", path="a b.mp4", prompts=(prompt,))]
    return sources, CurationSettings(clip_format=ClipFormat(width=16, height=16, frames=5, fps=12), licence="own")


def test_a_curation_s_settings_keep_their_meaning(tmp_path: Path) -> None:
    """Their names have changed since, which makes no difference; limits that came to them do, and are named."""
    for name in ("curation.json", "dataset.json", "manifest.jsonl"):
        shutil.copy(OLD / name, tmp_path)
    sources, settings = curation()
    with pytest.raises(UserError, match="holds a curation with another") as caught:
        curate(sources, settings, tmp_path)
    differing = str(caught.value).partition("another ")[2].partition(";")[0].split(", ")
    assert {name.rpartition(".")[0] for name in differing} == {"settings.limits", "settings.quality_filter"}
    plan = json.loads((tmp_path / "curation.json").read_text())
    plan["settings"]["limits"] = vars(settings.limits)
    plan["settings"]["gate"] = vars(settings.quality_filter)
    (tmp_path / "curation.json").write_text(json.dumps(plan))
    result = curate(sources, settings, tmp_path)
    assert (result.samples, result.count("kept"), result.count("dropped")) == (1, 1, 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("checkpoint_first.json", CheckpointSettings(area=36864, max_frames=49, steps=4, init="preview", strength=0.3)),
        (
            "checkpoint_of_adapter.json",
            CheckpointSettings(area=36864, max_frames=49, steps=4, init="preview", strength=0.3, base="mini-base"),
        ),
    ],
)
def test_settings_of_checkpoints(tmp_path: Path, name: str, expected: CheckpointSettings) -> None:
    shutil.copy(OLD / name, tmp_path / SETTINGS_FILE)
    assert load_settings(tmp_path) == expected


def test_an_adapter_folder(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from real2sam2real.diffusion.weights.adapter_file import LORA_FILE, POSE_FILE, read_adapter

    for name, copied in (("checkpoint_of_adapter.json", SETTINGS_FILE), ("adapter_config.json", "adapter_config.json")):
        shutil.copy(OLD / name, tmp_path / copied)
    modules = ("self_attn.q", "cross_attn.k", "ffn.0")
    tensors = {f"blocks.0.{m}.lora_A.weight": torch.ones(16, 8) for m in modules}
    save_file({**tensors, **{f"blocks.0.{m}.lora_B.weight": torch.ones(8, 16) for m in modules}}, tmp_path / LORA_FILE)
    save_file({"weight": torch.ones(8, 4, 1, 2, 2), "bias": torch.ones(8)}, tmp_path / POSE_FILE)
    adapter = read_adapter(tmp_path)
    assert {pair.scale for pair in adapter.low_rank.values()} == {0.5}  # alpha 8 at rank 16
    assert set(adapter.low_rank) == {"blocks.0.attn1.to_q", "blocks.0.attn2.to_k", "blocks.0.ffn.net.0.proj"}
    assert set(adapter.replacements) == {"pose_patch_embedding.weight", "pose_patch_embedding.bias"}


def test_a_training_s_recipe() -> None:
    config = read_config(OLD / "adapter_training.yaml")
    assert (config.base, config.dataset, config.rank, config.steps) == ("mini", "curated", 16, 200)
    assert (config.warmup_steps, config.decay_fraction, config.batch_size, config.checkpoint_every) == (20, 0.5, 4, 50)
    assert (config.activations, config.base_dtype, config.bf16) == ("keep", "plain", True)
    assert config.ranges.bend_scale == (0.06, 0.2)


def test_a_run_folder(tmp_path: Path) -> None:
    """What is unchanged since is not taken for edited by hand, and what is edited is kept."""
    shutil.copytree(OLD / "run", tmp_path / "run")
    place = tmp_path / "run"
    (place / "letters").mkdir()
    for name, text in (("copy.txt", "hello"), ("shout.txt", "HELLO"), ("letters/a.txt", "HELLO, by hand")):
        (place / name).write_text(text)

    def shout(made: Path) -> list[str]:
        (made / "letters").mkdir()
        for name in ("shout.txt", "letters/a.txt"):
            (made / name).write_text("ANEW")
        return []

    stage = Stage(
        name="shout", title="shout", code=("run",), settings=1, inputs=(place / "copy.txt",),
        outputs=("shout.txt", "letters"), work=shout,
    )  # fmt: skip
    with open_run(place, command=["r2s2r", "run"], config={}, progress=Progress()) as folder:
        assert folder.records["copy"].notes == ["copy was done"]
        folder.do(stage)
    assert folder.records["copy"].outputs.keys() == {"copy.txt"}
    assert (place / "letters-edited-1" / "a.txt").read_text() == "HELLO, by hand"
    assert not list(place.glob("shout-edited*"))
    assert (place / "shout.txt").read_text() == "ANEW"
    assert json.loads((place / "run.json").read_text())["stages"].keys() == {"copy", "shout"}


def test_a_batch(tmp_path: Path) -> None:
    shutil.copy(OLD / "batch.json", tmp_path)
    assert latest_run(tmp_path) == "0123456789abcdef"
    shutil.copy(OLD / "shot_record.json", tmp_path / "shot.json")
    (tmp_path / "generated.mp4").write_bytes(b"hello")
    record = read_shot_record(tmp_path)
    assert record is not None
    assert (record.shot, record.status, record.notes) == ("street/orbit", "done", ("a note",))
    assert record.video is not None
    assert record.video.fits(tmp_path / "generated.mp4")


def test_what_a_photo_says_of_its_camera(tmp_path: Path) -> None:
    shutil.copy(OLD / "view.json", tmp_path)
    view = load_view(tmp_path)
    assert (view.intrinsics.width, view.intrinsics.fx, view.unit, view.notes) == (640, 500.0, "metre", ("a note",))
    assert view.ground is not None
    assert view.ground.offset == -1.6
