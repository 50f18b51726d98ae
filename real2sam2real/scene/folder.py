"""Scene folders: `photo.png`, `masks/<entity>.png`, `scene.glb` and `scene.json`.

`scene.glb` is the authority for names, meshes and motions; `scene.json` keeps what glTF cannot hold. A scene folder
whose `scene.glb` was edited and exported again, by Blender for instance, therefore loads as edited. See docs/gltf.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from real2sam2real.arrays import Bool, Float
from real2sam2real.errors import UserError, first_line
from real2sam2real.files import bring_back, refuse_if_system, refuse_pipe, replacing_folder
from real2sam2real.geometry import Intrinsics
from real2sam2real.media.numpy_files import ALONE, read_arrays
from real2sam2real.media.pictures import Picture, open_picture
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.corner_normals import with_corner_normals
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.skin import Skin
from real2sam2real.scene.background import BackgroundRelief
from real2sam2real.scene.billboard import Billboard
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.gltf import GltfCamera, GltfScene, load_glb, parents, save_glb
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.relation import Relation, RelationWord
from real2sam2real.scene.scene import Entity, Scene
from real2sam2real.workfolder.json_values import read_json

FORMAT = "real2sam2real scene"
VERSION = 1

SCENE_FILE, _GLB, _REMOVED, _PHOTO = "scene.json", "scene.glb", "removed.glb", "photo.png"
_BILLBOARDS, _BACKGROUND, _SKINS = "billboards", "background.npy", "skins"
_FARTHEST = 1e12  # in scene units; products of larger numbers leave the range of floats
_MOST_BYTES = 2_000_000_000  # of a skin or a background
_REMEDY = "restore the folder, or make the scene again from its photo"


def save_scene(scene: Scene, folder: Path) -> None:
    """Write `scene` as a folder, whole or not at all; an older scene there is replaced, other files in it stay.

    Meshes and motions are stored as 32-bit floats (glTF); camera zoom, poses in the photo and settings exactly.

    Raises:
        UserError: `folder` holds something that is not a scene, or cannot be written.
    """
    folder = Path(folder)
    try:
        foreign = _foreign_files(folder)
        with replacing_folder(folder) as fresh:
            _write(scene, fresh)
            for name in foreign:
                _keep(folder / name, fresh / name)
    except OSError as error:
        raise UserError(f"cannot write the scene to '{folder}': {error.strerror or error}") from error


def _foreign_files(folder: Path) -> list[Path]:
    """Relative paths of the files in `folder` that an earlier `save_scene` did not write."""
    bring_back(folder)
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise UserError(f"'{folder}' is a file; give the name of a folder for the scene")
    present = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file()]
    if not present:
        return []
    if not (folder / SCENE_FILE).is_file():
        raise UserError(f"'{folder}' holds files but no scene; give an empty or new folder, so that nothing is lost")
    root = _read_json(folder)
    own = {Path(SCENE_FILE), *(Path(str(name)) for name in root.array("files"))}
    return [path for path in present if path not in own]


def _keep(old: Path, new: Path) -> None:
    if new.exists():  # the new scene has a file of that name, which was not ours before
        raise UserError(f"'{old}' is in the way of the scene's own file; move it elsewhere")
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        shutil.copy2(old, new, follow_symlinks=False)


def _write(scene: Scene, folder: Path) -> None:
    save_glb(scene, folder / _GLB)
    if scene.removed:  # two may share a name (removed, imported again, removed again); those in a file may not
        named = tuple(replace(entity, name=f"removed {k}") for k, entity in enumerate(scene.removed))
        save_glb(replace(scene, entities=named, removed=()), folder / _REMOVED)
    if scene.photo is not None:
        # Three times as fast as at zlib's own level, for a file that is 3 % larger.
        Image.fromarray(np.ascontiguousarray(scene.photo)).save(folder / _PHOTO, compress_level=1)
    mask_names = _write_masks(folder, [*scene.entities, *scene.removed])
    above = parents(scene)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "frames": scene.frames,
        "fps": scene.fps,
        "prompt": scene.prompt,
        "unit": scene.unit,
        "ground_y": scene.ground_y,
        "photo_world_from_camera": np.asarray(scene.photo_world_from_camera).tolist(),
        "camera": {
            **asdict(scene.camera.intrinsics),
            "zoom": scene.camera.zoom.tolist(),
            "world_from_camera": scene.camera.world_from_camera.tolist(),
        },
        "entities": [
            {**_entity_json(entity, mask_names.get(id(entity))), "parent": above.get(entity.name)}
            for entity in scene.entities
        ],
        "removed": [_entity_json(entity, mask_names.get(id(entity))) for entity in scene.removed],
        "skins": _write_skins(folder, scene.entities),
        "billboards": _write_billboards(folder, scene.billboards),
        "background": _write_background(folder, scene.background),
        "scene_glb_sha256": _sha256(folder / _GLB),
    }
    document["files"] = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
    except (TypeError, ValueError) as error:
        raise ValueError(f"an entity's provenance is not made of JSON values: {error}") from error
    (folder / SCENE_FILE).write_text(text + "\n", encoding="utf-8")


def _write_masks(folder: Path, entities: list[Entity]) -> dict[int, str]:
    """Write each entity's mask under its name and return the file names by `id(entity)`."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for entity in entities:
        if entity.mask is None:
            continue
        stem = entity.name.rstrip(". ")
        number = 2
        while stem.casefold() in taken:  # names that differ in case alone are one file on some systems
            stem, number = f"{entity.name}-{number}", number + 1
        taken.add(stem.casefold())
        names[id(entity)] = f"masks/{stem}.png"
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(entity.mask.astype(np.uint8) * 255).save(folder / names[id(entity)])
    return names


def _write_billboards(folder: Path, billboards: Sequence[Billboard]) -> list[dict[str, Any]]:
    entries = []
    for number, billboard in enumerate(billboards, start=1):
        (folder / _BILLBOARDS).mkdir(exist_ok=True)
        mask = f"{_BILLBOARDS}/{number:03}.png"
        Image.fromarray(billboard.mask.astype(np.uint8) * 255).save(folder / mask)
        entries.append({"name": billboard.name, "mask": mask, "distance": billboard.distance})
    return entries


def _write_background(folder: Path, background: BackgroundRelief | None) -> str | None:
    """Write how far it is away, and return where that is from."""
    if background is None:
        return None
    np.save(folder / _BACKGROUND, background.inverse_depth, allow_pickle=False)
    return background.source


def _write_skins(folder: Path, entities: Sequence[Entity]) -> dict[str, str]:
    """The files of the skins, by the entities' names."""
    files = {}
    for number, entity in enumerate(entities, start=1):
        skin = entity.skin
        if skin is None:
            continue
        (folder / _SKINS).mkdir(exist_ok=True)
        files[entity.name] = f"{_SKINS}/{number:03}.npz"
        np.savez_compressed(
            folder / files[entity.name],
            bones=np.array(skin.bones),
            parents=np.array(skin.parents),
            heads=skin.heads,
            weights=skin.weights,
            axes=skin.axes,
        )
    return files


def _entity_json(entity: Entity, mask: str | None) -> dict[str, Any]:
    empty = not len(entity.mesh.vertices)
    return {
        "name": entity.name,
        "in_photo": entity.in_photo,
        "mask": mask,
        "rest_world_from_object": np.asarray(entity.rest_world_from_object).tolist(),
        "bounds": None if empty else entity.mesh.bounds().tolist(),
        **({} if entity.facing is None else {"facing": entity.facing}),
        **_relation_json(entity.relation),
        "provenance": entity.provenance,
    }


def _relation_json(relation: Relation | None) -> dict[str, Any]:
    if relation is None:
        return {}
    return {relation.word: relation.to, **({"guessed": True} if relation.guessed else {})}


def load_scene(folder: Path) -> Scene:
    """The scene of `read_scene`, for those who need no notes."""
    return read_scene(folder)[0]


def read_scene(folder: Path) -> tuple[Scene, list[str]]:
    """Read a scene folder, with whatever was changed in its `scene.glb` since; and say what that was, in sentences.

    Nodes that are new in an edited `scene.glb` become entities that are not in the photo; entities of the photo whose
    nodes are gone become removed ones, with a box in place of the mesh that is no longer there.

    Raises:
        UserError: the folder is no scene folder, or a file in it is missing or damaged.
    """
    return _Loader(Path(folder)).load()


def _read_json(folder: Path) -> JsonObject:
    path = folder / SCENE_FILE
    try:
        bring_back(folder)
        value = read_json(path)
    except OSError as error:
        refuse_if_system(error, path)
        raise UserError(f"'{folder}' is not a scene folder: it has no readable {SCENE_FILE}; check the path") from error
    except ValueError as error:
        raise UserError(f"'{path}' is damaged ({str(error)[:80]}); {_REMEDY}") from error
    root = JsonObject(value, str(path))
    if root.value.get("format") != FORMAT:
        root.fail("is not a scene's description", "give a folder that a scene was saved to")
    version = root.integer("version", least=1)
    if version > VERSION:
        root.fail(f"has version {version} and this program reads up to {VERSION}", "update real2sam2real")
    return root


class _Loader:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = root = _read_json(folder)
        self.notes: list[str] = []
        self.frames = root.integer("frames", least=1, most=100_000)
        self.fps = root.number("fps")
        if self.fps <= 0:
            root.fail(f"'fps' is {self.fps:g}; it must be positive")
        self.photo = _open_picture(self.folder / _PHOTO).to_srgb()[0] if _PHOTO in root.array("files") else None

    def load(self) -> tuple[Scene, list[str]]:
        path = self.folder / _GLB
        edited = _sha256(path) != self.root.text("scene_glb_sha256")
        read = load_glb(path, frames=self.frames, fps=self.fps)
        self.notes += read.notes
        if edited and read.camera is not None and len(read.cameras) > 1:
            self.notes.append(f"{_GLB} holds {len(read.cameras)} cameras; '{read.camera.name}' is used")
        if edited:
            self.notes += _range_notes(read)
        kept, gone = self._matched(read, edited=edited)
        try:
            scene = Scene(
                entities=kept,
                camera=self._camera(read.camera, edited),
                photo=self.photo,
                photo_world_from_camera=_pose(self.root, "photo_world_from_camera"),
                fps=self.fps,
                prompt=self.root.text("prompt", ""),
                unit=self.root.text("unit", "unit"),
                ground_y=None if self.root.value.get("ground_y") is None else self.root.number("ground_y"),
                removed=(*self._removed(), *gone),
                billboards=tuple(map(self._billboard, self.root.objects("billboards"))),
                background=self._background(),
            )
        except ValueError as error:
            self.root.fail(str(error))
        return scene, self.notes

    def _hung_anew(self, entity: Entity, entry: JsonObject, parent: str | None) -> Entity:
        """The entity with another relation, where its node hangs elsewhere than it was written to."""
        if parent == entry.value.get("parent"):
            return entity
        told = f"now belongs to '{parent}'" if parent else f"no longer belongs to '{entry.value.get('parent')}'"
        self.notes.append(f"'{entity.name}' {told}: its parent in {_GLB} is another one")
        return replace(entity, relation=None if parent is None else Relation(word="with", to=parent))

    def _matched(self, read: GltfScene, *, edited: bool) -> tuple[tuple[Entity, ...], tuple[Entity, ...]]:
        """The entities in the scene's order with new ones at the end, and those of the photo that were deleted."""
        found = {entity.name: entity for entity in read.entities}
        kept: list[Entity] = []
        gone: list[Entity] = []
        entries = {entry.text("name"): entry for entry in self.root.objects("entities")}
        if len(entries) < len(self.root.array("entities")):
            self.root.fail("lists an entity twice", _REMEDY)
        for name, entry in entries.items():
            if name in found:
                entity = self._described(found.pop(name), entry)
                kept.append(self._hung_anew(entity, entry, read.parents.get(name)) if edited else entity)
            else:
                self.notes.append(f"'{name}' is no longer in {_GLB}: it counts as removed")
                if entry.flag("in_photo", True):
                    gone.append(self._described(_stand_in(entry, self.frames), entry))
        for name, entity in found.items():
            self.notes.append(f"'{name}' is new in {_GLB}: it counts as added to the photo")
            parent = read.parents.get(name)
            relation = None if parent is None else Relation(word="with", to=parent)
            source = {"source": f"added to {_GLB}"}
            kept.append(replace(entity, in_photo=False, relation=relation, provenance=source))
        return tuple(kept), tuple(gone)

    def _removed(self) -> tuple[Entity, ...]:
        if not (entries := self.root.objects("removed")):
            return ()
        read = load_glb(self.folder / _REMOVED, frames=self.frames, fps=self.fps)
        found = {entity.name: entity for entity in read.entities}
        meshes = [found.get(f"removed {k}") or _stand_in(entry, self.frames) for k, entry in enumerate(entries)]
        named = [replace(mesh, name=entry.text("name")) for mesh, entry in zip(meshes, entries, strict=True)]
        return tuple(self._described(*pair) for pair in zip(named, entries, strict=True))

    def _described(self, entity: Entity, entry: JsonObject) -> Entity:
        provenance = {**entry.child("provenance").value, **entity.provenance}
        rest = _pose(entry, "rest_world_from_object")
        if _reshaped(entity.mesh, entry):
            self.notes.append(
                f"'{entity.name}' has another shape or origin than before: its first frame counts as the photo's"
            )
            rest = entity.motion.matrices()[0]
        return replace(
            entity,
            rest_world_from_object=rest,
            mask=self._mask(entry),
            in_photo=entry.flag("in_photo", True),
            facing=None if entry.value.get("facing") is None else entry.number("facing"),
            relation=_relation(entry),
            skin=self._skin(entity),
            provenance=provenance,
        )

    def _skin(self, entity: Entity) -> Skin | None:
        """The skin that was saved with an entity, if it still has the same vertices."""
        name = self.root.child("skins").value.get(entity.name)
        if name is None:
            return None
        path = self.folder / str(name)
        if Path(str(name)).parent != Path(_SKINS) or not path.resolve().is_relative_to(self.folder.resolve()):
            self.root.fail(f"the skin '{str(name)[:80]}' does not lie in the folder's {_SKINS}", _REMEDY)
        file = read_arrays(path, "skin", most_bytes=_MOST_BYTES)
        try:
            skin = Skin(
                bones=tuple(map(str, file["bones"])),
                parents=tuple(map(int, file["parents"])),
                heads=file["heads"],
                weights=file["weights"],
                axes=file["axes"],
            )
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(f"'{path}' is damaged ({first_line(error)[:80]}); {_REMEDY}") from error
        if len(skin.weights) != len(entity.mesh.vertices):
            self.notes.append(f"'{entity.name}' has other vertices than before, so its joints can no longer be bent")
            return None
        return skin

    def _billboard(self, entry: JsonObject) -> Billboard:
        mask = self._mask(entry, _BILLBOARDS)
        if mask is None:
            entry.fail("has no mask", _REMEDY)
        return Billboard(name=entry.text("name"), mask=mask, distance=entry.number("distance"))

    def _background(self) -> BackgroundRelief | None:
        if self.root.value.get("background") is None:
            return None
        path = self.folder / _BACKGROUND
        inverse = read_arrays(path, "background", most_bytes=_MOST_BYTES).get(ALONE)
        if inverse is None or inverse.dtype.kind != "f":
            raise UserError(f"'{path}' holds no inverse depths; {_REMEDY}")
        try:
            return BackgroundRelief(inverse_depth=inverse.astype(np.float32), source=self.root.text("background"))
        except ValueError as error:
            raise UserError(f"'{path}': {error}; {_REMEDY}") from error

    def _mask(self, entry: JsonObject, place: str = "masks") -> Bool | None:
        if entry.value.get("mask") is None:
            return None
        name = entry.text("mask")
        path = self.folder / name
        if Path(name).parent != Path(place) or not path.resolve().is_relative_to(self.folder.resolve()):
            entry.fail(f"its mask '{name[:80]}' does not lie in the folder's {place}", _REMEDY)
        pixels = np.asarray(_open_picture(path).image.convert("L"))
        if self.photo is not None and pixels.shape != self.photo.shape[:2]:
            size, photo = pixels.shape[::-1], self.photo.shape[1::-1]
            entry.fail(f"its mask has {size[0]}×{size[1]} pixels but the photo {photo[0]}×{photo[1]}", _REMEDY)
        return pixels > 127

    def _camera(self, read: GltfCamera | None, edited: bool) -> CameraPath:
        """The camera as saved; its motion and zoom from `scene.glb` where that was edited and still has a camera."""
        saved = self._saved_camera(read)
        if not edited:
            return saved
        if read is None:
            self.notes.append(
                f"{_GLB} came back without a camera (in Blender: Export > Include > Cameras): it stays as it was"
            )
            return saved
        zoom = _edited_zoom(read, saved)
        self.notes += _view_notes(read, saved, zoom)
        return CameraPath(world_from_camera=read.world_from_camera, intrinsics=saved.intrinsics, zoom=zoom)

    def _saved_camera(self, read: GltfCamera | None) -> CameraPath:
        entry = self.root.child("camera")
        zoom = np.array(entry.numbers("zoom", self.frames))
        key = "world_from_camera"
        poses = [_table(entry, key, rows, (4, 4), "made of 4×4 matrices") for rows in entry.array(key)]
        if key not in entry.value and read is not None:  # the first version kept them in scene.glb alone
            poses = list(read.world_from_camera)
        numbers = {key: entry.number(key) for key in ("fx", "fy", "cx", "cy")}
        try:
            intrinsics = Intrinsics(width=entry.integer("width"), height=entry.integer("height"), **numbers)
            return CameraPath(world_from_camera=np.array(poses), intrinsics=intrinsics, zoom=zoom)
        except ValueError as error:
            entry.fail(str(error), _REMEDY)


def _edited_zoom(read: GltfCamera, saved: CameraPath) -> Float:
    """The zoom `(T,)` after an edit: the file's, unless it is one still value of our own animation.

    Blender drops an animated field of view unless told otherwise, and exports the value of the current frame.
    """
    intrinsics = saved.intrinsics
    zoom = read.path(intrinsics.width, intrinsics.height, intrinsics).zoom
    unchanged = np.ptp(zoom) < 1e-5 * zoom[0] and np.abs(saved.zoom - zoom[0]).min() < 1e-4 * zoom[0]
    return saved.zoom if unchanged else zoom


def _view_notes(read: GltfCamera, saved: CameraPath, zoom: Float) -> list[str]:
    """What of an edited camera is kept otherwise than somebody may have meant it."""
    notes, lens = [], saved.intrinsics
    if np.ptp(read.vertical_fov_radians) == 0 and (np.ptp(saved.zoom) > 0 or np.abs(zoom - saved.zoom).max() > 1e-4):
        kept = "the scene's own zoom plays on" if zoom is saved.zoom else "it holds throughout"
        keys = "Blender writes a keyed lens with Animation > Export Animation Pointer alone"
        notes.append(f"the lens in {_GLB} is one for all frames, so {kept}; {keys}")
    seen, own = read.aspect_ratio, lens.width / lens.height
    if seen is not None and abs(seen / own - 1) > 0.01:
        told = f"the camera in {_GLB} sees {seen:.3g}:1, the photo {own:.3g}:1; the view's height counts"
        notes.append(f"{told} (in Blender: Output > Resolution {lens.width}×{lens.height})")
    return notes


def _range_notes(read: GltfScene) -> list[str]:
    """Whether the animation of an edited file leaves a part of the shot to rest."""
    begin, end = (seconds * read.fps for seconds in read.seconds)
    if end <= 0 or (begin < 0.5 and end > read.frames - 1.5):
        return []
    ends = f"frames {begin:.3g} to {end:.3g} of 0…{read.frames - 1}"
    return [f"{_GLB} is animated in {ends}; outside of them all rests (in Blender: Output > Frame Range)"]


def _reshaped(mesh: Mesh, entry: JsonObject) -> bool:
    """Whether the mesh's bounds changed by more than a hundredth of its size since it was saved."""
    saved = _bounds(entry)
    if saved is None or not len(mesh.vertices):
        return saved is not None
    return bool(np.abs(mesh.bounds() - saved).max() > 0.01 * np.ptp(saved, axis=0).max())


def _relation(entry: JsonObject) -> Relation | None:
    for word in get_args(RelationWord):
        if word in entry.value:
            to = None if entry.value[word] is None else entry.text(word)
            try:
                return Relation(word=word, to=to, guessed=entry.flag("guessed", False))
            except ValueError as error:
                entry.fail(str(error), _REMEDY)
    return None


def _bounds(entry: JsonObject) -> Float | None:
    """`(2, 3)` in the object frame, or None where the entity had no vertices."""
    if entry.value.get("bounds") is None:
        return None
    return _table(entry, "bounds", entry.array("bounds"), (2, 3), "two corners")


def _stand_in(entry: JsonObject, frames: int) -> Entity:
    """An entity whose mesh is the box around the one that was deleted."""
    bounds = _bounds(entry)
    low, high = np.array([[-0.5, 0, -0.5], [0.5, 1, 0.5]]) if bounds is None else bounds
    box, _ = with_corner_normals(Mesh(vertices=low + _BOX_VERTICES * (high - low), faces=_BOX_FACES), None)
    pose = _pose(entry, "rest_world_from_object")
    try:
        motion = Motion.still(frames, pose)
        note = {"mesh": "the box around it: the mesh itself was deleted"}
        return Entity(name=entry.text("name"), mesh=box, rest_world_from_object=pose, motion=motion, provenance=note)
    except ValueError as error:
        entry.fail(str(error))


_BOX_VERTICES = np.array([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)])
_BOX_FACES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ],
    np.int32,
)


def _pose(element: JsonObject, key: str) -> Float:
    return _table(element, key, element.array(key), (4, 4), "a 4×4 matrix")


def _table(element: JsonObject, key: str, rows: object, shape: tuple[int, int], what: str) -> Float:
    if not isinstance(rows, list) or len(rows) != shape[0]:
        element.fail(f"'{key}' is not {what}", _REMEDY)
    table = np.array([JsonObject({key: row}, element.label).numbers(key, shape[1]) for row in rows])
    if np.abs(table).max(initial=0.0) > _FARTHEST:
        element.fail(f"'{key}' holds numbers beyond {_FARTHEST:.0e}", _REMEDY)
    return table


def _open_picture(path: Path) -> Picture:
    try:
        return open_picture(path)
    except UserError as error:
        raise UserError(f"cannot read '{path}' ({str(error)[:160]}); {_REMEDY}") from error


def _sha256(path: Path) -> str:
    refuse_pipe(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        refuse_if_system(error, path)
        raise UserError(f"'{path}' is missing or cannot be read; {_REMEDY}") from error
