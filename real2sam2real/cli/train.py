"""Train models: `r2s2r train base`, `train normals`, `train adapter`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from real2sam2real.lab.train.options import Activations, BaseDtype, OptimizerName

_IN_FILE = "(default: as the file says)"


@dataclass(frozen=True, kw_only=True)
class TrainBase:
    """Train a base checkpoint on the procedural world, from nothing or from the shipped one.

    The same command on the same folder goes on where the last run stopped. The finished checkpoint is
    FOLDER/checkpoint; the loss is drawn in FOLDER/loss.png.
    """

    recipe: Annotated[
        Positional[Literal["mini", "refine", "mini-gpu", "mini-gpu-previews", "smoke"]], arg(metavar="RECIPE")
    ]
    """mini: the small base, from nothing, on a CPU. refine: goes on from the shipped one. mini-gpu: a larger base, from
    nothing, in six minutes of a GPU. mini-gpu-previews: goes on from that for eight minutes, and learns to repair
    previews. smoke: seconds; learns nothing."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where the run lives: rendered clips, state, losses, checkpoint."""
    checkpoint: Annotated[str | None, arg(metavar="NAME|FOLDER", help_behavior_hint="(default: the recipe's)")] = None
    """The checkpoint to go on from, of the recipe's size."""
    device: Annotated[str | None, arg(metavar="cpu|cuda", help_behavior_hint="(default: a GPU where there is one)")] = (
        None
    )
    """Where the network trains."""
    renderers: Annotated[
        int | None, arg(metavar="N", help_behavior_hint="(default: 1; beside a GPU, all cores but two)")
    ] = None
    """Processes that render clips."""
    threads: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: all cores)")] = None
    """CPU threads for the network."""
    compile: bool = False
    """Compile the network first: faster, needs a C++ compiler."""

    def execute(self) -> None:
        """Train, draw the loss, print the checkpoint's path."""
        from dataclasses import replace

        import torch

        from real2sam2real.lab.train.base import BaseTrainer
        from real2sam2real.lab.train.recipes import RECIPES
        from real2sam2real.lab.train.training import draw_loss_curve

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        recipe = RECIPES[self.recipe]()
        trainer = BaseTrainer(
            recipe if self.checkpoint is None else replace(recipe, start=self.checkpoint),
            self.out,
            device=self.device,
            renderers=self.renderers,
            compile_model=self.compile,
        )
        checkpoint = trainer.fit()
        draw_loss_curve(trainer.losses, self.out / "loss.png")
        print(checkpoint)


@dataclass(frozen=True, kw_only=True)
class TrainNormals:
    """Train the mini normal network on the procedural world, from nothing.

    The same command on the same folder goes on where the last run stopped. The finished network is FOLDER/network.
    """

    recipe: Annotated[Positional[Literal["mini", "smoke"]], arg(metavar="{mini,smoke}")]
    """mini is the shipped network; smoke runs every part in seconds and learns nothing."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where the run lives: rendered clips, state, losses, network."""
    threads: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: all cores)")] = None
    """CPU threads for the network."""

    def execute(self) -> None:
        """Train and print the network's path."""
        import torch

        from real2sam2real.lab.train.normals import NORMALS_RECIPES, NormalsTrainer

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        print(NormalsTrainer(NORMALS_RECIPES[self.recipe](), self.out).fit())


@dataclass(frozen=True, kw_only=True)
class TrainAdapter:
    """Fine-tune a frozen base on a data set of masked normals: a patch embedding and a LoRA.

    The same command on the same folder goes on from the newest checkpoint. The adapter is FOLDER/adapter; TensorBoard
    reads FOLDER/tensorboard. For several devices: `accelerate launch "$(which r2s2r)" train adapter …`.
    """

    config: Annotated[Positional[Path], arg(metavar="CONFIG")]
    """YAML file of settings; only `dataset` is required."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
    """Where the run lives: encoded clips, checkpoints, losses, samples, adapters."""
    activations: Annotated[Activations | None, arg(metavar="{keep,recompute,offload}", help_behavior_hint=_IN_FILE)] = (
        None
    )
    """Of the forward pass: kept on the device; computed again block by block; or that, and blocks' inputs wait in CPU
    memory."""
    base_dtype: Annotated[BaseDtype | None, arg(metavar="{plain,fp8,nf4}", help_behavior_hint=_IN_FILE)] = None
    """How the frozen blocks' matrices are stored."""
    optimizer: Annotated[OptimizerName | None, arg(metavar="{adamw,adamw8bit}", help_behavior_hint=_IN_FILE)] = None
    """AdamW with its state in float32 or in 8 bits."""

    def execute(self) -> None:
        """Train and print the adapter's path."""
        from real2sam2real.lab.train.adapter.config import read_config
        from real2sam2real.lab.train.adapter.trainer import AdapterTrainer

        logging.basicConfig(format="%(message)s")  # to standard error
        logging.getLogger("real2sam2real").setLevel(logging.INFO)
        choices = {"activations": self.activations, "base_dtype": self.base_dtype, "optimizer": self.optimizer}
        trainer = AdapterTrainer(read_config(self.config, **choices), self.out)
        adapter = trainer.fit()
        if trainer.is_main:
            print(adapter)


COMMANDS = {"adapter": TrainAdapter, "base": TrainBase, "normals": TrainNormals}
