"""Decoding and scoring whole splits."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from asr.data.loader import Batch
from asr.data.utterance import Utterance
from asr.decoding.decoder import Decoder
from asr.decoding.measures import Measures, measure
from asr.errors import DataError
from asr.features.front_end import FrontEnd
from asr.model.acoustic import AcousticModel
from asr.scoring.error_rates import UtteranceScore, score_utterance
from asr.text.protocol import Tokenizer


@dataclass(frozen=True, slots=True)
class Decoded:
    """An utterance that was decoded."""

    score: UtteranceScore
    measures: Measures


@torch.inference_mode()
def decode_batches(
    batches: Iterable[Batch],
    utterances: Sequence[Utterance],
    front: FrontEnd,
    model: AcousticModel,
    decoder: Decoder,
    tokenizer: Tokenizer,
) -> Iterator[Decoded]:
    """Decodes, scores and measures batches of utterances, one after the other."""
    device = next(model.parameters()).device
    for batch in batches:
        if len(batch.utterances) == 0:
            continue  # none of them can be read any more
        features, lengths = front(batch.inputs.to(device), batch.lengths.to(device))
        log_probs, lengths = model(features, lengths)
        members = [utterances[int(number)] for number in batch.utterances]
        measured = measure(log_probs, lengths, [labels_of(tokenizer, utterance.text) for utterance in members])
        for utterance, hypothesis, measures in zip(members, decoder(log_probs, lengths), measured, strict=True):
            yield Decoded(with_measures(measures, score_utterance(utterance, hypothesis)), measures)


def labels_of(tokenizer: Tokenizer, text: str) -> list[int] | None:
    """The tokens of a transcript, None where the tokenizer cannot write it."""
    try:
        return tokenizer.encode(text)
    except DataError:
        return None  # A transcript of test may have letters that the model never saw.


def with_measures(measures: Measures, score: UtteranceScore) -> UtteranceScore:
    """A score with what the log-probabilities tell beside it."""
    known = measures.ctc_loss is not None and math.isfinite(measures.ctc_loss) and measures.labels
    return replace(
        score,
        ctc_loss_per_token=round(measures.ctc_loss / measures.labels, 6) if known and measures.ctc_loss else None,
        confidence=None if measures.confidence is None else round(measures.confidence, 6),
    )
