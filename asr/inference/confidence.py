"""The confidence of a word: the probability that it is correct, by a logistic regression that is fitted on dev."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.common.documents import read_json
from asr.common.errors import RunError, asr_command
from asr.common.files import atomic_write_text
from asr.inference.forced_alignment import Alignment, WordSpan
from asr.model.folder import CONFIDENCE

EVIDENCE = ("mean_probability", "least_log_probability", "utterance_score")
LEAST = 1e-4
"""No confidence is lower, and none is higher than 1 less this."""

Floats = npt.NDArray[np.float64]


def word_evidence(alignment: Alignment, spans: Sequence[WordSpan]) -> Floats:
    """The features that the confidence of each word of a hypothesis is computed from, (words, len(EVIDENCE)).

    The mean and the (logarithm of the) least of the highest probabilities of its tokens, and how well the whole
    utterance fits: the log-probability of its path per token. Chosen on AN4's dev split by cross-validation over
    speakers: docs/explanation/measurements.md.
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
        """Probabilities that words are correct, (words,), from their evidence."""
        odds = np.clip(evidence @ np.array(self.weights) + self.bias, -50, 50)
        confidences: Floats = np.clip(1 / (1 + np.exp(-odds)), LEAST, 1 - LEAST)
        return confidences


def write_confidence(model: Path, fitted: ConfidenceMap, origin: str) -> None:
    """Writes a map into a model folder; `origin` says what it was fitted on."""
    content = {"evidence": EVIDENCE, **asdict(fitted), "fitted_on": origin}
    atomic_write_text(model / CONFIDENCE, json.dumps(content, indent=1) + "\n")


def read_confidence(model: Path) -> ConfidenceMap | None:
    """The map of a model folder, None where it has none.

    Raises:
        RunError: It is damaged.
    """
    path = model / CONFIDENCE
    try:
        read = read_json(path)
        if tuple(read["evidence"]) != EVIDENCE or len(read["weights"]) != len(EVIDENCE):
            raise ValueError("it has other evidence")
        return ConfidenceMap(tuple(map(float, read["weights"])), float(read["bias"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        again = asr_command("calibrate", model.absolute().parent)
        raise RunError(f"{path} cannot be used ({error}): run {again} again.") from None
