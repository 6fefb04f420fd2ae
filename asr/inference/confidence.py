"""The confidence of a word: the probability that it is right, by a logistic map that is fitted on dev."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.common.errors import DataError, RunError
from asr.common.files import atomic_write
from asr.inference.forced_alignment import Alignment, WordSpan

FILE = "confidence.json"
"""In a model folder."""
EVIDENCE = ("mean_probability", "least_log_probability", "utterance_score")
SHRINKAGE = 1.0
"""Weight of the squared coefficients (of evidence in units of its deviation): dev has few words that are wrong."""
LEAST_DEVIATION = 1e-3
"""Evidence that differs less tells nothing."""
LEAST = 1e-4
"""No word is surer or less sure than this."""

Floats = npt.NDArray[np.float64]


def word_evidence(alignment: Alignment, spans: Sequence[WordSpan]) -> Floats:
    """What speaks for each word of a hypothesis, (words, len(EVIDENCE)).

    The mean and the (logarithm of the) least of the highest probabilities of its tokens, and how well the whole
    utterance fits: the log-probability of its path per token. Chosen on AN4's dev split by cross-validation over
    speakers, of what else the log-probabilities tell: docs/explanation/measurements.md.
    """
    highest = [float(alignment.frame_scores[span.start : span.end].max()) for span in alignment.spans]
    rows = [
        (float(np.exp(highest[span.first : span.last]).mean()), min(highest[span.first : span.last]), alignment.score)
        for span in spans
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(EVIDENCE))


@dataclass(frozen=True)
class ConfidenceMap:
    """Evidence to confidence."""

    weights: tuple[float, ...]
    """Of each of EVIDENCE."""
    bias: float

    def __call__(self, evidence: Floats) -> Floats:
        """Probabilities that words are right, (words,), from their evidence."""
        odds = np.clip(evidence @ np.array(self.weights) + self.bias, -50, 50)
        confidences: Floats = np.clip(1 / (1 + np.exp(-odds)), LEAST, 1 - LEAST)
        return confidences


def fit_confidence(evidence: Floats, right: Floats) -> ConfidenceMap:
    """Fits the map by logistic regression (Newton's method).

    Args:
        evidence: (words, len(EVIDENCE)).
        right: 1 where a word is right, else 0, (words,).

    Raises:
        DataError: All words are right, or all wrong.
    """
    if not 0 < right.sum() < len(right):
        raise DataError(
            f"{int(right.sum())} of {len(right)} words of dev are right: a confidence is learnt where some are and "
            "some are not, from a larger dev split."
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


def write_confidence(model: Path, fitted: ConfidenceMap, origin: str) -> None:
    """Keeps a map in a model folder.

    Args:
        origin: What it was fitted on, for the reader.
    """
    content = {"evidence": EVIDENCE, **asdict(fitted), "fitted_on": origin}
    with atomic_write(model / FILE) as file:
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_confidence(model: Path) -> ConfidenceMap | None:
    """The map of a model folder, None where it has none.

    Raises:
        RunError: It is damaged.
    """
    path = model / FILE
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        if tuple(read["evidence"]) != EVIDENCE or len(read["weights"]) != len(EVIDENCE):
            raise ValueError("it weighs other evidence")
        return ConfidenceMap(tuple(map(float, read["weights"])), float(read["bias"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be used ({error}): run `asr calibrate` again.") from None
