"""Decoding and scoring whole splits."""

from collections.abc import Iterable, Iterator, Sequence

import torch

from asr.data.loader import Batch
from asr.data.utterance import Utterance
from asr.decoding.decoder import Decoder
from asr.features.front_end import FrontEnd
from asr.model.acoustic import AcousticModel
from asr.scoring.error_rates import UtteranceScore, score_utterance


@torch.inference_mode()
def decode_batches(
    batches: Iterable[Batch], utterances: Sequence[Utterance], front: FrontEnd, model: AcousticModel, decoder: Decoder
) -> Iterator[UtteranceScore]:
    """Decodes and scores batches of utterances, one after the other."""
    device = next(model.parameters()).device
    for batch in batches:
        if len(batch.utterances) == 0:
            continue  # none of them can be read any more
        features, lengths = front(batch.inputs.to(device), batch.lengths.to(device))
        log_probs, lengths = model(features, lengths)
        for number, hypothesis in zip(batch.utterances, decoder(log_probs, lengths), strict=True):
            yield score_utterance(utterances[int(number)], hypothesis)
