"""Mini LibriSpeech: five hours of train-clean and two of dev-clean, read by the code of recipes/librispeech_100."""

from pathlib import Path

from asr.data.splits import hold_out, write_splits
from asr.settings.recipe import Recipe
from asr.settings.root import Config

librispeech = Recipe(Path(__file__).parent.parent / "librispeech_100").script()

URL = "https://www.openslr.org/resources/31"
PARTS = {"train": ["train-clean-5"], "test": ["dev-clean-2"]}
DEV_SHARE = 0.1


def prepare(config: Config, archives: Path, output: Path) -> None:
    """The publisher's dev part is test; dev is made of whole speakers held out of train."""
    splits = librispeech.read_parts(PARTS, archives, output, URL)
    train, dev = hold_out(splits["train"], DEV_SHARE, "dev")
    write_splits(output, splits | {"train": train, "dev": dev})
