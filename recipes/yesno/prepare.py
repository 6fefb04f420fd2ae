"""Kaldi's yesno: eight words a file, 0 for no and 1 for yes in its name."""

from pathlib import Path

from asr.common.errors import DataError
from asr.data.archives import fetch_archive, unpack
from asr.data.splits import whole_file, write_splits
from asr.settings.root import Config

ARCHIVE = "waves_yesno.tar.gz"
URL = f"https://www.openslr.org/resources/1/{ARCHIVE}"
SHA256 = (
    "c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
    "d3ae064e57823d1ba7de46dc5a99031263a48874350e54665ced14b4eb7b5dd4",  # packed again, with the same files
)

WORDS = {"0": "NO", "1": "YES"}
SPEAKER = "m1"


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Splits as Kaldi does: sorted by name, the first half trains. Of that half the last five files are dev."""
    folder = unpack(fetch_archive(ARCHIVE, archives, URL, SHA256), output / "original")
    utterances = [whole_file(path, transcript(path), SPEAKER) for path in sorted(folder.glob("*/*.wav"))]
    half = len(utterances) // 2
    write_splits(
        output, {"train": utterances[: half - 5], "dev": utterances[half - 5 : half], "test": utterances[half:]}
    )


def transcript(path: Path) -> str:
    """The words of a file named like 0_1_1_0_0_1_1_0.wav.

    Raises:
        DataError: It has another name.
    """
    digits = path.stem.split("_")
    if not WORDS.keys() >= set(digits):
        raise DataError(f"{path} is not named after its words, as 0_1_1_0_0_1_1_0.wav is: remove it from the archive.")
    return " ".join(WORDS[digit] for digit in digits)
