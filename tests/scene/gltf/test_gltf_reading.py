"""What other tools write: hierarchies, interpolations, skins, morphs, packed numbers, several materials."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.interpolate import CubicHermiteSpline

from real2sam2real.geometry import quaternions, transforms
from real2sam2real.mesh.gltf.textures import linear_from_srgb, srgb_from_linear
from real2sam2real.scene import Entity
from real2sam2real.scene.gltf import load_glb

TETRAHEDRON = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)


def only(path: Path, **options: Any) -> Entity:
    read = load_glb(path, **options)
    assert len(read.entities) == 1
    return read.entities[0]


def test_a_plain_mesh(handmade: Any) -> None:
    read = load_glb(handmade.write())
    assert (read.frames, read.open_meshes, read.notes, read.camera) == (1, (), (), None)
    mesh = read.entities[0].mesh
    np.testing.assert_array_equal(mesh.vertices, TETRAHEDRON)
    assert mesh.volume() == pytest.approx(1 / 6)
    assert (mesh.vertex_colors, mesh.corner_uvs, mesh.texture) == (None, None, None)


def test_srgb_and_back() -> None:
    codes = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(srgb_from_linear(linear_from_srgb(codes)), codes)
    np.testing.assert_array_equal(srgb_from_linear(np.round(linear_from_srgb(codes) * 65535) / 65535), codes)
    assert srgb_from_linear(0.2140) == 127  # the usual mid-grey


@pytest.mark.parametrize(("mode", "order"), [(5, [0, 1, 2, 3, 0, 1]), (6, [0, 1, 3, 2, 1])])
def test_strips_and_fans_keep_their_winding(handmade: Any, mode: int, order: list[int]) -> None:
    if mode == 5:
        expected = [(order[i], order[i + 1 + i % 2], order[i + 2 - i % 2]) for i in range(len(order) - 2)]
    else:
        expected = [(order[i + 1], order[i + 2], order[0]) for i in range(len(order) - 2)]
    handmade.primitive.update(mode=mode, indices=handmade.add(np.array(order, np.uint16)))
    mesh = only(handmade.write()).mesh

    def turned(faces: Any) -> set[tuple[int, ...]]:
        """Faces as cycles that start at their smallest vertex."""
        cycles = [tuple(int(v) for v in face) for face in faces]
        return {cycle[cycle.index(min(cycle)) :] + cycle[: cycle.index(min(cycle))] for cycle in cycles}

    positions = {tuple(p): k for k, p in enumerate(TETRAHEDRON.tolist())}
    found = [[positions[tuple(mesh.vertices[v])] for v in face] for face in mesh.faces]
    assert turned(found) == turned(expected)


def test_corners_without_indices(handmade: Any) -> None:
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    del handmade.primitive["indices"]
    handmade.primitive["attributes"]["POSITION"] = handmade.add(TETRAHEDRON[faces.ravel()])
    mesh = only(handmade.write()).mesh
    assert mesh.vertices.shape == (4, 3)
    assert mesh.is_closed()


def test_quantized_positions(handmade: Any) -> None:
    """KHR_mesh_quantization: normalised 16-bit integers, scaled back by the node."""
    packed = np.zeros((4, 4), np.int16)
    packed[:, :3] = np.round(TETRAHEDRON * 32767)
    view = handmade.builder.view(packed.tobytes(), byteStride=8)
    element = {"bufferView": view, "componentType": 5122, "normalized": True, "count": 4, "type": "VEC3"}
    handmade.primitive["attributes"]["POSITION"] = handmade.builder.add("accessors", element)
    handmade.root["extensionsRequired"] = ["KHR_mesh_quantization"]
    handmade.node["scale"] = [2, 2, 2]
    np.testing.assert_allclose(only(handmade.write()).vertices_world(0), TETRAHEDRON * 2)


def test_sparse_accessor_over_data_and_over_nothing(handmade: Any) -> None:
    positions = handmade.root["accessors"][handmade.primitive["attributes"]["POSITION"]]
    at, values = np.array([1, 3], np.uint8), np.array([[5, 0, 0], [0, 0, 7]], np.float32)
    positions["sparse"] = {
        "count": 2,
        "indices": {"bufferView": handmade.builder.view(at.tobytes()), "componentType": 5121},
        "values": {"bufferView": handmade.builder.view(values.tobytes())},
    }
    expected = TETRAHEDRON.copy()
    expected[at] = values
    np.testing.assert_array_equal(only(handmade.write()).mesh.vertices, expected)
    del positions["bufferView"]
    positions["sparse"].update(count=1)
    handmade.primitive["targets"] = [{"POSITION": handmade.primitive["attributes"]["POSITION"]}]
    handmade.primitive["attributes"]["POSITION"] = handmade.add(TETRAHEDRON)
    handmade.mesh["weights"] = [0.5]
    expected = TETRAHEDRON.copy()
    expected[1] += [2.5, 0, 0]
    np.testing.assert_array_equal(only(handmade.write()).mesh.vertices, expected)


def test_buffers_beside_the_file_and_inside_its_uris(handmade: Any, tmp_path: Path) -> None:
    root = handmade.builder.finished()
    beside = dict(root, buffers=[{"byteLength": len(handmade.builder.binary), "uri": "parts/the%20data.bin"}])
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "the data.bin").write_bytes(handmade.builder.binary)
    (tmp_path / "beside.gltf").write_text(json.dumps(beside))
    uri = "data:application/octet-stream;base64," + base64.b64encode(handmade.builder.binary).decode()
    inside = dict(root, buffers=[{"byteLength": len(handmade.builder.binary), "uri": uri}])
    (tmp_path / "inside.gltf").write_bytes(b"\xef\xbb\xbf" + json.dumps(inside).encode())
    for name in ("beside.gltf", "inside.gltf"):
        np.testing.assert_array_equal(only(tmp_path / name).mesh.vertices, TETRAHEDRON)


def test_a_hierarchy_composes_matrices_and_poses(handmade: Any) -> None:
    rotation = quaternions.from_axis_angle([0, 0, 1], np.pi / 2)
    parent = transforms.compose([1, 2, 3], rotation, 2.0)
    grandparent = transforms.compose([0, 0, 5], quaternions.from_axis_angle([1, 0, 0], 0.3), [3, 3, 3])
    handmade.node.update(translation=[0, 1, 0], scale=[1, 2, 1])
    handmade.root["nodes"] += [
        {"name": "arm", "matrix": parent.T.ravel().tolist(), "children": [0]},
        {"name": "root", "matrix": grandparent.T.ravel().tolist(), "children": [1]},
    ]
    handmade.root["scenes"][0]["nodes"] = [2]
    world = grandparent @ parent @ transforms.compose([0, 1, 0], [1, 0, 0, 0], [1, 2, 1])
    entity = only(handmade.write())
    np.testing.assert_allclose(entity.vertices_world(0), transforms.apply(world, TETRAHEDRON), atol=1e-5)
    np.testing.assert_array_equal(entity.mesh.vertices, TETRAHEDRON)


def test_nodes_outside_the_shown_scene_are_left_alone(handmade: Any) -> None:
    handmade.root["nodes"].append({"name": "elsewhere", "mesh": 0})
    assert only(handmade.write()).name == "thing"
    del handmade.root["scenes"], handmade.root["scene"]
    assert [e.name for e in load_glb(handmade.write()).entities] == ["thing", "elsewhere"]


def test_nodes_that_share_a_mesh_are_several_entities_with_unique_names(handmade: Any) -> None:
    handmade.root["nodes"] += [{"name": "thing", "mesh": 0}, {"name": "thing-2", "mesh": 0}, {"mesh": 0}]
    handmade.root["nodes"] += [{"name": "a/b:c", "mesh": 0}]
    handmade.root["scenes"][0]["nodes"] = [0, 1, 2, 3, 4]
    read = load_glb(handmade.write())
    assert [e.name for e in read.entities] == ["thing", "thing-3", "thing-2", "object 4", "a_b_c"]
    assert any("thing-3" in note for note in read.notes)
    assert any("a_b_c" in note for note in read.notes)


def test_sheared_children_bake_the_shear_into_the_vertices(handmade: Any) -> None:
    """A child turned inside a parent that is stretched along one axis."""
    handmade.node["rotation"] = [0, 0, np.sin(0.4), np.cos(0.4)]
    handmade.root["nodes"].append({"name": "stretched", "scale": [3, 1, 1], "children": [0]})
    handmade.root["scenes"][0]["nodes"] = [1]
    turned = transforms.compose([0, 0, 0], quaternions.from_axis_angle([0, 0, 1], 0.8))
    world = np.diag([3.0, 1, 1, 1]) @ turned
    entity = only(handmade.write(), frames=3)
    assert entity.motion.vertices_object is None
    np.testing.assert_allclose(entity.vertices_world(2), transforms.apply(world, TETRAHEDRON), atol=1e-6)


def test_changing_shear_becomes_deformation(handmade: Any) -> None:
    half = np.array([0.0, 0.3, 0.6])
    xyzw = np.stack([0 * half, 0 * half, np.sin(half), np.cos(half)], axis=1)
    handmade.animate("rotation", [0.0, 0.5, 1.0], xyzw)
    handmade.root["nodes"].append({"name": "stretched", "scale": [3, 1, -1], "children": [0]})
    handmade.root["scenes"][0]["nodes"] = [1]
    entity = only(handmade.write(), frames=3, fps=2)
    assert entity.motion.vertices_object is not None
    for frame in range(3):
        turned = transforms.compose([0, 0, 0], quaternions.from_axis_angle([0, 0, 1], 2 * half[frame]))
        expected = transforms.apply(np.diag([3.0, 1, -1, 1]) @ turned, TETRAHEDRON)
        np.testing.assert_allclose(entity.vertices_world(frame), expected, atol=1e-5)


def test_linear_step_and_spline(handmade: Any) -> None:
    times = [0.0, 0.5, 2.0]
    values = np.array([[0, 0, 0], [1, 2, 3], [4, 0, -2]], np.float32)
    tangents = np.array([[1, 0, 2], [0.5, -1, 0], [2, 2, 2]], np.float32)
    at = np.arange(9) / 4
    handmade.animate("translation", times, values)
    moved = only(handmade.write(), fps=4, frames=9).motion.translation
    np.testing.assert_allclose(moved, np.stack([np.interp(at, times, v) for v in values.T], 1), atol=1e-6)
    sampler = handmade.root["animations"][0]["samplers"][0]
    sampler["interpolation"] = "STEP"
    moved = only(handmade.write(), fps=4, frames=9).motion.translation
    np.testing.assert_array_equal(moved, values[[0, 0, 1, 1, 1, 1, 1, 1, 2]])
    spline = np.stack([tangents, values, tangents], axis=1).reshape(-1, 3)
    sampler.update(interpolation="CUBICSPLINE", output=handmade.add(spline))
    moved = only(handmade.write(), fps=4, frames=9).motion.translation
    np.testing.assert_allclose(moved, CubicHermiteSpline(times, values, tangents)(at), atol=1e-6)


def test_the_value_holds_before_the_first_and_after_the_last_key(handmade: Any) -> None:
    handmade.animate("translation", [1.0, 2.0], [[1, 0, 0], [2, 0, 0]])
    moved = only(handmade.write(), fps=2, frames=9).motion.translation[:, 0]
    np.testing.assert_array_equal(moved, [1, 1, 1, 1.5, 2, 2, 2, 2, 2])


def test_the_number_of_frames_follows_the_animation(handmade: Any) -> None:
    handmade.animate("translation", [0.0, 5.0], [[0, 0, 0], [1, 0, 0]])
    assert load_glb(handmade.write()).frames == 81
    assert load_glb(handmade.write(), fps=24).frames == 121


def test_clips_of_different_objects_play_together_and_of_one_object_the_first(handmade: Any) -> None:
    handmade.root["nodes"].append({"name": "other", "mesh": 0})
    handmade.root["scenes"][0]["nodes"] = [0, 1]
    handmade.animate("translation", [0.0, 1.0], [[0, 0, 0], [1, 0, 0]])
    first = handmade.root.pop("animations")
    handmade.animate("translation", [0.0, 1.0], [[0, 0, 0], [0, 5, 0]], node=1)
    second = handmade.root.pop("animations")
    handmade.animate("translation", [0.0, 1.0], [[0, 0, 0], [0, 0, 9]])
    handmade.root["animations"] = first + second + handmade.root["animations"]
    read = load_glb(handmade.write(), frames=2, fps=1)
    assert [e.motion.translation[1].tolist() for e in read.entities] == [[1, 0, 0], [0, 5, 0]]
    assert len(read.notes) == 1


def test_a_scale_of_exactly_zero_hides(handmade: Any) -> None:
    handmade.animate("scale", [0.0, 1.0, 2.0], [[2, 2, 2], [0, 0, 0], [3, 3, 3]], interpolation="STEP")
    motion = only(handmade.write(), fps=1).motion
    assert motion.visible.tolist() == [True, False, True]
    assert motion.scale[:, 0].tolist() == [2, 2, 3]


def test_node_visibility_extension_reaches_children(handmade: Any) -> None:
    hidden = {"KHR_node_visibility": {"visible": False}}
    handmade.root["nodes"].append({"name": "group", "children": [0], "extensions": hidden})
    handmade.root["scenes"][0]["nodes"] = [1]
    assert only(handmade.write(), frames=2).motion.visible.tolist() == [False, False]
    handmade.animate("pointer", [0.0, 1.0], [[0.0], [1.0]], interpolation="STEP")
    target = {"path": "pointer"}
    pointer = {"pointer": "/nodes/1/extensions/KHR_node_visibility/visible"}
    target["extensions"] = {"KHR_animation_pointer": pointer}
    handmade.root["animations"][0]["channels"][0]["target"] = target
    assert only(handmade.write(), frames=2, fps=1).motion.visible.tolist() == [False, True]


def test_morph_weights_from_mesh_node_and_animation(handmade: Any) -> None:
    up, out = np.zeros((4, 3), np.float32), np.zeros((4, 3), np.float32)
    up[2, 1], out[1, 0] = 1, 2
    handmade.primitive["targets"] = [{"POSITION": handmade.add(up)}, {"POSITION": handmade.add(out)}]
    handmade.mesh["weights"] = [0.5, 0.0]
    still = only(handmade.write(), frames=2)
    assert still.motion.vertices_object is None
    np.testing.assert_array_equal(still.mesh.vertices, TETRAHEDRON + 0.5 * up)
    handmade.node["weights"] = [0.0, 0.25]
    np.testing.assert_array_equal(only(handmade.write()).mesh.vertices, TETRAHEDRON + 0.25 * out)
    handmade.animate("weights", [0.0, 2.0], [[0], [0], [1], [-0.5]])
    moving = only(handmade.write(), fps=1)
    np.testing.assert_array_equal(moving.mesh.vertices, TETRAHEDRON)
    assert moving.motion.vertices_object is not None
    np.testing.assert_allclose(moving.motion.vertices_object[1], TETRAHEDRON + 0.5 * up - 0.25 * out)


def skinned(handmade: Any) -> np.ndarray:
    """A column of two joints whose upper one turns by 90° about z within a second; returns the weights."""
    column = np.array([[x, y, z] for y in (0.0, 1.0, 2.0) for x, z in ((0, 0), (1, 0), (0, 1))], np.float32)
    triangles = [[0, 1, 2], [6, 8, 7]]
    for low, high in ((0, 3), (3, 6)):
        for a, b in ((0, 1), (1, 2), (2, 0)):
            triangles += [[low + a, high + a, low + b], [low + b, high + a, high + b]]
    weights = np.zeros((9, 4), np.float32)
    weights[:3, 0], weights[3:6, 0], weights[3:6, 1], weights[6:, 1] = 1, 0.25, 0.75, 1
    joints = np.tile(np.array([0, 1, 0, 0], np.uint8), (9, 1))
    handmade.primitive["attributes"] = {
        "POSITION": handmade.add(column),
        "JOINTS_0": handmade.add(joints),
        "WEIGHTS_0": handmade.add(weights),
    }
    handmade.primitive["indices"] = handmade.add(np.array(triangles, np.uint16).ravel())
    inverse = np.stack([np.eye(4), transforms.compose([0, -1, 0], [1, 0, 0, 0])])
    view = handmade.builder.view(np.swapaxes(inverse, 1, 2).astype(np.float32).tobytes())
    binds = {"bufferView": view, "componentType": 5126, "count": 2, "type": "MAT4"}
    handmade.root["skins"] = [{"joints": [2, 3], "inverseBindMatrices": handmade.builder.add("accessors", binds)}]
    handmade.node["skin"] = 0
    handmade.root["nodes"] += [
        {"name": "armature", "children": [0, 2], "translation": [0, 0, -5]},
        {"name": "lower", "children": [3]},
        {"name": "upper", "translation": [0, 1, 0]},
    ]
    handmade.root["scenes"][0]["nodes"] = [1]
    half = np.array([0.0, np.pi / 4])
    handmade.animate("rotation", [0.0, 1.0], np.stack([0 * half, 0 * half, np.sin(half), np.cos(half)], 1), node=3)
    return column


def test_a_skin_bends_its_mesh(handmade: Any) -> None:
    column = skinned(handmade)
    entity = only(handmade.write(), fps=1)
    assert entity.mesh.is_closed()
    np.testing.assert_allclose(entity.vertices_world(0), column + np.array([0, 0, -5]), atol=1e-6)
    np.testing.assert_allclose(entity.motion.translation, [[0, 0, -5]] * 2, atol=1e-6)  # the armature's frame
    bend = transforms.compose([0, 1, 0], quaternions.from_axis_angle([0, 0, 1], np.pi / 2))
    upper = transforms.apply(bend, column - np.array([0, 1, 0]))
    share = np.repeat([0.0, 0.75, 1.0], 3)[:, None]
    expected = column * (1 - share) + upper * share + [0, 0, -5]
    np.testing.assert_allclose(entity.vertices_world(1), expected, atol=1e-6)


def test_a_skin_that_only_travels_stays_rigid(handmade: Any) -> None:
    skinned(handmade)
    del handmade.root["animations"]
    handmade.animate("translation", [0.0, 1.0], [[0, 0, -5], [3, 0, -5]], node=1)
    entity = only(handmade.write(), fps=1)
    assert entity.motion.vertices_object is None
    np.testing.assert_allclose(entity.motion.translation, [[0, 0, -5], [3, 0, -5]], atol=1e-6)


def test_vertices_with_other_skin_weights_are_not_welded(handmade: Any) -> None:
    """Two lips touch at rest and open later."""
    skinned(handmade)
    attributes = handmade.primitive["attributes"]
    lips = np.concatenate([TETRAHEDRON, TETRAHEDRON * [1, -1, 1]]).astype(np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    joints = np.repeat(np.array([[0, 0, 0, 0], [1, 0, 0, 0]], np.uint8), 4, axis=0)
    weights = np.tile(np.array([1, 0, 0, 0], np.float32), (8, 1))
    attributes.update(POSITION=handmade.add(lips), JOINTS_0=handmade.add(joints), WEIGHTS_0=handmade.add(weights))
    both = np.concatenate([faces, faces[:, ::-1] + 4]).astype(np.uint16)
    handmade.primitive["indices"] = handmade.add(both.ravel())
    entity = only(handmade.write(), fps=1)
    assert len(entity.mesh.vertices) == 8
    assert entity.mesh.is_closed()


@pytest.mark.parametrize("kind", ["float", "uint8", "uint16"])
def test_colours_of_any_component_type_times_the_factor(handmade: Any, kind: str) -> None:
    linear = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float64)
    scale = {"float": 1, "uint8": 255, "uint16": 65535}[kind]
    array = np.zeros((4, 4), {"float": np.float32, "uint8": np.uint8, "uint16": np.uint16}[kind])
    array[:, :3], array[:, 3] = linear * scale, scale
    handmade.primitive["attributes"]["COLOR_0"] = handmade.add(array, normalized=kind != "float")
    handmade.primitive["material"] = 0
    handmade.root["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [0.5, 1, 1, 1]}}]
    colors = only(handmade.write()).mesh.vertex_colors
    assert colors is not None
    np.testing.assert_array_equal(colors, srgb_from_linear(linear * [0.5, 1, 1]))


def picture(color: tuple[int, int, int], size: tuple[int, int] = (4, 4), kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, kind)
    return buffer.getvalue()


def add_material(handmade: Any, data: bytes | None, **look: Any) -> int:
    material: dict[str, Any] = {"pbrMetallicRoughness": look}
    if data is not None:
        image = handmade.builder.add("images", {"bufferView": handmade.builder.view(data), "mimeType": "image/png"})
        texture = handmade.builder.add("textures", {"source": image})
        look.setdefault("baseColorTexture", {})["index"] = texture
    return handmade.builder.add("materials", material)


def test_a_texture_takes_the_factor_and_its_transform(handmade: Any) -> None:
    uvs = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    handmade.primitive["attributes"]["TEXCOORD_1"] = handmade.add(uvs)
    shift = {"KHR_texture_transform": {"offset": [0.5, 0.25], "scale": [2, 3], "rotation": np.pi / 2, "texCoord": 1}}
    handmade.primitive["material"] = add_material(
        handmade,
        picture((255, 255, 0)),
        baseColorFactor=[0.25, 1, 1, 1],
        baseColorTexture={"extensions": shift},
    )
    mesh = only(handmade.write()).mesh
    assert mesh.texture is not None
    assert mesh.corner_uvs is not None
    assert mesh.texture[0, 0].tolist() == [int(srgb_from_linear(0.25)), 255, 0]
    first = mesh.corner_uvs.reshape(-1, 2)[mesh.faces.ravel() == 3]
    # scale, then rotate by 90° counter-clockwise with y down, then shift: (1, 1) -> (2, 3) -> (3, -2) -> (3.5, -1.75)
    np.testing.assert_allclose(first, [[3.5, -1.75]] * len(first), atol=1e-6)


def test_several_materials_become_one_texture_with_crisp_borders(handmade: Any) -> None:
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.uint16)
    position = handmade.primitive["attributes"]["POSITION"]
    uvs = handmade.add(np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32))
    red = add_material(handmade, picture((255, 0, 0), (6, 3)))
    blue = add_material(handmade, None, baseColorFactor=[0, 0, 1, 1])
    jpeg = add_material(handmade, picture((0, 255, 0), (5, 9), "JPEG"))
    handmade.mesh["primitives"] = [
        {
            "attributes": {"POSITION": position, "TEXCOORD_0": uvs},
            "indices": handmade.add(faces[k : k + 1].ravel()),
            "material": material,
        }
        for k, material in enumerate([red, blue, jpeg, blue])
    ]
    read = load_glb(handmade.write())
    mesh = read.entities[0].mesh
    assert mesh.is_closed()
    assert mesh.texture is not None
    assert mesh.corner_uvs is not None
    assert any("3 materials" in note for note in read.notes)
    height, width = mesh.texture.shape[:2]
    for uv, expected in zip(mesh.corner_uvs, [(255, 0, 0), (0, 0, 255), (0, 255, 0), (0, 0, 255)], strict=True):
        for u, v in [*uv, uv.mean(axis=0)]:
            x, y = min(int(u * width), width - 1), min(int(v * height), height - 1)
            np.testing.assert_allclose(mesh.texture[y, x], expected, atol=2)


def test_open_meshes_are_named(handmade: Any) -> None:
    handmade.primitive["indices"] = handmade.add(np.array([0, 2, 1, 0, 1, 3, 1, 2, 3], np.uint16))
    path = handmade.write()
    assert load_glb(path).open_meshes == ("thing",)


def test_cameras_below_rotated_parents_and_orthographic_ones(handmade: Any) -> None:
    turn = [0, np.sin(np.pi / 4), 0, np.cos(np.pi / 4)]
    handmade.root["cameras"] = [
        {"type": "orthographic", "orthographic": {"xmag": 1, "ymag": 1, "znear": 0, "zfar": 1}},
        {"type": "perspective", "perspective": {"yfov": np.pi / 2, "znear": 0.1}},
    ]
    handmade.root["nodes"] += [
        {"name": "rig", "rotation": turn, "scale": [2, 2, 2], "children": [2]},
        {"name": "Camera_Orientation", "camera": 1, "translation": [0, 0, 1]},
        {"name": "flat", "camera": 0},
    ]
    handmade.root["scenes"][0]["nodes"] = [0, 1, 3]
    read = load_glb(handmade.write())
    assert [camera.name for camera in read.cameras] == ["Camera_Orientation"]
    assert any("not a perspective camera" in note for note in read.notes)
    path = read.cameras[0].path(200, 100)
    assert path.intrinsics.fy == pytest.approx(50)
    np.testing.assert_allclose(path.world_from_camera[0, :3, 3], [2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(path.world_from_camera[0, :3, 2], [1, 0, 0], atol=1e-6)


def test_of_several_cameras_the_moving_one_counts(handmade: Any) -> None:
    handmade.root["cameras"] = [{"type": "perspective", "perspective": {"yfov": 1.0, "znear": 0.1}}]
    handmade.root["nodes"] += [{"name": name, "camera": 0} for name in ("spare", "Camera", "Camera.001")]
    handmade.root["scenes"][0]["nodes"] = [0, 1, 2, 3]
    read = load_glb(handmade.write())
    assert read.camera is not None
    assert read.camera.name == "Camera"
    handmade.animate("translation", [0.0, 1.0], [[0, 0, 0], [1, 0, 0]], node=3)
    read = load_glb(handmade.write())
    assert read.camera is not None
    assert read.camera.name == "Camera.001"
