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


COMMANDS = {"make": MakeCases}
