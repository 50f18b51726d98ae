"""What changes geometry, motion or looks is read or named; one oddity does not refuse a file."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.mesh.gltf.textures import linear_from_srgb
from real2sam2real.mesh.readers import read_mesh
from real2sam2real.rendering import render_frames
from real2sam2real.scene import CameraPath, Scene
from real2sam2real.scene.gltf import GltfScene, load_glb

ODD = np.diag([1.0, 0, 1, 1]).ravel().tolist()


def pointers(handmade: Any, *targets: tuple[str, Any]) -> None:
    for pointer, values in targets:
        handmade.animate("pointer", [0.0, 1.0], values)
        extension = {"KHR_animation_pointer": {"pointer": pointer}}
        handmade.root["animations"][0]["channels"][-1]["target"] = {"path": "pointer", "extensions": extension}


def said(found: GltfScene, *words: str) -> None:
    told = " | ".join(found.notes)
    for word in words:
        assert word in told, told


def test_pointers_move_nodes_cameras_and_shapes(handmade: Any) -> None:
    handmade.primitive["targets"] = [{"POSITION": handmade.add(np.tile(np.float32([0, 1, 0]), (4, 1)))}]
    handmade.root["cameras"] = [{"type": "perspective", "perspective": {"yfov": 0.8, "znear": 0.1}}]
    handmade.root["nodes"].append({"camera": 0, "name": "Camera", "translation": [0, 0, 5]})
    handmade.root["scenes"][0]["nodes"] = [0, 1]
    turn = [[0, 0, 0, 1], [-np.sin(0.2), 0, 0, np.cos(0.2)]]
    pointers(
        handmade,
        ("/nodes/0/translation", [[0, 0, 0], [2, 0, 0]]),
        ("/nodes/0/weights", [0.0, 1.0]),
        ("/nodes/1/translation", [[0, 0, 5], [0, 3, 5]]),
        ("/nodes/1/rotation", turn),
        ("/cameras/0/perspective/yfov", [0.8, 0.4]),
        ("/materials/0/pbrMetallicRoughness/baseColorFactor", [[1, 0, 0, 1], [0, 1, 0, 1]]),
    )
    found = load_glb(handmade.write(), frames=2, fps=1.0)
    (thing,) = found.entities
    np.testing.assert_allclose(thing.motion.translation, [[0, 0, 0], [2, 0, 0]], atol=1e-6)
    assert thing.motion.vertices_object is not None
    np.testing.assert_allclose(np.ptp(thing.motion.vertices_object, axis=0)[:, 1], 1, atol=1e-6)
    assert found.camera is not None
    np.testing.assert_allclose(found.camera.world_from_camera[:, 1, 3], [0, 3], atol=1e-6)
    assert found.camera.world_from_camera[1, 2, 1] == pytest.approx(-np.sin(0.4), abs=1e-6)
    np.testing.assert_allclose(found.camera.vertical_fov_radians, [0.8, 0.4], atol=1e-6)
    said(found, "/materials/0/pbrMetallicRoughness/baseColorFactor")


def test_a_pointer_to_a_node_that_is_not_there_is_refused(handmade: Any) -> None:
    pointers(handmade, ("/nodes/7/scale", [[1, 1, 1], [2, 2, 2]]))
    with pytest.raises(UserError, match="/nodes/7/scale"):
        load_glb(handmade.write())


def test_instances_become_objects(handmade: Any) -> None:
    places = np.array([[0, 0, 0], [3, 0, 0], [0, 5, 0]], np.float32)
    attributes = {
        "TRANSLATION": handmade.add(places),
        "SCALE": handmade.add(np.float32([[1, 1, 1], [2, 2, 2], [1, 1, 1]])),
    }
    handmade.node.update(translation=[0, 0, -9], extensions={"EXT_mesh_gpu_instancing": {"attributes": attributes}})
    handmade.root.update(extensionsUsed=["EXT_mesh_gpu_instancing"], extensionsRequired=["EXT_mesh_gpu_instancing"])
    found = load_glb(handmade.write())
    np.testing.assert_allclose([e.motion.translation[0] for e in found.entities], places - np.float32([0, 0, 9]))
    np.testing.assert_allclose([e.motion.scale[0, 0] for e in found.entities], [1, 2, 1])
    assert [e.name for e in found.entities] == ["thing 1", "thing 2", "thing 3"]
    handmade.node["extensions"]["EXT_mesh_gpu_instancing"]["attributes"] = {}
    handmade.node["mesh"] = 0
    with pytest.raises(UserError, match="instances"):
        load_glb(handmade.write())


def sheet(handmade: Any, uvs: np.ndarray, sampler: dict[str, int] | None, colors: np.ndarray) -> None:
    """A square from −1 to 1 with a texture of `colors` `(H, W, 3)`."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
    buffer = io.BytesIO()
    Image.fromarray(colors).save(buffer, "PNG")
    image = {"bufferView": handmade.builder.view(buffer.getvalue()), "mimeType": "image/png"}
    handmade.primitive["attributes"] = {"POSITION": handmade.add(corners), "TEXCOORD_0": handmade.add(uvs)}
    handmade.primitive.update(indices=handmade.add(np.uint16([0, 1, 2, 0, 2, 3])), material=0)
    texture = {"source": 0} if sampler is None else {"source": 0, "sampler": 0}
    look = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}
    handmade.root.update(images=[image], textures=[texture], samplers=[sampler or {}], materials=[look])


def drawn(found: GltfScene) -> np.ndarray:
    """`(120, 120, 3)`: the square seen from the front."""
    camera = found.entities[0]
    lens = transforms.compose([0, 0, 2.0], [1.0, 0, 0, 0])
    path = CameraPath.still(1, Intrinsics.from_focal(120, 120, 120.0), lens)
    scene = Scene(entities=(camera,), camera=path, photo_world_from_camera=lens)
    (frame,) = render_frames(scene, width=120, height=120, color=True)
    assert frame.color is not None
    return frame.color


WRAPS = {"repeat": 10497, "mirror": 33648, "clamp": 33071}


def expected(kind: str, at: np.ndarray) -> np.ndarray:
    """Where the textures of glTF's three wraps are sampled, 0…1."""
    if kind == "clamp":
        return at.clip(0, 1 - 1e-9)
    whole = np.floor(at)
    inside = at - whole
    return np.where(whole % 2 == 1, 1 - inside, inside) if kind == "mirror" else inside


@pytest.mark.parametrize("u", WRAPS)
@pytest.mark.parametrize("v", WRAPS)
@pytest.mark.parametrize("atlas", [False, True])
def test_textures_go_on_as_their_sampler_says(handmade: Any, u: str, v: str, atlas: bool) -> None:
    colors = np.kron(
        np.uint8([[[250, 10, 10], [10, 250, 10]], [[10, 10, 250], [240, 240, 10]]]), np.ones((12, 12, 1), np.uint8)
    )
    uvs = np.array([[-1, 2], [2.5, 2], [2.5, -1], [-1, -1]], np.float32)
    sheet(handmade, uvs, {"wrapS": WRAPS[u], "wrapT": WRAPS[v]}, colors)
    if atlas:  # another material in the same mesh
        other = {"POSITION": handmade.add(np.float32([[9, 9, 9], [10, 9, 9], [9, 10, 9]]))}
        handmade.mesh["primitives"].append({"attributes": other, "material": 1})
        handmade.root["materials"].append({"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}})
    image = drawn(load_glb(handmade.write()))
    x, y = np.meshgrid((np.arange(120) + 0.5) / 120, (np.arange(120) + 0.5) / 120)
    s, t = -1 + 3.5 * x, -1 + 3 * y
    column, row = (expected(u, s) * 24).astype(int), (expected(v, t) * 24).astype(int)
    away = np.abs(image.astype(int) - colors[row, column]).max(axis=2) > 60
    assert away.mean() < 0.1  # along the borders between colours, where samples are mixed


@pytest.mark.parametrize("change", ["scale", "offset", "rotation"])
def test_a_texture_transform_goes_before_the_wrap(handmade: Any, change: str) -> None:
    colors = np.zeros((24, 24, 3), np.uint8)
    colors[:, :12] = 250
    sheet(handmade, np.float32([[0, 1], [1, 1], [1, 0], [0, 0]]), {"wrapS": 33648, "wrapT": 33648}, colors)
    value = {"scale": [4.0, 1.0], "offset": [1.0, 0.0], "rotation": np.pi}[change]
    info = handmade.root["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]
    info["extensions"] = {"KHR_texture_transform": {change: value}}
    image = drawn(load_glb(handmade.write()))[60, :, 0] > 128
    x = (np.arange(120) + 0.5) / 120
    s = {"scale": 4 * x, "offset": 1 + x, "rotation": -x + 0.0}[change]
    assert (image == (expected("mirror", s) < 0.5)).mean() > 0.9


@pytest.mark.parametrize("generator", ["https://github.com/mikedh/trimesh", "Khronos glTF Blender I/O"])
def test_vertex_colours_by_who_wrote_them(handmade: Any, generator: str) -> None:
    colors = np.array([[200, 100, 50, 255]] * 4, np.uint8)
    handmade.primitive["attributes"]["COLOR_0"] = handmade.add(colors, normalized=True)
    handmade.root["asset"]["generator"] = generator
    (thing,) = load_glb(handmade.write()).entities
    assert thing.mesh.vertex_colors is not None
    shown = thing.mesh.vertex_colors[0]
    if "trimesh" in generator:
        np.testing.assert_array_equal(shown, [200, 100, 50])
    else:
        np.testing.assert_allclose(linear_from_srgb(shown), np.array([200, 100, 50]) / 255, atol=0.004)


def test_what_is_not_read_is_named(handmade: Any) -> None:
    look = {
        "alphaMode": "BLEND",
        "normalTexture": {"index": 0},
        "emissiveFactor": [1, 0, 0],
        "extensions": {"KHR_materials_transmission": {"transmissionFactor": 1.0}},
    }
    handmade.root.update(materials=[look], extensionsUsed=["MSFT_lod", "KHR_materials_variants", "KHR_materials_sheen"])
    handmade.primitive["material"] = 0
    handmade.primitive["attributes"]["COLOR_1"] = handmade.add(np.ones((4, 3), np.float32))
    found = load_glb(handmade.write())
    said(found, "MSFT_lod", "several looks", "BLEND", "normal map", "glow", "transparency", "COLOR_1")
    assert "sheen" not in " ".join(found.notes)


def test_compressed_data_without_a_plain_copy_is_named(handmade: Any) -> None:
    position = handmade.root["accessors"][handmade.primitive["attributes"]["POSITION"]]
    view = position.pop("bufferView")
    handmade.primitive["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    handmade.root["extensionsUsed"] = ["KHR_draco_mesh_compression"]
    with pytest.raises(UserError, match="Draco"):
        load_glb(handmade.write())
    position["bufferView"] = view  # a plain copy is there as well
    assert load_glb(handmade.write()).entities[0].mesh.is_closed()
    path = handmade.write()
    handmade.root["buffers"] = [{"byteLength": 99, "extensions": {"EXT_meshopt_compression": {"fallback": True}}}]
    path = path.with_suffix(".gltf")
    path.write_text(json.dumps(handmade.root))
    with pytest.raises(UserError, match=r"EXT_meshopt_compression.*gltf-transform"):
        load_glb(path)


@pytest.mark.parametrize("change", [{"scale": [0, 0, 0]}, {"matrix": [0.0] * 15 + [1.0]}])
def test_a_scale_of_zero_hides_one_node_and_refuses_nothing(handmade: Any, change: dict[str, Any]) -> None:
    handmade.root["nodes"].append({"name": "hidden", "mesh": 0, **change})
    handmade.root["scenes"][0]["nodes"] = [0, 1]
    found = load_glb(handmade.write())
    assert [bool(e.motion.visible.all()) for e in found.entities] == [True, False]
    said(found, "'hidden'", "zero")
    file = read_mesh(handmade.write())
    assert len(file.mesh.faces) == 4
    assert any("hidden" in note for note in file.notes)


@pytest.mark.parametrize(
    "change", [{"scale": [2, 0, 2]}, {"matrix": ODD}, {"matrix": [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]}]
)
def test_what_is_flat_gets_a_little_thickness(handmade: Any, change: dict[str, Any]) -> None:
    handmade.root["nodes"].append({"name": "shadow", "mesh": 0, **change})
    handmade.root["scenes"][0]["nodes"] = [0, 1]
    found = load_glb(handmade.write())
    said(found, "'shadow'", "flattens")
    shadow = found.entities[1]
    points = transforms.apply(shadow.motion.matrices()[0], shadow.mesh.vertices)
    sizes = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    assert 0 < sizes[2] < 0.01 * sizes[0]


def test_a_parent_that_grows_from_nothing_hides_its_child_until_then(handmade: Any) -> None:
    handmade.node.update(translation=[1, 0.5, 0], scale=[1, 2, 1])
    handmade.root["nodes"].append({"children": [0]})
    handmade.root["scenes"][0]["nodes"] = [1]
    handmade.animate("scale", [0.0, 0.5, 1.0], [[0, 0, 0], [0, 0, 0], [1, 1, 1]], node=1)
    (thing,) = load_glb(handmade.write(), frames=5, fps=4.0).entities
    assert thing.motion.visible.tolist() == [False, False, False, True, True]
    np.testing.assert_allclose(thing.motion.scale[-1], [1, 2, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("times", "values", "word", "shown"),
    [
        ([0, 0.5, 0.5, 1], [0, 1, 5, 6], "jumps", [0, 0.5, 5, 5.5, 6]),
        ([0, 1, 0.5], [0, 2, 1], "sorted", [0, 0.5, 1, 1.5, 2]),
        ([0, 1, 1], [0, 4, 7], "jumps", [0, 1.75, 3.5, 5.25, 7]),
        ([0, 0, 0, 1], [3, 2, 1, 5], "jumps", [1, 2, 3, 4, 5]),
        ([-1, 1], [0, 2], "before the start", [1, 1.25, 1.5, 1.75, 2]),
    ],
)
def test_odd_key_times(handmade: Any, times: list[float], values: list[float], word: str, shown: list[float]) -> None:
    handmade.animate("translation", times, [[value, 0, 0] for value in values])
    found = load_glb(handmade.write(), frames=5, fps=4.0)
    np.testing.assert_allclose(found.entities[0].motion.translation[:, 0], shown, atol=1e-6)
    said(found, word)
