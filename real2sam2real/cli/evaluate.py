"""Measure checkpoints and estimators: `r2s2r evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from real2sam2real.errors import UserError, require
from real2sam2real.options import Texts
from real2sam2real.run.options import BatchOptions
from real2sam2real.run.progress import TimeLeft

if TYPE_CHECKING:
    from real2sam2real.arrays import Float32, UInt8
    from real2sam2real.diffusion.checkpoints import CheckpointSettings
    from real2sam2real.lab.evaluate.case_set import CaseKind, CaseSet
    from real2sam2real.lab.evaluate.measuring import Measurer, RowT, VideoJob
    from real2sam2real.lab.evaluate.score_report import Scores
    from real2sam2real.lab.evaluate.score_table import Measure, Table
    from real2sam2real.lab.synth import SynthClip


@dataclass(frozen=True, kw_only=True)
class EvaluateHeldOut:
    """Compare a checkpoint's videos with the truth on procedural scenes that training never sees.

    Writes scores.md (PSNR where the video truly changes and where it stays, LPIPS) and sheet.png (the first scenes).
    """

    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where the table and the contact sheet are written."""
    checkpoint: Annotated[str, arg(metavar="NAME|FOLDER")] = "mini"
    """The shipped checkpoint or a checkpoint folder."""
    scenes: Annotated[int, arg(metavar="N")] = 32
    """How many held-out scenes."""
    frames: Annotated[int, arg(metavar="T")] = 33
    """Length of the clips, 4k + 1."""
    size: Annotated[str | None, arg(metavar="WxH", help_behavior_hint="(default: the checkpoint's own)")] = None
    """Size of the clips, which are 16:9."""
    strengths: Annotated[tuple[float, ...], arg(metavar="S")] = (0.15, 0.3, 0.6)
    """Noise levels at which the preview is tried as a start."""
    lifted: bool = False
    """Make normals and preview from lifted meshes in place of the true ones, on scenes in which one moves."""
    lpips: bool = False
    """Measure LPIPS too, for which its package and AlexNet's weights are needed."""
    workers: Annotated[int, arg(metavar="N")] = 1
    """Processes that make the scenes."""
    pictured: Annotated[int, arg(metavar="N")] = 4
    """How many scenes the contact sheet shows."""

    def execute(self) -> None:
        """Evaluate and print the table."""
        from tqdm import tqdm

        from real2sam2real.diffusion.loading import load_model, locate
        from real2sam2real.diffusion.options import ModelOptions
        from real2sam2real.lab.evaluate.held_out import SceneResult, contact_sheet, evaluate, table
        from real2sam2real.lab.evaluate.perceptual import load_lpips

        lpips = load_lpips() if self.lpips else None
        model = load_model(locate(ModelOptions(checkpoint=self.checkpoint)))
        kept: list[SceneResult] = []
        with tqdm(total=self.scenes, desc="held-out scenes", unit="scene") as bar:

            def on_scene(result: SceneResult) -> None:
                bar.update()
                if len(kept) < self.pictured:
                    kept.append(result)

            scores = evaluate(
                model.pipeline,
                _at_size(model.settings, self.size),
                scenes=self.scenes,
                frames=self.frames,
                strengths=self.strengths,
                lifted=self.lifted,
                lpips=None if lpips is None else lpips.to(model.pipeline.device),
                workers=self.workers,
                on_scene=on_scene,
            )
        ways = [way for way in kept[0].videos if way != "photo repeated"]
        _report(self.out, table(scores), contact_sheet(kept, ways))


@dataclass(frozen=True, kw_only=True)
class EvaluateNormals:
    """Measure an estimator of normals on procedural scenes that training never sees.

    Prints angles to the truth and flicker, both in degrees, and writes them with a picture of the first scenes.
    """

    estimator: Annotated[Positional[str], arg(metavar="NAME|FOLDER")] = "mini"
    """As in r2s2r curate --normals, or a folder that r2s2r train normals wrote."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where scores.md and sheet.png are written."""
    scenes: Annotated[int, arg(metavar="N")] = 32
    """How many held-out scenes."""
    frames: Annotated[int, arg(metavar="T")] = 33
    """Length of the clips, 4k + 1."""
    pictured: Annotated[int, arg(metavar="N")] = 6
    """How many scenes the picture shows."""

    def execute(self) -> None:
        """Evaluate and print the table."""
        import numpy as np

        from real2sam2real.control.normal_convention import NormalConvention
        from real2sam2real.lab.curate.normals.estimator import NormalEstimator, load_estimator
        from real2sam2real.lab.curate.normals.mini import MiniEstimator
        from real2sam2real.lab.evaluate.normals import evaluate_normals

        folder = Path(self.estimator)
        estimator: NormalEstimator = MiniEstimator(folder) if folder.is_dir() else load_estimator(self.estimator)
        rows: list[UInt8] = []
        convention = NormalConvention()

        def on_scene(clip: SynthClip, estimate: Float32) -> None:
            if len(rows) < self.pictured:
                at = len(clip.ids) // 2
                encoded = [convention.encode(normals[at], clip.ids[at]) for normals in (estimate, clip.normals)]
                rows.append(np.concatenate([clip.video[at], *encoded], axis=1))

        score = evaluate_normals(estimator, scenes=self.scenes, frames=self.frames, on_scene=on_scene)
        _report(self.out, score.table(), np.concatenate(rows))


@dataclass(frozen=True, kw_only=True)
class EvaluateAblation:
    """Compare checkpoints on held-out procedural scenes whose control is rendered from lifted meshes.

    Writes cases.jsonl (every case and variant; a later call goes on behind it), scores.md (means with 95 % intervals,
    and the first variant against each other one, case by case) and sheet.png.
    """

    variants: Annotated[Positional[tuple[str, ...]], arg(metavar="NAME=CHECKPOINT")]
    """Checkpoints, such as what r2s2r train adapter wrote, by the name they get in the table."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where the results are written."""
    cases: Annotated[int, arg(metavar="N")] = 64
    """How many cases."""
    frames: Annotated[int, arg(metavar="T")] = 33
    """Length of the clips, 4k + 1."""
    size: Annotated[str | None, arg(metavar="WxH", help_behavior_hint="(default: the checkpoint's own)")] = None
    """Size of the clips, which are 16:9."""
    from_preview: bool = False
    """Start from the preview in place of noise."""
    lpips: bool = True
    """Measure LPIPS too, for which its package and AlexNet's weights are needed."""
    pictured: Annotated[int, arg(metavar="N")] = 4
    """How many cases the picture shows."""

    def execute(self) -> None:
        """Evaluate and print the tables."""
        import numpy as np
        from tqdm import tqdm

        from real2sam2real.diffusion.loading import load_model, locate
        from real2sam2real.diffusion.options import ModelOptions
        from real2sam2real.lab.curate.instances.loading import load_tracker
        from real2sam2real.lab.evaluate.ablation import differences, evaluate_variants, table
        from real2sam2real.lab.evaluate.perceptual import load_lpips
        from real2sam2real.lab.synth.lifted import LiftedCase

        named = dict(text.split("=", 1) for text in self.variants if "=" in text)
        if len(named) != len(self.variants) or not named:
            raise UserError(f"variants are given as NAME=CHECKPOINT, each name once, not {' '.join(self.variants)}")
        lpips = load_lpips() if self.lpips else None
        variants = {}
        for name, checkpoint in named.items():
            located = locate(ModelOptions(checkpoint=checkpoint))
            variants[name] = (load_model(located).pipeline, _at_size(located.settings, self.size))
        strips: list[UInt8] = []
        with tqdm(total=self.cases, desc="cases", unit="case") as bar:

            def on_case(case: LiftedCase, videos: dict[str, UInt8]) -> None:
                bar.update()
                if len(strips) < self.pictured:
                    encoded = located.settings.normal_convention.encode(case.normals, case.ids)
                    moments = [0, len(encoded) // 2, len(encoded) - 1]
                    rows = [encoded, case.clip.video, *videos.values()]
                    strips.append(np.concatenate([np.concatenate(list(row[moments]), axis=1) for row in rows]))

            scores = evaluate_variants(
                variants,
                load_tracker("embedded"),
                lpips,
                self.out,
                cases=self.cases,
                frames=self.frames,
                from_preview=self.from_preview,
                on_case=on_case,
            )
        text = table(scores) + "\n" + differences(scores, next(iter(named)))
        _report(self.out, text, np.concatenate(strips, axis=1) if strips else None)


@dataclass(frozen=True, kw_only=True)
class MeasuredVideos:
    """Which videos are measured, and where the scores go."""

    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where rows, table and page are written."""
    videos: Annotated[Texts, arg(metavar="[NAME=]FOLDER")] = ()
    """Videos of a method, CASE.mp4 or CASE/….mp4 each, at any depth; by the name that the method gets in the table."""
    baseline: Annotated[Texts, arg(metavar="{photo,preview,film}")] = ()
    """Measure these too: the photo repeated, our preview, the true film (of rooms)."""
    batch: BatchOptions = field(default_factory=BatchOptions)
    """Many videos at once."""

    def _jobs(self, cases: CaseSet) -> list[VideoJob]:
        """The videos of cases."""
        from real2sam2real.lab.evaluate.measuring import baselines, jobs_of

        jobs = [job for name, folder in _methods(self.videos).items() for job in jobs_of(cases, name, folder)]
        jobs += [job for name in dict.fromkeys(self.baseline) for job in baselines(cases, name)]
        if not jobs:
            raise UserError("there is nothing to measure; give --videos FOLDER or --baseline preview")
        return jobs

    def _measure(
        self,
        title: str,
        kind: str,
        measurer: Measurer[RowT],
        jobs: Sequence[VideoJob],
        measures: Sequence[Measure],
    ) -> None:
        """Measure, write rows, tables and page, and print the tables."""
        from real2sam2real.lab.evaluate.measuring import measure_all
        from real2sam2real.lab.evaluate.score_report import Scores, report
        from real2sam2real.run.progress import Progress

        progress, clock, done = Progress.on_stderr(), TimeLeft(), 0

        def on_row(row: RowT) -> None:
            nonlocal done
            done += 1
            left = f", about {clock.seconds(done, len(jobs)):.0f} s left" if 1 < done < len(jobs) else ""
            known = [(m, v) for m in measures if (v := row.measures.get(m.name)) is not None][:1]
            said = row.problem or "".join(f"{m.title} {v:.{m.digits}f}" for m, v in known)
            progress.info(f"{done} of {len(jobs)}  {row.method}  {row.case}  {said}{left}")

        rows = measure_all(measurer, jobs, self.out, batch=self.batch, on_row=on_row)
        scores = Scores(kind=kind, rows=rows, measures=measures)
        _write_scores(self.out, title, [(report([scores]), [scores])])


@dataclass(frozen=True, kw_only=True)
class VideosOfCases(MeasuredVideos):
    """Which videos of which cases are measured."""

    cases: Annotated[Positional[Path], arg(metavar="CASES")]
    """A set of cases."""

    def _open(self, kind: CaseKind) -> tuple[CaseSet, list[VideoJob]]:
        """The cases, which must be of a kind, and the videos."""
        from real2sam2real.lab.evaluate.case_set import open_cases, require_kind

        cases = open_cases(self.cases)
        require_kind(cases, kind)
        return cases, self._jobs(cases)


@dataclass(frozen=True, kw_only=True)
class EvaluateCamera(VideosOfCases):
    """Measure how videos follow the commanded camera, on cases of r2s2r benchmark make camera.

    Camera paths are recovered from the videos by structure from motion (pip install 'real2sam2real[sfm]'). Writes
    rows.jsonl (every video; a later call goes on behind it), scores.md and index.html (worst cases first).
    """

    mapper: Literal["global", "incremental"] = "global"
    """COLMAP's global mapper, which was GLOMAP, or its incremental one."""
    features: Annotated[int, arg(metavar="N")] = 2048
    """Features of a frame, at most."""
    seconds: Annotated[float, arg(metavar="S")] = 300.0
    """A video that takes longer counts as not recovered."""

    def execute(self) -> None:
        """Measure, and print the tables."""
        from real2sam2real.lab.evaluate.camera_recovery import NEEDS, RecoveryOptions
        from real2sam2real.lab.evaluate.camera_scores import CAMERA_MEASURES, CameraMeasurer

        require("pycolmap", NEEDS)
        cases, jobs = self._open("camera")
        options = RecoveryOptions(mapper=self.mapper, features=self.features, seconds=self.seconds)
        self._measure("Camera control", "camera", CameraMeasurer(cases, options), jobs, CAMERA_MEASURES)


@dataclass(frozen=True, kw_only=True)
class EvaluateObjects(VideosOfCases):
    """Measure how videos follow the commanded poses of objects, on cases of r2s2r benchmark make objects.

    Poses are recovered from the videos with the cases' own meshes. Writes rows.jsonl (every video; a later call goes
    on behind it), scores.md and index.html (worst cases first).
    """

    def execute(self) -> None:
        """Measure, and print the tables."""
        from real2sam2real.lab.evaluate.object_scores import OBJECT_MEASURES, ObjectMeasurer

        cases, jobs = self._open("objects")
        self._measure("Control of objects", "objects", ObjectMeasurer(cases), jobs, OBJECT_MEASURES)


@dataclass(frozen=True, kw_only=True)
class EvaluateQuality(MeasuredVideos):
    """Measure how videos look, on cases of either kind, or all MP4 files in folders where no cases are given.

    Measures stand-ins that need no download, and VBench's five where its environment is named (docs/evaluation.md).
    Writes rows.jsonl (every video; a later call goes on behind it), scores.md and index.html (worst videos first).
    """

    cases: Annotated[Positional[Path | None], arg(metavar="[CASES]", help_behavior_hint="")] = None
    """A set of cases; without one, videos of the same name show the same thing."""
    vbench_python: Annotated[str | None, arg(metavar="PATH", help_behavior_hint="(default: without VBench)")] = None
    """Measure with VBench, too: the Python of its own environment."""
    vbench_device: Annotated[str, arg(metavar="DEVICE")] = "auto"
    """Where VBench computes: auto, cuda, cuda:1 … or cpu."""
    vbench_cache: Annotated[str | None, arg(metavar="FOLDER", help_behavior_hint="(default: its usual places)")] = None
    """Where all of VBench's weights lie."""
    vbench_timeout: Annotated[float, arg(metavar="SECONDS")] = 3600.0
    """Stop VBench when one of its measures of 16 videos takes longer."""

    def execute(self) -> None:
        """Measure, and print the tables."""
        from real2sam2real.lab.evaluate.case_set import open_cases
        from real2sam2real.lab.evaluate.measuring import jobs_without_cases
        from real2sam2real.lab.evaluate.quality_scores import QUALITY_MEASURES, QualityMeasurer

        if self.cases is not None:
            jobs = self._jobs(open_cases(self.cases))
        elif self.baseline:
            raise UserError(f"--baseline {self.baseline[0]} is made of cases; name a set of cases before the options")
        elif not self.videos:
            raise UserError("there is nothing to measure; give --videos FOLDER")
        else:
            jobs = jobs_without_cases(_methods(self.videos))
        if self.vbench_python is not None:
            self._run_vbench(self.vbench_python, jobs)
        self._measure("Quality", "quality", QualityMeasurer(self.out), jobs, QUALITY_MEASURES)

    def _run_vbench(self, python: str, jobs: Sequence[VideoJob]) -> None:
        from real2sam2real.lab.evaluate.quality_scores import VBENCH
        from real2sam2real.lab.evaluate.vbench import VBenchOptions, measure_by_vbench
        from real2sam2real.run.progress import Progress
        from real2sam2real.workfolder.lock import locked

        options = VBenchOptions(
            python=python, device=self.vbench_device, cache=self.vbench_cache, timeout=self.vbench_timeout
        )
        folder = self.out / VBENCH
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            measure_by_vbench(jobs, folder, options, Progress.on_stderr().info)


@dataclass(frozen=True, kw_only=True)
class EvaluateTable:
    """Put what r2s2r evaluate camera, objects and quality wrote into one table, a row a method.

    Writes scores.md, scores.tex, scores.csv (numbers for programs) and index.html (worst videos first).
    """

    scores: Annotated[Positional[tuple[Path, ...]], arg(metavar="SCORES")]
    """Folders that these commands wrote; those of the same cases come into one table, side by side."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where table and page are written."""
    against: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: the first)")] = None
    """The method with which the others are compared, case by case."""

    def execute(self) -> None:
        """Write and print the tables."""
        from real2sam2real.lab.evaluate.score_folders import joined_scores
        from real2sam2real.lab.evaluate.score_report import report

        groups = joined_scores(list(dict.fromkeys(self.scores)), self.out)
        if not groups:
            raise UserError("there is nothing to put into a table; name folders that r2s2r evaluate camera wrote")
        self.out.mkdir(parents=True, exist_ok=True)
        parts = [(report(group, against=self.against), group) for group in groups]
        _write_scores(self.out, "Scores", parts)
        _write_for_programs(self.out, parts)


def _write_scores(out: Path, title: str, parts: Sequence[tuple[list[Table], list[Scores]]]) -> None:
    """Write tables and page, and print the tables."""
    from real2sam2real.lab.evaluate.score_page import PAGE, write_page

    write_page(out / PAGE, title, parts)
    _report(out, "\n".join(table.markdown() for tables, _ in parts for table in tables), None)
    print(out / PAGE)


def _write_for_programs(out: Path, parts: Sequence[tuple[list[Table], list[Scores]]]) -> None:
    """Write the tables as LaTeX, and every mean as a line of a CSV file."""
    import csv

    from real2sam2real.files import replacing_file
    from real2sam2real.lab.evaluate.score_report import numbers

    with replacing_file(out / "scores.tex") as path:
        path.write_text("\n".join(table.latex() for tables, _ in parts for table in tables), encoding="utf-8")
    lines = [line for _, scores in parts for line in numbers(scores)]
    with replacing_file(out / "scores.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def _methods(videos: Sequence[str]) -> dict[str, Path]:
    """Folders of videos by the method's name, which is the folder's own where none is given."""
    named: dict[str, Path] = {}
    for text in videos:
        name, equals, folder = text.partition("=")
        path = Path(folder if equals else text)
        name = name if equals else path.name
        if name in named:
            raise UserError(f"--videos names '{name}' twice; write NAME=FOLDER with another name")
        named[name] = path
    return named


def _at_size(settings: CheckpointSettings, size: str | None) -> CheckpointSettings:
    """The settings with the area of a size, if one is given."""
    from real2sam2real.options import parse_size

    if size is None:
        return settings
    width, height = parse_size(size)
    return replace(settings, area=width * height)


def _report(out: Path, text: str, sheet: UInt8 | None) -> None:
    """Write scores.md and sheet.png, and print the scores."""
    from real2sam2real import media
    from real2sam2real.files import replacing_file

    with replacing_file(out / "scores.md") as path:
        path.write_text(text, encoding="utf-8")
    if sheet is not None:
        media.write_png(out / "sheet.png", sheet)
    print(text)


COMMANDS = {
    "camera": EvaluateCamera,
    "objects": EvaluateObjects,
    "quality": EvaluateQuality,
    "table": EvaluateTable,
    "held-out": EvaluateHeldOut,
    "normals": EvaluateNormals,
    "ablation": EvaluateAblation,
}
