"""The recordings of Debian's Russian voice: 620 sentences of one speaker, 16 kHz, with their transcripts.

Further sentences for a language model come from Debian's collection of Russian quotations.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from asr.common.errors import DataError
from asr.common.files import atomic_write
from asr.common.seeds import derive_seed
from asr.data.archives import ArchiveMissing, fetch_archive, unpack_deb
from asr.data.splits import whole_file, write_splits
from asr.settings.root import Config
from asr.settings.text import Case, TextConfig
from asr.text.normalization import normalize

log = logging.getLogger(__name__)

ARCHIVE = "festvox-ru_0.5+dfsg-6_all.deb"
URL = f"https://deb.debian.org/debian/pool/main/f/festvox-ru/{ARCHIVE}"
SHA256 = "21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4"
VOICE = "usr/share/festival/voices/russian/msu_ru_nsh_clunits"

QUOTATIONS = "fortunes-ru_1.52-3.1_all.deb"
QUOTATIONS_URL = f"https://deb.debian.org/debian/pool/main/f/fortunes-ru/{QUOTATIONS}"
QUOTATIONS_SHA256 = "2dc76af9c0e02e2926d36f88dcb685bb171fab8677e553a6def41efe8a551cc6"
QUOTATION_FILES = "usr/share/games/fortunes/ru"
SENTENCES = "sentences.txt"

HELD_OUT = {"test": 40, "dev": 80}
SPEAKER = "nsh"
RUSSIAN = re.compile("[ а-яё]+")
SOURCE = re.compile(r"^\s+(--|\u2014).*$", re.MULTILINE)
LINE = re.compile(r'\( (?P<id>\S+) "(?P<text>.*)" \)')
TEXT = TextConfig(normalize=True, language="ru", case=Case.lower, numbers=False)


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Reads festvox's list of prompts; test and dev are sentences in an order drawn by their ids alone.

    The file sentences.txt beside the manifests is what lm.texts names.
    """
    archive = fetch_archive(ARCHIVE, archives, URL, SHA256)
    voice = unpack_deb(archive, output / "original") / VOICE
    prompts = voice / "etc" / "txt.done.data"
    utterances = []
    for line in prompts.read_text(encoding="utf-8").splitlines():
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise DataError(f"{prompts}: the line {line!r} is not an id and a transcript.")
        # A plus stands before the stressed vowel of some words; two French names have an apostrophe.
        text = normalize(match["text"].replace("+", "").replace("'", ""), TEXT)
        utterances.append(whole_file(voice / "wav" / f"{match['id']}.wav", text, SPEAKER))
    drawn = sorted(utterances, key=lambda utterance: derive_seed("festvox_ru", utterance.id))
    splits, begin = {}, 0
    for split, count in HELD_OUT.items():
        splits[split], begin = drawn[begin : begin + count], begin + count
    with atomic_write(output / SENTENCES) as file:
        file.write_text("".join(f"{sentence}\n" for sentence in _quotations(archives, output)), encoding="utf-8")
    write_splits(output, splits | {"train": drawn[begin:]})


def _quotations(archives: Path, output: Path) -> list[str]:
    """The sentences of Debian's quotations, each once; none where the package is not available."""
    try:
        package = fetch_archive(QUOTATIONS, archives, QUOTATIONS_URL, QUOTATIONS_SHA256)
    except ArchiveMissing as missing:
        log.warning("A language model will have only the transcripts: %s Then delete %s.", missing, output)
        return []
    folder = unpack_deb(package, output / "quotations") / QUOTATION_FILES
    files = (path for path in sorted(folder.glob("*")) if path.is_file() and not path.is_symlink())
    return [*dict.fromkeys(sentence for path in files if path.suffix != ".dat" for sentence in _sentences(path))]


def _sentences(path: Path) -> Iterator[str]:
    """The normalized sentences of a file that consist of Russian letters.

    A line with a percent sign separates quotations, one that begins with white space and dashes names the author.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8 ({error.reason}): delete its folder and fetch {QUOTATIONS}.") from None
    for quotation in SOURCE.sub("", text).split("\n%\n"):
        for sentence in re.split(r"[.!?\u2026]\s", " ".join(quotation.split()) + " "):
            normalized = normalize(sentence, TEXT)
            if " " in normalized and RUSSIAN.fullmatch(normalized):
                yield normalized
