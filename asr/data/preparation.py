"""Preparing a recipe: its prepare.py makes the manifests once, whichever job comes first."""

import logging
import shlex
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from asr.common.errors import DataError, asr_command
from asr.common.files import file_lock
from asr.data.manifest import IndexedManifest, read_manifest
from asr.data.marks import apply_marks, read_marks, unapplied
from asr.data.own import check_record
from asr.data.splits import SPLITS
from asr.data.utterance import seconds_of
from asr.settings.recipe import Recipe, prepared_elsewhere
from asr.settings.root import Config

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitSize:
    """What a split holds."""

    split: str
    utterances: int
    minutes: float
    speakers: int
    """Different ones; 0 where none is known."""


def prepare_corpus(recipe: Recipe, config: Config) -> list[SplitSize]:
    """Makes the manifests of a recipe unless they are there.

    Raises:
        DataError: The corpus cannot be had, the recipe leaves a split out, or the manifests were made with other
            settings.
    """
    # Of jobs that start together, the first prepares and the others find it done. Scripts may make the folder itself.
    manifests = {split: recipe.manifest(config, split) for split in SPLITS}
    folders = [recipe.folder, recipe.data(config)]
    lock = recipe.data(config).with_name(f".{recipe.name}.lock")
    with file_lock(lock) if _missing(recipe, config) else nullcontext():
        check_record(config, recipe.data(config))
        if not _missing(recipe, config):
            log.info("%s is prepared: %s", recipe.name, recipe.data(config))
            if (marks := read_marks(folders)) and (waiting := unapplied(manifests, marks)):
                log.warning(
                    "%d utterances are marked, and the manifests do not follow it: %s does, and makes other runs.",
                    *(len(waiting), asr_command("check", "RECIPE", "check.fix=true")),
                )
        else:
            if (elsewhere := prepared_elsewhere(recipe.manifest(config, "train"), recipe.folder)) is not None:
                log.warning(
                    "%s is prepared in %s too: to use that and not prepare it again, add %s.",
                    *(recipe.name, elsewhere, f"paths.data={shlex.quote(str(elsewhere))}"),
                )
            recipe.prepare(config, archives=Path(config.paths.data).absolute() / "archives")
            if missing := _missing(recipe, config):
                raise DataError(f"{recipe.folder / 'prepare.py'} wrote no manifest for {', '.join(missing)}: it must.")
            apply_marks(manifests, read_marks(folders))
    return [_size(recipe, config, split) for split in SPLITS]


def _missing(recipe: Recipe, config: Config) -> list[str]:
    return [split for split in SPLITS if not recipe.manifest(config, split).is_file()]


def _size(recipe: Recipe, config: Config, split: str) -> SplitSize:
    utterances = read_manifest(recipe.manifest(config, split))
    if isinstance(utterances, IndexedManifest):
        speakers = utterances.line_index.speakers
    else:
        speakers = len({utterance.speaker for utterance in utterances if utterance.speaker})
    return SplitSize(split, len(utterances), float(seconds_of(utterances).sum()) / 60, speakers)
