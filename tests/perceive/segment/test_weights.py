import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.sam2 import Sam2
from real2sam2real.perceive.segment.sam3 import Sam3

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


def options_at(folder: Path) -> SegmentOptions:
    return SegmentOptions(segmenter="sam2", sam2=str(folder), sam3=str(folder), device="cpu", offline=True)


def edited(checkpoint: Any, folder: Path, change: Any = None, **config: object) -> Path:
    """A copy of a checkpoint whose tensors went through `change` and whose config has other values."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(checkpoint.folder, folder, dirs_exist_ok=True)
    if change is not None:
        tensors = change(load_file(folder / "model.safetensors"))
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
    return folder


def assert_same(one: Any, other: Any) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_folder_is_loaded_whole(sam2_checkpoint: Any) -> None:
    assert_same(Sam2.load(options_at(sam2_checkpoint.folder)).model, sam2_checkpoint.model)


def test_the_published_form_is_loaded_which_is_a_video_models(
    sam2_checkpoint: Any, tiny_models: ModuleType, tmp_path: Path
) -> None:
    published = tiny_models.save_sam2_video(tmp_path, sam2_checkpoint.model).state_dict()
    ours = Sam2.load(options_at(tmp_path)).model.state_dict()
    assert len(ours) < len(published)
    assert all(torch.equal(ours[key], published[key]) for key in ours)


@pytest.mark.parametrize(
    "left_out", ["shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding"]
)
def test_one_of_two_twins_is_enough(sam2_checkpoint: Any, tmp_path: Path, left_out: str) -> None:
    def with_one(tensors: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in tensors.items() if key != left_out}

    model = Sam2.load(options_at(edited(sam2_checkpoint, tmp_path, with_one))).model
    assert torch.equal(
        model.shared_image_embedding.positional_embedding, model.prompt_encoder.shared_embedding.positional_embedding
    )


def test_sam3_is_loaded_from_a_video_models_file(sam3_checkpoint: Any, tmp_path: Path) -> None:
    def as_part(tensors: dict[str, Any]) -> dict[str, Any]:
        parts = {f"detector_model.{key}": value for key, value in tensors.items()}
        return {**parts, "tracker_model.weight": torch.zeros(2)}

    detector = json.loads((sam3_checkpoint.folder / "config.json").read_text())
    folder = edited(sam3_checkpoint, tmp_path, as_part, model_type="sam3_video", detector_config=detector)
    assert_same(Sam3.load(options_at(folder)).model, sam3_checkpoint.model)


def test_missing_weights_are_refused_not_made_up(sam3_checkpoint: Any, tmp_path: Path) -> None:
    def without_text(tensors: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in tensors.items() if not key.startswith("text_projection")}

    with pytest.raises(UserError, match=r"lacks 2 weights of Sam3Model, such as text_projection\.bias"):
        Sam3.load(options_at(edited(sam3_checkpoint, tmp_path, without_text)))


def test_weights_of_another_shape_are_refused(sam2_checkpoint: Any, tmp_path: Path) -> None:
    def wider(tensors: dict[str, Any]) -> dict[str, Any]:
        return {**tensors, "no_memory_embedding": torch.zeros(1, 1, 48)}

    with pytest.raises(UserError, match="no_memory_embedding"):
        Sam2.load(options_at(edited(sam2_checkpoint, tmp_path, wider)))


def test_damaged_and_foreign_folders_say_what_is_wrong(
    sam2_checkpoint: Any, grounding_checkpoint: Any, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="type mm-grounding-dino; sam2 or sam2_video is needed"):
        Sam2.load(options_at(grounding_checkpoint.folder))
    with pytest.raises(MissingPartError, match=r"no config\.json"):
        Sam2.load(options_at(tmp_path))
    shutil.copytree(sam2_checkpoint.folder, tmp_path, dirs_exist_ok=True)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(UserError, match="cannot be loaded as Sam2Model"):
        Sam2.load(options_at(tmp_path))
    weights.unlink()
    with pytest.raises(MissingPartError, match=r"no \.safetensors file"):
        Sam2.load(options_at(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        Sam2.load(options_at(tmp_path))


def test_a_frame_of_another_size_is_refused(sam2_checkpoint: Any, tmp_path: Path) -> None:
    folder = edited(sam2_checkpoint, tmp_path)
    file = folder / "preprocessor_config.json"
    file.write_text(file.read_text().replace("128", "256"))
    with pytest.raises(UserError, match="made for 128×128"):
        Sam2.load(options_at(folder))


def test_a_refused_access_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import GatedRepoError

    def refuse(repo: str, **_: object) -> str:
        # Made without its initialiser, which wants a response of whichever HTTP client the hub's package uses.
        raise GatedRepoError.__new__(GatedRepoError, f"access to {repo} is restricted")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(MissingPartError, match=r"refuses facebook/sam3.*ask for access.*hf auth login"):
        Sam3.load(SegmentOptions(segmenter="sam3", device="cpu"))


def test_a_missing_or_old_transformers_is_named(
    sam2_checkpoint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ModuleType("transformers")
    old.__version__ = "4.40"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", old)
    with pytest.raises(MissingPartError, match=r"4\.40 does not know Sam2Model.*pip install"):
        Sam2.load(options_at(sam2_checkpoint.folder))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPartError, match="transformers, which is not installed: pip install"):
        Sam2.load(options_at(sam2_checkpoint.folder))
