"""Devices, packages and what prepares inputs; loading itself is tested with the models that use it."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from real2sam2real.errors import MissingPartError, UserError, require
from real2sam2real.pretrained.models import choose_device, load_processing, transformers_class

torch = pytest.importorskip("torch")


def test_devices_that_are_not_there_are_refused() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("gpu", "mps", f"cuda:{torch.cuda.device_count()}"):
        with pytest.raises(UserError, match=name):
            choose_device(name)


def test_a_missing_package_is_told_as_its_user_says() -> None:
    assert require("json", "") is sys.modules["json"]
    with pytest.raises(MissingPartError, match=r"^frobs need frob: pip install frob$"):
        require("frob.nicate", "frobs need frob: pip install frob")


def test_a_missing_or_old_transformers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModuleType("transformers")
    old.__version__ = "4.40"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", old)
    with pytest.raises(MissingPartError, match=r"4\.40 does not know Sam2Model.*pip install"):
        transformers_class("Sam2Model")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(MissingPartError, match="holds no tokenizer that can be read"):
        load_processing("AutoTokenizer", tmp_path, "tokenizer")
