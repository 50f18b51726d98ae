"""Write a scene as a GLB: one node per entity, its motion as node animation, deformation as morph targets.

What an entity carries hangs below its node (see `parents`). An entity with a skin hangs with its joints below a node of
its own, which has its motion: Blender makes an armature of that; and where its joints explain its deformation, they
are animated, in place of morph targets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import real2sam2real
from real2sam2real.arrays import Float, Float32, Int, UInt8
from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.gltf.building import INDICES, VERTICES, GltfBuilder
from real2sam2real.mesh.gltf.container import write_glb
from real2sam2real.mesh.gltf.nodes import HIDING_SCALE
from real2sam2real.mesh.gltf.textures import encode_png, linear_from_srgb
from real2sam2real.mesh.gltf.welding import group_rows
from real2sam2real.scene.gltf.reader import EXTRAS
from real2sam2real.scene.gltf.rig import TOLERANCE, add_joints, add_weights, continuous, joint_turns
from real2sam2real.scene.scene import Entity, Scene

CLIP = "Shot"
"""Name of the one animation clip."""

MOST_TARGETS = 200
"""Up to so many distinct frames each has a target of its own; longer sequences share a smaller set of shapes."""

STILL = 5e-7
"""A node's pose below another one that varies by less, as a share of its size, rests there: that is rounding."""


def save_glb(scene: Scene, path: Path) -> None:
    """Write `scene` for any glTF tool: meshes, textures, every entity's motion, and the camera with its motion.

    Numbers become 32-bit floats. A hidden frame is a scale of nearly nothing, deformation becomes one morph target per
    distinct frame (a smaller set of shapes where there are more than `MOST_TARGETS`), and zoom is animated through
    KHR_animation_pointer, which tools may ignore.

    Raises:
        UserError: a number is too large for glTF, a mesh is empty, or the file cannot be written.
    """
    writer = _Writer(scene)
    with np.errstate(over="ignore"):  # the builder refuses numbers that became infinite
        for number, entity in enumerate(scene.entities, start=1):
            writer.add_entity(number, entity)
        writer.hang_below()
        writer.add_camera()
    writer.finish()
    write_glb(Path(path), writer.builder.finished(), writer.builder.binary)


def parents(scene: Scene) -> dict[str, str]:
    """By entity, the one below whose node it hangs in the file: what carries it.

    Not so where that one grows unequally along its axes, which would shear what hangs below it, or is hidden in some
    frame, which would swallow its place: then the entity's node stands by itself, with the same motion in the world.
    """
    found = {}
    for entity in scene.entities:
        carrier = scene.carrier_of(entity.name)
        if carrier is None or not carrier.motion.visible.all():
            continue
        scale = carrier.motion.scale
        if np.all(np.ptp(scale, axis=1) <= STILL * np.abs(scale).max(axis=1)):
            found[entity.name] = carrier.name
    return found


def split_at_seams(mesh: Mesh) -> tuple[Int, Int, Float | None, Float]:
    """Vertices as glTF wants them, one per distinct texture coordinate and normal.

    File vertex k is mesh vertex k for k < V, so that the order survives; further ones are appended.

    Returns:
        The mesh vertex `(N,)` of every file vertex, faces `(F, 3)` of file vertices, coordinates `(N, 2)` or None, and
        normals `(N, 3)`.
    """
    count = len(mesh.vertices)
    faces = mesh.faces.astype(np.int64)
    normals, uvs = mesh.vertex_normals(), mesh.corner_uvs
    if uvs is None and mesh.corner_normals is None:
        return np.arange(count), faces, None, normals
    corners = faces.ravel()
    columns: list[Float] = [corners[:, None].astype(np.float64)]
    if uvs is not None:
        columns.append(uvs.reshape(-1, 2).astype(np.float32).astype(np.float64))
    if mesh.corner_normals is not None:
        columns.append(mesh.corner_normals.reshape(-1, 3).astype(np.float64))
    pairs = group_rows(np.concatenate(columns, axis=1))
    _, first = np.unique(pairs, return_index=True)
    owner = corners[first]  # the mesh vertex of each distinct pair, in order of first use
    is_first = np.zeros(len(first), bool)
    is_first[np.unique(owner, return_index=True)[1]] = True
    number = np.where(is_first, owner, count + np.cumsum(~is_first) - 1)
    source = np.concatenate([np.arange(count), owner[~is_first]])
    normals = normals[source]
    if mesh.corner_normals is not None:
        normals[number] = mesh.corner_normals.reshape(-1, 3)[first]
    if uvs is None:
        return source, number[pairs].reshape(-1, 3), None, normals
    file_uvs = np.zeros((len(source), 2))
    file_uvs[number] = uvs.reshape(-1, 2)[first]
    return source, number[pairs].reshape(-1, 3), file_uvs, normals


class _Writer:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.builder = GltfBuilder(f"real2sam2real {real2sam2real.__version__}")
        self.nodes: list[int] = []  # those of the scene's root
        self.parents = parents(scene)
        self._at: dict[str, int] = {}  # node by entity: the one with its motion, above its own where it has a skin
        self._worlds: dict[str, Float] = {}
        self.channels: list[dict[str, Any]] = []
        self.samplers: list[dict[str, Any]] = []
        self._times: int | None = None
        self._textures: dict[int, int] = {}
        self._meshes: dict[tuple[int, bool], int] = {}

    def add_entity(self, number: int, entity: Entity) -> None:
        node: dict[str, Any] = {"name": entity.name, "extras": {EXTRAS: {"id": number, "in_photo": entity.in_photo}}}
        index = self.builder.add("nodes", node)
        turns = self._turns(entity)
        node["mesh"] = self._mesh(entity, index, rigged=turns is not None)
        if turns is not None:
            index, node = self._rig(entity, index, turns)
        self._at[entity.name] = index
        translation, rotation, scale = self._pose(entity)
        visible = entity.motion.visible
        scale = np.where(visible[:, None], scale, scale * HIDING_SCALE)
        self._animate_pose(index, node, translation, rotation, scale, step_scale=not visible.all())

    def _turns(self, entity: Entity) -> Float | None:
        """`(T, P, 3, 3)` of its bones; None where it has none, or where they do not explain how it deforms."""
        skin, deformed = entity.skin, entity.motion.vertices_object
        if skin is None or len(skin.weights) != len(entity.mesh.vertices):
            return None
        if deformed is None:
            return np.tile(np.eye(3), (entity.motion.frames, len(skin.bones), 1, 1))
        return joint_turns(skin, entity.mesh.vertices, deformed)

    def _rig(self, entity: Entity, at: int, turns: Float) -> tuple[int, dict[str, Any]]:
        """A node above the one with the mesh, at `at`, and above joints for it, turned by `(T, P, 3, 3)`."""
        assert entity.skin is not None
        name = f"{entity.name} rig"
        while name in self.scene.names:
            name += "_"
        own = self.builder.root["nodes"][at]
        own["skin"], joints = add_joints(self.builder, entity.skin, name)
        for joint, rotations in zip(joints, turns.transpose(1, 0, 2, 3), strict=True):
            still = np.zeros((len(rotations), 3))
            node = self.builder.root["nodes"][joint]
            rotation = _steady(continuous(quaternions.from_matrix(rotations)), 1.0)
            self._animate_pose(joint, node, still + node["translation"], rotation, still + 1, step_scale=False)
        above: dict[str, Any] = {"name": name, "children": [at, joints[0]]}
        return self.builder.add("nodes", above), above

    def _pose(self, entity: Entity) -> tuple[Float, Float, Float]:
        """Translation, rotation wxyz and scale of its node at every frame: in the world, or below its parent's."""
        motion, parent = entity.motion, self.parents.get(entity.name)
        if parent is None:
            return motion.translation, motion.rotation_wxyz, motion.scale
        local = np.linalg.inv(self._world(parent)) @ motion.matrices()
        translation, rotation, scale = transforms.decompose(local)
        rotation = continuous(rotation)
        size = float(np.abs(translation).max() + np.ptp(entity.mesh.vertices, axis=0).max())
        largest = float(np.abs(scale).max())
        return _steady(translation, size), _steady(rotation, 1.0), _steady(scale, largest)

    def _world(self, name: str) -> Float:
        """`(T, 4, 4)` of a node, as a reader of 32-bit floats has it."""
        if name not in self._worlds:
            parent = self.parents.get(name)
            own = transforms.compose(*(part.astype(np.float32) for part in self._pose(self.scene.entity(name))))
            self._worlds[name] = own if parent is None else self._world(parent) @ own
        return self._worlds[name]

    def hang_below(self) -> None:
        """Hang entities' nodes below their parents', and the others below the scene."""
        for name, index in self._at.items():
            parent = self.parents.get(name)
            siblings = self.nodes if parent is None else self._children(self._at[parent])
            siblings.append(index)

    def _children(self, node: int) -> list[int]:
        children: list[int] = self.builder.root["nodes"][node].setdefault("children", [])
        return children

    def _animate_pose(
        self, index: int, node: dict[str, Any], translation: Float, rotation: Float, scale: Float, *, step_scale: bool
    ) -> None:
        """The first frame as the node's own pose, and channels for what changes."""
        xyzw = rotation[:, [1, 2, 3, 0]]
        parts = {"translation": (translation, (0, 0, 0)), "rotation": (xyzw, (0, 0, 0, 1)), "scale": (scale, (1, 1, 1))}
        for path, (values, neutral) in parts.items():
            values32 = values.astype(np.float32)
            if not np.array_equal(values32[0], neutral):
                node[path] = [float(v) for v in values32[0]]
            if np.any(values32 != values32[0]):
                step = step_scale and path == "scale"
                self._channel({"node": index, "path": path}, values32, "STEP" if step else "LINEAR")

    def _channel(self, target: dict[str, Any], values: Float32, interpolation: str) -> None:
        if self._times is None:
            times = (np.arange(self.scene.frames) / self.scene.fps).astype(np.float32)
            self._times = self.builder.accessor(times, bounds=True)
        output = self.builder.accessor(values)
        self.samplers.append({"input": self._times, "output": output, "interpolation": interpolation})
        self.channels.append({"sampler": len(self.samplers) - 1, "target": target})

    def _mesh(self, entity: Entity, node: int, *, rigged: bool) -> int:
        mesh, deformed = entity.mesh, None if rigged else entity.motion.vertices_object
        if not len(mesh.faces):
            raise UserError(f"'{entity.name}' has no triangles, and glTF knows no empty mesh; remove it from the scene")
        if deformed is None and (id(mesh), rigged) in self._meshes:  # copies share their mesh
            return self._meshes[id(mesh), rigged]
        source, faces, uvs, normals = split_at_seams(mesh)
        builder = self.builder
        positions = mesh.vertices[source].astype(np.float32)
        attributes = {
            "POSITION": builder.accessor(positions, target=VERTICES, bounds=True),
            "NORMAL": builder.accessor(normals.astype(np.float32), target=VERTICES),
        }
        if uvs is not None:
            attributes["TEXCOORD_0"] = builder.accessor(uvs.astype(np.float32), target=VERTICES)
        if mesh.vertex_colors is not None:
            # 16 bits of linear light tell all 256 sRGB codes apart; over a texture COLOR_0 would tint it
            colors = np.ones((len(source), 4))
            colors[:, :3] = linear_from_srgb(mesh.vertex_colors)[source]
            name = "COLOR_0" if mesh.texture is None else "_COLOR_0"
            codes = np.round(colors * 65535).astype(np.uint16)
            attributes[name] = builder.accessor(codes, target=VERTICES, normalized=True)
        if rigged and entity.skin is not None:
            attributes |= add_weights(builder, entity.skin, source)
        kind = np.uint16 if len(source) < 65535 else np.uint32
        primitive: dict[str, Any] = {
            "attributes": attributes,
            "indices": builder.accessor(faces.ravel().astype(kind), target=INDICES),
        }
        if mesh.texture is not None or mesh.vertex_colors is not None:
            primitive["material"] = self._material(mesh)
        element: dict[str, Any] = {"name": entity.name, "primitives": [primitive]}
        if deformed is not None:
            self._add_targets(element, mesh, source, deformed, node)
        index = builder.add("meshes", element)
        if deformed is None:
            self._meshes[id(mesh), rigged] = index
        return index

    def _material(self, mesh: Mesh) -> int:
        look: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
        if mesh.texture is not None:
            look["baseColorTexture"] = {"index": self._texture(mesh.texture)}
        return self.builder.add("materials", {"pbrMetallicRoughness": look})

    def _texture(self, pixels: UInt8) -> int:
        if id(pixels) not in self._textures:
            view = self.builder.view(encode_png(pixels))
            image = self.builder.add("images", {"bufferView": view, "mimeType": "image/png"})
            self._textures[id(pixels)] = self.builder.add("textures", {"source": image})
        return self._textures[id(pixels)]

    def _add_targets(self, element: dict[str, Any], mesh: Mesh, source: Int, deformed: Float32, node: int) -> None:
        """The deformation as morph targets, and their weights over time."""
        base = mesh.vertices.astype(np.float32).astype(np.float64)
        targets, weights, names = _morph_targets(base, deformed)
        element["primitives"][0]["targets"] = [
            {"POSITION": self.builder.accessor(moved[source], target=VERTICES, bounds=True)} for moved in targets
        ]
        element["weights"] = weights[0].tolist()
        element["extras"] = {"targetNames": names}
        if np.any(weights != weights[0]):
            self._channel({"node": node, "path": "weights"}, weights.reshape(-1), "LINEAR")

    def add_camera(self) -> None:
        camera, lens = self.scene.camera, self.scene.camera.intrinsics
        fov = 2 * np.arctan(lens.height / 2 / (lens.fy * camera.zoom))
        aspect = (lens.width / lens.fx) / (lens.height / lens.fy)
        perspective = {"yfov": float(fov[0]), "aspectRatio": aspect, "znear": 0.01, "zfar": 10000.0}
        principal = {"principal_point": [lens.cx, lens.cy], "size": [lens.width, lens.height]}
        index = self.builder.add(
            "cameras", {"type": "perspective", "perspective": perspective, "extras": {EXTRAS: principal}}
        )
        name = "Camera"
        while name in self.scene.names:
            name = f"Shot {name}"
        node: dict[str, Any] = {"name": name, "camera": index}
        at = self.builder.add("nodes", node)
        self.nodes.append(at)
        rotation = quaternions.from_matrix(camera.world_from_camera[:, :3, :3])
        still = np.ones((self.scene.frames, 3))
        self._animate_pose(at, node, camera.world_from_camera[:, :3, 3], rotation, still, step_scale=False)
        fov32 = fov.astype(np.float32)
        if np.any(fov32 != fov32[0]):
            extension = "KHR_animation_pointer"
            self.builder.root["extensionsUsed"] = [extension]
            pointer = {"pointer": f"/cameras/{index}/perspective/yfov"}
            self._channel({"path": "pointer", "extensions": {extension: pointer}}, fov32, "LINEAR")

    def finish(self) -> None:
        root = self.builder.root
        root["scene"] = 0
        remark = {"fps": self.scene.fps, "frames": self.scene.frames, "unit": self.scene.unit}
        root["scenes"] = [{"name": "Scene", "nodes": self.nodes, "extras": {EXTRAS: remark}}]
        if self.channels:
            root["animations"] = [{"name": CLIP, "channels": self.channels, "samplers": self.samplers}]


def _steady(values: Float, size: float) -> Float:
    """Values `(T, N)` as they are, or the first of them at every frame if they differ by rounding alone."""
    varies = np.abs(values - values[0]).max() > STILL * size
    return values if varies else np.broadcast_to(values[0], values.shape)


def _morph_targets(base: Float, deformed: Float32) -> tuple[Float32, Float32, list[str]]:
    """Targets `(K, V, 3)` that turn `base` `(V, 3)` into `deformed` `(T, V, 3)`, weights `(T, K)`, and names `(K,)`.

    Frame t is the base plus the sum of `weights[t, k] * targets[k]`. One target per distinct frame is exact and linear
    between frames, as a mesh cache would be. A sequence of more than `MOST_TARGETS` distinct frames is written in its
    principal components, to 1e-5 of the mesh's size.
    """
    seen: dict[bytes, int] = {}
    shown = np.array([seen.setdefault((frame + 0.0).tobytes(), len(seen)) for frame in deformed])  # −0 equals 0
    _, first = np.unique(shown, return_index=True)
    moved = (deformed[first] - base).astype(np.float32)
    if len(first) <= MOST_TARGETS:
        weights = np.zeros((len(deformed), len(first)), np.float32)
        weights[np.arange(len(deformed)), shown] = 1.0
        return moved, weights, [f"frame {frame}" for frame in first]
    targets, weights = _principal(moved, TOLERANCE * float(np.ptp(base, axis=0).max()))
    return targets, weights[shown], [f"shape {k + 1}" for k in range(len(targets))]


def _principal(moved: Float32, tolerance: float) -> tuple[Float32, Float32]:
    """The fewest principal components (in steps of half as many again) that rebuild `(T, V, 3)` within `tolerance`.

    The eigenvectors of the frames' T×T Gram matrix give the components without a decomposition of the whole sequence.
    """
    flat = moved.reshape(len(moved), -1)
    order = np.linalg.eigh(flat.astype(np.float64) @ flat.T.astype(np.float64))[1][:, ::-1]
    count = 8
    while True:
        count = min(count, len(flat))
        directions = order[:, :count]
        shapes = directions.T @ flat  # (K, 3V)
        largest = np.abs(directions).max(axis=0)  # weights within −1…1, as sliders in other tools expect
        targets = (shapes * largest[:, None]).astype(np.float32)
        weights = (directions / largest).astype(np.float32)
        if count == len(flat) or np.abs(weights @ targets - flat).max() <= tolerance:
            return targets.reshape(count, *moved.shape[1:]), weights
        count += count // 2
