"""`asr runs`: all runs as a table, the best one marked."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress

from asr.commands.flags import FlagParser, add_format
from asr.commands.subjects import given_runs
from asr.common.errors import ConfigError, RunError
from asr.common.tables import TableFormat, print_beside

SPLIT = "test"
WATCH_SECONDS = 5.0
CLEAR = "\x1b[H\x1b[2J"
"""Takes a terminal to its first line, and empties it."""


def main(arguments: Sequence[str]) -> None:
    """Prints a line for each run."""
    parser = FlagParser(
        prog="asr runs",
        description="Prints a line for each run: the error rate of an evaluation with its 95 % interval, the lowest on "
        "dev, epochs, training time, date, state (training, queued, preempted, interrupted, failed, finished) and the "
        "settings in which the runs of a recipe differ; of those that are not finished also the machine, the speed, "
        "the time left and the last sign of life, and why they failed. The runs with the lowest error rate come first; "
        "* marks the one with the lowest on dev, which is RECIPE/best for other commands.",
    )
    what = "a recipe, a folder of runs, or a run; without any, all runs in the folder runs"
    parser.add_argument("runs", metavar="RECIPE", nargs="*", help=what)
    parser.add_argument("--split", default=SPLIT, metavar="SPLIT", help="of the evaluations (test)")
    parser.add_argument("--decoder", metavar="NAME", help="of the evaluations (greedy, where there are several)")
    parser.add_argument(
        "--seeds",
        action="store_true",
        help="a line for each model instead: mean and standard deviation over the runs that differ in the seed only",
    )
    parser.add_argument("--watch", action="store_true", help="show the table again every few seconds, until Ctrl-C")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON; rates are fractions, times seconds")
    form.add_argument("--csv", action="store_true", help="print CSV, likewise")
    add_format(form)
    options = parser.parse(arguments)

    if options.seeds and options.csv:
        raise ConfigError("--seeds prints a table, or JSON with --json.")
    if options.watch and (options.json or options.csv or options.format):
        raise ConfigError("--watch shows a table, without --json, --csv and --format.")
    if options.watch:
        _watch(lambda: _shown(options))
    else:
        print(_shown(options))


def _shown(options: Namespace) -> str:
    """What is printed."""
    from asr.report.overview import as_csv, as_json, as_table, failures, readable_runs, summarize
    from asr.report.seeds import group_seeds, seeds_as_json, seeds_as_table

    runs = readable_runs(given_runs(options.runs))
    lines = summarize(runs, options.split, options.decoder)
    asked = options.split != SPLIT or options.decoder is not None
    there = sorted({f"{one.split} with {one.decoder}" for run in runs for one in run.evaluations})
    if asked and there and all(line.decoder is None for line in lines):
        raise RunError(f"No run has such an evaluation, only of {', '.join(there)}: correct --split or --decoder.")
    if options.seeds:
        groups = group_seeds(lines)
        return seeds_as_json(groups) if options.json else seeds_as_table(groups)
    if options.json:
        return as_json(lines)
    if options.csv or options.format == TableFormat.csv:
        return as_csv(lines)
    beside = failures(lines)
    if options.format in (None, TableFormat.text):
        return "\n".join([as_table(lines), *beside])
    for line in beside:
        print_beside(line)
    return as_table(lines)


def _watch(show: Callable[[], str]) -> None:
    """Shows something again every few seconds, in place on a terminal, until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        while True:
            shown = f"{time.strftime('%H:%M:%S')}\n{show()}\n"
            print(f"{CLEAR if sys.stdout.isatty() else ''}{shown}", flush=True)
            time.sleep(WATCH_SECONDS)
