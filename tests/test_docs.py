"""Links in the pages lead somewhere."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme] == []


@pytest.mark.parametrize(
    ("maker", "text"), [("make_examples", "page"), ("make_architecture", "picture")], ids=["examples", "architecture"]
)
def test_what_is_made_from_the_code_is_up_to_date(maker: str, text: str) -> None:
    made = runpy.run_path(str(ROOT / "docs" / f"{maker}.py"))
    kept = made["PAGE" if text == "page" else "PICTURE"].read_text(encoding="utf-8")
    assert kept == made[text](), f"run: python docs/{maker}.py"


def test_code_in_the_pages_compiles() -> None:
    for page in PAGES:
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            compile(block, page.name, "exec")
