"""`asr compare`: models under equal conditions with several seeds each, or finished runs, in one table with tests."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr.commands.flags import FlagParser, share, whole_number
from asr.common.errors import ConfigError, RunError
from asr.settings.recipe import Recipe, find_recipe

if TYPE_CHECKING:
    from asr.comparison.context import Memory
    from asr.comparison.grid import PlannedRun, Variant
    from asr.comparison.measured import MeasuredRun
    from asr.comparison.summary import Comparison, Origin
    from asr.settings.root import Config

log = logging.getLogger(__name__)

HELP = """Usage: asr compare RECIPE [-m] key=value,value ... [key=value ...]
       asr compare RUN RUN ... [-o FOLDER] [--decoder NAME] [--dev-wer SHARE]

Trains every combination of the values that stand in lists, the seeds apart from the rest, and says which model is
better: error rates with intervals, paired tests, cost, short against long utterances, and the reach of the models.
The same command goes on with what was begun; finished runs are not repeated. With run folders instead of a recipe it
compares what is there; runs that differ in the seed alone are one model.

Keys of its own (docs/how-to/compare-models.md):
  compare.parameters=2e6   sizes every model to so many parameters, within 2 %
  compare.minutes=6        gives every run the same time of training
  compare.dev_wer=0.2      measures the time to a dev WER of 20 %
  compare.memory_seeds=1   measures reach and cut context on so many trainings of each model; 0 on none
  compare.jobs=2           trains so many at a time, which share the cores
  compare.name=cells       names the comparison

Options, for run folders:
  -o, --output FOLDER      gets the comparison (default: comparison)
  --decoder NAME           compares the results with this decoder, as beam-ngram3-words (default: greedy)
  --dev-wer SHARE          measures the time to this dev WER
  --memory-seeds NUMBER    measures reach and cut context on so many runs of each model (default: 0)

Examples:
  asr compare an4 -m model=lstm,gru seed=1,2,3 compare.parameters=2e6
  asr compare runs/an4/lstm-1a2b3c4d runs/an4/gru-5e6f7a8b -o lstm-or-gru"""


def main(arguments: Sequence[str]) -> None:
    """Compares what the arguments name.

    Raises:
        ConfigError: The arguments or the settings cannot be used.
        RunError: A run failed, or cannot be compared with the others.
    """
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return
    options = _parse(arguments)
    flags = {"-o": options.output, "--decoder": options.decoder, "--dev-wer": options.dev_wer}
    flags["--memory-seeds"] = options.memory_seeds
    if _is_run(options.what[0]):
        _compare_runs(
            [Path(name) for name in options.what],
            Path(options.output or "comparison"),
            options.decoder,
            options.dev_wer,
            options.memory_seeds or 0,
        )
    elif given := [flag for flag, value in flags.items() if value is not None]:
        raise ConfigError(f"{given[0]} is for run folders; with a recipe set compare.* or decoder instead.")
    else:
        _compare_models(options.what[0], find_recipe(options.what[0]), options.what[1:])


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = FlagParser("asr compare", add_help=False)
    parser.add_argument("what", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-o", "--output")
    parser.add_argument("--decoder")
    parser.add_argument("--dev-wer", type=share)
    parser.add_argument("--memory-seeds", type=whole_number)
    options = parser.parse_intermixed_args(arguments)
    if not options.what or "=" in options.what[0]:
        raise ConfigError("asr compare needs a RECIPE, or the folders of several runs; see asr compare --help.")
    return options


def _is_run(name: str) -> bool:
    return (Path(name) / "config.yaml").is_file() and not (Path(name) / "recipe.yaml").is_file()


def _compare_models(named: str, recipe: Recipe, overrides: Sequence[str]) -> None:
    from asr.commands import prepare
    from asr.commands.run import make_ready
    from asr.comparison.grid import comparison_name, equal_time, plan_runs, plan_variants
    from asr.comparison.measured import read_run
    from asr.comparison.runner import Launcher
    from asr.data.manifest import read_manifest
    from asr.decoding.naming import decoder_name
    from asr.settings.compose import compose, sweep
    from asr.training.hardware import resolve_hardware

    settings = compose(recipe, sweep(recipe, overrides)[0])
    prepare.run(recipe, settings)
    texts = [utterance.text for utterance in read_manifest(recipe.manifest(settings, "train"))]
    variants, seeds = plan_variants(recipe, overrides, settings.compare, texts)
    name = comparison_name(variants, settings)
    folder = Path(settings.paths.runs).absolute() / recipe.name / "comparisons" / name
    resolve_hardware(settings.hardware)
    for number, variant in enumerate(variants):
        inputs = [(other.config.data, other.config.features, other.config.augment) for other in variants]
        if inputs.index(inputs[number]) == number:
            make_ready(recipe, variant.config)
    if settings.compare.minutes is not None:
        variants = equal_time(recipe, variants, settings.compare.minutes, folder)
    runs = plan_runs(recipe, variants, seeds)
    to_do = [run for run in runs if not run.done]
    print(_plan_table(variants, runs, to_do))
    with Launcher(named, settings.compare.jobs) as launcher:
        failures = launcher.run_all(to_do, name, folder / "logs")
    done: dict[str, list[MeasuredRun]] = {}
    for variant in variants:
        decoder = decoder_name(variant.config)
        if trained := [run for run in runs if run.variant is variant and run.done]:
            done[variant.label] = [read_run(run.folder.path, decoder) for run in trained]
    missing = {run.name: failures.get(run.name, "not evaluated") for run in runs if not run.done}
    if done:
        origin = _origin(name, recipe.name, settings)
        _finish(origin, settings, done, folder, missing, settings.compare.memory_seeds)
    if missing:
        sentences = "; ".join(f"{run} ({reason.rstrip('.')})" for run, reason in missing.items())
        raise RunError(f"{len(missing)} of {len(runs)} runs failed: {sentences}. All they said: {folder / 'logs'}.")


def _compare_runs(
    paths: Sequence[Path], folder: Path, decoder: str | None, dev_wer: float | None, memory_seeds: int
) -> None:
    from dataclasses import replace

    from asr.comparison.measured import group_runs, read_run
    from asr.decoding.naming import GREEDY

    for path in paths:
        if not _is_run(str(path)):
            raise RunError(f"{path} is no run folder: it has no config.yaml.")
    runs = [read_run(path.absolute(), decoder or GREEDY) for path in paths]
    recipes = sorted({run.test.recipe for run in runs})
    settings = runs[0].config
    origin = replace(_origin(folder.absolute().name, ", ".join(recipes), settings), dev_wer=dev_wer)
    origin = replace(origin, parameters=None, minutes=None)
    _finish(origin, settings, group_runs(runs), folder.absolute(), {}, memory_seeds)


def _finish(
    origin: "Origin",
    settings: "Config",
    models: "dict[str, list[MeasuredRun]]",
    folder: Path,
    missing: dict[str, str],
    memory_seeds: int,
) -> None:
    """Writes, tracks and prints a comparison."""
    from asr.comparison.document import PAGE, body, page
    from asr.comparison.plots import draw
    from asr.comparison.summary import SUMMARY, summarize, write_summary
    from asr.tracking.metrics import replace_text

    memory = _memory(models, folder, memory_seeds)
    comparison = summarize(origin, models, _multiply_adds, memory, missing)
    write_summary(folder / SUMMARY, comparison)
    pictures = draw(comparison, folder)
    replace_text(folder / PAGE, page(comparison, pictures))
    where = _track(comparison, settings, folder, pictures)
    print(body(comparison))
    print(f"The comparison: {folder / PAGE}")
    print(where)


def _memory(models: "dict[str, list[MeasuredRun]]", folder: Path, seeds: int) -> "dict[Path, Memory]":
    from asr.comparison.context import measure_memory
    from asr.data.manifest import read_manifest

    memory = {}
    for label, runs in models.items():
        for run in runs[:seeds]:
            log.info("Reach and cut context of %s: %s", label, run.path.name)
            manifest = Path(run.config.paths.data).absolute() / run.test.recipe / "test.jsonl"
            memory[run.path] = measure_memory(
                run.path, read_manifest(manifest), folder / "memory" / f"{run.path.name}.json"
            )
    return memory


def _multiply_adds(run: "MeasuredRun") -> float:
    from asr.features.extractor import FeatureExtractor
    from asr.model.cost import multiply_adds_per_second
    from asr.text.tokenizer import load_tokenizer

    dim = FeatureExtractor(run.config.features, run.config.data.sampling_rate).dim
    tokens = load_tokenizer(run.path / "model").size
    return sum(multiply_adds_per_second(run.config.model, dim, tokens, run.config.features.hop_ms).values())


def _plan_table(variants: "Sequence[Variant]", runs: "Sequence[PlannedRun]", to_do: "Sequence[PlannedRun]") -> str:
    from asr.comparison.document import table

    rows = []
    for variant in variants:
        seeds = [run.seed for run in runs if run.variant is variant]
        open_seeds = [run.seed for run in to_do if run.variant is variant]
        rows.append(
            [
                variant.label,
                str(variant.config.model.hidden),
                f"{variant.parameters:,}",
                str(variant.config.training.epochs),
                " ".join(str(seed) for seed in seeds if seed not in open_seeds) or "-",
                " ".join(map(str, open_seeds)) or "-",
            ]
        )
    return table(["model", "hidden", "parameters", "epochs", "seeds done", "seeds to do"], rows)


def _origin(name: str, recipe: str, settings: "Config") -> "Origin":
    import torch

    from asr.comparison.summary import Origin
    from asr.scoring.provenance import command, commit, hardware

    compare = settings.compare
    return Origin(
        name, recipe, command(), commit(), hardware(), torch.__version__,
        compare.parameters, compare.minutes, compare.dev_wer,
    )  # fmt: skip


def _track(comparison: "Comparison", settings: "Config", folder: Path, pictures: Sequence[Path]) -> str:
    """Logs the comparison as a run of its own, in one group with its trainings; gives the sentence on how to see it."""
    from asr.comparison.document import model_table
    from asr.settings.compose import plain
    from asr.tracking.tracker import Tracker

    with Tracker(
        folder,
        settings.tracker,
        name=comparison.name,
        recipe=comparison.recipe,
        settings=plain(settings),
        job_type="compare",
        step=0,
        group=comparison.name,
    ) as tracker:
        for model in comparison.models:
            figures = {"wer": model.wer.mean, "wer_low": model.wer.low, "wer_high": model.wer.high}
            figures |= {"cer": model.cer.mean, "train_seconds": model.train_seconds.mean}
            tracker.summary({f"{model.label}/{figure}": value for figure, value in figures.items()})
        heads, _, *lines = [
            [cell.strip() for cell in line.strip("| ").split(" | ")] for line in model_table(comparison).splitlines()
        ]
        tracker.show_table("comparison", heads, lines)
        tracker.show_pictures({picture.stem: picture for picture in pictures})
        return tracker.where()
