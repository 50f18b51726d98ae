"""Weight files that are odd, damaged or hostile: the right tensors, or one clear word, at once."""

import json
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from real2sam2real.diffusion.weights.adapter_file import read_adapter
from real2sam2real.diffusion.weights.base import BaseSource
from real2sam2real.diffusion.weights.config import config_from_shapes
from real2sam2real.diffusion.weights.files import open_tensors
from real2sam2real.diffusion.weights.load import load_scheduler
from real2sam2real.errors import UserError


def gguf_bytes(fields: bytes = b"", count: int = 0, tensors: bytes = b"", held: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, held, count) + fields + tensors


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def field(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def tensor_entry(name: str, sizes: tuple[int, ...], kind: int = 0, at: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, at)


# An array of arrays of arrays …, each of which says that it holds millions of the next.
BOMB = b"".join(struct.pack("<IQ", 9, 4_000_000) for _ in range(2000))
ONE = tensor_entry("a", (4,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gguf_bytes(field("x", 9, BOMB), 1), "more than 5,000,000 entries"),
        (gguf_bytes(field("x", 9, struct.pack("<IQ", 8, 2**62)), 1), "more than 5,000,000 entries"),
        (gguf_bytes(field("x", 9, struct.pack("<IQ", 4, 2**61)), 1), "its header needs .* bytes"),
        (gguf_bytes(field("x", 8, struct.pack("<Q", 2**63)), 1), "its header needs"),
        (gguf_bytes(field("x", 77, b""), 1), "of the type 77, which does not exist"),
        (gguf_bytes(count=2**60), "its header needs"),
        (gguf_bytes(tensors=ONE, held=1), "'a' needs 16 bytes at"),
        (gguf_bytes(tensors=ONE + ONE + bytes(64), held=2), "it holds 'a' twice"),
        (gguf_bytes(tensors=tensor_entry("a", (4,), kind=999) + bytes(64), held=1), "in the form 999"),
        (gguf_bytes(tensors=tensor_entry("a", (33,), kind=8) + bytes(64), held=1), "no multiple of Q8_0's blocks"),
        (gguf_bytes(tensors=text("a") + struct.pack("<I", 2**31), held=1), "dimensions"),
        (gguf_bytes(field("general.alignment", 4, struct.pack("<I", 24)), 1), "alignment is 24"),
        (gguf_bytes(version=1), "version 1; versions 2 and 3"),
        (gguf_bytes(version=0x03000000), "the other byte order"),
        (gguf_bytes()[:9], "its header needs"),
    ],
)
def test_gguf_that_claims_what_it_does_not_hold_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"odd.gguf.*{message}"):
        open_tensors(path)


def test_gguf_of_other_converters_is_read(tmp_path: Path) -> None:
    """A vocabulary, another alignment, names that are no UTF-8, a number alone."""
    path, values = tmp_path / "odd.gguf", np.arange(6, dtype=np.float32).reshape(2, 3)
    writer = gguf.GGUFWriter(path, arch="wan")
    writer.add_custom_alignment(64)
    writer.add_array("tokenizer.ggml.tokens", ["a", "bc", ""] * 100)
    writer.add_array("comfy.gguf.orig_shape.w", [3, 1, 2])
    writer.add_bool("x", True)
    writer.add_tensor("w", values)
    writer.add_tensor("b", np.array([7.0], np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.write_bytes(path.read_bytes().replace(b"tokenizer.ggml", b"tokeniz\xff\xff.ggml"[:14]))
    read = open_tensors(path)
    assert read["w"].read().tolist() == values.reshape(3, 1, 2).tolist()
    assert read["b"].read().tolist() == [7.0]


def test_pickles_that_are_damaged_end_in_one_word(tmp_path: Path) -> None:
    """Every cut, and a change of every tenth byte, of both makes of file."""
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}
    path, refused = tmp_path / "odd.pt", []
    for old in (True, False):
        torch.save(state, path, _use_new_zipfile_serialization=not old)
        whole = path.read_bytes()
        spoiled = [whole[:cut] for cut in range(33, len(whole), 29)]
        spoiled += [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(0, 400, 10)]
        for data in spoiled:
            path.write_bytes(data)
            try:
                {key: tensor.read() for key, tensor in open_tensors(path).items()}
            except UserError as error:
                refused.append(str(error))
    assert len(refused) > 60
    assert all("odd.pt" in word and "weights_only" not in word for word in refused)  # no advice to run what it holds


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": torch.zeros(1).expand(10**6, 10**6)}, "'a' would be 1,000,000,000,000 values"),
        ({3: torch.zeros(2)}, "the key 3, which is no name"),
        ({"a": torch.eye(3).to_sparse()}, "sparse_coo tensor under 'a'"),
        ({"epoch": 3}, "a int under 'epoch'"),
        ([torch.zeros(2)], "a list"),
    ],
)
def test_pickles_of_no_named_tensors_say_what_they_hold(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "odd.pt")
    with pytest.raises(UserError, match=message):
        open_tensors(tmp_path / "odd.pt")


LAYER = "diffusion_model.blocks.0.self_attn.q"
DOWN, UP = torch.ones(2, 8), torch.ones(8, 2)


def lora(folder: Path, changes: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> Path:
    """A ComfyUI file of one pair, with changes to it."""
    pair = {f"{LAYER}.lora_down.weight": DOWN, f"{LAYER}.lora_up.weight": UP}
    save_file({**pair, **{LAYER + key: value for key, value in changes.items()}}, folder / "odd.safetensors", metadata)
    return folder / "odd.safetensors"


@pytest.mark.parametrize("alpha", [torch.tensor(4), torch.tensor([4.0]), torch.tensor([[4.0]], dtype=torch.float16)])
def test_an_alpha_of_any_make_is_read(tmp_path: Path, alpha: torch.Tensor) -> None:
    pair = read_adapter(lora(tmp_path, {".alpha": alpha})).low_rank["blocks.0.attn1.to_q"]
    assert pair.scale == 2.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({".alpha": torch.zeros(2)}, "is 2 numbers, not one"),
        ({".alpha": torch.zeros(0)}, "is 0 numbers, not one"),
        ({".alpha": torch.tensor(float("nan"))}, "alpha' holds numbers that are not finite"),
        ({".lora_down.weight": torch.full((2, 8), float("inf"))}, "not finite"),
        ({".lora_down.weight": torch.ones(2, 8, dtype=torch.int64)}, "holds int64, where floating-point"),
        ({".lora_down.weight": torch.ones(0, 8), ".lora_up.weight": torch.ones(8, 0)}, "does not fit together"),
        ({".diff": torch.ones(8, 8, dtype=torch.bool)}, "holds bool"),
    ],
)
def test_adapters_that_cannot_be_computed_with_are_refused(
    tmp_path: Path, changes: dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(UserError, match=rf"odd\.safetensors.*{message}"):
        read_adapter(lora(tmp_path, changes))


@pytest.mark.parametrize(
    "settings",
    ["[" * 20_000, '{"lora_alpha": "x"}', '{"lora_alpha": NaN}', '{"lora_alpha": 4, "alpha_pattern": [1]}',
     '{"lora_alpha": 4, "alpha_pattern": {"blocks.0.attn1.to_q": null}}', "3"],
)  # fmt: skip
def test_settings_that_are_none_are_refused(tmp_path: Path, settings: str) -> None:
    with pytest.raises(UserError, match=r"the metadata of .* cannot be used"):
        read_adapter(lora(tmp_path, {}, {"lora_adapter_metadata": settings}))


def test_settings_in_latin_1_are_named(tmp_path: Path) -> None:
    lora(tmp_path, {}).rename(tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_bytes('{"lora_alpha": 4, "base": "é"}'.encode("latin-1"))
    with pytest.raises(UserError, match=r"adapter_config\.json: the adapter's settings is not text in UTF-8"):
        read_adapter(tmp_path / "adapter_model.safetensors")


def test_sizes_that_no_model_has_are_refused_before_it_is_built() -> None:
    shapes = {
        "patch_embedding.weight": (128, 12, 1, 2, 2),
        "pose_patch_embedding.weight": (128, 4, 1, 2, 2),
        "condition_embedder.text_embedder.linear_1.weight": (128, 32),
        "condition_embedder.time_embedder.linear_1.weight": (128, 32),
        "blocks.0.ffn.net.0.proj.weight": (64, 128),
    }
    assert config_from_shapes(shapes, Path("x"))["num_layers"] == 1
    for key, shape, message in (
        ("blocks.99999999999999999999.x", (1,), "no layer 1"),
        ("pose_patch_embedding.weight", (128,), "with 5 sizes above zero"),
        ("blocks.0.ffn.net.0.proj.weight", (0, 10**18), "with 2 sizes above zero"),
    ):
        with pytest.raises(UserError, match=message):
            config_from_shapes({**shapes, key: shape}, Path("x"))


def test_a_header_of_odd_json_is_refused(tmp_path: Path) -> None:
    for header in ('{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}', "{" * 5000, '{"a": 3}'):
        data = header.encode()
        (tmp_path / "odd.safetensors").write_bytes(struct.pack("<Q", len(data)) + data + bytes(4))
        with pytest.raises(UserError, match=r"odd\.safetensors"):
            open_tensors(tmp_path / "odd.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_train_timesteps": 10**12}, "num_train_timesteps is 1000000000000"),
        ({"num_train_timesteps": None}, "cannot be built"),
        ({"time_shift_type": "odd"}, "cannot be built: .*time_shift_type"),
    ],
)
def test_configs_that_nothing_can_be_built_of_are_named(tmp_path: Path, change: dict, message: str) -> None:
    told = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, **change}
    (tmp_path / "scheduler_config.json").write_text(json.dumps(told))
    source = BaseSource(name="x", layout="original", transformer=(), scheduler=tmp_path)
    with pytest.raises(UserError, match=rf"scheduler_config\.json.*{message}"):
        load_scheduler(source)
