"""What a user may choose about how a fine-tuning fits into memory. Light: the command line reads the names."""

from __future__ import annotations

from typing import Literal

OptimizerName = Literal["adamw", "adamw8bit"]
Activations = Literal["keep", "recompute", "offload"]
BaseDtype = Literal["plain", "fp8", "int8", "nf4"]
