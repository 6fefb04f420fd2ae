"""`asr listen`: augmented training utterances as audio, pictures of their features and a page."""

from pathlib import Path

from asr.common.seeds import key_of
from asr.data.mixture import read_split
from asr.report.augmented_examples import write_examples
from asr.settings.recipe import Recipe
from asr.settings.root import Config


def run(recipe: Recipe, config: Config) -> None:
    """Writes some training utterances, the same ones each time, augmented as in several epochs."""
    train = sorted(read_split(recipe, config, "train"), key=lambda utterance: key_of(utterance.id))
    chosen = sorted(train[: config.listen.utterances], key=lambda utterance: utterance.id)
    folder = Path(config.listen.folder or Path(config.paths.runs) / recipe.name / "listen").expanduser().absolute()
    write_examples(recipe.name, config, chosen, folder)
    print(f"{len(chosen)} utterances in {config.listen.epochs} epochs: open {folder / 'index.html'}")
