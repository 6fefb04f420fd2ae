"""Keeps the results of runs in recipes/NAME/results/ and writes their tables into the READMEs.

python tools/publish_results.py RUN [RUN ...]
"""

import argparse
import shutil
from datetime import timedelta
from pathlib import Path

from asr.recipe import RECIPES
from asr.scoring.results import Results, evaluation_folder, read_results

SPLITS = ("dev", "test")
HEADING = "## Results\n"
COLUMNS = (
    "| run | dev WER % | test WER % (95 % interval) | test CER % | parameters | training |\n|---|---|---|---|---|---|\n"
)


def publish(run: Path) -> str:
    """Copies the greedy results of a run; gives the name of its recipe."""
    recipe = read_results(evaluation_folder(run, "test", "greedy")).recipe
    for split in SPLITS:
        folder = RECIPES / recipe / "results" / run.name / split
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(evaluation_folder(run, split, "greedy") / "results.json", folder)
    return recipe


def stored_runs(recipe: str) -> list[dict[str, Results]]:
    """The stored results of a recipe by split, the best run first."""
    runs = [
        {split: read_results(run / split) for split in SPLITS}
        for run in sorted((RECIPES / recipe / "results").iterdir())
    ]
    return sorted(runs, key=lambda run: run["test"].wer)


def results_section(recipe: str) -> str:
    """The section of a recipe's README: a table, the commands and where it was measured, from the stored results."""
    runs = stored_runs(recipe)
    rows = "".join(_row(run["dev"], run["test"]) for run in runs)
    commands = "".join(f"    {run['test'].command}\n" for run in runs)
    origins = sorted({f"{run['test'].hardware}, PyTorch {run['test'].torch}" for run in runs})
    return (
        f"{HEADING}\nGreedy decoding, no language model; one training each. Made on {'; '.join(origins)}.\n\n"
        f"{COLUMNS}{rows}\nTheir commands, in the same order:\n\n{commands}"
    )


def overview() -> str:
    """The section of the README: the best run of each recipe with its command."""
    best = [stored_runs(path.parent.name)[0]["test"] for path in sorted(RECIPES.glob("*/results"))]
    rows = "".join(
        f"| [{run.recipe}](recipes/{run.recipe}#results) | {100 * run.wer:.2f} | {100 * run.wer_low:.2f} - "
        f"{100 * run.wer_high:.2f} | {timedelta(seconds=round(run.train_seconds))} | `{run.command}` |\n"
        for run in best
    )
    return (
        f"{HEADING}\nOn test, greedy and without a language model; each recipe's page has all its runs.\n\n"
        f"| recipe | WER % | 95 % interval | training | command |\n|---|---|---|---|---|\n{rows}\n"
    )


def _row(dev: Results, test: Results) -> str:
    interval = f"{100 * test.wer:.2f} ({100 * test.wer_low:.2f} - {100 * test.wer_high:.2f})"
    time = timedelta(seconds=round(test.train_seconds))
    size = f"{test.parameters / 1e6:.2f} M"
    return f"| {test.run} | {100 * dev.wer:.2f} | {interval} | {100 * test.cer:.2f} | {size} | {time} |\n"


def main() -> None:
    """Publishes the runs of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders that were evaluated")
    for recipe in sorted({publish(run) for run in parser.parse_args().runs}):
        readme = RECIPES / recipe / "README.md"
        text = readme.read_text(encoding="utf-8")
        readme.write_text(text[: text.index(HEADING)] + results_section(recipe), encoding="utf-8")
    readme = RECIPES.parent / "README.md"
    text = readme.read_text(encoding="utf-8")
    start = text.index(HEADING)
    end = text.index("\n## ", start) + 1
    readme.write_text(text[:start] + overview() + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
