"""`asr prepare`: from the corpus archive to manifests."""

from asr.common.tables import table
from asr.data.preparation import prepare_corpus
from asr.settings.recipe import Recipe
from asr.settings.root import Config

HEADINGS = ("split", "utterances", "minutes", "speakers")


def run(recipe: Recipe, config: Config) -> None:
    """Makes the manifests unless they are there, and prints what each split holds."""
    sizes = prepare_corpus(recipe, config)
    print(table(HEADINGS, [(one.split, one.utterances, f"{one.minutes:.1f}", one.speakers or "?") for one in sizes]))
