"""NanoDet: where the things are that 80 words name. Its weights come with the package.

Shape letters: S steps (cells of a level's grid), C = 80 words, B = 11 bins of a distance.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from real2sam2real.arrays import Float, Float32, UInt8
from real2sam2real.perceive.segment.detections import box_overlaps, suppress_overlapping
from real2sam2real.workfolder.json_values import read_json

if TYPE_CHECKING:
    import torch

SIDE = 416  # pixels of the picture that the network looks at
STRIDES = (8, 16, 32)  # pixels per cell, level by level
# Means and deviations of blue, green and red with which it was trained, 0…255.
_MEAN, _DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)

# Nodes after the backbone's last two stages, with cells of 16 and of 32 pixels.
_BACKBONE = ("PartitionedCall/onnx_tf_prefix_Concat_42", "PartitionedCall/onnx_tf_prefix_Concat_62")

_GREY = 114  # of the bars beside the photo
_SAME = 0.5  # IoU from which two looks see one thing

# The words of COCO in the network's order.
WORDS = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
    "hair drier", "toothbrush",
)  # fmt: skip

# What people say for them.
SYNONYMS = {
    "aeroplane": "airplane", "bag": "handbag", "ball": "sports ball", "bike": "bicycle", "boy": "person",
    "child": "person", "cycle": "bicycle", "dancer": "person", "doughnut": "donut", "football": "sports ball",
    "fridge": "refrigerator", "girl": "person", "glass": "wine glass", "hydrant": "fire hydrant", "jet": "airplane",
    "kid": "person", "lady": "person", "lorry": "truck", "man": "person", "mobile phone": "cell phone",
    "motorbike": "motorcycle", "mug": "cup", "people": "person", "phone": "cell phone", "plane": "airplane",
    "plant": "potted plant", "pot plant": "potted plant", "puppy": "dog", "racket": "tennis racket", "ship": "boat",
    "smartphone": "cell phone", "soccer ball": "sports ball", "sofa": "couch", "table": "dining table",
    "taxi": "car", "teddy": "teddy bear", "television": "tv", "van": "car", "woman": "person",
}  # fmt: skip


def coco_word(word: str) -> str | None:
    """The network's own word for a word of a user's, in lower case; None where it knows none."""
    for each in (word, word.removesuffix("s"), word.removesuffix("es")):
        if (known := SYNONYMS.get(each, each)) in WORDS:
            return known
    return None


@dataclass(frozen=True, kw_only=True)
class ScoredBox:
    """Where the network sees a thing."""

    word: str  # one of WORDS
    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the photo
    score: float  # 0…1


@dataclass(eq=False)
class NanoDet:
    """The network, loaded, and what it saw in the photo that it was last asked about."""

    graph: TensorFlowGraph
    _seen: tuple[UInt8, Float, Float] | None = None

    @classmethod
    @cache
    def load(cls) -> NanoDet:
        """From the package; the same one every time, so that all who ask about a photo share its look."""
        return cls(TensorFlowGraph.read(Path(str(resources.files("real2sam2real"))) / "assets" / "nanodet"))

    def detect(self, pixels: UInt8, words: Sequence[str], least: float, overlap: float) -> list[ScoredBox]:
        """Boxes of things, the surest first; of what one word names, none that overlap much.

        The network looks twice, at the photo with bars around it and at its mirror image stretched to a square: what
        it sees but once counts half.

        Args:
            pixels: `(H, W, 3)` uint8 sRGB.
            words: those of WORDS that are looked for.
            least: score from which a thing counts, 0…1.
            overlap: IoU from which two boxes of one word are one thing; at most that from which two looks see one.
        """
        boxes, scores = self._looks(pixels)
        height, width = pixels.shape[:2]
        boxes = np.clip(boxes, 0, [width, height] * 2)
        first = np.arange(len(boxes)) < len(boxes) // 2
        found = []
        for word in words:
            score = scores[:, WORDS.index(word)]
            likely = np.flatnonzero(score >= least)
            for k in likely[suppress_overlapping(boxes[likely], score[likely], min(overlap, _SAME))]:
                same = box_overlaps(boxes[k], boxes) >= _SAME
                mean = float(score[same & first].max(initial=0) + score[same & ~first].max(initial=0)) / 2
                left, top, right, bottom = boxes[k].tolist()
                if mean >= least:
                    found.append(ScoredBox(word=word, box=(left, top, right, bottom), score=mean))
        return sorted(found, key=lambda each: each.score, reverse=True)

    def features(self, pixels: UInt8) -> list[Float32]:
        """What the backbone sees of a photo `(H, W, 3)` uint8 sRGB that is stretched to a square.

        Returns:
            Two grids of features: `(256, 26, 26)` and `(512, 13, 13)` float32.
        """
        return [out[0].numpy() for out in self._backbone.run(_picture(pixels))]

    @cached_property
    def _backbone(self) -> TensorFlowGraph:
        return TensorFlowGraph(self.graph.nodes, _BACKBONE, self.graph.weights)

    def _looks(self, pixels: UInt8) -> tuple[Float, Float]:
        """Boxes `(S, 4)` and scores `(S, C)` of both looks at a photo, which nobody may change in place."""
        if self._seen is None or self._seen[0] is not pixels:
            looks = (self._look_with_bars(pixels), self._look_mirrored(pixels))
            boxes, scores = (np.concatenate(each) for each in zip(*looks, strict=True))
            self._seen = pixels, boxes, scores
        return self._seen[1:]

    def _look_with_bars(self, pixels: UInt8) -> tuple[Float, Float]:
        """Boxes `(S, 4)` in the photo's pixels and scores `(S, C)`; grey bars make the photo a square."""
        height, width = pixels.shape[:2]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = np.full((side, side, 3), _GREY, np.uint8)
        square[top : top + height, left : left + width] = pixels
        boxes, scores = self._look(square)
        return boxes * side / SIDE - [left, top, left, top], scores

    def _look_mirrored(self, pixels: UInt8) -> tuple[Float, Float]:
        """The same for the mirror image, stretched to a square."""
        height, width = pixels.shape[:2]
        boxes, scores = self._look(np.ascontiguousarray(pixels[:, ::-1]))
        boxes[:, [0, 2]] = SIDE - boxes[:, [2, 0]]
        return boxes * np.array([width, height] * 2) / SIDE, scores

    def _look(self, pixels: UInt8) -> tuple[Float, Float]:
        """Boxes `(S, 4)` in pixels of the network's picture and scores `(S, C)`, of all levels."""
        outputs = [out[0].double().numpy() for out in self.graph.run(_picture(pixels))]
        boxes, scores = [], []
        for stride in STRIDES:
            cells = SIDE // stride
            level = [out for out in outputs if len(out) == cells * cells]
            (score,) = (out for out in level if out.shape[1] == len(WORDS))
            (bins,) = (out for out in level if out.shape[1] != len(WORDS))
            number = np.arange(cells * cells)
            centre = (np.stack([number % cells, number // cells], axis=1) + 0.5) * stride
            distance = _expected(bins.reshape(len(bins), 4, -1)) * stride  # to the left, top, right, bottom
            boxes.append(np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], axis=1))
            scores.append(score)
        return np.concatenate(boxes), np.concatenate(scores)


def _picture(pixels: UInt8) -> torch.Tensor:
    """What the network looks at, `(1, 3, SIDE, SIDE)` float32, of pixels `(H, W, 3)` uint8 sRGB."""
    import torch

    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[..., ::-1]
    picture = ((small - np.array(_MEAN)) / _DEVIATION).transpose(2, 0, 1)[None].astype(np.float32)
    return torch.from_numpy(picture)


def _expected(logits: Float) -> Float:
    """The mean `(S, 4)` of the distribution over bins 0, 1 … that logits `(S, 4, B)` state."""
    weight = np.exp(logits - logits.max(axis=-1, keepdims=True))
    mean: Float = (weight * np.arange(logits.shape[-1])).sum(axis=-1) / weight.sum(axis=-1)
    return mean


class TensorFlowGraph:
    """A graph in TensorFlow.js' two files, computed by torch: as far as NanoDet needs it. Pictures are NHWC in it."""

    def __init__(self, nodes: Mapping[str, Mapping[str, Any]], outputs: Sequence[str], weights: Mapping[str, Any]):
        self.nodes, self.outputs, self.weights = nodes, outputs, weights

    @classmethod
    def read(cls, folder: Path) -> TensorFlowGraph:
        """From `nanodet.json` and `nanodet.bin`; weights of two bytes become float32."""
        import torch

        graph = read_json(folder / "nanodet.json")
        raw = (folder / "nanodet.bin").read_bytes()
        weights, start = {}, 0
        for entry in graph["weightsManifest"][0]["weights"]:
            stored = np.dtype(entry.get("quantization", {}).get("dtype", entry["dtype"]))
            count = int(np.prod(entry["shape"], dtype=np.int64))
            value = np.frombuffer(raw, stored, count, start).reshape(entry["shape"])
            weights[entry["name"]] = torch.from_numpy(value.astype(np.float32 if stored.kind == "f" else np.int64))
            start += value.nbytes
        if start != len(raw):
            raise ValueError(f"the weights take {start} bytes, the file has {len(raw)}")
        nodes = {node["name"]: node for node in graph["modelTopology"]["node"]}
        outputs = [each["name"] for each in graph["signature"]["outputs"].values()]
        return cls(nodes, outputs, weights)

    def run(self, picture: torch.Tensor) -> list[torch.Tensor]:
        """All outputs for the one input, `(1, 3, SIDE, SIDE)` float32."""
        import torch

        values: dict[str, Any] = dict(self.weights)
        with torch.inference_mode():
            for name in self._order:
                node = self.nodes[name]
                if node["op"] == "Placeholder":
                    values[name] = picture
                elif name not in values:
                    inputs = [_output(values, given) for given in node["input"]]
                    values[name] = _OPERATIONS[node["op"]](inputs, node.get("attr", {}))
        return [_output(values, name) for name in self.outputs]

    @cached_property
    def _order(self) -> list[str]:
        """Names of all nodes that the outputs need, each behind what it needs itself."""
        order: dict[str, None] = {}
        waiting = [name.partition(":")[0] for name in self.outputs]
        while waiting:
            needed = [given.partition(":")[0] for given in self.nodes[waiting[-1]].get("input", [])]
            missing = [name for name in needed if name not in order]
            if missing:
                waiting += missing
            else:
                order[waiting.pop()] = None
        return list(order)


def _output(values: Mapping[str, Any], name: str) -> Any:
    node, _, number = name.partition(":")
    return values[node][int(number or 0)] if isinstance(values[node], tuple) else values[node]


def _convolution(inputs: list[Any], attributes: Mapping[str, Any]) -> torch.Tensor:
    from torch.nn.functional import conv2d

    picture, kernel = inputs[0].permute(0, 3, 1, 2), inputs[1].permute(3, 2, 0, 1)
    _check_valid(attributes)
    stride = [int(value) for value in attributes["strides"]["list"]["i"][1:3]]
    return conv2d(picture, kernel, stride=stride, groups=picture.shape[1] // kernel.shape[1]).permute(0, 2, 3, 1)


def _max_pool(inputs: list[Any], attributes: Mapping[str, Any]) -> torch.Tensor:
    from torch.nn.functional import max_pool2d

    _check_valid(attributes)
    side, stride = ([int(v) for v in attributes[name]["list"]["i"][1:3]] for name in ("ksize", "strides"))
    return max_pool2d(inputs[0].permute(0, 3, 1, 2), side, stride).permute(0, 2, 3, 1)


def _check_valid(attributes: Mapping[str, Any]) -> None:
    padding = base64.b64decode(attributes["padding"]["s"]).decode()
    if padding != "VALID":
        raise ValueError(f"the padding {padding} is not known")


def _pad(inputs: list[Any], _: Mapping[str, Any]) -> torch.Tensor:
    from torch.nn.functional import pad

    last_first = [int(value) for sides in reversed(inputs[1].tolist()) for value in sides]
    return pad(inputs[0], last_first, value=float(inputs[2]) if len(inputs) > 2 else 0.0)


def _resize(inputs: list[Any], _: Mapping[str, Any]) -> torch.Tensor:
    from torch.nn.functional import interpolate

    picture = inputs[0].permute(0, 3, 1, 2)
    return interpolate(picture, size=inputs[1].tolist(), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)


def _concatenate(inputs: list[Any], _: Mapping[str, Any]) -> torch.Tensor:
    import torch

    return torch.cat([value.reshape(-1) if value.ndim == 0 else value for value in inputs[:-1]], int(inputs[-1]))


def _leaky_relu(inputs: list[Any], attributes: Mapping[str, Any]) -> torch.Tensor:
    from torch.nn.functional import leaky_relu

    return leaky_relu(inputs[0], float(attributes["alpha"]["f"]))


_OPERATIONS: dict[str, Callable[[list[Any], Mapping[str, Any]], Any]] = {
    "Add": lambda inputs, _: inputs[0] + inputs[1],
    "AddV2": lambda inputs, _: inputs[0] + inputs[1],
    "ConcatV2": _concatenate,
    "Conv2D": _convolution,
    "Identity": lambda inputs, _: inputs[0],
    "LeakyRelu": _leaky_relu,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "PadV2": _pad,
    "Reshape": lambda inputs, _: inputs[0].reshape(inputs[1].tolist()),
    "ResizeBilinear": _resize,
    "Sigmoid": lambda inputs, _: inputs[0].sigmoid(),
    # Of these graphs', none sets a value: they hold the default everywhere.
    "SparseToDense": lambda inputs, _: inputs[3].new_full(inputs[1].tolist(), int(inputs[3])),
    "SplitV": lambda inputs, _: inputs[0].split(inputs[1].tolist(), int(inputs[2])),
    "Transpose": lambda inputs, _: inputs[0].permute(inputs[1].tolist()),
}
