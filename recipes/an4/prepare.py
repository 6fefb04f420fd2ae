"""CMU AN4: the official train and test lists; dev is made of whole speakers held out of train.

The file lexicon.txt beside the manifests is the publisher's dictionary, for tokenizer=phone.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from asr.common.errors import DataError
from asr.common.files import atomic_write
from asr.common.seeds import derive_seed
from asr.data.archives import fetch_archive, unpack
from asr.data.splits import whole_file, write_splits
from asr.data.utterance import Utterance
from asr.settings.root import Config

ARCHIVE = "an4_sphere.tar.gz"
URL = f"http://www.speech.cs.cmu.edu/databases/an4/{ARCHIVE}"

DEV_UTTERANCES = 100
LEXICON = "lexicon.txt"
SPELLED = "A EY\n"
"""The letter A: the dictionary has the article first."""
SEX = {"f": "female", "m": "male"}
"""By the first letter of a speaker's name: `fash`, `mblb`."""
LINE = re.compile(r"(?:<s> )?(?P<text>.*?)(?: </s>)? \((?P<id>\S+)\)")


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Reads both lists and holds speakers out of train, enough for 100 dev utterances."""
    folder = unpack(fetch_archive(ARCHIVE, archives, URL), output / "original") / "an4"
    official = read_list(folder, "train")
    held_out = dev_speakers(official)
    with atomic_write(output / LEXICON) as file:
        file.write_text(SPELLED + (folder / "etc" / "an4.dic").read_text(encoding="utf-8"), encoding="utf-8")
    write_splits(
        output,
        {
            "train": [utterance for utterance in official if utterance.speaker not in held_out],
            "dev": [utterance for utterance in official if utterance.speaker in held_out],
            "test": read_list(folder, "test"),
        },
    )


def read_list(folder: Path, split: str) -> list[Utterance]:
    """Pairs the lines of SPLIT.fileids (`an4_clstk/fash/an251-fash-b`) with those of SPLIT.transcription."""
    files = (folder / "etc" / f"an4_{split}.fileids").read_text().split()
    transcription = folder / "etc" / f"an4_{split}.transcription"
    utterances = []
    for file, line in zip(files, transcription.read_text().splitlines(), strict=True):
        path = folder / "wav" / f"{file}.sph"
        match = LINE.fullmatch(line.strip())
        if match is None or match["id"] != path.stem:
            raise DataError(f"{transcription}: the line {line!r} is not the transcript of {path.stem}.")
        speaker = path.parent.name
        sex = SEX.get(speaker[0])
        utterances.append(whole_file(path, match["text"], speaker, extra=(("sex", sex),) if sex else ()))
    return utterances


def dev_speakers(utterances: Sequence[Utterance]) -> set[str]:
    """Speakers in an order drawn from their names, until they have 100 utterances."""
    chosen: set[str] = set()
    for speaker in sorted(
        {utterance.speaker for utterance in utterances}, key=lambda name: derive_seed("an4 dev", name)
    ):
        if sum(utterance.speaker in chosen for utterance in utterances) >= DEV_UTTERANCES:
            break
        chosen.add(speaker)
    return chosen
