"""Following: squares that move over a textured wall, pass each other, and leave; and what is refused."""

import cv2
import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.lab.curate.instances.following import connected, tidied
from real2sam2real.lab.curate.instances.interface import InstancePrompt
from real2sam2real.lab.curate.instances.loading import load_tracker

HEIGHT, WIDTH = 72, 128
FRAMES = 13


def texture(seed: int, low: tuple[int, int, int], high: tuple[int, int, int]) -> np.ndarray:
    patches = np.random.default_rng(seed).integers(low, high, (18, 32, 3)).astype(np.uint8)
    return cv2.resize(patches, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def clip(places: list[list[tuple[int, int]]]) -> tuple[np.ndarray, np.ndarray]:
    """A video and its ids; instance k has its upper left corner at places[k - 1][frame], the last one in front."""
    wall = texture(0, (90, 140, 90), (150, 200, 150))
    skins = [texture(1, (150, 20, 20), (250, 80, 80)), texture(2, (20, 20, 150), (80, 80, 250))]
    video = np.stack([wall] * FRAMES)
    ids = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    for number, (path, skin) in enumerate(zip(places, skins, strict=False), 1):
        for at, (x, y) in enumerate(path):
            rows, columns = slice(max(0, y), max(0, y + 24)), slice(max(0, x), max(0, x + 24))
            size = ids[at, rows, columns].shape
            video[at, rows, columns] = skin[24 - size[0] : 24, 24 - size[1] : 24][: size[0], : size[1]]
            ids[at, rows, columns] = number
    return video, ids


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / max(1, (found | truth).sum()))


ACROSS = [[(10 + 5 * t, 20 + t) for t in range(FRAMES)]]
PASSING = [[(12 + 6 * t, 24) for t in range(FRAMES)], [(90 - 6 * t, 26) for t in range(FRAMES)]]


@pytest.mark.parametrize("frame", [0, 6])
def test_a_box_is_followed_both_ways(frame: int) -> None:
    video, ids = clip(ACROSS)
    x, y = ACROSS[0][frame]
    prompt = InstancePrompt(label="square", frame=frame, box=(x - 4, y - 4, x + 28, y + 28))
    found = load_tracker("embedded").track(video, [prompt])
    assert found.labels == {1: "square"}
    assert found.ids.shape == ids.shape
    assert min(iou(found.ids[t] == 1, ids[t] == 1) for t in range(FRAMES)) > 0.8


def test_two_that_pass_each_other_keep_their_ids() -> None:
    video, ids = clip(PASSING)
    prompts = [InstancePrompt(label=f"square {n}", mask=ids[0] == n) for n in (1, 2)]
    found = load_tracker("embedded").track(video, prompts).ids
    for number in (1, 2):
        assert iou(found[-1] == number, ids[-1] == number) > 0.7, number
    assert iou(found[6] == 2, ids[6] == 2) > 0.7  # the one in front


def test_what_two_marks_share_is_the_smaller_ones() -> None:
    video, ids = clip(PASSING)
    whole = (ids[0] == 1) | (ids[0] == 2)
    prompts = [InstancePrompt(label="both", mask=whole), InstancePrompt(label="square", mask=ids[0] == 2)]
    found = load_tracker("embedded").track(video, prompts).ids
    assert iou(found[0] == 1, ids[0] == 1) > 0.8
    assert iou(found[0] == 2, ids[0] == 2) > 0.8
    with pytest.raises(UserError, match="'again' is the same as another mark"):
        load_tracker("embedded").track(video, [*prompts, InstancePrompt(label="again", mask=ids[0] == 2)])


def test_the_same_clip_gives_the_same_masks() -> None:
    video, ids = clip(ACROSS)
    prompts = [InstancePrompt(label="square", mask=ids[0] == 1)]
    first, second = (load_tracker("embedded").track(video, prompts).ids for _ in range(2))
    assert np.array_equal(first, second)


def test_what_leaves_the_picture_is_gone() -> None:
    video, ids = clip([[(84 + 8 * t, 24) for t in range(FRAMES)]])
    found = load_tracker("embedded").track(video, [InstancePrompt(label="square", mask=ids[0] == 1)]).ids
    assert iou(found[1] == 1, ids[1] == 1) > 0.8
    assert not found[-3:].any()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"label": " ", "box": (0, 0, 9, 9)}, "no label"),
        ({"label": "a"}, "a box or a mask"),
        ({"label": "a", "frame": -1, "box": (0, 0, 9, 9)}, "counted from 0"),
    ],
)
def test_a_mark_that_cannot_be_is_refused(prompt: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        InstancePrompt(**prompt)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "nothing is marked"),
        ([InstancePrompt(label="a", frame=FRAMES, box=(0, 0, 20, 20))], f"has {FRAMES} frames"),
        ([InstancePrompt(label="a", mask=np.ones((3, 4), bool))], "4×3"),
        ([InstancePrompt(label="a", mask=np.zeros((HEIGHT, WIDTH), bool))], "empty"),
        ([InstancePrompt(label="a", box=(200, 200, 220, 220))], "box"),
    ],
)
def test_marks_that_do_not_fit_the_clip_are_refused(prompts: list[InstancePrompt], message: str) -> None:
    video, _ = clip(ACROSS)
    with pytest.raises(UserError, match=message):
        load_tracker("embedded").track(video, prompts)


def test_a_tracker_is_given_what_it_can_use() -> None:
    with pytest.raises(UserError, match="embedded, sam2"):
        load_tracker("eye")
    with pytest.raises(UserError, match="knows no words"):
        load_tracker("sam2", text=("dog",))
    with pytest.raises(UserError, match="has no weights"):
        load_tracker("embedded", weights="here")
    with pytest.raises(UserError, match="looks for words"):
        load_tracker("grounded-sam2")


def test_what_comes_out_from_behind_is_something_else() -> None:
    """Of the same colours, and touching: only backwards does it come as a thing of its own."""
    behind = [(52, 30)] * 4 + [(52 - 5 * t, 30) for t in range(1, FRAMES - 3)]
    video, ids = clip([behind, [(50 + t, 24) for t in range(FRAMES)]])
    alike = texture(2, (20, 20, 150), (80, 80, 250))
    video[ids == 1] = np.broadcast_to(alike, video.shape)[ids == 1]
    found = load_tracker("embedded").track(video, [InstancePrompt(label="front", mask=ids[0] == 2)]).ids
    assert min(iou(found[t] == 1, ids[t] == 2) for t in range(4, 7)) > 0.75  # 0.5 to 0.7 forwards alone
    assert iou(found[-1] == 1, ids[-1] == 2) > 0.9


def test_tidying_leaves_a_mask_where_it_is() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:44, 10:34] = True
    assert np.array_equal(tidied(mask), mask)
    assert np.array_equal(connected(mask, mask), mask)


def test_what_has_come_away_is_something_else() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:44, 10:34] = True
    beside, away = mask.copy(), mask.copy()
    beside[30:34, 36:44] = True  # an arm behind a narrow post
    away[20:44, 60:78] = True
    assert np.array_equal(connected(beside, beside), beside)
    assert np.array_equal(connected(away, away), mask)
