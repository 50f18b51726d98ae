"""Read GLB and glTF files: every mesh node becomes an entity, sampled at the frames of a shot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.mesh.gltf.animation import Animations, Playback, clip_names, read_animations
from real2sam2real.mesh.gltf.container import Document, read_document
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.gltf.nodes import NodeTree
from real2sam2real.mesh.gltf.posing import PosedMesh
from real2sam2real.mesh.gltf.sampling import DEFAULT_FPS, MOST_FRAMES, check_sampling, pose_meshes, sample_nodes
from real2sam2real.scene.gltf.cameras import GltfCamera, read_cameras
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.scene import Entity

MOST_ENTITIES = 255
EXTRAS = "real2sam2real"
"""Key of our own remarks in a file's extras. Nothing depends on them: other tools drop them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GltfScene:
    """What a glTF file holds, sampled at `frames` frames."""

    entities: tuple[Entity, ...]  # one per node with a mesh, in file order, in world coordinates (+Y up)
    cameras: tuple[GltfCamera, ...]  # the perspective cameras, in file order
    frames: int  # number of frames T
    fps: float  # frames per second
    open_meshes: tuple[str, ...]  # names of the entities whose meshes are not closed
    notes: tuple[str, ...]  # what was renamed, joined or left out, as sentences for the user
    clips: tuple[str, ...] = ()  # names of all the file's animation clips
    played: tuple[str, ...] = ()  # names of those that were sampled
    # of the played clips' first and last keyframes; both 0 where nothing is animated
    seconds: tuple[float, float] = (0.0, 0.0)
    # by entity, the entity whose node is the nearest above its own
    parents: Mapping[str, str] = field(default_factory=dict)

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
    playback: Playback | None = None,
    most_meshes: int = MOST_ENTITIES,
) -> GltfScene:
    """Read a GLB, or a glTF with its buffers beside it or inside.

    Numbers in glTF are 32-bit floats: what was saved comes back to about seven digits.

    Args:
        path: the file.
        frames: number of frames to sample; by default as many as the animation lasts.
        fps: frames per second; by default the file's own remark if we wrote it, else 16.
        playback: which clip is sampled, from when, and what follows its end; by default the first from second 0 of the
            file's clock, and then rest.
        most_meshes: a file with more nodes that hold a mesh is refused.

    Raises:
        UserError: the file is missing, damaged, uses what we do not read, or holds neither a mesh nor a camera.
        ValueError: `frames` or `fps` is not positive.
    """
    check_sampling(frames, fps)
    document = read_document(Path(path))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # results are checked for being finite
        animations = read_animations(document, playback.clip if playback else None)
        remark = _remark(document)
        own_fps = remark.number("fps", DEFAULT_FPS)
        fps = fps or (own_fps if own_fps > 0 else DEFAULT_FPS)
        if frames is None:
            frames = _count_frames(document, animations, playback, remark, own_fps, fps)
        tree = sample_nodes(document, animations, frames, fps, playback)
        cameras = read_cameras(tree)
        posed = pose_meshes(tree, most_meshes)
        entities = _with_unique_names(document, [_entity(document, each) for each in posed])
    if not entities and not cameras:
        raise UserError(f"{document.path.name} holds no triangle mesh and no camera; export at least one object")
    return GltfScene(
        entities=tuple(entities),
        cameras=tuple(cameras),
        frames=frames,
        fps=fps,
        open_meshes=tuple(entity.name for entity in entities if not entity.mesh.is_closed()),
        notes=tuple(document.notes),
        clips=clip_names(document),
        played=tuple(animations.clips),
        seconds=(animations.begin, animations.seconds),
        parents=_parents(tree, {each.node: entity.name for each, entity in zip(posed, entities, strict=True)}),
    )


def _parents(tree: NodeTree, names: Mapping[int, str]) -> dict[str, str]:
    """By entity, the one above it, where `names` are the entities' by node.

    What hangs on the node above a skinned mesh, where its joints are, as on Blender's armature, hangs on that.
    """
    holders = dict(names)
    for node, name in names.items():
        above = tree.parents[node]
        if above is not None and tree.elements[node].has("skin"):
            holders.setdefault(above, name)
    found = {}
    for node, name in names.items():
        above = tree.parents[node]
        while above is not None and holders.get(above, name) == name:
            above = tree.parents[above]
        if above is not None:
            found[name] = holders[above]
    return found


def _remark(document: Document) -> JsonObject:
    """Our own extras of the shown scene; an empty element for other tools' files."""
    if not document.count("scenes"):
        return JsonObject({}, "")
    scene = document.element("scenes", document.root.index("scene", "scenes") or 0)
    extras = scene.value.get("extras")
    remark = extras.get(EXTRAS) if isinstance(extras, dict) else None
    return JsonObject(remark if isinstance(remark, dict) else {}, f"{scene.label}.extras.{EXTRAS}")


def _count_frames(
    document: Document,
    animations: Animations,
    playback: Playback | None,
    remark: JsonObject,
    own_fps: float,
    fps: float,
) -> int:
    """As many as the animation lasts, or as we noted down where the end of the shot stands still."""
    seconds = animations.seconds
    if playback is not None:
        seconds = playback.lasts(animations.begin, seconds)
    elif remark.has("frames"):
        seconds = max(seconds, (remark.integer("frames", least=1) - 1) / max(own_fps, 1e-9))
    if seconds * fps + 1 > MOST_FRAMES:
        reason = f"its animation lasts {seconds:,.0f} s, more than {MOST_FRAMES:,} frames at {fps:g} fps"
        document.root.fail(reason, "say how many frames to read")
    return round(seconds * fps) + 1


def _entity(document: Document, posed: PosedMesh) -> Entity:
    place = posed.placement
    name = _usable_name(posed.name)
    if name != posed.name:
        document.note(f"{posed.label} was renamed '{name}': names have letters, digits, _ - . and spaces")
    try:
        motion = Motion(
            translation=place.translation,
            rotation_wxyz=place.rotation_wxyz,
            scale=place.scale,
            visible=place.visible,
            vertices_object=posed.deformed,
        )
        return Entity(name=name, mesh=posed.mesh, rest_world_from_object=motion.matrices()[0], motion=motion)
    except ValueError as error:
        JsonObject({}, posed.label).fail(str(error))


def _with_unique_names(document: Document, entities: list[Entity]) -> list[Entity]:
    taken = {entity.name for entity in entities}
    seen: set[str] = set()
    result = []
    for entity in entities:
        name, number = entity.name, 2
        while name in seen or (name != entity.name and name in taken):
            name, number = f"{entity.name}-{number}", number + 1
        if name != entity.name:
            document.note(f"{document.path.name} holds several objects called '{entity.name}'; one is now '{name}'")
            entity = replace(entity, name=name)
        seen.add(name)
        result.append(entity)
    return result


def _usable_name(name: str) -> str:
    """The nearest name that an entity may have."""
    cleaned = "".join(c if c.isalnum() or c in "_-. " else "_" for c in name.strip())
    return cleaned if cleaned and (cleaned[0].isalnum() or cleaned[0] == "_") else f"_{cleaned}"
