"""What an adapter may be trained on."""

from pathlib import Path

import pytest

from real2sam2real.errors import MissingPartError
from real2sam2real.lab.train.adapter.bases import find_training_base


def test_a_base_in_one_file_is_no_adapter(tmp_path: Path) -> None:
    (tmp_path / "base.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(MissingPartError, match=r"base\.safetensors is not complete\. Missing: the vae"):
        find_training_base(str(tmp_path / "base.safetensors"))
    (tmp_path / "base.gguf").write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(MissingPartError, match=r"base\.gguf is not complete"):
        find_training_base(str(tmp_path / "base.gguf"))
