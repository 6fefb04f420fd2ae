"""Evaluations for sclite of NIST's SCTK: references and hypotheses as trn, stm and ctm."""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from asr.common.errors import RunError
from asr.common.files import atomic_write_text, new_folder
from asr.scoring.error_rates import UtteranceScore

log = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""Stands for a speaker who is not known."""
CHANNEL = "A"
# Of a trn the speaker ends at the first hyphen or underscore, and parentheses end the id; no field has blanks.
_NOT_OF_A_NAME = re.compile(r"[^\w.]|_")
_SPECIAL = re.compile(r"[{}@()]|^%|^;;|-$|^-")


def write_sclite(folder: Path, scores: Sequence[UtteranceScore]) -> str:
    """Writes ref.trn, hyp.trn, ref.stm and hyp.ctm; gives the command that scores them.

    An evaluation keeps no times of words: in the ctm they are spread evenly over the utterance, which is enough to tell
    sclite whose they are.

    Raises:
        RunError: The folder is a file.
    """
    if folder.is_file():
        raise RunError(f"{folder} is a file: give a folder for --sclite.")
    names = _names(scores)
    contents = {
        "ref.trn": (_trn(score.reference, *name) for score, name in zip(scores, names, strict=True)),
        "hyp.trn": (_trn(score.hypothesis, *name) for score, name in zip(scores, names, strict=True)),
        "ref.stm": (_stm(score, *name) for score, name in zip(scores, names, strict=True)),
        "hyp.ctm": (line for score, (_, name) in zip(scores, names, strict=True) for line in _ctm(score, name)),
    }
    with new_folder(folder):
        for name, lines in contents.items():
            atomic_write_text(folder / name, "".join(f"{line}\n" for line in lines))
    _warn_of_special_words(scores)
    return f"sclite -s -e utf-8 -i spu_id -r {folder}/ref.trn trn -h {folder}/hyp.trn trn -o sum stdout"


def _names(scores: Sequence[UtteranceScore]) -> list[tuple[str, str]]:
    """A speaker and an utterance each as sclite can tell them apart: numbered, since characters are replaced."""
    speakers: dict[str, str] = {}
    for score in scores:
        name = _NOT_OF_A_NAME.sub(".", score.speaker or UNKNOWN)
        taken = {known.lower() for known in speakers.values()}
        if score.speaker not in speakers:
            speakers[score.speaker] = name if name.lower() not in taken else f"{name}.{len(speakers)}"
    width = len(str(len(scores)))
    return [
        (speakers[score.speaker], f"{number:0{width}}.{_NOT_OF_A_NAME.sub('.', score.id)}")
        for number, score in enumerate(scores, start=1)
    ]


def _trn(text: str, speaker: str, utterance: str) -> str:
    return f"{' '.join(text.split())} ({speaker}-{utterance})"


def _stm(score: UtteranceScore, speaker: str, utterance: str) -> str:
    return f"{utterance} {CHANNEL} {speaker} 0.000 {score.duration:.3f} {' '.join(score.reference.split())}"


def _ctm(score: UtteranceScore, utterance: str) -> Iterable[str]:
    words = score.hypothesis.split()
    for number, word in enumerate(words):
        length = score.duration / len(words)
        yield f"{utterance} {CHANNEL} {number * length:.3f} {length:.3f} {word}"


def _warn_of_special_words(scores: Sequence[UtteranceScore]) -> None:
    texts = (text for score in scores for text in (score.reference, score.hypothesis))
    special = sorted({word for text in texts for word in text.split() if _SPECIAL.search(word)})
    if special:
        log.warning(
            "sclite reads braces, parentheses, @, hyphens at an end and words that begin with %% in its own way: it "
            "scores %s%s differently.",
            ", ".join(special[:5]),
            f" and {len(special) - 5} others" if len(special) > 5 else "",
        )
