"""What comes from other programs: weights, adapters, pictures, videos, depth maps, meshes, scenes, camera paths."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.fuzz import mutators
from tests.fuzz.registry import kind

SIZE = (64, 48)
SQUARE = (slice(12, 36), slice(16, 40))


def _open_weights(path: Path) -> None:
    from real2sam2real.diffusion.weights.files import open_tensors

    for tensor in open_tensors(path).values():
        tensor.read()


def _pickled(path: Path, *, zipped: bool) -> Path:
    import torch

    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=zipped)
    return path


@kind("pickled weights", _open_weights, mutators.zip_members(mutators.BYTES), *mutators.BYTES)
def pickles(folder: Path) -> Path:
    return _pickled(folder / "a.pt", zipped=True)


@kind("pickled weights of old PyTorch", _open_weights, *mutators.BYTES)
def old_pickles(folder: Path) -> Path:
    return _pickled(folder / "a.pt", zipped=False)


@kind("GGUF", _open_weights, *mutators.BYTES)
def packed_weights(folder: Path) -> Path:
    import gguf

    writer = gguf.GGUFWriter(folder / "a.gguf", arch="wan")
    writer.add_array("tokenizer.ggml.tokens", ["a", "bc"])
    writer.add_array("comfy.gguf.orig_shape.w", [4, 2, 32])
    values = np.ones((8, 32), np.float32)
    quantised = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor("w", gguf.quants.quantize(values, quantised), raw_dtype=quantised)
    writer.add_tensor("b", values[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / "a.gguf"


def _read_adapter(path: Path) -> None:
    from real2sam2real.diffusion.weights.adapter_file import read_adapter

    read_adapter(path.with_suffix(".safetensors"))


@kind("adapter", _read_adapter, mutators.json_header, mutators.json_header, *mutators.BYTES)
def adapter(folder: Path) -> Sequence[Path]:
    import torch
    from safetensors.torch import save_file

    names = {
        "comfy": ("diffusion_model.blocks.0.ffn.0.lora_down.weight", "diffusion_model.blocks.0.ffn.0.lora_up.weight"),
        "kohya": ("lora_unet__blocks_0_ffn_0.lora_down.weight", "lora_unet__blocks_0_ffn_0.lora_up.weight"),
        "official": ("blocks.0.self_attn.q.lora_A.default.weight", "blocks.0.self_attn.q.lora_B.default.weight"),
        "diffusers": ("transformer.blocks.0.attn1.to_q.lora_A.weight", "transformer.blocks.0.attn1.to_q.lora_B.weight"),
    }
    for name, (down, up) in names.items():
        told = {"lora_adapter_metadata": '{"transformer.lora_alpha": 4}'} if name == "diffusers" else None
        save_file({down: torch.ones(2, 8), up: torch.ones(8, 2)}, folder / f"{name}.safetensors", told)
    return [folder / f"{name}.safetensors" for name in names]


def _read_photo(path: Path) -> None:
    from real2sam2real.perceive.photo import load_photo

    load_photo(path)


@kind("photo", _read_photo, *mutators.BYTES)
def photo(folder: Path) -> Sequence[Path]:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    files = [folder / f"photo{suffix}" for suffix in (".png", ".jpg", ".webp", ".tif", ".bmp", ".gif", ".tga", ".ppm")]
    for file in files:
        Image.fromarray(pixels).save(file)
    return files


def _read_mask(path: Path) -> None:
    from real2sam2real.perceive.masks import load_masks

    load_masks(path, *SIZE)


@kind("mask", _read_mask, *mutators.BYTES)
def mask(folder: Path) -> Sequence[Path]:
    from PIL import Image

    labels = np.zeros(SIZE[::-1], np.uint8)
    labels[SQUARE] = 255
    files = [folder / f"mask{suffix}" for suffix in (".png", ".jpg", ".tif", ".gif")]
    for file in files:
        Image.fromarray(labels).save(file)
    return files


def _read_video(path: Path) -> None:
    from real2sam2real.media import iterate_video

    for _ in zip(range(1000), iterate_video(path), strict=False):
        pass


@kind("video", _read_video, *mutators.BYTES)
def video(folder: Path) -> Sequence[Path]:
    from real2sam2real.media import write_lossless_video, write_video

    frames = np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), np.uint8)
    write_video(folder / "a.mp4", frames, 16.0)
    write_lossless_video(folder / "a.mkv", frames, 16.0)
    return [folder / "a.mp4", folder / "a.mkv"]


def _read_depth(path: Path) -> None:
    from real2sam2real.perceive.camera.depth_file import read_depth_file

    inside = np.zeros(SIZE[::-1], bool)
    inside[SQUARE] = True
    read_depth_file(path, "relative", size=SIZE, masks=[inside], horizon=None)


@kind("depth map", _read_depth, *mutators.BYTES)
def depth(folder: Path) -> Sequence[Path]:
    import cv2

    values = np.tile(np.linspace(8, 2, SIZE[1], dtype=np.float32)[:, None], (1, SIZE[0]))
    np.save(folder / "a.npy", values)
    np.savez_compressed(folder / "a.npz", depth=values, more=np.arange(3))
    cv2.imwrite(str(folder / "a.pfm"), values)
    cv2.imwrite(str(folder / "a.tif"), values)
    cv2.imwrite(str(folder / "a.png"), (values * 1000).astype(np.uint16))
    return [folder / f"a{suffix}" for suffix in (".npy", ".npz", ".pfm", ".tif", ".png")]


def _read_and_close_mesh(path: Path) -> None:
    from real2sam2real.lifting.mesh_files import read_mesh_file
    from real2sam2real.mesh.repair import repair
    from real2sam2real.mesh.solidity import is_solid

    assert is_solid(repair(read_mesh_file(path, name="it").mesh, clean=True, max_faces=5000).mesh)


def _ball() -> tuple[np.ndarray, np.ndarray]:
    import manifold3d

    mesh = manifold3d.Manifold.sphere(1.0, 12).to_mesh()
    return np.asarray(mesh.vert_properties)[:, :3], np.asarray(mesh.tri_verts)


@kind("mesh", _read_and_close_mesh, *mutators.BYTES, *mutators.TEXT[:3])
def mesh(folder: Path) -> Sequence[Path]:
    points, faces = _ball()
    lines = [f"v {x:.6g} {y:.6g} {z:.6g}" for x, y, z in points.tolist()]
    (folder / "a.obj").write_text("\n".join([*lines, *(f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist())]) + "\n")
    properties = "property float x\nproperty float y\nproperty float z"
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n{properties}\n"
    head += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    rows = np.zeros(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    (folder / "a.ply").write_bytes(head.encode() + points.astype("<f4").tobytes() + rows.tobytes())
    triangles = np.zeros(len(faces), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    triangles["corners"] = points[faces]
    (folder / "a.stl").write_bytes(bytes(80) + np.uint32(len(faces)).tobytes() + triangles.tobytes())
    return [folder / "a.obj", folder / "a.ply", folder / "a.stl"]


def _read_glb(path: Path) -> None:
    from real2sam2real.lifting.mesh_files import read_mesh_file
    from real2sam2real.scene.gltf import load_glb

    read_mesh_file(path, name="it")
    load_glb(path, frames=3)


@kind("GLB", _read_glb, *mutators.BYTES)
def glb(folder: Path) -> Path:
    from real2sam2real.geometry import Intrinsics
    from real2sam2real.mesh import Mesh
    from real2sam2real.scene import CameraPath, Entity, Motion, Scene
    from real2sam2real.scene.gltf import save_glb

    points, faces = _ball()
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, :3, 3] = [[0, 0, -4], [1, 0, -4], [1, 1, -4]]
    ball = Entity(
        name="ball",
        mesh=Mesh(vertices=points.astype(np.float64), faces=faces),
        rest_world_from_object=poses[0],
        motion=Motion.from_matrices(poses),
    )
    camera = CameraPath.still(3, Intrinsics.from_fov(*SIZE, horizontal_degrees=60))
    save_glb(Scene(entities=(ball,), camera=camera, photo=None, fps=12.0), folder / "a.glb")
    return folder / "a.glb"


def _read_path(path: Path) -> None:
    from real2sam2real.geometry import Intrinsics
    from real2sam2real.scene.paths import load_camera_path

    lens = Intrinsics.from_fov(*SIZE, horizontal_degrees=60)
    poses = load_camera_path(path.parent if path.parent.name == "colmap" else path, intrinsics=lens).world_from_camera
    assert np.isfinite(poses).all()


@kind("camera path", _read_path, *mutators.BYTES, *mutators.TEXT[:3])
def camera_path(folder: Path) -> Sequence[Path]:
    from real2sam2real.geometry import Intrinsics
    from real2sam2real.scene import CameraPath
    from real2sam2real.scene.paths import save_camera_path

    camera = CameraPath.still(4, Intrinsics.from_fov(*SIZE, horizontal_degrees=60))
    formats = {"a.tum": "tum", "a.txt": "realestate10k", "a.json": "nerf", "a.npz": "numpy"}
    for name, form in {**formats, "colmap": "colmap"}.items():
        save_camera_path(folder / name, camera, format=form, fps=16.0)
    return [*(folder / name for name in formats), *sorted((folder / "colmap").glob("*s.txt"))]
