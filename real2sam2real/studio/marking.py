"""Marking objects on the photo of a workspace: each change cuts, paints or says something, and is one commit."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file
from real2sam2real.lifting.kinds import kind_of
from real2sam2real.perceive.camera.gravity import pitch_roll_of
from real2sam2real.perceive.camera.options import DEPTH_FILE_SUFFIXES, ViewOptions
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.prompts import checked_box
from real2sam2real.run.photo import WorkingPhoto
from real2sam2real.run.pictures import entity_colors
from real2sam2real.scene.scene import Scene
from real2sam2real.studio.cutter import Cutter
from real2sam2real.studio.cutting import packed, unpacked
from real2sam2real.studio.document import StudioDocument
from real2sam2real.studio.lifting import INPUTS, KEPT, horizon_guess, shell_commands
from real2sam2real.studio.objects import (
    LiftChoice,
    MarkedFacts,
    MarkedObject,
    MarkedRelation,
    MarkedView,
    PhotoMarks,
    Point,
    load_marks,
    mask_digest,
    middle_of,
    read_mask,
    save_marks,
)
from real2sam2real.studio.photo import photo_file, working_photo
from real2sam2real.studio.workspaces import Workspace
from real2sam2real.workfolder.json_values import typed

MESH_SUFFIXES = (".glb", ".obj", ".ply", ".stl")
_OCCLUDER_COLOR = "#808890"


@dataclass(frozen=True, kw_only=True)
class CutChange:
    """A box and points for an object; a new one where `id` is None."""

    box: tuple[float, float, float, float] | None = None
    inside: tuple[Point, ...] = ()
    outside: tuple[Point, ...] = ()
    id: str | None = None
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class FindChange:
    """Words to look for; what stands out where there is none."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SayChange:
    """What is said of an object; None leaves it as it is."""

    id: str
    name: str | None = None
    occluder: bool | None = None
    lifter: str | None = None  # "" for the usual one
    relation: MarkedRelation | Literal["none"] | None = None
    mesh: Literal["none"] | None = None  # takes its own mesh away


@dataclass(frozen=True, kw_only=True)
class MarkChange:
    """One change that the page asks for; exactly one of its fields is given."""

    cut: CutChange | None = None
    find: FindChange | None = None
    say: SayChange | None = None
    delete: str | None = None  # an id
    order: tuple[str, ...] | None = None  # all ids
    view: MarkedView | None = None
    lift: LiftChoice | None = None


def marking_of(workspace: Workspace) -> Marking | None:
    """The marks of an open workspace; None where it has no photo, or one that cannot be read."""
    if __name__ not in workspace.parts:
        path = photo_file(workspace.folder)
        try:
            working = None if path is None else working_photo(workspace)
        except UserError:
            working = None
        if path is None or working is None:
            return None
        cutter = Cutter()
        workspace.holders.callback(cutter.close)
        workspace.parts[__name__] = Marking(workspace.document, path, working, cutter)
    found: Marking = workspace.parts[__name__]
    return found


class Marking:
    """The marks of one workspace. Methods that change raise `Refusal` where the document went on since `base`.

    Args:
        document: of the workspace.
        photo: its file.
        working: the photo as it is worked on.
        cutter: the warm process.
    """

    def __init__(self, document: StudioDocument, photo: Path, working: WorkingPhoto, cutter: Cutter) -> None:
        self.document, self.photo, self.cutter = document, photo, cutter
        self.size = (working.photo.width, working.photo.height)
        self.shrink = working.shrink
        self._read: tuple[str | None, PhotoMarks] | None = None

    @property
    def file_size(self) -> tuple[int, int]:
        """Width and height of the photo's file, in whose pixels boxes, points and lines count."""
        width, height = self.size
        return round(width / self.shrink), round(height / self.shrink)

    def warm_up(self) -> None:
        """Let the process look at the photo before somebody asks it."""
        self.ask("warm")

    def rest(self) -> None:
        """Let the process look at nothing more that nobody asked for."""
        with suppress(UserError):  # it died: it rests
            if self.cutter.pid is not None:
                self.ask("rest")

    @property
    def kept(self) -> Path:
        """Where results of earlier tries are."""
        return self.document.folder / KEPT

    @property
    def marks(self) -> PhotoMarks:
        """What is marked now.

        Raises:
            UserError: a file of it is damaged.
        """
        with self.document.lock:
            name = self.document.state.objects
            if self._read is None or self._read[0] != name:
                folder = self.document.history.snapshot("objects", name) if name else None
                read = PhotoMarks(size=self.size) if folder is None else load_marks(folder, self.size)
                self._read = name, read
            return self._read[1]

    def ask(self, kind: str, **question: Any) -> dict[str, Any]:
        """An answer of the warm process about this photo."""
        return self.cutter.ask(kind, self.photo, self.kept, self.marks.lift.segmenter, **question)

    # Changing.

    def change(self, base: int, values: Mapping[str, Any]) -> list[str]:
        """Do one change that the page asks for; returns notes for people.

        Raises:
            UserError: it is not understood or cannot be done; nothing is changed.
        """
        asked = typed_change(values)
        self.document.require(base)
        marks = self.marks
        if asked.cut is not None:
            return self._cut(base, marks, asked.cut)
        if asked.find is not None:
            return self._find(base, marks, asked.find)
        if asked.say is not None:
            return self._say(base, marks, asked.say)
        if asked.delete is not None:
            name = marks.find(asked.delete).name
            return self._commit(base, f"delete {name}", marks.without(asked.delete))
        if asked.order is not None:
            return self._commit(base, "order of the objects", marks.ordered(asked.order))
        if asked.view is not None:
            _refuse_view(asked.view)
            return self._commit(base, "the photo's camera", replace(marks, view=asked.view), merge="view")
        assert asked.lift is not None
        self._refuse_lift(asked.lift)
        return self._commit(base, "how to lift", replace(marks, lift=asked.lift))

    def _commit(
        self, base: int, label: str, marks: PhotoMarks, notes: Sequence[str] = (), merge: str = ""
    ) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            save_marks(Path(folder), marks)
            self.document.commit(label, objects=Path(folder), base=base, merge=merge)
        return list(notes)

    def _cut(self, base: int, marks: PhotoMarks, asked: CutChange) -> list[str]:
        if asked.box is not None:
            checked_box(*self.file_size, asked.box)
        known = None if asked.id is None else marks.find(asked.id)
        if known is not None and (known.facts.source not in ("box", "points")):
            return self._adjust(base, marks, known, asked)
        inside = asked.inside
        if asked.outside and not inside and known is not None:  # points need one on the object
            inside = (self._middle(known.whole),)
        told = self.ask("cut", box=asked.box, inside=inside, outside=asked.outside)
        mask = unpacked(told["mask"], self.size)
        facts: dict[str, Any] = {"box": asked.box, "inside": inside, "outside": asked.outside}
        facts["source"] = "points" if inside else "box"
        if known is None:
            name = asked.name.strip() or marks.free_name(told["word"] or "object")
            changed = MarkedObject(facts=MarkedFacts(name=name, **facts), whole=mask)
            label = f"mark {name}"
        else:
            held, refused = (np.reshape(each, (-1, 2)) * self.shrink for each in (inside, asked.outside))
            what = "points" if asked.box == known.facts.box else "box"
            changed, label = known.recut(mask, held, refused).said(**facts), f"{what} of {known.name}"
        return self._commit(base, label, marks.with_object(changed))

    def _adjust(self, base: int, marks: PhotoMarks, known: MarkedObject, asked: CutChange) -> list[str]:
        """Points on a mask that no box gave change it where they are."""
        inside = asked.inside or (self._middle(known.whole),)
        told = self.ask("adjust", mask=packed(known.whole), inside=inside, outside=asked.outside)
        mask = unpacked(told["mask"], self.size)
        changed = known.painted(mask & ~known.whole, known.whole & ~mask)
        changed = changed.said(inside=asked.inside, outside=asked.outside)
        return self._commit(base, f"points of {known.name}", marks.with_object(changed))

    def _middle(self, mask: Mask) -> Point:
        """Of a mask, in pixels of the photo's file."""
        x, y = middle_of(mask)
        return round(x / self.shrink, 1), round(y / self.shrink, 1)

    def _find(self, base: int, marks: PhotoMarks, asked: FindChange) -> list[str]:
        words = [word.strip() for word in asked.words if word.strip()]
        known = {each.name: packed(each.whole) for each in marks.objects if not each.facts.occluder}
        told = self.ask("find", words=words, masks=known)
        if not told["found"]:
            raise UserError(
                "everything that was found is marked already" + (f" ({told['notes'][0]})" if told["notes"] else "")
            )
        for new in told["found"]:
            facts = MarkedFacts(
                name=marks.free_name(new["name"]), source="text" if words else "proposed", word=new["word"]
            )
            marks = marks.with_object(MarkedObject(facts=facts, whole=unpacked(new["mask"], self.size)))
        label = f"find {', '.join(words)}" if words else "propose objects"
        return self._commit(base, label, marks, told["notes"])

    def _say(self, base: int, marks: PhotoMarks, asked: SayChange) -> list[str]:
        name = marks.find(asked.id).name
        if asked.name is not None and asked.name.strip() != name:
            return self._commit(base, f"rename {name}", marks.renamed(asked.id, asked.name))
        facts: dict[str, Any] = {}
        if asked.occluder is not None:
            facts["occluder"] = asked.occluder
        if asked.lifter is not None:
            facts["lifter"] = asked.lifter or None
        if asked.mesh is not None:
            facts |= {"mesh": None, "mesh_name": ""}
        if asked.relation is not None:
            facts["relation"] = None if asked.relation == "none" else self._relation(marks, name, asked.relation)
        return self._commit(base, f"what {name} is", marks.with_object(marks.find(asked.id).said(**facts)))

    @staticmethod
    def _relation(marks: PhotoMarks, name: str, said: MarkedRelation) -> MarkedRelation:
        others = [each for each in marks.names if each != name]
        if said.to is None and said.word != "floating":
            raise UserError(f"'{name}' {said.word} needs the name of another object")
        if said.to is not None and said.to not in (*others, "ground"):
            raise UserError(f"there is no object '{said.to}' that '{name}' could be {said.word}")
        return said

    def paint(self, base: int, id_: str | None, picture: bytes) -> list[str]:
        """Take a mask as a person painted it, for an object or for a new one; what it gains is taken from the others.

        Args:
            base: the revision that the page saw.
            id_: of the object; None for a new one.
            picture: a PNG file, as large as the photo is worked on.

        Raises:
            UserError: it is no mask of this photo, or too little is painted.
        """
        self.document.require(base)
        marks = self.marks
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "mask.png"
            file.write_bytes(picture)
            mask = read_mask(file, self.size)
        if id_ is not None:
            return self._commit(base, f"paint {marks.find(id_).name}", marks.painted(id_, mask))
        new = MarkedObject(facts=MarkedFacts(name=marks.free_name("object"), source="brush"), whole=mask)
        return self._commit(base, f"paint {new.name}", marks.with_painted(new))

    def bring_mask(self, base: int, file: Path) -> list[str]:
        """Take a mask's file, under the name that a person has given it, for one or several new objects.

        Raises:
            UserError: it is no mask of this photo.
        """
        self.document.require(base)
        marks, found = self.marks, load_masks([file], *self.size)
        for name, mask in found.items():
            facts = MarkedFacts(name=marks.free_name(name), source="file")
            marks = marks.with_object(MarkedObject(facts=facts, whole=mask))
        return self._commit(base, f"mask {file.name}", marks, found.notes)

    def bring_mesh(self, base: int, id_: str, file: Path) -> list[str]:
        """Give an object a mesh of a person's own.

        Args:
            base: the revision that the page saw.
            id_: of the object.
            file: the mesh, under the name that the person has given it.

        Raises:
            UserError: it cannot be read.
        """
        self.document.require(base)
        target = self.marks.find(id_)
        if file.suffix.lower() not in MESH_SUFFIXES:
            raise UserError(f"'{file.name}' is no mesh that is read here; give a {', '.join(MESH_SUFFIXES)} file")
        told = self.ask("mesh", file=str(file))
        changed = target.said(mesh=self._take_in(file), mesh_name=file.name)
        return self._commit(base, f"own mesh for {target.name}", self.marks.with_object(changed), told["notes"])

    def bring_depth(self, base: int, file: Path) -> list[str]:
        """Take a depth map of a person's own, under the name that they have given it.

        Raises:
            UserError: it is none.
        """
        self.document.require(base)
        lift = self.marks.lift
        if file.suffix.lower() not in DEPTH_FILE_SUFFIXES:
            raise UserError(
                f"'{file.name}' is no depth map that is read here; give a {', '.join(DEPTH_FILE_SUFFIXES)} file"
            )
        self.ask("depth", file=str(file), depth_kind=lift.depth_kind)
        lift = replace(lift, depth_file=self._take_in(file), depth_name=file.name)
        return self._commit(base, "depth map", replace(self.marks, lift=lift))

    def _take_in(self, file: Path) -> str:
        """Keep a file of a person's among the workspace's, under its content."""
        name = hashlib.sha256(file.read_bytes()).hexdigest()[:20] + file.suffix.lower()
        place = self.document.folder / INPUTS / name
        if not place.is_file():
            with replacing_file(place) as fresh:
                shutil.copyfile(file, fresh)
        return name

    def _refuse_lift(self, lift: LiftChoice) -> None:
        if lift.max_faces < 100:
            raise UserError(f"{lift.max_faces} triangles are too few; at least 100 are needed")
        if lift.depth_file is not None and lift.depth_file != self.marks.lift.depth_file:
            raise UserError("a depth map is brought by its file; drop it again")

    def mask(self, id_: str) -> Mask:
        """`(H, W)` bool, what is shown of an object."""
        marks = self.marks
        return marks.shown_mask(marks.find(id_))

    def estimate(self) -> dict[str, Any]:
        """The camera as the photo tells it, before anything is lifted."""
        masks = {name: packed(mask) for name, mask in self.marks.resolved.items()}
        return self.ask("view", masks=masks)


def marks_data(marking: Marking | None) -> dict[str, Any]:
    """What of `DocumentData` speaks of marks: objects, view, lift, and the commands that do the same.

    Raises:
        UserError: a file of the marks is damaged.
    """
    if marking is None:
        return {
            "objects": [],
            "view": {**asdict(MarkedView()), "estimated": None, "guess": None},
            "lift": asdict(LiftChoice()),
            "commands": [],
        }
    marks, found = marking.marks, marking.document.scene()
    estimated = None if found is None else estimated_view(found[0], marking.shrink)
    guess = None if found is None else horizon_guess(marking.document.folder, found[0])
    return {
        "objects": objects_data(marks),
        "view": {**asdict(marks.view), "estimated": estimated, "guess": guess},
        "lift": asdict(marks.lift),
        "commands": shell_commands(marks, marking.document.folder, marking.photo),
    }


def typed_change(values: Mapping[str, Any]) -> MarkChange:
    """A change from JSON values.

    Raises:
        UserError: it is none, or more than one.
    """
    try:
        asked = typed(MarkChange, dict(values), "change")
    except ValueError as error:
        raise UserError(f"the page asked for something that is not understood ({error}); load it again") from error
    if sum(value is not None for value in vars(asked).values()) != 1:
        raise UserError("the page asked for nothing, or for several changes at once; load it again")
    return asked


def _refuse_view(view: MarkedView) -> None:
    ViewOptions(focal=view.focal, pitch=view.pitch, roll=view.roll)  # refuses what cannot be


def objects_data(marks: PhotoMarks) -> list[dict[str, Any]]:
    """Objects as `MaskObject` of the page's types.ts."""
    entities = [each for each in marks.objects if not each.facts.occluder]
    colors = {
        each.id: "#{:02x}{:02x}{:02x}".format(*c)
        for each, c in zip(entities, entity_colors(len(entities)), strict=True)
    }
    return [_object_data(marks, each, colors.get(each.id, _OCCLUDER_COLOR)) for each in marks.objects]


def _object_data(marks: PhotoMarks, each: MarkedObject, color: str) -> dict[str, Any]:
    facts, mask = each.facts, marks.shown_mask(each)
    kind = kind_of(facts.name) or kind_of(facts.word)
    return {
        "id": facts.id,
        "name": facts.name,
        "box": facts.box,
        "inside": facts.inside,
        "outside": facts.outside,
        "source": facts.source,
        "area": float(mask.mean()),
        "version": mask_digest(mask),
        "color": color,
        "word": facts.word,
        "kind": None if kind is None else kind.name,
        "painted": each.is_painted,
        "occluder": facts.occluder,
        "lifter": facts.lifter,
        "mesh": facts.mesh_name or None,
        "relation": None if facts.relation is None else asdict(facts.relation),
    }


def estimated_view(scene: Scene, shrink: float) -> dict[str, float]:
    """The camera under which a scene was lifted: focal length in pixels of the photo's file, pitch and roll."""
    pitch, roll = pitch_roll_of(np.asarray(scene.photo_world_from_camera[1, :3], np.float64))
    return {"focal": scene.camera.intrinsics.fx / shrink, "pitch": pitch, "roll": roll}
