"""The results of an evaluation as files: results.json, hypotheses.jsonl and errors.txt, in a folder of the run."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import jiwer

from asr.common.documents import from_json, read_json
from asr.common.errors import RunError, asr_command
from asr.common.tables import table
from asr.scoring.bootstrap import SAMPLES, bootstrap_interval
from asr.scoring.error_rates import UtteranceScore, process, total, unit_of, wrong_pairs
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.provenance import Provenance

HYPOTHESIS_KEYS = (
    "id", "speaker", "duration", "reference", "hypothesis", "wer", "cer", "alignment", "ctc_loss_per_token",
    "confidence",
)  # fmt: skip
"""Of each line of hypotheses.jsonl; an utterance with further fields has them in `fields`."""


@dataclass(frozen=True)
class Results:
    """A number with its origin. Rates are fractions; hardware, torch, command and commit are those of the training."""

    recipe: str
    run: str
    """Name of the run's folder."""
    split: str
    decoder: str
    utterances: int
    words: int
    wer: float
    wer_low: float
    """Lower end of the 95 % interval of the WER."""
    wer_high: float
    """Upper end of the 95 % interval of the WER."""
    cer: float
    substitutions: int
    """Of words; of characters where `unit` is that, as deletions and insertions."""
    deletions: int
    insertions: int
    seed: int
    parameters: int
    """Trainable numbers of the model."""
    train_seconds: float
    """Time spent on training, over all restarts (s)."""
    audio_seconds: float
    """Length of the evaluated audio (s)."""
    real_time_factor: float
    """Time spent on the evaluation for each second of audio."""
    hardware: str
    torch: str
    """Version of PyTorch."""
    command: str
    commit: str | None
    """Null where the package is not run from its git checkout."""
    config_hash: str
    per: float | None = None
    """Phone error rate; left out of the file where tokens are not phones."""
    evaluated: Provenance | None = None
    """Where the evaluation comes from; left out of the file where the process that began the training made it too."""
    unit: ErrorUnit = ErrorUnit.word
    """What errors are counted in; left out of the file where it is words, as the three that follow."""
    characters: int | None = None
    """Of the references."""
    cer_low: float | None = None
    """Lower end of the 95 % interval of the CER."""
    cer_high: float | None = None
    """Upper end of the 95 % interval of the CER."""

    @property
    def rate(self) -> float:
        """The error rate that counts: the WER, or the CER."""
        return self.wer if self.unit is ErrorUnit.word else self.cer

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        if self.cer_low is None or self.cer_high is None:
            return self.wer_low, self.wer_high
        return self.cer_low, self.cer_high

    @property
    def evaluation_command(self) -> str:
        """The command that decoded."""
        return self.command if self.evaluated is None else self.evaluated.command


@dataclass(frozen=True)
class EvaluatedSplit:
    """The results of a split, and what they are computed from."""

    results: Results
    scores: Sequence[UtteranceScore]
    """Of every utterance, in the order of the manifest."""


def error_figures(scores: Sequence[UtteranceScore], samples: int = SAMPLES) -> dict[str, Any]:
    """The error rates of utterances with their intervals, and the kinds of errors, as keys of files and metrics.

    The CER has an interval only where errors are counted in characters.
    """
    score, (low, high) = total(scores), bootstrap_interval(scores, samples)
    figures: dict[str, Any] = {"wer": score.wer, "wer_low": low, "wer_high": high, "cer": score.cer}
    if score.unit is ErrorUnit.character:
        low, high = bootstrap_interval(scores, samples, counted_in=score.unit)
        figures |= {"cer_low": low, "cer_high": high}
    return figures | {name: getattr(score, name) for name in ("substitutions", "deletions", "insertions")}


def split_figures(scores: Sequence[UtteranceScore], samples: int = SAMPLES) -> dict[str, Any]:
    """What `Results` tells of the utterances of a split."""
    score = total(scores)
    figures = {"utterances": score.utterances, "words": score.words, **error_figures(scores, samples)}
    if score.unit is ErrorUnit.word:
        return figures
    return figures | {"unit": score.unit, "characters": score.characters}


def evaluation_folder(run: Path, split: str, decoder: str) -> Path:
    """Where a run keeps the results of a split with a decoder."""
    return run / "evaluation" / split / decoder


def write_results(run: Path, results: Results, scores: Sequence[UtteranceScore]) -> Path:
    """Writes the three files of an evaluation, each completely or not at all, results.json last.

    Args:
        run: The run's folder.
        results: The numbers.
        scores: Every utterance, in the order of hypotheses.jsonl.

    Returns:
        The folder of the files, as of `evaluation_folder`.
    """
    folder = evaluation_folder(run, results.split, results.decoder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = (
        {name: getattr(score, name) for name in HYPOTHESIS_KEYS}
        | ({"fields": dict(score.fields)} if score.fields else {})
        for score in scores
    )
    contents = {
        "hypotheses.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        "errors.txt": aligned_errors(scores),
        "results.json": results_json(results),
    }
    beside = {name: folder / f".{name}.{os.getpid()}" for name in contents}
    for name, content in contents.items():
        beside[name].write_text(content, encoding="utf-8")
    for name, temporary in beside.items():
        temporary.replace(folder / name)
    return folder


def results_json(results: Results) -> str:
    """The content of a results.json."""
    figures = asdict(results)
    for name in ("per", "evaluated", "unit", "characters", "cer_low", "cer_high"):
        if figures[name] in (None, ErrorUnit.word):
            del figures[name]
    return json.dumps(figures, indent=2, ensure_ascii=False) + "\n"


def read_results(folder: Path) -> Results:
    """Reads the results.json of a folder; keys that `Results` does not have are ignored.

    Raises:
        RunError: There is none, or it is damaged.
    """
    path, again = folder / "results.json", asr_command("evaluate", folder.absolute().parents[2])
    try:
        return from_json(Results, read_json(path))
    except OSError as error:
        raise RunError(f"No results at {path} ({error.strerror}): run {again} first.") from None
    except KeyError as error:
        raise RunError(f"{path} lacks the key {error.args[0]!r}: run {again} again.") from None
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} is not a results file ({error}): run {again} again.") from None


def results_table(results: Sequence[Results]) -> str:
    """A line for each of the results under a line of headings, a table for each unit that errors are counted in; rates
    in per cent, training time as h:mm:ss."""
    return "\n".join(
        table(_headings(unit), [_table_row(result) for result in results if result.unit is unit], align="llllr")
        for unit in dict.fromkeys(result.unit for result in results)
    )


def _headings(unit: ErrorUnit) -> tuple[str, ...]:
    rates = (f"{unit.label} %", "95 % interval", f"{unit.other.label} %")
    return ("recipe", "run", "split", "decoder", *rates, "sub", "del", "ins", "utterances", "training", "parameters")


def _table_row(results: Results) -> tuple[str, ...]:
    low, high = results.interval
    return (
        results.recipe,
        results.run,
        results.split,
        results.decoder,
        f"{results.rate * 100:.2f}",
        f"{low * 100:.2f} - {high * 100:.2f}",
        f"{getattr(results, results.unit.other.rate) * 100:.2f}",
        str(results.substitutions),
        str(results.deletions),
        str(results.insertions),
        str(results.utterances),
        str(timedelta(seconds=round(results.train_seconds))),
        f"{results.parameters / 1e6:.2f} M",
    )


LINE_WIDTH = 120
CONFUSIONS = 30
NO_WORD = "***"


def worst(scores: Sequence[UtteranceScore], count: int) -> list[UtteranceScore]:
    """The utterances with the highest error rate, those with more errors first among equals."""
    return sorted(scores, key=lambda score: (-score.rate, -score.errors, score.id))[:count]


def aligned_errors(scores: Sequence[UtteranceScore]) -> str:
    """Every utterance with errors, aligned with its reference; then the totals and the confusions.

    Below a pair of lines S, D and I mark a substituted, deleted and inserted word, or character.
    """
    wrong = [score for score in worst(scores, len(scores)) if score.errors]
    parts = [
        f"{score.id}  speaker {score.speaker or 'unknown'}  {score.unit.label} {score.rate:.2%}\n{aligned(score)}"
        for score in wrong
    ]
    score = total(scores)
    unit = score.unit
    parts.append(
        f"{score.utterances} utterances, {len(wrong)} with errors; {score.size} {unit}s\n"
        f"{unit.label} {score.rate:.2%}  {unit.other.label} {score.rate_in(unit.other):.2%}\n"
        f"substitutions {score.substitutions}  deletions {score.deletions}  insertions {score.insertions}\n"
    )
    return "\n".join([*parts, *([_confusions(wrong)] if wrong else [])])


def confusions(scores: Sequence[UtteranceScore]) -> Counter[tuple[str, str]]:
    """How often each word, or character, of the references became another one; *** is none (a deletion or an
    insertion)."""
    outputs = (process(score.reference, score.hypothesis, score.unit) for score in scores)
    return Counter(pair for output in outputs for pair in wrong_pairs(output, 0, NO_WORD))


def aligned(score: UtteranceScore) -> str:
    """The lines of a reference, its hypothesis and their differences, as jiwer draws them."""
    output = process(score.reference, score.hypothesis, score.unit)
    drawn = jiwer.visualize_alignment(output, show_measures=False, line_width=LINE_WIDTH)
    return drawn.partition("\n\n")[2]  # jiwer's heading only numbers the utterances


def _confusions(scores: Sequence[UtteranceScore]) -> str:
    ranked = sorted(confusions(scores).items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
    width = max(len(expected) for (expected, _), _ in ranked)
    lines = [f"{count:5}  {expected:<{width}} -> {found}" for (expected, found), count in ranked]
    return "\n".join(
        [f"Most frequent confusions (reference -> hypothesis, {NO_WORD} is no {unit_of(scores)})", *lines, ""]
    )
