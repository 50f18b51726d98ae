"""The memory plans: where weights wait, how they are stored, what is done in parts.

Light on purpose: the command line reads the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from real2sam2real.errors import UserError

WeightFormat = Literal["float32", "bfloat16", "float8", "float8-dynamic", "int8", "nf4", "gguf"]
PlanName = Literal[
    "resident", "compact", "stream", "int8", "fp8", "stream-int8", "gguf", "stream-gguf", "nf4", "fp8-dynamic", "cpu"
]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One way to fit the model into a machine.

    Attributes:
        name: as on the command line.
        purpose: for people, one line.
        device: what it computes on.
        weights: how the linear layers of the transformer's blocks are stored; "bfloat16" on a CPU without native
            bfloat16 means float32.
        blocks_streamed: the transformer's blocks wait in CPU memory and are copied to the device one ahead of use.
        image_encoder_stays: it is kept on the device. Else its layers are read from its file when they are called, as
            those of the text encoder are under every plan.
        vae_tiled: the autoencoder works tile by tile.
        token_chunks: in how many parts the blocks work through the tokens where they can.
        precompute_context: keep the cross-attention's keys and values of all blocks through a segment.
        package: what it needs beside torch and diffusers.
        capability: least CUDA compute capability; bfloat16 is native from 8.0 on, float8 from 8.9.
    """

    name: PlanName
    purpose: str
    device: Literal["cuda", "cpu"] = "cuda"
    weights: WeightFormat = "bfloat16"
    blocks_streamed: bool = False
    image_encoder_stays: bool = False
    vae_tiled: bool = True
    token_chunks: int = 8
    precompute_context: bool = False
    package: str | None = None
    capability: tuple[int, int] = (8, 0)


# Preferred first: what rounds nothing, then what rounds little; of these, what costs less time.
PLANS: tuple[Plan, ...] = (
    Plan(
        name="resident",
        purpose="everything on the GPU in bfloat16; nothing in parts",
        image_encoder_stays=True,
        vae_tiled=False,
        token_chunks=1,
        precompute_context=True,
    ),
    Plan(
        name="compact",
        purpose="the transformer on the GPU in bfloat16; VAE in tiles, tokens in chunks",
    ),
    Plan(
        name="stream",
        purpose="bfloat16 in CPU memory, copied to the GPU block by block",
        blocks_streamed=True,
    ),
    Plan(
        name="int8",
        purpose="8-bit integer weights on the GPU",
        weights="int8",
        package="torchao",
    ),
    Plan(
        name="fp8",
        purpose="8-bit floating-point weights on the GPU",
        weights="float8",
        package="torchao",
        capability=(8, 9),
    ),
    Plan(
        name="stream-int8",
        purpose="8-bit integer weights in CPU memory, copied to the GPU block by block",
        weights="int8",
        blocks_streamed=True,
        package="torchao",
    ),
    Plan(
        name="gguf",
        purpose="the weights of a GGUF file, packed as they are, on the GPU",
        weights="gguf",
        package="gguf",
    ),
    Plan(
        name="stream-gguf",
        purpose="the packed weights of a GGUF file, read from disk and copied to the GPU block by block",
        weights="gguf",
        blocks_streamed=True,
        package="gguf",
    ),
    Plan(
        name="nf4",
        purpose="4-bit weights on the GPU",
        weights="nf4",
        package="bitsandbytes",
    ),
    Plan(
        name="fp8-dynamic",
        purpose="8-bit floating-point weights on the GPU, multiplied in 8 bits too; nothing in parts",
        weights="float8-dynamic",
        image_encoder_stays=True,
        vae_tiled=False,
        token_chunks=1,
        precompute_context=True,
        capability=(8, 9),
    ),
    Plan(
        name="cpu",
        purpose="everything on the CPU",
        device="cpu",
        image_encoder_stays=True,
        vae_tiled=False,
        token_chunks=1,
        precompute_context=True,
    ),
)


def find_plan(name: str) -> Plan:
    """The plan of that name.

    Raises:
        UserError: there is none.
    """
    for plan in PLANS:
        if plan.name == name:
            return plan
    names = ", ".join(plan.name for plan in PLANS)
    raise UserError(f"there is no memory plan '{name}'; give auto, or one of: {names}")
