"""A set of cases on disk: what a video is asked to show, with every true pose. See docs/evaluation.md.

CASES/cases.json             the set: format, kind, seed, and what it was made from
CASES/NAME/                  a control folder, as r2s2r generate and the official script read it
CASES/NAME/scene/            the directed scene: true camera, true poses of entities, their meshes
CASES/NAME/film.mkv          the true film, lossless, where there is one
CASES/NAME/case.json         written last: the case is whole
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from real2sam2real.errors import UserError
from real2sam2real.scene import Scene
from real2sam2real.scene.folder import read_scene
from real2sam2real.workfolder.fingerprint import digest
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.records import read_record, write_json

FORMAT = 1
SET, CASE, SCENE, FILM = "cases.json", "case.json", "scene", "film.mkv"
ROOM = "room "  # before the seed, in the source of cases of rooms
CaseKind = Literal["camera", "objects"]


@dataclass(frozen=True, kw_only=True)
class CaseRecord:
    """What `case.json` says."""

    name: str  # the folder's
    kind: CaseKind
    seed: int  # what the case was drawn from
    source: str  # a room's seed, or the scene that it was made of, for people
    shot: str  # the direction, as a shot file
    moved: tuple[str, ...]  # entities that move
    frames: int
    width: int
    height: int

    @property
    def room_seed(self) -> int | None:
        """Seed of the procedural room that it shows, or None."""
        return int(seed) if (seed := self.source.removeprefix(ROOM)) != self.source and seed.isdigit() else None


@dataclass(frozen=True, kw_only=True)
class _SetHeader:
    """What has to be known of `cases.json`."""

    kind: CaseKind


@dataclass(frozen=True, kw_only=True)
class CaseSet:
    """A set of cases that can be measured."""

    folder: Path
    kind: CaseKind
    cases: tuple[CaseRecord, ...]  # whole ones, by name
    _opened: dict[str, Scene] = field(default_factory=dict, init=False, repr=False, compare=False)
    _digests: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def record(self, name: str) -> CaseRecord:
        """The case of a name."""
        return next(case for case in self.cases if case.name == name)

    def scene(self, name: str) -> Scene:
        """A case's directed scene with the true poses; the last one is remembered."""
        if name not in self._opened:
            self._opened.clear()
            self._opened[name] = read_scene(self.folder / name / SCENE)[0]
        return self._opened[name]

    def digest(self, name: str) -> str:
        """Hash of a case's scene, of which the files are read once."""
        if name not in self._digests:
            self._digests[name] = digest(self.folder / name / SCENE)
        return self._digests[name]


def write_case(folder: Path, record: CaseRecord) -> None:
    """Say that a case is whole."""
    write_json(folder / record.name / CASE, asdict(record))


def open_cases(folder: Path) -> CaseSet:
    """The cases in a folder; those that are not whole are left out.

    Raises:
        UserError: it is no set of cases, or one without any whole case, or a file is damaged.
    """
    if not (folder / SET).is_file():
        raise UserError(f"{folder} is no set of cases: it has no {SET}; r2s2r benchmark make writes one")
    remedy = "make the set again with r2s2r benchmark make"
    kind = read_record(folder / SET, _kind, what="set of cases", remedy=remedy)
    build = partial(typed, CaseRecord)
    paths = sorted(folder.glob(f"*/{CASE}"))
    cases = tuple(read_record(path, build, what="case", remedy=remedy) for path in paths)
    if not cases:
        raise UserError(f"{folder} holds no whole case; {remedy}")
    return CaseSet(folder=folder, kind=kind, cases=cases)


def find_video(videos: Path, case: str) -> Path | None:
    """A case's video in a folder of videos: `CASE.mp4`, or the one MP4 file in `CASE/`, at any depth below `videos`.

    The latter is how `r2s2r generate` and the official script leave them.

    Raises:
        UserError: there are several.
    """
    found = [path for path in videos.rglob(f"{case}.mp4") if path.is_file()]
    found += [path for folder in videos.rglob(case) if folder.is_dir() for path in folder.glob("*.mp4")]
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(videos)) for path in found[:4])
        raise UserError(f"{videos} has several videos of {case} ({names}); name a folder with one of each")
    return found[0] if found else None


def require_kind(cases: CaseSet, wanted: CaseKind) -> Sequence[CaseRecord]:
    """The cases of a set, which must be of a kind.

    Raises:
        UserError: they are of another.
    """
    if cases.kind != wanted:
        raise UserError(f"{cases.folder} has {cases.kind} cases; r2s2r evaluate {cases.kind} measures those")
    return cases.cases


def _kind(values: Any) -> CaseKind:
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']}, which this version does not know")
    return typed(_SetHeader, {"kind": values["kind"]}).kind
