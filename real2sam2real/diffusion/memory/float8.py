"""Linear layers that multiply in 8-bit floating point: weights rounded once, what comes in row by row as it comes.

Numbers are float8 e4m3 (448 at most, 3 bits of mantissa). Each row of a matrix has one float32 scale, its largest
number by 448: of the weight, a row is what one output channel is made of; of the input, one token. The scales are
multiplied onto the product, so they must lie along the axes that the sum leaves over; one along the summed axis could
not be taken out. NVIDIA's cards multiply so from compute capability 8.9 on, twice as fast as bfloat16.

Plain torch: `torch._scaled_mm` runs on CPUs too. torchao's own layers of this kind refuse CPUs, give NaN for a row of
zeros, and take 35 bytes of traffic for each number that comes in, where this takes 13.

Shape letters: L tokens, n input channels, m output channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LARGEST = torch.finfo(torch.float8_e4m3fn).max
ROWS = 4096
"""Tokens that are rounded at once: of each number there is a float32 copy meanwhile."""
_SMALLEST_SCALE = 1e-12  # of a row of zeros


def rounded_rows(values: Tensor) -> tuple[Tensor, Tensor]:
    """Round each row for itself.

    Args:
        values: `(…, n)` of any floating dtype.

    Returns:
        `(…, n)` float8 and `(…, 1)` float32 scales: their product is `values`, each number rounded to 3 bits.
    """
    largest = torch.linalg.vector_norm(values, ord=float("inf"), dim=-1, keepdim=True, dtype=torch.float32)
    scale = (largest / LARGEST).clamp_min(_SMALLEST_SCALE)
    return (values / scale).to(torch.float8_e4m3fn), scale


class Float8Linear(nn.Module):
    """A linear layer that multiplies in float8; for inference alone.

    Args:
        linear: whose weight is rounded; its bias stays.
        device: where that is done, and where the layer stays; None for where `linear` is.
    """

    def __init__(self, linear: nn.Linear, device: torch.device | str | None = None) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight, scale = rounded_rows(linear.weight.detach().to(device or linear.weight.device))
        self.weight = nn.Parameter(weight, requires_grad=False)  # `(m, n)`
        self.scale = nn.Parameter(scale, requires_grad=False)  # `(m, 1)`
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().to(weight.device), False)

    def forward(self, values: Tensor) -> Tensor:
        """`(…, m)` of `(…, n)`, in the dtype of `values`."""
        rows = values.reshape(-1, self.in_features)
        made = values.new_empty(len(rows), self.out_features)
        for first in range(0, len(rows), ROWS):
            part, scale = rounded_rows(rows[first : first + ROWS])
            made[first : first + ROWS] = torch._scaled_mm(
                part, self.weight.t(), scale_a=scale, scale_b=self.scale.t(), bias=self.bias, out_dtype=values.dtype
            )
        return made.view(*values.shape[:-1], self.out_features)
