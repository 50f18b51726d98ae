"""Trackers by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from real2sam2real.errors import UserError
from real2sam2real.lab.curate.instances.embedded import EmbeddedTracker
from real2sam2real.lab.curate.instances.interface import InstanceTracker
from real2sam2real.lab.curate.instances.sam2_video import GroundedSam2Tracker, Sam2Tracker
from real2sam2real.lab.curate.instances.sam3_video import Sam3Tracker

TRACKERS = ("embedded", "sam2", "sam3", "grounded-sam2")


def load_tracker(name: str, text: Sequence[str] = (), weights: Path | str | None = None) -> InstanceTracker:
    """A tracker, ready to be used.

    Args:
        name: "embedded" and "sam2" follow marks; "sam3" and "grounded-sam2" also find instances by words.
        text: the words, such as ("person", "dog"); for the last two.
        weights: a folder or a hub name, in place of the published checkpoint; for all but "embedded".

    Raises:
        UserError: there is no such tracker, or it cannot use what is given.
        MissingPartError: a package or the weights are missing; the message says how to get them.
    """
    if name not in TRACKERS:
        raise UserError(f"there is no tracker '{name}'; take one of {', '.join(TRACKERS)}")
    if text and name in ("embedded", "sam2"):
        raise UserError(f"the tracker '{name}' knows no words; mark the instances, or take sam3 or grounded-sam2")
    if name == "embedded":
        if weights is not None:
            raise UserError("the tracker 'embedded' has no weights; leave them out, or take another tracker")
        return EmbeddedTracker()
    if name == "sam2":
        return Sam2Tracker.load(weights)
    if name == "grounded-sam2":
        return GroundedSam2Tracker.load(text, weights)
    return Sam3Tracker.load(text, weights)
