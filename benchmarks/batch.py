"""What a batch costs beside the video model, and whether it survives `kill -9`.

Run: python benchmarks/batch.py [--shots N]                  overhead per shot, shots per minute, time to restart
     python benchmarks/batch.py --kills 20 [--ray] [--seed N] kill a batch at random moments, then finish it and check

The shots are tiny (5 frames of 32×32 pixels) and the model has random weights and two layers, so that nearly all of the
time is the batch's own.
"""

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

FRAMES, SIDE = 5, 32
PRELOADED = [
    "real2sam2real.cli.main",
    "real2sam2real.run.batch.running",
    "real2sam2real.run.generating",
    "real2sam2real.workfolder.ray_pool",
]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # as Ray gives it to a worker of one core


def tiny_checkpoint(folder: Path) -> Path:
    """Write a checkpoint of the real classes with random weights."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler

    from real2sam2real.diffusion.autoencoder import fit_autoencoder
    from real2sam2real.diffusion.checkpoints import CheckpointSettings
    from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
    from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

    torch.manual_seed(0)
    config = {"num_attention_heads": 2, "attention_head_dim": 12, "latent_channels": 4, "text_dim": 16, "freq_dim": 16}
    config |= {"ffn_dim": 32, "num_layers": 2, "rope_max_seq_len": 32, "image_dim": None, "added_kv_proj_dim": None}
    coarse = torch.rand(6, 3, 9, 4, 4) * 2 - 1
    clips = torch.nn.functional.interpolate(coarse, size=(9, SIDE, SIDE), mode="trilinear")
    pipeline = Real2Sam2RealPipeline(
        vae=fit_autoencoder(clips, channels=4),
        transformer=Real2Sam2RealTransformer3DModel(**config),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    pipeline.save_pretrained(folder)
    settings = CheckpointSettings(area=SIDE * SIDE, max_frames=81, steps=2)
    (folder / "checkpoint.json").write_text(settings.to_json(), encoding="utf-8")
    return folder


def tiny_shots(folder: Path, count: int, *, frames: int = FRAMES) -> Path:
    """Write `count` control folders, two per scene; every one gives another video."""
    import numpy as np

    from real2sam2real.control.folder import Control, save_control

    for index in range(count):
        rng = np.random.default_rng(index)
        control = Control(
            normals=rng.integers(60, 256, (frames, SIDE, SIDE, 3), dtype=np.uint8),
            ids=np.ones((frames, SIDE, SIDE), np.uint8),
            photo=rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8),
            prompt="",
            fps=16,
        )
        save_control(folder / f"scene{index // 2:04}" / f"camera{index % 2}", control)
    return folder


def start(arguments: list[str]) -> BaseProcess:
    """Run `r2s2r ARGUMENTS` in a process of its own that has torch loaded already."""
    from real2sam2real.cli.main import main as command_line

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=command_line, args=(arguments,))
    process.start()
    return process


def finish(arguments: list[str]) -> float:
    """Run `r2s2r ARGUMENTS` to its end; the seconds it took."""
    begun = time.monotonic()
    process = start(arguments)
    process.join()
    if process.exitcode:
        raise RuntimeError(f"r2s2r {' '.join(arguments)} ended with status {process.exitcode}")
    return time.monotonic() - begun


def results(out: Path) -> dict[str, bytes]:
    """Every finished video by the name of its shot."""
    return {"/".join(path.parts[-3:-1]): path.read_bytes() for path in out.glob("checkpoint-*/*/*/generated.mp4")}


def finished(out: Path) -> list[Path]:
    """The record of every shot that a batch has done with; a video is there a moment before its record."""
    return list(out.glob("checkpoint-*/*/*/shot.json"))


def left_behind(out: Path) -> list[Path]:
    """Every file that has no business in a batch folder."""
    expected = {".lock", "batch.json", "shots.jsonl", "generated.mp4", "shot.json"}
    return [path for path in out.rglob("*") if path.is_file() and path.name not in expected]


class KillRounds:
    """Kill a batch again and again, and see that nothing false comes of it.

    Args:
        arguments: of `r2s2r`, without `-o`.
        out: folder for the batch folders.
        reference: the videos of a batch that nobody killed.
        seed: of the moments.
    """

    def __init__(self, arguments: list[str], out: Path, reference: dict[str, bytes], *, seed: int = 0) -> None:
        self._arguments, self._parent, self._reference = arguments, out, reference
        self._random = random.Random(seed)
        self._batches = 0
        self.kills = 0
        self.made_before_kills = 0
        self.caught_writing = 0

    def run(self, kills: int) -> None:
        """Kill so often, over as many batches as it takes; each one is finished and checked."""
        while self.kills < kills:
            self._batches += 1
            self._one_batch(self._parent / f"batch{self._batches}", kills)

    def _one_batch(self, out: Path, kills: int) -> None:
        command = [*self._arguments, "-o", str(out)]
        kept: dict[Path, tuple[int, int]] = {}
        while self.kills < kills:
            process = start(command)
            killed = self._kill(process, out)
            kept = self._check(out, kept)
            if not killed:
                break
            self.kills += 1
            self.caught_writing += bool(left_behind(out))
        self.made_before_kills += len(kept)
        finish(command)
        self._check(out, kept)
        if results(out) != self._reference:
            raise RuntimeError(f"{out} does not hold every shot exactly once")
        if left := left_behind(out):
            raise RuntimeError(f"left behind: {left}")

    def _kill(self, process: BaseProcess, out: Path) -> bool:
        """Kill at a random moment, or as a file is being written; False when the batch was faster."""
        if self._random.random() < 0.5:
            self._wait_for_writing(process, out)
        else:
            self._wait_for_shots(process, out)
        process.kill()
        process.join()
        return process.exitcode != 0

    def _wait_for_writing(self, process: BaseProcess, out: Path) -> None:
        while process.is_alive() and not left_behind(out):
            time.sleep(0.0005)

    def _wait_for_shots(self, process: BaseProcess, out: Path) -> None:
        """Up to two more finished shots, and a moment."""
        wanted = len(finished(out)) + self._random.randint(0, 2)
        while len(finished(out)) < wanted and process.is_alive():
            time.sleep(0.002)
        process.join(timeout=self._random.uniform(0, 0.3))

    def _check(self, out: Path, kept: dict[Path, tuple[int, int]]) -> dict[Path, tuple[int, int]]:
        """Every video that has its name is whole, and what was finished before has not been touched since."""
        for name, video in results(out).items():
            if video != self._reference[name]:
                raise RuntimeError(f"{name} in {out} is not what an undisturbed batch makes")
        for path, identity in kept.items():
            if identity_of(path) != identity:
                raise RuntimeError(f"{path} was made twice")
        videos = [record.with_name("generated.mp4") for record in finished(out)]
        return {video: identity_of(video) for video in videos}


def identity_of(path: Path) -> tuple[int, int]:
    """What changes whenever a file is written anew."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def measure(shots: int) -> None:
    from real2sam2real.diffusion.options import GenerateOptions
    from real2sam2real.run.generating import Generator
    from real2sam2real.run.progress import Progress

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        checkpoint = tiny_checkpoint(folder / "tiny")
        tiny_shots(folder / "in", shots)
        generator = Generator.load(GenerateOptions(checkpoint=str(checkpoint), init="noise"), Progress())
        controls = sorted((folder / "in").glob("*/*"))
        seconds = []
        for control in controls:
            begun = time.perf_counter()
            generator.to_file(control, folder / "alone.mp4", Progress())
            seconds.append(time.perf_counter() - begun)
        alone = sum(seconds[1:]) / (shots - 1)
        print(f"{shots} shots; the generator alone takes {alone * 1e3:.0f} ms per shot")
        print("way                 first shot   each further   beside the generator   shots/min")
        for name, flags in (
            ("this process", []),
            ("Ray, 1 worker", ["--ray", "--workers", "1"]),
            ("Ray, 2 workers", ["--ray", "--workers", "2"]),
        ):
            out = folder / name.replace(" ", "-")
            command = ["generate", str(folder / "in"), "--checkpoint", str(checkpoint), "--init", "noise", *flags]
            first, each = timed_batch([*command, "-o", str(out)], out, shots)
            workers = 2 if "2" in name else 1
            print(
                f"{name:18} {first:9.1f} s {each * 1e3:11.0f} ms {(each * workers - alone) * 1e3:19.0f} ms "
                f"{60 / each:11.0f}", flush=True,
            )  # fmt: skip
        print(f"restart of {shots} finished shots: {finish([*command, '-o', str(out)]):.2f} s")


def timed_batch(command: list[str], out: Path, shots: int) -> tuple[float, float]:
    """Seconds until the first shot is done, and per shot after it."""
    begun = time.time()
    finish(command)
    done = sorted(record.stat().st_mtime for record in finished(out))
    return done[0] - begun, (done[-1] - done[0]) / (shots - 1)


def soak(kills: int, *, ray: bool, seed: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        checkpoint = tiny_checkpoint(folder / "tiny")
        shots = tiny_shots(folder / "in", 32)
        command = ["generate", str(shots), "--checkpoint", str(checkpoint), "--init", "noise"]
        finish([*command, "-o", str(folder / "undisturbed")])
        rounds = KillRounds(
            [*command, *(["--ray", "--workers", "2"] if ray else [])],
            folder,
            results(folder / "undisturbed"),
            seed=seed,
        )
        begun = time.monotonic()
        rounds.run(kills)
        print(
            f"{rounds.kills} kills {'with Ray' if ray else 'in one process'}, {rounds.caught_writing} of them while a "
            f"file was half written, {rounds.made_before_kills} shots finished in killed runs: every shot is there "
            f"exactly once, and nothing is left behind ({time.monotonic() - begun:.0f} s)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=int, default=200)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ.update(ONE_THREAD)
    if arguments.kills:
        soak(arguments.kills, ray=arguments.ray, seed=arguments.seed)
    else:
        measure(arguments.shots)


if __name__ == "__main__":
    main()
    sys.exit()
