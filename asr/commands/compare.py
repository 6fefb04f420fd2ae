"""`asr compare`: models under equal conditions with several seeds each, or finished runs, in one table with tests."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr.commands import remedies
from asr.commands.flags import FlagParser, add_format, points, share, whole_number
from asr.commands.subjects import find_run, given_run, is_run, is_subject, require_settings
from asr.common.errors import ConfigError, RunError
from asr.common.files import expanded
from asr.common.tables import TableFormat, chosen_format, print_beside
from asr.settings.recipe import Recipe, find_recipe

if TYPE_CHECKING:
    from asr.comparison.compare import Written

OF_PAGES = ("output", "dev_wer", "memory_seeds")
HELP = """Usage: asr compare RECIPE [-m] key=value,value ... [key=value ...]
       asr compare RUN RUN ... [-o FOLDER] [--decoder NAME] [--dev-wer SHARE]
       asr compare RUN ... --baseline RUN [--fail-if-worse POINTS] [--split SPLIT] [--decoder NAME]

Trains every combination of the values in the lists with every seed, and says which model is better: error rates with
intervals, paired tests, cost, short against long utterances, and how much context the models use. The same command
continues what was begun; finished runs are not repeated. With run folders instead of a recipe it compares these; runs
that differ only in the seed are one model. With a baseline it tests every run against that one, and only prints.

Keys of its own (docs/how-to/compare-models.md):
  compare.parameters=2e6   gives every model that many parameters, within 2 %
  compare.minutes=6        gives every run the same training time (minutes)
  compare.dev_wer=0.2      measures the time to a dev WER of 20 %
  compare.memory_seeds=1   measures the use of context on that many runs of each model; 0 on none
  compare.jobs=2           runs that many trainings in parallel, which share the cores
  compare.name=cells       names the comparison

Options, for run folders:
  -o, --output FOLDER      the folder of the comparison (default: comparison)
  --decoder NAME           compares the results of this decoder, such as beam-ngram3-words (default: greedy)
  --dev-wer SHARE          measures the time to this dev WER
  --memory-seeds NUMBER    measures the use of context on that many runs of each model (default: 0)

  --baseline RUN           tests the others against this run; trains, draws and writes nothing
  --format csv|md|latex    prints tables only, in this format
  --fail-if-worse POINTS   exit code 1 if one is worse than the baseline by more than that, and significantly so
  --split SPLIT            of the evaluations, with a baseline (default: test)

Examples:
  asr compare an4 -m model=lstm,gru seed=1,2,3 compare.parameters=2e6
  asr compare runs/an4/lstm-1a2b3c4d runs/an4/gru-5e6f7a8b -o lstm-or-gru
  asr compare --baseline runs/an4/lstm-1a2b3c4d runs/an4/gru-5e6f7a8b --fail-if-worse 0.5"""


def main(arguments: Sequence[str]) -> None:
    """Compares what the arguments name."""
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return
    options = _parse(arguments)
    flags = {"-o": options.output, "--decoder": options.decoder, "--dev-wer": options.dev_wer}
    flags["--memory-seeds"] = options.memory_seeds
    first = find_run(options.what[0])
    require_settings(first)
    if options.baseline is not None:
        _compare_to_baseline(options)
    elif options.split is not None or options.fail_if_worse is not None:
        raise ConfigError("--fail-if-worse and --split go with --baseline RUN.")
    elif is_run(first):
        _compare_runs(options)
    elif given := [flag for flag, value in flags.items() if value is not None]:
        raise ConfigError(f"{given[0]} is for run folders; with a recipe set compare.* or decoder instead.")
    else:
        _compare_models(options.what[0], find_recipe(options.what[0]), options.what[1:])


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = FlagParser("asr compare", add_help=False)
    parser.add_argument("what", nargs="*", metavar="RECIPE")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-o", "--output")
    parser.add_argument("--decoder")
    parser.add_argument("--dev-wer", type=share)
    parser.add_argument("--memory-seeds", type=whole_number)
    parser.add_argument("--baseline")
    parser.add_argument("--fail-if-worse", type=points)
    parser.add_argument("--split")
    add_format(parser)
    options = parser.parse(arguments)
    if not options.what or not is_subject(options.what[0]):
        raise ConfigError("asr compare needs a RECIPE, or the folders of several runs; see asr compare --help.")
    return options


def _compare_to_baseline(options: argparse.Namespace) -> None:
    if given := [f"--{name.replace('_', '-')}" for name in OF_PAGES if getattr(options, name) is not None]:
        raise ConfigError(f"{given[0]} is for comparisons without --baseline.")
    from asr.comparison.baseline import against_baseline

    runs = [given_run(name) for name in options.what]
    found = against_baseline(given_run(options.baseline), runs, options.split or "test", options.decoder)
    print(found.text(), flush=True)
    if options.fail_if_worse is not None and (worse := found.worse(options.fail_if_worse)):
        names = ", ".join(model.label for model in worse)
        print(f"asr: worse than the baseline by more than {options.fail_if_worse:g} points: {names}.", file=sys.stderr)
        sys.exit(1)


def _compare_runs(options: argparse.Namespace) -> None:
    from asr.comparison.compare import compare_runs

    paths, folder = [given_run(name) for name in options.what], expanded(options.output or "comparison")
    _print(compare_runs(paths, folder, options.decoder, options.dev_wer, options.memory_seeds or 0))


def _compare_models(named: str, recipe: Recipe, overrides: Sequence[str]) -> None:
    from asr.commands import prepare
    from asr.commands.run import make_ready
    from asr.comparison.compare import compare_grid
    from asr.comparison.grid import plan_grid, plan_table
    from asr.comparison.launcher import Launcher
    from asr.data.manifest import read_manifest
    from asr.settings.compose import compose, sweep
    from asr.training.hardware import resolve_hardware

    point = sweep(recipe, overrides)[0]
    remedies.give_settings(point)
    settings = compose(recipe, point)
    prepare.run(recipe, settings)
    texts = [utterance.text for utterance in read_manifest(recipe.manifest(settings, "train"))]
    grid = plan_grid(recipe, overrides, texts)
    resolve_hardware(settings.hardware)
    for config in grid.inputs():
        make_ready(recipe, config)
    grid = grid.in_equal_time()
    runs = grid.runs()
    print_beside(plan_table(runs))
    with Launcher(named, settings.compare.jobs) as launcher:
        failures = launcher.run_all([run for run in runs if not run.done], grid.name, grid.folder / "logs")
    missing = {run.name: failures.get(run.name, "not evaluated") for run in runs if not run.done}
    if written := compare_grid(grid, runs, missing):
        _print(written)
    if missing:
        sentences = "; ".join(f"{run} ({reason.rstrip('.')})" for run, reason in missing.items())
        raise RunError(
            f"{len(missing)} of {len(runs)} runs failed: {sentences}. Their whole output: {grid.folder / 'logs'}."
        )


def _print(written: "Written") -> None:
    print(written.body if chosen_format() is TableFormat.text else written.tables)
    print_beside(f"The comparison: {written.page}")
    print_beside(written.where)
