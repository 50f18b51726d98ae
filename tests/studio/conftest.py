"""What the studio's tests share."""

from pathlib import Path

import pytest


@pytest.fixture
def job_program(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a job's program with kinds of jobs for tests."""
    import os

    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    )
    return "job_program"
