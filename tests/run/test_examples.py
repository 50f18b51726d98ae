"""The examples run as they stand, in one process so that nothing is imported thirty times."""

import functools
import runpy
from pathlib import Path

import pytest

from real2sam2real import api

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
SLOW = ("lift_from_a_box",)  # its networks look at the photo ten times; perceive/segment/test_embedded.py


@pytest.fixture(scope="module", autouse=True)
def lifted_once():
    """Most examples lift the same photo: scenes are values, so that all of them may have the same one."""
    known = {}
    with pytest.MonkeyPatch.context() as patch:
        lift = api.lift

        @functools.wraps(lift)
        def cached(photo, objects, **options):
            key = repr((photo, objects, options))
            if key not in known:
                known[key] = lift(photo, objects, **options)
            return known[key]

        patch.setattr(api, "lift", cached)
        yield


@pytest.mark.parametrize(
    "example",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in SLOW)) for path in EXAMPLES],
)
def test_example_runs(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = next(
        line for line in example.read_text(encoding="utf-8").splitlines() if line.startswith("python examples/")
    )
    out = tmp_path / usage.split()[-1]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(example), str(out)])
    runpy.run_path(str(example), run_name="__main__")
    assert out.name in capsys.readouterr().out
    assert out.exists()


def test_there_are_examples_to_run() -> None:
    assert len(EXAMPLES) >= 24
