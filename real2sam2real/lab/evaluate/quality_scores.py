"""Measure how videos look, whatever they were asked to show: `r2s2r evaluate quality`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from real2sam2real.lab.evaluate.measuring import MeasuredRow, Measurer, VideoJob
from real2sam2real.lab.evaluate.stand_ins import STAND_INS, measure_stand_ins
from real2sam2real.lab.evaluate.vbench import VBENCH_MEASURES, VBenchResult, vbench_result

QUALITY_MEASURES = (*VBENCH_MEASURES, *STAND_INS)
VBENCH = "vbench"
"""Folder of VBench's results, in that of the rows."""


@dataclass(frozen=True, kw_only=True)
class QualityRow(MeasuredRow):
    """One video. Nothing stands for one that is missing: a photo that stands still would look flawless."""

    frames: int


class QualityMeasurer(Measurer[QualityRow]):
    """Looks at each video, and takes what VBench said of it."""

    row_type = QualityRow
    code = (
        "lab/evaluate/quality_scores.py",
        "lab/evaluate/stand_ins.py",
        "lab/evaluate/vbench.py",
        "perceive/segment/nanodet.py",
        "perceive/segment/saliency.py",
    )

    def __init__(self, out: Path) -> None:
        self.out = out

    @property
    def shared(self) -> tuple[Path, ...]:
        """See `Measurer`."""
        return (self.out,)

    def about(self, job: VideoJob) -> list[Any]:
        """See `Measurer`."""
        told = self._told(job)
        return [*super().about(job), asdict(told) if told else None]

    def measure(self, job: VideoJob) -> QualityRow:
        """See `Measurer`."""
        frames, told = job.frames(), self._told(job) or VBenchResult(measures={})
        return QualityRow(
            method=job.method,
            case=job.case,
            status="measured",
            problem=told.problem,
            measures={**told.measures, **measure_stand_ins(frames)},
            standing={},
            frames=len(frames),
        )

    def unmeasured(self, job: VideoJob, problem: str) -> QualityRow:
        """See `Measurer`."""
        return QualityRow(
            method=job.method, case=job.case, status="failed", problem=problem, measures={}, standing={}, frames=0
        )

    def _told(self, job: VideoJob) -> VBenchResult | None:
        return vbench_result(job, self.out / VBENCH)
