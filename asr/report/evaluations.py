"""The evaluations of a report: every utterance with its errors, audio and picture, and tests of every pair."""

import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

from asr.common.errors import RunError, UserError
from asr.common.processes import each_of_blocks, without_garbage_collection
from asr.common.progress import Progress
from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.decoding.setup import GREEDY
from asr.inference.recognizer import Recognizer, load
from asr.report.data_files import short_hash, write_data
from asr.report.error_analysis import (
    Alignment,
    Confusion,
    ReferenceWords,
    WordClass,
    align,
    by_word_class,
    classify,
    most_frequent,
    with_fields,
)
from asr.report.runs import ODD, Evaluation, Run, corpus_words
from asr.report.subgroups import field_names, grouped
from asr.report.utterance_media import AudioChoice, Clip, log_mel_picture, make_clips, model_output
from asr.scoring.bootstrap import differences, resampled_rates
from asr.scoring.error_rates import UtteranceScore
from asr.scoring.error_unit import ErrorUnit

log = logging.getLogger(__name__)

CONFUSIONS = 100
MUCH_TEXT = 20e6
"""Bytes of hypotheses from which on they are aligned in several processes, which take seconds to start."""
MOST_TESTED = 100
"""Evaluations of the same utterances that are tested in pairs, those with the lowest error rates: 4,950 pairs."""
FIGURES = (
    "utterances", "words", "characters", "wer", "wer_low", "wer_high", "cer", "cer_low", "cer_high", "substitutions",
    "deletions", "insertions", "ser", "seed", "parameters", "train_seconds", "real_time_factor", "hardware", "command",
    "commit",
)  # fmt: skip


@dataclass(frozen=True)
class SplitPage:
    """The utterances of a split, which several evaluations share."""

    name: str
    utterances: Mapping[str, Utterance]
    """Those of the manifest, by id; none where there is no manifest."""
    clips: Mapping[str, Clip]


class EvaluationPages:
    """Writes the data of evaluations; unchanged files of an earlier build are kept.

    Args:
        report: The folder of the report.
        audio: How the audio is included.
        pictures: Utterances that get a picture, divided among the evaluations.
    """

    def __init__(self, report: Path, audio: AudioChoice, pictures: int) -> None:
        self.report, self.audio, self.pictures = report, audio, pictures
        self._splits: dict[str, SplitPage] = {}
        self._clips: dict[str, Mapping[str, Clip]] = {}
        self._written: dict[str, tuple[dict[str, Any], Alignment]] = {}
        self._pairs: dict[str, list[dict[str, Any]]] = {}
        self._words: dict[Any, ReferenceWords] = {}

    def write(self, runs: Sequence[Run], data: Path | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Writes what is missing.

        Args:
            runs: All runs of the report.
            data: Replaces `paths.data` of the runs.

        Returns:
            The evaluations without their utterances, and the tests of pairs on the same utterances.
        """
        shown, alignments = [], {}
        share = math.ceil(self.pictures / max(1, sum(len(run.evaluations) for run in runs)))
        wanted = [
            (number, run, evaluation, f"evaluation-{short_hash(evaluation.stamp)}")
            for number, run in enumerate(runs)
            for evaluation in run.evaluations
            if _has_texts(evaluation)
        ]
        aligned = _align_each([evaluation for _, _, evaluation, file in wanted if file not in self._written])
        for number, run, evaluation, file in wanted:
            if file not in self._written:
                try:
                    alignment = next(aligned)
                    if isinstance(alignment, str):
                        raise RunError(alignment)
                    self._written[file] = self._write_evaluation(run, evaluation, alignment, file, data, share)
                except UserError as error:
                    log.warning("An evaluation is left out: %s", error)
                    continue
                except ODD as error:
                    log.warning("An evaluation is left out: %s", _odd(evaluation, error))
                    continue
            described, alignments[file] = self._written[file]
            reliability = run.reliability(evaluation.split) if evaluation.decoder == GREEDY else None
            shown.append({"run": number, "file": file, "reliability": reliability, **described})
        return shown, self._compare(shown, alignments)

    def _write_evaluation(
        self, run: Run, evaluation: Evaluation, alignment: Alignment, file: str, data: Path | None, pictures: int
    ) -> tuple[dict[str, Any], Alignment]:
        split = self._split(run, evaluation, alignment, data)
        alignment, words = with_fields(alignment, split.utterances), self._words_of(run, data, split, alignment)
        levels = {id: clip.level for id, clip in split.clips.items() if clip.level is not None}
        blanks = self._write_pictures(run, alignment, split, file, pictures)
        if nbest := evaluation.nbest():
            write_data(self.report, f"{file}-nbest", [nbest.get(score.id) for score in alignment.scores])
        write_data(
            self.report,
            file,
            {
                # A correct hypothesis is its reference.
                "hypothesis": [score.hypothesis if score.errors else None for score in alignment.scores],
                "steps": alignment.steps,
                "character_errors": [score.character_errors for score in alignment.scores],
                "confidence": _known([score.confidence for score in alignment.scores]),
                "loss": _known([score.ctc_loss_per_token for score in alignment.scores]),
                "pictured": sorted(blanks),
                "groups": _described_groups(alignment, levels),
                "word_classes": _placed(by_word_class(alignment, words)),
                "confusions": {
                    name: _placed(most_frequent(found, CONFUSIONS))
                    for name, found in (("words", alignment.words), ("characters", alignment.characters))
                },
            },
        )
        described = {
            "split": evaluation.split,
            "decoder": evaluation.decoder,
            "recipe": run.recipe,
            "unit": evaluation.unit,
            **{figure: evaluation.results.get(figure) for figure in FIGURES},
            "utterances_file": split.name,
            "has_model": run.model is not None,
            "nbest": bool(nbest),
            "blank_share": fmean(blanks.values()) if blanks else None,
        }
        return described, alignment

    def _words_of(self, run: Run, data: Path | None, split: SplitPage, alignment: Alignment) -> ReferenceWords:
        key = split.name, run.data(data), run.settings.get("text.language")
        if key not in self._words:
            known = corpus_words(run, data)
            references = [score.reference for score in alignment.scores]
            self._words[key] = classify(references, known.classes, known.vocabulary)
        return self._words[key]

    def _split(self, run: Run, evaluation: Evaluation, alignment: Alignment, data: Path | None) -> SplitPage:
        """The page of an evaluation's utterances, written with the first evaluation of them."""
        folder = run.data(data)
        described = [f"{score.id}\t{score.reference}" for score in alignment.scores]
        name = f"utterances-{short_hash(run.recipe, evaluation.split, *described)}"
        if name in self._splits:
            return self._splits[name]
        utterances: dict[str, Utterance] = {}
        path = folder / f"{evaluation.split}.jsonl" if folder and evaluation.split in SPLITS else None
        if path is not None and path.is_file():
            known = {utterance.id: utterance for utterance in read_manifest(path)}
            utterances = {score.id: known[score.id] for score in alignment.scores if score.id in known}
        else:
            log.warning(
                "No manifest of %s for %s: no audio and no pictures; give paths.data by --data.",
                evaluation.split,
                run.folder,
            )
        clips = self._clips_of(evaluation.split, path, utterances)
        alignment = with_fields(alignment, utterances)
        told = [dict(score.fields) for score in alignment.scores]
        played = [clips.get(score.id, Clip(None, None)) for score in alignment.scores]
        write_data(
            self.report,
            name,
            {
                "id": [score.id for score in alignment.scores],
                "speaker": [score.speaker for score in alignment.scores],
                "seconds": [round(score.duration, 3) for score in alignment.scores],
                "reference": [score.reference for score in alignment.scores],
                "level": [clip.level for clip in played],
                "fields": {name: [one.get(name) for one in told] for name in field_names(alignment.scores)},
                "audio": [clip.source for clip in played],
                "format": {
                    score.id: utterances[score.id].audio_filepath.suffix
                    for score in alignment.scores
                    if score.id in utterances and clips[score.id].source is None
                }
                if self.audio is AudioChoice.link
                else {},
            },
        )
        self._splits[name] = SplitPage(name, utterances, clips)
        return self._splits[name]

    def _clips_of(self, split: str, manifest: Path | None, utterances: Mapping[str, Utterance]) -> Mapping[str, Clip]:
        """The audio of a split, which is there once for raw and normalized references."""
        key = short_hash(split, str(manifest), *utterances)
        if key not in self._clips:
            listed = list(utterances.values())
            self._clips[key] = make_clips(listed, self.audio, self.report, f"audio/{split}-{key}") if listed else {}
        return self._clips[key]

    def _write_pictures(
        self, run: Run, alignment: Alignment, split: SplitPage, file: str, count: int
    ) -> dict[int, float]:
        """Pictures of the utterances with the most errors; gives the blank share of each, by its position."""
        worst = sorted(alignment.scores, key=lambda score: (-score.errors, -score.rate, score.id))
        wanted = [score.id for score in worst[:count] if score.id in split.utterances]
        if not wanted or run.model is None:
            return {}
        try:
            recognizer = load(run.model)
        except UserError as error:
            log.warning("No pictures for %s: %s", run.name, error)
            return {}
        places = {score.id: place for place, score in enumerate(alignment.scores)}
        blanks = {}
        with Progress(f"Drawing {run.name}", len(wanted), "utterances") as progress:
            for id in wanted:
                fits = split.utterances[id].sampling_rate == recognizer.config.data.sampling_rate
                if fits and split.clips[id].level is not None:
                    blanks[places[id]] = self._draw(recognizer, split, alignment.scores[places[id]], places[id], file)
                progress.advance()
        return blanks

    def _draw(self, recognizer: Recognizer, split: SplitPage, score: UtteranceScore, place: int, file: str) -> float:
        utterance = split.utterances[score.id]
        waveform = read_waveform(utterance)
        picture = f"{split.name}-{place}"
        if not (self.report / "data" / f"{picture}.js").exists():
            write_data(self.report, picture, log_mel_picture(waveform, utterance.sampling_rate))
        output = model_output(recognizer, waveform, score.reference, score.hypothesis)
        write_data(self.report, f"{file}-{place}", asdict(output))
        return output.blank_share

    def _compare(self, shown: Sequence[Mapping[str, Any]], alignments: Mapping[str, Alignment]) -> list[dict[str, Any]]:
        """Tests the pairs of evaluations of the same utterances, in the same unit."""
        same: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
        for evaluation in shown:
            same[evaluation["utterances_file"], evaluation["unit"]].append(evaluation)
        pairs = []
        for evaluations in same.values():
            if len(evaluations) > MOST_TESTED:
                log.info(
                    "Of %d evaluations of the same utterances of %s, the %d with the lowest error rates are tested in "
                    "pairs.",
                    len(evaluations),
                    evaluations[0]["split"],
                    MOST_TESTED,
                )
            best = sorted(evaluations, key=lambda one: float(one[ErrorUnit(one["unit"]).rate]))[:MOST_TESTED]
            tested = {one["file"] for one in best}
            files = [one["file"] for one in evaluations if one["file"] in tested]
            key = short_hash(*files)
            if key not in self._pairs:
                self._pairs[key] = _tested({file: alignments[file] for file in files})
            pairs += self._pairs[key]
        return pairs


def _has_texts(evaluation: Evaluation) -> bool:
    if not evaluation.unit.of_text:
        log.info("%s has no texts, so the page does not show its recordings.", evaluation.folder)
    return evaluation.unit.of_text


def _align_each(evaluations: Sequence[Evaluation]) -> Iterator[Alignment | str]:
    """As `_aligned`; of much text in one process per core, while those that are aligned are written."""
    files = [evaluation.folder / "hypotheses.jsonl" for evaluation in evaluations]
    size = sum(path.stat().st_size for path in files if path.is_file())
    block = 1 if size > MUCH_TEXT else max(1, len(evaluations))
    return each_of_blocks(_aligned, evaluations, block, "Aligning", "evaluations")


def _aligned(evaluations: Sequence[Evaluation]) -> list[Alignment | str]:
    """Each evaluation, aligned; or why it cannot be."""
    found: list[Alignment | str] = []
    for evaluation in evaluations:
        try:
            with without_garbage_collection():
                found.append(align(evaluation.rows(), evaluation.unit))
        except UserError as error:
            found.append(str(error))
        except ODD as error:
            found.append(_odd(evaluation, error))
    return found


def _odd(evaluation: Evaluation, error: Exception) -> str:
    return f"{evaluation.folder} is not as it was written ({error!r})."


def _placed(found: Sequence[Confusion | WordClass]) -> list[dict[str, Any]]:
    return [
        {field.name: getattr(one, field.name) for field in fields(one)} | {"places": _distances(one.places)}
        for one in found
    ]


def _distances(places: Sequence[int]) -> list[int]:
    """Ascending positions as the distance of each to the one before, which takes half of the space."""
    return [place - before for before, place in zip((0, *places), places, strict=False)]


def _known(figures: list[float | None]) -> list[float | None] | None:
    """The figures of all utterances, None where none has one."""
    return figures if any(figure is not None for figure in figures) else None


def _described_groups(alignment: Alignment, levels: Mapping[str, float]) -> dict[str, list[dict[str, Any]]]:
    """The subgroups by their measure, with the positions of their utterances."""
    places = {score.id: place for place, score in enumerate(alignment.scores)}
    return {
        measure: [group.described() | {"places": _distances([places[id] for id in group.ids])} for group in groups]
        for measure, groups in grouped(alignment.scores, levels).items()
    }


def _tested(alignments: Mapping[str, Alignment]) -> list[dict[str, Any]]:
    if len(alignments) < 2:
        return []
    models = {file: [alignment.scores] for file, alignment in alignments.items()}
    return [asdict(difference) for difference in differences(models, resampled_rates(models))]
