"""Damaged, hostile and unsupported files: each gets its own message, and nothing else."""

from __future__ import annotations

import io
import json
import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from real2sam2real.errors import UserError
from real2sam2real.scene.gltf import load_glb


def refused(path: Path, *words: str) -> None:
    with pytest.raises(UserError) as error:
        load_glb(path)
    message = str(error.value)
    assert path.name in message
    for word in words:
        assert word in message, message


def set_accessor(handmade: Any, **fields: Any) -> None:
    handmade.root["accessors"][handmade.primitive["attributes"]["POSITION"]].update(fields)


def set_view(handmade: Any, **fields: Any) -> None:
    handmade.root["bufferViews"][0].update(fields)


def positions(handmade: Any, array: Any) -> None:
    data = np.asarray(array, np.float32)
    view = handmade.builder.view(data.tobytes())
    element = {"bufferView": view, "componentType": 5126, "count": len(data), "type": "VEC3"}
    handmade.primitive["attributes"]["POSITION"] = handmade.builder.add("accessors", element)


def corners(handmade: Any, order: list[int]) -> None:
    handmade.primitive["indices"] = handmade.add(np.array(order, np.uint16))


def cycle(handmade: Any) -> None:
    handmade.node["children"] = [1]
    handmade.root["nodes"].append({"name": "child", "children": [0]})


def two_parents(handmade: Any) -> None:
    handmade.root["nodes"] += [{"children": [0]}, {"children": [0]}]


def animate(path: str, times: list[float], values: Any, **options: Any) -> Callable[[Any], None]:
    return lambda handmade: handmade.animate(path, times, values, **options)


def implicit(handmade: Any) -> None:
    set_accessor(handmade, count=4_000_000_000)
    del handmade.root["accessors"][handmade.primitive["attributes"]["POSITION"]]["bufferView"]


def lonely_skin(handmade: Any) -> None:
    handmade.node["skin"] = 0
    handmade.root["skins"] = [{"joints": [0]}]
    joints, weights = np.full((4, 4), 9, np.uint8), np.ones((4, 4), np.float32)
    handmade.primitive["attributes"].update(JOINTS_0=handmade.add(joints), WEIGHTS_0=handmade.add(weights))


def wrong_weights(handmade: Any) -> None:
    target = {"POSITION": handmade.primitive["attributes"]["POSITION"]}
    handmade.primitive["targets"] = [target] * 3
    handmade.mesh["weights"] = [1.0]


def picture(handmade: Any, data: bytes) -> None:
    view = handmade.builder.view(data)
    handmade.root["images"] = [{"bufferView": view, "mimeType": "image/png"}]
    handmade.root["textures"] = [{"source": 0}]
    handmade.root["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    handmade.primitive["material"] = 0


def bomb(width: int, height: int) -> bytes:
    """A PNG header that claims to be `width × height`."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


CASES: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "index beyond the vertices": (lambda h: corners(h, [0, 1, 9]), ("meshes[0]", "vertex 9")),
    "corners that are no triangle": (lambda h: corners(h, [0, 1, 2, 3]), ("4 corners",)),
    "NaN vertices": (
        lambda h: positions(h, [[0, 0, 0], [1, np.nan, 0], [0, 1, 0], [0, 0, 1]]),
        ("accessors[2]", "1 of 4", "not finite"),
    ),
    "infinite vertices": (lambda h: positions(h, [[0, 0, np.inf]] * 4), ("4 of 4",)),
    "no POSITION": (lambda h: h.primitive["attributes"].clear(), ("POSITION",)),
    "attribute of another length": (
        lambda h: h.primitive["attributes"].update(TEXCOORD_0=h.add(np.zeros((3, 2), np.float32))),
        ("TEXCOORD_0", "3 entries for 4"),
    ),
    "accessor longer than its view": (
        lambda h: set_accessor(h, count=4_000_000_000),
        ("accessors[0]", "4,000,000,000"),
    ),
    "accessor offset beyond its view": (lambda h: set_accessor(h, byteOffset=10**9), ("accessors[0]",)),
    "huge count without data": (implicit, ("4,000,000,000",)),
    "count of zero": (lambda h: set_accessor(h, count=0), ("'count'",)),
    "negative count": (lambda h: set_accessor(h, count=-5), ("'count'",)),
    "count as text": (lambda h: set_accessor(h, count="many"), ("'count'", "many")),
    "integer of thousands of digits": (lambda h: set_accessor(h, count=10**4000), ("more than 64 bits",)),
    "unknown component type": (lambda h: set_accessor(h, componentType=5124), ("5124",)),
    "wrong accessor type": (lambda h: set_accessor(h, type="VEC2"), ("VEC2", "VEC3")),
    "view beyond its buffer": (lambda h: set_view(h, byteLength=10**12), ("bufferViews[0]", "outside")),
    "view before its buffer": (lambda h: set_view(h, byteOffset=-4), ("byteOffset",)),
    "stride smaller than an entry": (lambda h: set_view(h, byteStride=4), ("stride",)),
    "buffer index out of range": (lambda h: set_view(h, buffer=7), ("buffers[7]",)),
    "accessor index out of range": (lambda h: h.primitive["attributes"].update(POSITION=99), ("accessors[99]",)),
    "mesh index out of range": (lambda h: h.node.update(mesh=3), ("nodes[0] 'thing'", "meshes[3]")),
    "child out of range": (lambda h: h.node.update(children=[5]), ("nodes[5]",)),
    "node cycle": (cycle, ("cycle",)),
    "its own child": (lambda h: h.node.update(children=[0]), ("cycle",)),
    "two parents": (two_parents, ("two parents",)),
    "node that is a number": (lambda h: h.root["nodes"].append(3), ("nodes[1]", "3")),
    "nodes that are no list": (lambda h: h.root.update(nodes={}), ("nodes", "list")),
    "zero quaternion": (lambda h: h.node.update(rotation=[0, 0, 0, 0]), ("nodes[0]", "zero or infinite length")),
    "endless quaternion": (lambda h: h.node.update(rotation=[1e300] * 4), ("nodes[0]", "infinite length")),
    "rotation of three numbers": (lambda h: h.node.update(rotation=[0, 0, 1]), ("'rotation'", "4")),
    "translation as text": (lambda h: h.node.update(translation=["a", 0, 0]), ("'translation'[0]",)),
    "projective matrix": (lambda h: h.node.update(matrix=[1.0] * 16), ("last row",)),
    "overflowing transforms": (
        lambda h: (
            h.node.update(scale=[1e300] * 3),
            h.root["nodes"].append({"scale": [1e300] * 3, "children": [0]}),
            h.root["scenes"][0].update(nodes=[1]),
        ),
        ("overflow",),
    ),
    "fewer values than times": (animate("translation", [0.0, 1.0, 2.0], np.zeros((2, 3))), ("3 times but 2 values",)),
    "zero quaternion in an animation": (animate("rotation", [0.0, 1.0], np.zeros((2, 4))), ("zero length",)),
    "rotation of three components": (animate("rotation", [0.0, 1.0], np.zeros((2, 3))), ("3 components",)),
    "unknown interpolation": (
        animate("translation", [0.0, 1.0], np.zeros((2, 3)), interpolation="BEZIER"),
        ("BEZIER",),
    ),
    "animation of a thousand years": (
        animate("translation", [0.0, 3.2e10], np.zeros((2, 3))),
        ("how many frames",),
    ),
    "weights without their targets": (wrong_weights, ("1 weights for 3 morph targets",)),
    "animated node out of range": (
        animate("translation", [0.0, 1.0], np.zeros((2, 3)), node=44),
        ("nodes[44]",),
    ),
    "joint out of range": (lonely_skin, ("joint 9",)),
    "material out of range": (lambda h: h.primitive.update(material=2), ("materials[2]",)),
    "texture that is no picture": (lambda h: picture(h, b"not a picture"), ("images[0]", "decoded")),
    "texture bomb": (lambda h: picture(h, bomb(60_000, 60_000)), ("images[0]", "67,108,864 pixels")),
    "smaller texture bomb": (lambda h: picture(h, bomb(10_000, 9_000)), ("10000×9000",)),
    "texture that ends early": (lambda h: picture(h, bomb(64, 64)), ("images[0]",)),
    "no mesh": (lambda h: (h.node.pop("mesh"), h.root.pop("meshes")), ("no triangle mesh and no camera",)),
    "only points": (lambda h: h.primitive.update(mode=0), ("no triangle mesh",)),
    "camera without an angle": (
        lambda h: h.root.update(cameras=[{"type": "perspective", "perspective": {"yfov": 0}}], nodes=[{"camera": 0}]),
        ("field of view",),
    ),
    "Draco": (
        lambda h: h.root.update(extensionsRequired=["KHR_draco_mesh_compression"]),
        ("KHR_draco_mesh_compression", "without Draco"),
    ),
    "meshopt": (
        lambda h: h.root.update(extensionsRequired=["EXT_meshopt_compression"]),
        ("EXT_meshopt_compression", "gltf-transform"),
    ),
    "an unheard-of extension": (lambda h: h.root.update(extensionsRequired=["ACME_secret"]), ("ACME_secret",)),
    "glTF 1.0": (lambda h: h.root.update(asset={"version": "1.0"}), ("version '1.0'", "2")),
    "no version": (lambda h: h.root.update(asset={}), ("version None",)),
}


@pytest.mark.parametrize("case", CASES)
def test_damaged_elements_are_named(handmade: Any, case: str) -> None:
    damage, words = CASES[case]
    load_glb(handmade.write("whole.glb"))
    damage(handmade)
    refused(handmade.write("damaged.glb"), *words)


def test_damaged_containers(handmade: Any, tmp_path: Path) -> None:
    whole = handmade.write().read_bytes()
    damaged = tmp_path / "damaged.glb"
    cases = {
        b"": ("neither a GLB nor glTF JSON",),
        whole[:10]: ("header", "cut off"),
        whole[:200]: ("cut off", f"{len(whole):,}"),
        whole[:-4]: ("cut off",),
        b"PK\x03\x04" + whole: ("neither",),
        b"v 0 0 0\nv 1 0 0\n": ("neither",),
        b"[1, 2]": ("a list of 2",),
        b'{"asset": {"version": "2.0"}, "nodes": [NaN]}': ("NaN",),
        b"[" * 100_000: ("neither",),
        whole[:4] + struct.pack("<I", 1) + whole[8:]: ("version 1",),
        whole[:12] + struct.pack("<I", 2**31) + whole[16:]: ("ends beyond",),
        whole[:16] + b"BIN\0" + whole[20:]: ("JSON chunk",),
    }
    for data, words in cases.items():
        damaged.write_bytes(data)
        refused(damaged, *words)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.glb", tmp_path):
        refused(path, "cannot read")


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        ("missing.bin", "missing"),
        ("../secret.bin", "leads out"),
        ("%2e%2e/secret.bin", "leads out"),
        ("..\\secret.bin", "leads out"),
        ("sub/../../secret.bin", "leads out"),
        ("link.bin", "leads out"),
        ("/etc/passwd", "absolute"),
        ("file:///etc/passwd", "absolute"),
        ("http://example.com/a.bin", "network"),
        ("C:\\a.bin", "absolute"),
        ("a\0b", "absolute"),
        ("", "missing"),
        ("x" * 5000, "'x"),
        ("data:text/plain,hello", "base64"),
        ("data:;base64,####", "base64"),
        ("data:;base64,AAAA", "cut off"),
        ("short.bin", "cut off"),
    ],
)
def test_buffers_elsewhere_are_not_followed(handmade: Any, tmp_path: Path, uri: str, word: str) -> None:
    root = dict(handmade.builder.finished(), buffers=[{"byteLength": len(handmade.builder.binary), "uri": uri}])
    (tmp_path / "secret.bin").write_bytes(handmade.builder.binary)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "short.bin").write_bytes(b"1234")
    (folder / "model.gltf").write_text(json.dumps(root))
    refused(folder / "model.gltf", "buffers[0]", word)


def test_a_gltf_without_its_binary_chunk(handmade: Any, tmp_path: Path) -> None:
    (tmp_path / "lonely.gltf").write_text(json.dumps(handmade.builder.finished()))
    refused(tmp_path / "lonely.gltf", "buffers[0]", "no 'uri'")


def test_frames_that_multiply_vertices_are_counted_before_they_are_made(handmade: Any) -> None:
    """20,000 vertices deforming over 10,000 frames would take 2.4 GB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    accessor = handmade.add(np.random.default_rng(0).random((20_000, 3)).astype(np.float32))
    handmade.primitive["attributes"]["POSITION"] = accessor
    handmade.primitive["targets"] = [{"POSITION": accessor}]
    handmade.primitive["indices"] = handmade.add(np.arange(19_998, dtype=np.uint32))
    handmade.animate("weights", [0.0, 9999.0], [[0.0], [1.0]])
    with pytest.raises(UserError, match="more than fits into memory"):
        load_glb(handmade.write(), frames=10_000, fps=1.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # kB


def test_targets_that_share_their_data_are_counted(handmade: Any) -> None:
    """Ten megabytes of JSON must not become terabytes of displacements."""
    accessor = handmade.add(np.zeros((100_000, 3), np.float32))
    handmade.primitive["attributes"]["POSITION"] = accessor
    handmade.primitive["targets"] = [{"POSITION": accessor}] * 2000
    refused(handmade.write(), "2,000 morph targets of 100,000 vertices")


def test_too_many_objects_for_a_scene(handmade: Any) -> None:
    handmade.root["nodes"] = [{"mesh": 0} for _ in range(300)]
    handmade.root["scenes"][0]["nodes"] = list(range(300))
    refused(handmade.write(), "300 meshes", "255")


@pytest.mark.parametrize("options", [{"frames": 0}, {"fps": 0.0}, {"fps": float("nan")}])
def test_misuse_is_a_value_error(handmade: Any, options: Any) -> None:
    with pytest.raises(ValueError, match=r"frames|fps"):
        load_glb(handmade.write(), **options)


def test_a_texture_of_another_mode_is_read(handmade: Any) -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (3, 3), (0, 255, 255, 0)).save(buffer, "JPEG")
    picture(handmade, buffer.getvalue())
    handmade.primitive["attributes"]["TEXCOORD_0"] = handmade.add(np.zeros((4, 2), np.float32))
    texture = load_glb(handmade.write()).entities[0].mesh.texture
    assert texture is not None
    assert texture.shape == (3, 3, 3)
