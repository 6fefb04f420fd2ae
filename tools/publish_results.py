"""Keeps results in recipes/NAME/ and writes the tables of all that are kept into the READMEs.

python tools/publish_results.py RUN [RUN ...]     runs, to recipes/NAME/results/
python tools/publish_results.py COMPARISON [...]  comparisons of `asr compare`, to recipes/NAME/comparison/
"""

import argparse
import json
import re
import shlex
import shutil
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from statistics import mean
from typing import Any

from asr.comparison.document import body
from asr.comparison.plots import PICTURES
from asr.comparison.summary import SUMMARY, Comparison, read_summary
from asr.scoring.results import Results, evaluation_folder, read_results, results_json
from asr.settings.recipe import RECIPES

SPLITS = ("dev", "test")
HEADING = "## Results\n"
COMPARISON_HEADING = "## Comparison\n"
COLUMNS = (
    "| run | dev WER % | test WER % (95 % interval) | test CER % | parameters | training |\n|---|---|---|---|---|---|\n"
)


def publish(run: Path) -> None:
    """Keeps the results of a run: the greedy ones, and on test those of every other decoder."""
    recipe = read_results(evaluation_folder(run, "test", "greedy")).recipe
    stored = RECIPES / recipe / "results" / run.name
    for split in SPLITS:
        source = evaluation_folder(run, split, "greedy")
        if (source / "results.json").is_file():  # who trains on dev too has none of it
            _copy(source / "results.json", stored / split)
    for path in sorted(evaluation_folder(run, "test", "greedy").parent.glob("*/results.json")):
        if path.parent.name != "greedy":
            _copy(path, stored / "test" / path.parent.name)


def publish_comparison(folder: Path) -> str:
    """Copies a comparison, its pictures and the results of its runs; gives the name of its recipe."""
    stored = RECIPES / read_summary(folder / SUMMARY).recipe / "comparison"
    shutil.rmtree(stored, ignore_errors=True)
    _copy(folder / SUMMARY, stored)
    comparison = read_summary(stored / SUMMARY)
    for name in PICTURES:
        if (folder / f"{name}.svg").is_file():
            shutil.copy(folder / f"{name}.svg", stored)
    for split, results in results_of(comparison):
        place = stored / "runs" / results.run / split
        place.mkdir(parents=True)
        (place / "results.json").write_text(results_json(results), encoding="utf-8")
    return comparison.recipe


def _copy(source: Path, folder: Path) -> None:
    """Copies a JSON file without the places of this machine in its commands."""

    def public(found: dict[str, Any]) -> dict[str, Any]:
        return found | {key: without_places(value) for key, value in found.items() if key == "command"}

    folder.mkdir(parents=True, exist_ok=True)
    content = json.loads(source.read_text(encoding="utf-8"), object_hook=public)
    (folder / source.name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def without_places(command: str) -> str:
    """A command as it is where data and runs lie in the current folder."""
    words = shlex.split(command)
    places = dict(re.findall(r"^paths\.(data|runs)=(.+)$", "\n".join(words), re.MULTILINE))
    for name, place in places.items():
        words = [word.replace(place, name) for word in words if not word.startswith("paths.")]
    return shlex.join(words)


def results_of(comparison: Comparison) -> list[tuple[str, Results]]:
    """The results of every run of a comparison, with their split."""
    runs = [run for model in comparison.models for run in model.runs]
    splits = [(split, getattr(run, split)) for run in runs for split in SPLITS]
    return [(split, results) for split, results in splits if results is not None]


def comparison_section(recipe: str) -> str:
    """The section of a recipe's README on its comparison, from the stored one."""
    stored = RECIPES / recipe / "comparison"
    comparison = read_summary(stored / SUMMARY)
    shown = "".join(
        f"![{title.format(comparison.unit.label)}](comparison/{name}.svg)\n\n"
        for name, title in PICTURES.items()
        if (stored / f"{name}.svg").is_file()
    )
    return f"{COMPARISON_HEADING}\n{body(comparison)}\n{shown}"


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


def stored_runs(recipe: str) -> list[list[dict[str, Results]]]:
    """The stored results of a recipe by split: those that differ in the seed alone together, the recipe as it is first.

    What stands first must not depend on the test split.
    """
    groups: dict[str, list[dict[str, Results]]] = {}
    for run in (RECIPES / recipe / "results").iterdir():
        results = {split: read_results(run / split) for split in SPLITS if (run / split).is_dir()}
        groups.setdefault(_settings(results["test"]), []).append(results)
    ordered = sorted(groups, key=lambda settings: (len(settings.split()), settings))
    return [sorted(groups[settings], key=lambda run: run["test"].seed) for settings in ordered]


def results_section(recipe: str) -> str:
    """The section of a recipe's README: a table, the commands and where it was measured, from the stored results."""
    groups = stored_runs(recipe)
    rows = "".join(_rows(runs) for runs in groups)
    tests = [run["test"] for runs in groups for run in runs]
    commands = "".join(f"    {test.command}\n" for test in tests)
    origins = sorted({f"{test.hardware}, PyTorch {test.torch}" for test in tests})
    return (
        f"{HEADING}\nGreedy decoding, no language model. Made on {'; '.join(origins)}.\n\n"
        f"{COLUMNS}{rows}\nTheir commands, in the same order:\n\n{commands}{decoders(recipe, groups)}"
    )


def decoders(recipe: str, groups: list[list[dict[str, Results]]]) -> str:
    """A table for the runs that were decoded in further ways too: their WER on test by decoder."""
    text = ""
    for runs in groups:
        found = [_by_decoder(recipe, run["test"]) for run in runs]
        shared = [name for name in found[0] if all(name in others for others in found)]
        if len(shared) < 2:
            continue
        names = " | ".join(run["test"].run for run in runs)
        text += f"\nTest WER % by decoder:\n\n| decoder | {names} | **mean** |\n|{'---|' * (len(runs) + 2)}\n"
        for name in shared:
            wers = [results[name].wer for results in found]
            cells = " | ".join(f"{100 * wer:.2f}" for wer in wers)
            text += f"| {name} | {cells} | **{_percent(wers)}** |\n"
        commands = (results[name].evaluation_command for name in shared[1:] for results in found)
        text += "\nTheir commands, decoder by decoder:\n\n" + "".join(f"    {command}\n" for command in commands)
    return text


def _by_decoder(recipe: str, test: Results) -> dict[str, Results]:
    """The stored test results of a run by decoder, greedy first."""
    stored = RECIPES / recipe / "results" / test.run / "test"
    return {test.decoder: test} | {
        path.parent.name: read_results(path.parent) for path in sorted(stored.glob("*/*.json"))
    }


def overview() -> str:
    """The section of the README: each recipe as it is, with its command."""
    rows = ""
    for path in sorted(RECIPES.glob("*/results")):
        tests = [run["test"] for run in stored_runs(path.parent.name)[0]]
        first, seconds = tests[0], mean(test.train_seconds for test in tests)
        wer = _percent(test.wer for test in tests)
        seeds = ", ".join(f"{100 * test.wer:.2f}" for test in tests)
        interval = seeds if len(tests) > 1 else f"{100 * first.wer_low:.2f} - {100 * first.wer_high:.2f}"
        rows += (
            f"| [{first.recipe}](recipes/{first.recipe}#results) | {wer} | {interval} | "
            f"{timedelta(seconds=round(seconds))} | `{first.command}` |\n"
        )
    return (
        f"{HEADING}\nOn test, greedy and without a language model; each recipe's page has all its runs.\n\n"
        f"| recipe | WER % | 95 % interval, or each seed | training | command |\n|---|---|---|---|---|\n{rows}\n"
    )


def _settings(results: Results) -> str:
    """The command of a run without what leaves the experiment the same: the seed and the processes."""
    return " ".join(word for word in results.command.split() if not word.startswith(("seed=", "hardware.")))


def _rows(runs: list[dict[str, Results]]) -> str:
    rows = "".join(_row(run.get("dev"), run["test"]) for run in runs)
    if len(runs) == 1:
        return rows
    dev = _percent(run["dev"].wer for run in runs) if "dev" in runs[0] else "-"
    wer, cer = (_percent(getattr(run["test"], rate) for run in runs) for rate in ("wer", "cer"))
    return f"{rows}| **mean of {len(runs)} seeds** | {dev} | **{wer}** | {cer} | | |\n"


def _row(dev: Results | None, test: Results) -> str:
    interval = f"{100 * test.wer:.2f} ({100 * test.wer_low:.2f} - {100 * test.wer_high:.2f})"
    time = timedelta(seconds=round(test.train_seconds))
    size = f"{test.parameters / 1e6:.2f} M"
    dev_wer = f"{100 * dev.wer:.2f}" if dev else "-"
    return f"| {test.run} | {dev_wer} | {interval} | {100 * test.cer:.2f} | {size} | {time} |\n"


def _percent(rates: Iterable[float]) -> str:
    return f"{100 * mean(rates):.2f}"


def main() -> None:
    """Publishes the runs and the comparisons of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="runs that were evaluated, or comparisons")
    folders = parser.parse_args().folders
    comparisons = [folder for folder in folders if (folder / SUMMARY).is_file()]
    for recipe in sorted({publish_comparison(folder) for folder in comparisons}):
        write_comparison_section(recipe)
    for run in folders:
        if run not in comparisons:
            publish(run)
    for readme in sorted(path.parent / "README.md" for path in RECIPES.glob("*/results")):
        text = readme.read_text(encoding="utf-8")
        readme.write_text(text[: text.index(HEADING)] + results_section(readme.parent.name), encoding="utf-8")
    readme = RECIPES.parent / "README.md"
    text = readme.read_text(encoding="utf-8")
    start = text.index(HEADING)
    end = text.index("\n## ", start) + 1
    readme.write_text(text[:start] + overview() + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
