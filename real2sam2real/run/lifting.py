"""Photo and masks to a scene at rest, by the embedded lifter, lifters elsewhere, or meshes of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from real2sam2real.arrays import Float, Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.lifting.assembling import (
    Surroundings,
    align_lifted,
    animation_frames,
    entity_of,
    on_one_ground,
    upright,
)
from real2sam2real.lifting.background import taken_pixels, with_relief
from real2sam2real.lifting.billboards import with_billboards
from real2sam2real.lifting.contact import ContactOptions, ContactReport, resolve_contacts
from real2sam2real.lifting.embedded import lift_photo
from real2sam2real.lifting.ground import ground_under
from real2sam2real.lifting.kinds import kind_of
from real2sam2real.lifting.layout import with_walls
from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.lifting.mesh_files import read_mesh_file
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.lifting.outline import outlines_by_nearness
from real2sam2real.lifting.outlying import outlying_depths
from real2sam2real.lifting.people.body_model import EXTRA, is_installed
from real2sam2real.lifting.people.lifter import LIFTER as PEOPLE
from real2sam2real.lifting.people.lifter import NoPersonError, is_person, lift_person
from real2sam2real.lifting.photo_depth import in_metres, with_fronts
from real2sam2real.lifting.plausible import OUTLYING
from real2sam2real.lifting.sizes_around import view_by_sizes_around
from real2sam2real.lifting.workers.lifter import lift_objects
from real2sam2real.lifting.workers.requests import LiftRequest
from real2sam2real.options import split_named
from real2sam2real.perceive.camera.estimate import estimate_camera
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.photo import Photo
from real2sam2real.perceive.segment.bystanders import find_bystanders
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.perceive.segment.nanodet import ScoredBox
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.posts import find_posts
from real2sam2real.perceive.segment.things import boxes_of_likes, words_of
from real2sam2real.perceive.view import PhotoView
from real2sam2real.run.directing import provenance_notes
from real2sam2real.run.kept_lifting import kept_person, kept_shapes, kept_things
from real2sam2real.run.options import DEFAULT_FPS
from real2sam2real.run.photo import find_masks, occluder_mask, read_photo
from real2sam2real.run.progress import Progress
from real2sam2real.scene import CameraPath, Entity, Scene
from real2sam2real.scene.carrying import carry
from real2sam2real.scene.folder import save_scene
from real2sam2real.scene.relation import GROUND, Relation, check_circles
from real2sam2real.scene.retime import retimed
from real2sam2real.workfolder.kept import KeptResults

REQUESTS = ".lifting"
"""Beside the scene folder: what is asked of a lifter's process and what it has answered, so that it can go on."""


NO_PEOPLE = (
    f"people are lifted by their silhouettes; with pip install '{EXTRA}' they get bodies that look right all round"
)


def lift_to_folder(
    photo_path: Path,
    objects: SegmentOptions,
    view: ViewOptions,
    options: LiftOptions,
    folder: Path,
    progress: Progress,
    *,
    said: Mapping[str, Relation] = MappingProxyType({}),
    kept: Path | None = None,
    offline: bool = False,
) -> list[str]:
    """Lift the objects of a photo and write the scene folder; returns notes for people.

    `said` is as for `lift`. In the folder `kept`, masks that were cut out and shapes that were made are kept for the
    next try; without it, only what lifters in other environments made is, beside the `folder`.

    Raises:
        MissingPartError: a model or a lifter's environment is not there.
        UserError: the photo, a mask, a box, a point or a mesh cannot be used.
    """
    working = read_photo(photo_path)
    requests = kept or folder.parent / REQUESTS
    kept_masks = None if kept is None else kept / "masks"
    masks, notes = find_masks(photo_path, working, replace(objects, offline=offline), progress, kept_masks)
    shapes = kept_shapes(kept)
    progress.info(f"  {len(masks)} object{'s' if len(masks) > 1 else ''}: {', '.join(masks)}")
    scene, lift_notes = lift(
        working.photo,
        masks,
        view=replace(view, offline=offline, focal=None if view.focal is None else view.focal * working.shrink),
        options=options,
        occluder=occluder_mask(working, objects),
        requests=requests / folder.name,
        said=said,
        progress=progress,
        offline=offline,
        kept=shapes,
    )
    shapes.sweep()
    save_scene(scene, folder)
    return list(dict.fromkeys([*working.notes, *notes, *lift_notes]))  # the lifter says again what the masks said


def lift(
    photo: Photo,
    masks: Mapping[str, Mask],
    *,
    view: ViewOptions | None = None,
    options: LiftOptions | None = None,
    occluder: Mask | None = None,
    requests: Path = Path(REQUESTS),
    said: Mapping[str, Relation] = MappingProxyType({}),
    progress: Progress | None = None,
    offline: bool = False,
    kept: KeptResults | None = None,
) -> tuple[Scene, list[str]]:
    """Lift objects of a photo, `(H, W)` bool masks by name, into a scene of one frame; gives it, and notes for people.

    The view's focal length is in pixels of this photo. `occluder` `(H, W)` bool hides parts of objects and is none
    itself. `requests` is the folder for what lifters in environments of their own are asked and answer; without any it
    is not made. What took long is looked up, and left, in `kept`. `said` is where a shot says that objects belong; the
    options' own word comes first, and of what is not in the photo nothing is taken.

    Raises:
        MissingPartError: a model or a lifter's environment is not there.
        UserError: a mesh cannot be used, or an object cannot be lifted.
    """
    view, options = view or ViewOptions(), options or LiftOptions()
    relations = _relations(said, options, list(masks))
    seen, shapes = estimate_camera(photo, masks, view), kept or KeptResults()
    lifting = _Lifting(
        photo=photo,
        masks=masks,
        view=seen,
        options=options,
        relations=relations,
        pitch=_pitch_of(seen) if view.pitch is None else view.pitch,
        occluder=np.zeros(photo.pixels.shape[:2], bool) if occluder is None else occluder,
        progress=progress or Progress(),
        kept=shapes,
    )
    unnamed = lifting.unnamed()
    things = kept_things(photo.pixels, shapes) if options.billboards or unnamed else []
    words = words_of({name: masks[name] for name in unnamed}, things)
    if seen.up_camera is None and seen.points_camera is None:
        lifting = lifting.with_sizes_around(words, boxes_of_likes(things), roll=view.roll or 0.0)
        seen = lifting.view
    meshes = lifting.meshes(words, requests, offline=offline)
    if options.optimize_focal and options.align and meshes:
        lifting, meshes = lifting.with_solved_lens(meshes)
    scene, notes = lifting.scene(meshes, words)
    if seen.points_camera is not None:
        standing = [o.name for o in outlines_by_nearness(masks) if o.stands_in_view]
        scene, depth_notes = with_fronts(in_metres(scene, seen), seen, standing)
        notes = [*notes, *depth_notes]
    scene, contact_notes = settled(scene, options)
    if options.billboards:
        taken = np.any([lifting.occluder, *masks.values()], axis=0)
        scene, background_notes = with_billboards(scene, _standing(scene, photo.pixels, things, taken, shapes))
        notes = [*notes, *background_notes]
    if seen.points_camera is not None:
        scene, relief_notes = with_relief(scene, seen, taken_pixels(scene, [lifting.occluder]))
        notes = [*notes, *relief_notes]
    else:
        scene, wall_notes = with_walls(scene, taken_pixels(scene, [lifting.occluder]))
        notes = [*notes, *wall_notes]
    scene, doubts = _with_doubts(carry(scene))
    told = [*seen.notes, *lifting.notes, *notes]
    made_how = dict.fromkeys(told)  # the lifter may say again what reading the masks said
    return scene, [*made_how, *contact_notes, *provenance_notes(scene), *doubts]


def _standing(
    scene: Scene, pixels: UInt8, things: Sequence[ScoredBox], taken: Mask, kept: KeptResults
) -> list[Detection]:
    """What stands in the photo `(H, W, 3)` beside its objects: bystanders that a network knows, and posts."""
    found = find_bystanders(pixels, things, taken, kept)
    if scene.ground_y is None:
        return found
    taken = np.any([taken, *(each.mask for each in found)], axis=0)
    up_camera = scene.photo_world_from_camera[1, :3]
    return [*found, *find_posts(pixels, taken, scene.camera.intrinsics, up_camera, kept)]


def _with_doubts(scene: Scene) -> tuple[Scene, list[str]]:
    """The scene in which entities know that their distance is not to be believed; and notes for people."""
    doubts = outlying_depths(scene)
    for name, why in doubts.items():
        entity = scene.entity(name)
        scene = scene.with_entity(replace(entity, provenance={**entity.provenance, OUTLYING: why}))
    return scene, [f"{name}: {why}" for name, why in doubts.items()]


def _relations(said: Mapping[str, Relation], options: LiftOptions, names: Sequence[str]) -> dict[str, Relation]:
    """Where the options say that objects belong, and a shot, as far as it speaks of objects of the photo."""
    of_shot = {name: each for name, each in said.items() if name in names and each.to in (*names, GROUND, None)}
    relations = {**of_shot, **options.relations(names)}
    try:
        check_circles(relations)
    except ValueError as error:
        raise UserError(str(error)) from error
    return relations


def settled(scene: Scene, options: LiftOptions) -> tuple[Scene, Sequence[str]]:
    """The scene with its contacts resolved, unless the options say otherwise; and notes for people."""
    if options.contact == "off":
        return scene, []
    scene, report = resolve_contacts(scene, ContactOptions())
    return with_found_relations(scene, report), report.notes


def with_found_relations(scene: Scene, report: ContactReport) -> Scene:
    """What was brought to rest on another entity belongs on it, where nobody said anything else."""
    for line in report.entities:
        entity = scene.entity(line.name)
        kind = kind_of(line.name)
        lies = kind is None or kind.carried  # what else ends on another thing may well stand behind it
        if entity.relation is None and lies and line.supported_by in scene.names:
            relation = Relation(word="on", to=line.supported_by, guessed=True)
            scene = scene.with_entity(replace(entity, relation=relation))
    return scene


def read_own_mesh(file: Path, name: str, options: LiftOptions, view: PhotoView, mask: Mask | None) -> LiftedMesh:
    """A mesh file of the user's own, read as the options say; `mask` `(H, W)` is where the photo shows it.

    Raises:
        UserError: it cannot be read.
    """
    return read_mesh_file(
        file,
        name=name,
        coordinate_frame=options.mesh_frame,
        up=options.mesh_up,
        intrinsics=view.intrinsics,
        up_camera=view.up_camera,
        fps=DEFAULT_FPS,
        clip=options.clip,
        loop=options.loop,
        mask=mask,
    )


def surroundings(
    pixels: np.ndarray, view: PhotoView, world_from_camera: Float, occluder: Mask, options: LiftOptions
) -> Surroundings:
    """What meshes of a photo are aligned with."""
    return Surroundings(
        pixels=pixels,
        view=view,
        world_from_camera=world_from_camera,
        occluder=occluder,
        max_faces=options.max_faces,
        align=options.align,
        optimize_focal=options.optimize_focal,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Lifting:
    """One photo on its way to a scene."""

    photo: Photo
    masks: Mapping[str, Mask]
    view: PhotoView
    options: LiftOptions
    relations: Mapping[str, Relation]
    pitch: float | None
    occluder: Mask
    progress: Progress
    kept: KeptResults  # of earlier tries
    notes: list[str] = field(default_factory=list)  # what a person should know of the choice of lifters

    def meshes(self, words: Mapping[str, str], requests: Path, *, offline: bool) -> dict[str, LiftedMesh]:
        """The meshes that do not come from the embedded lifter, by name."""
        files = {name: Path(file) for name, file in split_named("--mesh", self.options.mesh).items()}
        made = {
            name: read_own_mesh(file, name, self.options, self.view, self.masks.get(name))
            for name, file in files.items()
        }
        if strangers := made.keys() - self.masks.keys():
            raise UserError(
                f"--mesh names '{min(strangers)}', but no mask, box or point does; the objects are "
                f"{', '.join(self.masks)}"
            )
        elsewhere: dict[str, list[str]] = {}
        for name in self.masks:
            lifter = self.lifter_of(name, words)
            if name in made or lifter == "embedded":
                continue
            if lifter == PEOPLE:
                person = self._lift_person(name, words.get(name, name))
                made |= {} if person is None else {name: person}
            else:
                elsewhere.setdefault(lifter, []).append(name)
        for lifter, names in elsewhere.items():
            made |= self._lift_elsewhere(lifter, names, requests / lifter, offline=offline)
        return made

    def lifter_of(self, name: str, words: Mapping[str, str]) -> str:
        """The lifter of an object: the named one, else the one for people for a person, if it is there."""
        chosen = self.options.lifter_of(name)
        if chosen is None:
            person = is_person(words.get(name, name))
            if person and not is_installed():
                self.notes.append(NO_PEOPLE)
            return PEOPLE if person and is_installed() else "embedded"
        return chosen

    def _lift_person(self, name: str, word: str) -> LiftedMesh | None:
        """A person's body; None, and a note, where none is seen and nobody asked for it by name."""
        outline = next(each for each in outlines_by_nearness(self.masks) if each.name == name)
        try:
            with self.progress.bar(f"{name}: fitting a body") as advance:
                lens = self.view.intrinsics
                made_from = [name, self.photo.pixels, outline.mask, outline.hidden, self.occluder, word]
                return kept_person(
                    made_from,
                    lens,
                    self.kept,
                    lambda: lift_person(self.photo.pixels, outline, lens, self.occluder, word, advance),
                )
        except NoPersonError as error:
            if self.options.lifter_of(name) is not None:
                raise
            self.notes.append(f"{error}; it is lifted by its silhouette")
            return None

    def _lift_elsewhere(self, lifter: str, names: list[str], requests: Path, *, offline: bool) -> dict[str, LiftedMesh]:
        """The meshes that a lifter in an environment of its own makes; what it has made is kept for the next try."""
        chosen = self.options.environment_of(lifter, offline=offline)
        request = LiftRequest(
            pixels=self.photo.pixels,
            masks={name: self.masks[name] for name in names},
            view=self.view,
            folder=requests,
        )
        outcome = lift_objects(lifter, chosen, request, self.progress.info)
        if outcome.failures:
            reasons = "\n".join(f"  {failure.name}: {failure.reason}" for failure in outcome.failures)
            other = f"--lifter {outcome.failures[0].name}=embedded"
            raise UserError(
                f"{lifter} could not lift {len(outcome.failures)} of {len(names)} objects:\n{reasons}\nThe others are "
                f"kept: the same command goes on. Or lift one with another lifter: {other}"
            )
        return {mesh.name: mesh for mesh in outcome.meshes}

    def unnamed(self) -> list[str]:
        """Objects for the embedded lifter whose names do not say what they are."""
        brought = split_named("--mesh", self.options.mesh)
        embedded = [
            each for each in self.masks if each not in brought and self.options.lifter_of(each) in (None, "embedded")
        ]
        return [name for name in embedded if kind_of(name) is None]

    def with_sizes_around(self, words: Mapping[str, str], boxes: Float, *, roll: float) -> _Lifting:
        """The same under the pitch and the lens that other things, of the `boxes` `(N, 4)`, tell."""
        kinds = {name: kind_of(name) or kind_of(words.get(name, "")) for name in self.masks}
        view = view_by_sizes_around(self.view, outlines_by_nearness(self.masks), kinds, boxes, roll=roll)
        return replace(self, view=view, pitch=_pitch_of(view))

    def with_solved_lens(self, lifted: Mapping[str, LiftedMesh]) -> tuple[_Lifting, dict[str, LiftedMesh]]:
        """The same under the focal length of the mesh that fits its mask best, and the meshes; that one in its place.

        A photo has one lens: what else is lifted, and the scene's camera, follow.

        Raises:
            UserError: a depth map says how far things are apart, which holds under its own focal length alone.
        """
        if self.view.points_camera is not None:
            raise UserError(
                "--optimize-focal: a depth map was given or estimated, and it holds under its own focal length; leave "
                "one of them out"
            )
        outlines = {outline.name: outline for outline in outlines_by_nearness(self.masks)}
        around = surroundings(self.photo.pixels, self.view, np.eye(4), self.occluder, self.options)
        found = [align_lifted(mesh, outlines[name], around, self.progress.info) for name, mesh in lifted.items()]
        best = max(found, key=lambda item: item.alignment.iou_after)
        lens, pose = best.alignment.intrinsics, best.alignment.camera_from_object
        name = best.lifted.name
        told = (
            f"focal length solved with {name}: {lens.fx:.0f} px ({lens.horizontal_fov_degrees:.0f}° across), before "
            f"{self.view.intrinsics.fx:.0f} px"
        )
        view = replace(self.view, intrinsics=lens)
        solved = {**lifted, name: replace(lifted[name], camera_from_object=pose, intrinsics=lens)}
        fixed = replace(self.options, optimize_focal=False)
        return replace(self, view=view, options=fixed, notes=[*self.notes, told]), solved

    def scene(self, lifted: Mapping[str, LiftedMesh], words: Mapping[str, str]) -> tuple[Scene, list[str]]:
        """The scene at rest: all by the embedded lifter, or with other meshes in their places; and notes."""
        pixels, view = self.photo.pixels, self.view
        embedded: Scene | None = None
        notes: list[str] = []
        if len(lifted) < len(self.masks):
            embedded, notes = lift_photo(
                pixels,
                self.masks,
                view.intrinsics,
                frames=1,
                fps=DEFAULT_FPS,
                pitch_degrees=self.pitch,
                words=words,
                relations=self.relations,
                kept=self.kept,
            )
            notes = [*notes, *_word_notes(words)]
            if not lifted:
                return embedded, notes
        outlines = {outline.name: outline for outline in outlines_by_nearness(self.masks)}
        if view.up_camera is not None:
            world_from_camera = upright(view.up_camera)
        elif embedded is not None:
            world_from_camera = embedded.photo_world_from_camera
        else:
            under = ground_under(outlines.values(), view.intrinsics, self.pitch)
            world_from_camera, notes = under.world_from_camera, [under.note]
        around = surroundings(pixels, view, world_from_camera, self.occluder, self.options)
        found = {name: align_lifted(mesh, outlines[name], around, self.progress.info) for name, mesh in lifted.items()}
        known = None if view.ground is None else -view.ground.offset
        found, height = on_one_ground(found, world_from_camera, known)
        frames = animation_frames(lifted.values(), DEFAULT_FPS)
        entities = {name: entity_of(item, around, frames=frames, fps=DEFAULT_FPS) for name, item in found.items()}
        entities |= {n: replace(e, relation=self.relations.get(n)) for n, e in entities.items()}
        if embedded is not None:
            entities = _joined(retimed(embedded, frames), entities, around, height)
        scene = Scene(
            entities=tuple(entities[name] for name in self.masks),
            camera=CameraPath.still(frames, view.intrinsics, world_from_camera),
            photo=pixels,
            photo_world_from_camera=world_from_camera,
            fps=DEFAULT_FPS,
            unit=view.unit,
            ground_y=None if height is None else -height,
        )
        return scene, notes


def _word_notes(words: Mapping[str, str]) -> list[str]:
    if not words:
        return []
    taken = ", ".join(f"{name} for a {word}" for name, word in words.items())
    return [f"taken by their looks: {taken}; a name that says what a thing is is believed instead"]


def _pitch_of(view: PhotoView) -> float | None:
    """Degrees that the camera looks down, as the view knows it."""
    return None if view.up_camera is None else float(np.degrees(np.arcsin(np.clip(view.up_camera[2], -1, 1))))


def _joined(
    embedded: Scene, entities: Mapping[str, Entity], around: Surroundings, height: float | None
) -> dict[str, Entity]:
    """The embedded lifter's other entities beside the given ones, in their world and at their scale."""
    factor = 1.0 if height is None or embedded.ground_y is None else height / -embedded.ground_y
    turn = around.world_from_camera @ np.linalg.inv(embedded.photo_world_from_camera)
    turn[:3, :3] *= factor
    return {e.name: entities.get(e.name) or _moved(e, turn, factor) for e in embedded.entities}


def _moved(entity: Entity, matrix: np.ndarray, factor: float) -> Entity:
    """An entity at rest under a similarity about the origin, its size kept in its mesh."""
    rest = matrix @ entity.rest_world_from_object
    rest[:3, :3] /= factor
    mesh = replace(entity.mesh, vertices=entity.mesh.vertices * factor)
    motion = type(entity.motion).still(entity.motion.frames, rest)
    return replace(entity, mesh=mesh, rest_world_from_object=rest, motion=motion)
