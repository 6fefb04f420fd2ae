"""The results of an evaluation as files: results.json, hypotheses.jsonl and errors.txt, in a folder of the run."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from asr.common.documents import from_json, read_json
from asr.common.errors import RunError, asr_command
from asr.scoring.aligned_errors import aligned_errors, labelled_errors
from asr.scoring.bootstrap import SAMPLES, bootstrap_interval
from asr.scoring.error_rates import UtteranceScore, total
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.normalizer import Normalizer
from asr.scoring.provenance import Provenance

HYPOTHESIS_KEYS: tuple[str, ...] = (
    "id", "speaker", "duration", "reference", "hypothesis", "wer", "cer", "alignment", "ctc_loss_per_token",
    "confidence",
)  # fmt: skip
"""Of each line of hypotheses.jsonl; an utterance with further fields has them in `fields`."""
FRAME_KEYS = (
    "id", "speaker", "duration", "reference", "hypothesis", "frames", "segments", "frame_errors", "segment_errors",
    "deletions", "insertions",
)  # fmt: skip
"""Of each line where frames are labelled; both texts are begins and ends of speech (s)."""
NORMALIZED_TEXTS = ("reference", "hypothesis")
"""Are there as normalized_reference and normalized_hypothesis too, where `scoring.normalizer` is set."""


@dataclass(frozen=True, kw_only=True)
class NormalizedFigures:
    """The figures of `Results` after references and hypotheses went through the rules of `scoring.normalizer`."""

    normalizer: str
    """The name of the rules, with a version or a checksum."""
    utterances: int
    words: int
    wer: float
    wer_low: float
    wer_high: float
    cer: float
    substitutions: int
    deletions: int
    insertions: int
    correct: int
    ser: float
    unit: ErrorUnit = ErrorUnit.word
    characters: int | None = None
    cer_low: float | None = None
    cer_high: float | None = None


@dataclass(frozen=True)
class SpeechFigures:
    """How well the speech of a split was found. Rates are fractions."""

    precision: float
    """Of the segments that were found, those that are speech: that overlap one of the reference by half of both
    together."""
    recall: float
    """Of the segments of the reference, those that were found."""
    area_under_curve: float
    """Of the receiver operating characteristic over frames: 1 is perfect, 0.5 is chance."""
    delay: float | None
    """From the beginning of speech to its first frame that is labelled as speech, in a stream until that is known:
    median (s); null where none was found."""


@dataclass(frozen=True)
class Delay:
    """How long after the end of a word a stream has written it (s); of the correct words of a split."""

    median: float
    percentile_90: float
    """Nine of ten words are written within it."""
    words: int
    """How many there are."""
    aligned_by: str
    """The name of the run whose model says when words end."""


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
    wer: float | None
    """Null, as the CER, where frames are labelled."""
    wer_low: float | None
    """Lower end of the 95 % interval of the WER."""
    wer_high: float | None
    """Upper end of the 95 % interval of the WER."""
    cer: float | None
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
    correct: int | None = None
    """Words of the references that are right, or characters; null in files of earlier versions, as the next."""
    ser: float | None = None
    """Sentence error rate: the share of utterances with an error."""
    normalized: NormalizedFigures | None = None
    """Left out of the file without `scoring.normalizer`."""
    delay: Delay | None = None
    """Of a stream; left out of the file where it was not measured."""
    frames: int | None = None
    """Of models that label them, as all that follow; left out of the file for others."""
    frame_error: float | None = None
    """The share of the frames whose label is wrong: deletions are missed speech, insertions false alarms."""
    frame_error_low: float | None = None
    frame_error_high: float | None = None
    segment_error: float | None = None
    """Missed and false segments, as a share of those of the reference."""
    speech: SpeechFigures | None = None

    @property
    def size(self) -> int:
        """Words of the references, or characters."""
        return {ErrorUnit.character: self.characters, ErrorUnit.frame: self.frames}.get(self.unit) or self.words

    @property
    def of_normalized(self) -> "Results":
        """The same of normalized words, where there are any, under a decoder that names the rules."""
        if self.normalized is None:
            return self
        figures = {name: value for name, value in vars(self.normalized).items() if name != "normalizer"}
        decoder = scored_by(self.decoder, self.normalized.normalizer)
        return replace(self, **figures, decoder=decoder, per=None, normalized=None)

    @property
    def rate(self) -> float:
        """The error rate that counts: the WER, the CER or the frame error."""
        return self.rate_in(self.unit)

    def rate_in(self, unit: ErrorUnit) -> float:
        """An error rate; not a number where errors are not counted in the unit."""
        rate = getattr(self, unit.rate)
        return math.nan if rate is None else float(rate)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the one that counts."""
        known = self.unit is not ErrorUnit.character or (self.cer_low is not None and self.cer_high is not None)
        name = self.unit.rate if known else ErrorUnit.word.rate
        return float(getattr(self, f"{name}_low")), float(getattr(self, f"{name}_high"))

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
    score = total(scores)
    if not score.unit.of_text:
        low, high = bootstrap_interval(scores, samples, counted_in=score.unit)
        rate, other = score.unit.rate, score.unit.other
        rates = {rate: score.rate, f"{rate}_low": low, f"{rate}_high": high, other.rate: score.rate_in(other)}
        return rates | {name: getattr(score, name) for name in ("substitutions", "deletions", "insertions")}
    low, high = bootstrap_interval(scores, samples)
    figures: dict[str, Any] = {"wer": score.wer, "wer_low": low, "wer_high": high, "cer": score.cer}
    if score.unit is ErrorUnit.character:
        low, high = bootstrap_interval(scores, samples, counted_in=score.unit)
        figures |= {"cer_low": low, "cer_high": high}
    return figures | {name: getattr(score, name) for name in ("substitutions", "deletions", "insertions")}


def split_figures(scores: Sequence[UtteranceScore], samples: int = SAMPLES) -> dict[str, Any]:
    """What `Results` tells of the utterances of a split."""
    score = total(scores)
    wrong = sum(one.errors > 0 for one in scores)
    figures = {"utterances": score.utterances, "words": score.words, **error_figures(scores, samples)}
    figures |= {"correct": score.correct, "ser": wrong / len(scores)}
    if score.unit is ErrorUnit.word:
        return figures
    if not score.unit.of_text:
        none = dict.fromkeys(("wer", "wer_low", "wer_high", "cer"))
        return none | figures | {"unit": score.unit, "frames": score.frames}
    return figures | {"unit": score.unit, "characters": score.characters}


def with_normalized_texts(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of hypotheses.jsonl with its normalized words in the place of the raw ones.

    Raises:
        KeyError: It has none.
    """
    return {**row, **{name: row[f"normalized_{name}"] for name in NORMALIZED_TEXTS}}


def scored_by(decoder: str, normalizer: str) -> str:
    """A decoder whose words were normalized before they were scored."""
    return f"{decoder} ({normalizer})"


def with_normalized(results: Results, scores: Sequence[UtteranceScore], normalizer: Normalizer) -> Results:
    """Results with the figures of normalized words beside them."""
    return replace(results, normalized=NormalizedFigures(normalizer=normalizer.name, **split_figures(scores)))


def evaluation_folder(run: Path, split: str, decoder: str) -> Path:
    """Where a run keeps the results of a split with a decoder."""
    return run / "evaluation" / split / decoder


def write_results(
    run: Path, results: Results, scores: Sequence[UtteranceScore], normalized: Sequence[UtteranceScore] = ()
) -> Path:
    """Writes the three files of an evaluation, each completely or not at all, results.json last.

    Args:
        run: The run's folder.
        results: The numbers.
        scores: Every utterance, in the order of hypotheses.jsonl.
        normalized: The same with normalized words; none without `scoring.normalizer`.

    Returns:
        The folder of the files, as of `evaluation_folder`.
    """
    folder = evaluation_folder(run, results.split, results.decoder)
    folder.mkdir(parents=True, exist_ok=True)
    keys = HYPOTHESIS_KEYS if results.unit.of_text else FRAME_KEYS
    rows = [
        {name: getattr(score, name) for name in keys} | ({"fields": dict(score.fields)} if score.fields else {})
        for score in scores
    ]
    for row, one in zip(rows, normalized, strict=bool(normalized)):
        row |= {f"normalized_{name}": getattr(one, name) for name in NORMALIZED_TEXTS}
    contents = {
        "hypotheses.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        "errors.txt": aligned_errors(scores) if results.unit.of_text else labelled_errors(scores),
        "results.json": results_json(results),
    }
    beside = {name: folder / f".{name}.{os.getpid()}" for name in contents}
    for name, content in contents.items():
        beside[name].write_text(content, encoding="utf-8")
    for name, temporary in beside.items():
        temporary.replace(folder / name)
    return folder


LEFT_OUT = {
    "per", "evaluated", "unit", "characters", "cer_low", "cer_high", "correct", "ser", "normalized", "delay", "wer",
    "wer_low", "wer_high", "cer", "frames", "frame_error", "frame_error_low", "frame_error_high", "segment_error",
    "speech",
}  # fmt: skip
"""Keys that a results.json does without where they say nothing."""


def results_json(results: Results) -> str:
    """The content of a results.json."""
    figures = asdict(results)
    for part in (figures, figures["normalized"] or {}):
        for name in LEFT_OUT & part.keys():
            if part[name] in (None, ErrorUnit.word):
                del part[name]
    return json.dumps(figures, indent=2, ensure_ascii=False) + "\n"


def read_results(folder: Path) -> Results:
    """Reads the results.json of a folder; keys that `Results` does not have are ignored.

    Raises:
        RunError: There is none, or it is damaged.
    """
    path, again = folder / "results.json", asr_command("evaluate", folder.absolute().parents[2])
    try:
        read: dict[str, Any] = read_json(path)
        if isinstance(read, dict) and read.get("unit", "word") == ErrorUnit.frame:
            read = dict.fromkeys(("wer", "wer_low", "wer_high", "cer")) | read
        return from_json(Results, read)
    except OSError as error:
        raise RunError(f"No results at {path} ({error.strerror}): run {again} first.") from None
    except KeyError as error:
        raise RunError(f"{path} lacks the key {error.args[0]!r}: run {again} again.") from None
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} is not a results file ({error}): run {again} again.") from None
