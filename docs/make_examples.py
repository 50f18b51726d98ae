"""Write the gallery of the examples from their own first lines: docs/examples.md.

python docs/make_examples.py
"""

import ast
from pathlib import Path

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
PAGE = DOCS / "examples.md"


def page() -> str:
    """The page: each example with what it shows, and its code."""
    parts = ["# Examples\n", "Each runs as it stands, from a clone of the repository; a test runs them all.\n"]
    for path in sorted(EXAMPLES.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        doc = ast.get_docstring(ast.parse(source)) or ""
        title, _, usage = doc.partition("\n")
        code = source.split('"""\n', 1)[1].strip()
        name = path.stem.replace("_", " ").capitalize()
        parts.append(f"## {name}\n\n{title}\n\n```\n{usage.strip()}\n```\n\n```python\n{code}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
