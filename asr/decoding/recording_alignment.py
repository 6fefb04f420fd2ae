"""A given text aligned with a recording of any length."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from asr.decoding.alignment import align, needed_frames, word_spans
from asr.decoding.transcription import Transcriber, Transcript, Word
from asr.errors import DataError
from asr.text.protocol import BLANK

if TYPE_CHECKING:
    from asr.decoding.recognizer import Recognizer

NOT_HEARD = -30.0
"""Log-probability of all tokens but the blank in the few frames of pauses between two pieces."""


def align_recording(recognizer: "Recognizer", path: Path, text: str) -> tuple[Transcript, float]:
    """Finds when each word of a text is said.

    The log-probabilities come piece by piece; the path through all of them is the best there is, whatever the length.

    Args:
        text: What is said from the beginning of the recording to its end, words between white space.

    Returns:
        The words with their times, and the log-probability of the path per token: near 0 where the text is what is
        said, far below where it is not.

    Raises:
        DataError: The recording cannot be read, the text has no word or a character that the model cannot write, or
            it is too long to be said in the recording.
    """
    words = text.split()
    if not words:
        raise DataError("The text has no word: give what is said in the recording.")
    tokens = recognizer.tokenizer.encode(" ".join(words))
    transcriber = Transcriber(recognizer)
    stretches = list(transcriber.stretches(path))
    frames = max(stretch.first_frame + len(stretch.emission) for stretch in stretches)
    log_probs = np.full((frames, recognizer.tokenizer.size), NOT_HEARD, dtype=np.float32)
    log_probs[:, BLANK] = 0.0
    for stretch in stretches:
        log_probs[stretch.first_frame : stretch.first_frame + len(stretch.emission)] = stretch.emission
    times = transcriber.times
    (alignment,) = align(torch.from_numpy(log_probs)[:, None], torch.tensor([frames]), [tokens])
    if alignment is None:
        raise DataError(
            f"{path}: {len(words)} words need {needed_frames(tokens)} frames of the model, and the recording has "
            f"{frames}: the text is of another recording, or goes beyond it."
        )
    found = [
        Word(word.text, word.start, word.end, None) for word in times.words(word_spans(alignment, recognizer.tokenizer))
    ]
    return Transcript(path, frames * times.frame_seconds, found), alignment.score
