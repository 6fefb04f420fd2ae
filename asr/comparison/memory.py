"""How much context trained models use: the reach of their gradients, and their WER when the context is cut.

Both are measured once for a run and kept in the comparison's folder.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from asr.comparison.context import CONTEXTS, cut_contexts
from asr.comparison.reach import gradient_reach
from asr.data.utterance import Utterance
from asr.scoring.error_rates import total
from asr.tracking.metrics import replace_text

REACH_UTTERANCES = 24
"""The longest ones, since they show the farthest."""
KEPT_SHARE = 0.5
"""Frames kept of each window: they hear at least half of the context on either side, and at most all of it."""


@dataclass(frozen=True)
class Memory:
    """What a trained model feels and needs of what lies around an output frame."""

    lags: list[float]
    """Time of the output less that of the input (s): above 0 the input lies in the past."""
    gradient: list[float]
    """Mean norm of the gradient at each lag, as a share of the largest."""
    past: float
    """The seconds of past that hold 90 % of the gradient's norm."""
    future: float
    """The seconds of future that hold 90 % of the gradient's norm."""
    contexts: list[float | None]
    """Seconds that an output frame hears on either side at most; null is the whole utterance."""
    context_wer: list[float]
    """WER with each of these contexts, a fraction."""


def measure_memory(run: Path, utterances: Sequence[Utterance], kept: Path) -> Memory:
    """Measures the memory of a run's model, or reads what was measured before.

    Args:
        run: The run's folder.
        utterances: The test split.
        kept: File for what is measured.

    Raises:
        RunError: The run has no model.
        DataError: An utterance cannot be read.
    """
    if kept.exists():
        return Memory(**json.loads(kept.read_text(encoding="utf-8")))
    longest = sorted(utterances, key=lambda utterance: -utterance.duration)[:REACH_UTTERANCES]
    reach = gradient_reach(run / "model", longest)
    cuts = cut_contexts(run / "model", utterances, CONTEXTS, KEPT_SHARE)
    memory = Memory(
        lags=[round(float(lag), 4) for lag in reach.lags],
        gradient=[float(f"{value:.3g}") for value in reach.gradient],
        past=reach.past(),
        future=reach.future(),
        contexts=[cut.seconds for cut in cuts],
        context_wer=[total(cut.scores).wer for cut in cuts],
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    replace_text(kept, json.dumps(asdict(memory)) + "\n")
    return memory
