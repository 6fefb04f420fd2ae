"""What an n-gram model on the disk says of text, asked through KenLM."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr.common.errors import ConfigError, RunError
from asr.lm.arpa import read_vocabulary
from asr.lm.kneser_ney import Perplexity
from asr.lm.ngram import ARPA, BINARY

if TYPE_CHECKING:
    import kenlm


@dataclass(frozen=True)
class SentenceScore:
    """One sentence."""

    text: str
    log10_prob: float
    """Of all its units and its end."""
    units: int
    """Its end included."""
    unknown: int
    """Units outside the vocabulary."""
    log10_known: float
    """Of its known units and its end."""


def open_model(path: Path) -> "kenlm.Model":
    """Opens an ARPA file, a KenLM binary, or a folder of `asr lm train`.

    Raises:
        ConfigError: kenlm is not installed.
        RunError: There is no model.
    """
    try:
        import kenlm
    except ImportError:
        raise ConfigError("Language models are read with kenlm: pip install 'asr[beam]' brings it.") from None
    file = path
    if path.is_dir():
        file = next((path / name for name in (BINARY, ARPA) if (path / name).is_file()), path / ARPA)
    if not file.is_file():
        raise RunError(f"No language model at {file}: `asr lm train RECIPE` makes one and says where.")
    settings = kenlm.Config()
    settings.show_progress, settings.arpa_complain = False, kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(str(file), settings)
    except OSError as error:
        raise RunError(f"{file} is no language model ({' '.join(str(error).split())}): give another.") from None


def score_sentences(model: "kenlm.Model", sentences: Iterable[str]) -> list[SentenceScore]:
    """Scores sentences whose units stand between white space."""
    scores = []
    for sentence in sentences:
        parts = list(model.full_scores(sentence))
        known = [log10_prob for log10_prob, _, unknown in parts if not unknown]
        total = sum(log10_prob for log10_prob, _, _ in parts)
        scores.append(SentenceScore(sentence, total, len(parts), len(parts) - len(known), sum(known)))
    return scores


def total_perplexity(scores: Sequence[SentenceScore]) -> Perplexity:
    """The perplexity over all sentences, of which there must be one."""
    units, unknown = sum(score.units for score in scores), sum(score.unknown for score in scores)
    return Perplexity(
        sentences=len(scores),
        units=units,
        unknown=unknown,
        including=10 ** (-sum(score.log10_prob for score in scores) / units),
        excluding=10 ** (-sum(score.log10_known for score in scores) / (units - unknown)),
    )


def word_perplexity(found: Perplexity, words: int) -> float:
    """The perplexity for each word and each end of a sentence, which models of any units can be compared by.

    Args:
        words: White-space separated words of the text.
    """
    return float(found.including ** (found.units / (words + found.sentences)))


def next_units(path: Path, beginning: str, number: int) -> list[tuple[str, float]]:
    """The most probable next units after the beginning of a sentence; </s> ends it.

    Args:
        path: An ARPA file or a folder of `asr lm train`: a binary does not tell its vocabulary.
        number: How many.

    Returns:
        Units with their probabilities, the most probable first.
    """
    import kenlm

    model = open_model(path)
    before, after = kenlm.State(), kenlm.State()
    model.BeginSentenceWrite(before)
    for unit in beginning.split():
        model.BaseScore(before, unit, after)
        before, after = after, before
    units = [*read_vocabulary(path / ARPA if path.is_dir() else path), "</s>"]
    probabilities = [(unit, 10.0 ** model.BaseScore(before, unit, after)) for unit in units]
    return sorted(probabilities, key=lambda pair: -pair[1])[:number]
