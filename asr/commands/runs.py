"""`asr runs`: all runs as a table, the best one marked."""

from collections.abc import Sequence

from asr.commands.flags import FlagParser, add_format
from asr.commands.subjects import given_runs
from asr.common.errors import ConfigError, RunError
from asr.common.tables import TableFormat


def main(arguments: Sequence[str]) -> None:
    """Prints a line for each run."""
    parser = FlagParser(
        prog="asr runs",
        description="Prints a line for each run: the error rate of an evaluation with its 95 % interval, the lowest on "
        "dev, epochs, training time, date, state (evaluated, trained, training, interrupted) and the settings in "
        "which the runs of a recipe differ. The runs with the lowest error rate come first; * marks the one with the "
        "lowest on dev, which is RECIPE/best for other commands.",
    )
    what = "a recipe, a folder of runs, or a run; without any, all runs in the folder runs"
    parser.add_argument("runs", metavar="RECIPE", nargs="*", help=what)
    parser.add_argument("--split", default="test", metavar="SPLIT", help="of the evaluations (test)")
    parser.add_argument("--decoder", metavar="NAME", help="of the evaluations (greedy, where there are several)")
    parser.add_argument(
        "--seeds",
        action="store_true",
        help="a line for each model instead: mean and standard deviation over the runs that differ in the seed only",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON; rates are fractions, times seconds")
    form.add_argument("--csv", action="store_true", help="print CSV, likewise")
    add_format(form)
    options = parser.parse(arguments)

    from asr.report.overview import as_csv, as_json, as_table, readable_runs, summarize
    from asr.report.seeds import group_seeds, seeds_as_json, seeds_as_table

    if options.seeds and options.csv:
        raise ConfigError("--seeds prints a table, or JSON with --json.")
    runs = readable_runs(given_runs(options.runs))
    lines = summarize(runs, options.split, options.decoder)
    asked = options.split != parser.get_default("split") or options.decoder is not None
    there = sorted({f"{one.split} with {one.decoder}" for run in runs for one in run.evaluations})
    if asked and there and all(line.decoder is None for line in lines):
        raise RunError(f"No run has such an evaluation, only of {', '.join(there)}: correct --split or --decoder.")
    if options.seeds:
        groups = group_seeds(lines)
        print(seeds_as_json(groups) if options.json else seeds_as_table(groups))
        return
    csv = options.csv or options.format == TableFormat.csv
    print(as_json(lines) if options.json else as_csv(lines) if csv else as_table(lines))
