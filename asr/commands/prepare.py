"""`asr prepare`: from the corpus archive to manifests."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from asr.common.errors import DataError
from asr.common.files import file_lock
from asr.data.indexing import Indexed
from asr.data.manifest import read_manifest
from asr.data.own import check_record
from asr.data.sequences import seconds_of
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.settings.recipe import Recipe
from asr.settings.root import Config

log = logging.getLogger(__name__)


def run(recipe: Recipe, config: Config) -> None:
    """Makes the manifests unless they are there, and prints what each split holds.

    Raises:
        DataError: The corpus cannot be had, the recipe leaves a split out, or the manifests were made with other
            settings.
    """
    # Jobs that begin at once: the first prepares, and the others find it done. Scripts may make the folder itself.
    lock = recipe.data(config).with_name(f".{recipe.name}.lock")
    with file_lock(lock) if _missing(recipe, config) else nullcontext():
        _prepare(recipe, config)
    print(f"{'split':<6} {'utterances':>10} {'minutes':>8} {'speakers':>8}")
    for split in SPLITS:
        print(_row(split, read_manifest(recipe.manifest(config, split))))


def _prepare(recipe: Recipe, config: Config) -> None:
    check_record(config, recipe.data(config))
    if not _missing(recipe, config):
        log.info("%s is prepared: %s", recipe.name, recipe.data(config))
        return
    recipe.prepare(config, archives=Path(config.paths.data).absolute() / "archives")
    if missing := _missing(recipe, config):
        raise DataError(f"{recipe.folder / 'prepare.py'} wrote no manifest for {', '.join(missing)}: it must.")


def _missing(recipe: Recipe, config: Config) -> list[str]:
    return [split for split in SPLITS if not recipe.manifest(config, split).is_file()]


def _row(split: str, utterances: Sequence[Utterance]) -> str:
    minutes = float(seconds_of(utterances).sum()) / 60
    if isinstance(utterances, Indexed):
        speakers = utterances.lines.speakers
    else:
        speakers = len({utterance.speaker for utterance in utterances if utterance.speaker})
    return f"{split:<6} {len(utterances):>10} {minutes:>8.1f} {speakers or '?':>8}"
