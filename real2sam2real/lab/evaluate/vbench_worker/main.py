"""One run of the worker: each dimension loads its network once for a group of videos, and measures them all."""

from __future__ import annotations

import http.client
import importlib
import inspect
import json
import math
import subprocess
import tempfile
import time
import traceback
import urllib.error
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real2sam2real.workers.there.checks import choose_device, require_attribute, show_one_card, versions
from real2sam2real.workers.there.failures import HOPELESS, WorkerError, failure_of, importing
from real2sam2real.workers.there.serving import free_memory, serve, tell, write_json

from .protocol import DIMENSIONS, PROTOCOL, REQUEST, RESULTS

_CALLED = {
    "__init__": ("device", "full_info_dir", "output_path"),
    "evaluate": ("videos_path", "name", "dimension_list", "local", "mode"),
}
_NAME = "videos"  # of the files that VBench writes


@dataclass(frozen=True)
class RequestedVideo:
    """One video to measure."""

    digest: str  # of its content; names its result
    path: str  # an MP4 file


class VBenchRun:
    """Measures the videos of a request with VBench."""

    def __init__(self, folder: Path) -> None:
        data = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
        if data["protocol"] != PROTOCOL:
            raise WorkerError("request", f"the request speaks protocol {data['protocol']}, this worker {PROTOCOL}")
        self.results = folder / RESULTS
        self.videos = [RequestedVideo(**video) for video in data["videos"]]
        self.group: int = data["group"]
        self.device: str = data["device"]
        self.local: bool = data["local"]
        self.versions: dict[str, str] = {}
        show_one_card(self.device)

    def prepare(self) -> dict[str, str]:
        """Import VBench with all that its dimensions need, and check how it is called."""
        with importing("vbench"):
            module = importlib.import_module("vbench")
            for dimension in DIMENSIONS:  # which VBench imports late, and then does not say what is missing
                importlib.import_module(f"vbench.{dimension}")
        self.bench = require_attribute(module, "VBench")
        for name, wanted in _CALLED.items():
            # `evaluate` takes anything beside its own names and hands it on, so the names themselves must be there.
            taken = inspect.signature(getattr(self.bench, name)).parameters
            if missing := [each for each in wanted if each not in taken]:
                told = f"VBench.{name} does not know {', '.join(missing)}; it takes ({', '.join(taken)})"
                raise WorkerError("version", told)
        self.device = choose_device(self.device, cpu_will_do=True)
        self.versions = versions(None, ("vbench", "torch", "torchvision", "openai-clip", "pyiqa"))
        return self.versions

    def run(self) -> None:
        """Measure all videos, group by group; the results of a group that is done stay."""
        for start in range(0, len(self.videos), self.group):
            group = self.videos[start : start + self.group]
            tell({"event": "group", "first": start + 1, "last": start + len(group), "of": len(self.videos)})
            self._measure(group)

    def _measure(self, group: Sequence[RequestedVideo]) -> None:
        """Every dimension of a group. VBench ends at the first video that it cannot read: then each is tried alone."""
        started = time.perf_counter()
        values: list[dict[str, float]] = [{} for _ in group]
        try:
            for dimension in DIMENSIONS:
                tell({"event": "dimension", "dimension": dimension, "videos": len(group)})
                for found, value in zip(values, self._dimension(dimension, group), strict=True):
                    found[dimension] = value
                free_memory()
        except Exception as error:
            traceback.print_exc()
            failure = _failure_of(error)
            if failure.kind in HOPELESS:
                raise failure from error
            if len(group) > 1:
                for video in group:
                    self._measure([video])
                return
            write_json(self.results / f"{group[0].digest}.error.json", {"protocol": PROTOCOL, **failure.as_json()})
            tell({"event": "skipped", "video": group[0].digest, **failure.as_json()})
            return
        seconds = (time.perf_counter() - started) / len(group)
        for video, found in zip(group, values, strict=True):
            told = {"protocol": PROTOCOL, "values": found, "seconds": seconds, "versions": self.versions}
            write_json(self.results / f"{video.digest}.json", told)
            (self.results / f"{video.digest}.error.json").unlink(missing_ok=True)

    def _dimension(self, dimension: str, group: Sequence[RequestedVideo]) -> list[float]:
        """One value of each video, as VBench gives them."""
        import torch

        with tempfile.TemporaryDirectory() as temporary:
            videos, out = Path(temporary) / "videos", Path(temporary) / "out"
            videos.mkdir()
            names = [f"{number:05}.mp4" for number in range(len(group))]
            for name, video in zip(names, group, strict=True):
                (videos / name).symlink_to(video.path)
            bench = self.bench(torch.device(self.device), "", str(out))  # the list of prompts is not read in this mode
            bench.evaluate(
                videos_path=str(videos),
                name=_NAME,
                dimension_list=[dimension],
                local=self.local,
                mode="custom_input",
            )
            written = out / f"{_NAME}_eval_results.json"
            if not written.is_file():
                raise WorkerError("version", f"VBench wrote no {written.name}")
            return _values(json.loads(written.read_text(encoding="utf-8")), dimension, names)


def _values(results: dict[str, Any], dimension: str, names: Iterable[str]) -> list[float]:
    """The values of videos by their names, in `{dimension: [mean, [{"video_path", "video_results"}, …]]}`."""
    try:
        _, each = results[dimension]
        found = {Path(video["video_path"]).name: float(video["video_results"]) for video in each}
        values = [found[name] for name in names]
    except (KeyError, TypeError, ValueError) as error:
        raise WorkerError("version", f"VBench's results of {dimension} are of another form ({error!r})") from error
    if not all(math.isfinite(value) for value in values):
        raise WorkerError("failed", f"VBench's {dimension} is not finite")
    return values


def _failure_of(error: Exception) -> WorkerError:
    """What an exception stands for: whatever VBench fetches, by wget, git and urllib, are weights."""
    fetching = (subprocess.CalledProcessError, urllib.error.URLError, http.client.HTTPException, ConnectionError)
    if isinstance(error, fetching):
        return WorkerError("weights", " ".join(str(error).split())[:600])
    if isinstance(error, FileNotFoundError) and error.filename in ("wget", "git"):
        return WorkerError("weights", f"{error.filename} is not installed, by which VBench fetches them")
    return failure_of(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one request; returns the exit status."""
    return serve(VBenchRun, "Measure the videos of a request folder with VBench.", arguments)
