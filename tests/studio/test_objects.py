"""Marks on a photo: what paint, points and names do to them, and that a folder gives them back."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.perceive.masks import load_masks
from real2sam2real.studio.objects import (
    LiftChoice,
    MarkedFacts,
    MarkedObject,
    MarkedRelation,
    MarkedView,
    PhotoMarks,
    load_marks,
    middle_of,
    save_marks,
)

SIZE = (64, 48)
NO_POINTS = np.zeros((0, 2))


def rectangle(left: int, top: int, right: int, bottom: int) -> Mask:
    mask = np.zeros(SIZE[::-1], bool)
    mask[top:bottom, left:right] = True
    return mask


def marked(name: str, mask: Mask, **facts: object) -> MarkedObject:
    return MarkedObject(facts=MarkedFacts(name=name, source="box", **facts), whole=mask)  # type: ignore[arg-type]


BIG, SMALL = marked("table", rectangle(0, 20, 60, 44)), marked("cup", rectangle(20, 10, 34, 30))


def both() -> PhotoMarks:
    return PhotoMarks(size=SIZE).with_object(BIG).with_object(SMALL)


def test_contested_pixels_go_to_the_smaller_and_come_back_when_it_goes() -> None:
    marks = both()
    assert not (marks.resolved["table"] & marks.resolved["cup"]).any()
    assert np.array_equal(marks.resolved["cup"], SMALL.whole)
    assert np.array_equal(marks.without(SMALL.id).resolved["table"], BIG.whole)


def test_what_is_painted_is_taken_from_the_others() -> None:
    marks = both()
    grown = marks.resolved["table"] | rectangle(20, 20, 34, 30)
    painted = marks.painted(BIG.id, grown)
    assert np.array_equal(painted.resolved["table"], grown)
    assert np.array_equal(painted.resolved["cup"], rectangle(20, 10, 34, 20))
    erased = painted.painted(BIG.id, grown & ~rectangle(0, 20, 10, 44))
    assert not erased.resolved["table"][:, :10].any()


def test_paint_stays_when_points_cut_anew_but_a_point_has_the_last_word() -> None:
    painted = SMALL.painted(rectangle(40, 10, 46, 16), rectangle(20, 10, 24, 14))
    assert painted.is_painted
    again = painted.recut(rectangle(20, 10, 36, 30), NO_POINTS, NO_POINTS)
    assert again.whole[12, 42]
    assert not again.whole[12, 22]
    assert again.whole[12, 35]
    denied = again.recut(SMALL.whole, np.array([[22.0, 12.0]]), np.array([[42.0, 12.0]]))
    assert np.array_equal(denied.whole, SMALL.whole)
    assert not denied.is_painted


def test_an_occluder_takes_nothing_from_the_objects() -> None:
    marks = both()
    hidden = marks.with_object(SMALL.said(occluder=True))
    assert list(hidden.resolved) == ["table"]
    assert np.array_equal(hidden.resolved["table"], BIG.whole)
    assert np.array_equal(hidden.shown_mask(hidden.find(SMALL.id)), SMALL.whole)


def test_names_follow_and_are_checked() -> None:
    marks = both().with_object(SMALL.said(relation=MarkedRelation(word="on", to="table")))
    renamed = marks.renamed(BIG.id, "desk")
    assert renamed.find(SMALL.id).facts.relation == MarkedRelation(word="on", to="desk")
    assert renamed.without(BIG.id).find(SMALL.id).facts.relation is None
    for name, words in (("cup", "already"), ("../x", "name"), ("", "name"), (" ", "name"), ("a/b", "contains /")):
        with pytest.raises(UserError, match=words):
            marks.renamed(BIG.id, name)
    with pytest.raises(UserError, match="carry each other"):
        marks.with_object(BIG.said(relation=MarkedRelation(word="with", to="cup")))


def test_one_object_twice_is_refused() -> None:
    with pytest.raises(UserError, match="same object"):
        both().with_object(marked("mug", SMALL.whole))
    with pytest.raises(UserError, match="nothing would be left of 'cup'"):
        both().painted(SMALL.id, rectangle(0, 0, 0, 0))


def test_a_folder_gives_back_what_was_written(tmp_path: Path) -> None:
    changed = both().painted(SMALL.id, both().resolved["cup"] | rectangle(40, 2, 50, 9))
    marks = PhotoMarks(
        size=SIZE,
        objects=changed.objects,
        view=MarkedView(focal=1200.5, pitch=3.0, roll=-1.0),
        lift=LiftChoice(max_faces=5000, contact="off"),
    )
    save_marks(tmp_path, marks)
    found = load_marks(tmp_path, SIZE)
    assert (found.view, found.lift) == (marks.view, marks.lift)
    assert [each.facts for each in found.objects] == [each.facts for each in marks.objects]
    for one, other in zip(found.objects, marks.objects, strict=True):
        assert np.array_equal(one.whole, other.whole)
        assert (one.cut is None) == (other.cut is None)
    read = load_masks(tmp_path / "masks", *SIZE)  # as the command line reads the folder
    assert set(read) == {"table", "cup"}
    assert all(np.array_equal(read[name], mask) for name, mask in marks.resolved.items())


@pytest.mark.parametrize("damage", ["{", '{"format": 9, "size": [64, 48], "objects": []}', '{"objects": 3}'])
def test_a_damaged_list_says_what_to_do(tmp_path: Path, damage: str) -> None:
    (tmp_path / "objects.json").write_text(damage)
    with pytest.raises(UserError, match="undo in the studio"):
        load_marks(tmp_path, SIZE)


def test_a_mask_of_another_size_or_none_is_refused(tmp_path: Path) -> None:
    save_marks(tmp_path, both())
    file = tmp_path / "masks" / "whole" / f"{BIG.id}.png"
    Image.new("L", (10, 10), 255).save(file)
    with pytest.raises(UserError, match="10×10"):
        load_marks(tmp_path, SIZE)
    file.unlink()
    with pytest.raises(UserError, match="does not exist"):
        load_marks(tmp_path, SIZE)


def test_the_middle_of_a_mask_lies_deepest_in_it() -> None:
    x, y = middle_of(rectangle(10, 10, 31, 21) | rectangle(0, 40, 64, 42))
    assert 15 <= x <= 26
    assert 14.5 <= y <= 16.5
