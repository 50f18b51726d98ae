"""A photo with known objects, and environments in which stand-in lifters know their truth."""

import json
import os
import shutil
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics, quaternions
from real2sam2real.lifting.workers.conventions import CAMERA_FROM_PYTORCH3D, ZUP_FROM_YUP
from real2sam2real.lifting.workers.environment import LifterEnvironment
from real2sam2real.lifting.workers.lifter import lift_objects
from real2sam2real.lifting.workers.requests import LiftRequest
from real2sam2real.mesh import Mesh
from real2sam2real.perceive.view import PhotoView

WIDTH, HEIGHT = 64, 48
STANDIN = Path(__file__).parent / "standin"
CLONES = {"sam3d": "sam-3d-objects", "sam3d-body": "sam-3d-body", "triposg": "TripoSG", "step1x3d": "Step1X-3D"}
NAMES = ("car", "old bench", "dög")
FAKE_SSH = """#!/bin/sh
# Runs the command here, in a session of its own and another home, as a server would.
while [ "$1" != "--" ]; do shift; done
host=$2; shift 2
if [ -e "$FAKE_SSH_LOG.greet" ]; then printf 'Welcome!\\nenvironment (base) is active '; fi
printf '%s\\n' "$*" >> "$FAKE_SSH_LOG"
if [ "$host" = "nobody@down" ]; then echo "ssh: connect to host down port 22: Connection refused" >&2; exit 255; fi
if [ -e "$FAKE_SSH_LOG.break" ]; then case "$*" in *"tar czf"*) rm "$FAKE_SSH_LOG.break"; exit 255;; esac; fi
cd "$FAKE_HOME" && HOME="$FAKE_HOME" exec setsid --wait sh -c "$*"
"""


def tetrahedra(seed: int) -> Mesh:
    """A closed mesh without any symmetry."""
    rng = np.random.default_rng(seed)
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]) + rng.uniform(-0.2, 0.2, (4, 3))
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    return Mesh(
        vertices=np.concatenate([corners, corners * 0.5 + 2]),
        faces=np.concatenate([faces, faces + 4]),
        vertex_colors=rng.integers(0, 256, (8, 3), dtype=np.uint8),
    )


def quaternion_to_matrix(q: np.ndarray) -> np.ndarray:
    """PyTorch3D's: of a unit quaternion `wxyz`, for column vectors."""
    r, i, j, k = q
    return np.array(
        [
            [1 - 2 * (j * j + k * k), 2 * (i * j - k * r), 2 * (i * k + j * r)],
            [2 * (i * j + k * r), 1 - 2 * (i * i + k * k), 2 * (j * k - i * r)],
            [2 * (i * k - j * r), 2 * (j * k + i * r), 1 - 2 * (i * i + j * j)],
        ]
    )


@dataclass
class Standin:
    """The environment of one stand-in lifter.

    Attributes:
        lifter: its name.
        folder: where truth and records are kept.
        clone: of the lifter's repository.
        camera_vertices: of every entity, in our camera frame.
        behaviour: what the lifter is told to do.
    """

    lifter: str
    folder: Path
    clone: Path
    request: LiftRequest
    monkeypatch: pytest.MonkeyPatch
    camera_vertices: dict[str, np.ndarray] = field(default_factory=dict)
    behaviour: dict[str, object] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def tell(self, **behaviour: object) -> None:
        """What is to happen, by entity or other key; blanks in names are underscores here."""
        for name, what in behaviour.items():
            known = {entity.replace(" ", "_"): entity for entity in self.request.masks}
            key = str(self.area(known[name])) if name in known else name
            self.behaviour[key] = what
        (self.folder / "behaviour.json").write_text(json.dumps(self.behaviour))

    def area(self, name: str) -> int:
        return int(self.request.masks[name].sum())

    def options(self, **changes: object) -> LifterEnvironment:
        chosen = {"python": sys.executable, "code": str(self.clone), "weights": str(self.folder / "weights"), **changes}
        return LifterEnvironment(**chosen)

    def lift(self, **changes: object):
        return lift_objects(self.lifter, self.options(**changes), self.request, self.said.append)

    def calls(self) -> list[dict]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def loads(self) -> int:
        return sum("load" in call for call in self.calls())

    def lifted(self) -> list[str]:
        """Names of the entities that the lifter has been called for."""
        names = {self.area(name): name for name in self.request.masks}
        return [names[call["area"]] for call in self.calls() if "area" in call]


def sam3d_pose_of(camera_from_object: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotation `wxyz (4,)`, translation `(3,)` and scale `(3,)` as SAM 3D Objects gives them for a mesh with +Y up."""
    linear = CAMERA_FROM_PYTORCH3D.T @ camera_from_object[:3, :3] @ ZUP_FROM_YUP.T
    scale = float(np.cbrt(np.linalg.det(linear)))
    rotation = quaternions.from_matrix((linear / scale).T)
    return rotation, CAMERA_FROM_PYTORCH3D.T @ camera_from_object[:3, 3], np.full(3, scale)


@pytest.fixture(scope="session")
def sam3d_pose():
    return sam3d_pose_of


@pytest.fixture
def request_of_three(tmp_path: Path) -> LiftRequest:
    rng = np.random.default_rng(7)
    intrinsics = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=50.0)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    depth = 2.0 + 0.05 * columns + 0.02 * rows
    points = intrinsics.unproject(np.stack([columns + 0.5, rows + 0.5], axis=-1), depth).astype(np.float32)
    points[:4] = np.nan
    points[4, :3] = np.inf
    masks = {name: np.zeros((HEIGHT, WIDTH), bool) for name in NAMES}
    masks["car"][20:30, 5:20] = True
    masks["old bench"][10:18, 30:50] = True
    masks["dög"][35:41, 40:45] = True
    return LiftRequest(
        pixels=rng.integers(0, 250, (HEIGHT, WIDTH, 3), dtype=np.uint8),
        masks=masks,
        view=PhotoView(intrinsics=intrinsics, points_camera=points, unit="metre"),
        folder=tmp_path / "lift folder",
    )


def _truth_of(lifter: str, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What a stand-in is given of one object, and the object's vertices in our camera frame."""
    rng = np.random.default_rng(seed)
    mesh = tetrahedra(seed)
    arrays = {"faces": mesh.faces, "colors": mesh.vertex_colors}
    if lifter == "sam3d":
        quaternion = rng.normal(size=4)
        quaternion /= np.linalg.norm(quaternion)
        translation, scale = rng.uniform([-1, -1, 3], [1, 1, 5]), rng.uniform(0.3, 2)
        posed = (scale * mesh.vertices) @ quaternion_to_matrix(quaternion) + translation
        pose = {"rotation": quaternion, "translation": translation, "scale": scale}
        return {**arrays, **pose, "vertices_zup": mesh.vertices}, posed * [-1, 1, -1]
    if lifter == "sam3d-body":
        translation = rng.uniform([-1, -1, 3], [1, 1, 5])
        return (
            {**arrays, "vertices_opencv": mesh.vertices, "translation": translation},
            (mesh.vertices + translation) * [1, -1, -1],
        )
    return {**arrays, "vertices": mesh.vertices}, mesh.vertices


@pytest.fixture
def standin_for(tmp_path: Path, request_of_three: LiftRequest, monkeypatch: pytest.MonkeyPatch):
    """Makes the environment of a stand-in lifter by its name."""

    def make(lifter: str, *, torch: str = "light") -> Standin:
        folder = tmp_path / "standin"
        (folder / "weights" / "assets").mkdir(parents=True)
        clone = tmp_path / "clones" / CLONES[lifter]
        shutil.copytree(STANDIN / CLONES[lifter], clone, ignore=shutil.ignore_patterns("__pycache__"))
        made = Standin(lifter, folder, clone, request_of_three, monkeypatch)
        for seed, name in enumerate(request_of_three.masks):
            arrays, made.camera_vertices[name] = _truth_of(lifter, seed)
            np.savez(folder / f"{made.area(name)}.npz", **arrays)
        for name in ("model.ckpt", "assets/mhr_model.pt", "model_index.json", "generator.ckpt", "generator.yaml"):
            (folder / "weights" / name).touch()
        (folder / "weights" / "Step1X-3D-Geometry-1300m").mkdir()
        (folder / "weights" / "Step1X-3D-Geometry-1300m" / "model_index.json").touch()
        (folder / "weights" / "pipeline.yaml").write_text(
            "_target_: sam3d_objects.pipeline.InferencePipelinePointMap\n"
            "ss_generator_config_path: generator.yaml\nss_generator_ckpt_path: 'generator.ckpt'  # the big one\n"
            "ss_encoder_ckpt_path: null\n"
        )
        path = [str(STANDIN / "script"), *([str(STANDIN / "light")] if torch == "light" else [])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
        monkeypatch.setenv("STANDIN", str(folder))
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        monkeypatch.delenv("CONDA_PREFIX", raising=False)
        made.tell()
        return made

    return make


@pytest.fixture
def sam3d(standin_for) -> Standin:
    return standin_for("sam3d")


@pytest.fixture
def far_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Home of the machine behind a fake ssh; its name needs quoting."""
    folder = tmp_path / "bin"
    folder.mkdir()
    ssh = folder / "ssh"
    ssh.write_text(FAKE_SSH)
    ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
    home = tmp_path / "far 'home'"
    home.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_HOME", str(home))
    monkeypatch.setenv("FAKE_SSH_LOG", str(tmp_path / "ssh.log"))
    return home
