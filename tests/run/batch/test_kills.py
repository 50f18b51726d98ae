"""Batches that are killed before each of their steps, and what the next ones make of that."""

import json
import shutil
from pathlib import Path

from real2sam2real.diffusion.checkpoints import CheckpointSettings

SEGMENTS = ".generated.mp4.segments"
VARYING = {"seconds": 0, "worker": "", "run": ""}


def contents(out: Path) -> dict[str, object]:
    """Every video's bytes and every record, without who made it when; segments are left out."""
    found: dict[str, object] = {}
    for path in (path for path in out.rglob("*") if path.is_file()):
        if path.parent.name == SEGMENTS and not path.name.startswith("."):
            continue
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()]
        if "json" in path.suffix:
            rows = [{**json.loads(line), **VARYING} for line in lines]
            for row in rows:
                if row.get("video"):
                    row["video"].pop("modified_ns")
            found[str(path.relative_to(out))] = rows
        else:
            found[str(path.relative_to(out))] = path.read_bytes()
    return found


def test_whatever_step_is_killed_the_next_batch_makes_what_is_not_there(
    harness, run, checkpoint: Path, kills, tmp_path: Path
) -> None:
    """A batch of one shot in two segments, one with another seed that is killed, and the first one again."""
    out, shots, short = tmp_path / "out", harness.tiny_shots(tmp_path / "shots", 1, frames=9), tmp_path / "short"
    shutil.copytree(checkpoint, short)
    (short / "checkpoint.json").write_text(CheckpointSettings(area=32 * 32, max_frames=5, steps=2).to_json())

    def make(seed: int) -> dict[str, object]:
        run(shots, checkpoint=str(short), seed=seed)
        return contents(out)

    make(0)
    with kills.every_kill(out, tmp_path / "copies") as struck:
        other = make(1)
    undisturbed = make(0)
    assert other.keys() == undisturbed.keys()
    video = "checkpoint-short/scene0000/camera0/generated.mp4"
    assert other[video] != undisturbed[video]
    for name in ("batch.json", "shots.jsonl", "shot.json", "0000.mkv", "0001.safetensors", "generated.mp4"):
        assert any(kill.step.endswith(name) for kill in struck), name
    for number, kill in enumerate(struck[:: kills.SPARSE]):
        for seed, made in ((0, undisturbed), (1, other))[: 1 if number % 2 else 2]:
            kill.strike()
            assert make(seed) == made, kill.step
            assert seed == 0 or not list(out.rglob(SEGMENTS)), kill.step
