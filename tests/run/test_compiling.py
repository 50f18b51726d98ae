"""The kernels that a second process compiles are those that a run uses."""

import subprocess
import sys
from pathlib import Path

import pytest

from real2sam2real.rendering import shading
from real2sam2real.run.compiling import compile_beside

# In a process of its own, whose kernels no other test has called.
_DRAW = """
from dataclasses import replace
import numpy as np
from real2sam2real.control.normal_convention import OPENGL
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import inpaint, render_frames, shading, visibility
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.run import compiling
from real2sam2real.scene import Entity, Motion

kernels = [shading.shade, visibility.find_visible, visibility.collect_triangles, visibility.project, inpaint._match]
drawn = []
def spy(scene, **options):
    drawn.append(scene)
    return preview_frames(scene, **options)
compiling.preview_frames = spy
compiling.compile_kernels()
before = [list(kernel.signatures) for kernel in kernels]
assert all(len(signatures) == 1 for signatures in before), before
corners = np.array([[0.0, 0, -3], [1, 0, -3], [0, 1, -3], [0, 0, -4]])
faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
uvs = np.zeros((4, 3, 2), np.float32)
mesh = Mesh(vertices=corners, faces=faces, corner_uvs=uvs, texture=np.full((4, 4, 3), 200, np.uint8))
motion = Motion.from_matrices(np.stack([np.eye(4), np.diag([1.0, 2, 1, 1])]))
entity = Entity(name="box", mesh=mesh, rest_world_from_object=np.eye(4), motion=motion)
scene = replace(drawn[0], entities=(entity,))
list(preview_frames(scene, width=96, height=64))
for frame in render_frames(scene, width=96, height=64):
    OPENGL.encode(frame.normals, frame.ids)
assert [list(kernel.signatures) for kernel in kernels] == before
"""


def test_a_run_finds_its_kernels_compiled() -> None:
    done = subprocess.run([sys.executable, "-c", _DRAW], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_process_is_started_where_no_kernels_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: started.append(command))
    compile_beside()  # the test above has left them
    assert not started
    newer = tmp_path / "shading.py"
    newer.touch()
    monkeypatch.setattr(shading, "__file__", str(newer))
    compile_beside()
    assert started == [[sys.executable, "-P", "-m", "real2sam2real.run.compiling"]]
