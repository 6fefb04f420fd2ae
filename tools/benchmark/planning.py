"""Holds what `asr plan` predicts against a training of three epochs, the first of which is not counted.

    python tools/benchmark/planning.py recipes/an4 [key=value ...]

The recipe must be prepared, and the machine at rest. Prints predicted and measured time of an epoch, dev included, and
peak memory of the process.
"""

import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import mean

from omegaconf import OmegaConf

from asr.planning.prediction import calibrate
from asr.settings.compose import compose, plain
from asr.settings.recipe import find_recipe
from asr.tracking.metrics import read_metrics

EPOCHS = 3

TRAINING = """
import sys
from pathlib import Path
from asr.commands import train
from asr.settings.compose import load_config
from asr.settings.recipe import Recipe
from asr.training.hardware import peak_bytes, resolve_hardware
config = load_config(Path(sys.argv[2]))
train.run(Recipe(Path(sys.argv[1])), config)
print("peak", peak_bytes(resolve_hardware(config.hardware).device))
"""


def main() -> None:
    recipe = find_recipe(sys.argv[1])
    config = compose(recipe, [*sys.argv[2:], "tracker=disabled"])
    prediction = calibrate(recipe, config)
    with tempfile.TemporaryDirectory() as folder:
        config = replace(
            config,
            training=replace(config.training, epochs=EPOCHS, early_stopping_epochs=None),
            paths=replace(config.paths, runs=folder),
        )
        settings = Path(folder) / "config.yaml"
        settings.write_text(OmegaConf.to_yaml(OmegaConf.create(plain(config))), encoding="utf-8")
        trained = subprocess.run(
            [sys.executable, "-c", TRAINING, recipe.folder, settings], check=True, stdout=subprocess.PIPE, text=True
        )
        (run,) = Path(folder).glob(f"{recipe.name}/*/metrics.jsonl")
        rows = [row for row in read_metrics(run.parent) if "train/loss" in row]
    ended = [max(row["seconds"] for row in rows if row["epoch"] <= epoch) for epoch in range(1, EPOCHS + 1)]
    # From the end of one epoch's last step to that of the next: one dev split lies in between.
    seconds = mean(after - before for before, after in pairwise(ended))
    found = re.search(r"^peak (\d+)$", trained.stdout, re.MULTILINE)
    assert found is not None
    for what, predicted, measured, unit in (
        ("epoch", prediction.epoch_seconds, seconds, "s"),
        ("peak memory", prediction.peak_bytes / 1e9, int(found[1]) / 1e9, "GB"),
    ):
        off = 100 * (predicted / measured - 1)
        print(f"{config.name}: {what} predicted {predicted:.2f} {unit}, measured {measured:.2f} {unit} ({off:+.0f} %)")


if __name__ == "__main__":
    main()
