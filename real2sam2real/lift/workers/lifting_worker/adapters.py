"""Which adapter speaks to which lifter."""

from __future__ import annotations

from typing import Protocol

from .body import Body
from .failures import LiftingError
from .inputs import Inputs, Request
from .outputs import Lifted
from .sam3d import Sam3d
from .step1x3d import Step1x3d
from .triposg import TripoSG


class Adapter(Protocol):
    """One lifter. `prepare` comes first and loads no weights; `load` once; `lift` for every entity."""

    def prepare(self) -> dict[str, str]:
        """Import, check versions, weights and device; returns the versions."""

    def load(self) -> None:
        """Bring the model to the device."""

    def lift(self, inputs: Inputs) -> Lifted:
        """Lift one entity."""


def adapter_for(request: Request) -> Adapter:
    """The adapter that a request asks for.

    Raises:
        LiftingError: there is none of that name.
    """
    if request.lifter == "sam3d":
        return Sam3d(request)
    if request.lifter == "sam3d-body":
        return Body(request)
    if request.lifter == "triposg":
        return TripoSG(request)
    if request.lifter == "step1x3d":
        return Step1x3d(request)
    raise LiftingError("request", f"this worker knows no lifter '{request.lifter}'")
