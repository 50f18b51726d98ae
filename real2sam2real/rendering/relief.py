"""A photo's background whose depth is known, seen from another camera: a relief in layers, each filled behind the last.

A layer is a map of inverse depth, as the photo's camera sees it, drawn as a mesh that is cut where the depth jumps. The
first layer is what the photo shows. The next continues, behind the edge of what is near, what lies next to it, as far
as the shot's cameras come to look there; its colours are made up. What a frame's camera meets tells where in the photo
to look; a point that does not carry the depth which the map has there lies on no surface, so nothing is smeared from
one to another. Inverse depth is linear on planes, and its differences are the parallax that a moving camera makes; so
it decides what a jump is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numba
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Int32, UInt8
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.depth_fields import nearest_known
from real2sam2real.rendering.inpaint import Inpainter, inpaint
from real2sam2real.scene import BackgroundRelief

_LAYERS = 3
_JUMP = 0.03  # of the near end of inverse depth: neighbours that differ by more are two surfaces
_NEAR_END = 95  # percentile
_FARTHEST = 1e-3  # of the near end: where the sky is drawn
_PAD = 0.3  # of the picture's sides: how far the relief goes on beyond the photo
_STEEPEST_PAD = 3.0  # times the inverse depth at the border
_SHARP = 0.003  # of the picture's width: maps blur a jump over twice that
_REACH = 0.25  # of the picture's width: how far at most a layer goes on behind the edge of the one before it
_SLACK = 4.0  # pixels that it goes on farther than a camera looks
_EYES = 6  # cameras of the shot that are asked how far that is
_NODES = 40_000  # of the mesh of one picture, about
_RIM = 1  # pixels on each side of an edge that mix both surfaces

Sampler = Callable[[Float32], UInt8]


@dataclass(frozen=True, kw_only=True, eq=False)
class _ReliefLayer:
    label: Float32  # `(H', W')`, the padded map, NaN where no surface's own colours are
    points: Float  # `(V, 3)` in the photo's camera
    faces: Int32  # `(F, 3)`
    hidden: Bool  # `(H, W)`, the photo's pixels that do not show this layer: its colours there are made up
    avoid: Bool  # `(H, W)`, what stands before it beside those


class LayeredRelief:
    """A background's relief, ready to be seen from other cameras at one size of the picture."""

    def __init__(
        self, relief: BackgroundRelief, world_from_camera: Float, intrinsics: Intrinsics, eyes_world: Float
    ) -> None:
        """Prepare what cameras at `eyes_world` `(N, 3)` can come to see.

        `intrinsics` are the photo's at the size of the pictures to be warped, `world_from_camera` `(4, 4)` is its pose.
        """
        self._pose, self._lens = world_from_camera, intrinsics
        size = (intrinsics.width, intrinsics.height)
        inverse = cv2.resize(relief.inverse_depth, size, interpolation=cv2.INTER_LINEAR)
        self._near = max(float(np.percentile(inverse, _NEAR_END)), 1e-12)
        self._jump = _JUMP * self._near
        self._pad = (round(_PAD * intrinsics.width), round(_PAD * intrinsics.height))
        inverse = _padded(_sharpened(inverse, self._jump, round(_SHARP * intrinsics.width)), *self._pad)
        eyes = transforms.apply(transforms.invert_rigid(world_from_camera), eyes_world)
        self._layers = self._peeled(np.maximum(inverse, np.float32(_FARTHEST * self._near)), _farthest(eyes))

    def _peeled(self, inverse: Float32, eyes: Float) -> list[_ReliefLayer]:
        step = max(1, round(float(np.sqrt(self._lens.width * self._lens.height / _NODES))))
        none = np.zeros(inverse.shape, bool)
        layers = [self._layer(inverse, none, none, step, whole=True)]
        while len(layers) < _LAYERS:
            inverse, hidden, avoid = self._behind(inverse, eyes, step)
            if not hidden.any():
                break
            layers.append(self._layer(inverse, hidden, avoid, step, whole=False))
        return layers

    def _behind(self, inverse: Float32, eyes: Float, step: int) -> tuple[Float32, Bool, Bool]:
        """The next layer of a map, which of its pixels the map hid, and what stands before it beside those."""
        nodes = np.ascontiguousarray(inverse[::step, ::step])
        far = np.full(nodes.shape, np.nan, np.float32)
        x, y = self._pad
        lens = np.array([self._lens.fx, self._lens.fy, self._lens.cx + x, self._lens.cy + y]) / step
        reach = round(_REACH * self._lens.width)
        _find_behind(nodes, self._jump, eyes, lens, reach / step, _SLACK / step, far)
        known = np.isfinite(far)
        if not known.any():
            return inverse, np.zeros(inverse.shape, bool), np.zeros(inverse.shape, bool)
        spread = nearest_known(np.nan_to_num(far), known)[0]
        spread = cv2.GaussianBlur(cv2.medianBlur(spread, 5), (0, 0), 2.0)
        size = (inverse.shape[1], inverse.shape[0])
        spread = cv2.resize(spread, size, interpolation=cv2.INTER_LINEAR)
        found = cv2.dilate(known.astype(np.uint8), np.ones((3, 3), np.uint8))
        beside = cv2.dilate(found, np.ones((2 * (reach // (2 * step)) + 1,) * 2, np.uint8))
        found, beside = (cv2.resize(each, size, interpolation=cv2.INTER_NEAREST) > 0 for each in (found, beside))
        near = inverse - spread > self._jump / 2
        hidden: Bool = found & near
        return np.where(hidden, spread, inverse), hidden, near & beside

    def _layer(self, inverse: Float32, hidden: Bool, avoid: Bool, step: int, *, whole: bool) -> _ReliefLayer:
        kernel = np.ones((2 * _RIM + 1,) * 2, np.uint8)
        rim = cv2.dilate(inverse, kernel) - cv2.erode(inverse, kernel) > self._jump
        label = np.where(rim, np.float32(np.nan), inverse)
        height, width = inverse.shape
        # Where a jump crosses a node's surroundings the node takes the near side, so that nothing thin is lost.
        around = np.ones((step + 1 + step % 2,) * 2, np.uint8)
        near = cv2.dilate(inverse, around)
        nodes = np.where(near - cv2.erode(inverse, around) > self._jump, near, inverse)[::step, ::step]
        rows, columns = np.mgrid[0:height:step, 0:width:step]
        faces, extra = _cut_faces(np.ascontiguousarray(nodes), self._jump)
        again: Int32 = extra["node"]
        pixels: Float = np.stack([columns - self._pad[0] + 0.5, rows - self._pad[1] + 0.5], axis=-1).reshape(-1, 2)
        depth = 1 / np.concatenate([nodes.ravel(), extra["inverse"]])
        pixels = np.concatenate([pixels, pixels[again]])
        points = self._lens.unproject(pixels, depth)
        if not whole:
            wanted = cv2.dilate(hidden.astype(np.uint8), np.ones((6 * step + 1,) * 2, np.uint8))[::step, ::step].ravel()
            wanted = np.concatenate([wanted, wanted[again]]) > 0
            faces = faces[wanted[faces].any(axis=1)]
        x, y = self._pad
        inner = (slice(y, height - y), slice(x, width - x))
        return _ReliefLayer(
            label=label, points=points, faces=faces, hidden=(hidden | rim)[inner], avoid=(avoid | rim)[inner]
        )

    def fill(self, picture: UInt8, inpainter: Inpainter = inpaint) -> list[UInt8]:
        """The colours of each layer after the first, `(H, W, 3)` uint8, for the photo without its objects."""
        filled = []
        for layer in self._layers[1:]:
            margin = np.ones((2 * _RIM + 3,) * 2, np.uint8)
            hole = cv2.dilate(layer.hidden.astype(np.uint8), margin) > 0
            picture = inpainter(picture, hole, avoid=layer.avoid, draft=True)
            filled.append(picture)
        return filled

    def lookups(self, world_from_camera: Float, intrinsics: Intrinsics) -> list[Float32]:
        """Per layer `(H, W, 2)` float32: where another camera's pixels lie in the photo; NaN where it meets nothing."""
        from real2sam2real.lifting.align.drawing import inverse_depth  # and all that aligns, which few scenes need

        pose = transforms.invert_rigid(self._pose) @ world_from_camera
        back = transforms.invert_rigid(pose)
        other = np.array([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy])
        photo = np.array([self._lens.fx, self._lens.fy, self._lens.cx, self._lens.cy])
        found = []
        for layer in self._layers:
            drawn = inverse_depth(transforms.apply(back, layer.points), layer.faces, intrinsics)
            places = np.full((*drawn.shape, 2), np.nan, np.float32)
            _find(drawn, pose, other, photo, layer.label, *self._pad, self._jump / 2, places)
            found.append(places)
        return found

    def draw(self, lookups: list[Float32], flat: Float32, samplers: list[Sampler]) -> UInt8:
        """Lay the layers over each other, the first one uppermost, and all over the last one's colours at `flat`."""
        result: UInt8 | None = None
        for lookup, sampler in reversed(list(zip(lookups, samplers, strict=True))):
            known = np.isfinite(lookup[..., 0])
            colors = sampler(np.where(known[..., None], lookup, flat))
            if result is None:
                result = colors
                continue
            share = known.astype(np.float32)
            share *= cv2.GaussianBlur(share, (3, 3), 0.6)  # a soft edge, made of nothing but what is there
            result = cv2.blendLinear(colors, result, share, 1 - share)
        assert result is not None
        return result


def _padded(inverse: Float32, x: int, y: int) -> Float32:
    """The map beyond its borders: level to the sides and above, and below as steep as it arrives there."""
    height = inverse.shape[0]
    strip = max(2, height // 20)
    slope = cv2.blur((inverse[-1:] - inverse[-strip : -strip + 1]) / (strip - 1), (31, 1)).reshape(1, -1)
    padded = cv2.copyMakeBorder(inverse, y, y, x, x, cv2.BORDER_REPLICATE)
    slope = cv2.copyMakeBorder(slope, 0, 0, x, x, cv2.BORDER_REPLICATE)
    border = padded[-y - 1 : -y] if y else padded[-1:]
    down = np.arange(1, y + 1, dtype=np.float32)[:, None]
    if y:
        padded[-y:] = np.clip(border + np.maximum(slope, 0) * down, border, _STEEPEST_PAD * border)
    return padded.astype(np.float32, copy=False)


def _sharpened(inverse: Float32, jump: float, radius: int) -> Float32:
    """Jumps that a map blurs, made steps again: each pixel between two surfaces goes to the one it is nearer to."""
    if radius < 1:
        return inverse
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    near, far = cv2.dilate(inverse, kernel), cv2.erode(inverse, kernel)
    return np.where(near - far > jump, np.where(near - inverse < inverse - far, near, far), inverse)


def _farthest(eyes: Float) -> Float:
    """Some of the eyes `(N, 3)`: the one farthest from the photo's, then each the farthest from those before it."""
    chosen = [np.zeros(3)]
    while len(chosen) <= min(_EYES, len(eyes)):
        distance = np.min([np.linalg.norm(eyes - each, axis=1) for each in chosen], axis=0)
        chosen.append(eyes[int(distance.argmax())])
    return np.array(chosen[1:])


@numba.njit(cache=True, nogil=True)
def _find_behind(nodes, jump, eyes, lens, reach, slack, far):  # type: ignore[no-untyped-def]
    """For each node what lies beyond the edge that an eye looks past at it, NaN where none does.

    Seen from an eye, what is near shifts against what is far by `shift` × their difference in inverse depth. So the far
    side that comes to light lies that far within the near one's edge.
    """
    rows, columns = nodes.shape
    for row in range(rows):
        for column in range(columns):
            own, nearest = nodes[row, column], np.inf
            for k in range(len(eyes)):
                forward = -eyes[k, 2]
                dx = lens[0] * eyes[k, 0] - (column - lens[2]) * forward
                dy = -lens[1] * eyes[k, 1] - (row - lens[3]) * forward
                shift = np.sqrt(dx * dx + dy * dy)
                if shift * own < 0.25:
                    continue
                dx, dy = dx / shift, dy / shift
                last = own
                for distance in range(1, int(min(shift * own + slack, reach)) + 2):
                    y, x = int(np.rint(row + dy * distance)), int(np.rint(column + dx * distance))
                    if not (0 <= y < rows and 0 <= x < columns):
                        break
                    value = nodes[y, x]
                    if last - value > jump:  # a step down; a slope never falls so far at once
                        # One node farther the far side is itself, and no longer mixed with the near one.
                        y2, x2 = int(np.rint(row + dy * (distance + 1))), int(np.rint(column + dx * (distance + 1)))
                        if 0 <= y2 < rows and 0 <= x2 < columns and nodes[y2, x2] < last - jump:
                            value = nodes[y2, x2]
                        if distance <= shift * (last - value) + slack and distance < nearest:
                            nearest = distance
                            far[row, column] = value
                        break
                    last = value


def _cut_faces(nodes: Float32, jump: float) -> tuple[Int32, np.ndarray]:
    """`(F, 3)` faces over a grid of nodes; at a jump the near side alone is drawn, its missing corners in its depth.

    Returns:
        The faces, and the corners that had to be made: of which node, and how deep.
    """
    rows, columns = nodes.shape
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    cells = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)
    values = nodes.ravel()[cells]
    top = values.max(axis=1, keepdims=True)
    cut = (top - values.min(axis=1, keepdims=True))[:, 0] > jump
    near = values[cut] >= top[cut] - jump / 2
    mean = (values[cut] * near).sum(axis=1) / near.sum(axis=1)
    made_cell, made_corner = np.nonzero(~near)
    extra = np.empty(len(made_cell), [("node", np.int32), ("inverse", np.float32)])
    extra["node"], extra["inverse"] = cells[cut][made_cell, made_corner], mean[made_cell]
    quads = cells.copy()
    replaced = cells[cut].copy()
    replaced[made_cell, made_corner] = rows * columns + np.arange(len(made_cell), dtype=np.int32)
    quads[cut] = replaced
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return np.ascontiguousarray(faces, np.int32), extra


@numba.njit(cache=True, nogil=True)
def _find(drawn, pose, other, photo, label, pad_x, pad_y, tolerance, found):  # type: ignore[no-untyped-def]
    """Where the surface points of a frame lie in the photo, if they carry the depth that the map has there."""
    for row in range(drawn.shape[0]):
        vy = (other[3] - row - 0.5) / other[1]
        for column in range(drawn.shape[1]):
            if drawn[row, column] <= 0:
                continue
            depth = 1 / drawn[row, column]
            vx = (column + 0.5 - other[2]) / other[0]
            x = depth * (pose[0, 0] * vx + pose[0, 1] * vy - pose[0, 2]) + pose[0, 3]
            y = depth * (pose[1, 0] * vx + pose[1, 1] * vy - pose[1, 2]) + pose[1, 3]
            z = -depth * (pose[2, 0] * vx + pose[2, 1] * vy - pose[2, 2]) - pose[2, 3]
            if z <= 0:
                continue
            u = photo[2] + photo[0] * x / z
            v = photo[3] - photo[1] * y / z
            i, j = int(np.floor(v)) + pad_y, int(np.floor(u)) + pad_x
            if not (0 <= i < label.shape[0] and 0 <= j < label.shape[1]):
                continue
            if abs(label[i, j] - 1 / z) <= tolerance:  # False for NaN
                found[row, column, 0] = u
                found[row, column, 1] = v
