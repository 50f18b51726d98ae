"""Posed meshes in each camera's axes are known by where their mask is, or the ways to say it are offered."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.mesh_files import read_mesh_file

LENS = Intrinsics.from_fov(320, 240, horizontal_degrees=60)
AXES = {
    "camera-opengl": np.array([1, 1, 1]),
    "camera-opencv": np.array([1, -1, -1]),
    "camera-pytorch3d": np.array([-1, 1, -1]),
}


def posed(folder: Path, frame: str, at=(0.8, 0.6, -4.0)) -> tuple[Path, np.ndarray]:
    """A cone in the camera's upper right, in the axes of `frame`; and its mask."""
    cone = trimesh.creation.cone(radius=0.3, height=1.0)
    cone.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))
    points = cone.vertices + at
    pixels = LENS.project(points)[0]
    mask = np.zeros((240, 320), bool)
    (left, top), (right, bottom) = pixels.min(axis=0).astype(int), pixels.max(axis=0).astype(int)
    mask[max(top, 0) : bottom, left:right] = True
    turned = trimesh.Trimesh(points * AXES[frame], cone.faces, process=False)
    turned.export(folder / "cone.glb")
    return folder / "cone.glb", mask


@pytest.mark.parametrize("frame", AXES)
@pytest.mark.parametrize("at", [(0.8, 0.6, -4.0), (-1.2, -0.9, -3.0), (0.5, -1.0, -6.0)])
def test_the_mask_tells_the_cameras_axes(tmp_path: Path, frame: str, at) -> None:
    path, mask = posed(tmp_path, frame, at)
    lifted = read_mesh_file(path, name="cone", intrinsics=LENS, mask=mask)
    assert lifted.provenance["frame"] == frame
    assert lifted.camera_from_object is not None
    top = lifted.mesh.vertices[np.argmax(lifted.mesh.vertices[:, 1])]
    tip = lifted.camera_from_object[:3, :3] @ top + lifted.camera_from_object[:3, 3]
    np.testing.assert_allclose(tip, [at[0], at[1] + 1.0, at[2]], atol=1e-5)
    said = read_mesh_file(path, name="cone", coordinate_frame=frame)
    np.testing.assert_allclose(said.camera_from_object, lifted.camera_from_object, atol=1e-9)


@pytest.mark.parametrize("frame", ["camera-opencv", "camera-pytorch3d"])
def test_without_a_mask_both_are_offered(tmp_path: Path, frame: str) -> None:
    path, mask = posed(tmp_path, frame)
    for lifted in (
        read_mesh_file(path, name="cone", intrinsics=LENS),
        read_mesh_file(path, name="cone", intrinsics=LENS, mask=mask[:, ::-1][::-1] & False),
    ):
        assert lifted.provenance["frame"] == "object"
        assert any("camera-opencv" in note and "camera-pytorch3d" in note for note in lifted.notes)
    with pytest.raises(UserError, match="camera-pytorch3d"):
        read_mesh_file(path, name="cone", coordinate_frame="camera-opengl")


@pytest.mark.parametrize("extra", ["9 1 1 1 1 1 1 1 1 1", "255 0 0 255 77 88", "12 1 1 1 1 1 1 1 1 1 1 1 1"])
def test_a_ply_whose_rows_hold_more_than_its_header_says(tmp_path: Path, extra: str) -> None:
    box = trimesh.creation.box()
    header = ["ply", "format ascii 1.0", "element vertex 8", *(f"property float {axis}" for axis in "xyz")]
    header += ["element face 12", "property list uchar int vertex_indices", "property list uchar float texcoord"]
    header += [*(f"property uchar {name}" for name in ("red", "green", "blue", "alpha")), "end_header"]
    rows = [" ".join(map(str, vertex)) for vertex in box.vertices]
    rows += [f"3 {a} {b} {c} 6 0 0 1 0 1 1 {extra}" for a, b, c in box.faces]
    (tmp_path / "box.ply").write_text("\n".join([*header, *rows]))
    mesh = read_mesh_file(tmp_path / "box.ply", name="box").mesh
    assert mesh.is_closed()
    assert mesh.volume() == pytest.approx(1)
    (tmp_path / "box.ply").write_text("\n".join([*header, *rows[:-1], rows[-1][:12]]))
    with pytest.raises(UserError, match="export it again"):
        read_mesh_file(tmp_path / "box.ply", name="box")
