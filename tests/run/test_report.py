"""The page is one file that needs nothing else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.media import write_png, write_video
from real2sam2real.run.folder import RunFolder
from real2sam2real.run.progress import Progress
from real2sam2real.run.report import Figure, PageContent, next_commands, write_page


@pytest.fixture
def page(tmp_path: Path) -> str:
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    write_video(tmp_path / "v.mp4", np.zeros((5, 16, 16, 3), np.uint8), fps=8)
    content = PageContent(
        title="a <b> & c", facts="five frames", command=["r2s2r", "run", "a photo.png", "--camera", "orbit 30deg"],
        videos=[Figure(path=tmp_path / "v.mp4", title="Preview")], frames=5, fps=8,
        pictures=[Figure(path=tmp_path / "a.png", title="Photo", legend=[("#ff0000", "cup")])],
        timings=[("lift", 2.0), ("render", 1.0)], notes=["the lens is a <guess>"],
        warnings=["cup: it is 6.0 times as deep as large"],
        next_commands=[("Look from elsewhere", ["r2s2r", "run", "my lifted"])],
        record={"seed": 7, "text": "</pre><script>alert(1)</script>"},
    )  # fmt: skip
    write_page(tmp_path / "index.html", content)
    return (tmp_path / "index.html").read_text(encoding="utf-8")


class Links(HTMLParser):
    """Everything that a browser would fetch, and the tags in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "poster", "srcset")]


def test_nothing_is_fetched(page: str) -> None:
    links = Links(page).links
    assert len(links) == 2
    assert all(link.startswith(("data:image/png;base64,", "data:video/mp4;base64,")) for link in links)
    assert not re.search(r"@import|url\(|https?://", page)


def test_text_is_escaped(page: str) -> None:
    assert Links(page).tags.count("script") == 1
    assert "a &lt;b&gt; &amp; c" in page
    assert "the lens is a &lt;guess&gt;" in page


def test_what_cannot_be_is_told_in_red(page: str) -> None:
    assert re.search(r'<ul class="warnings"><li>cup: it is 6.0 times as deep as large', page)
    assert re.search(r"\.warnings \{[^}]*color: #ff", page)


def test_command_can_be_pasted_into_a_shell(page: str) -> None:
    assert "r2s2r run &#x27;a photo.png&#x27; --camera &#x27;orbit 30deg&#x27;" in page


def test_commands_to_try_next_can_be_pasted_too(page: str) -> None:
    assert "<b>Look from elsewhere</b>" in page
    assert "r2s2r run &#x27;my lifted&#x27;" in page


def test_after_a_draft_the_command_without_it_is_what_to_try(tmp_path: Path) -> None:
    def last(*more: str) -> list[str]:
        command = ["r2s2r", "run", "photo.jpg", *more]
        folder = RunFolder(path=tmp_path, progress=Progress(), command=command, config={})
        return next_commands(folder, ["cup"])[-1][1]

    assert last("--draft", "-o", "out") == ["r2s2r", "run", "photo.jpg", "-o", "out"]
    assert last()[:2] == ["r2s2r", "render"]


def test_one_control_steps_through_all_frames(page: str) -> None:
    assert 'max="4"' in page
    assert 'data-frames="5" data-fps="8"' in page
    assert page.count('type="range"') == 1
