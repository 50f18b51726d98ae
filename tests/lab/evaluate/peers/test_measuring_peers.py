"""A peer's video of another length and shape, measured: the truth in its frames has no error, whatever lies between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.lab.evaluate.camera_recovery import RecoveryOptions
from real2sam2real.lab.evaluate.camera_scores import CameraMeasurer
from real2sam2real.lab.evaluate.case_set import FILM, CaseSet
from real2sam2real.lab.evaluate.measuring import jobs_of, measure_all
from real2sam2real.lab.evaluate.peers.exporting import export_cases
from real2sam2real.lab.evaluate.peers.realestate10k import RealEstate10K
from real2sam2real.lab.evaluate.peers.record import VIDEOS

pytest.importorskip("pycolmap", reason="structure from motion needs pycolmap: pip install '.[sfm]'")


def test_the_truth_in_a_longer_and_narrower_video_has_no_error(camera_cases: CaseSet, tmp_path: Path) -> None:
    """Every second frame of 17 shows one of the case's 9, the middle 3:2 of its picture; the others are noise."""
    export_cases(camera_cases, RealEstate10K(frames=17, size=(360, 240)), tmp_path / "out")
    film = media.read_video(camera_cases.folder / "camera-0001" / FILM)[:, :, 25:295]
    noise = np.random.default_rng(0).integers(0, 255, film.shape[1:], dtype=np.uint8)
    frames = [film[k // 2] if k % 2 == 0 else noise for k in range(17)]
    wide = [media.resized(frame, 360, 240) for frame in frames]
    media.write_video(tmp_path / "out" / VIDEOS / "camera-0001.mp4", wide, 8, crf=8)
    jobs = jobs_of(camera_cases, "peer", tmp_path / "out")
    measured, absent = measure_all(
        CameraMeasurer(camera_cases, RecoveryOptions(features=800, reach=4)), jobs, tmp_path / "scores"
    )
    assert measured.status == "measured"
    assert measured.measures["ate_share"] is not None
    assert measured.measures["ate_share"] < 0.02
    assert measured.measures["rpe_rotation"] is not None
    assert measured.measures["rpe_rotation"] < 0.3
    assert len(measured.path) == len(measured.commanded) == 9
    assert absent.status == "failed"
    assert absent.standing["ate_share"]
