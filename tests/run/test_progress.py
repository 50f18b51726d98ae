import io

import pytest

from real2sam2real.run import progress
from real2sam2real.run.progress import Progress, TimeLeft

pytestmark = pytest.mark.fast


def estimates(costs):
    """What is said after each item, beside what is then true."""
    moment = 0.0
    clock = TimeLeft(lambda: moment)
    for done, cost in enumerate(costs, start=1):
        moment += cost
        yield clock.seconds(done, len(costs)), sum(costs[done:])


def test_the_first_item_may_cost_what_it_will():
    said = list(estimates([30.0] + [1.0] * 48))
    for left, true in said[1:]:
        assert left == pytest.approx(true)


def test_items_that_differ_by_half_leave_it_right_within_30_percent_after_a_tenth():
    costs = [9.0] + [0.75 if number % 2 else 1.25 for number in range(40)]
    for left, true in list(estimates(costs))[4:-4]:
        assert abs(left - true) <= 0.3 * true


def test_a_log_gets_a_line_now_and_then(monkeypatch):
    moment = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: moment)
    stream = io.StringIO()
    monkeypatch.setattr(progress, "TimeLeft", lambda: TimeLeft(lambda: moment))
    with Progress(stream).bar("frames") as advance:
        for done in range(1, 11):
            moment += 50.0 if done == 1 else 6.0
            advance(done, 10)
    assert stream.getvalue().splitlines()[:2] == [
        "  frames: 1 of 10, about 450 s left",
        "  frames: 3 of 10, about 42 s left",
    ]


def test_a_listener_gets_values_and_the_stream_its_text():
    class Heard:
        def __init__(self):
            self.all = []

        def said(self, text):
            self.all.append(text)

        def noted(self, notes):
            self.all.append(list(notes))

        def advanced(self, label, done, total, seconds_left):
            self.all.append((label, done, total, seconds_left >= 0))

    stream, heard = io.StringIO(), Heard()
    both = Progress(stream, heard)
    both.info("direct the shot …")
    both.notes(["the cup floats"])
    both.notes([])
    assert list(both.track("ab", "frames", 2)) == ["a", "b"]
    assert heard.all == ["direct the shot …", ["the cup floats"], ("frames", 1, 2, True), ("frames", 2, 2, True)]
    assert stream.getvalue().splitlines() == ["direct the shot …", "  note: the cup floats"]
    assert not both.is_silent
    assert Progress(listener=heard).is_silent
