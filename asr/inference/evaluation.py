"""Decoding and scoring whole splits."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jiwer
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from asr.batching.dataset import Dataset
from asr.batching.loader import Batch, evaluation_batches, load
from asr.common.errors import DataError
from asr.common.files import atomic_write
from asr.common.progress import Progress
from asr.data.manifest import read_manifest
from asr.data.shards.reader import open_audio
from asr.data.utterance import Utterance
from asr.decoding.decoder import Decoder
from asr.features.front_end import FrontEnd
from asr.inference.ensembles import Combination
from asr.model.acoustic import AcousticModel
from asr.scoring.error_rates import UtteranceScore, score_utterance
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.phone import PhoneTokenizer
from asr.text.protocol import BLANK, Tokenizer, labels_of


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


def with_measures(measures: Measures, score: UtteranceScore) -> UtteranceScore:
    """A score with what the log-probabilities tell beside it."""
    known = measures.ctc_loss is not None and math.isfinite(measures.ctc_loss) and measures.labels
    return replace(
        score,
        ctc_loss_per_token=round(measures.ctc_loss / measures.labels, 6) if known and measures.ctc_loss else None,
        confidence=None if measures.confidence is None else round(measures.confidence, 6),
    )


@dataclass(frozen=True)
class HeardSplit:
    """What models hear in a split."""

    utterances: Sequence[Utterance]
    emissions: Sequence[npt.NDArray[np.float32]]
    """Log-probabilities of each utterance, (frames, tokens)."""


def split_log_probs(recipe: Recipe, config: Config, split: str, heard: Combination) -> HeardSplit:
    """Computes the log-probabilities of every utterance of a split.

    Raises:
        DataError: The manifest or an utterance cannot be read.
    """
    utterances = read_manifest(recipe.manifest(config, split))
    audio = open_audio(config.shards, recipe.data(config))
    inputs = Dataset(utterances, None, None, config.seed, audio=audio)
    shares = evaluation_batches(inputs.seconds(0), 0, 1, config.batching.max_device_seconds)
    found: dict[int, npt.NDArray[np.float32]] = {}
    with Progress(f"Hearing {split}", len(utterances), "utterances") as progress:
        for batch in load(shares, inputs, [[]] * len(utterances), config.hardware.workers):
            log_probs, lengths = heard.log_probs(batch.inputs, batch.lengths)
            for place, number in enumerate(batch.utterances):
                found[int(number)] = log_probs[: int(lengths[place]), place].float().cpu().numpy()
            progress.advance(len(batch.utterances))
    return HeardSplit(utterances, [found[number] for number in range(len(utterances))])


def kept_log_probs(recipe: Recipe, config: Config, split: str, heard: Combination, file: Path, key: str) -> HeardSplit:
    """As `split_log_probs`, but read from a file if it is there for the same key, else kept there.

    Args:
        file: A .npz.
        key: Of all that determines the log-probabilities.
    """
    try:
        with np.load(file, allow_pickle=False) as kept:
            if str(kept["key"]) == key:
                utterances = read_manifest(recipe.manifest(config, split))
                return HeardSplit(utterances, [kept[f"{number}"] for number in range(len(utterances))])
    except (OSError, ValueError, KeyError, BadZipFile):
        pass  # not there, or damaged: computed anew
    computed = split_log_probs(recipe, config, split, heard)
    arrays: dict[str, Any] = {f"{number}": emission for number, emission in enumerate(computed.emissions)}
    with atomic_write(file) as beside:
        np.savez(beside, key=np.array(key), **arrays)
    return computed


def phone_error_rate(tokenizer: Tokenizer, scores: Iterable[UtteranceScore]) -> float | None:
    """Wrong, missing and inserted phones against those of the references, as a fraction; word boundaries do not count.

    References are the phones of their words by the lexicon's first pronunciation, hypotheses those that were decoded,
    or of the words that a beam search wrote. Utterances with a word without any pronunciation are left out.

    Returns:
        None where tokens are no phones, or where no utterance is left.
    """
    if not isinstance(tokenizer, PhoneTokenizer):
        return None
    references, hypotheses = [], []
    for score in scores:
        try:
            pair = tokenizer.said(score.reference), tokenizer.said(score.hypothesis)
        except DataError:
            continue
        references.append(pair[0])
        hypotheses.append(pair[1])
    return float(jiwer.wer(references, hypotheses)) if references else None
