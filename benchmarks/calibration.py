"""Do the measures of control measure? True films give no error, and films with a known error give that error.

    python benchmarks/calibration.py camera  -o FOLDER [--cases 20] [--paths drawn zoomed turning] [--strayed-films 0]
    python benchmarks/calibration.py objects -o FOLDER [--cases 20]

Cases are those of `r2s2r benchmark make` (rooms, whose film is known). Rows are of three kinds:

- `true`: the film of the commanded scene against the command. What comes out is the measure's own error.
- `command`: the same film against a command that strays from it, more and more, and trembles (cameras alone).
- `film`: the film of a camera, or of objects, that stray from the command; with cameras of the first `--strayed-films`.

For the latter two the error between the two scenes is known without any film: that is what should come out. `zoomed`
are the same paths with a zoom of 1.2 to 1.6, `turning` cameras that pan and tilt in one place.

FOLDER keeps cases, films and rows.jsonl: the same command goes on behind them, and measures anew what other code or
options measured. Ends with the table, and with every row that misses the bar: an error of a true film above `BARS`, one
of a strayed film that is off by more than a tenth, a frame that is not found. Needs pycolmap for cameras.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import Float, UInt8
from real2sam2real.geometry import transforms
from real2sam2real.lab.evaluate.camera_recovery import RecoveryOptions, recover_path
from real2sam2real.lab.evaluate.camera_scores import CAMERA_MEASURES, CameraMeasurer
from real2sam2real.lab.evaluate.case_making import CaseOptions, make_cases
from real2sam2real.lab.evaluate.case_set import FILM, CaseKind, CaseRecord, CaseSet, open_cases
from real2sam2real.lab.evaluate.object_poses import PoseOptions, recover_poses
from real2sam2real.lab.evaluate.object_scores import OBJECT_MEASURES, ObjectMeasurer, pose_errors
from real2sam2real.lab.evaluate.trajectory import path_length, trajectory_error
from real2sam2real.lab.synth.rooms import sample_room
from real2sam2real.lab.synth.seeds import Rng, generator
from real2sam2real.options import parse_size
from real2sam2real.run.progress import Progress
from real2sam2real.scene import CameraPath, Motion, Scene
from real2sam2real.workfolder.fingerprint import fingerprint
from real2sam2real.workfolder.records import read_lines, write_lines

Paths = Literal["drawn", "zoomed", "turning"]
Shown = Literal["true", "command", "film"]
BARS = {"camera": {"ate_share": 0.002}, "objects": {"rot_err": 1.0, "trans_err": 1.0}}  # of true films
TENTH = 0.1  # by which the error of a strayed film may be off
_STRAY = 0x600


@dataclass(frozen=True, kw_only=True)
class Row:
    key: str
    case: str
    paths: str
    shown: Shown
    what: str  # the object, or "camera"
    told: dict[str, float | None]  # by measure: of the film
    put_in: dict[str, float | None]  # the same between the two scenes
    found: int  # frames
    frames: int
    pixels: int  # width of an object in the first frame; 0 for cameras
    seconds: float
    problem: str


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What rows are made of."""

    kind: CaseKind
    cases: CaseSet
    films: Path
    recovery: RecoveryOptions

    def key(self, case: CaseRecord, paths: Paths, shown: Shown) -> str:
        options = self.recovery if self.kind == "camera" else PoseOptions()
        code = (CameraMeasurer if self.kind == "camera" else ObjectMeasurer).code
        return fingerprint(code=code, settings=[asdict(options), asdict(case), paths, shown], inputs=())

    def film(self, case: CaseRecord, scene: Scene, name: str) -> list[UInt8]:
        """The film of a scene of a case's room; drawn once."""
        path = self.films / f"{name}.mkv" if name else self.cases.folder / case.name / FILM
        if not path.is_file():
            room = sample_room(int(case.source.split()[1]), width=case.width, height=case.height)
            path.parent.mkdir(parents=True, exist_ok=True)
            media.write_lossless_video(path, room.film(scene), scene.fps)
        return list(media.iterate_video(path))


def camera_rows(bench: Bench, case: CaseRecord, paths: Paths, shown: Sequence[Shown]) -> Iterator[Row]:
    """Rows of a case: what one film shows is found once."""
    number = int(case.name[-4:])
    commanded = _commanded(bench.cases.scene(case.name), paths, generator(case.seed, _STRAY, number))
    strayed = replace(commanded, camera=_strayed(commanded.camera, generator(case.seed, _STRAY, number, 1)))
    for filmed in (commanded, strayed):
        wanted = [each for each in shown if (each == "film") == (filmed is strayed)]
        if not wanted:
            continue
        name = "" if filmed is commanded and paths == "drawn" else f"{case.name}-{paths}-{wanted[0]}"
        frames = bench.film(case, filmed, name)
        start = time.perf_counter()
        lenses = [filmed.camera.intrinsics_at(t) for t in range(filmed.frames)]
        found = recover_path(frames, lenses, bench.recovery)
        seconds = round(time.perf_counter() - start, 1)
        for each in wanted:
            against = (strayed if each == "command" else commanded).camera.world_from_camera
            yield Row(
                key=bench.key(case, paths, each),
                case=case.name,
                paths=paths,
                shown=each,
                what="camera",
                told=_known(asdict(trajectory_error(found.world_from_camera, against, found.found))),
                put_in=_known(asdict(trajectory_error(filmed.camera.world_from_camera, against, found.found))),
                found=int(found.found.sum()),
                frames=filmed.frames,
                pixels=0,
                seconds=seconds,
                problem=found.problem or ("" if found.turns_only == (paths == "turning") else "taken for a turn"),
            )


def object_rows(bench: Bench, case: CaseRecord, shown: Sequence[Shown]) -> Iterator[Row]:
    """A row for each moved object of a case."""
    commanded = bench.cases.scene(case.name)
    for each in shown:
        rng = generator(case.seed, _STRAY, int(case.name[-4:]), 2)
        scene = commanded
        for name in case.moved if each == "film" else ():
            scene = _strayed_object(scene, name, rng)
        frames = bench.film(case, scene, f"{case.name}-film" if each == "film" else "")
        for name in case.moved:
            start = time.perf_counter()
            found = recover_poses(frames, commanded, name, PoseOptions())
            seconds = round(time.perf_counter() - start, 1)
            known = found.found, found.in_view, found.confidence
            told = pose_errors(commanded, name, found.world_from_object, *known)
            true = scene.entity(name).motion.matrices()
            mask = commanded.entity(name).mask
            yield Row(
                key=bench.key(case, "drawn", each),
                case=case.name,
                paths="drawn",
                shown=each,
                what=name,
                told=_known(vars(told)),
                put_in=_known(vars(pose_errors(commanded, name, true, *known))),
                found=told.found,
                frames=told.in_view,
                pixels=0 if mask is None else int(mask.any(axis=0).sum()),
                seconds=seconds,
                problem="",
            )


def _commanded(scene: Scene, paths: Paths, rng: Rng) -> Scene:
    camera, along = scene.camera, np.linspace(0, 1, scene.frames)
    if paths == "zoomed":
        camera = replace(camera, zoom=1 + along * rng.uniform(0.2, 0.6))
    if paths == "turning":
        pan, tilt = np.radians(rng.uniform(-15, 15)), np.radians(rng.uniform(-6, 6))
        poses = np.tile(camera.world_from_camera[:1], (scene.frames, 1, 1))
        poses[:, :3, :3] = [poses[0, :3, :3] @ _turn(np.array([tilt, pan, 0.0]) * part) for part in along]
        camera = replace(camera, world_from_camera=poses)
    return replace(scene, camera=camera)


def _strayed(camera: CameraPath, rng: Rng) -> CameraPath:
    """A path that leaves the other by a twentieth of its length and 3°, and trembles: 0.4 % and 0.4°."""
    along, poses = np.linspace(0, 1, camera.frames), camera.world_from_camera.copy()
    length = path_length(poses)
    drift, turn = _unit(rng) * 0.05 * length, _unit(rng) * np.radians(3.0)
    shift = along[:, None] ** 2 * drift + rng.normal(size=(camera.frames, 3)) * 0.004 * length / np.sqrt(3)
    angle = along[:, None] * turn + rng.normal(size=(camera.frames, 3)) * np.radians(0.4) / np.sqrt(3)
    poses[:, :3, 3] += shift
    poses[:, :3, :3] = [pose[:3, :3] @ _turn(a) for pose, a in zip(poses, angle, strict=True)]
    return replace(camera, world_from_camera=poses)


def _strayed_object(scene: Scene, name: str, rng: Rng) -> Scene:
    """The object strays by 5 to 20° and by 2 to 8 % of its distance from the camera, evenly over the shot."""
    motion = scene.entity(name).motion
    poses, along = motion.matrices().copy(), np.linspace(0, 1, scene.frames)
    middle = scene.entity(name).mesh.vertices.mean(axis=0)
    distance = np.linalg.norm(poses[0, :3, 3] - scene.camera.world_from_camera[0, :3, 3])
    turn, shift = _unit(rng) * np.radians(rng.uniform(5, 20)), _unit(rng) * rng.uniform(0.02, 0.08) * distance
    for t, part in enumerate(along):
        turned = np.eye(4)
        turned[:3, :3] = _turn(turn * part)
        turned[:3, 3] = middle - turned[:3, :3] @ middle
        poses[t] = poses[t] @ turned
        poses[t, :3, 3] += shift * part
    parts = [transforms.decompose(pose) for pose in poses]
    translation, rotation, scale = (np.array(each) for each in zip(*parts, strict=True))
    moved = Motion(translation=translation, rotation_wxyz=rotation, scale=scale, visible=motion.visible)
    return scene.with_entity(replace(scene.entity(name), motion=moved))


def _turn(vector: Float) -> Float:
    """`(3, 3)` rotation of a rotation vector in radians."""
    angle = float(np.linalg.norm(vector))
    return transforms.about_axis(vector, angle) if angle else np.eye(3)


def _unit(rng: Rng) -> Float:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def _known(values: dict[str, Any]) -> dict[str, float | None]:
    numbers = {name: value for name, value in values.items() if isinstance(value, float)}
    return {name: None if np.isnan(value) else value for name, value in numbers.items()}


def report(rows: Sequence[Row], kind: CaseKind) -> str:
    """The table, and what misses the bar."""
    measures = CAMERA_MEASURES if kind == "camera" else OBJECT_MEASURES
    lines = ["| paths | shown | measure | put in, median | told, median | worst | within the bar |", "|" + "---|" * 7]
    for paths, shown in dict.fromkeys((row.paths, row.shown) for row in rows):
        some = [row for row in rows if (row.paths, row.shown) == (paths, shown)]
        for measure in measures:
            pairs = [(row.told[measure.name], row.put_in[measure.name]) for row in some if _has(row, measure.name)]
            if not pairs:
                continue
            told, put_in = np.array(pairs, np.float64).T
            good = sum(_good(row, measure.name, kind) is True for row in some)
            judged = sum(_good(row, measure.name, kind) is not None for row in some)
            worst = told.max() if shown == "true" else max(told / put_in, key=lambda ratio: abs(ratio - 1))
            lines.append(
                f"| {paths} | {shown} | {measure.title} | {np.median(put_in):.4f} | {np.median(told):.4f} | "
                f"{worst:.4f}{'' if shown == 'true' else ' ×'} | {f'{good} of {len(some)}' if judged else '–'} |"
            )
        seconds = np.median([row.seconds for row in some])
        lines.append(f"| {paths} | {shown} | seconds | – | {seconds:.0f} | {max(r.seconds for r in some):.0f} | – |")
    missed = [text for row in rows if (text := _missed(row, [m.name for m in measures], kind))]
    return "\n".join([*lines, "", f"{len(missed)} of {len(rows)} rows miss the bar somewhere:", *missed])


def _has(row: Row, measure: str) -> bool:
    return row.told.get(measure) is not None and row.put_in.get(measure) is not None


def _good(row: Row, measure: str, kind: CaseKind) -> bool | None:
    """Whether a value is within the bar; None where there is no bar."""
    told, put_in = row.told.get(measure), row.put_in.get(measure)
    if row.shown == "true":
        bar = BARS[kind].get(measure)
        return None if bar is None else told is not None and told <= bar
    return told is not None and put_in is not None and abs(told / put_in - 1) <= TENTH


def _missed(row: Row, measures: Sequence[str], kind: CaseKind) -> str:
    wrong = [row.problem] if row.problem else []
    if row.found < row.frames:
        wrong.append(f"{row.found} of {row.frames} frames found")
    for name in measures:
        if _has(row, name) and _good(row, name, kind) is False:
            told = f"{name} {row.told[name]:.4f}"
            wrong.append(told if row.shown == "true" else f"{told} for {row.put_in[name]:.4f}")
    size = f", {row.pixels} pixels wide" if row.pixels else ""
    return f"- {row.case} {row.paths} {row.shown} {row.what}{size}: {'; '.join(wrong)}" if wrong else ""


def _measure(bench: Bench, case: CaseRecord, paths: Paths, wanted: Sequence[Shown], out: Path) -> None:
    """Make the rows of a case that are not there yet."""
    known = [Row(**row) for row in read_lines(out)]
    keys = {row.key for row in known}
    missing = [each for each in wanted if bench.key(case, paths, each) not in keys]
    if not missing:
        return
    rows = camera_rows(bench, case, paths, missing) if bench.kind == "camera" else object_rows(bench, case, missing)
    for row in rows:
        place = (row.case, row.paths, row.shown, row.what)
        known = [each for each in known if (each.case, each.paths, each.shown, each.what) != place] + [row]
        write_lines(out, map(asdict, known))
        values = ", ".join(f"{name} {value:.4f}" for name, value in row.told.items() if value is not None)
        put_in = ", ".join(f"{value:.4f}" for value in row.put_in.values() if value is not None)
        print(
            f"{' '.join(place)} {row.found}/{row.frames} {row.seconds} s: {values} for {put_in} {row.problem}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("camera", "objects"))
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="number of the first case that is measured")
    parser.add_argument("--frames", type=int, default=21)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--paths", nargs="+", choices=("drawn", "zoomed", "turning"), default=["drawn"])
    parser.add_argument("--strayed-films", type=int, default=0)
    parser.add_argument("--mapper", choices=("global", "incremental"), default="global")
    parser.add_argument("--features", type=int, default=2048)
    given = parser.parse_args()
    width, height = parse_size(given.size)
    paths = 2 if given.kind == "camera" else 1  # for each room, as r2s2r benchmark make
    options = CaseOptions(
        kind=given.kind, count=given.cases, frames=given.frames, width=width, height=height, paths=paths
    )
    make_cases(given.out / "cases", options, progress=Progress.on_stderr())
    bench = Bench(
        kind=given.kind,
        cases=open_cases(given.out / "cases"),
        films=given.out / "films",
        recovery=RecoveryOptions(mapper=given.mapper, features=given.features, seconds=1800),
    )
    wanted: set[str] = set()
    for path in given.paths if given.kind == "camera" else ("drawn",):
        for number, case in enumerate(bench.cases.cases[: given.cases], start=1):
            shown: list[Shown] = ["true", "command"] if given.kind == "camera" else ["true", "film"]
            if given.kind == "camera" and number <= given.strayed_films:
                shown.append("film")
            if number >= given.first:
                _measure(bench, case, path, shown, given.out / "rows.jsonl")
            wanted |= {bench.key(case, path, each) for each in shown}
    print(
        report(
            [row for row in (Row(**r) for r in read_lines(given.out / "rows.jsonl")) if row.key in wanted], given.kind
        )
    )


if __name__ == "__main__":
    main()
