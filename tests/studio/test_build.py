"""The studio's built page is that of the sources beside it, and small."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES, BUILT = ROOT / "studio", ROOT / "real2sam2real" / "assets" / "studio"
LARGEST_PAGE_BYTES = 1_500_000
BESIDE = ("index.html", "package.json", "package-lock.json", "public/NOTICE.txt", "tsconfig.json", "vite.config.ts")

pytestmark = pytest.mark.fast


def digest_of_sources() -> str:
    """As `stamped` in studio/vite.config.ts writes it."""
    inner = [p for p in (SOURCES / "src").rglob("*") if p.is_file() and not p.name.endswith(".test.ts")]
    paths = sorted([*(p.relative_to(SOURCES).as_posix() for p in inner), *BESIDE])
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path}\n".encode())
        digest.update((SOURCES / path).read_bytes())
        digest.update(b"\n")
    return digest.hexdigest()


def test_the_page_is_built_from_these_sources() -> None:
    stamp = (BUILT / "sources.sha256").read_text(encoding="ascii").strip()
    assert stamp == digest_of_sources(), "run 'npm install' and 'npm run build' in the folder studio, and commit both"


def test_the_page_is_small_and_asks_nobody_else() -> None:
    page = [BUILT / name for name in ("index.html", "studio.js", "studio.css")]
    assert sum(path.stat().st_size for path in page) < LARGEST_PAGE_BYTES
    text = (BUILT / "index.html").read_text(encoding="utf-8")
    assert "http://" not in text
    assert "https://" not in text
    assert "url(http" not in (BUILT / "studio.css").read_text(encoding="utf-8")


def test_its_libraries_are_named_with_their_licence() -> None:
    notice, wanted = (BUILT / "NOTICE.txt").read_text(encoding="utf-8"), (SOURCES / "package.json").read_text()
    for name, version in (("three.js", "0.187.0"), ("Preact", "11.2.0"), ("@preact/signals", "2.11.4")):
        assert f"{name} {version}" in notice
        assert f'"{version}"' in wanted
