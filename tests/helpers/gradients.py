"""Gradients of one global batch, on one rank of several and by every number of micro-batches."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from asr.batching.batch_plan import split_batch
from asr.batching.steps import Steps
from asr.settings.compose import compose
from asr.settings.hardware import Precision
from asr.settings.recipe import RECIPES, Recipe
from asr.training.acoustic_training import AcousticData, AcousticTrainer, build_trainer
from asr.training.distributed import join_ranks
from asr.training.hardware import resolve_hardware
from asr.training.run_folder import RunFolder
from tests.helpers.trainings import SMALL

ACCUMULATIONS = (1, 2, 4)
PRECISIONS = (Precision.fp64, Precision.fp32)
SETTINGS = [
    *SMALL,
    "model.dropout=0",
    "model.intermediate_layer=1",
    "hardware.workers=0",
    "batching.global_seconds=1000",
]


def gradients(trainer: AcousticTrainer, parts: int) -> list[torch.Tensor]:
    """The gradient of the whole corpus as one batch, which each rank takes in some number of micro-batches."""
    planned, seconds = trainer.steps, np.sort(trainer.train.seconds(0))
    limits = [
        limit
        for limit in np.linspace(seconds[-1], 1000, 5000)
        if len(split_batch(seconds, planned.ranks, limit)) == parts
    ]
    assert limits, f"no limit splits the batch into {parts} micro-batches of each of {planned.ranks} ranks"
    config = replace(planned.config, max_device_seconds=float(limits[0]))
    steps = Steps(trainer.train, trainer.labels, config, planned.seed, planned.rank, planned.ranks)
    (step,) = steps.start(0, 0, 1)
    assert len(step.micro_batches) == parts
    trainer.accumulate(step, trainer.load([step]))
    found = [weight.grad.clone() for weight in trainer.model.parameters() if weight.grad is not None]
    trainer.optimizer.zero_grad()
    return found


def main() -> None:
    """Writes the gradients of every precision and number of micro-batches into a file of the folder given."""
    folder = Path(sys.argv[1])
    config = compose(Recipe(RECIPES / "yesno"), [f"paths.data={folder / 'data'}", *SETTINGS])
    found = {}
    for precision in PRECISIONS:
        config = replace(config, hardware=replace(config.hardware, precision=precision))
        hardware = resolve_hardware(config.hardware)
        ranks = join_ranks(hardware.device, config.cluster.join_minutes)
        data = AcousticData.read(Recipe(RECIPES / "yesno"), config)
        trainer = build_trainer(data, hardware, ranks, RunFolder(folder / "run", ""))
        trainer.warm_up_all_reduce()
        for parts in ACCUMULATIONS:
            found[f"{precision.name} {parts}"] = gradients(trainer, parts)
    if ranks.first:
        torch.save(found, folder / f"gradients-{ranks.size}.pt")
