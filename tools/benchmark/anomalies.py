"""Exchanges transcripts of training utterances, trains on them, and measures how `asr check` ranks them.

    python tools/benchmark/anomalies.py work --seed 2 training.epochs=30

Archives come from ASR_MIRRORS; what follows the options goes to every command. Prints the average precision of the
ranking, and how many of the warnings are exchanged transcripts. With the same arguments it goes on where it stopped.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from asr.checks.anomalies import RANKING
from asr.checks.corpus import Requirements, ctc_frames
from asr.checks.findings import ANOMALY, FINDINGS
from asr.data.manifest import read_manifest, write_manifest
from asr.data.utterance import Utterance
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.training.hardware import resolve_hardware
from asr.training.run_folder import find_run_folder


def exchange(
    utterances: Sequence[Utterance], share: float, seed: int, needs: Requirements
) -> tuple[list[Utterance], set[str]]:
    """Exchanges transcripts in pairs of utterances that are drawn, and gives the ids of those that have another now.

    Pairs with the same sentence are passed over, and so are those that are found without a model: where a transcript
    does not fit into the frames of the other utterance.
    """
    changed, exchanged = list(utterances), set[str]()
    wanted = round(share * len(utterances))
    order = [int(number) for number in np.random.default_rng(seed).permutation(len(utterances))]
    while len(exchanged) + 1 < wanted and order:
        one = order.pop()
        for place, other in enumerate(order):
            here, there = utterances[one], utterances[other]
            if here.text != there.text and _fits(here, there, needs) and _fits(there, here, needs):
                del order[place]
                changed[one], changed[other] = replace(here, text=there.text), replace(there, text=here.text)
                exchanged |= {here.id, there.id}
                break
    return changed, exchanged


def _fits(speech: Utterance, words: Utterance, needs: Requirements) -> bool:
    return ctc_frames(needs.tokenizer.encode(words.text)) <= needs.output_frames("train", speech)


def average_precision(ranked: Sequence[str], wanted: Collection[str]) -> float:
    """The mean, over those that are wanted, of the precision of the ranking down to each; 0 for one not in it."""
    places = [place for place, name in enumerate(ranked, 1) if name in wanted]
    return sum(found / place for found, place in enumerate(places, 1)) / len(wanted)


def main() -> None:
    """Prepares, exchanges, trains, checks and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="gets data/ and runs/")
    parser.add_argument("--recipe", default="an4", help="whose training transcripts are exchanged (an4)")
    parser.add_argument("--share", type=float, default=0.05, help="of the training utterances (0.05)")
    parser.add_argument("--seed", type=int, default=1, help="draws the utterances (1)")
    options, overrides = parser.parse_known_args()
    overrides = [f"paths.data={options.folder / 'data'}", f"paths.runs={options.folder / 'runs'}", *overrides]
    recipe = find_recipe(options.recipe)
    config = compose(recipe, overrides)
    data, manifest = recipe.data(config), recipe.manifest(config, "train")
    clean = data / "clean.jsonl"
    if not clean.exists():
        _asr("prepare", options.recipe, overrides)
        shutil.copy(manifest, clean)
    utterances = read_manifest(clean)
    changed, exchanged = exchange(utterances, options.share, options.seed, Requirements.of(config, utterances))
    write_manifest(manifest, changed)
    _asr("train", options.recipe, overrides)
    run = find_run_folder(recipe, config, resolve_hardware(config.hardware).precision)
    _asr("check", options.recipe, [*overrides, f"check.model={run.path}"])
    ranking = [json.loads(line) for line in (data / RANKING).read_text(encoding="utf-8").splitlines()]
    ranked = [row["id"] for row in ranking if row["split"] == "train"]
    found = json.loads((data / FINDINGS).read_text(encoding="utf-8"))["findings"]
    warned = {row["utterance"] for row in found if row["kind"] == ANOMALY and row["split"] == "train"}
    print(f"{options.recipe}, seed {options.seed}: {len(exchanged)} of {len(utterances)} transcripts exchanged")
    print(f"average precision {average_precision(ranked, exchanged):.4f}")
    print(f"warnings {len(warned)}, of them exchanged {len(warned & exchanged)}")


def _asr(command: str, recipe: str, overrides: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "asr", command, recipe, *overrides], check=True)


if __name__ == "__main__":
    main()
