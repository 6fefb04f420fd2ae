"""What log-probabilities tell of an utterance beside its hypothesis: blanks, confidence, the loss of its transcript."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from asr.text.protocol import BLANK


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one utterance."""

    frames: int
    """Of the model's output."""
    blank_frames: int
    """Frames whose best token is the blank."""
    ctc_loss: float | None
    """-log p(transcript), in nats; None where the transcript is not known, infinite where it does not fit into the
    frames."""
    labels: int
    """Tokens of the transcript."""
    confidence: float | None
    """Mean probability of the best token over the frames in which it is no blank; None where there is no such frame."""


@torch.inference_mode()
def measure(log_probs: Tensor, lengths: Tensor, labels: Sequence[Sequence[int] | None]) -> list[Measures]:
    """Measures every utterance of a batch. Frames past an utterance's length are never read.

    Args:
        log_probs: Log-probabilities of the tokens, (frames, batch, tokens), on any device.
        lengths: Frames of each utterance, int64 (batch,).
        labels: The tokens of each transcript, None where it cannot be written with the model's tokens.
    """
    device = log_probs.device
    lengths = lengths.to(device)
    best, token = log_probs.max(dim=2)
    inside = torch.arange(len(best), device=device).unsqueeze(1) < lengths
    written = inside & (token != BLANK)
    counts = written.sum(dim=0)
    sure = best.double().exp().where(written, 0).sum(dim=0) / counts
    targets = [torch.tensor(one or [], dtype=torch.int64) for one in labels]
    target_lengths = torch.tensor([len(one) for one in targets], device=device)
    losses = functional.ctc_loss(
        log_probs.double(), torch.cat(targets).to(device), lengths, target_lengths, blank=BLANK, reduction="none"
    )
    columns = (lengths.tolist(), counts.tolist(), losses.tolist(), labels, sure.tolist())
    return [
        Measures(frames, frames - count, None if known is None else loss, len(known or ()), share if count else None)
        for frames, count, loss, known, share in zip(*columns, strict=True)
    ]
