"""Keeps results in recipes/NAME/ and writes their tables into the READMEs.

python tools/publish_results.py RUN [RUN ...]     runs, to recipes/NAME/results/
python tools/publish_results.py COMPARISON [...]  comparisons of `asr compare`, to recipes/NAME/comparison/
"""

import argparse
import json
import shutil
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from asr.comparison.document import body
from asr.comparison.plots import PICTURES
from asr.comparison.summary import SUMMARY, Comparison, read_summary
from asr.recipe import RECIPES
from asr.scoring.results import Results, evaluation_folder, read_results

SPLITS = ("dev", "test")
HEADING = "## Results\n"
COMPARISON_HEADING = "## Comparison\n"
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


def publish_comparison(folder: Path) -> str:
    """Copies a comparison, its pictures and the results of its runs; gives the name of its recipe."""
    comparison = read_summary(folder / SUMMARY)
    stored = RECIPES / comparison.recipe / "comparison"
    shutil.rmtree(stored, ignore_errors=True)
    stored.mkdir(parents=True)
    shutil.copy(folder / SUMMARY, stored)
    for name in PICTURES:
        if (folder / f"{name}.svg").is_file():
            shutil.copy(folder / f"{name}.svg", stored)
    for split, results in results_of(comparison):
        place = stored / "runs" / results.run / split
        place.mkdir(parents=True)
        text = json.dumps(asdict(results), indent=2, ensure_ascii=False) + "\n"
        (place / "results.json").write_text(text, encoding="utf-8")
    return comparison.recipe


def results_of(comparison: Comparison) -> list[tuple[str, Results]]:
    """The results of every run of a comparison, with their split."""
    runs = [run for model in comparison.models for run in model.runs]
    splits = [(split, getattr(run, split)) for run in runs for split in SPLITS]
    return [(split, results) for split, results in splits if results is not None]


def comparison_section(recipe: str) -> str:
    """The section of a recipe's README on its comparison, from the stored one."""
    stored = RECIPES / recipe / "comparison"
    shown = "".join(
        f"![{title}](comparison/{name}.svg)\n\n"
        for name, title in PICTURES.items()
        if (stored / f"{name}.svg").is_file()
    )
    return f"{COMPARISON_HEADING}\n{body(read_summary(stored / SUMMARY))}\n{shown}"


def write_comparison_section(recipe: str) -> None:
    """Puts the section into the README of the recipe: in place of the earlier one, else above the results or last."""
    readme = RECIPES / recipe / "README.md"
    text = readme.read_text(encoding="utf-8")
    if COMPARISON_HEADING in text:
        start = text.index(COMPARISON_HEADING)
        following = text.find("\n## ", start)
        end = following + 1 if following >= 0 else len(text)
    else:
        start = end = text.index(HEADING) if HEADING in text else len(text)
        if start == len(text):
            text, start, end = text + "\n", start + 1, end + 1
    readme.write_text(text[:start] + comparison_section(recipe) + text[end:], encoding="utf-8")


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
    """Publishes the runs and the comparisons of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="runs that were evaluated, or comparisons")
    folders = parser.parse_args().folders
    comparisons = [folder for folder in folders if (folder / SUMMARY).is_file()]
    for recipe in sorted({publish_comparison(folder) for folder in comparisons}):
        write_comparison_section(recipe)
    for recipe in sorted({publish(run) for run in folders if run not in comparisons}):
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
