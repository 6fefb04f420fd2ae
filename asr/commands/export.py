"""`asr export`: the manifests of a recipe in the formats of other toolkits."""

from collections.abc import Sequence
from pathlib import Path

from asr.commands import remedies
from asr.commands.flags import FlagParser
from asr.commands.subjects import given_recipe
from asr.common.errors import ConfigError

FORMATS = ("nemo", "kaldi", "lhotse")


def main(arguments: Sequence[str]) -> None:
    """Writes the prepared splits of a recipe into a folder."""
    parser = FlagParser(
        prog="asr export",
        description="Writes the manifests of a prepared recipe for other toolkits; the audio stays where it is.",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="a folder with a recipe.yaml, a shipped recipe, or a run")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, as paths.data=FOLDER")
    parser.add_argument("--to", choices=FORMATS, required=True, help="the toolkit")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where it is written")
    options = parser.parse(arguments)

    from asr.common.files import expanded, new_folder
    from asr.data.formats.writing import export, keep_source
    from asr.data.manifest import read_manifest
    from asr.data.splits import SPLITS
    from asr.settings.compose import compose

    remedies.give_settings(options.overrides)
    with given_recipe(options.recipe, options.overrides) as recipe:
        config = compose(recipe, ["name=export", *options.overrides])
    splits = {split: read_manifest(recipe.manifest(config, split)) for split in SPLITS}
    if options.output.is_file():
        raise ConfigError(f"{options.output} is a file: give a folder for -o.")
    if (source := config.data.source) is not None:
        keep_source(expanded(source), options.to, options.output)
    with new_folder(options.output):
        export(options.to, splits, options.output)
    print(f"{recipe.name}: {sum(map(len, splits.values()))} utterances written for {options.to}: {options.output}")
