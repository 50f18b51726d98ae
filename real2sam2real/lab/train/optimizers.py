"""Muon for the blocks' matrices, AdamW for everything else (Jordan et al., 2024; Liu et al., 2025).

Muon's updates are orthogonalised, which learns markedly faster per clip than Adam at this size; it is made for
matrices inside the network, so embeddings, norms, biases and the output layer stay with AdamW.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def is_hidden_matrix(name: str, parameter: nn.Parameter) -> bool:
    """True for the weights of self-attention and feed-forward layers.

    Cross-attention's queries and keys get no gradient while the context is a single token (a softmax over one value
    is constant), and Muon would scale their zero update up to rounding noise.
    """
    return parameter.ndim == 2 and name.startswith("blocks.") and (".attn1." in name or ".ffn." in name)


class Optimizers:
    """Muon and AdamW, which share the trainable parameters of a model and step as one."""

    def __init__(self, model: nn.Module, learning_rate: float, adam_ratio: float) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        hidden = [p for name, p in named if is_hidden_matrix(name, p)]
        other = [p for name, p in named if not is_hidden_matrix(name, p)]
        self.adam_ratio = adam_ratio
        self.muon = torch.optim.Muon(hidden, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        self.adam = torch.optim.AdamW(other, lr=learning_rate * adam_ratio, betas=(0.9, 0.98), weight_decay=0.01)

    def step(self, learning_rate: float) -> None:
        """One update at this learning rate; gradients are cleared."""
        step_at(self.muon, learning_rate)
        step_at(self.adam, learning_rate * self.adam_ratio)

    def state_dict(self) -> dict[str, Any]:
        """Of both."""
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of both."""
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def step_at(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """One update at this learning rate; gradients are cleared."""
    set_learning_rate(optimizer, learning_rate)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
