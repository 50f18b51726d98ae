"""A file without a pose that has another axis up is tried that way, and says so; one with +Y up stays."""

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.align import ObjectObservation, align
from real2sam2real.lifting.assembling import told
from real2sam2real.mesh import Mesh

LENS = Intrinsics.from_fov(240, 180, horizontal_degrees=50)


def chair(seat: float = 0.5) -> Mesh:
    """A seat on four legs with a back: no side of it looks like another."""
    import manifold3d

    def box(size, at):
        return manifold3d.Manifold.cube(size).translate(at)

    solid = box((1, 0.1, 0.9), (0, seat, 0)) + box((1, 0.9, 0.1), (0, seat, 0))
    for x, z in ((0, 0), (0.9, 0), (0, 0.8), (0.9, 0.8)):
        solid = solid + box((0.1, seat + 0.05, 0.1), (x, 0, z))
    result = solid.to_mesh()
    return Mesh(vertices=np.asarray(result.vert_properties, np.float64)[:, :3] - 0.5, faces=result.tri_verts)


TURNS = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "x": np.array([[0, 1.0, 0], [-1, 0, 0], [0, 0, 1]]),
}


@pytest.mark.parametrize("up", TURNS)
def test_the_axis_that_is_up_is_found(known_truth, up: str) -> None:
    mesh = chair()
    pose = transforms.compose([0.1, -0.2, -3.5], [np.cos(0.35), 0, np.sin(0.35), 0])
    pose[:3, :3] = np.array([[1, 0, 0], [0, np.cos(0.2), -np.sin(0.2)], [0, np.sin(0.2), np.cos(0.2)]]) @ pose[:3, :3]
    mask = known_truth.silhouette(mesh, pose, LENS)
    matrix = np.eye(4)
    matrix[:3, :3] = TURNS[up]
    filed = mesh.transformed(matrix)  # as a file has it whose axis `up` is up
    assert np.argmax(np.abs(TURNS[up] @ [0, 1, 0])) == "xyz".index(up[-1])
    observation = ObjectObservation(mask=mask, intrinsics=LENS, hidden=np.zeros_like(mask))
    found = align(filed, observation, up_camera=[0, np.cos(0.2), np.sin(0.2)])
    assert found.iou_after > 0.96
    assert found.up == up
    assert ("axis up" in told(found)) == (up != "y")
