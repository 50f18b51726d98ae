"""Animation of a glTF file: keyframe tracks and their values at given times."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np

from real2sam2real.arrays import Float, Int
from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions
from real2sam2real.mesh.gltf.accessors import read_floats
from real2sam2real.mesh.gltf.container import Document
from real2sam2real.mesh.gltf.json_object import JsonObject

NODE_PATHS = ("translation", "rotation", "scale", "weights")
_NODE_POINTER = re.compile(r"/nodes/(\d+)/(translation|rotation|scale|weights)")
_POINTERS = re.compile(r"/cameras/\d+/perspective/yfov|/nodes/\d+/extensions/KHR_node_visibility/visible")
_NO_LOOKS = re.compile(r"/cameras/\d+/(perspective|orthographic)/(znear|zfar|aspectRatio)|/extensions/KHR_lights.*")
_INTERPOLATIONS = ("LINEAR", "STEP", "CUBICSPLINE")


@dataclass(frozen=True, eq=False)
class KeyframeTrack:
    """Keyframes of one property."""

    label: str  # what messages call it
    times: Float  # `(K,)` seconds, increasing
    values: Float  # `(K, C)`; for CUBICSPLINE `(K, 3, C)`: tangent in, value, tangent out
    interpolation: str  # LINEAR, STEP or CUBICSPLINE

    @property
    def width(self) -> int:
        """Number of components C."""
        return self.values.shape[-1]

    def at(self, seconds: Float, *, snap: float) -> Float:
        """Values `(T, C)` at `seconds` `(T,)`; before the first and after the last key the value holds.

        A time within `snap` seconds of a key means that key: float32 key times fall a hair beside their frames.
        """
        left, right, fraction, span = self._interval(seconds, snap)
        mix = fraction[:, None]
        if self.interpolation == "STEP":
            return self.values[np.where(fraction >= 1, right, left)]
        if self.interpolation == "LINEAR":
            return self.values[left] * (1 - mix) + self.values[right] * mix
        return _hermite(self.values[left], self.values[right], mix, span[:, None])

    def rotations_at(self, seconds: Float, *, snap: float) -> Float:
        """Like `at` for xyzw quaternions; returns unit `(T, 4)` in `wxyz` order.

        Raises:
            UserError: a quaternion is zero.
        """
        if self.interpolation == "LINEAR":
            left, right, fraction, _ = self._interval(seconds, snap)
            values = _wxyz(self.values)
            self._check_rotations(values)
            return quaternions.slerp(values[left], values[right], fraction)
        rotations = _wxyz(self.at(seconds, snap=snap))
        self._check_rotations(rotations)
        return quaternions.normalize(rotations)

    def _check_rotations(self, values: Float) -> None:
        if np.any(np.linalg.norm(values, axis=1) < 1e-12):
            JsonObject({}, self.label).fail("a rotation is a quaternion of zero length")

    def _interval(self, seconds: Float, snap: float) -> tuple[Int, Int, Float, Float]:
        """Key indices before and after each time, the fraction between them, and the interval's length."""
        last = len(self.times) - 1
        after = np.searchsorted(self.times, seconds, side="right").astype(np.int64)
        right = np.clip(after, min(1, last), last)
        left = np.maximum(right - 1, 0)
        span = np.where(right > left, self.times[right] - self.times[left], 1.0)
        gone = np.clip(seconds - self.times[left], 0.0, np.where(right > left, span, 0.0))
        gone = np.where(gone <= snap, 0.0, gone)
        gone = np.where((right > left) & (gone >= span - snap), span, gone)
        return left, right, gone / span, span


def _hermite(left: Float, right: Float, f: Float, span: Float) -> Float:
    """Cubic Hermite spline as the glTF specification defines it (appendix C)."""
    start, out, end, into = left[:, 1], left[:, 2] * span, right[:, 1], right[:, 0] * span
    square, cube = f * f, f * f * f
    return (
        (2 * cube - 3 * square + 1) * start
        + (cube - 2 * square + f) * out
        + (3 * square - 2 * cube) * end
        + (cube - square) * into
    )


def _wxyz(xyzw: Float) -> Float:
    return xyzw[:, [3, 0, 1, 2]]


@dataclass(frozen=True, kw_only=True)
class Playback:
    """Which of a file's animation is shown, from when, and what follows its end."""

    # name of the one clip that plays, as `clip_names` tells it; None for the first and all that go with it
    clip: str | None = None
    start: float = 0.0  # second after the first keyframe that the first frame shows
    loop: bool = False  # begin again after the end; otherwise the last pose holds

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start) and self.start >= 0):
            raise ValueError(f"start is {self.start}; an animation starts at 0 seconds or later")

    def lasts(self, begin: float, end: float) -> float:
        """Seconds until the end, or until it all begins again, of an animation with keyframes from `begin` to `end`."""
        return end - begin if self.loop else max(end - begin - self.start, 0.0)

    def times(self, frames: int, fps: float, begin: float, end: float) -> Float:
        """`(frames,)` seconds on the file's clock of an animation with keyframes from `begin` to `end`."""
        gone: Float = self.start + np.arange(frames) / fps
        if self.loop and end > begin:
            over = gone > end - begin + 1e-6
            gone[over] %= end - begin
        return begin + gone


@dataclass(eq=False)
class Animations:
    """All tracks of a file that play together."""

    # tracks by node index and path ("translation", "rotation", "scale", "weights")
    nodes: dict[tuple[int, str], KeyframeTrack] = field(default_factory=dict)
    # tracks of KHR_animation_pointer by their JSON pointer
    pointers: dict[str, KeyframeTrack] = field(default_factory=dict)
    clips: list[str] = field(default_factory=list)  # names of the clips that they are from

    @property
    def begin(self) -> float:
        """Time of the first keyframe; 0 without any."""
        return min((float(track.times[0]) for track in self._tracks()), default=0.0)

    @property
    def seconds(self) -> float:
        """Time of the last keyframe; 0 without any."""
        return max((float(track.times[-1]) for track in self._tracks()), default=0.0)

    def _tracks(self) -> list[KeyframeTrack]:
        return [*self.nodes.values(), *self.pointers.values()]


def clip_names(document: Document) -> tuple[str, ...]:
    """What the file's clips are called, in file order; one without a name is called by its number."""
    names = (element.value.get("name") for element in document.elements("animations"))
    return tuple(name if isinstance(name, str) and name else f"clip {k}" for k, name in enumerate(names, start=1))


def read_animations(document: Document, chosen: str | None = None) -> Animations:
    """The clip called `chosen`; or the first clip, and every further clip that moves other things.

    (Blender may write one clip per object.)

    Raises:
        UserError: no clip is called so, or a channel is damaged: bad references, counts that do not fit.
    """
    names = clip_names(document)
    if chosen is not None and chosen not in names:
        held = f"its clips are: {', '.join(names)}" if names else "it has no animation"
        raise UserError(f"{document.path.name} has no clip called '{chosen}'; {held}")
    if chosen is not None:
        return replace(_read_clip(document, document.element("animations", names.index(chosen))), clips=[chosen])
    together = Animations()
    for name, element in zip(names, document.elements("animations"), strict=True):
        clip = _read_clip(document, element)
        clash = (clip.nodes.keys() & together.nodes.keys()) | (clip.pointers.keys() & together.pointers.keys())
        if clash:
            document.note(f"{document.path.name}: the clip '{name}' moves what an earlier clip moves; it was left out")
            continue
        together.clips.append(name)
        together.nodes.update(clip.nodes)
        together.pointers.update(clip.pointers)
    return together


def _read_clip(document: Document, element: JsonObject) -> Animations:
    clip = Animations()
    samplers = element.objects("samplers")
    for channel in element.objects("channels"):
        sampler = samplers[channel.integer("sampler", most=len(samplers) - 1)]
        target = channel.child("target")
        path = target.text("path")
        if path == "pointer":
            pointer = target.child("extensions").child("KHR_animation_pointer").text("pointer", "")
            found = _NODE_POINTER.fullmatch(pointer)
            if found is None:
                if _POINTERS.fullmatch(pointer):
                    clip.pointers[pointer] = _read_track(document, sampler)
                elif not _NO_LOOKS.fullmatch(pointer):
                    name = document.path.name
                    document.note(f"{name}: the animation of '{pointer[:80]}' is not read; that stays as it is at rest")
                continue
            node, path = int(found[1]), found[2]
            if node >= document.count("nodes"):
                target.fail(f"its pointer '{pointer[:80]}' leads to no node of the file")
        else:
            index = target.index("node", "nodes")
            if path not in NODE_PATHS:
                document.note(f"{document.path.name}: the animation of '{path[:40]}' is not read")
            if index is None or path not in NODE_PATHS:
                continue
            node = index
        if (node, path) in clip.nodes:
            document.note(f"{document.path.name}: the {path} of nodes[{node}] is animated twice; the first one counts")
            continue
        track = _read_track(document, sampler)
        width = {"translation": 3, "rotation": 4, "scale": 3}.get(path)
        clip.nodes[node, path] = track
        if width is None and len(track.values) != len(track.times):
            sampler.fail("its weights do not fit its times")
        if width is not None and track.width != width:
            sampler.fail(f"its output has {track.width} components where {path} needs {width}")
    return clip


def _read_track(document: Document, sampler: JsonObject) -> KeyframeTrack:
    interpolation = sampler.text("interpolation", "LINEAR")
    if interpolation not in _INTERPOLATIONS:
        sampler.fail(f"'interpolation' is '{interpolation[:20]}'; glTF knows {', '.join(_INTERPOLATIONS)}")
    times = read_floats(document, sampler.needed_index("input", "accessors"), "SCALAR")[:, 0]
    values = read_floats(document, sampler.needed_index("output", "accessors"), "SCALAR", "VEC3", "VEC4")
    if len(values) % (3 * len(times) if interpolation == "CUBICSPLINE" else len(times)):
        sampler.fail(f"it has {len(times)} times but {len(values)} values ({interpolation})")
    if interpolation == "CUBICSPLINE" and values.shape[1] > 1:
        values = values.reshape(len(times), -1, values.shape[1])
        if values.shape[1] != 3:
            sampler.fail(f"a CUBICSPLINE of {len(times)} times needs {3 * len(times)} values")
    elif values.shape[1] == 1:  # weights and single numbers: any count per keyframe
        shape = (len(times), 3, -1) if interpolation == "CUBICSPLINE" else (len(times), -1)
        values = values.reshape(shape)
    elif len(values) != len(times):
        sampler.fail(f"it has {len(times)} times but {len(values)} values")
    if not np.all(np.diff(times) > 0):
        times, values = _in_order(document, sampler, times, values)
    if times[0] < 0:
        document.note(
            f"{sampler.label}: its keyframes begin before the start, at {times[0]:g} s; that part is not shown"
        )
    return KeyframeTrack(label=sampler.label, times=times, values=values, interpolation=interpolation)


def _in_order(document: Document, sampler: JsonObject, times: Float, values: Float) -> tuple[Float, Float]:
    """Keys sorted by their times; where several share one, the value jumps from the first to the last of them."""
    if np.any(np.diff(times) < 0):
        document.note(f"{sampler.label}: its times are not in order; they were sorted")
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    if (same := times[1:] == times[:-1]).any():
        document.note(f"{sampler.label}: it has several keyframes at {times[1:][same][0]:g} s; the value jumps there")
        first, last = np.concatenate([[True], ~same]), np.concatenate([~same, [True]])
        first[times == times[-1]] = False  # nothing comes between a jump at the end and the end
        times, values = times[first | last], values[first | last]
    return times, values
