"""Names that Kaldi takes for utterances and speakers, and the way back to our own.

Kaldi's scripts sort tables by bytes and demand that utterances sorted by their ids are sorted by their speakers too
(utils/validate_data_dir.sh). They separate columns at white space.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.common.errors import DataError
from asr.common.files import lines_of
from asr.data.utterance import Utterance

ORIGINALS = "utt2original"
"""Our table in a data directory: the id and the speaker of each utterance for which Kaldi has others."""
RESERVED = re.compile(r"(?<![A-Za-z0-9_])(?:</?s>|#0)(?![A-Za-z0-9_])")
"""Symbols of Kaldi's graphs, which may not be in a transcript."""
UP_TO_HYPHEN = "".join(map(chr, range(ord("!"), ord("-") + 1)))


@dataclass(frozen=True, slots=True)
class Named:
    """An utterance under its names for Kaldi."""

    name: str
    speaker: str
    utterance: Utterance


def named(splits: Mapping[str, Sequence[Utterance]]) -> dict[str, list[Named]]:
    """Names the utterances of all splits in one way, and sorts them by bytes.

    An id that does not begin with its speaker is prefixed with it; where that does not give Kaldi's order, all are, as
    for spk1_000 and spk10_001. An utterance without speaker is its own speaker.
    """
    for naming in (_prefixed_where_needed, _prefixed, _escaped_and_prefixed):
        found = {
            split: sorted((naming(one) for one in utterances), key=lambda one: one.name.encode())
            for split, utterances in splits.items()
        }
        if all(map(_is_in_order, found.values())):
            break
    return found


def original_lines(utterances: Sequence[Named]) -> list[str]:
    """The lines of utt2original."""
    return [
        f"{one.name} {json.dumps([one.utterance.id, one.utterance.speaker], ensure_ascii=False)}"
        for one in utterances
        if (one.name, "" if one.speaker == one.name else one.speaker) != (one.utterance.id, one.utterance.speaker)
    ]


def read_originals(folder: Path) -> dict[str, tuple[str, str]]:
    """The id and the speaker of utterances by their names, of a data directory that we wrote; empty for others.

    Raises:
        DataError: The table is damaged.
    """
    path = folder / ORIGINALS
    found = {}
    for place, line in lines_of(path) if path.is_file() else ():
        name, _, rest = line.partition(" ")
        try:
            id, speaker = json.loads(rest)
            if not (isinstance(id, str) and isinstance(speaker, str)):
                raise TypeError
        except (ValueError, TypeError):
            raise DataError(
                f"{path}, line {place}: expected a name and [ID, SPEAKER]: delete the file, or export again."
            ) from None
        found[name] = id, speaker
    return found


def escaped(text: str, also: str = "") -> str:
    """A name without white space and what cannot be printed: =20 stands for a space, as in quoted-printable."""
    reserved = {match.start() for match in RESERVED.finditer(text)}
    return "".join(
        "".join(f"={byte:02X}" for byte in character.encode())
        if place in reserved or character in also or unprintable(character) or character.isspace()
        else character
        for place, character in enumerate(text)
    )


def unprintable(character: str) -> bool:
    """Whether a character is a control character, or none at all."""
    return unicodedata.category(character) in ("Cc", "Cn", "Cs")


def _is_in_order(utterances: Sequence[Named]) -> bool:
    speakers = [one.speaker.encode() for one in utterances]
    return speakers == sorted(speakers) and len({one.name for one in utterances}) == len(utterances)


Naming = Callable[[Utterance], Named]


def _prefixed_where_needed(utterance: Utterance) -> Named:
    id, speaker = escaped(utterance.id), escaped(utterance.speaker)
    name = id if id.startswith(speaker) else f"{speaker}-{id}"
    return Named(name, speaker or name, utterance)


def _prefixed(utterance: Utterance) -> Named:
    id, speaker = escaped(utterance.id), escaped(utterance.speaker)
    return Named(f"{speaker}-{id}" if speaker else id, speaker or id, utterance)


def _escaped_and_prefixed(utterance: Utterance) -> Named:
    """In the order of speakers whatever they are called: nothing in a speaker sorts before the hyphen after it."""
    speaker = escaped(utterance.speaker or utterance.id, UP_TO_HYPHEN + "=")
    return Named(f"{speaker}-{escaped(utterance.id, '=')}", speaker, utterance)
