"""The evaluation of a split with a recognizer: read, batch, log-probabilities, decode, measure, score, keep."""

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from asr.batching.dataset import Dataset
from asr.batching.loader import Batch, evaluation_batches, load
from asr.common.files import atomic_write, atomic_write_text
from asr.common.progress import Progress
from asr.data.manifest import read_manifest
from asr.data.shards.reader import open_audio
from asr.data.utterance import Utterance
from asr.decoding.decoder import search_settings
from asr.decoding.search import Hypothesis
from asr.decoding.setup import decoder_name
from asr.inference.delay import aligner_of, measure_delay
from asr.inference.recognition import BatchRecognizer, Recognition
from asr.inference.speech import label_utterances, speech_figures
from asr.scoring.error_rates import UtteranceScore, phone_error_rate, score_utterance
from asr.scoring.error_unit import ErrorUnit, recipe_unit
from asr.scoring.normalizer import build_normalizer, normalized_scores
from asr.scoring.provenance import kept_provenance, provenance
from asr.scoring.results import EvaluatedSplit, Results, split_figures, with_normalized, write_results
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.protocol import BLANK, labels_of
from asr.tracking.metrics import last_row


class Readable(Protocol):
    """Utterances that can be read, by number; a `Dataset` is one."""

    @property
    def ids(self) -> Sequence[str]:
        """The id of each."""

    def __call__(self, number: int, epoch: int) -> Tensor:
        """The features (frames, dim) or the waveform (samples,) of one."""

    def seconds(self, epoch: int) -> npt.NDArray[np.float64]:
        """Their durations (s), shape (utterances,)."""


def open_split(recipe: Recipe, config: Config, split: str) -> Dataset:
    """The waveforms of a split.

    Raises:
        DataError: The manifest cannot be read.
    """
    utterances = read_manifest(recipe.manifest(config, split))
    return Dataset(utterances, None, None, config.seed, audio=open_audio(config.shards, recipe.data(config)))


def read_batches(
    inputs: Readable, config: Config, rank: int = 0, ranks: int = 1, tolerant: bool = False
) -> Iterator[Batch]:
    """Reads every utterance once over all ranks, in batches of similar length.

    Args:
        config: Its `batching.max_device_seconds` and `hardware.workers` are used.
        tolerant: Whether batches do without the utterances that cannot be read, and name them in `unreadable`.

    Raises:
        DataError: An utterance cannot be read, and `tolerant` is false.
    """
    micro_batches = evaluation_batches(inputs.seconds(0), rank, ranks, config.batching.max_device_seconds)
    ids = inputs.ids if tolerant else None
    return load(micro_batches, inputs, [[]] * len(inputs.ids), config.hardware.workers, ids)


def recognize_batches(
    recognizer: BatchRecognizer, batches: Iterable[Batch], title: str | None = None, utterances: int = 0
) -> Iterator[tuple[list[int], Recognition]]:
    """Recognizes batches one after the other.

    Args:
        title: Of the progress; None shows none.
        utterances: How many the batches hold, for the progress.

    Yields:
        The numbers of the utterances of a batch, and what was recognized in them.
    """
    with nullcontext() if title is None else Progress(title, utterances, "utterances") as progress:
        for batch in batches:
            numbers = batch.utterances.tolist()
            if not numbers:
                continue  # none of them could be read
            yield numbers, recognizer.recognize(batch.inputs, batch.lengths)
            if progress is not None:
                progress.advance(len(numbers))


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one utterance."""

    frames: int
    """Of the model's output."""
    blank_frames: int
    """Frames whose best token is the blank."""
    ctc_loss: float | None
    """-log p(reference), in nats; None where the reference is not known, infinite where it does not fit into the
    frames."""
    labels: int
    """Tokens of the reference."""
    confidence: float | None
    """Mean probability of the best token over the frames in which it is not the blank; None without such a frame."""


@torch.inference_mode()
def measure(log_probs: Tensor, lengths: Tensor, labels: Sequence[Sequence[int] | None]) -> list[Measures]:
    """Measures every utterance of a batch. Frames past an utterance's length are never read.

    Args:
        log_probs: Log-probabilities of the tokens, (frames, batch, tokens), on any device.
        lengths: Frames of each utterance, int64 (batch,).
        labels: The tokens of each reference, None where the tokenizer cannot write it.
    """
    device = log_probs.device
    lengths = lengths.to(device)
    best, token = log_probs.max(dim=2)
    inside = torch.arange(len(best), device=device).unsqueeze(1) < lengths
    not_blank = inside & (token != BLANK)
    counts = not_blank.sum(dim=0)
    confidence = best.double().exp().where(not_blank, 0).sum(dim=0) / counts
    targets = [torch.tensor(one or [], dtype=torch.int64) for one in labels]
    target_lengths = torch.tensor([len(one) for one in targets], device=device)
    losses = functional.ctc_loss(
        log_probs.double(), torch.cat(targets).to(device), lengths, target_lengths, blank=BLANK, reduction="none"
    )
    columns = (lengths.tolist(), counts.tolist(), losses.tolist(), labels, confidence.tolist())
    return [
        Measures(frames, frames - count, None if known is None else loss, len(known or ()), mean if count else None)
        for frames, count, loss, known, mean in zip(*columns, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Decoded:
    """An utterance that was decoded and scored."""

    number: int
    """Its place in the split."""
    score: UtteranceScore
    """Of the best hypothesis."""
    measures: Measures
    hypotheses: Sequence[Hypothesis]
    """The best first; at least one."""


def decode_utterances(
    recognizer: BatchRecognizer,
    utterances: Sequence[Utterance],
    batches: Iterable[Batch],
    title: str | None = None,
    unit: ErrorUnit = ErrorUnit.word,
) -> list[Decoded]:
    """Recognizes, measures and scores the utterances of batches, which are all those of a split or some of them.

    Args:
        utterances: Those of the split.
        title: As of `recognize_batches`.
        unit: What errors are counted in.

    Returns:
        The utterances of the batches, in the order of the split.
    """
    decoded = []
    for numbers, recognition in recognize_batches(recognizer, batches, title, len(utterances)):
        members = [utterances[number] for number in numbers]
        labels = [labels_of(recognizer.tokenizer, utterance.text) for utterance in members]
        measured = measure(recognition.log_probs, recognition.lengths, labels)
        for number, utterance, measures, found in zip(numbers, members, measured, recognition.hypotheses, strict=True):
            score = with_measures(measures, score_utterance(utterance, found[0].text, unit))
            decoded.append(Decoded(number, score, measures, found))
    return sorted(decoded, key=lambda one: one.number)


def with_measures(measures: Measures, score: UtteranceScore) -> UtteranceScore:
    """A score with the loss and the confidence that were measured."""
    known = measures.ctc_loss is not None and math.isfinite(measures.ctc_loss) and measures.labels
    return replace(
        score,
        ctc_loss_per_token=round(measures.ctc_loss / measures.labels, 6) if known and measures.ctc_loss else None,
        confidence=None if measures.confidence is None else round(measures.confidence, 6),
    )


@dataclass(frozen=True)
class SplitLogProbs:
    """The log-probabilities of a split."""

    utterances: Sequence[Utterance]
    emissions: Sequence[npt.NDArray[np.float32]]
    """Log-probabilities of each utterance, (frames, tokens)."""
    unit: ErrorUnit = ErrorUnit.word
    """What errors are counted in."""


def split_log_probs(recipe: Recipe, config: Config, split: str, recognizer: BatchRecognizer) -> SplitLogProbs:
    """Computes the log-probabilities of every utterance of a split.

    Raises:
        DataError: The manifest or an utterance cannot be read.
    """
    inputs = open_split(recipe, config, split)
    batches, count = read_batches(inputs, config), len(inputs.utterances)
    found: dict[int, npt.NDArray[np.float32]] = {}
    for numbers, recognition in recognize_batches(recognizer, batches, f"Log-probabilities of {split}", count):
        for place, (number, frames) in enumerate(zip(numbers, recognition.lengths.tolist(), strict=True)):
            found[number] = recognition.log_probs[:frames, place].float().cpu().numpy()
    emissions = [found[number] for number in range(count)]
    return SplitLogProbs(inputs.utterances, emissions, recipe_unit(recipe, config))


def cached_log_probs(
    recipe: Recipe, config: Config, split: str, recognizer: BatchRecognizer, file: Path, key: str
) -> SplitLogProbs:
    """As `split_log_probs`, but read from a file where it has the same key, else kept there.

    Args:
        file: A .npz.
        key: Of all that determines the log-probabilities.
    """
    try:
        with np.load(file, allow_pickle=False) as kept:
            if str(kept["key"]) == key:
                utterances = read_manifest(recipe.manifest(config, split))
                emissions = [kept[f"{number}"] for number in range(len(utterances))]
                return SplitLogProbs(utterances, emissions, recipe_unit(recipe, config))
    except (OSError, ValueError, KeyError, BadZipFile):
        pass  # not there, or damaged: computed again
    computed = split_log_probs(recipe, config, split, recognizer)
    arrays: dict[str, Any] = {f"{number}": emission for number, emission in enumerate(computed.emissions)}
    with atomic_write(file) as beside:
        np.savez(beside, key=np.array(key), **arrays)
    return computed


def evaluate_split(
    recipe: Recipe, config: Config, split: str, recognizer: BatchRecognizer, run: Path, config_hash: str
) -> EvaluatedSplit:
    """Decodes a split, scores it, and writes the results into the folder of the run.

    Args:
        config: That of the evaluation.
        recognizer: The model of the run, or an ensemble with others.
        config_hash: Of the run.

    Raises:
        DataError: The split cannot be read.
    """
    inputs, unit = open_split(recipe, config, split), recipe_unit(recipe, config)
    began = time.perf_counter()
    decoded: Sequence[Decoded] = ()
    speech = None
    if unit.of_text:
        decoded = decode_utterances(
            recognizer, inputs.utterances, read_batches(inputs, config), f"Decoding {split}", unit
        )
        scores = [one.score for one in decoded]
    else:
        batches, count = read_batches(inputs, config), len(inputs.utterances)
        recognized = recognize_batches(recognizer, batches, f"Labelling {split}", count)
        labelled = label_utterances(recognizer.config, inputs.utterances, recognized)
        scores, speech = [one.score for one in labelled], speech_figures(labelled)
    seconds, audio_seconds = time.perf_counter() - began, float(inputs.seconds(0).sum())
    here = provenance()
    origin = kept_provenance(run) or here
    results = Results(
        recipe=recipe.name,
        run=run.name,
        split=split,
        decoder=decoder_name(config),
        **split_figures(scores),
        seed=config.seed,
        parameters=recognizer.parameters,
        train_seconds=last_row(run)["seconds"],
        audio_seconds=audio_seconds,
        real_time_factor=seconds / audio_seconds,
        **vars(origin),
        config_hash=config_hash,
        per=phone_error_rate(recognizer.tokenizer, scores),
        evaluated=None if here == origin else here,
        speech=speech,
    )
    if (aligner := aligner_of(config)) is not None:
        delay = measure_delay(inputs.utterances, read_batches(inputs, config), recognizer, aligner)
        results = replace(results, delay=delay)
    normalized: Sequence[UtteranceScore] = ()
    if (normalizer := build_normalizer(config.scoring.normalizer)) is not None:
        normalized = normalized_scores(scores, normalizer)
        results = with_normalized(results, normalized, normalizer)
    folder = write_results(run, results, scores, normalized)
    if recognizer.search is not None:
        settings = search_settings(recognizer.search, recognizer.rescorer)
        atomic_write_text(folder / "search.json", json.dumps(settings, indent=1) + "\n")
        _write_nbest(folder / "nbest.jsonl", decoded if config.decoder.nbest > 1 else [])
    return EvaluatedSplit(results, scores)


def _write_nbest(file: Path, decoded: Sequence[Decoded]) -> None:
    """Writes the best hypotheses of each utterance; without any utterance, removes those of an earlier evaluation."""
    file.unlink(missing_ok=True)
    if decoded:
        rows = ({"id": one.score.id, "hypotheses": [asdict(item) for item in one.hypotheses]} for one in decoded)
        atomic_write_text(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
