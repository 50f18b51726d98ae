"""What is known of each lifter: what it needs and gives, where it comes from, how it is set up. Light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from real2sam2real.errors import UserError


@dataclass(frozen=True, kw_only=True)
class LifterFacts:
    """One lifter."""

    name: str  # as it is chosen
    title: str  # as its makers call it
    licence: str  # of code and weights
    page: str  # how to install it
    weights: str  # where they are, and the command that fetches them
    remedy: str  # what to do when the card is too small
    gated: str = ""  # page on which access is asked for; empty where anybody may download
    pose: Literal["pytorch3d", "opencv"] | None = None  # the convention of the pose that it gives, if it gives one
    takes_pointmap: bool = False  # whether our depth is passed in


LIFTERS = {
    facts.name: facts
    for facts in (
        LifterFacts(
            name="sam3d",
            title="SAM 3D Objects",
            licence="SAM License",
            page="https://github.com/facebookresearch/sam-3d-objects/blob/main/doc/setup.md",
            weights="hf download facebook/sam-3d-objects, into checkpoints/hf of its clone",
            gated="https://huggingface.co/facebook/sam-3d-objects",
            pose="pytorch3d",
            takes_pointmap=True,
            remedy="it asks for a card of 32 GB; close what else uses the card, or choose --lifter triposg (8 GB)",
        ),
        LifterFacts(
            name="sam3d-body",
            title="SAM 3D Body",
            licence="SAM License",
            page="https://github.com/facebookresearch/sam-3d-body/blob/main/INSTALL.md",
            weights="hf download facebook/sam-3d-body-dinov3 --local-dir checkpoints/sam-3d-body-dinov3",
            gated="https://huggingface.co/facebook/sam-3d-body-dinov3",
            pose="opencv",
            remedy="close what else uses the card",
        ),
        LifterFacts(
            name="triposg",
            title="TripoSG",
            licence="MIT",
            page="https://github.com/VAST-AI-Research/TripoSG#-installation",
            weights="hf download VAST-AI/TripoSG --local-dir pretrained_weights/TripoSG",
            remedy="it asks for a card of 8 GB; close what else uses the card",
        ),
        LifterFacts(
            name="step1x3d",
            title="Step1X-3D",
            licence="Apache-2.0",
            page="https://github.com/stepfun-ai/Step1X-3D#4-dependencies-and-installation",
            weights="hf download stepfun-ai/Step1X-3D --include 'Step1X-3D-Geometry-1300m/*'",
            remedy="close what else uses the card, or choose --lifter triposg (8 GB)",
        ),
    )
}


def facts_of(name: str) -> LifterFacts:
    """What is known of a lifter.

    Raises:
        UserError: there is none of that name.
    """
    if name not in LIFTERS:
        raise UserError(f"there is no lifter '{name}'; choose one of {', '.join(LIFTERS)}")
    return LIFTERS[name]
