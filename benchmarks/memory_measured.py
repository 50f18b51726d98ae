"""The networks' memory and operations, counted by running their own code on tensors without data.

The package itself reckons (`diffusion/memory/costs.py`); this is what it is held against, by `generate.py check` and by
the tests. A fake tensor has a shape, a dtype and no data: inside `fake_device` a model of any size goes through its
real code, and a `Meter` sees each tensor come and go as it would on a GPU.
"""

from __future__ import annotations

import inspect
import math
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, Self

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, is_traceable_wrapper_subclass
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.memory.costs import (
    FORMATS,
    IMAGE_TOKENS,
    Architecture,
    ClipSize,
    autoencoder_weights,
    autoencoder_working,
    image_encoder_cost,
    pass_cost,
    text_encoder_cost,
)
from real2sam2real.diffusion.memory.formats import plain_parts, quantize
from real2sam2real.diffusion.memory.plans import WeightFormat
from real2sam2real.diffusion.prompts import TEXT_TOKENS
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

_FUSED_ATTENTION = ("_scaled_dot_product", "_flash_attention", "_efficient_attention")
PLAIN: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Work = Callable[[Any, ClipSize], None]


class Meter(TorchDispatchMode):
    """While active, counts what every operation makes and what it costs.

    Neither what an operation uses inside itself (workspaces of convolutions) nor what an allocator rounds up is seen.

    Attributes:
        live: bytes alive now.
        peak: the most bytes that were alive at once.
        attention_flops: floating point operations of fused attention; a multiplication and its addition count as two.
        other_flops: those of all other matrix products and convolutions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self.attention_flops = 0
        self.other_flops = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def follow(self, tensors: Iterable[Tensor]) -> None:
        """Count these too, though they were made before: weights and inputs."""
        for tensor in tensors:
            for part in plain_parts(tensor):
                self._follow_storage(part.untyped_storage())

    def restart(self) -> None:
        """Count the peak and the operations from here on; what lives stays counted."""
        self.peak = self.live
        self.attention_flops = self.other_flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if any(is_traceable_wrapper_subclass(value) for value in tree_iter((args, kwargs))):
            return NotImplemented  # a quantised weight acts first; the operations on its parts come by here
        result = func(*args, **(kwargs or {}))
        self.follow(leaf for leaf in tree_iter(result) if isinstance(leaf, Tensor))
        self._count_flops(func.overloadpacket, args, kwargs or {}, result)
        return result

    def _follow_storage(self, storage: Any) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.live -= size

    def _count_flops(self, packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        name = packet.__name__
        if name == "_scaled_dot_product_flash_attention_for_cpu":  # the one that the registry lacks
            self.attention_flops += sdpa_flop_count(*(tensor.shape for tensor in args[:3]))
        elif packet in flop_registry:
            flops = flop_registry[packet](*args, **kwargs, out_val=result)
            if name.startswith(_FUSED_ATTENTION):
                self.attention_flops += flops
            else:
                self.other_flops += flops


class DeviceKernels(TorchFunctionMode):
    """Where a GPU's kernels need another amount of memory than the CPU's, make what the GPU's would make.

    RMS normalisation makes its result and nothing else there; the CPU's takes several steps.

    Args:
        copy_attention_inputs: queries, keys and values are copied into another order before attention.
    """

    def __init__(self, copy_attention_inputs: bool = False) -> None:
        super().__init__()
        self._copy = copy_attention_inputs

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (functional.rms_norm, torch.rms_norm):
            return torch.empty_like(args[0])
        if func is functional.scaled_dot_product_attention and self._copy:
            kwargs = {name: value.contiguous() if name in _QKV else value for name, value in kwargs.items()}
            args = tuple(value.contiguous() for value in args)
        return func(*args, **kwargs)


_QKV = ("query", "key", "value")


@contextmanager
def fake_device(*, copy_attention_inputs: bool = False) -> Iterator[None]:
    """Tensors made inside are fake and take no memory; kernels that a GPU has are assumed. No gradients."""
    with FakeTensorMode(), DeviceKernels(copy_attention_inputs), torch.no_grad():
        yield


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one call of a stage needs: a transformer pass, an encoding, a decoding.

    Attributes:
        weights: bytes of the network's parameters and buffers.
        largest_layer: bytes of its largest layer.
        working: most bytes alive at once beside the weights, inputs and outputs included.
        attention_flops: floating point operations of fused attention; a multiplication and its addition are two.
        other_flops: those of all other matrix products and convolutions.
    """

    weights: int = 0
    largest_layer: int = 0
    working: int = 0
    attention_flops: int = 0
    other_flops: int = 0

    @property
    def flops(self) -> int:
        """All floating point operations."""
        return self.attention_flops + self.other_flops

    def extrapolated(self, following: Self, steps: int) -> Self:
        """The cost `steps` further on, where each step adds what lies between this one and `following`."""
        grown = {}
        for field in fields(self):
            here, there = getattr(self, field.name), getattr(following, field.name)
            grown[field.name] = here + steps * (there - here)
        return replace(self, **grown)


def metered(module: Any, work: Callable[[], object], inputs: Iterable[object] = ()) -> Measured:
    """The cost of `work`, which calls `module` once; call it inside `fake_device`, or with real tensors.

    Args:
        module: the network.
        work: calls it.
        inputs: what of the call's inputs exists before; whatever is no tensor is passed over.
    """
    own = [*module.parameters(), *module.buffers()]
    meter = Meter()
    meter.follow([*own, *(tensor for tensor in inputs if isinstance(tensor, Tensor))])
    with meter:
        work()
    weights = bytes_of(own)
    layers = (bytes_of([*layer.parameters(recurse=False), *layer.buffers(recurse=False)]) for layer in module.modules())
    return Measured(
        weights=weights,
        largest_layer=max(layers, default=0),
        working=meter.peak - weights,
        attention_flops=meter.attention_flops,
        other_flops=meter.other_flops,
    )


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, quantised ones included, each storage once."""
    storages = {id(part.untyped_storage()): part.untyped_storage() for one in tensors for part in plain_parts(one)}
    return sum(storage.nbytes() for storage in storages.values())


# The networks, without data.


def transformer_of(architecture: Architecture, *, layers: int | None = None) -> Any:
    """The transformer with all its blocks or the first `layers`, without data; see `without_data`."""
    config = {**architecture.transformer} if layers is None else {**architecture.transformer, "num_layers": layers}
    known = inspect.signature(Real2Sam2RealTransformer3DModel.__init__).parameters
    return without_data(
        lambda: Real2Sam2RealTransformer3DModel(**{key: value for key, value in config.items() if key in known})
    )


def autoencoder_of(architecture: Architecture) -> Any:
    """The autoencoder, without data."""
    known = inspect.signature(AutoencoderKLWan.__init__).parameters
    config = {key: value for key, value in architecture.autoencoder.items() if key in known}
    return without_data(lambda: AutoencoderKLWan(**config))


def without_data(make: Callable[[], Any]) -> Any:
    """The module that `make` builds, on the meta device: shapes and no values."""
    with torch.device("meta"):
        return make().eval()


def as_fake(module: Any, dtype: torch.dtype, keep_in_float32: tuple[str, ...] = ()) -> Any:
    """Give a module of the meta device fake tensors of `dtype`; call it inside `fake_device`.

    Args:
        module: changed in place.
        dtype: of floating point parameters.
        keep_in_float32: parts of names whose parameters are float32 anyway.
    """
    made: dict[int, nn.Parameter] = {}
    for prefix, owner in module.named_modules():
        for name, parameter in owner.named_parameters(recurse=False):
            path = f"{prefix}.{name}".split(".")
            kept = torch.float32 if any(part in path for part in keep_in_float32) else dtype
            if id(parameter) not in made:  # embeddings may be shared
                made[id(parameter)] = nn.Parameter(
                    torch.empty(parameter.shape, dtype=kept, device="cpu"), requires_grad=False
                )
            owner._parameters[name] = made[id(parameter)]
        for name, buffer in owner.named_buffers(recurse=False):
            owner._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device="cpu")
    return module


@dataclass(frozen=True, kw_only=True)
class MeasuredPass(Measured):
    """What one transformer pass needs.

    Attributes:
        block: bytes of one block's weights.
        layers: number of blocks.
        tokens: L, of the video and the reference.
    """

    block: int
    layers: int
    tokens: int


@cache
def measure_pass(
    architecture: Architecture,
    clip: ClipSize,
    *,
    weights: WeightFormat = "bfloat16",
    token_chunks: int = 1,
    keys_values: bool = True,
    prompts: int = 1,
    attention_copies: bool = False,
) -> MeasuredPass:
    """One pass of the transformer over a clip.

    Args:
        architecture: its networks.
        clip: the segment's size.
        weights: how the blocks' linear layers are stored; all else is bfloat16, or float32 if they are.
        token_chunks: in how many parts the blocks work through the tokens where they can.
        keys_values: the cross-attention's keys and values of all blocks are kept between passes.
        prompts: for how many prompts constants are kept between passes: 2 with guidance.
        attention_copies: the attention kernel takes copies of its inputs.

    """
    layers = _layers(architecture)
    few = min(layers, 2)
    first, second = (
        run_blocks(
            architecture,
            clip,
            count,
            weights=weights,
            token_chunks=token_chunks,
            keys_values=keys_values,
            prompts=prompts,
            attention_copies=attention_copies,
        )
        for count in (few, few + 1)
    )
    return replace(first.extrapolated(second, layers - few), block=second.weights - first.weights)


@cache
def _layers(architecture: Architecture) -> int:
    return len(transformer_of(architecture).blocks)


def run_blocks(
    architecture: Architecture,
    clip: ClipSize,
    layers: int,
    *,
    weights: WeightFormat = "bfloat16",
    token_chunks: int = 1,
    keys_values: bool = True,
    prompts: int = 1,
    attention_copies: bool = False,
) -> MeasuredPass:
    """The cost with this many blocks, each of them run; `block` is left 0."""
    transformer = transformer_of(architecture, layers=layers)
    dtype = PLAIN.get(weights, torch.bfloat16)
    with fake_device(copy_attention_inputs=attention_copies):
        as_fake(transformer, dtype, transformer._keep_in_fp32_modules)
        for block in transformer.blocks:
            _store(block, weights)
        transformer.set_token_chunks(token_chunks)
        _, z, frames, height, width = shape = _latent_shape(architecture, clip)
        noisy = torch.empty(1, 2 * z + 4, frames + 1, height, width, dtype=dtype)
        context = _context(transformer.config, shape, dtype)
        constants = [transformer.precompute(*context, keys_values=keys_values) for _ in range(prompts)]
        timestep = torch.empty(1)
        cost = metered(
            transformer,
            lambda: transformer(noisy, timestep, constants=constants[0]),
            [noisy, timestep, *context, *_tensors_in(tuple(constants))],
        )
    grid = zip((frames + 1, height, width), transformer.config.patch_size, strict=True)
    return MeasuredPass(**asdict(cost), block=0, layers=layers, tokens=math.prod(size // patch for size, patch in grid))


def _store(block: Any, weights: WeightFormat) -> None:
    if weights in ("nf4", "gguf"):
        pack(block, FORMATS[weights].weight)
    else:
        quantize(block, weights)


def _latent_shape(architecture: Architecture, clip: ClipSize) -> tuple[int, int, int, int, int]:
    """`(1, z, F, h, w)` of a clip's latents."""
    config = autoencoder_of(architecture).config
    space, time = config.scale_factor_spatial, config.scale_factor_temporal
    return 1, config.z_dim, (clip.frames - 1) // time + 1, clip.height // space, clip.width // space


def _context(config: Any, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor | None]:
    """Text, latents of the normals of `shape`, and image features."""
    image = None
    if config.image_dim is not None:
        image = torch.empty(1, IMAGE_TOKENS, config.image_dim, dtype=dtype)
    return torch.empty(1, TEXT_TOKENS, config.text_dim, dtype=dtype), torch.empty(shape, dtype=dtype), image


def _tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested dataclasses and tuples."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value):
        return [tensor for field in fields(value) for tensor in _tensors_in(getattr(value, field.name))]
    return [tensor for item in value for tensor in _tensors_in(item)] if isinstance(value, tuple) else []


class PackedLinear(nn.Module):
    """Stands for a layer that unpacks its weight when called, to measure formats that fake tensors cannot take.

    Args:
        like: the layer in bfloat16.
        bytes_per_weight: of the packed form.
    """

    def __init__(self, like: nn.Linear, bytes_per_weight: float) -> None:
        super().__init__()
        self.packed = nn.Parameter(
            torch.empty(round(like.weight.numel() * bytes_per_weight), dtype=torch.uint8), requires_grad=False
        )
        self.bias = like.bias
        self.shape, self.dtype = like.weight.shape, like.weight.dtype

    def forward(self, values: Tensor) -> Tensor:
        """`(…, out)` of `(…, in)`: the right shapes, no values."""
        return functional.linear(values, torch.empty(self.shape, dtype=self.dtype), self.bias)


def pack(module: nn.Module, bytes_per_weight: float) -> None:
    """Put a `PackedLinear` in the place of every linear layer, in place."""
    for name, linear in list(module.named_modules()):
        if isinstance(linear, nn.Linear):
            module.set_submodule(name, PackedLinear(linear, bytes_per_weight))


def measure_encoding(
    architecture: Architecture, clip: ClipSize, dtype: torch.dtype = torch.float32, *, tiled: bool = False
) -> Measured:
    """Encoding one clip, normals or photo, with the autoencoder."""
    return _measure_autoencoder(architecture, clip, dtype, tiled, _encode)


def measure_decoding(
    architecture: Architecture, clip: ClipSize, dtype: torch.dtype = torch.float32, *, tiled: bool = False
) -> Measured:
    """Decoding one clip with the autoencoder."""
    return _measure_autoencoder(architecture, clip, dtype, tiled, _decode)


def _encode(autoencoder: Any, clip: ClipSize) -> None:
    conditioning.encode_latents(autoencoder, torch.empty(1, 3, clip.frames, clip.height, clip.width))


def _decode(autoencoder: Any, clip: ClipSize) -> None:
    config = autoencoder.config
    time, space = config.scale_factor_temporal, config.scale_factor_spatial
    frames = (clip.frames - 1) // time + 1
    conditioning.decode_latents(
        autoencoder, torch.empty(1, config.z_dim, frames, clip.height // space, clip.width // space)
    )


@cache
def _measure_autoencoder(
    architecture: Architecture, clip: ClipSize, dtype: torch.dtype, tiled: bool, work: Work
) -> Measured:
    if not tiled:
        return _over_frames(architecture, clip, dtype, work)
    autoencoder = autoencoder_of(architecture)
    whole = _measure_autoencoder(architecture, clip, dtype, False, work)
    one = _tile_at_work(architecture, clip, dtype, work)
    share = tiled_area(autoencoder, clip) / (clip.width * clip.height)
    return Measured(
        weights=whole.weights,
        working=_gathering_of_tiles(architecture, clip, dtype, work, one),
        attention_flops=round(whole.attention_flops * share),
        other_flops=round(whole.other_flops * share),
    )


def tiled_area(autoencoder: Any, clip: ClipSize) -> int:
    """Pixels of all tiles of a frame; they overlap, so they are more than the frame has."""

    def extent(size: int, tile: int, stride: int) -> int:
        return sum(min(tile, size - start) for start in range(0, size, stride))

    across = extent(clip.width, autoencoder.tile_sample_min_width, autoencoder.tile_sample_stride_width)
    down = extent(clip.height, autoencoder.tile_sample_min_height, autoencoder.tile_sample_stride_height)
    return across * down


def _over_frames(architecture: Architecture, clip: ClipSize, dtype: torch.dtype, work: Work) -> Measured:
    """The cost of a clip worked on as a whole, from two shorter ones: all grows evenly with the frames."""
    step = autoencoder_of(architecture).config.scale_factor_temporal
    latent_frames = (clip.frames - 1) // step + 1
    few = min(latent_frames, 4)

    def cost(count: int) -> Measured:
        return _run_autoencoder(architecture, replace(clip, frames=1 + step * (count - 1)), dtype, work)

    return cost(few) if few == latent_frames else cost(few).extrapolated(cost(few + 1), latent_frames - few)


@cache
def _run_autoencoder(architecture: Architecture, clip: ClipSize, dtype: torch.dtype, work: Work) -> Measured:
    autoencoder = autoencoder_of(architecture)
    with fake_device():
        as_fake(autoencoder, dtype)
        return metered(autoencoder, lambda: work(autoencoder, clip))


def _tile_at_work(architecture: Architecture, clip: ClipSize, dtype: torch.dtype, work: Work) -> int:
    """Most bytes beside the weights while a few frames of one tile are worked on."""
    autoencoder = autoencoder_of(architecture)
    tile = ClipSize(
        frames=min(clip.frames, 1 + 2 * autoencoder.config.scale_factor_temporal),
        width=min(clip.width, autoencoder.tile_sample_min_width),
        height=min(clip.height, autoencoder.tile_sample_min_height),
    )
    return _run_autoencoder(architecture, tile, dtype, work).working


def _gathering_of_tiles(architecture: Architecture, clip: ClipSize, dtype: torch.dtype, work: Work, one: int) -> int:
    """Most bytes beside the weights while tiles are worked on and put together.

    The autoencoder's own tiling runs, but in the place of its encoder and decoder stands something that takes `one`
    bytes for a moment, and blending, which takes nothing, is left out: it is hundreds of steps per tile.
    """
    autoencoder = autoencoder_of(architecture)
    with fake_device():
        as_fake(autoencoder, dtype)
        autoencoder.enable_tiling()
        step, space = autoencoder.config.scale_factor_temporal, autoencoder.config.scale_factor_spatial
        channels = autoencoder.config.z_dim * 2

        def encoder(tile: Tensor, **_: object) -> Tensor:
            torch.empty(one, dtype=torch.uint8)
            return tile.new_empty(1, channels, 1, tile.shape[-2] // space, tile.shape[-1] // space)

        def decoder(tile: Tensor, first_chunk: bool = False, **_: object) -> Tensor:
            torch.empty(one, dtype=torch.uint8)
            return tile.new_empty(1, 3, 1 if first_chunk else step, tile.shape[-2] * space, tile.shape[-1] * space)

        del autoencoder.encoder, autoencoder.decoder
        autoencoder.encoder, autoencoder.decoder = encoder, decoder
        autoencoder.blend_v = autoencoder.blend_h = lambda _, tile, extent: tile
        return metered(autoencoder, lambda: work(autoencoder, clip)).working


@cache
def measure_text_encoder(architecture: Architecture, dtype: torch.dtype = torch.bfloat16) -> Measured:
    """Embedding one prompt."""
    from transformers import UMT5Config, UMT5EncoderModel

    encoder = without_data(lambda: UMT5EncoderModel(UMT5Config(**architecture.text_encoder)))
    with fake_device():
        as_fake(encoder, dtype)
        tokens = torch.zeros(1, TEXT_TOKENS, dtype=torch.long)
        return metered(encoder, lambda: encoder(tokens, torch.ones_like(tokens)))


@cache
def measure_image_encoder(architecture: Architecture, dtype: torch.dtype = torch.float32) -> Measured:
    """Embedding one photo."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    encoder = without_data(lambda: CLIPVisionModel(CLIPVisionConfig(**architecture.image_encoder)))
    with fake_device():
        as_fake(encoder, dtype)
        pixels = torch.empty(1, 3, encoder.config.image_size, encoder.config.image_size, dtype=dtype)
        return metered(encoder, lambda: encoder(pixels, output_hidden_states=True))


def deviations(architecture: Architecture, clip: ClipSize) -> Iterator[tuple[str, float]]:
    """Everything that the package reckons, by name, and how far it is from what is counted, as a share of that."""
    for weights in FORMATS:
        for chunks, kept, prompts, copies in ((1, True, 2, False), (8, False, 1, False), (8, False, 2, True)):
            options = {"weights": weights, "token_chunks": chunks, "keys_values": kept, "prompts": prompts}
            ours = pass_cost(architecture, clip, **options, attention_copies=copies)
            theirs = measure_pass(architecture, clip, **options, attention_copies=copies)
            for name in ("weights", "block", "working", "attention_flops", "other_flops"):
                yield f"{name} of a pass ({weights}, {chunks} chunks)", getattr(ours, name) / getattr(theirs, name) - 1
    for dtype, tiled in ((torch.bfloat16, False), (torch.bfloat16, True), (torch.float32, False)):
        for work, measure in (("encode", measure_encoding), ("decode", measure_decoding)):
            counted = measure(architecture, clip, dtype, tiled=tiled)
            working = autoencoder_working(architecture, clip, work, dtype.itemsize, tiled=tiled)
            yield f"{work} ({dtype}, {tiled=})", working / counted.working - 1
            yield "the autoencoder's weights", autoencoder_weights(architecture, dtype.itemsize) / counted.weights - 1
    encoders = (
        (text_encoder_cost(architecture.text_encoder, 2), measure_text_encoder(architecture)),
        (image_encoder_cost(architecture.image_encoder), measure_image_encoder(architecture)),
    )
    for ours, theirs in encoders:
        for name in ("weights", "largest_layer", "working"):
            yield f"{name} of an encoder", getattr(ours, name) / getattr(theirs, name) - 1
