"""Files that are no mesh, or one that cannot be used: each is refused with its reason and a remedy."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.lifting.mesh_files import read_mesh_file

SPLATS = """ply
format ascii 1.0
element vertex 1
{}
end_header
{}
""".format(
    "\n".join(
        f"property float {name}"
        for name in ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2", "rot_0")
    ),
    " ".join(["0.5"] * 11),
)
CLOUD = (
    "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n1 2 3\n"
)


def with_nan(cube: np.ndarray) -> np.ndarray:
    return np.where(np.arange(24).reshape(8, 3) == 5, np.nan, cube)


BAD = {
    "a picture": ("it.png", b"\x89PNG", "glb"),
    "an empty file": ("it.ply", b"", "empty"),
    "no PLY": ("it.ply", b"solid thing", "PLY"),
    "no GLB": ("it.glb", b"hello", "GLB"),
    "splats": ("it.ply", SPLATS.encode(), "(?i)splat"),
    "a cloud": ("it.ply", CLOUD.encode(), "(?i)point"),
    "PLY with NaN": ("it.ply", lambda files: files.ply(vertices=with_nan(files.cube)).encode(), "not finite"),
    "OBJ with NaN": ("it.obj", lambda files: files.obj(vertices=with_nan(files.cube)).encode(), "not finite"),
    "a cut PLY": ("it.ply", lambda files: files.ply().encode()[:-20], "cut off"),
    "PLY that points nowhere": ("it.ply", lambda files: files.ply(polygons=[(0, 1, 99)]).encode(), "99"),
    "OBJ that points nowhere": ("it.obj", lambda files: files.obj(polygons=[(0, 1, 98)]).encode(), "99"),
    "OBJ that points back too far": ("it.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -1 -2 -4\n", "-4"),
    "OBJ without faces": ("it.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "(?i)face"),
    "OBJ of a number that is none": ("it.obj", b"v 0 0 zero\n", "zero"),
    "OBJ of text": ("it.obj", b"Dear diary,\n", "(?i)face|vert"),
    "OBJ without area": (
        "it.obj",
        lambda files: files.obj(vertices=files.cube * 0, polygons=[(0, 1, 2)]).encode(),
        "(?i)area|triangle",
    ),
    "a cut STL": ("it.stl", b"\0" * 80 + struct.pack("<I", 9) + b"\0" * 50, "(?i)cut off|bytes"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_with_a_reason(files, case: str, tmp_path: Path) -> None:
    name, data, reason = BAD[case]
    (tmp_path / name).write_bytes(data(files) if callable(data) else data)
    with pytest.raises(UserError, match=reason) as refused:
        read_mesh_file(tmp_path / name, name="it")
    message = str(refused.value)
    assert "it." in message  # names the file
    assert len(message) < 400


def test_a_missing_file_and_a_folder(files, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.ply"):
        read_mesh_file(tmp_path / "gone.ply", name="it")
    (tmp_path / "folder.obj").mkdir()
    with pytest.raises(UserError, match=r"folder\.obj"):
        read_mesh_file(tmp_path / "folder.obj", name="it")


@pytest.mark.parametrize("extension", ["KHR_draco_mesh_compression", "EXT_meshopt_compression"])
def test_compression_is_refused_with_its_remedy(files, extension: str, tmp_path: Path) -> None:
    glb = files.glb()
    glb.node(mesh=glb.cube())
    glb.builder.root["extensionsRequired"] = [extension]
    with pytest.raises(UserError, match=f"{extension}.*gltf-transform"):
        read_mesh_file(glb.save(tmp_path / "packed.glb"), name="it")


def test_a_gltf_whose_buffer_is_not_beside_it(files, tmp_path: Path) -> None:
    glb = files.glb()
    glb.node(mesh=glb.cube())
    root = glb.builder.finished()
    root["buffers"] = [{"byteLength": len(glb.builder.binary), "uri": "cube.bin"}]
    root["scenes"] = [{"nodes": [0]}]
    (tmp_path / "cube.gltf").write_text(json.dumps(root))
    with pytest.raises(UserError, match=r"cube\.bin.*(missing|beside)"):
        read_mesh_file(tmp_path / "cube.gltf", name="it")
    (tmp_path / "cube.bin").write_bytes(glb.builder.binary)
    assert len(read_mesh_file(tmp_path / "cube.gltf", name="it").mesh.faces) == 12


def test_a_glb_of_a_camera_alone(files, tmp_path: Path) -> None:
    glb = files.glb()
    glb.builder.add("cameras", {"type": "perspective", "perspective": {"yfov": 0.8, "znear": 0.1}})
    glb.node(camera=0)
    with pytest.raises(UserError, match="mesh"):
        read_mesh_file(glb.save(tmp_path / "camera.glb"), name="it")


def test_a_clip_of_a_file_that_cannot_have_one(files, tmp_path: Path) -> None:
    (tmp_path / "it.obj").write_text(files.obj())
    with pytest.raises(UserError, match="walk"):
        read_mesh_file(tmp_path / "it.obj", name="it", clip="walk")


def test_too_many_faces_are_counted_before_anything_else(files, tmp_path: Path) -> None:
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
    header += "property float z\nelement face 6000000\nproperty list uchar int vertex_indices\nend_header\n"
    face = struct.pack("<B3i", 3, 0, 1, 2)
    (tmp_path / "big.ply").write_bytes(
        header.encode() + struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0) + face * 6_000_000
    )
    with pytest.raises(UserError, match=r"6,000,000.*5,000,000.*(?i:decimate)"):
        read_mesh_file(tmp_path / "big.ply", name="it")
