"""Draw the data flow, each box with the first line of its room's docstring: docs/images/architecture.svg.

python docs/make_architecture.py
"""

import ast
from pathlib import Path
from textwrap import wrap
from xml.sax.saxutils import escape

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "real2sam2real"
PICTURE = DOCS / "images" / "architecture.svg"

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 190, 92, 66, 44, 16
# Rooms by column and row: the film along the top, what it rests on below it, the laboratory along the bottom.
ROOMS = {
    "perceive": (0, 0), "lifting": (1, 0), "scene": (2, 0), "rendering": (3, 0), "control": (4, 0), "diffusion": (5, 0),
    "geometry": (0, 1), "mesh": (1, 1), "workfolder": (2, 1), "pretrained": (3, 1), "run": (4, 1), "cli": (5, 1),
    "studio": (1, 2),
    "lab.synth": (2, 2), "lab.curate": (3, 2), "lab.train": (4, 2), "lab.evaluate": (5, 2),
}  # fmt: skip
COLORS = {0: "#dcebfa", 1: "#eeeeee", 2: "#fbe9d3"}
FLOW = {
    ("perceive", "lifting"): "masks",
    ("lifting", "scene"): "meshes",
    ("scene", "rendering"): "scene(t)",
    ("rendering", "control"): "normals",
    ("control", "diffusion"): "steering",
    ("lab.synth", "lab.train"): "clips with truth",
    ("lab.curate", "lab.train"): "clips",
    ("lab.train", "lab.evaluate"): "weights",
}
STYLE = (
    "text{font-family:sans-serif;fill:#222}.room{font-size:15px;font-weight:bold}.what{font-size:11px}"
    ".flow{font-size:11px;text-anchor:middle}path{stroke:#555;stroke-width:1.5;fill:none;marker-end:url(#tip)}"
)
TIP = (
    '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
    '<polygon points="0,0 8,4 0,8" fill="#555"/></marker></defs>'
)


def picture() -> str:
    """The whole drawing as SVG."""
    columns, rows = (max(place[axis] for place in ROOMS.values()) + 1 for axis in (0, 1))
    width = 2 * MARGIN + columns * (WIDTH + GAP_X) - GAP_X
    height = 2 * MARGIN + rows * (HEIGHT + GAP_Y)
    parts = [box(room) for room in ROOMS] + [arrow(a, b, what) for (a, b), what in FLOW.items()]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">',
            f'<style>{STYLE}</style>{TIP}<rect width="{width}" height="{height}" fill="white"/>',
            *parts,
            "</svg>\n",
        ]
    )


def box(room: str) -> str:
    """A room with its name and what it does."""
    x, y = corner(room)
    lines = wrap(summary(room), 32)[:5]
    words = [
        f'<text x="{x + 9}" y="{y + 37 + 14 * k}" class="what">{escape(text)}</text>' for k, text in enumerate(lines)
    ]
    frame = f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{COLORS[ROOMS[room][1]]}"/>'
    return frame + f'<text x="{x + 9}" y="{y + 20}" class="room">{room}</text>' + "".join(words)


def arrow(source: str, target: str, what: str) -> str:
    """What flows along a row: straight to a neighbour, below the boxes to another room."""
    (x, y), (end, _) = corner(source), corner(target)
    if end - x == WIDTH + GAP_X:
        level = y + HEIGHT // 2
        path = f"M{x + WIDTH + 3} {level}H{end - 3}"
        middle = (x + WIDTH + end) / 2
    else:
        level = y + HEIGHT + GAP_Y // 2
        path = f"M{x + WIDTH // 2} {y + HEIGHT + 3}V{level}H{end + WIDTH // 2}V{y + HEIGHT + 3}"
        middle = (x + end + WIDTH) / 2
    return f'<path d="{path}"/><text x="{middle}" y="{level - 7}" class="flow">{escape(what)}</text>'


def corner(room: str) -> tuple[int, int]:
    """The upper left corner of a room's box, in pixels."""
    column, row = ROOMS[room]
    return MARGIN + column * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y)


def summary(room: str) -> str:
    """The first sentence of a room's docstring."""
    source = (PACKAGE / room.replace(".", "/") / "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0].partition(". ")[0]


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE)
