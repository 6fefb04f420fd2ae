"""`asr new`: a recipe folder for a corpus of the user's own."""

import re
from collections.abc import Sequence
from pathlib import Path

from asr.commands.flags import FlagParser
from asr.common.errors import ConfigError, shell_argument


def main(arguments: Sequence[str]) -> None:
    """Reads a corpus once and writes a recipe that fits it."""
    parser = FlagParser(prog="asr new", description="Writes a recipe folder for a corpus of your own.")
    parser.add_argument("folder", metavar="NAME", type=Path, help="the folder of the recipe, which is made")
    parser.add_argument("source", metavar="PATH", type=Path, help="the corpus: a folder or a file in a known format")
    columns = "columns of a table, as audio=path,text=sentence"
    parser.add_argument("--columns", default="", metavar="ROLE=NAME,...", help=columns)
    options = parser.parse(arguments, {"data.columns.": "--columns ", "data.source=": ""})
    # A comma in a name is followed by no other role.
    parts = re.split(r",\s*(?=\w*=)", options.columns) if options.columns else []
    pairs = [part.partition("=") for part in parts]
    if any(not separator or not name for _, separator, name in pairs):
        raise ConfigError(f"--columns is {options.columns!r}: write ROLE=NAME pairs, as audio=path,text=sentence.")

    from asr.data.own import write_recipe

    settings = write_recipe(options.folder, options.source, {role: name for role, _, name in pairs})
    print(settings + f"\nWritten to {options.folder / 'recipe.yaml'}. Next: asr run {shell_argument(options.folder)}")
