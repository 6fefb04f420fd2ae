"""What the table of the worst utterances shows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.scoring.error_rates import UtteranceScore


@dataclass(frozen=True)
class WorstUtterance:
    """An utterance that was recognized badly, with what is needed to read and to hear it."""

    score: UtteranceScore
    waveform: npt.NDArray[np.float32]
    """Shape (samples,), in [-1, 1]."""
    sampling_rate: int
    """Hz."""
