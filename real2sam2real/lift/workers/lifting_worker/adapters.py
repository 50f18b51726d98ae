"""Which adapter speaks to which lifter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .failures import LiftingError
from .image_to_shape import Step1x3d, TripoSG
from .inputs import Inputs, Request
from .outputs import Lifted
from .sam3d import Sam3d
from .sam3d_body import Sam3dBody


class LifterAdapter(Protocol):
    """One lifter. `prepare` comes first and loads no weights; `load` once; `lift` for every entity."""

    def prepare(self) -> dict[str, str]:
        """Import, check versions, weights and device; returns the versions."""

    def load(self) -> None:
        """Bring the model to the device."""

    def lift(self, inputs: Inputs) -> Lifted:
        """Lift one entity."""


ADAPTERS: dict[str, Callable[[Request], LifterAdapter]] = {
    "sam3d": Sam3d,
    "sam3d-body": Sam3dBody,
    "triposg": TripoSG,
    "step1x3d": Step1x3d,
}


def adapter_for(request: Request) -> LifterAdapter:
    """The adapter that a request asks for.

    Raises:
        LiftingError: there is none of that name.
    """
    if request.lifter not in ADAPTERS:
        raise LiftingError("request", f"this worker knows no lifter '{request.lifter}'")
    return ADAPTERS[request.lifter](request)
