"""What generating costs: counted for every preset and memory plan, and timed where there is a GPU.

    python benchmarks/generate.py table                  # passes, operations and memory at 81 frames of 1280×720
    python benchmarks/generate.py check                  # the same memory and operations, counted on the code itself
    python benchmarks/generate.py load                   # memory that loading takes, measured on the CPU
    python benchmarks/generate.py time -o times.json     # the 14 B architecture with random weights, on the GPU
    python benchmarks/generate.py time --tiny -o t.json  # the same code on any machine, in seconds

What `table` reckons, `check` counts by running the 14 B architecture on tensors without data, which takes minutes.
Timing goes through a list of cases, the most important first, each in a process of its own with a limit of its own, and
writes its file after each: one that fails or hangs costs the others nothing, and whatever time there is gives the most
important figures. The weights are random, an adapter is merged into them, and they take the way of the package's own
loader through rounding and placing. A shot's seconds are those of its parts: encoding and decoding as measured, a pass
as the mean over all steps but the first, times the passes of the preset.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from diffusers.quantizers.gguf.utils import GGML_QUANT_SIZES, GGUFParameter
from gguf import GGMLQuantizationType as Kind
from torch import Tensor, nn

from real2sam2real import media
from real2sam2real.diffusion.causal_chunks import chunk_bounds, decode_chunks, encode_chunks, lay_out_channels_last
from real2sam2real.diffusion.conditioning import to_frames, to_video_tensor
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
from real2sam2real.diffusion.memory.apply import apply_plan, place_transformer, storing
from real2sam2real.diffusion.memory.attention import use_backend
from real2sam2real.diffusion.memory.choose import gib
from real2sam2real.diffusion.memory.costs import FORMATS, Architecture, ClipSize, transformer_weights
from real2sam2real.diffusion.memory.formats import quantize
from real2sam2real.diffusion.memory.machine import inspect_machine
from real2sam2real.diffusion.memory.needs import autoencoder_dtype, needs_of
from real2sam2real.diffusion.memory.plans import PLANS, Plan, find_plan
from real2sam2real.diffusion.presets import PRESETS, Preset, Sampling
from real2sam2real.diffusion.sampling import make_scheduler
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.diffusion.weights.adapter_file import Adapter, LowRank
from real2sam2real.diffusion.weights.adapters import apply_adapters
from real2sam2real.diffusion.weights.assign import without_memory
from real2sam2real.diffusion.weights.base import BaseSource
from real2sam2real.diffusion.weights.files import LazyTensor, component_files, open_all
from real2sam2real.diffusion.weights.load import fill_transformer, load_transformer
from real2sam2real.files import replacing_file
from real2sam2real.lab.train.adapter.objective import Batch, NullConditions, draw_step_noise, fine_tuning_loss
from real2sam2real.lab.train.adapter.trainable import attach

FRAMES, WIDTH, HEIGHT = 81, 1280, 720
TINY = {
    "num_attention_heads": 2, "attention_head_dim": 16, "latent_channels": 4, "text_dim": 16, "freq_dim": 16,
    "ffn_dim": 64, "num_layers": 2, "image_dim": 20, "added_kv_proj_dim": 32, "rope_max_seq_len": 64,
}  # fmt: skip
TINY_VAE = {
    "base_dim": 8, "z_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1, "latents_mean": [0.0] * 4,
    "latents_std": [1.0] * 4,
}  # fmt: skip
TINY_SIZE = (5, 16, 16)


def table() -> None:
    """Print the tables of docs/memory.md."""
    architecture = Architecture()
    resident = find_plan("resident")
    print("| preset | segments | passes | PFLOP per pass (attention) | PFLOP per shot |\n|---|---|---|---|---|")
    for preset in PRESETS.values():
        segments = preset.plan(FRAMES)
        clip = ClipSize(frames=segments[0].frames, width=WIDTH, height=HEIGHT)
        cost = needs_of(resident, architecture, clip, guided=preset.guided).one_pass
        passes = preset.passes(FRAMES)
        lengths = f"{len(segments)} × {segments[0].frames} frames"
        one, attention, shot = (value / 1e15 for value in (cost.flops, cost.attention_flops, cost.flops * passes))
        print(f"| `{preset.name}` | {lengths} | {passes} | {one:.2f} ({attention:.2f}) | {shot:.0f} |")
    print("\n| plan | what | GPU, with guidance | GPU, without | CPU memory |\n|---|---|---|---|---|")
    clip = ClipSize(frames=FRAMES, width=WIDTH, height=HEIGHT)
    for plan in PLANS:
        base = Architecture(packed=FORMATS["gguf"].weight) if plan.weights == "gguf" else architecture
        both = [needs_of(plan, base, clip, guided=guided) for guided in (True, False)]
        device = [gib(needs.device) if plan.device == "cuda" else "-" for needs in both]
        print(f"| `{plan.name}` | {plan.purpose} | {device[0]} | {device[1]} | {gib(both[0].ram)} |")


def check() -> None:
    """Print the largest deviation of what is reckoned from what is counted, for several sizes and all formats."""
    import memory_measured as measured

    architecture = Architecture()
    for frames, width, height in ((81, WIDTH, HEIGHT), (49, 832, 480), (17, 640, 368)):
        clip = ClipSize(frames=frames, width=width, height=height)
        worst = max(measured.deviations(architecture, clip), key=lambda deviation: abs(deviation[1]))
        print(f"{clip}: {worst[0]} deviates by {worst[1]:+.2%}", flush=True)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to time, in a process of its own."""

    plan: str
    preset: str = "fast"  # or "training", for steps of fine-tuning; "autoencoder", for that alone
    compiled: bool = False
    limit: int = 120  # seconds, with making the model

    @property
    def name(self) -> str:
        """As `--case` takes it."""
        return "-".join([self.plan, *([self.preset] if self.preset != "fast" else []), *["compiled"] * self.compiled])


# The most important first, as far as the time goes: four steps, compiled, the rounded and the streamed plans, then the
# default against the official schedule, then the rest.
CASES = (
    Case(plan="resident"),
    Case(plan="fp8-dynamic"),
    Case(plan="resident", preset="autoencoder", limit=60),
    Case(plan="resident", compiled=True),
    Case(plan="fp8"),
    Case(plan="int8"),
    Case(plan="stream", limit=150),
    Case(plan="resident", preset="training", limit=180),
    Case(plan="resident", preset="quality", limit=150),
    Case(plan="stream-int8", limit=150),
    Case(plan="nf4"),
    Case(plan="gguf"),
    Case(plan="stream-gguf", limit=150),
    Case(plan="compact"),
    Case(plan="resident", preset="official", limit=150),
    Case(plan="resident", preset="balanced", limit=150),
)
LEAST = 20  # seconds: with less time left, a case is not begun
Tell = Callable[[dict[str, Any]], None]


def random_transformer(config: dict[str, Any], plan: Plan, device: torch.device) -> Any:
    """The architecture with random weights and a merged adapter, loaded as the plan has it from what is no file."""
    with without_memory():
        model = Real2Sam2RealTransformer3DModel(**config)
    tensors = random_tensors(model, plan, storing(plan, device)["device"])
    packed = plan.weights == "gguf"
    adapters = [(random_adapter(model), 1.0)]
    filled = fill_transformer(
        model, tensors, (), torch.bfloat16, adapters=() if packed else adapters, **storing(plan, device)
    )
    if packed:
        apply_adapters(filled, adapters, merge=False)
    return filled


def random_tensors(model: Any, plan: Plan, device: torch.device | str) -> dict[str, LazyTensor]:
    """What a weight file would give for a model, made on the device when it is asked for; packed for GGUF plans."""
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    pool = torch.empty(max(map(math.prod, shapes.values())), dtype=torch.bfloat16, device=device).normal_(std=0.02)

    def plain(shape: tuple[int, ...]) -> Tensor:
        return pool[: math.prod(shape)].reshape(shape).clone()

    def packed(shape: tuple[int, ...]) -> Tensor:
        kind = Kind.Q4_K if shape[1] % 256 == 0 else Kind.Q8_0
        values, size = GGML_QUANT_SIZES[kind]
        # Any bytes will do whose half-precision scales are small numbers.
        bytes_ = torch.randint(0, 32, (shape[0], shape[1] // values * size), dtype=torch.uint8, device=device)
        return GGUFParameter(bytes_, quant_type=kind)

    def of(name: str, shape: tuple[int, ...]) -> LazyTensor:
        is_packed = plan.weights == "gguf" and name.startswith("blocks.") and len(shape) == 2
        read = partial(packed if is_packed else plain, shape)
        return LazyTensor(file=Path("random"), key=name, shape=shape, read=read, quantised=is_packed)

    return {name: of(name, shape) for name, shape in shapes.items()}


def random_adapter(model: Any, rank: int = 64) -> Adapter:
    """Pairs for the layers that the official adapter has, in bfloat16 on the CPU, as its file gives them."""
    layers = {
        name: layer
        for name, layer in model.blocks.named_modules(prefix="blocks")
        if name.endswith((".to_q", ".to_k", ".to_v", ".net.0.proj", ".net.2"))
    }
    ups = {outputs: torch.randn(outputs, rank).bfloat16() for outputs in {one.out_features for one in layers.values()}}
    downs = {inputs: torch.randn(rank, inputs).bfloat16() for inputs in {one.in_features for one in layers.values()}}
    pairs = {
        name: LowRank(up=ups[layer.out_features], down=downs[layer.in_features], alpha=1e-3)
        for name, layer in layers.items()
    }
    return Adapter(name="random", files=(), low_rank=pairs)


def random_pipeline(plan: Plan, device: torch.device, *, tiny: bool) -> Real2Sam2RealPipeline:
    """A whole pipeline with random weights, placed as the plan says; the encoders are left out."""
    pipeline = Real2Sam2RealPipeline(
        vae=AutoencoderKLWan(**(TINY_VAE if tiny else {})).to(autoencoder_dtype(plan)).eval(),
        transformer=random_transformer(TINY if tiny else {}, plan, device),
        scheduler=make_scheduler("euler", 5.0),
    )
    apply_plan(pipeline, plan, device)
    use_backend(pipeline.transformer, inspect_machine(str(device)))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def measure(case: Case, steps: int, *, tiny: bool, tell: Tell) -> None:
    """Time one case, and tell each thing as soon as it is known."""
    device = torch.device("cpu" if tiny else "cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("needs CUDA; --tiny runs the same code on a tiny model here")
    if case.preset == "training":
        measure_training(find_plan(case.plan), steps, device, tiny=tiny, tell=tell)
        return
    if case.preset == "autoencoder":
        measure_autoencoder(device, tiny=tiny, tell=tell)
        return
    plan, preset = find_plan(case.plan), PRESETS[case.preset]
    began = time.perf_counter()
    pipeline = random_pipeline(plan, device, tiny=tiny)
    if not preset.as_script:
        lay_out_channels_last(pipeline.vae)
    if case.compiled:
        # The CPU's compiler takes half a minute for kernels that no one times.
        pipeline.transformer.compile_repeated_blocks(**({"backend": "eager"} if tiny else {}))
    tell({"seconds_to_make": time.perf_counter() - began, **memory("_making", device)})
    size = TINY_SIZE if tiny else (preset.segment_frames, HEIGHT, WIDTH)
    per_step, around = timed_segment(pipeline, preset, size, steps, tell)
    per_pass = per_step / (2 if preset.guided else 1)
    passes, segments = preset.passes(FRAMES), len(preset.plan(FRAMES))
    tell(
        {
            "seconds_per_pass": per_pass,
            "seconds_around_the_loop_per_segment": around,
            "passes": passes,
            "seconds_per_shot": passes * per_pass + segments * around,
            **memory("", device),
        }
    )


def measure_training(plan: Plan, steps: int, device: torch.device, *, tiny: bool, tell: Tell) -> None:
    """Time steps of fine-tuning: one clip of 81 frames of 1280×720 with gradient checkpointing, the first a warm-up."""
    began = time.perf_counter()
    model = random_transformer(TINY if tiny else {}, plan, device)
    place_transformer(model, plan, device)
    attach(model)
    model.enable_gradient_checkpointing()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.data = parameter.data.to(device, torch.float32)
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    use_backend(model, inspect_machine(str(device)))
    tell({"seconds_to_make": time.perf_counter() - began, **memory("_making", device)})
    batch, nothing = random_batch(model.config, TINY_SIZE if tiny else (FRAMES, HEIGHT, WIDTH), device)
    for step in range(steps):
        began = time.perf_counter()
        noise = draw_step_noise(batch, shift=5.0, generator=torch.Generator().manual_seed(step))
        with torch.autocast(device.type, torch.bfloat16):
            loss = fine_tuning_loss(model, batch, noise, nothing)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        told = float(loss.detach())  # waits for the device
        tell({"seconds_of_last_step": time.perf_counter() - began, "loss": told})
    tell(memory("", device))


def measure_autoencoder(device: torch.device, *, tiny: bool, tell: Tell) -> None:
    """Time encoding and decoding a clip in both memory layouts, the first of two rounds a warm-up, and their error."""
    vae = AutoencoderKLWan(**(TINY_VAE if tiny else {})).to(device, torch.bfloat16).eval()
    frames, height, width = TINY_SIZE if tiny else (FRAMES, HEIGHT, WIDTH)
    clip = np.random.default_rng(0).integers(0, 255, (frames, height, width, 3), np.uint8)
    before: list[Tensor] = []
    with torch.no_grad():
        for layout in ("contiguous", "channels_last"):
            if layout == "channels_last":
                lay_out_channels_last(vae)
            for _ in range(2):
                began = time.perf_counter()
                chunks = (to_video_tensor(clip[first:stop], device) for first, stop in chunk_bounds(frames))
                latents = encode_chunks(vae, chunks, height, width)
                told = [float(latents.norm())]  # waits for the device
                encoded = time.perf_counter()
                video = np.concatenate([to_frames(chunk) for chunk in decode_chunks(vae, latents)])
                decoded = time.perf_counter()
            tell({f"seconds_to_encode_{layout}": encoded - began, f"seconds_to_decode_{layout}": decoded - encoded})
            before.append(latents)
    difference = float((before[1] - before[0]).norm() / before[0].norm())
    tell({"difference_of_layouts": difference, "norm": told[0], "frames": len(video), **memory("", device)})


def random_batch(config: Any, size: tuple[int, int, int], device: torch.device) -> tuple[Batch, NullConditions]:
    """One clip as the encoders give it, and what stands for nothing beside it."""
    frames, height, width = size
    shape = (1, config.latent_channels, (frames - 1) // 4 + 1, height // 8, width // 8)
    video, text = torch.randn(shape, device=device), torch.randn(1, 512, config.text_dim, device=device)
    image = torch.randn(1, 257, config.image_dim, device=device)
    batch = Batch(video=video, photo=video[:, :, :1], normals=video, text=text, image=image)
    return batch, NullConditions(video=video, normals=video, text=text)


def memory(when: str, device: torch.device) -> dict[str, float]:
    """GiB at most since the last call, on the GPU, and in this process's memory now."""
    known = {f"cpu_gib{when}": own_memory() / 2**30}
    if device.type == "cuda":
        known[f"peak_gib{when}"] = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.reset_peak_memory_stats()
    return known


def timed_segment(
    pipeline: Real2Sam2RealPipeline, preset: Preset, shape: tuple[int, int, int], steps: int, tell: Tell
) -> tuple[float, float]:
    """Seconds per step and around the loop of one segment, its video written, the first step left out as warm-up."""
    frames, height, width = shape
    device = pipeline.vae.device
    photo = np.zeros((height, width, 3), np.uint8)
    normals = np.zeros((frames, height, width, 3), np.uint8)
    prompt = torch.zeros(1, 512, pipeline.transformer.config.text_dim)
    marks: list[float] = []

    def mark(*step: Any) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        marks.append(time.perf_counter())
        if step and len(marks) > 2:
            tell({"seconds_of_last_step": marks[-1] - marks[-2]})

    mark()
    chunks = pipeline.stream_chunks(
        photo,
        normals,
        prompt_embeds=prompt,
        negative_prompt_embeds=prompt,
        sampling=Sampling(steps=steps, guidance_scale=preset.guidance_scale, segment_frames=frames, overlap=1),
        generator=torch.Generator().manual_seed(0),
        callback_on_step_end=mark,
    )
    made = (frame for chunk in chunks for frame in to_frames(chunk.video))
    with tempfile.TemporaryDirectory() as folder:
        media.write_video(Path(folder) / "video.mp4", made, 16, ahead=16)
    mark()
    start, *steps_done, end = marks
    per_step = (steps_done[-1] - steps_done[0]) / (len(steps_done) - 1)
    return per_step, (steps_done[0] - start - per_step) + (end - steps_done[-1])


def in_own_process(case: Case, steps: int, limit: float, *, tiny: bool) -> dict[str, Any]:
    """What is known of a case after at most `limit` seconds.

    The process is forked: all is imported already, and nothing here has touched the GPU.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_tell_through, args=(there, case, steps, tiny))
    process.start()
    there.close()
    known: dict[str, Any] = {}
    stop = time.monotonic() + limit
    try:
        while here.poll(max(0.0, stop - time.monotonic())):
            known |= here.recv()
        known["failed"] = f"cut off after {limit:.0f} s"
    except EOFError:
        process.join()
        if process.exitcode:
            known.setdefault("failed", f"its process ended with {process.exitcode}")
    finally:
        process.kill()
        process.join()
    return {**asdict(case), **known}


def _tell_through(pipe: Any, case: Case, steps: int, tiny: bool) -> None:
    try:
        measure(case, steps, tiny=tiny, tell=pipe.send)
    except Exception as error:  # one plan that cannot run must not cost the others their time on a lent GPU
        pipe.send({"failed": f"{type(error).__name__}: {error}"})


def run_times(out: Path, cases: Sequence[Case], steps: int, *, tiny: bool, seconds: float) -> None:
    """Time cases one after the other for so many seconds, and write the file after each."""
    stop = time.monotonic() + seconds
    report: dict[str, Any] = {"device": device_name(tiny), "command": " ".join(["python", *sys.argv]), "cases": []}
    for case in cases:
        limit = min(float(case.limit), stop - time.monotonic())
        left = {**asdict(case), "failed": "not begun: the time was up"}
        row = left if limit < LEAST else in_own_process(case, steps, limit, tiny=tiny)
        report["cases"].append(row)
        print(json.dumps(row), flush=True)
        with replacing_file(out) as temporary:
            temporary.write_text(json.dumps(report, indent=2))


def device_name(tiny: bool) -> str:
    """Of the GPU, asked of its driver: torch would claim it for this process."""
    if tiny:
        return "CPU, tiny model"
    try:
        return subprocess.check_output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], text=True).strip()
    except OSError:
        sys.exit("timing needs a GPU; --tiny runs the same code on a tiny model here")


@dataclass(frozen=True, kw_only=True)
class LoadingMemory:
    """MiB of a transformer that is loaded with an adapter, all of it in CPU memory."""

    most: float  # that this process's own memory grew by at once; pages of mapped files are not its own
    reckoned: float  # what is stored by the plan's arithmetic, one plain block and float32 copies of one weight
    plain: float  # the weights in bfloat16


def loading_memory(plan: Plan, folder: Path, layers: int, config: dict[str, int]) -> LoadingMemory:
    """Load a random transformer as a plan has it; in a process of its own, whose memory holds nothing else.

    Args:
        plan: any but those of GGUF files.
        folder: an empty one, for the weights' file.
        layers: number of blocks.
        config: of the transformer, where it is not the 14 B model's.
    """
    config = {**config, "num_layers": layers}
    with without_memory():
        model = Real2Sam2RealTransformer3DModel(**config)
    saved = fill_transformer(model, random_tensors(model, plan, "cpu"), (), torch.bfloat16)
    adapters = [(random_adapter(model), 1.0)]
    saved.save_pretrained(folder)
    source = BaseSource(
        name="random",
        layout="diffusers",
        transformer=component_files(folder),
        transformer_config=folder / "config.json",
    )
    del model, saved

    def load(pipe: Any) -> None:
        torch.set_num_threads(1)  # a fork has none of the threads that its parent may have started
        quantize(nn.Sequential(nn.Linear(64, 64, dtype=torch.bfloat16)), plan.weights)  # imports what that takes
        _give_back_what_is_freed()
        with MemoryWatch() as watch:
            load_transformer(source, torch.bfloat16, adapters=adapters, **storing(plan, "cpu"))
        pipe.send(watch.most - watch.before)

    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=load, args=(there,))
    process.start()
    there.close()
    most = here.recv()
    process.join()
    architecture = Architecture(transformer=config)
    block, rest = transformer_weights(architecture, "bfloat16")
    stored = transformer_weights(architecture, plan.weights)[0]
    largest = max(math.prod(tensor.shape) for tensor in open_all(source.transformer).values())
    reckoned = layers * stored + rest + block + 3 * 4 * largest
    return LoadingMemory(most=most / 2**20, reckoned=reckoned / 2**20, plain=(layers * block + rest) / 2**20)


def _give_back_what_is_freed() -> None:
    """Let tensors take memory of their own from the system, and give it back, as far as this is glibc."""
    library = ctypes.CDLL(None)
    library.mallopt(-3, 1 << 18)  # M_MMAP_THRESHOLD
    library.malloc_trim(0)


class MemoryWatch:
    """Bytes of this process's own memory before a block and at most within it, looked at every millisecond."""

    def __enter__(self) -> Self:
        self.before = self.most = own_memory()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.001):
            self.most = max(self.most, own_memory())


def own_memory() -> int:
    """Bytes of memory that this process alone has filled."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) * 1024


def load(layers: int) -> None:
    """Print what loading takes, for a few blocks of the 14 B model and every way to store them."""
    for name in ("resident", "int8", "fp8", "nf4"):
        with tempfile.TemporaryDirectory() as folder:
            found = loading_memory(find_plan(name), Path(folder), layers, {})
        print(
            f"{name}: at most {found.most:.0f} MiB, reckoned {found.reckoned:.0f}; in bfloat16 the weights are "
            f"{found.plain:.0f}",
            flush=True,
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("table")
    commands.add_parser("check")
    loading = commands.add_parser("load")
    loading.add_argument("--layers", type=int, default=4, help="blocks of the transformer, 0.7 GiB each on disk")
    timing = commands.add_parser("time")
    timing.add_argument("-o", "--out", type=Path, required=True)
    timing.add_argument("--steps", type=int, default=2, help="steps per case, at least 2; the first warms up")
    timing.add_argument("--seconds", type=float, default=540, help="after which no case is begun or goes on")
    names = [case.name for case in CASES]
    timing.add_argument("--case", nargs="+", choices=names, default=names, help="which cases, in their order")
    timing.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    if given.command == "table":
        table()
    elif given.command == "check":
        check()
    elif given.command == "load":
        load(given.layers)
    else:
        cases = [case for case in CASES if case.name in given.case]
        run_times(given.out, cases, max(2, given.steps), tiny=given.tiny, seconds=given.seconds)


if __name__ == "__main__":
    main()
