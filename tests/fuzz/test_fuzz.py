"""Whatever is read is read or refused with a message; and the fuzzer sees where it is not."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def runner() -> Iterator[ModuleType]:
    """The fuzzer, importable here and in the processes that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2]))
        yield importlib.import_module("tests.fuzz.runner")


def test_the_fuzzer_sees_what_is_read_badly(runner: ModuleType) -> None:
    expected = {
        "refused": None,
        "raises": "KeyError: 'damaged'",
        "hangs": "took more than 1 s",
        "dies": "killed the process, with status 3",
        "grows": "took more than 0.25 GiB of memory",
        "no seed": "UserError: it is damaged",
    }
    limits = runner.Limits(seconds=1, memory=1 << 28)
    report = runner.fuzz(list(expected), [0, 1], limits=limits, kinds="tests.fuzz.faulty")
    for name, told in expected.items():
        found = [finding.told for finding in report.findings if finding.kind == name]
        assert len(found) == {"refused": 0, "no seed": 1}.get(name, 2)
        assert all(told in each for each in found)
    assert report.verdicts["refused"] == {"refused": 2}


def test_a_mutant_is_the_same_again(runner: ModuleType, tmp_path: Path) -> None:
    worker, registry = importlib.import_module("tests.fuzz.worker"), importlib.import_module("tests.fuzz.registry")
    kind = registry.known_kinds()["marks"]
    first, again = (
        worker.mutant(kind, 3, 7, worker.Seeds(tmp_path / name), tmp_path / name / "mutant")[0].read_bytes()
        for name in ("a", "b")
    )
    assert first == again


def test_every_kind_is_read_or_refused(runner: ModuleType) -> None:
    """A few mutants each, which may have to compile kernels; many, by the limit of time, by `python -m tests.fuzz`."""
    kinds = importlib.import_module("tests.fuzz.registry").known_kinds()
    pipes = range(-2, -10, -1)
    report = runner.fuzz(list(kinds), [*range(8), *pipes], limits=runner.Limits(seconds=90))
    assert not report.findings, str(report)
    assert set(report.verdicts) == set(kinds)
