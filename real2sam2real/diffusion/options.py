"""What a user may choose about the video model. Light: no tensor is touched here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tyro.conf import arg

from real2sam2real.errors import UserError
from real2sam2real.options import OptionalPath, Texts, as_json

Init = Literal["noise", "preview"]
Switch = Literal["on", "off"]
Compile = Literal["auto", "on", "off"]
PresetName = Literal["official", "quality", "balanced", "fast"]

DEFAULT_BASE = "Wan-AI/Wan2.2-Animate-14B-Diffusers"
OFFICIAL_ADAPTER = "JiayiWuLeo/Real2SAM2Real"
"""The published adapter on the hub."""
DOWNLOADS = {DEFAULT_BASE: "82 GB", "Wan-AI/Wan2.2-Animate-14B": "51 GB", OFFICIAL_ADAPTER: "0.5 to 1 GB"}
"""What is fetched of the published repositories, by the networks' sizes and the precision they are stored in."""
_AS_TRAINED = "(default: the checkpoint's own)"
# Options that do not decide what the video shows, and the names under which others entered the hashes of batch folders.
_INDIFFERENT = {"offline", "gpus", "preview_image"}
# Hashes stay as they were before there were such options.
_LATER = ("upscale", "guided_steps", "guidance_interval", "attention", "compile")
_STORED = {"components": "parts", "memory": "plan", "normal_convention": "coding"}


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which video model is used."""

    checkpoint: Annotated[str, arg(metavar="NAME|FOLDER")] = "mini"
    """'mini' (shipped with the package), a checkpoint folder, or an adapter's folder or name on the hub, such as
    JiayiWuLeo/Real2SAM2Real."""
    base: Annotated[str, arg(metavar="FOLDER|FILE|ID")] = DEFAULT_BASE
    """The base model that an adapter is put on: a folder, a .safetensors or .gguf file, or a name on the hub."""
    components: Annotated[str | None, arg(metavar="FOLDER|ID", help_behavior_hint="(default: beside the base)")] = None
    """Where VAE and encoders are, for a base that is a transformer alone."""
    lora: Annotated[Texts, arg(metavar="FILE[=WEIGHT]")] = ()
    """A further LoRA, such as one that was distilled to four steps."""
    memory: Annotated[str, arg(metavar="auto|NAME")] = "auto"
    """How a large model fits into memory; r2s2r doctor lists the plans."""
    attention: Annotated[str, arg(metavar="auto|NAME")] = "auto"
    """Which attention kernel runs; r2s2r doctor lists them. auto is the fastest exact one that is installed."""
    offline: bool = False
    """Never reach for the network."""


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(ModelOptions):
    """How the video model is run."""

    preset: Annotated[
        PresetName | None, arg(metavar="{official,quality,balanced,fast}", help_behavior_hint=_AS_TRAINED)
    ] = None
    """How many passes a shot gets; docs/generate.md says what each costs. An adapter's default is quality."""
    init: Annotated[Init | None, arg(metavar="{noise,preview}", help_behavior_hint=_AS_TRAINED)] = None
    """Start from pure noise, or from the preview's latents at --strength."""
    strength: Annotated[float | None, arg(metavar="S", help_behavior_hint=_AS_TRAINED)] = None
    """With --init preview: 0 keeps the preview, 1 forgets it."""
    steps: Annotated[int | None, arg(metavar="N", help_behavior_hint=_AS_TRAINED)] = None
    """Denoising steps."""
    guidance: Annotated[float | None, arg(metavar="SCALE", help_behavior_hint=_AS_TRAINED)] = None
    """Classifier-free guidance; 1 is none and halves the passes."""
    guided_steps: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: the preset's)")] = None
    """Compute guidance in the first N steps; later ones keep its last difference. docs/generate.md says more."""
    guidance_interval: Annotated[int | None, arg(metavar="K", help_behavior_hint="(default: the preset's)")] = None
    """After the first N steps, compute guidance in every K-th step again; 0: in none."""
    upscale: Annotated[Switch | None, arg(metavar="{on,off}", help_behavior_hint=_AS_TRAINED)] = None
    """Enlarge the video to the preview's size, with the preview's own detail where the two agree."""
    normal_convention: Annotated[str | None, arg(metavar="NAME", help_behavior_hint=_AS_TRAINED)] = None
    """Which way the axes of the normals point in the checkpoint's training; docs/control.md lists the names."""
    compile: Annotated[Compile, arg(metavar="{auto,on,off}")] = "auto"
    """Compile the transformer's blocks first: auto does where a shot has passes enough to gain by it."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """The same seed on the same machine gives the same video."""
    gpus: Annotated[int, arg(metavar="N")] = 1
    """Share one shot among so many GPUs."""
    preview_image: Annotated[OptionalPath, arg(metavar="FILE.png", help_behavior_hint="")] = None
    """A picture of the video as it stands, written anew after each step."""

    def __post_init__(self) -> None:
        if self.strength is not None and not 0 <= self.strength <= 1:
            raise UserError(f"--strength {self.strength:g} is outside 0…1")
        if self.steps is not None and self.steps < 1:
            raise UserError(f"--steps {self.steps} is too few; at least 1 is needed")
        if self.guidance is not None and not 1 <= self.guidance <= 100:
            raise UserError(f"--guidance {self.guidance:g} is outside 1…100")
        if self.guided_steps is not None and self.guided_steps < 1:
            raise UserError(f"--guided-steps {self.guided_steps} is too few; at least 1 is needed (none: --guidance 1)")
        if self.guidance_interval is not None and self.guidance_interval < 0:
            raise UserError(f"--guidance-interval {self.guidance_interval} is negative; 0 is the least")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"--seed {self.seed} is outside 0…2^63 - 1")
        if self.gpus < 1:
            raise UserError(f"--gpus {self.gpus} is too few; at least 1 is needed")

    def decisive(self) -> dict[str, Any]:
        """The values that decide which video comes out, as JSON values, by the names that hashes on disk know."""
        values: dict[str, Any] = as_json(self)
        for name in _LATER:
            if values[name] in (None, "auto"):
                del values[name]
        return {_STORED.get(name, name): value for name, value in values.items() if name not in _INDIFFERENT}
