"""The recordings of Debian's Russian voice: 620 sentences of one speaker, 16 kHz, with their transcripts."""

import re
from pathlib import Path

from asr.config import Config
from asr.data.archives import fetch_archive, unpack_deb
from asr.data.corpus import whole_file, write_splits
from asr.data.draws import mix
from asr.errors import DataError
from asr.text.config import Case, TextConfig
from asr.text.normalization import normalize

ARCHIVE = "festvox-ru_0.5+dfsg-6_all.deb"
URL = f"https://deb.debian.org/debian/pool/main/f/festvox-ru/{ARCHIVE}"
SHA256 = "21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4"
VOICE = "usr/share/festival/voices/russian/msu_ru_nsh_clunits"

HELD_OUT = {"test": 40, "dev": 80}
SPEAKER = "nsh"
LINE = re.compile(r'\( (?P<id>\S+) "(?P<text>.*)" \)')
TEXT = TextConfig(normalize=True, language="ru", case=Case.lower, numbers=False)


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Reads festvox's list of prompts; test and dev are sentences in an order drawn by their ids alone."""
    archive = fetch_archive(ARCHIVE, archives, URL, SHA256)
    voice = unpack_deb(archive, output / "original") / VOICE
    prompts = voice / "etc" / "txt.done.data"
    utterances = []
    for line in prompts.read_text(encoding="utf-8").splitlines():
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise DataError(f"{prompts}: the line {line!r} is no id and transcript.")
        # A plus stands before the stressed vowel of some words; two French names have an apostrophe.
        text = normalize(match["text"].replace("+", "").replace("'", ""), TEXT)
        utterances.append(whole_file(voice / "wav" / f"{match['id']}.wav", text, SPEAKER))
    drawn = sorted(utterances, key=lambda utterance: mix("festvox_ru", utterance.id))
    splits, begin = {}, 0
    for split, count in HELD_OUT.items():
        splits[split], begin = drawn[begin : begin + count], begin + count
    write_splits(output, splits | {"train": drawn[begin:]})
