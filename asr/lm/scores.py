"""Scores of text by an n-gram model on the disk, through KenLM, and reports of perplexity."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr.common.documents import read_json
from asr.common.errors import ConfigError, DataError, RunError
from asr.common.files import atomic_write_text
from asr.common.optional import BEAM
from asr.lm.kneser_ney import Perplexity
from asr.lm.ngram import ARPA, BINARY, HELD_OUT_TEXT, REPORT, is_arpa, read_vocabulary, unit_split
from asr.lm.text import held_out_checksum, held_out_sentences
from asr.settings.recipe import Recipe
from asr.settings.root import Config

if TYPE_CHECKING:
    import kenlm


@dataclass(frozen=True)
class SentenceScore:
    """The score of a sentence."""

    text: str
    log10_prob: float
    """Of all its units and its end."""
    units: int
    """Its end included."""
    unknown: int
    """Out-of-vocabulary units."""
    log10_known: float
    """Of its known units and its end."""


def open_model(path: Path) -> "kenlm.Model":
    """Opens an ARPA file, a KenLM binary, or a folder of `asr lm train`.

    Raises:
        ConfigError: kenlm is not installed.
        DataError: The file is encoded or compressed as KenLM does not read it.
        RunError: There is no model.
    """
    try:
        import kenlm
    except ImportError:
        raise ConfigError(f"Language models are read with kenlm: {BEAM}.") from None
    file = path
    if path.is_dir():
        file = next((path / name for name in (BINARY, ARPA) if (path / name).is_file()), path / ARPA)
    if not file.is_file():
        raise RunError(f"No language model at {file}: `asr lm train RECIPE` makes one and says where.")
    is_arpa(file)
    settings = kenlm.Config()
    settings.show_progress, settings.arpa_complain = False, kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(str(file), settings)
    except (OSError, RuntimeError, UnicodeDecodeError) as error:  # the last where its message quotes the file
        raise not_loaded(file, error) from None


def not_loaded(file: str | Path, error: Exception) -> RunError:
    """The sentence for a language model that KenLM cannot load, without the lines of its own source files."""
    reason = "it is not in UTF-8" if isinstance(error, UnicodeDecodeError) else " ".join(str(error).split())
    thrown = r"(\S*/)?(lm|util)/[\w.]+:\d+ in .* threw \w+( because `.*?')?\. ?"
    reason = re.sub(rf"^Cannot read model '.*?' \(({thrown})?|{thrown}", "", reason)
    shown = "".join(character for character in reason.strip(" ()") if character.isprintable())[:120]
    return RunError(f"{file} is no language model that KenLM can load ({shown or 'damaged'}): give another.")


def score_sentences(model: "kenlm.Model", sentences: Iterable[str]) -> list[SentenceScore]:
    """Scores sentences, given as units with white space between them."""
    scores = []
    for sentence in sentences:
        parts = list(model.full_scores(sentence))
        known = [log10_prob for log10_prob, _, unknown in parts if not unknown]
        total = sum(log10_prob for log10_prob, _, _ in parts)
        scores.append(SentenceScore(sentence, total, len(parts), len(parts) - len(known), sum(known)))
    return scores


def total_perplexity(scores: Sequence[SentenceScore]) -> Perplexity:
    """The perplexity over all sentences, at least one."""
    units, unknown = sum(score.units for score in scores), sum(score.unknown for score in scores)
    return Perplexity(
        sentences=len(scores),
        units=units,
        unknown=unknown,
        including=10 ** (-sum(score.log10_prob for score in scores) / units),
        excluding=10 ** (-sum(score.log10_known for score in scores) / (units - unknown)),
    )


def word_perplexity(found: Perplexity, words: int) -> float:
    """The perplexity per word (of a text of that many words) and end of a sentence, by which models of different units
    can be compared."""
    return float(found.including ** (found.units / (words + found.sentences)))


def next_units(path: Path, beginning: str, number: int) -> list[tuple[str, float]]:
    """The most probable next units after the beginning of a sentence; </s> ends it.

    Args:
        path: An ARPA file or a folder of `asr lm train`: a binary has no list of its vocabulary.
        number: How many.

    Returns:
        Units with their probabilities, the most probable first.
    """
    model = open_model(path)  # which says what to do where there is no KenLM

    import kenlm

    before, after = kenlm.State(), kenlm.State()
    model.BeginSentenceWrite(before)
    for unit in beginning.split():
        model.BaseScore(before, unit, after)
        before, after = after, before
    units = [*read_vocabulary(path / ARPA if path.is_dir() else path), "</s>"]
    probabilities = [(unit, 10.0 ** model.BaseScore(before, unit, after)) for unit in units]
    return sorted(probabilities, key=lambda pair: -pair[1])[:number]


def ngram_report(recipe: Recipe, config: Config, folder: Path) -> dict[str, Any]:
    """The content of report.json; the perplexity is measured now where it is that of another text, or where lmplz
    estimated the model without it.

    Raises:
        DataError: There is no held-out text.
    """
    try:
        report = read_json(folder / REPORT)
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / REPORT} is damaged ({error}): delete its folder to estimate it again.") from None
    checksum = held_out_checksum(recipe, config)
    if report.get(HELD_OUT_TEXT) != checksum:
        split = unit_split(recipe, config)
        sentences = [" ".join(split(sentence)) for sentence in held_out_sentences(recipe, config)]
        scores = score_sentences(open_model(folder), filter(None, sentences))
        if not scores:
            raise DataError("There is no held-out text: give lm.held_out.")
        report |= {"held_out": vars(total_perplexity(scores)), HELD_OUT_TEXT: checksum}
        atomic_write_text(folder / REPORT, json.dumps(report, indent=1) + "\n")
    return report


def report_lines(report: Mapping[str, Any], words: int) -> list[str]:
    """The report of an n-gram model (see `ngram_report`), and its perplexity on a held-out text of that many words, as
    lines for the console."""
    lines = [f"{report['training_units']} {report['settings']['units']} of text, estimated by {report['estimated_by']}"]
    for order, number in enumerate(report.get("ngrams", []), start=1):
        amounts = ", ".join(f"{amount:.4f}" for amount in report["discounts"][order - 1])
        given = " (given, not estimated)" if order in report["fallback_orders"] else ""
        lines.append(f"{number} {order}-grams, discounts {amounts}{given}")
    return [*lines, perplexity_line("Held-out text", report["held_out"], words)]


def perplexity_line(what: str, figures: Mapping[str, Any], words: int) -> str:
    """The fields of a `Perplexity` as a line for the console, on a text of that many words."""
    share = figures["unknown"] / figures["units"]
    return (
        f"{what}: perplexity {figures['including']:.2f}, {figures['excluding']:.2f} without unknown units, "
        f"{word_perplexity(Perplexity(**figures), words):.2f} for each word; "
        f"{figures['sentences']} sentences, {figures['units']} units with their ends, {figures['unknown']} unknown "
        f"({share:.2%})"
    )
