"""Small sets of cases, made once for the tests that only read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from real2sam2real.lab.evaluate.case_making import CaseOptions, make_cases
from real2sam2real.lab.evaluate.case_set import CaseSet, open_cases


@pytest.fixture(scope="session")
def camera_cases(tmp_path_factory: pytest.TempPathFactory) -> CaseSet:
    folder: Path = tmp_path_factory.mktemp("cases") / "camera"
    make_cases(folder, CaseOptions(kind="camera", count=2, frames=9, width=320, height=180))
    return open_cases(folder)
