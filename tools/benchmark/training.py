"""Measures training against the same network in plain PyTorch with packed sequences, paired in one run.

    python tools/benchmark/training.py [--quick] [--publish] [key=value ...]

In alternating rounds, on the same batch: a training step of 3 layers of 320 units on 16 utterances of at most 150
frames; the ceilings of the machine, which are big matrix products and oneDNN's LSTM inference; then an epoch of AN4 by
the trainer as it is, and with packed float32 layers. `key=value` are overrides of the recipe an4, such as paths.data
and hardware.threads; its manifests are prepared if they are not there. Prints tables; with --publish it also keeps the
figures in docs/explanation/performance.json and puts the tables into docs/explanation/performance.md.
"""

import argparse
import json
import math
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import torch
from end_to_end import measure_rest, measure_training, profile_training
from steps import PACKED, Sizes, Step, Variant, measure_steps, threads

from asr.commands import prepare
from asr.scoring.provenance import commit, hardware
from asr.settings.compose import compose
from asr.settings.model import Cell
from asr.settings.recipe import RECIPES, Recipe
from asr.training.hardware import keep_freed_memory, peak_bytes

SIZES = Sizes(layers=3, hidden=320, batch=16, frames=150, shortest=0.8)
OURS = [Variant("kernel", "fp32"), Variant("kernel", "bf16")]
DENSE = [Variant("dense", "fp32"), Variant("dense", "bf16")]
MEMORY_STEPS = 3
CPU = torch.device("cpu")
DOCS = Path(__file__).parents[2] / "docs" / "explanation"
HEADING = "## Figures\n"


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publish", action="store_true", help="put the figures into docs/explanation/")
    parser.add_argument("--quick", action="store_true", help="few rounds and steps, LSTM and GRU only: to try the tool")
    parser.add_argument("--memory", nargs=3, metavar=("CELL", "WAY", "PRECISION"), help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    keep_freed_memory()  # as every training does; all ways of a step gain by it
    if arguments.memory:
        cell, way, precision = arguments.memory
        print(peak_memory(Cell[cell], Variant(way, precision)))
        return
    result = measure(arguments.quick, arguments.overrides)
    print(tables(result))
    if arguments.publish:
        (DOCS / "performance.json").write_text(json.dumps(result, indent=1) + "\n")
        page = DOCS / "performance.md"
        page.write_text(page.read_text().split(HEADING)[0] + HEADING + "\n" + tables(result) + "\n")


def measure(quick: bool, overrides: list[str]) -> dict[str, Any]:
    """All figures."""
    recipe = Recipe(RECIPES / "an4")
    config = compose(recipe, [*overrides, "tracker=disabled"])
    if not recipe.manifest(config, "train").exists():
        prepare.run(recipe, config)
    number = config.hardware.threads or torch.get_num_threads()
    with threads(number):
        steps = {}
        for cell in (Cell.lstm, Cell.gru) if quick else Cell:
            variants = [*OURS, *DENSE] if cell is Cell.ligru else [PACKED, *OURS, *DENSE]
            steps[cell.name] = measure_steps(cell, SIZES, variants, rounds=2 if quick else 11)
            for variant in variants if cell is Cell.lstm or not quick else ():
                found = steps[cell.name][str(variant)]
                assert isinstance(found, dict)
                found["peak_memory_mib"] = memory_of(cell, variant, number)
        training = {}
        for model in ("lstm",) if quick else ("lstm", "gru"):
            chosen = compose(recipe, [*overrides, "tracker=disabled", f"model={model}"])
            variants = [PACKED, *OURS]
            training[model] = measure_training(recipe, chosen, variants, 6 if quick else None, 1 if quick else 3)
        return {
            "date": date.today().isoformat(),
            "hardware": hardware(),
            "threads": number,
            "torch": torch.__version__,
            "commit": commit(),
            "command": shlex.join(["python", "tools/benchmark/training.py", *sys.argv[1:]]),
            "steps": steps,
            "training": training,
            "times_real_time": measure_rest(recipe, config),
            "profile": profile_training(recipe, config, steps=4 if quick else 20, rows=14),
        }


def memory_of(cell: Cell, variant: Variant, number: int) -> float:
    """Peak memory of a fresh process that takes a few steps (MiB)."""
    call = [sys.executable, __file__, "--memory", cell.name, variant.way, variant.precision]
    environment = {"OMP_NUM_THREADS": str(number), "PYTHONPATH": str(Path(__file__).parents[2])}
    return float(subprocess.run(call, check=True, capture_output=True, text=True, env=environment).stdout)


def peak_memory(cell: Cell, variant: Variant) -> float:
    """What a few steps add to the memory of this process (MiB)."""
    step = Step(cell, SIZES, variant)
    before = peak_bytes(CPU)
    for _ in range(MEMORY_STEPS):
        step()
    return (peak_bytes(CPU) - before) / 2**20


def tables(result: dict[str, Any]) -> str:
    """The Markdown that docs/explanation/performance.md holds."""
    lines = [
        f"{result['hardware']}, {result['threads']} threads, PyTorch {result['torch']}, {result['date']}:",
        f"`{result['command']}`",
        "",
        "| cell | step | ms | times packed float32 | share of the ceiling % | memory (MiB) |",
        "|---|---|---|---|---|---|",
    ]
    for cell, found in result["steps"].items():
        for variant, entry in found.items():
            if isinstance(entry, dict) and "milliseconds" in entry:
                ratio = f"{entry['times_packed_fp32']:.2f}" if "times_packed_fp32" in entry else "-"
                lines.append(
                    f"| {cell} | {variant} | {entry['milliseconds']:.0f} | {ratio} "
                    f"| {100 * entry['share_of_ceiling']:.0f} | {entry.get('peak_memory_mib', math.nan):.0f} |"
                )
    lines += ["", "| precision | matrix product (GFLOP/s) | LSTM inference (GFLOP/s) |", "|---|---|---|"]
    for precision, found in result["steps"]["lstm"]["ceilings_giga_multiply_adds_per_second"].items():
        lines.append(f"| {precision} | {2 * found['mm']:.0f} | {2 * found['lstm']:.0f} |")
    lines += ["", "| AN4, model | layers | hours of audio per hour | times packed float32 |", "|---|---|---|---|"]
    for model, found in result["training"].items():
        for variant, entry in found.items():
            lines.append(
                f"| {model} | {variant} | {entry['audio_hours_per_hour']:.0f} | {entry['times_packed_fp32']:.2f} |"
            )
    lines += ["", "| one process | times real time |", "|---|---|"]
    lines += [f"| {name} | {value:,.0f} |" for name, value in result["times_real_time"].items()]
    lines += ["", "| operation in AN4 training | share of the time % |", "|---|---|"]
    lines += [f"| {name} | {100 * share:.1f} |" for name, share in result["profile"]]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
