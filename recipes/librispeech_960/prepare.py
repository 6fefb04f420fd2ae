"""LibriSpeech's 960 hours: all three parts, read by the code of recipes/librispeech_100."""

from pathlib import Path

from asr.data.splits import write_splits
from asr.settings.recipe import Recipe
from asr.settings.root import Config

librispeech = Recipe(Path(__file__).parent.parent / "librispeech_100").script()

PARTS = librispeech.PARTS | {"train": ["train-clean-100", "train-clean-360", "train-other-500"]}


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Unpacks the parts and writes their utterances under the official names of the splits."""
    write_splits(output, librispeech.read_parts(PARTS, archives, output))
