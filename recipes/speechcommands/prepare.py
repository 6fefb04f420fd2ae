"""Speech Commands: single words of 2,618 speakers, a folder for each word, 16 kHz."""

from pathlib import Path

from asr.common.files import lines_of
from asr.data.archives import fetch_archive, unpack
from asr.data.formats.rows import Row, utterances_of
from asr.data.splits import SPLITS, write_splits
from asr.settings.root import Config

ARCHIVE = "speech_commands_v0.02.tar.gz"
URL = f"http://download.tensorflow.org/data/{ARCHIVE}"
SHA256 = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"  # as torchaudio has it

LISTS = {"dev": "validation_list.txt", "test": "testing_list.txt"}
NOISE = "_background_noise_"


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Reads WORD/SPEAKER_nohash_TAKE.wav; what the publisher's lists name is dev and test, all else train."""
    folder = unpack(fetch_archive(ARCHIVE, archives, URL, SHA256), output / "original")
    split_of = {line.strip(): split for split, name in LISTS.items() for _, line in lines_of(folder / name)}
    rows: dict[str | None, list[Row]] = {split: [] for split in SPLITS}
    for path in sorted(folder.glob("*/*.wav")):
        word = path.parent.name
        if word != NOISE:
            speaker = path.stem.partition("_nohash_")[0]
            row = Row(path, word.upper(), speaker, id=f"{word}-{path.stem}")
            rows[split_of.get(f"{word}/{path.name}", "train")].append(row)
    utterances = utterances_of(rows, folder)
    write_splits(output, {split: utterances[split] for split in SPLITS})
