"""Every utterance of an evaluation aligned, and what gets confused: many utterances at once."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jiwer
import torch
from torch import Tensor

from asr.decoding.greedy import greedy
from asr.inference.forced_alignment import TimedWord, frame_times, word_spans
from asr.inference.forced_alignment import align as ctc_align
from asr.inference.recognizer import Recognizer
from asr.scoring.error_rates import UtteranceScore, alignment_letters
from asr.text.protocol import BLANK, SPACE_SYMBOL

NOTHING = ""
"""Stands in a pair for the word or character that is not there."""

Confusions = Mapping[tuple[str, str], list[int]]
"""Pairs of reference and hypothesis: the places of the utterances in which they were, once for each time."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """An utterance with the way from its reference to its hypothesis."""

    score: UtteranceScore
    steps: str
    """A letter for each step over the words: = right, S substituted, D deleted, I inserted."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """A whole evaluation, aligned."""

    utterances: list[Aligned]
    words: Confusions
    """How often a word of the references became another one, or nothing, or came from nothing."""
    characters: Confusions

    @property
    def scores(self) -> list[UtteranceScore]:
        """The counts of every utterance."""
        return [utterance.score for utterance in self.utterances]


def align(rows: Sequence[Mapping[str, Any]]) -> Alignment:
    """Aligns the lines of a hypotheses.jsonl by words and by characters, as jiwer counts them."""
    words: dict[tuple[str, str], list[int]] = defaultdict(list)
    characters: dict[tuple[str, str], list[int]] = defaultdict(list)
    # Most utterances of a good model are right, and aligning takes time.
    wrong = [(place, row) for place, row in enumerate(rows) if row["reference"] != row["hypothesis"]]
    by_words: dict[int, tuple[str, Counter[str]]] = {}
    by_characters: dict[int, int] = {}
    if wrong:
        texts = [row["reference"] for _, row in wrong], [row["hypothesis"] for _, row in wrong]
        spelled = jiwer.process_characters(*texts)
        worded = jiwer.process_words(*texts)
        for number, (place, _) in enumerate(wrong):
            steps = _walk(worded, number, place, words)
            by_words[place] = steps, Counter(steps)
            by_characters[place] = sum(step != "=" for step in _walk(spelled, number, place, characters))
    utterances = []
    for place, row in enumerate(rows):
        steps, counts = by_words.get(place) or ("", Counter({"=": len(row["reference"].split())}))
        score = UtteranceScore(
            id=row["id"],
            speaker=row["speaker"],
            duration=row["duration"],
            reference=row["reference"],
            hypothesis=row["hypothesis"],
            words=counts["="] + counts["S"] + counts["D"],
            characters=len(row["reference"].strip()),
            substitutions=counts["S"],
            deletions=counts["D"],
            insertions=counts["I"],
            character_errors=by_characters.get(place, 0),
            alignment=steps or "=" * counts["="],
            ctc_loss_per_token=row.get("ctc_loss_per_token"),
            confidence=row.get("confidence"),
        )
        utterances.append(Aligned(score, steps if score.errors else ""))
    return Alignment(utterances, words, characters)


def _walk(output: Any, number: int, place: int, confusions: dict[tuple[str, str], list[int]]) -> str:
    """The steps of one utterance; notes what is not right."""
    reference, hypothesis = output.references[number], output.hypotheses[number]
    for chunk in output.alignments[number]:
        left = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        right = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "substitute":
            pairs = list(zip(left, right, strict=True))
        elif chunk.type == "delete":
            pairs = [(item, NOTHING) for item in left]
        else:
            pairs = [(NOTHING, item) for item in right]
        if chunk.type != "equal":
            for pair in pairs:
                confusions[pair].append(place)
    return alignment_letters(output, number)


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often something that was spoken became something else."""

    reference: str
    hypothesis: str
    count: int
    places: list[int]
    """Of the utterances, each once."""


def most_frequent(confusions: Confusions, count: int) -> list[Confusion]:
    """The most frequent pairs."""
    ranked = sorted(confusions.items(), key=lambda item: (-len(item[1]), item[0]))[:count]
    return [Confusion(*pair, len(places), sorted(set(places))) for pair, places in ranked]


SEEN = 0.05
"""A token is shown in a frame from this probability on."""


@dataclass(frozen=True)
class Spike:
    """A token in a frame."""

    frame: int
    text: str
    probability: float


@dataclass(frozen=True)
class Reading:
    """How a model reads an utterance."""

    frame_seconds: float
    """Time between frames of the model's output (s)."""
    offset: float
    """When frame 0 begins (s)."""
    frames: int
    spikes: list[Spike]
    words: list[TimedWord]
    blank_share: float
    """Share of frames in which the blank is the best token."""


@torch.inference_mode()
def read(recognizer: Recognizer, waveform: Tensor) -> Reading:
    """Reads one utterance.

    Args:
        waveform: float32 in [-1, 1] at the model's rate, shape (samples,).
    """
    log_probs, lengths = recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
    frames = int(lengths[0])
    path = log_probs[:frames, 0].float().exp().cpu()
    times = frame_times(recognizer.config)
    (alignment,) = ctc_align(log_probs, lengths, greedy(log_probs, lengths))
    assert alignment is not None  # what was written has fitted
    letters = [symbol.replace(SPACE_SYMBOL, " ").strip() or " " for symbol in recognizer.tokenizer.symbols]
    spikes = [
        Spike(int(frame), letters[int(token)], round(float(path[frame, token]), 3))
        for frame, token in (path > SEEN).nonzero().tolist()
        if token != BLANK
    ]
    return Reading(
        frame_seconds=times.frame_seconds,
        offset=times.offset,
        frames=frames,
        spikes=spikes,
        words=times.words(word_spans(alignment, recognizer.tokenizer)),
        blank_share=float((path.argmax(dim=1) == BLANK).float().mean()) if frames else 0.0,
    )
