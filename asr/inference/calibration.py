"""Fits the confidence of words on the dev split of a run, and measures on any split how far it can be trusted."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from asr.common.errors import DataError
from asr.common.files import atomic_write_text, require_own, save_picture
from asr.decoding.decoder import greedy
from asr.inference.confidence import EVIDENCE, ConfidenceMap, Floats, word_evidence, write_confidence
from asr.inference.evaluation import split_log_probs
from asr.inference.finished_run import FinishedRun
from asr.inference.forced_alignment import align, frame_times, word_spans
from asr.inference.recognizer import Recognizer
from asr.scoring.error_rates import right_words

BINS = 10
SHRINKAGE = 1.0
"""Weight of the squared coefficients (of evidence in units of its deviation): dev has few wrong words."""
LEAST_DEVIATION = 1e-3
"""Evidence that varies less is not used."""


@dataclass(frozen=True)
class Bin:
    """Words whose confidences are alike."""

    words: int
    confidence: float
    """Their mean."""
    right: float
    """The share of them that is correct."""


@dataclass(frozen=True)
class Calibration:
    """How far the confidences of words can be trusted."""

    words: int
    right: float
    """The share of words that is correct."""
    ece: float
    """Expected calibration error: the difference between confidence and the share of correct words, on average over the
    words, in BINS of the same width (Guo et al., "On calibration of modern neural networks", 2017)."""
    nce: float
    """Normalized cross entropy: 1 separates correct from wrong words perfectly, 0 is as good as the share of correct
    words alone, below 0 is misleading (NIST; Siu & Gish, 1999). Not a number where all words are correct, or all are
    wrong."""
    bins: list[Bin]


def calibration(confidences: Floats, right: Floats) -> Calibration:
    """Compares confidences with the words that are correct.

    Args:
        confidences: Between 0 and 1, (words,), at least one.
        right: 1 where a word is correct, else 0, (words,).
    """
    places = np.minimum((confidences * BINS).astype(np.int64), BINS - 1)
    bins = [
        Bin(int(inside.sum()), float(confidences[inside].mean()), float(right[inside].mean()))
        for inside in (places == number for number in range(BINS))
        if inside.any()
    ]
    share = float(right.mean())
    prior = _cross_entropy(np.full(len(right), share), right)
    return Calibration(
        words=len(right),
        right=share,
        ece=sum(one.words * abs(one.confidence - one.right) for one in bins) / len(right),
        nce=(prior - _cross_entropy(confidences, right)) / prior if prior > 0 else float("nan"),
        bins=bins,
    )


def _cross_entropy(confidences: Floats, right: Floats) -> float:
    with np.errstate(divide="ignore"):
        return -float(np.where(right > 0, np.log2(confidences), np.log2(1 - confidences)).mean())


@dataclass(frozen=True)
class SplitWords:
    """The words of a split's greedy hypotheses."""

    rows: list[dict[str, object]]
    """Utterance, times, and whether it is correct, of each word."""
    evidence: Floats
    """(words, len(EVIDENCE))."""
    right: Floats
    """1 where a word is correct, else 0, (words,)."""


@dataclass(frozen=True)
class CalibratedSplit:
    """How far the confidences of a split can be trusted."""

    split: str
    calibration: Calibration
    picture: Path


def calibrate_run(run: FinishedRun, splits: Sequence[str]) -> Iterator[CalibratedSplit]:
    """Fits the confidence on dev, writes it into the model folder of the run, and measures it on splits.

    RUN/calibration/SPLIT gets the words with their times and confidences, the figures, and a picture.

    Raises:
        RunError: There is no such run.
        DataError: A split cannot be read, or has no word to fit on or to measure.
    """
    require_own(run.path)
    recognizer = run.recognizer()
    dev = split_words(run, recognizer, "dev")
    fitted = fit_confidence(dev.evidence, dev.right)
    write_confidence(run.model, fitted, f"dev of {run.recipe.name}: {len(dev.right)} words")
    for split in splits:
        words = dev if split == "dev" else split_words(run, recognizer, split)
        if not len(words.right):
            raise DataError(f"The hypotheses of {split} have no word: there is no confidence to measure.")
        confidences = fitted(words.evidence)
        found = calibration(confidences, words.right)
        folder = run.calibration(split)
        folder.mkdir(parents=True, exist_ok=True)
        rows = (row | {"confidence": round(float(one), 4)} for row, one in zip(words.rows, confidences, strict=True))
        atomic_write_text(folder / "words.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        picture = draw_reliability(found, split, folder / "reliability")
        atomic_write_text(folder / "calibration.json", json.dumps(asdict(found), indent=1) + "\n")
        yield CalibratedSplit(split, found, picture)


def split_words(run: FinishedRun, recognizer: Recognizer, split: str) -> SplitWords:
    """Decodes a split greedily and aligns its hypotheses.

    Raises:
        DataError: The split cannot be read.
    """
    times, tokenizer = frame_times(run.config), recognizer.tokenizer
    log_probs_of_split = split_log_probs(run.recipe, run.config, split, recognizer)
    rows: list[dict[str, object]] = []
    evidence, right = [np.zeros((0, len(EVIDENCE)))], []
    for utterance, emission in zip(log_probs_of_split.utterances, log_probs_of_split.emissions, strict=True):
        log_probs, lengths = torch.from_numpy(emission)[:, None], torch.tensor([len(emission)])
        (alignment,) = align(log_probs, lengths, greedy(log_probs, lengths))
        assert alignment is not None  # a greedy hypothesis fits into its own frames
        spans = word_spans(alignment, tokenizer)
        are_right = right_words(utterance.text, [span.text for span in spans])
        evidence.append(word_evidence(alignment, spans))
        right += are_right
        rows += (
            {"id": utterance.id, "word": word.text, "start": word.start, "end": word.end, "right": is_right}
            for word, is_right in zip(times.words(spans), are_right, strict=True)
        )
    return SplitWords(rows, np.concatenate(evidence), np.array(right, dtype=np.float64))


def fit_confidence(evidence: Floats, right: Floats) -> ConfidenceMap:
    """Fits the map by logistic regression (Newton's method).

    Args:
        evidence: (words, len(EVIDENCE)).
        right: 1 where a word is correct, else 0, (words,).

    Raises:
        DataError: All words are correct, or all are wrong.
    """
    if not 0 < right.sum() < len(right):
        raise DataError(
            f"{int(right.sum())} of {len(right)} words of dev are correct: a confidence is fitted where some are and "
            "some are not; use a larger dev split."
        )
    mean, deviation = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), LEAST_DEVIATION)
    inputs = np.column_stack([(evidence - mean) / deviation, np.ones(len(evidence))])
    shrinkage = np.diag([*[SHRINKAGE] * evidence.shape[1], 0.0])
    found = np.zeros(inputs.shape[1])
    for _ in range(100):
        guess = 1 / (1 + np.exp(-np.clip(inputs @ found, -50, 50)))
        slope = inputs.T @ (guess - right) + shrinkage @ found
        curvature = (inputs * (guess * (1 - guess))[:, None]).T @ inputs + shrinkage
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(found)), slope)
        found -= step
        if np.abs(step).max() < 1e-9:
            break
    weights = found[:-1] / deviation
    return ConfidenceMap(tuple(weights.tolist()), float(found[-1] - weights @ mean))


def draw_reliability(found: Calibration, split: str, path: Path) -> Path:
    """Draws the share of correct words over the confidence, as .svg and .png; returns the path of the latter."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5.5), layout="constrained")
    reliability, amounts = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    confidences = [one.confidence for one in found.bins]
    reliability.plot((0, 1), (0, 1), color="grey", linewidth=1, label="perfectly calibrated")
    reliability.plot(confidences, [one.right for one in found.bins], marker="o", label=f"{split}, {found.words} words")
    reliability.set(ylabel="share of correct words", xlim=(0, 1), ylim=(0, 1.02))
    reliability.set_title(f"ECE {100 * found.ece:.1f} %, NCE {found.nce:.2f}")
    reliability.legend(loc="upper left")
    amounts.bar(confidences, [one.words for one in found.bins], width=0.06)
    amounts.set(xlabel="confidence", ylabel="words", yscale="log")
    return save_picture(figure, path)
