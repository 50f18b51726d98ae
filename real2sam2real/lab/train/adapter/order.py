"""Which clips make which pass, and every random draw, as functions of seed and position alone.

Nothing is carried from step to step, so a run that was stopped goes on exactly as if it had not been, on however many
processes: a pass is counted through all processes together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch


def generator_for(seed: int, *position: int | str) -> torch.Generator:
    """A generator on the CPU for one place of one run."""
    digest = hashlib.blake2b(repr((seed, *position)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


@dataclass(frozen=True, kw_only=True)
class Order:
    """Epochs over buckets of clips of one size each."""

    sizes: tuple[int, ...]  # number of clips of each bucket, at least one each
    # clips per pass, all of one bucket; the last of an epoch begins the bucket anew where clips run out
    batch_size: int
    seed: int  # of the order

    @property
    def passes(self) -> int:
        """Per epoch."""
        return sum(-(-size // self.batch_size) for size in self.sizes)

    def at(self, number: int) -> tuple[int, tuple[int, ...]]:
        """The bucket and the clips of pass `number`, counted from 0 through the whole run."""
        epoch, place = divmod(number, self.passes)
        generator = generator_for(self.seed, "order", epoch)
        batches = []
        for bucket, size in enumerate(self.sizes):
            shuffled = torch.randperm(size, generator=generator).tolist()
            for start in range(0, size, self.batch_size):
                batches.append((bucket, tuple(shuffled[(start + k) % size] for k in range(self.batch_size))))
        return batches[int(torch.randperm(len(batches), generator=generator)[place])]
