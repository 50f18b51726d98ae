"""Primitives of a glTF mesh: triangles with texture coordinates, colours, skin weights and morph targets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from real2sam2real.arrays import Float, Float32, Int
from real2sam2real.mesh.gltf.accessors import read_floats, read_integers
from real2sam2real.mesh.gltf.container import Document
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.gltf.materials import Material, Materials
from real2sam2real.mesh.gltf.textures import linear_from_srgb

MOST_TRIANGLES = 20_000_000
"""Most triangles of one mesh: primitives may share their data, so the file's size does not bound them."""

MOST_TARGET_NUMBERS = 2**28  # most numbers in all morph targets of one primitive; they may share their data as well
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_BYTES = 5121


@dataclass(eq=False)
class Surface:
    """One primitive (N vertices, M triangles)."""

    label: str
    positions: Float  # `(N, 3)` in the mesh's frame
    triangles: Int  # `(M, 3)`
    material: Material  # its base colour
    uvs: Float | None = None  # `(N, 2)` of the material's texture, or None
    colors: Float | None = None  # `(N, 3)` linear light (COLOR_0), or None
    # `(N, 3)` like `colors`, but not to be multiplied with the texture (our own `_COLOR_0`)
    plain_colors: Float | None = None
    corner_normals: Float32 | None = None  # `(M, 3, 3)`, zero or not finite where the file gives none
    skin: tuple[Int, Float] | None = None  # joint numbers `(N, J)` and their weights `(N, J)`, or None
    # `(K, N, 3)` displacements of the morph targets
    targets: Float = field(default_factory=lambda: np.zeros((0, 0, 3)))


def read_surfaces(document: Document, index: int, materials: Materials) -> list[Surface]:
    """The triangle primitives of `meshes[index]`; points and lines are left out with a note.

    Raises:
        UserError: a primitive is damaged.
    """
    element = document.element("meshes", index)
    surfaces = []
    seen = 0
    for primitive in element.objects("primitives"):
        mode = primitive.integer("mode", _TRIANGLES, most=6)
        if mode not in (_TRIANGLES, _STRIP, _FAN):
            document.note(f"{primitive.label} is of points or lines, not of triangles; it was left out")
            continue
        if primitive.extension("KHR_draco_mesh_compression") and not _is_uncompressed(document, primitive):
            primitive.fail("is compressed with Draco, which is not read", "export without Draco compression")
        surface = _read_surface(document, primitive, mode, materials)
        seen += len(surface.triangles)
        if seen > MOST_TRIANGLES:
            element.fail(f"has more than {MOST_TRIANGLES:,} triangles", "decimate it")
        surfaces.append(surface)
    return surfaces


def _is_uncompressed(document: Document, primitive: JsonObject) -> bool:
    """Whether the data stands beside its compressed form as well."""
    at = primitive.child("attributes").index("POSITION", "accessors")
    return at is not None and document.element("accessors", at).has("bufferView")


def _read_surface(document: Document, primitive: JsonObject, mode: int, materials: Materials) -> Surface:
    attributes = primitive.child("attributes")
    attributes.label = f"{primitive.label}.attributes"
    positions = _attribute(document, attributes, "POSITION", None, "VEC3")
    if positions is None:
        primitive.fail("has no POSITION")
    count = len(positions)
    _note_what_is_lost(document, primitive, attributes)
    material = materials.get(primitive.index("material", "materials"))
    uvs = _attribute(document, attributes, f"TEXCOORD_{material.uv_set}", count, "VEC2")
    if uvs is not None and material.uv_transform is not None:
        uvs = uvs @ material.uv_transform[:, :2].T + material.uv_transform[:, 2]
    colors = _attribute(document, attributes, "COLOR_0", count, "VEC3", "VEC4")
    plain = _attribute(document, attributes, "_COLOR_0", count, "VEC3", "VEC4")
    normals = _attribute(document, attributes, "NORMAL", count, "VEC3")
    triangles = _triangles(document, primitive, mode, count)
    return Surface(
        label=primitive.label,
        positions=positions,
        triangles=triangles,
        material=material,
        uvs=uvs,
        colors=None if colors is None else _linear(document, attributes, colors[:, :3]),
        plain_colors=None if plain is None else plain[:, :3],
        corner_normals=None if normals is None else normals[triangles].astype(np.float32),
        skin=_skin(document, attributes, count),
        targets=_targets(document, primitive, count),
    )


def _linear(document: Document, attributes: JsonObject, colors: Float) -> Float:
    """COLOR_0 as linear light; trimesh, whatever glTF says, writes its sRGB bytes there as they are."""
    at = attributes.needed_index("COLOR_0", "accessors")
    generator = str(document.root.child("asset").value.get("generator"))
    if document.element("accessors", at).integer("componentType") != _BYTES or "trimesh" not in generator:
        return colors
    document.note(f"{document.path.name}: its vertex colours were taken as sRGB, as trimesh writes them")
    return linear_from_srgb(np.round(colors * 255).astype(np.uint8))


def _note_what_is_lost(document: Document, primitive: JsonObject, attributes: JsonObject) -> None:
    """Name attributes that would change looks or shape, and are not read."""
    lost = sorted(key for key in attributes.value if re.fullmatch(r"COLOR_[1-9]\d*", key))
    for target in primitive.objects("targets"):
        lost += [f"a morph target's {key}" for key in target.value if key.startswith(("COLOR_", "TEXCOORD_"))]
    if lost:
        document.note(f"{primitive.label}: {', '.join(dict.fromkeys(lost))} is not read")


def _attribute(document: Document, attributes: JsonObject, name: str, count: int | None, *kinds: str) -> Float | None:
    index = attributes.index(name, "accessors")
    if index is None:
        return None
    values = read_floats(document, index, *kinds)
    if count is not None and len(values) != count:
        attributes.fail(f"{name} has {len(values):,} entries for {count:,} vertices")
    return values


def _triangles(document: Document, primitive: JsonObject, mode: int, count: int) -> Int:
    index = primitive.index("indices", "accessors")
    order = np.arange(count) if index is None else read_integers(document, index, "SCALAR")[:, 0]
    if len(order) and order.max() >= count:
        primitive.fail(f"an index points at vertex {order.max():,} of {count:,}")
    if mode == _TRIANGLES:
        if len(order) % 3:
            primitive.fail(f"its {len(order):,} corners do not make whole triangles")
        return order.reshape(-1, 3)
    if len(order) < 3:
        primitive.fail(f"a strip or fan of {len(order)} corners has no triangle")
    first, second, third = order[:-2].copy(), order[1:-1].copy(), order[2:]
    if mode == _FAN:
        return np.stack([second, third, np.full_like(third, order[0])], axis=1)
    odd = np.arange(len(first)) % 2 == 1  # every other triangle of a strip is wound the other way
    return np.stack([np.where(odd, second, first), np.where(odd, first, second), third], axis=1)


def _skin(document: Document, attributes: JsonObject, count: int) -> tuple[Int, Float] | None:
    joints, weights = [], []
    for k in range(64):
        at = attributes.index(f"JOINTS_{k}", "accessors")
        weight = _attribute(document, attributes, f"WEIGHTS_{k}", count, "VEC4")
        if at is None or weight is None:
            break
        joint = read_integers(document, at, "VEC4")
        if len(joint) != count:
            attributes.fail(f"JOINTS_{k} has {len(joint):,} entries for {count:,} vertices")
        joints.append(joint)
        weights.append(weight)
    return (np.concatenate(joints, axis=1), np.concatenate(weights, axis=1)) if joints else None


def _targets(document: Document, primitive: JsonObject, count: int) -> Float:
    targets = primitive.objects("targets")
    if len(targets) * count * 3 > MOST_TARGET_NUMBERS:
        primitive.fail(f"has {len(targets):,} morph targets of {count:,} vertices", "bake fewer shapes or decimate")
    found = []
    for target in targets:
        moved = _attribute(document, target, "POSITION", count, "VEC3")
        found.append(np.zeros((count, 3)) if moved is None else moved)
    return np.stack(found) if found else np.zeros((0, count, 3))
