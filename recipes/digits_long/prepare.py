"""The digits of recipes/digits in strings of up to thirty, drawn and spoken by that recipe's own code."""

from dataclasses import replace
from pathlib import Path

from asr.settings.recipe import Recipe
from asr.settings.root import Config

digits = Recipe(Path(__file__).parent.parent / "digits").script()

CORPUS = replace(digits.CORPUS, seed=2, utterances={"train": 700, "dev": 60, "test": 240}, digits=(3, 30))


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Draws the prompts, synthesizes them into audio/ and writes the manifests."""
    digits.write_corpus(CORPUS, config, output)
