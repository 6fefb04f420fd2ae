"""Rules by which references and hypotheses become alike before errors are counted a second time: `scoring.normalizer`.

The raw figures stay what they are; those of normalized words stand beside them, under the name of the rules.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from asr.common.documents import read_text
from asr.common.errors import ConfigError, DataError
from asr.common.optional import optional
from asr.scoring.error_rates import UtteranceScore, total, with_texts
from asr.settings.scoring import NO_NORMALIZER

PACKAGE = "whisper-normalizer"
NAMED = ("lower", "english")
"""Rules that are no file."""
HEX_DIGITS = 8
_RULE = re.compile(r"(?P<left>.+?)\s*=>\s*(?P<right>.*?)(?:\s*/\s*\[\s*\]\s*__\s*\[\s*\]\s*)?")
_DELETABLE = re.compile(r"\(.*\)")


@dataclass(frozen=True)
class Normalizer:
    """Rules with their name, which tells figures of different rules apart."""

    name: str
    apply: Callable[[str], str]
    """Gives a text with single spaces between words; it may be empty."""


def build_normalizer(setting: str) -> Normalizer | None:
    """The rules that `scoring.normalizer` names; None for none.

    Raises:
        ConfigError: There is no such file, or it has a line that is no rule; or a package is missing.
    """
    if setting == NO_NORMALIZER:
        return None
    if setting == "lower":
        return Normalizer("lower", lambda text: " ".join(text.lower().split()))
    if setting == "english":
        return _english()
    return _of_file(Path(setting))


def normalized_scores(scores: Sequence[UtteranceScore], normalizer: Normalizer) -> list[UtteranceScore]:
    """The errors of normalized words.

    Raises:
        DataError: No reference has a word left.
    """
    found = [
        with_texts(score, normalizer.apply(score.reference), normalizer.apply(score.hypothesis)) for score in scores
    ]
    if not total(found).words:
        raise DataError(f"scoring.normalizer={normalizer.name} leaves no word of the references: give other rules.")
    return found


def _english() -> Normalizer:
    """The rules of Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), appendix C."""
    rules = optional("whisper_normalizer.english", "english").EnglishTextNormalizer()
    return Normalizer(f"english {version(PACKAGE)}", lambda text: " ".join(rules(text).split()))


def _of_file(path: Path) -> Normalizer:
    try:
        content = read_text(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"scoring.normalizer={path} cannot be read ({reason}): give {NO_NORMALIZER}, {', '.join(NAMED)} or a file "
            "of rules such as COLOUR => COLOR."
        ) from None
    rules: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        rule = line.partition(";;")[0].strip()
        if rule and not rule.startswith(("*", "#")):
            left, right = _parse(rule, f"Line {number} of {path}")
            if rules.setdefault(left, right) != right:
                raise ConfigError(f"Line {number} of {path} has another rule for {' '.join(left)!r}: keep one.")
    checksum = hashlib.sha256(repr(sorted(rules.items())).encode()).hexdigest()[:HEX_DIGITS]
    return Normalizer(f"{path.name} {checksum}", lambda text: _replaced(text, rules))


def _parse(rule: str, place: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of both sides of a rule, in lower case."""
    found = _RULE.fullmatch(rule)
    sides = [] if found is None else [_bare(found["left"]), _bare(found["right"])]
    if not sides or not sides[0] or any(set('[]{}/"') & set(side) for side in sides):
        raise ConfigError(
            f"{place} is no rule ({rule[:60]!r}): write WORDS => WORDS, or WORDS => alone for words that do not count; "
            "alternatives and contexts of GLM files are not supported."
        )
    left, right = (tuple(side.lower().split()) for side in sides)
    return left, () if _DELETABLE.fullmatch(sides[1]) else right


def _bare(side: str) -> str:
    """A side of a rule without the brackets or the quotes around it."""
    side = side.strip()
    return side[1:-1].strip() if side[:1] + side[-1:] in ("[]", '""') and len(side) > 1 else side


def _replaced(text: str, rules: Mapping[tuple[str, ...], Sequence[str]]) -> str:
    """A text in lower case in which the words of left sides are those of right sides: the longest first, each once."""
    words, longest = text.lower().split(), max(map(len, rules), default=0)
    kept: list[str] = []
    place = 0
    while place < len(words):
        for count in range(min(longest, len(words) - place), 0, -1):
            if (right := rules.get(tuple(words[place : place + count]))) is not None:
                kept += right
                place += count
                break
        else:
            kept.append(words[place])
            place += 1
    return " ".join(kept)
