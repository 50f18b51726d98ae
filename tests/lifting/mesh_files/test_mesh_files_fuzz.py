"""Headers and lines of any order load, or are refused with a message; nothing else comes out."""

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.lifting.mesh_files import read_mesh_file

RELAXED = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


def reads_or_refuses(path: Path) -> None:
    try:
        lifted = read_mesh_file(path, name="it")
    except UserError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert path.name in refused
        return
    assert len(lifted.mesh.faces)
    assert np.isfinite(lifted.mesh.vertices).all()


WORDS = [
    "v",
    "vt",
    "f",
    "1",
    "-1",
    "0",
    "1e999",
    "nan",
    "2/",
    "/",
    "//",
    "3//9",
    "usemtl",
    "mtllib",
    "\\",
    "#",
    "\n",
    "g",
    "é",
]


@RELAXED
@given(words=st.lists(st.sampled_from(WORDS), max_size=40))
@example(words=["f", "1", "2", "3"])
@example(words=["mtllib", ".."])
def test_obj_of_any_words(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "it.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n" + " ".join(words))
    reads_or_refuses(tmp_path / "it.obj")


HEADER = ["element vertex 3", "element face 1", "property float x", "property float y", "property float z",
          "property list uchar int vertex_indices", "property list int float texcoord", "comment TextureFile ..",
          "element face 99999999999", "property uchar red", "format ascii 1.0", "element vertex -1"]  # fmt: skip


@RELAXED
@given(lines=st.lists(st.sampled_from(HEADER), max_size=12), body=st.lists(st.integers(-2, 4), max_size=20))
def test_ply_of_any_header(lines: list[str], body: list[int], tmp_path: Path) -> None:
    text = "\n".join(["ply", "format ascii 1.0", *lines, "end_header", " ".join(map(str, body))])
    (tmp_path / "it.ply").write_text(text)
    reads_or_refuses(tmp_path / "it.ply")
