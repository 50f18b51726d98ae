"""Sets of cases with true poses, to measure video models by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

_BY_KIND = {"camera": (200, 2), "objects": (100, 1)}  # cases and paths, as in the paper


@dataclass(frozen=True, kw_only=True)
class MakeCases:
    """Make cases: random camera paths, or random moves of objects, with every true pose.

    Each case is a control folder, from which r2s2r generate and the official script make a video; r2s2r evaluate then
    measures the videos. The same command goes on where it was interrupted.
    """

    kind: Annotated[Positional[Literal["camera", "objects"]], arg(metavar="camera|objects")]
    """Only the camera moves, or only objects do."""
    scenes: Annotated[Positional[tuple[Path, ...]], arg(metavar="SCENE")] = ()
    """Scene folders at rest, such as r2s2r lift writes. Without any, textured rooms are made; their film is known."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where the set is written."""
    cases: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 200 of camera, 100 of objects)")] = None
    """How many."""
    paths: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 2 of camera, 1 of objects)")] = None
    """Random directions for each room or scene."""
    frames: Annotated[int, arg(metavar="T")] = 25
    """Length of each case, 4k + 1."""
    size: Annotated[str, arg(metavar="WxH")] = "640x360"
    """Size of the control; cases of scenes keep their photo's aspect, at about this area."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Another seed draws other rooms and other directions."""
    objects: Annotated[int, arg(metavar="N")] = 2
    """Most objects that move in a case."""

    def execute(self) -> None:
        """Make them and print the folder."""
        from real2sam2real.lab.evaluate.case_making import CaseOptions, make_cases
        from real2sam2real.options import parse_size
        from real2sam2real.run.progress import Progress

        width, height = parse_size(self.size)
        cases, paths = _BY_KIND[self.kind]
        options = CaseOptions(
            kind=self.kind,
            count=cases if self.cases is None else self.cases,
            frames=self.frames,
            width=width,
            height=height,
            seed=self.seed,
            paths=paths if self.paths is None else self.paths,
            objects=self.objects,
        )
        progress = Progress.on_stderr()
        progress.notes(make_cases(self.out, options, scenes=self.scenes, progress=progress))
        progress.info(f"their videos: r2s2r generate {self.out} -o videos/")
        progress.info(f"measure them: r2s2r evaluate {self.kind} {self.out} --videos videos/ -o scores/")
        print(self.out)


@dataclass(frozen=True, kw_only=True)
class ExportCases:
    """Write cases as another method reads them, to measure its videos of them.

    Writes inputs/, run.sh (which makes the videos within a checkout of the method's repository) and export.json, by
    which r2s2r evaluate --videos NAME=FOLDER finds the videos and knows what each of their frames should show.
    docs/evaluation.md says what each format takes and what it cannot be told.
    """

    cases: Annotated[Positional[Path], arg(metavar="CASES")]
    """A set of cases."""
    format: Annotated[Literal["official", "das", "gen3c", "viewcrafter", "realestate10k"], arg(metavar="NAME")]
    """One of official, das (Diffusion as Shader), gen3c, viewcrafter, realestate10k."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where they are written; videos that lie there are kept."""
    frames: Annotated[int | None, arg(metavar="T", help_behavior_hint="(default: the format's, or the case's)")] = None
    """Length of the method's videos, where the format leaves it open (realestate10k)."""
    size: Annotated[str | None, arg(metavar="WxH", help_behavior_hint="(default: the format's, or the case's)")] = None
    """Size of the photo, likewise."""
    nearest: bool = False
    """Also write paths that the format can only say roughly (viewcrafter); how far each is off is told."""

    def execute(self) -> None:
        """Write them and print the folder."""
        from real2sam2real.lab.evaluate.case_set import open_cases
        from real2sam2real.lab.evaluate.peers.exporting import RUN, export_cases, peer_format
        from real2sam2real.options import parse_size
        from real2sam2real.run.progress import Progress

        size = None if self.size is None else parse_size(self.size)
        peer = peer_format(self.format, frames=self.frames, size=size, nearest=self.nearest)
        cases, progress = open_cases(self.cases), Progress.on_stderr()
        export_cases(cases, peer, self.out, progress=progress)
        if (self.out / RUN).is_file():
            progress.info(f"their videos, within {peer.repository}: sh {(self.out / RUN).absolute()}")
        progress.info(
            f"measure them: r2s2r evaluate {cases.kind} {self.cases} --videos {peer.name}={self.out} -o scores/"
        )
        print(self.out)


COMMANDS = {"make": MakeCases, "export": ExportCases}
