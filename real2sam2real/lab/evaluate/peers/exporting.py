"""Write a set of cases in a peer's format, with a script that makes its videos and the record that finds them again.

FOLDER/inputs/          what the peer reads
FOLDER/run.sh           makes all videos, from within a checkout of the peer's repository
FOLDER/videos/          where that leaves them
FOLDER/export.json      which frame of a video shows which of the case; written last
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from real2sam2real import media
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file, replacing_folder
from real2sam2real.lab.evaluate.case_set import CaseRecord, CaseSet
from real2sam2real.lab.evaluate.peers.diffusion_as_shader import DiffusionAsShader
from real2sam2real.lab.evaluate.peers.gen3c import Gen3C
from real2sam2real.lab.evaluate.peers.interface import CannotTellError, PeerCase, PeerFormat
from real2sam2real.lab.evaluate.peers.official import Official
from real2sam2real.lab.evaluate.peers.realestate10k import RealEstate10K
from real2sam2real.lab.evaluate.peers.record import (
    EXPORT,
    INPUTS,
    VIDEOS,
    ExportedCase,
    ExportRecord,
    SkippedCase,
    in_window,
    pixels_of,
    write_export,
)
from real2sam2real.lab.evaluate.peers.surroundings import with_surroundings
from real2sam2real.lab.evaluate.peers.viewcrafter import ViewCrafter
from real2sam2real.run.progress import Progress
from real2sam2real.scene import Scene
from real2sam2real.scene.retime import sampled_scene
from real2sam2real.workfolder.lock import locked, require_own_place

RUN = "run.sh"
_NAMED = 8  # cases that are named in a note
PEERS: tuple[type[PeerFormat], ...] = (Official, DiffusionAsShader, Gen3C, ViewCrafter, RealEstate10K)
FORMATS = {each.name: each for each in PEERS}


def peer_format(
    name: str, *, frames: int | None = None, size: tuple[int, int] | None = None, nearest: bool = False
) -> PeerFormat:
    """The format of that name.

    Args:
        name: one of `FORMATS`.
        frames: length of the peer's videos, for formats that leave it open.
        size: width and height of the photo, likewise.
        nearest: also write cases that the format can only say roughly, for formats of which there are some.

    Raises:
        UserError: the format has a length or a size of its own, or says all or nothing.
    """
    if frames is not None and frames < 2:
        raise UserError(f"--frames {frames} is too short for a path; give 2 or more")
    given = {"--frames": frames is not None, "--size": size is not None, "--nearest": nearest}
    taken = {RealEstate10K.name: ("--frames", "--size"), ViewCrafter.name: ("--nearest",)}.get(name, ())
    for option in (option for option, is_given in given.items() if is_given and option not in taken):
        why = "says a path exactly or not at all" if option == "--nearest" else "has a length and a size of its own"
        raise UserError(f"{name} {why}; leave {option} out")
    if name == RealEstate10K.name:
        return RealEstate10K(frames, size)
    return ViewCrafter(nearest=nearest) if name == ViewCrafter.name else FORMATS[name]()


def export_cases(cases: CaseSet, peer: PeerFormat, out: Path, *, progress: Progress | None = None) -> ExportRecord:
    """Write cases for a peer; an earlier export's inputs are replaced, its videos stay.

    Args:
        cases: to write.
        peer: in whose format.
        out: folder of the export.
        progress: where it says what it does, and which cases are left out.

    Raises:
        UserError: the folder holds other things, the peer cannot be told of any case, or a case's files are damaged.
    """
    progress = progress or Progress()
    if peer.camera_only and cases.kind == "objects":
        told = ", ".join(name for name, each in FORMATS.items() if not each.camera_only)
        raise UserError(
            f"{peer.name} is told how the camera moves, and the cases of {cases.folder} move objects before one that "
            f"rests; formats for objects: {told}"
        )
    require_own_place(out, "export", known=(out / EXPORT).exists() or (out / INPUTS).exists())
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        (out / EXPORT).unlink(missing_ok=True)  # it would speak of other inputs
        with replacing_folder(out / INPUTS) as inputs:
            record, lines = _write_inputs(cases, peer, inputs, progress)
        _write_script(out / RUN, peer, lines)
        write_export(out, record)
    progress.notes(list(_notes(record)))
    return record


def _write_inputs(cases: CaseSet, peer: PeerFormat, inputs: Path, progress: Progress) -> tuple[ExportRecord, list[str]]:
    """Write all cases; what was written, and the lines of the script that makes their videos."""
    written: list[ExportedCase] = []
    skipped: list[SkippedCase] = []
    lines = [peer.run()] if peer.run() else []
    with progress.bar("export") as advance:
        for number, case in enumerate(cases.cases, start=1):
            told, video = _peer_case(cases, case, peer), peer.video(case)
            try:
                note = peer.write(told, inputs)
            except CannotTellError as error:
                skipped.append(SkippedCase(name=case.name, reason=str(error)))
            else:
                written.append(ExportedCase(name=case.name, shot=case.shot, video=video, clip=told.clip, note=note))
                if line := peer.command(told):
                    lines.append(f'[ -f "$here/{VIDEOS}/{video}" ] || {line}')
            advance(number, len(cases.cases))
    if not written:
        raise UserError(f"{peer.name} can be told of no case: {skipped[0].name}: {skipped[0].reason}")
    return ExportRecord(peer=peer.name, cases=tuple(written), skipped=tuple(skipped)), lines


def _peer_case(cases: CaseSet, case: CaseRecord, peer: PeerFormat) -> PeerCase:
    scene, clip = cases.scene(case.name), peer.clip(case)
    if scene.photo is None:
        raise UserError(f"{cases.folder / case.name} has no photo; make the set again with r2s2r benchmark make")
    width, height = peer.size(case)
    at_times = sampled_scene(scene, np.array(clip.times))
    left, top, right, bottom = pixels_of(clip.window, scene.photo.shape[1], scene.photo.shape[0])

    def seen(shown: Scene) -> Scene:
        camera = in_window(shown, clip.window).camera
        return replace(shown, camera=camera.resized(width, height))

    return PeerCase(
        name=case.name,
        clip=clip,
        directed=seen(at_times),
        photo=media.resized(scene.photo[top:bottom, left:right], width, height),
        prompt=scene.prompt,
        whole=lambda: seen(with_surroundings(cases, case, at_times)),
    )


def _write_script(path: Path, peer: PeerFormat, lines: list[str]) -> None:
    """The script that makes the videos; none where the format is that of many methods."""
    if not lines:
        path.unlink(missing_ok=True)
        return
    head = [
        "#!/bin/sh",
        f"# Run this within a checkout of {peer.repository}: it makes what is missing in {VIDEOS}/.",
        "set -e",
        'here=$(cd "$(dirname "$0")" && pwd)',
        f'mkdir -p "$here/{VIDEOS}"',
    ]
    with replacing_file(path) as file:
        file.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


def _notes(record: ExportRecord) -> Iterator[str]:
    """What a person should know of an export."""
    total = len(record.cases) + len(record.skipped)
    if record.skipped:
        named = "; ".join(f"{case.name}: {case.reason}" for case in record.skipped[:_NAMED])
        more = f"; and {len(record.skipped) - _NAMED} more, in {EXPORT}" if len(record.skipped) > _NAMED else ""
        yield f"{len(record.skipped)} of {total} cases left out, of which {record.peer} cannot be told: {named}{more}"
    yield from (f"{case.name}: {case.note}" for case in record.cases if case.note)
