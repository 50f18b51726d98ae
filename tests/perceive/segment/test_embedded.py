"""The package's own networks on real photos in the public domain: the demo's cup, and scikit-image's astronaut."""

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from real2sam2real.errors import UserError
from real2sam2real.perceive.grabcut import mask_from_box
from real2sam2real.perceive.segment.box_masks import BoxMaps, grow_box, guided_filter, without_pinholes
from real2sam2real.perceive.segment.detections import box_of, mask_iou
from real2sam2real.perceive.segment.embedded import EmbeddedNetworks, EmbeddedPhoto
from real2sam2real.perceive.segment.nanodet import WORDS, TensorFlowGraph, coco_word
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.points import hits, obeying
from real2sam2real.perceive.segment.saliency import SaliencyNet


@pytest.fixture(scope="module")
def networks() -> Iterator[EmbeddedNetworks]:
    """Each network is loaded once, and what stands out in a picture is remembered: several tests ask for the same."""
    known: dict[tuple[bytes, tuple[int, ...], bool], np.ndarray] = {}
    look = SaliencyNet.look

    def remembered(net: SaliencyNet, pixels: np.ndarray, *, mirrored: bool = False) -> np.ndarray:
        key = pixels.tobytes(), pixels.shape, mirrored
        if key not in known:
            known[key] = look(net, pixels, mirrored=mirrored)
            known[key].setflags(write=False)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SaliencyNet, "look", remembered)
        yield EmbeddedNetworks(SegmentOptions())


@pytest.fixture(scope="session")
def cup() -> tuple[np.ndarray, np.ndarray]:
    """The demo's photo at 480×320 and the mask of its cup, drawn by hand."""
    folder = resources.files("real2sam2real") / "assets" / "demo"
    photo, mask = (Image.open(str(folder / name)).resize((480, 320)) for name in ("photo.jpg", "cup.png"))
    return np.asarray(photo.convert("RGB")), np.asarray(mask.convert("L")) > 127


@pytest.fixture(scope="module")
def coffee(networks: EmbeddedNetworks, cup: tuple[np.ndarray, np.ndarray]) -> EmbeddedPhoto:
    return EmbeddedPhoto(networks, cup[0])


def test_a_box_gives_the_object(coffee: EmbeddedPhoto, cup: tuple[np.ndarray, np.ndarray]) -> None:
    left, top, right, bottom = box_of(cup[1])
    assert mask_iou(coffee.from_box((left - 4, top - 3, right + 5, bottom + 4)), cup[1]) > 0.96


def test_a_person_is_told_from_the_model_behind_her(networks: EmbeddedNetworks) -> None:
    pixels = cv2.resize(data.astronaut(), (320, 320), interpolation=cv2.INTER_AREA)
    box = (15, 5, 300, 320)
    found = EmbeddedPhoto(networks, pixels).from_box(box)
    assert found[80, 140]  # the face
    assert found[250, 150]  # the suit
    assert not found[:60, 250:].any()  # the shuttle's model behind her
    assert found.sum() > mask_from_box(pixels, box).sum() / 2


def test_points_are_obeyed(coffee: EmbeddedPhoto, cup: tuple[np.ndarray, np.ndarray]) -> None:
    left, top, right, bottom = box_of(cup[1])
    inside, outside = np.array([[200.5, 100.5], [left + 40.5, 250.5]]), np.array([[250.5, 290.5], [5.5, 5.5]])
    found = coffee.from_points(inside, outside, (left - 4, top - 3, right + 5, bottom + 4))
    assert hits(found, inside).all()
    assert not hits(found, outside).any()
    assert mask_iou(found, cup[1]) > 0.6
    alone = coffee.from_points([[200.5, 100.5]])
    assert alone[100, 200]
    assert mask_iou(alone, cup[1]) > 0.5


def test_words_find_what_they_name_under_the_users_own_word(coffee: EmbeddedPhoto) -> None:
    found = coffee.from_text(["Mug"])
    assert {(each.word, each.asked) for each in found} == {("mug", True)}
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert all(each.score >= 0.35 and each.mask[100, 200] for each in found)


def test_unknown_and_absent_words_say_what_helps(coffee: EmbeddedPhoto) -> None:
    with pytest.raises(UserError, match=r"'lamp post' is none of the 80 words.*--segmenter sam2"):
        coffee.from_text(["lamp post"])
    with pytest.raises(UserError, match=r"it knows bicycle"):
        coffee.from_text(["tricycle"])
    with pytest.raises(UserError, match=r"no 'giraffe' was found.*scores 0\.\d\d and the threshold is 0\.35"):
        coffee.from_text(["giraffe"])


def test_the_main_object_comes_first_where_nothing_is_named(
    networks: EmbeddedNetworks, cup: tuple[np.ndarray, np.ndarray]
) -> None:
    first = EmbeddedPhoto(EmbeddedNetworks(SegmentOptions(max_objects=1)), cup[0])
    first.networks.__dict__.update({name: getattr(networks, name) for name in ("saliency", "detector")})
    (found,) = first.propose()
    assert not found.asked
    assert found.word in WORDS
    assert found.mask[100, 200]


def test_a_flat_photo_says_that_nothing_stands_out(networks: EmbeddedNetworks) -> None:
    flat = EmbeddedPhoto(networks, np.full((60, 80, 3), 90, np.uint8))
    with pytest.raises(UserError, match=r"the box 10,10,50,50: nothing stands out|nothing stands out inside"):
        flat.from_box((10, 10, 50, 50))


def test_words_in_other_forms() -> None:
    assert [coco_word(word) for word in ("sofa", "cars", "buses", "people", "tie", "gnu")] == [
        "couch", "car", "bus", "person", "tie", None,
    ]  # fmt: skip


def test_a_graph_of_tensorflow_is_computed_as_its_parts_say(tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 2)).astype(np.float16)
    attributes = {"strides": {"list": {"i": ["1", "2", "2", "1"]}}, "padding": {"s": "VkFMSUQ="}}
    nodes = [
        {"name": "in", "op": "Placeholder"},
        {"name": "k", "op": "Const"},
        {"name": "conv", "op": "Conv2D", "input": ["in", "k"], "attr": attributes},
        {"name": "out", "op": "LeakyRelu", "input": ["conv"], "attr": {"alpha": {"f": 0.1}}},
    ]
    weights = [{"name": "k", "shape": [3, 3, 1, 2], "dtype": "float32", "quantization": {"dtype": "float16"}}]
    graph = {
        "modelTopology": {"node": nodes},
        "signature": {"outputs": {"o": {"name": "out:0"}}},
        "weightsManifest": [{"paths": ["nanodet.bin"], "weights": weights}],
    }
    (tmp_path / "nanodet.json").write_text(json.dumps(graph))
    (tmp_path / "nanodet.bin").write_bytes(kernel.tobytes())
    picture = torch.randn(1, 7, 9, 1)
    (out,) = TensorFlowGraph.read(tmp_path).run(picture)
    expected = np.zeros((3, 4, 2))
    for row, column, channel in np.ndindex(3, 4, 2):
        patch = picture[0, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3, 0].numpy()
        value = float((patch * kernel[:, :, 0, channel].astype(np.float32)).sum())
        expected[row, column, channel] = value if value > 0 else 0.1 * value
    assert np.allclose(out[0].numpy(), expected, atol=1e-5)
    (tmp_path / "nanodet.bin").write_bytes(kernel.tobytes() + b"12")
    with pytest.raises(ValueError, match="38"):
        TensorFlowGraph.read(tmp_path)


# --- boxes, without a network


def maps_of(seen: np.ndarray, box: tuple[int, int, int, int]) -> BoxMaps:
    """As if every crop had shown the same."""
    height, width = seen.shape
    crops = [grow_box(box, grown, width, height) for grown in (0.02, 0.1, 0.25, 0.5, 0.15)]
    maps = tuple((c, seen[c[1] : c[3], c[0] : c[2]].astype(np.float32)) for c in crops)
    return BoxMaps(np.full((height, width, 3), 128, np.uint8), box, maps)


def test_what_goes_on_outside_the_box_is_another_object() -> None:
    seen = np.zeros((100, 120))
    seen[30:70, 30:60] = 1
    seen[30:70, 75:110] = 1  # cut by the box's right side
    seen[75:79, 40:50] = 1  # a small part of the object
    maps = maps_of(seen, (25, 25, 80, 80))
    mask = maps.without_strangers(maps.probability() > 0.5)
    assert mask[50, 40]
    assert mask[77, 45]
    assert not mask[:, 70:].any()


def test_a_mask_fits_a_box_if_it_touches_its_sides_and_crosses_none() -> None:
    maps = maps_of(np.zeros((100, 120)), (20, 20, 80, 80))
    misfits = []
    for part in (np.s_[21:79, 21:79], np.s_[21:79, 21:60], np.s_[20:80, 20:80], np.s_[0:0, 0:0]):
        mask = np.zeros((100, 120), bool)
        mask[part] = True
        misfits.append(maps.misfit(mask))
    assert misfits[0] < 0.05
    assert misfits == pytest.approx([1 / 60, 20 / 60, 1.0, 2.0])
    at_the_edge = maps_of(np.zeros((100, 120)), (0, 0, 120, 100))
    assert at_the_edge.misfit(np.ones((100, 120), bool)) == 0


def test_pinholes_are_filled_and_holes_are_not() -> None:
    mask = np.zeros((100, 120), bool)
    mask[10:90, 10:110] = True
    mask[20:22, 20:22] = mask[50:60, 50:60] = False
    filled = without_pinholes(mask)
    assert filled[20:22, 20:22].all()
    assert filled.sum() == 80 * 100 - 100


def test_the_guided_filter_moves_a_soft_edge_to_the_pictures_edge() -> None:
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[:, 43:] = (200, 180, 90)
    coarse = np.clip((np.arange(80) - 32) / 16, 0, 1).astype(np.float32)[None].repeat(60, axis=0)
    sharp = guided_filter(picture, coarse, 12, 1e-4) > 0.5
    assert np.array_equal(sharp, np.arange(80)[None].repeat(60, axis=0) >= 43)
    flat = np.full((60, 80), 0.3, np.float32)
    assert np.allclose(guided_filter(picture, flat, 5, 1e-4), 0.3, atol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_any_points_are_obeyed_on_any_photo(seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[10:50, 20:60] = True
    places = random.permutation(60 * 80)[:8]
    points = np.stack([places % 80, places // 80], axis=1) + 0.5
    found = obeying(pixels, mask, np.where(mask, 0.95, 0.02).astype(np.float32), points[:4], points[4:])
    assert hits(found, points[:4]).all()
    assert not hits(found, points[4:]).any()


def test_a_part_with_a_point_beside_the_object_goes_whole() -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:30, 10:30] = mask[40:50, 50:70] = True
    pixels = np.zeros((60, 80, 3), np.uint8)
    found = obeying(pixels, mask, mask.astype(np.float32), np.array([[20.0, 20.0]]), np.array([[60.0, 45.0]]))
    assert found.sum() == 400
