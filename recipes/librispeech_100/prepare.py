"""LibriSpeech: FLAC at 16 kHz beside a list of transcripts for each chapter, as OpenSLR packs it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from asr.common.errors import DataError
from asr.data.archives import fetch_archive, unpack
from asr.data.splits import whole_file, write_splits
from asr.data.utterance import Utterance
from asr.settings.root import Config

URL = "https://www.openslr.org/resources/12"

# Of the publisher's files, as torchaudio has them too.
SHA256 = {
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
}

PARTS = {
    "train": ["train-clean-100"],
    "dev": ["dev-clean"],
    "test": ["test-clean"],
    "dev-other": ["dev-other"],
    "test-other": ["test-other"],
}


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Unpacks the parts and writes their utterances under the official names of the splits."""
    write_splits(output, read_parts(PARTS, archives, output))


def read_parts(
    parts: Mapping[str, Sequence[str]], archives: Path, output: Path, url: str = URL
) -> dict[str, list[Utterance]]:
    """Fetches, unpacks and reads the parts of each split."""
    splits = {}
    for split, names in parts.items():
        splits[split] = []
        for name in names:
            archive = fetch_archive(f"{name}.tar.gz", archives, f"{url}/{name}.tar.gz", SHA256.get(name))
            splits[split] += read_part(unpack(archive, output / "original" / name) / "LibriSpeech" / name)
    return splits


def read_part(folder: Path) -> list[Utterance]:
    """Reads SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt and the FLAC files that it names."""
    utterances = []
    for transcripts in sorted(folder.glob("*/*/*.trans.txt")):
        for line in transcripts.read_text(encoding="utf-8").splitlines():
            name, _, text = line.partition(" ")
            if not name.startswith(transcripts.name.removesuffix(".trans.txt")) or not text:
                raise DataError(f"{transcripts}: the line {line!r} is not an id and a transcript.")
            path = transcripts.with_name(f"{name}.flac")
            utterances.append(whole_file(path, text, speaker=transcripts.parent.parent.name))
    return utterances
