"""Captions of clips: from the labels of their instances, or by a vision-language model that sees a few frames.

Shape legend: T frames, H height, W width in pixels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.errors import UserError
from real2sam2real.pretrained.hub import find_folder
from real2sam2real.pretrained.models import choose_device, load_pretrained, load_processing

if TYPE_CHECKING:
    import torch

VLM = "vlm:"
FRAMES = 4
_LONGEST = 96  # tokens of an answer
_WITHOUT_TORCHVISION = (
    "Or choose a model that also does without, such as LLaVA or Idefics3's kind (vlm:HuggingFaceTB/SmolVLM-Instruct)"
)
_QUOTES = "\"'“”‘’"
_MANY = ("no", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice", "foot": "feet"}
_UNCHANGED = {"people", "children", "sheep", "deer", "fish"}


class Captioner(Protocol):
    """Says in words what a clip shows."""

    name: str  # by which `load_captioner` knows it

    def caption(self, video: UInt8, labels: Mapping[int, str]) -> str:
        """One caption, a single line, of a clip `(T, H, W, 3)` uint8 sRGB and what each instance is, by its id.

        Raises:
            UserError: there is nothing to say about this clip.
        """
        ...


def load_captioner(name: str) -> Captioner:
    """A captioner, ready to be used.

    Args:
        name: "template", or "vlm:MODEL" with a folder or the hub name of a model that transformers knows as
            image-text-to-text.

    Raises:
        UserError: there is no such captioner, or the model is none that can caption.
        MissingPartError: a package or the weights are missing; the message says how to get them.
    """
    if name == "template":
        return TemplateCaptioner()
    if name.startswith(VLM) and len(name) > len(VLM):
        return VlmCaptioner.load(name.removeprefix(VLM))
    raise UserError(f"there is no captioner '{name}'; take 'template' or 'vlm:MODEL'")


class TemplateCaptioner:
    """See `Captioner`. Lists the labels: "A video of a child and two beds."."""

    name = "template"

    def caption(self, video: UInt8, labels: Mapping[int, str]) -> str:
        """See `Captioner`; the video is not looked at."""
        things = listed(label for _, label in sorted(labels.items()))
        return f"A video of {things}." if things else "A video."


class VlmCaptioner:
    """See `Captioner`. The same clip gets the same words: of the likely next ones the likeliest is taken."""

    def __init__(self, name: str, model: Any, processor: Any, device: torch.device) -> None:
        """Use a loaded model: any that transformers' `AutoModelForImageTextToText` makes, with its `AutoProcessor`.

        Raises:
            UserError: the processor takes no pictures, or has no form for a conversation.
        """
        if getattr(processor, "image_processor", None) is None:
            raise UserError(f"'{name}' takes no pictures; choose a model for images and text, or 'template'")
        if not getattr(processor, "chat_template", None):
            raise UserError(f"'{name}' has no chat template; choose a model that follows instructions, or 'template'")
        self.name, self.model, self.processor, self.device = name, model, processor, device

    @classmethod
    def load(cls, weights: str, device: str = "auto") -> VlmCaptioner:
        """Find and load a model by its folder or hub name; it computes in bfloat16 on a GPU, in float32 elsewhere.

        Raises:
            MissingPartError: transformers, torchvision or the weights are missing; the message says how to get them.
            UserError: the model is none for images and text, or incomplete.
        """
        where = choose_device(device)
        import torch

        folder = find_folder(weights)
        # What the processor lacks is known sooner than the weights are read.
        processor = load_processing("AutoProcessor", folder, "processor", hint=_WITHOUT_TORCHVISION)
        dtype = torch.bfloat16 if where.type == "cuda" else torch.float32
        model = load_pretrained("AutoModelForImageTextToText", folder, kinds=None, device=where, dtype=dtype)
        return cls(f"vlm:{weights}", model, processor, where)

    def caption(self, video: UInt8, labels: Mapping[int, str]) -> str:
        """See `Captioner`."""
        import torch

        inputs = self.inputs(video, labels)
        with torch.inference_mode():
            tokens = self.model.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=_LONGEST)
        answer = tokens[:, inputs["input_ids"].shape[1] :]
        text = self.processor.batch_decode(answer, skip_special_tokens=True)[0]
        text = cleaned(text, broken_off=answer.shape[1] >= _LONGEST)
        if not text:
            raise UserError(f"'{self.name}' has nothing to say about the clip; choose another model, or 'template'")
        return text

    def inputs(self, video: UInt8, labels: Mapping[int, str]) -> Any:
        """What the model is asked, as it takes it: token ids, pictures and whatever else it wants, on its device."""
        from PIL import Image

        pictures = [Image.fromarray(frame) for frame in spread(video)]
        content: list[dict[str, Any]] = [{"type": "image", "image": picture} for picture in pictures]
        content.append({"type": "text", "text": instruction(len(pictures), labels)})
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        return inputs.to(self.device, self.model.dtype)


def spread(video: UInt8) -> UInt8:
    """At most `FRAMES` frames of a clip `(T, H, W, 3)`, evenly spaced from the first to the last."""
    return video[np.unique(np.linspace(0, len(video) - 1, FRAMES).round().astype(np.int64))]


def instruction(frames: int, labels: Mapping[int, str]) -> str:
    """What the model is told about so many pictures of a clip, and the instances in it by their ids."""
    shown = "This is a frame" if frames == 1 else f"These are {frames} frames, in order,"
    things = listed(label for _, label in sorted(labels.items()))
    named = f" Name in it: {things}." if things else ""
    return (
        f"{shown} of one video clip. Describe in one sentence what the clip shows and what happens in it.{named} "
        "Answer with that sentence alone."
    )


def cleaned(answer: str, *, broken_off: bool = False) -> str:
    """An answer as one line, without quotes around it; of one that is broken off, the sentences that are whole."""
    line = " ".join(answer.split()).strip(_QUOTES).strip()
    whole = re.match(r".*[.!?](?=\s|$)", line) if broken_off else None
    return whole.group() if whole else line


def listed(labels: Iterable[str]) -> str:
    """Labels as one phrase, alike ones counted: "a child and two beds"; empty where there are none."""
    names = Counter(" ".join(label.split()) for label in labels if label.strip())
    return _joined([_counted(name, number) for name, number in names.items()])


def _counted(name: str, number: int) -> str:
    if number > 1:
        many = _MANY[number] if number < len(_MANY) else str(number)
        return f"{many} {_plural(name)}"
    first, *_ = name.lower().split()
    if first in {"a", "an", "the", "his", "her", "their"} or name.split()[-1].lower() in _UNCHANGED - {"deer", "fish"}:
        return name
    return f"{'an' if first[0] in 'aeiou' and not first.startswith(('uni', 'one', 'eu')) else 'a'} {name}"


def _plural(name: str) -> str:
    *before, last = name.split()
    low = last.lower()
    if low in _UNCHANGED:
        many = last
    elif low in _IRREGULAR:
        many = _IRREGULAR[low]
    elif low.endswith(("s", "x", "z", "ch", "sh")):
        many = f"{last}es"
    elif low.endswith("y") and low[-2:-1] not in set("aeiou"):
        many = f"{last[:-1]}ies"
    else:
        many = f"{last}s"
    return " ".join([*before, many])


def _joined(phrases: list[str]) -> str:
    *before, last = phrases or [""]
    return f"{', '.join(before)} and {last}" if before else last
