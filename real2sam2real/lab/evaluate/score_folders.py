"""Read what `r2s2r evaluate camera`, `objects` and `quality` wrote, to put it into one table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate.camera_scores import CAMERA_MEASURES, CameraRow
from real2sam2real.lab.evaluate.measuring import ROWS, MeasuredRow, read_rows
from real2sam2real.lab.evaluate.object_scores import OBJECT_MEASURES, ObjectRow
from real2sam2real.lab.evaluate.quality_scores import QUALITY_MEASURES, QualityRow
from real2sam2real.lab.evaluate.score_report import Scores
from real2sam2real.lab.evaluate.score_table import Measure

KINDS: dict[str, tuple[type[MeasuredRow], tuple[Measure, ...]]] = {
    "camera": (CameraRow, CAMERA_MEASURES),
    "objects": (ObjectRow, OBJECT_MEASURES),
    "quality": (QualityRow, QUALITY_MEASURES),
}
"""In the order of the table's columns."""


def read_scores(folder: Path, out: Path) -> Scores:
    """The rows in a folder; their videos are named from `out`.

    Raises:
        UserError: there are none, they are damaged, or those of another version.
    """
    if not (folder / ROWS).is_file():
        raise UserError(f"{folder} has no {ROWS}; name folders that r2s2r evaluate camera, objects or quality wrote")
    for kind, (row_type, measures) in KINDS.items():
        rows = read_rows(folder, row_type)
        if rows:
            return Scores(kind=kind, rows=[_moved(row, folder, out) for row in rows.values()], measures=measures)
    raise UserError(f"{folder}/{ROWS} holds no row of this version; the command that wrote it measures again")


def joined_scores(folders: Sequence[Path], out: Path) -> list[list[Scores]]:
    """The scores of folders, side by side where they are of the same cases; each list becomes a table.

    Raises:
        UserError: as `read_scores`; or two folders have the same video, or cases of one name that differ.
    """
    groups: list[tuple[set[str], dict[str, list[MeasuredRow]]]] = []
    for folder in folders:
        scores = read_scores(folder, out)
        cases = {row.case for row in scores.rows}
        touching = [group for group in groups if group[0] & cases]
        merged: tuple[set[str], dict[str, list[MeasuredRow]]] = (cases, {scores.kind: list(scores.rows)})
        for group in touching:  # a later folder may join what earlier ones left apart
            groups.remove(group)
            merged = (group[0] | merged[0], _joined(group[1], merged[1], folder))
        groups.append(merged)
    return [
        [Scores(kind=kind, rows=rows[kind], measures=KINDS[kind][1]) for kind in KINDS if kind in rows]
        for _, rows in groups
    ]


def _joined(
    first: dict[str, list[MeasuredRow]], second: dict[str, list[MeasuredRow]], folder: Path
) -> dict[str, list[MeasuredRow]]:
    found = {kind: [*first.get(kind, []), *second.get(kind, [])] for kind in {**first, **second}}
    for kind, rows in found.items():
        seen: dict[tuple[str, str], MeasuredRow] = {}
        standing: dict[str, MeasuredRow] = {}
        for row in rows:
            if (row.method, row.case) in seen:
                raise UserError(
                    f"two folders measure {kind} of {row.method}'s {row.case}, {folder} is one of them; leave one out, "
                    "or measure one again with another name: --videos NAME=FOLDER"
                )
            seen[row.method, row.case] = row
            other = standing.setdefault(row.case, row)
            if other.standing != row.standing:
                raise UserError(
                    f"{row.case} of {row.method} is another case than {other.case} of {other.method}: the folders are "
                    "of different sets of cases; make a table of each set"
                )
    return found


def _moved(row: MeasuredRow, folder: Path, out: Path) -> MeasuredRow:
    if row.video is None:
        return row
    return replace(row, video=Path(os.path.relpath(folder / row.video, out)).as_posix())
