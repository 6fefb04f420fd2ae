"""The corpus check: finds what would spoil a training or its evaluation, before either begins."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from asr.checks.audio_quality import DURATION, AudioCheck, check_audio, header_problems
from asr.checks.duplicates import overlapping, shared_audio, shared_sentences, shared_speakers
from asr.checks.findings import Finding, Problem, Severity, errors_among
from asr.checks.transcripts import pace_findings, transcript_problems
from asr.common.errors import DataError
from asr.common.processes import map_blocks
from asr.data.audio import CONVERT, FILES, Audio
from asr.data.mixture import read_split
from asr.data.shards.reader import open_audio
from asr.data.utterance import Field, Utterance
from asr.features.augment import perturbed_samples
from asr.features.extractor import frame_count
from asr.model.convolution import output_length
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.protocol import Tokenizer
from asr.text.speech import read_spans
from asr.text.tokenizer import build_tokenizer

if TYPE_CHECKING:
    from asr.inference.recognizer import Recognizer

log = logging.getLogger(__name__)

UNREADABLE = "unreadable"
"""The kind of a missing or damaged file, which may have been sound when a training began."""

SPEECH_TOLERANCE = 0.05
"""By which speech may end behind its recording (s)."""
HEADERS = 8192
"""Utterances whose headers a process reads per block."""

Splits = Mapping[str, Sequence[Utterance]]


@dataclass(frozen=True)
class Requirements:
    """What a configuration and its tokenizer require; sent to the processes that check."""

    config: Config
    tokenizer: Tokenizer

    @classmethod
    def of(cls, config: Config, train: Sequence[Utterance]) -> Self:
        """The requirements with a tokenizer that is built now, where necessary from the training transcripts.

        Raises:
            ConfigError: The tokenizer cannot be built.
        """
        return cls(config, build_tokenizer(config.tokenizer, Field(train, "text")))

    @property
    def sampling_rate(self) -> int:
        """The only rate allowed (Hz)."""
        return self.config.data.sampling_rate

    def output_frames(self, split: str, utterance: Utterance) -> int:
        """Frames that the model outputs for an utterance of a split, at the highest speed at which it is played."""
        config, samples = self.config, utterance.samples
        if split == "train":  # only training utterances are played faster
            samples = perturbed_samples(samples, max(config.augment.speed_factors))
            samples = perturbed_samples(samples, max(config.augment.tempo_factors))
        return output_length(frame_count(config.features, self.sampling_rate, samples), config.model.subsampling)


def ctc_frames(labels: Sequence[int]) -> int:
    """The fewest frames that CTC can align with labels: one for each, and a blank between equal neighbors."""
    return len(labels) + sum(left == right for left, right in pairwise(labels))


def check_corpus(
    recipe: Recipe, config: Config, splits: Splits, recognizer: "Recognizer | None" = None
) -> list[Finding]:
    """Decodes and examines every utterance of a prepared corpus.

    A recognizer also looks, among the utterances without errors, for transcripts that do not match their audio.

    Returns:
        As `examine`, the anomalies that the recognizer finds behind the errors.
    """
    audio = open_audio(config.shards, recipe.data(config))
    audio.verify()
    findings = examine(splits, Requirements.of(config, splits["train"]), audio=audio)
    if recognizer is None:
        return findings
    from asr.checks.anomalies import find_anomalies

    errors = errors_among(findings)
    anomalies = find_anomalies(recipe, config, recognizer, splits, errors, audio)
    return [*errors, *anomalies, *(finding for finding in findings if finding not in errors)]


def examine(splits: Splits, requirements: Requirements, decode: bool = True, audio: Audio = FILES) -> list[Finding]:
    """Examines all utterances.

    Args:
        decode: Decode all audio, on all cores; else only the headers are read, which is quick, but finds neither
            damage within a file, nor what is wrong with its sound, nor audio that several splits share.

    Returns:
        Errors of utterances in the order of the manifests; warnings about those that have no error, likewise; then what
        concerns several splits.
    """
    named = [(split, utterance) for split, utterances in splits.items() for utterance in utterances]
    audio_checks = _check_audio([utterance for _, utterance in named], decode, audio)
    uses = Counter(utterance.audio_filepath for _, utterance in named)
    errors: list[Finding] = []
    warnings: list[Finding] = []
    sound: list[tuple[str, Utterance]] = []
    for (split, utterance), audio_check in zip(named, audio_checks, strict=True):
        wrong = _errors_of(split, utterance, audio_check, requirements)
        errors += wrong
        if not wrong:
            # The rest of a file may be other utterances.
            rest = [] if uses[utterance.audio_filepath] == 1 else [DURATION]
            warnings += [
                problem.about(split, utterance)
                for problem in _problems(utterance, audio_check, requirements)
                if problem.kind not in rest
            ]
            sound.append((split, utterance))
    texts = not requirements.config.tokenizer.kind.labels_frames
    return [
        *errors,
        *warnings,
        *(pace_findings(sound) if texts else ()),
        *overlapping(sound),
        *shared_audio(named, audio_checks),
        *(shared_sentences(splits) if texts else ()),
        *shared_speakers(splits),
    ]


def mistakes(splits: Splits, requirements: Requirements, audio: Audio = FILES) -> list[Finding]:
    """The errors that show without decoding; of millions of utterances none is kept in memory.

    Returns:
        Errors in the order of the manifests.
    """
    found: list[Finding] = []
    for split, utterances in splits.items():
        # A list is sent to each process in blocks; from any other sequence the process reads its own block.
        blocks = [
            (utterances[first : first + HEADERS] if isinstance(utterances, list) else utterances, first)
            for first in range(0, len(utterances), HEADERS)
        ]
        work = _Mistakes(split, requirements, audio)
        found += [finding for part in map_blocks(work, blocks, 1, f"Checking {split}", "parts") for finding in part]
    return found


def refuse_mistakes(
    recipe: Recipe,
    config: Config,
    splits: Mapping[str, Sequence[Utterance]] | None = None,
    tokenizer: Tokenizer | None = None,
    unreadable: int = 0,
) -> None:
    """The part of the check of train and dev that needs no decoding, for a training before its first step.

    Logs one line for each error.

    Args:
        splits: Train and dev; None reads them.
        tokenizer: That of the training; None builds it.
        unreadable: Files that may be unreadable without a refusal: a training under way goes on without them.

    Raises:
        DataError: There are errors.
    """
    splits = splits or {split: read_split(recipe, config, split) for split in ("train", "dev")}
    audio = open_audio(config.shards, recipe.data(config))
    unfit = audio.verify()
    if unfit and not unreadable:
        raise DataError(
            f"{next(iter(unfit.values()))}; shards that differ from what was packed: {len(unfit)}. Put them back, or "
            "pack the corpus again."
        )
    requirements = Requirements.of(config, splits["train"]) if tokenizer is None else Requirements(config, tokenizer)
    findings = mistakes(splits, requirements, audio)
    for finding in findings:
        log.info("%s", finding)
    if sum(finding.kind == UNREADABLE for finding in findings) <= unreadable:
        findings = [finding for finding in findings if finding.kind != UNREADABLE]
    refuse_errors(recipe, findings)


def refuse_errors(recipe: Recipe, findings: Sequence[Finding]) -> None:
    """Refuses a corpus whose findings, already shown, include errors.

    Raises:
        DataError: They do.
    """
    if count := len(errors_among(findings)):
        raise DataError(
            f"The corpus of {recipe.name} has {count} {'error' if count == 1 else 'errors'}, named above: fix them, or "
            "remove these utterances from the manifests with `asr check RECIPE check.fix=true`."
        )


@dataclass(frozen=True)
class _Mistakes:
    """Finds the mistakes of blocks of a split, in another process."""

    split: str
    requirements: Requirements
    audio: Audio

    def __call__(self, blocks: Sequence[tuple[Sequence[Utterance], int]]) -> list[list[Finding]]:
        return [[*self._of(utterances, first)] for utterances, first in blocks]

    def _of(self, utterances: Sequence[Utterance], first: int) -> Iterator[Finding]:
        block = utterances if isinstance(utterances, list) else utterances[first : first + HEADERS]
        for utterance in block:
            yield from _errors_of(self.split, utterance, _read_header(utterance, self.audio), self.requirements)


def _errors_of(split: str, utterance: Utterance, audio_check: AudioCheck, requirements: Requirements) -> list[Finding]:
    problems = (problem.about(split, utterance) for problem in _problems(utterance, audio_check, requirements))
    return [
        *_mistakes(split, utterance, audio_check, requirements),
        *(finding for finding in problems if finding.severity is Severity.error),
    ]


def _problems(utterance: Utterance, audio_check: AudioCheck, requirements: Requirements) -> Iterator[Problem]:
    if not requirements.config.tokenizer.kind.labels_frames:  # recordings without speech are no mistake there
        yield from audio_check.problems
        yield from transcript_problems(utterance.text)


def _mistakes(
    split: str, utterance: Utterance, audio_check: AudioCheck, requirements: Requirements
) -> Iterator[Finding]:
    def mistake(kind: str, message: str) -> Finding:
        return Finding(Severity.error, split, utterance.id, message, kind)

    if audio_check.fault is not None:
        yield mistake(UNREADABLE, audio_check.fault)
    if utterance.sampling_rate != requirements.sampling_rate:
        yield mistake(
            "sampling rate",
            f"{utterance.place}: it has {utterance.sampling_rate} Hz, the configuration expects "
            f"{requirements.sampling_rate} Hz; {CONVERT}, or change data.sampling_rate.",
        )
    if requirements.config.tokenizer.kind.labels_frames:
        try:
            spans = read_spans(utterance.text)
        except DataError as fault:
            yield mistake("speech", f"{utterance.place}: {fault}")
            return
        if spans and spans[-1][1] > utterance.duration + SPEECH_TOLERANCE:
            yield mistake(
                "speech",
                f"{utterance.place}: its speech ends at {spans[-1][1]:.2f} s and the recording at "
                f"{utterance.duration:.2f} s: correct one of the two.",
            )
        return
    if not utterance.text.strip():
        message = f"{utterance.place}: the transcript is empty; write it or leave the utterance out."
        yield mistake("empty transcript", message)
        return
    try:
        labels = requirements.tokenizer.encode(utterance.text)
    except DataError as fault:
        yield mistake("alphabet", f"{utterance.place}: {fault}")
        return
    needed, frames = ctc_frames(labels), requirements.output_frames(split, utterance)
    if frames < needed and utterance.sampling_rate == requirements.sampling_rate:
        yield mistake(
            "too short for CTC",
            f"{utterance.place}: at its highest speed the model outputs {frames} frames, but CTC needs {needed} for "
            "the transcript; leave the utterance out, lower model.subsampling or drop the highest of "
            "augment.speed_factors and augment.tempo_factors.",
        )


def _check_audio(utterances: Sequence[Utterance], decode: bool, audio: Audio) -> list[AudioCheck]:
    if decode:
        return map_blocks(_CheckBlock(check_audio, audio), utterances, 64, "Checking audio", "utterances")
    return map_blocks(_CheckBlock(_read_header, audio), utterances, HEADERS, "Reading headers", "utterances")


@dataclass(frozen=True)
class _CheckBlock:
    """Checks each utterance of a block, in another process."""

    check: Callable[[Utterance, Audio], AudioCheck]
    audio: Audio

    def __call__(self, utterances: Sequence[Utterance]) -> list[AudioCheck]:
        if self.check is check_audio:
            self.audio.prefetch(utterances)
        return [self.check(utterance, self.audio) for utterance in utterances]


def _read_header(utterance: Utterance, audio: Audio) -> AudioCheck:
    try:
        audio.check(utterance)
    except DataError as fault:
        return AudioCheck(str(fault), None)
    return AudioCheck(None, None, tuple(header_problems(utterance, audio)))
