"""The voice prompts of Asterisk in five languages: 8 kHz, one voice each, as Debian packs them with their texts."""

import gzip
import logging
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from asr.common.errors import ConfigError
from asr.common.seeds import derive_seed
from asr.data.archives import fetch_archive, unpack_deb
from asr.data.splits import SPLITS, whole_file, write_splits
from asr.data.utterance import Utterance
from asr.settings.root import Config
from asr.text.normalization import normalize

log = logging.getLogger(__name__)

VERSION = "1.6.1-1"
URL = "https://deb.debian.org/debian/pool/main/a/asterisk-core-sounds"
CHECKSUMS = {
    "en": ("973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
           "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d"),
    "es": ("9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74",
           "9283a09a6d56fccdcc2bcfe86c48f0f844289cfbd46a3184d8785a6f7f569903"),
    "fr": ("04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056",
           "8d4e1bc32ed5ba7fbda40841ca1825ed20cc6232724a473c90f8bb0e53e6073e"),
    "it": ("3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b",
           "5a26638089e134b8ac39363fe249c5c93c50cd8bfdc9b2499ae61ec4a35e2fcb"),
    "ru": ("28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab",
           "ccbfaebfa450b7a9ddf644ae0f3d1e9017d5df7c0aebe816e946345589d38201"),
}  # fmt: skip
"""SHA-256 of the packages of each language: that with the texts and that with the recordings."""

LETTERS = {
    "en": "[a-z' ]+",
    "es": "[a-zñü ]+",
    "fr": "[a-zàâæçéèêëîïôùûüÿœ' ]+",
    "it": "[a-zàèéìíîòóùú' ]+",
    "ru": "[а-яё ]+",
}
"""What a transcript consists of; others have symbols, numbers or words of another language."""
NOISE = re.compile(r"[][<>()?]\S|\S[][<>()]|\d\d|\d[.,-]\d")
"""Remarks in brackets, and numbers whose reading is not written, as that of the extension 1234."""
HELD_OUT = {"test": 0.15, "dev": 0.12}
"""Shares of a language's texts."""


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Reads the prompts of text.language, or of all five, each text in one split only.

    Raises:
        ConfigError: text.language is none of the five.
        DataError: A package is damaged.
    """
    language = config.text.language
    if language is not None and language not in CHECKSUMS:
        raise ConfigError(f"text.language is {language!r}: choose one of {', '.join(CHECKSUMS)}, or null for all five.")
    splits: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for one in CHECKSUMS if language is None else [language]:
        prompts = list(_prompts(config, one, archives, output / "original"))
        texts = sorted({prompt.text for prompt in prompts}, key=lambda text: derive_seed("asterisk", text))
        split_of: dict[str, str] = defaultdict(lambda: "train")
        begin = 0
        for split, share in HELD_OUT.items():
            count = round(share * len(texts))
            split_of |= dict.fromkeys(texts[begin : begin + count], split)
            begin += count
        for prompt in prompts:
            splits[split_of[prompt.text]].append(prompt)
    write_splits(output, splits)


def _prompts(config: Config, language: str, archives: Path, output: Path) -> Iterator[Utterance]:
    """The prompts of a language whose transcripts say what is spoken."""
    name = f"asterisk-core-sounds-{language}"
    texts, recordings = (
        _unpacked(f"{package}_{VERSION}_all.deb", sha256, archives, output)
        for package, sha256 in zip((name, f"{name}-wav"), CHECKSUMS[language], strict=True)
    )
    listed = texts / "usr" / "share" / "doc" / name / f"core-sounds-{language}.txt.gz"
    (voice,) = (recordings / "usr" / "share" / "asterisk" / "sounds").glob(f"{language}_*")
    rules = replace(config.text, language=language)
    left_out, seen = 0, set()
    for line in gzip.decompress(listed.read_bytes()).decode("utf-8-sig").splitlines():
        key, separator, text = line.partition(":")
        path = voice / f"{key.strip()}.wav"
        if line.startswith(";") or not separator or key in seen or not path.is_file():
            continue
        seen.add(key)
        # A few texts begin with the name of their file again.
        text = text.strip().removeprefix(f"{key}:")
        text = "" if NOISE.search(text) else normalize(_in_one_spelling(text, language), rules)
        if not re.fullmatch(LETTERS[language], text):
            left_out += 1
            continue
        yield whole_file(path, text, voice.name, f"{language}-{key.strip().replace('/', '-')}")
    log.info(
        "%s: %d prompts are left out: their texts are remarks, or do not say how they are read.", language, left_out
    )


def _in_one_spelling(text: str, language: str) -> str:
    """A text without the accents of Spanish, which only some of its authors wrote."""
    if language != "es":
        return text
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", re.sub("(?<![nN])\u0303|\u0301", "", parts))


def _unpacked(package: str, sha256: str, archives: Path, output: Path) -> Path:
    return unpack_deb(fetch_archive(package, archives, f"{URL}/{package}", sha256), output / package.partition("_")[0])
