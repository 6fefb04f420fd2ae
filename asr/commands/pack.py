"""`asr pack`: the audio of a prepared corpus into shards that trainings read from disk or a server."""

from pathlib import Path

from asr.commands.remedies import RECIPE, filled
from asr.common.errors import ConfigError, asr_command
from asr.data.mixture import read_split
from asr.data.shards.packing import pack
from asr.data.splits import SPLITS
from asr.settings.recipe import Recipe
from asr.settings.root import Config


def run(recipe: Recipe, config: Config) -> None:
    """Writes the missing shards, and prints what there is."""
    if config.shards.source is not None:
        raise ConfigError("asr pack reads the files of the manifests: set shards.source=null.")
    folder = Path(config.pack.output).absolute() if config.pack.output else recipe.data(config) / "shards"
    splits = dict.fromkeys((*SPLITS, *config.evaluation.splits))
    packed = pack({split: read_split(recipe, config, split) for split in splits}, folder, config.pack.shard_mb)
    print(
        f"{recipe.name}: {packed.utterances} utterances, {packed.seconds / 3600:.2f} h, {packed.bytes / 1e6:,.1f} MB "
        f"in {packed.shards} shards, {packed.written} of them new: {folder}"
    )
    print(filled(f"{asr_command('train', RECIPE, f'shards.source={folder}')} reads them."))
