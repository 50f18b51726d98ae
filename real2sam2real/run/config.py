"""What a user may choose, as frozen values; the command line's flags and help are made from these classes.

Light on purpose: no image, no mesh and no tensor is touched here, only text that becomes checked values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import UseAppendAction, arg

from real2sam2real.errors import UserError

DEFAULT_FRAMES = 49
DEFAULT_FPS = 16.0

# One sign and two numbers per point: "+" lies on the object, "-" beside it.
_POINT = re.compile(r"([+-]?)(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)")
_SIZE = re.compile(r"(\d+)\s*[x×]\s*(\d+)")

Texts = UseAppendAction[tuple[str, ...]]
OptionalPath = Path | None
Init = Literal["noise", "preview"]
Preset = Literal["official", "quality", "balanced", "fast"]
SegmentModel = Literal["grabcut", "sam2", "sam3"]
DepthModel = Literal["none", "moge", "depth-pro"]
Contact = Literal["auto", "off"]
MeshFrame = Literal["auto", "object", "camera-opengl", "camera-opencv"]
MeshUp = Literal["y", "z"]
_AS_TRAINED = "(default: the checkpoint's own)"


@dataclass(frozen=True, kw_only=True)
class ObjectOptions:
    """Which objects of the photo can move. At least one is needed; docs/masks.md tells more."""

    mask: Annotated[Texts, arg(metavar="[NAME=]FILE")] = ()
    """A mask picture, white where the object is, or a folder with one such picture per object."""
    box: Annotated[Texts, arg(metavar="NAME=X0,Y0,X1,Y1")] = ()
    """A box in the photo's pixels, left, top, right, bottom; the object inside it is cut out."""
    points: Annotated[Texts, arg(metavar="NAME=X,Y+X,Y-X,Y")] = ()
    """Points in the photo's pixels: '+' joins one on the object, '-' one beside it."""
    text: Annotated[Texts, arg(metavar="[NAME=]WORDS")] = ()
    """What the object is, such as "red car"; needs --segmenter sam2 or sam3."""
    propose: bool = False
    """Look for the objects in the foreground; needs --segmenter sam2."""
    segmenter: Annotated[SegmentModel, arg(metavar="{grabcut,sam2,sam3}")] = "grabcut"
    """What cuts objects out: GrabCut needs no download; SAM 2.1 (open) and SAM 3 (gated) do."""
    in_front: Annotated[Texts, arg(metavar="FILE|X0,Y0,X1,Y1")] = ()
    """A mask or a box around something that is no object of its own but hides a part of one."""

    @property
    def any_named(self) -> bool:
        """Whether there is a way to an object."""
        return bool(self.mask or self.box or self.points or self.text or self.propose)

    def require_any(self) -> None:
        """Say how to name an object when none is named.

        Raises:
            UserError: there is neither a mask nor a box nor a point nor a word.
        """
        if not self.any_named:
            raise UserError(
                "no object was named, so nothing can be lifted or moved. Give at least one of\n"
                "  --mask [NAME=]FILE          a picture of the photo's size, white on the object\n"
                "  --box NAME=X0,Y0,X1,Y1      a box around it, in pixels from the top-left corner\n"
                "  --points NAME=X,Y+X,Y-X,Y   points on it (+) and beside it (-)\n"
                "  --text WORDS --segmenter sam2   what it is, in words (downloads models)\n"
                "for example: --box cup=120,80,340,300"
            )


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """What is known of the photo's camera; docs/camera.md says what happens otherwise."""

    fov: Annotated[float | None, arg(metavar="DEGREES", help_behavior_hint="(default: from EXIF, else 55)")] = None
    """Horizontal field of view."""
    focal: Annotated[float | None, arg(metavar="PIXELS", help_behavior_hint="")] = None
    """The same as a focal length in pixels of the photo's file."""
    pitch: Annotated[float | None, arg(metavar="DEGREES", help_behavior_hint="(default: estimated)")] = None
    """How far the camera looks down; tells the lifter how the ground lies."""
    depth: Annotated[DepthModel, arg(metavar="{none,moge,depth-pro}")] = "none"
    """Estimate depth, lens, gravity and ground: MoGe-2 (MIT), or Depth Pro (for research only)."""
    depth_model: Annotated[str | None, arg(metavar="FOLDER|ID", help_behavior_hint="(default: the published one)")] = (
        None
    )
    """Weights of the depth estimator."""

    def __post_init__(self) -> None:
        if self.fov is not None and self.focal is not None:
            raise UserError("--fov and --focal say the same; give one of them")
        if self.focal is not None and not 1 <= self.focal < 1e6:
            raise UserError(f"--focal {self.focal:g} is not a focal length in pixels; a photo's is about its width")


@dataclass(frozen=True, kw_only=True)
class LifterOptions:
    """Which lifter makes the meshes, and where it runs; docs/lifters.md says how each is set up."""

    lifter: Annotated[Texts, arg(metavar="[NAME=]LIFTER")] = ()
    """embedded (default), sam3d, sam3d-body, triposg or step1x3d, for all objects or for one."""
    lifter_python: Annotated[Texts, arg(metavar="[LIFTER=]PATH")] = ()
    """Python of the lifter's own environment."""
    lifter_host: Annotated[str | None, arg(metavar="USER@HOST", help_behavior_hint="(default: this machine)")] = None
    """Where the lifter runs, reached by ssh."""
    lifter_code: Annotated[Texts, arg(metavar="[LIFTER=]FOLDER")] = ()
    """Clone of the lifter's repository, where it is not installed in that environment."""
    lifter_weights: Annotated[Texts, arg(metavar="[LIFTER=]PATH|ID")] = ()
    """The lifter's weights, where they are not in their usual place."""
    lifter_timeout: Annotated[float, arg(metavar="SECONDS")] = 1800.0
    """Stop a lifter that is longer at one object, or at loading its model."""

    def __post_init__(self) -> None:
        if not self.lifter_timeout > 0:
            raise UserError(f"--lifter-timeout {self.lifter_timeout:g} leaves no time; an object takes about a minute")

    def lifter_of(self, name: str) -> str:
        """The lifter of one object."""
        return value_for(name, self.lifter) or "embedded"


@dataclass(frozen=True, kw_only=True)
class LiftOptions(LifterOptions):
    """How objects become meshes; docs/lifting.md, docs/lifters.md and docs/meshes.md tell more."""

    mesh: Annotated[Texts, arg(metavar="NAME=FILE")] = ()
    """A mesh of your own for an object: GLB, OBJ, PLY or STL."""
    mesh_frame: Annotated[MeshFrame, arg(metavar="{auto,object,camera-opengl,camera-opencv}")] = "auto"
    """What the numbers in mesh files mean: their own frame, or a place in front of the photo's camera."""
    mesh_up: Annotated[MeshUp, arg(metavar="{y,z}")] = "y"
    """The axis that points up in mesh files of their own frame."""
    clip: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: the first)")] = None
    """The animation of a mesh file that is played."""
    loop: bool = False
    """Begin that animation again after its end."""
    triangles: Annotated[int, arg(metavar="N")] = 40_000
    """Most triangles of a mesh that is not made by the embedded lifter."""
    keep_pose: bool = False
    """Leave meshes where they say that they are, in place of aligning them with their masks."""
    free_lens: bool = False
    """Let the alignment change the focal length too."""
    contact: Annotated[Contact, arg(metavar="{auto,off}")] = "auto"
    """Let things stand on the ground and on each other, and part those that reach into one another."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.triangles < 100:
            raise UserError(f"--triangles {self.triangles} is too few; at least 100 are needed")


@dataclass(frozen=True, kw_only=True)
class ShotOptions:
    """What happens: a shot file, or short moves on the command line; both can be combined."""

    shot: Annotated[OptionalPath, arg(metavar="FILE", help_behavior_hint="")] = None
    """A shot file (YAML); docs/shots.md describes it."""
    camera: Annotated[Texts, arg(metavar="MOVES")] = ()
    """Camera moves in words, such as "orbit 30deg around cup; dolly in 0.5"."""
    move: Annotated[Texts, arg(metavar="NAME:MOVES")] = ()
    """An object's moves in words, such as "cup: right 0.5, turn 90deg"."""
    remove: Annotated[Texts, arg(metavar="NAME")] = ()
    """Take an object out of the photo."""
    frames: Annotated[int | None, arg(metavar="T", help_behavior_hint="(default: as the shot file says, else 49)")] = (
        None
    )
    """Number of frames, 4k + 1."""
    fps: Annotated[float | None, arg(metavar="FPS", help_behavior_hint="(default: as the shot file says, else 16)")] = (
        None
    )
    """Frames per second."""
    prompt: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None
    """What the video shows, for checkpoints that read text."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which video model is used."""

    checkpoint: Annotated[str, arg(metavar="NAME|FOLDER")] = "mini"
    """'mini' (shipped with the package), a checkpoint folder, or an adapter's folder or name on the hub."""
    base: Annotated[str, arg(metavar="FOLDER|FILE|ID")] = "Wan-AI/Wan2.2-Animate-14B-Diffusers"
    """The base model that an adapter is put on: a folder, a .safetensors or .gguf file, or a name on the hub."""
    parts: Annotated[str | None, arg(metavar="FOLDER|ID", help_behavior_hint="(default: beside the base)")] = None
    """Where VAE and encoders are, for a base that is a transformer alone."""
    lora: Annotated[Texts, arg(metavar="FILE[=WEIGHT]")] = ()
    """A further LoRA, such as one that was distilled to four steps."""
    plan: Annotated[str, arg(metavar="auto|NAME")] = "auto"
    """How a large model fits into memory; r2s2r doctor lists the plans."""
    offline: bool = False
    """Never reach for the network."""


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(ModelOptions):
    """How the video model is run."""

    preset: Annotated[
        Preset | None, arg(metavar="{official,quality,balanced,fast}", help_behavior_hint=_AS_TRAINED)
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
    coding: Annotated[str | None, arg(metavar="NAME", help_behavior_hint=_AS_TRAINED)] = None
    """Which way the axes of the normals point in the checkpoint's training; docs/control.md lists the names."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """The same seed on the same machine gives the same video."""
    gpus: Annotated[int, arg(metavar="N")] = 1
    """Share one shot among so many GPUs."""
    live: Annotated[OptionalPath, arg(metavar="FILE.png", help_behavior_hint="")] = None
    """A picture of the video as it stands, written anew after each step."""

    def __post_init__(self) -> None:
        if self.strength is not None and not 0 <= self.strength <= 1:
            raise UserError(f"--strength {self.strength:g} is outside 0…1")
        if self.steps is not None and self.steps < 1:
            raise UserError(f"--steps {self.steps} is too few; at least 1 is needed")
        if self.guidance is not None and not 1 <= self.guidance <= 100:
            raise UserError(f"--guidance {self.guidance:g} is outside 1…100")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"--seed {self.seed} is outside 0…2^63 - 1")
        if self.gpus < 1:
            raise UserError(f"--gpus {self.gpus} is too few; at least 1 is needed")

    def decisive(self) -> dict[str, Any]:
        """The values that decide which video comes out, as JSON values."""
        values: dict[str, Any] = as_json(self)
        return {name: value for name, value in values.items() if name not in ("offline", "gpus", "live")}


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Many shots at once: see docs/batches.md."""

    ray: bool = False
    """Spread the shots over all GPUs by Ray."""
    workers: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: one per GPU, else one)")] = None
    """With --ray: processes that each hold the model."""
    ray_address: Annotated[
        str | None, arg(metavar="HOST:PORT", help_behavior_hint="(default: $RAY_ADDRESS, else this machine alone)")
    ] = None
    """The Ray cluster to join; implies --ray."""
    retries: Annotated[int, arg(metavar="N")] = 2
    """How often a shot is tried again after its worker died or failed unexpectedly."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers {self.workers} is too few; at least 1 is needed")
        if self.workers is not None and not self.uses_ray:
            raise UserError(f"--workers {self.workers} needs --ray; without it, shots are made one after another")
        if self.retries < 0:
            raise UserError(f"--retries {self.retries} is negative; 0 tries every shot once")

    @property
    def uses_ray(self) -> bool:
        """True if Ray is asked for, by its switch or by an address."""
        return self.ray or self.ray_address is not None


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what a run makes; it is stored in run.json."""

    photo: Path
    objects: ObjectOptions
    shot: ShotOptions
    generate: GenerateOptions
    view: ViewOptions = field(default_factory=ViewOptions)
    lift: LiftOptions = field(default_factory=LiftOptions)
    size: str | None = None
    preview_only: bool = False


def value_for(name: str, values: Sequence[str]) -> str | None:
    """Of values such as `["a", "car=b"]` the one for `name`: its own, else the last without a name, else None."""
    general = None
    for value in values:
        owner, equals, own = value.partition("=")
        if equals and owner == name:
            return own
        general = general if equals else value
    return general


def split_named(option: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """`["car=a.png"]` to `[("car", "a.png")]`, in order.

    Raises:
        UserError: a value has no name or no content, or a name comes twice.
    """
    pairs = []
    for value in values:
        name, equals, content = value.partition("=")
        if not (equals and name.strip() and content.strip()):
            raise UserError(f"{option} '{value}' is not NAME=VALUE; write it as {option} car=…")
        pairs.append((name.strip(), content.strip()))
    return pairs


def parse_box(label: str, text: str) -> tuple[int, int, int, int]:
    """`"120,80,340,300"` to `(x0, y0, x1, y1)` in pixels.

    Args:
        label: what the box was given as, such as "--box car", for messages.
        text: four numbers.

    Raises:
        UserError: it is not four numbers, or the box is empty.
    """
    try:
        x0, y0, x1, y1 = (round(float(part)) for part in text.split(","))
    except (ValueError, OverflowError):
        raise UserError(f"{label}={text} is not four numbers; write X0,Y0,X1,Y1 in pixels") from None
    if x1 <= x0 or y1 <= y0:
        raise UserError(f"{label}={text} is empty: X1 must exceed X0 and Y1 must exceed Y0")
    return x0, y0, x1, y1


def parse_points(name: str, text: str) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """`"120,80+130,95-20,20"` to the points inside and the points outside, `(x, y)` in pixels.

    Raises:
        UserError: the text is something else, or no point lies inside.
    """
    compact = text.replace(" ", "")
    found = list(_POINT.finditer(compact))
    if "".join(match.group() for match in found) != compact:
        raise UserError(f"--points {name}={text} is not understood; write X,Y+X,Y-X,Y, for example 120,80+130,95-20,20")
    inside: list[tuple[float, float]] = []
    outside: list[tuple[float, float]] = []
    for match in found:
        sign, x, y = match.groups()
        (outside if sign == "-" else inside).append((float(x), float(y)))
    if not inside:
        raise UserError(f"--points {name}={text} has no point on the object; start with one, such as 120,80")
    return inside, outside


def parse_size(text: str) -> tuple[int, int]:
    """`"1280x720"` to `(1280, 720)`.

    Raises:
        UserError: it is not two numbers, or a side is outside 16…8192.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise UserError(f"--size {text} is not understood; write WIDTHxHEIGHT, such as 1280x720")
    width, height = int(match[1]), int(match[2])
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise UserError(f"--size {text} has a side outside 16…8192 pixels")
    return width, height


def as_json(value: Any) -> Any:
    """A config as JSON values: paths become text, tuples become lists."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "__dataclass_fields__"):
        return {name: as_json(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return value
