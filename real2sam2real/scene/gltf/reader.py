"""Read GLB and glTF files: every mesh node becomes an entity, sampled at the frames of a shot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from real2sam2real.arrays import Float, Float32
from real2sam2real.errors import UserError
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.gltf.animation import Animations, Playback, clip_names, read_animations
from real2sam2real.mesh.gltf.container import Document, read_document
from real2sam2real.mesh.gltf.deforming import Posed, Poser
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.gltf.materials import Materials
from real2sam2real.mesh.gltf.nodes import NodeTree
from real2sam2real.mesh.gltf.shapes import WeldedMesh, build_shape
from real2sam2real.mesh.gltf.surfaces import read_surfaces
from real2sam2real.scene.gltf.cameras import GltfCamera, read_cameras
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.scene import Entity

DEFAULT_FPS = 16.0
MOST_FRAMES = 100_000
MOST_ENTITIES = 255
MOST_NODES = 200_000
EXTRAS = "real2sam2real"
"""Key of our own remarks in a file's extras. Nothing depends on them: other tools drop them."""

Repair = Callable[[Mesh], Mesh]
"""Takes a mesh with holes or inconsistent faces and returns a closed one."""

_SNAP = 1e-3  # of a frame


@dataclass(frozen=True, kw_only=True, eq=False)
class GltfScene:
    """What a glTF file holds, sampled at `frames` frames.

    Attributes:
        entities: one per node with a mesh, in file order, in world coordinates (+Y up).
        cameras: the perspective cameras, in file order.
        frames: number of frames T.
        fps: frames per second.
        open_meshes: names of the entities whose meshes are not closed.
        clips: names of all the file's animation clips.
        played: names of those that were sampled.
        seconds: of the played clips' first and last keyframes; both 0 where nothing is animated.
        notes: what was renamed, joined or left out, as sentences for the user.
    """

    entities: tuple[Entity, ...]
    cameras: tuple[GltfCamera, ...]
    frames: int
    fps: float
    open_meshes: tuple[str, ...]
    notes: tuple[str, ...]
    clips: tuple[str, ...] = ()
    played: tuple[str, ...] = ()
    seconds: tuple[float, float] = (0.0, 0.0)

    @property
    def camera(self) -> GltfCamera | None:
        """The shot's camera: one that moves before one that rests, then the one called "Camera", then the first.

        None when the file has none. Blender's startup file has a resting "Camera" of its own, beside which an imported
        one is called "Camera.001".
        """
        chosen = [c for c in self.cameras if c.moves] or list(self.cameras)
        return next((c for c in chosen if c.name == "Camera"), chosen[0] if chosen else None)


def load_glb(
    path: Path,
    *,
    frames: int | None = None,
    fps: float | None = None,
    repair: Repair | None = None,
    playback: Playback | None = None,
    most_meshes: int = MOST_ENTITIES,
) -> GltfScene:
    """Read a GLB, or a glTF with its buffers beside it or inside.

    Numbers in glTF are 32-bit floats: what was saved comes back to about seven digits.

    Args:
        path: the file.
        frames: number of frames to sample; by default as many as the animation lasts.
        fps: frames per second; by default the file's own remark if we wrote it, else 16.
        repair: closes meshes that are not closed; without it they stay as they are. A deforming mesh whose vertices it
            changes takes the deformation of its nearest old vertices.
        playback: which clip is sampled, from when, and what follows its end; by default the first from second 0 of the
            file's clock, and then rest.
        most_meshes: a file with more nodes that hold a mesh is refused.

    Raises:
        UserError: the file is missing, damaged, uses what we do not read, or holds neither a mesh nor a camera.
        ValueError: `frames` or `fps` is not positive.
    """
    if frames is not None and frames < 1:
        raise ValueError(f"frames is {frames}; a shot has at least one")
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"fps is {fps}; it must be a positive number")
    document = read_document(Path(path))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # results are checked for being finite
        return _Reader(document, frames, fps, repair, playback, most_meshes).read()


class _Reader:
    def __init__(
        self,
        document: Document,
        frames: int | None,
        fps: float | None,
        repair: Repair | None,
        playback: Playback | None,
        most_meshes: int,
    ) -> None:
        self.document = document
        self.repair = repair
        self.playback = playback
        self.most_meshes = most_meshes
        if document.count("nodes") > MOST_NODES:
            document.root.fail(f"has more than {MOST_NODES:,} nodes", "split the file")
        self.animations: Animations = read_animations(document, playback.clip if playback else None)
        remark = self._remark()
        own_fps = remark.number("fps", DEFAULT_FPS) if remark.has("fps") else DEFAULT_FPS
        self.fps = fps if fps is not None else own_fps if own_fps > 0 else DEFAULT_FPS
        self.frames = frames if frames is not None else self._count_frames(remark, own_fps)
        ends = self.animations.begin, self.animations.seconds
        self.seconds: Float = (
            playback.times(self.frames, self.fps, *ends) if playback else np.arange(self.frames) / self.fps
        )
        self.snap = _SNAP / self.fps
        self.tree = NodeTree(document, self.animations, self.seconds, self.snap)
        self.poser = Poser(document, self.tree, self.seconds, self.snap)
        self.materials = Materials(document)
        self.shapes: dict[int, WeldedMesh | None] = {}

    def _remark(self) -> JsonObject:
        """Our own extras of the shown scene; an empty element for other tools' files."""
        document = self.document
        scenes = document.count("scenes")
        if not scenes:
            return JsonObject({}, "")
        scene = document.element("scenes", document.root.index("scene", "scenes", scenes) or 0)
        extras = scene.value.get("extras")
        remark = extras.get(EXTRAS) if isinstance(extras, dict) else None
        return JsonObject(remark if isinstance(remark, dict) else {}, f"{scene.label}.extras.{EXTRAS}")

    def _count_frames(self, remark: JsonObject, own_fps: float) -> int:
        """As many as the animation lasts, or as we noted down where the end of the shot stands still."""
        seconds = self.animations.seconds
        if self.playback is not None:
            seconds = self.playback.lasts(self.animations.begin, seconds)
        elif remark.has("frames"):
            seconds = max(seconds, (remark.integer("frames", least=1) - 1) / max(own_fps, 1e-9))
        if seconds * self.fps + 1 > MOST_FRAMES:
            reason = f"its animation lasts {seconds:,.0f} s, more than {MOST_FRAMES:,} frames at {self.fps:g} fps"
            self.document.root.fail(reason, "say how many frames to read")
        return round(seconds * self.fps) + 1

    def read(self) -> GltfScene:
        cameras = read_cameras(self.document, self.tree, self.animations, self.seconds, self.snap)
        count = self.document.count("meshes")
        holders = [
            n for n in sorted(self.tree.order) if self.tree.elements[n].index("mesh", "meshes", count) is not None
        ]
        name = self.document.path.name
        if len(holders) > self.most_meshes:
            remedy = "join some of them in Blender (Ctrl+J)"
            raise UserError(f"{name} holds {len(holders)} meshes; at most {self.most_meshes} are read: {remedy}")
        entities = [entity for node in holders if (entity := self._entity(node)) is not None]
        entities = self._with_unique_names(entities)
        if not entities and not cameras:
            raise UserError(f"{name} holds no triangle mesh and no camera; export at least one object")
        return GltfScene(
            entities=tuple(entities),
            cameras=tuple(cameras),
            frames=self.frames,
            fps=self.fps,
            open_meshes=tuple(entity.name for entity in entities if not entity.mesh.is_closed()),
            notes=tuple(self.document.notes),
            clips=clip_names(self.document),
            played=tuple(self.animations.clips),
            seconds=(self.animations.begin, self.animations.seconds),
        )

    def _entity(self, node: int) -> Entity | None:
        document, element = self.document, self.tree.elements[node]
        index = element.needed_index("mesh", "meshes", document.count("meshes"))
        mesh_element = document.element("meshes", index)
        shape = self._shape(index, mesh_element)
        if shape is None:
            return None
        posed = self.poser.pose(node, mesh_element, shape, self.animations.nodes.get((node, "weights")))
        name = self.tree.name(node) or str(mesh_element.value.get("name") or "") or f"object {node + 1}"
        try:
            return self._made(element, name, shape.mesh, posed)
        except ValueError as error:
            element.fail(str(error))

    def _shape(self, index: int, element: JsonObject) -> WeldedMesh | None:
        if index not in self.shapes:
            surfaces = read_surfaces(self.document, index, self.materials)
            self.shapes[index] = build_shape(self.document, element, surfaces) if surfaces else None
        return self.shapes[index]

    def _made(self, element: JsonObject, name: str, mesh: Mesh, posed: Posed) -> Entity:
        mesh = _with_vertices(mesh, posed.rest)
        deformed = posed.deformed
        if self.repair is not None and not mesh.is_closed():
            mesh, deformed = _repaired(mesh, deformed, self.repair)
        place = posed.placement
        motion = Motion(
            translation=place.translation,
            rotation_wxyz=place.rotation_wxyz,
            scale=place.scale,
            visible=place.visible,
            vertices_object=deformed,
        )
        named = _usable_name(name)
        if named != name:
            self.document.note(f"{element.label} was renamed '{named}': names have letters, digits, _ - . and spaces")
        return Entity(name=named, mesh=mesh, rest_world_from_object=motion.matrices()[0], motion=motion)

    def _with_unique_names(self, entities: list[Entity]) -> list[Entity]:
        taken = {entity.name for entity in entities}
        seen: set[str] = set()
        result = []
        for entity in entities:
            name, number = entity.name, 2
            while name in seen or (name != entity.name and name in taken):
                name, number = f"{entity.name}-{number}", number + 1
            if name != entity.name:
                self.document.note(
                    f"{self.document.path.name} holds several objects called '{entity.name}'; one is now '{name}'"
                )
                entity = _renamed(entity, name)
            seen.add(name)
            result.append(entity)
        return result


def _repaired(mesh: Mesh, deformed: Float32 | None, repair: Repair) -> tuple[Mesh, Float32 | None]:
    """The repaired mesh and its deformation `(T, V', 3)`: a new vertex moves as the nearest old one does."""
    closed = repair(mesh)
    same = mesh.vertices.shape == closed.vertices.shape and np.allclose(mesh.vertices, closed.vertices)
    if deformed is None or same:
        return closed, deformed
    nearest = cKDTree(mesh.vertices).query(closed.vertices)[1]
    moved = deformed.astype(np.float64) - mesh.vertices
    return closed, (closed.vertices + moved[:, nearest]).astype(np.float32)


def _with_vertices(mesh: Mesh, vertices: Float) -> Mesh:
    return Mesh(
        vertices=vertices,
        faces=mesh.faces,
        vertex_colors=mesh.vertex_colors,
        corner_uvs=mesh.corner_uvs,
        texture=mesh.texture,
    )


def _renamed(entity: Entity, name: str) -> Entity:
    return Entity(
        name=name, mesh=entity.mesh, rest_world_from_object=entity.rest_world_from_object, motion=entity.motion
    )


def _usable_name(name: str) -> str:
    """The nearest name that an entity may have."""
    cleaned = "".join(c if c.isalnum() or c in "_-. " else "_" for c in name.strip())
    return cleaned if cleaned and (cleaned[0].isalnum() or cleaned[0] == "_") else f"_{cleaned}"
