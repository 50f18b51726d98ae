"""The page's words are those of the classes that read a shot, and its reading of times is that of `units`."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from real2sam2real.scene.camera_moves import CAMERA_MOVES
from real2sam2real.scene.entity_moves import ENTITY_MOVES
from real2sam2real.scene.units import BadValueError, Span, Time
from real2sam2real.studio.vocabulary import vocabulary
from tests.studio.pages import Page

STUDIO = Path(__file__).parents[2] / "studio"
FRAMES, FPS = 49, 16.0


def test_the_page_is_told_every_move_and_word(page: Page) -> None:
    told = page.raw("GET", "api/vocabulary").json()
    assert [move["name"] for move in told["camera"]] == list(CAMERA_MOVES.names)
    assert [move["name"] for move in told["entity"]] == list(ENTITY_MOVES.names)
    words = {word for move in told["entity"] for word in [move["name"], *move["words"]]}
    assert words == {*ENTITY_MOVES.words}
    orbit = next(move for move in told["camera"] if move["name"] == "orbit")
    assert orbit["help"].startswith("Circle around a target")
    target = next(item for item in orbit["settings"] if item["name"] == "target")
    assert "around" in target["words"]
    assert target["kind"] == "an entity or a point"
    assert [move["name"] for move in told["camera"] if move["readsFile"]] == ["path"]


def test_the_words_that_the_page_is_tested_with_are_current() -> None:
    kept = json.loads((STUDIO / "src" / "shot" / "vocabulary.json").read_text(encoding="utf-8"))
    assert kept == vocabulary(), "run: python -m real2sam2real.studio.vocabulary > studio/src/shot/vocabulary.json"


def read_by_the_page(times: list[str], spans: list[str]) -> Any:
    """What the page's own code makes of texts."""
    node, built = shutil.which("node"), STUDIO / ".tests" / "shot" / "times.js"
    if node is None or not built.is_file():
        pytest.skip("node or the page's compiled tests are missing: run 'npm test' in the folder studio")
    program = f"""
import {{ readFileSync }} from "node:fs";
import {{ spanFrames, timeFrame }} from "{built.as_uri()}";
const {{ times, spans, words, clock }} = JSON.parse(readFileSync(0, "utf-8"));
console.log(JSON.stringify({{
  times: times.map((text) => timeFrame(text, clock, words)), spans: spans.map((text) => spanFrames(text, clock, words)),
}}));
"""
    given = {"times": times, "spans": spans, "words": vocabulary(), "clock": {"frames": FRAMES, "fps": FPS}}
    command = [node, "--input-type=module", "-e", program]
    answer = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def texts(seed: int = 0, count: int = 300) -> tuple[list[str], list[str]]:
    """Random times and spans in all units and spellings."""
    pick = random.Random(seed)

    def moment() -> str:
        number = pick.choice([str(pick.randint(0, 48)), f"{pick.uniform(0, 3):.3f}"])
        return number + pick.choice(["", " frames", " s", " ms", "%", " percent", " sec", " f"])

    def span() -> str:
        left, right = (pick.choice(["", moment(), moment()]) for _ in range(2))
        return pick.choice(["", "frames ", "seconds "]) + left + pick.choice(["-", " - ", " to ", "…", ".."]) + right

    return [moment() for _ in range(count)], [span() for _ in range(count)]


def test_the_page_reads_times_and_spans_as_the_shot_does() -> None:
    times, written = texts()
    found = read_by_the_page(times, written)
    for text, frame in zip(times, found["times"], strict=True):
        time = Time.parse(text)
        ours = {"frames": time.value, "s": time.value * FPS, "%": time.value / 100 * (FRAMES - 1)}[time.unit]
        assert frame == pytest.approx(ours), text
    agreed = 0
    for text, span in zip(written, found["spans"], strict=True):
        try:
            ours_span = Span.parse(text).in_frames(FRAMES, FPS)
        except BadValueError:
            continue  # refused before the page sees it
        assert (span["start"], span["end"]) == pytest.approx(ours_span), text
        agreed += 1
    assert agreed > 40
