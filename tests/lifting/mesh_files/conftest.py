"""Small mesh files, made by hand, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from real2sam2real.mesh.gltf.building import GltfBuilder
from real2sam2real.mesh.gltf.container import write_glb

CUBE = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
"""Of `CUBE`, counter-clockwise seen from outside."""
TRIANGLES = np.array([[q[0], q[k], q[k + 1]] for q in QUADS for k in (1, 2)], np.uint32)
COLORS = np.array([[255 * (k >> 2 & 1), 255 * (k >> 1 & 1), 255 * (k & 1)] for k in range(8)], np.uint8)


def turn_y(degrees: float) -> list[float]:
    """glTF's xyzw quaternion of a turn about +Y."""
    half = np.radians(degrees) / 2
    return [0.0, float(np.sin(half)), 0.0, float(np.cos(half))]


class Glb:
    """A GLB in the making; every cube is a mesh of its own."""

    def __init__(self) -> None:
        self.builder = GltfBuilder("test")
        self.nodes: list[int] = []

    def cube(self, *, size: float = 1.0, targets: Sequence[np.ndarray] = (), **attributes: np.ndarray) -> int:
        """A mesh: the cube with half the edge `size`, more vertex attributes, morph targets; its index."""
        add = self.builder.accessor
        faces = add(TRIANGLES.ravel())
        named = {name: add(values) for name, values in attributes.items()}
        position = add((CUBE * size).astype(np.float32), bounds=True)
        primitive: dict[str, Any] = {"attributes": {"POSITION": position, **named}, "indices": faces}
        if targets:
            primitive["targets"] = [{"POSITION": add(t.astype(np.float32), bounds=True)} for t in targets]
        return self.builder.add("meshes", {"primitives": [primitive]})

    def material(self, mesh: int, material: dict[str, Any]) -> None:
        """Give a mesh a new material."""
        at = self.builder.add("materials", {"pbrMetallicRoughness": material})
        self.builder.root["meshes"][mesh]["primitives"][0]["material"] = at

    def texture(self, png: bytes) -> int:
        """A texture of a PNG; its index."""
        image = self.builder.add("images", {"mimeType": "image/png", "bufferView": self.builder.view(png)})
        return self.builder.add("textures", {"source": image})

    def node(self, *, root: bool = True, **fields: Any) -> int:
        """A node; its index."""
        at = self.builder.add("nodes", fields)
        if root:
            self.nodes.append(at)
        return at

    def skin(self, joints: list[int], inverse_binds: np.ndarray) -> int:
        """A skin with `inverse_binds` `(J, 4, 4)`; its index."""
        columns = np.swapaxes(inverse_binds, 1, 2).reshape(-1, 16).astype("<f4")
        view = self.builder.view(columns.tobytes())
        accessor = {"bufferView": view, "componentType": 5126, "count": len(columns), "type": "MAT4"}
        return self.builder.add(
            "skins", {"joints": joints, "inverseBindMatrices": self.builder.add("accessors", accessor)}
        )

    def clip(self, name: str, *channels: tuple[int, str, Sequence[float], Any]) -> None:
        """An animation of (node, path, seconds, values) channels, linear between them."""
        made: dict[str, Any] = {"name": name, "samplers": [], "channels": []}
        for node, path, seconds, values in channels:
            times = self.builder.accessor(np.array(seconds, np.float32), bounds=True)
            output = self.builder.accessor(np.array(values, np.float32))
            made["channels"].append({"sampler": len(made["samplers"]), "target": {"node": node, "path": path}})
            made["samplers"].append({"input": times, "output": output})
        self.builder.add("animations", made)

    def save(self, path: Path) -> Path:
        """Write the file; its scene has the root nodes."""
        root = self.builder.finished()
        root["scenes"] = [{"nodes": self.nodes}]
        root["scene"] = 0
        write_glb(path, root, self.builder.binary)
        return path


def skinned_arm(path: Path, *, degrees: float = 90.0, seconds: float = 1.0) -> Path:
    """A cube whose upper half hangs on a joint that turns about +Y at the cube's middle."""
    glb = Glb()
    joints = np.zeros((8, 4), np.uint8)
    joints[:, 0] = CUBE[:, 1] > 0
    weights = np.zeros((8, 4), np.float32)
    weights[:, 0] = 1.0
    mesh = glb.cube(JOINTS_0=joints, WEIGHTS_0=weights)
    upper = glb.node(root=False)
    lower = glb.node(children=[upper], translation=[0, 3, 0])
    binds = np.tile(np.eye(4), (2, 1, 1))
    skin = glb.skin([lower, upper], binds)
    glb.node(mesh=mesh, skin=skin)
    glb.clip("bend", (upper, "rotation", [0.0, seconds], [turn_y(0), turn_y(degrees)]))
    return glb.save(path)


def ply_text(
    *,
    header: str = "format ascii 1.0",
    vertices: np.ndarray = CUBE,
    colors: np.ndarray | None = None,
    polygons: Sequence[Sequence[int]] = QUADS,
    types: str = "uchar int",
) -> str:
    """An ASCII PLY."""
    lines = ["ply", header, "comment made by hand", f"element vertex {len(vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"property uchar {channel}" for channel in ("red", "green", "blue")] if colors is not None else []
    lines += [f"element face {len(polygons)}", f"property list {types} vertex_indices", "end_header"]
    for k, vertex in enumerate(vertices):
        color = [] if colors is None else [str(c) for c in colors[k]]
        lines.append(" ".join([*(repr(float(v)) for v in vertex), *color]))
    lines += [" ".join(map(str, (len(p), *p))) for p in polygons]
    return "\n".join(lines) + "\n"


def obj_text(vertices: np.ndarray = CUBE, polygons: Sequence[Sequence[int]] = QUADS) -> str:
    """An OBJ of positions and faces alone."""
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    return "\n".join([*lines, *("f " + " ".join(str(i + 1) for i in p) for p in polygons)]) + "\n"


@dataclass(frozen=True)
class MeshFiles:
    """Everything above, for tests."""

    cube = CUBE
    quads = QUADS
    triangles = TRIANGLES
    colors = COLORS
    glb = Glb
    turn_y = staticmethod(turn_y)
    skinned_arm = staticmethod(skinned_arm)
    ply = staticmethod(ply_text)
    obj = staticmethod(obj_text)


@pytest.fixture(scope="session")
def files() -> MeshFiles:
    """Small mesh files, made by hand."""
    return MeshFiles()
