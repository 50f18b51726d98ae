"""VBench (Huang et al., 2024), which pins old packages: it runs in an environment of its own, spoken to by files.

See docs/evaluation.md for what it needs. `vbench_worker` is what runs there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from real2sam2real import media
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.evaluate import vbench_worker
from real2sam2real.lab.evaluate.measuring import VideoJob
from real2sam2real.lab.evaluate.score_table import Measure
from real2sam2real.lab.evaluate.vbench_worker.protocol import PROTOCOL, REQUEST, RESULTS
from real2sam2real.workers.sending import LIFELINE, event_of, find_python, surroundings, variables, write_worker
from real2sam2real.workers.streaming import HungError, stream
from real2sam2real.workers.there.serving import FAILED
from real2sam2real.workfolder.fingerprint import digest
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.records import read_record, write_json

PAGE = "https://github.com/Vchitect/VBench"
_SCALES = {
    "subject_consistency": 100.0,
    "background_consistency": 100.0,
    "motion_smoothness": 100.0,
    "aesthetic_quality": 100.0,
    "imaging_quality": 1.0,  # of a video, it is in percent already
}
_TITLES = {
    "subject_consistency": "VBench subject",
    "background_consistency": "VBench background",
    "motion_smoothness": "VBench smoothness",
    "aesthetic_quality": "VBench aesthetic",
    "imaging_quality": "VBench imaging",
}
VBENCH_MEASURES = tuple(
    Measure(name=f"vbench_{name}", title=f"{title}, %", digits=2, lower_is_better=False)
    for name, title in _TITLES.items()
)

_GROUP = 16  # videos for which a network is loaded once; what is killed within a group is measured again
_FPS = 16.0  # of files that are made for VBench, which reads no time
SET_UP = (
    "Make an environment with Python 3.10 or newer and NumPy before 2, install torch and torchvision built for CUDA "
    f"12.1 or older, as {PAGE} tells, then: pip install vbench"
)
WEIGHTS = (
    "It needs about 1.8 GB: dino_vitbase16_pretrain.pth (343 MB, below $TORCH_HOME/hub/checkpoints) and its repository "
    "facebookresearch/dino, branch main (below $TORCH_HOME/hub), ViT-B-32.pt and ViT-L-14.pt of CLIP (354 and 932 MB, "
    "in ~/.cache/clip), and below $VBENCH_CACHE_DIR, else ~/.cache/vbench: amt_model/amt-s.pth, "
    "aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth and pyiqa_model/musiq_spaq_ckpt-358bb6af.pth (109 MB). With "
    "--vbench-cache FOLDER, CLIP's lie in FOLDER/clip_model, and DINO's repository is "
    "FOLDER/dino_model/facebookresearch_dino_main. VBench fetches what is missing by wget and git at the first use"
)


@dataclass(frozen=True, kw_only=True)
class VBenchOptions:
    """Where VBench runs.

    Raises:
        UserError: the timeout leaves no time.
    """

    python: str  # of its own environment; a folder that holds `bin/python` will do
    device: str = "auto"  # "auto", "cuda", "cuda:1" …, or "cpu"
    cache: str | None = None  # folder of all its weights, which it then calls local; its usual places where None
    timeout: float = 3600.0  # seconds after which a dimension of a group of videos counts as hung

    def __post_init__(self) -> None:
        if not self.timeout > 0:
            raise UserError(f"--vbench-timeout {self.timeout:g} leaves no time; a group of videos takes minutes")


@dataclass(frozen=True, kw_only=True)
class VBenchResult:
    """What VBench says of a video."""

    measures: dict[str, float | None]  # by the names of VBENCH_MEASURES
    problem: str = ""  # why there are no values


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A result file of the worker."""

    protocol: int
    values: dict[str, float]
    seconds: float
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class _Unmeasured:
    """An error file of the worker."""

    protocol: int
    kind: str
    message: str
    missing: str


def measure_by_vbench(
    jobs: Sequence[VideoJob], folder: Path, options: VBenchOptions, on_line: Callable[[str], None]
) -> None:
    """Have VBench measure the videos that it has not measured yet; what is measured stays, also when this is killed.

    Videos that cannot be read are left out; what VBench cannot measure is written down with its reason.

    Args:
        jobs: of any methods.
        folder: keeps request, program, results and log.
        options: where VBench runs.
        on_line: called with lines for people.

    Raises:
        MissingPartError: VBench, a package that it needs or its weights are missing; the message says how to get them.
        UserError: the run ended early; what was measured is kept, and the same call goes on.
    """
    python = find_python(options.python, "VBench", "--vbench-python")
    wanted = {}
    for job in jobs:
        name = video_digest(job)
        if name is None or (folder / RESULTS / f"{name}.json").is_file() or name in wanted:
            continue
        path = _as_mp4(job, folder / "videos" / f"{name}.mp4")
        if path is not None:
            wanted[name] = path
    if not wanted:
        return
    videos = [{"digest": name, "path": os.fspath(path.absolute())} for name, path in wanted.items()]
    about = {"protocol": PROTOCOL, "device": options.device, "local": options.cache is not None, "group": _GROUP}
    (folder / REQUEST).parent.mkdir(parents=True, exist_ok=True)
    write_json(folder / REQUEST, {**about, "videos": videos})
    write_worker(folder / "worker", vbench_worker)
    _run(python, folder, options, on_line)


def vbench_result(job: VideoJob, folder: Path) -> VBenchResult | None:
    """What VBench said of a job's video; None where it was not asked.

    Raises:
        UserError: its file is damaged.
    """
    name = video_digest(job)
    if name is None:
        return None
    remedy = "delete it, and measure again"
    done, failed = folder / RESULTS / f"{name}.json", folder / RESULTS / f"{name}.error.json"
    if done.is_file():
        found = read_record(done, partial(typed, _Measured), what="result of VBench", remedy=remedy)
        return VBenchResult(measures={f"vbench_{name}": v * _SCALES[name] for name, v in found.values.items()})
    if failed.is_file():
        error = read_record(failed, partial(typed, _Unmeasured), what="error of VBench", remedy=remedy)
        return VBenchResult(measures={}, problem=f"VBench: {error.message}")
    return None


def video_digest(job: VideoJob) -> str | None:
    """What names the result of a job's video: a hash of what it shows; None where there is none."""
    if job.video is None or not job.video.is_file():
        return None
    shown = digest(job.video) + (f" repeated {job.length}" if job.photo_repeated else "")
    return hashlib.sha256(shown.encode()).hexdigest()[:24]


def _as_mp4(job: VideoJob, made: Path) -> Path | None:
    """The job's video as VBench reads it, which knows MP4 files alone; None where it cannot be read."""
    try:
        frames = job.frames()
    except UserError:
        return None  # its row will say why
    if job.video is not None and job.video.suffix == ".mp4":
        return job.video
    if not made.is_file():
        made.parent.mkdir(parents=True, exist_ok=True)
        media.write_video(made, frames, _FPS, crf=8)
    return made


def _run(python: str, folder: Path, options: VBenchOptions, on_line: Callable[[str], None]) -> None:
    told: dict[str, Any] = {}
    last = ""

    def take(line: str) -> bool:
        nonlocal last
        event = event_of(line, "VBench")
        if event is None:
            last = line
            return False
        told.update(event if event["event"] == "failed" else {})
        if event["event"] == "group":
            on_line(f"VBench: videos {event['first']} to {event['last']} of {event['of']}")
        elif event["event"] == "dimension":
            on_line(f"VBench: {event['dimension'].replace('_', ' ')}")
        return True

    more = {**variables(), **({"VBENCH_CACHE_DIR": _whole(options.cache)} if options.cache else {})}
    log = folder / "worker.log"
    command = [python, os.fspath(folder.absolute() / "worker"), os.fspath(folder.absolute()), LIFELINE]
    try:
        status = stream(command, on_line=take, log=log, timeout=options.timeout, environment=surroundings(**more))
    except OSError as error:
        raise UserError(f"{python} cannot be started: {error}") from None
    except HungError:
        raise UserError(
            f"VBench was stopped: a dimension took more than {options.timeout:g} seconds. At the first use it fetches "
            f"weights. What is measured is kept, and the same command goes on; --vbench-timeout allows more. Log: {log}"
        ) from None
    if status == FAILED and told:
        raise _explained(python, told, log)
    if status:
        raise UserError(
            f"VBench ended with status {status}: {last or 'it said nothing'}. What is measured is kept, and the same "
            f"command goes on. Log: {log}"
        )


def _whole(folder: str) -> str:
    return os.fspath(Path(folder).expanduser().absolute())


def _explained(python: str, failure: dict[str, Any], log: Path) -> UserError:
    kind, message = failure["kind"], failure["message"]
    if kind == "import":
        lacking = f"the package '{failure['missing']}' is not installed there; " if failure["missing"] else ""
        return MissingPartError(f"VBench cannot be imported by {python}: {lacking}{message}. {SET_UP}. {WEIGHTS}")
    if kind in ("weights", "gated"):
        return MissingPartError(f"VBench cannot get its weights: {message}. {WEIGHTS}. Log: {log}")
    text = {
        "version": f"VBench in {python} is another version than 0.1.5, for which this was written: {message}",
        "device": f"VBench has no card to run on: {message}; --vbench-device cpu does without",
        "cuda": f"the graphics card failed: {message}. What is measured is kept, and the same command goes on",
        "disk": f"the disk is full: {message}. Make room; the same command goes on",
    }.get(kind, f"VBench could not be run: {message}")
    return UserError(f"{text}. Log: {log}")
