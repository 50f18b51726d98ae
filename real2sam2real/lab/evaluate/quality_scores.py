"""Measure how videos look, whatever they were asked to show: `r2s2r evaluate quality`."""

from __future__ import annotations

from dataclasses import dataclass

from real2sam2real.lab.evaluate.measuring import MeasuredRow, Measurer, VideoJob
from real2sam2real.lab.evaluate.stand_ins import STAND_INS, measure_stand_ins

QUALITY_MEASURES = STAND_INS


@dataclass(frozen=True, kw_only=True)
class QualityRow(MeasuredRow):
    """One video. Nothing stands for one that is missing: a photo that stands still would look flawless."""

    frames: int


class QualityMeasurer(Measurer[QualityRow]):
    """Looks at each video."""

    row_type = QualityRow
    code = (
        "lab/evaluate/quality_scores.py",
        "lab/evaluate/stand_ins.py",
        "perceive/segment/nanodet.py",
        "perceive/segment/saliency.py",
    )

    def measure(self, job: VideoJob) -> QualityRow:
        """See `Measurer`."""
        frames = job.frames()
        return QualityRow(
            method=job.method,
            case=job.case,
            status="measured",
            problem="",
            measures=measure_stand_ins(frames),
            standing={},
            frames=len(frames),
        )

    def unmeasured(self, job: VideoJob, problem: str) -> QualityRow:
        """See `Measurer`."""
        return QualityRow(
            method=job.method, case=job.case, status="failed", problem=problem, measures={}, standing={}, frames=0
        )
