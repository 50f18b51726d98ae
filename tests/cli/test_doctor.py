"""`r2s2r doctor` tells what would happen, and loads nothing."""

import pytest

from real2sam2real.cli.main import main
from real2sam2real.diffusion.memory.machine import Machine
from real2sam2real.run import doctor


def report(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *arguments])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_a_machine_without_a_gpu_is_told_plainly(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    status, out, _ = report(capsys, "--size", "256x144", "--frames", "9", "--base", str(tmp_path / "nothing"))
    assert status == 0
    assert "torch finds no GPU" in out
    assert "mini       found:" in out
    assert "base       " in out
    assert "resident" in out
    assert "there is no GPU" in out
    for preset in ("official", "quality", "balanced", "fast"):
        assert preset in out


@pytest.mark.parametrize(("capability", "plan"), [((9, 0), "fp8-dynamic"), ((8, 0), "resident")])
def test_what_the_preset_fast_multiplies_in_is_told(capsys, monkeypatch, tmp_path, capability, plan):
    memory = {"memory": 80 << 30, "free_memory": 79 << 30, "ram": 64 << 30, "free_ram": 60 << 30}
    machine = Machine(device="cuda", name="GPU", capability=capability, packages={}, **memory)
    monkeypatch.setattr(doctor, "inspect_machine", lambda: machine)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    status, out, _ = report(capsys, "--base", str(tmp_path / "nothing"))
    assert status == 0
    assert "would run: resident" in out
    assert f"under the preset fast: {plan} (" in out


def test_bad_values_are_named(capsys):
    for arguments, message in ((("--size", "big"), "--size big"), (("--frames", "0"), "--frames 0")):
        status, _, err = report(capsys, *arguments)
        assert status == 2
        assert message in err
