"""The errors of one evaluation, for `asr errors`: as text and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.common.errors import RunError, asr_command
from asr.data.manifest import read_manifest
from asr.data.splits import SPLITS
from asr.report.error_analysis import NOTHING, Alignment, Confusion, Group, align, grouped, most_frequent, speaking_rate
from asr.report.overview import best_run, chosen, readable_runs
from asr.report.runs import ODD, Evaluation, Run, find_runs
from asr.report.utterance_media import AudioChoice, make_clips
from asr.scoring.error_rates import UtteranceScore, total
from asr.scoring.results import NO_WORD, aligned, worst

SHOWN_SPEAKERS = 20
COUNTS = ("substitutions", "deletions", "insertions", "wer", "cer", "ctc_loss_per_token", "confidence")
"""What the JSON tells of the errors of each utterance."""


@dataclass(frozen=True)
class RunErrors:
    """An evaluation of a run, analysed."""

    run: Run
    evaluation: Evaluation
    alignment: Alignment
    groups: dict[str, list[Group]]
    levels: dict[str, float]
    """Estimated SNR (dB), by id."""


def examine_run(path: Path, split: str, decoder: str | None, data: Path | None, read_audio: bool) -> RunErrors:
    """Analyses an evaluation of a run.

    Args:
        path: The run's folder.
        split: Which split.
        decoder: Which decoder; None takes greedy search where there are several.
        data: Replaces `paths.data` of the run.
        read_audio: Read the audio, for the error rates by estimated SNR.

    Raises:
        RunError: There is no such run or evaluation.
    """
    runs = find_runs([path])
    if len(runs) > 1:
        example = f"{path}/best" if best_run(readable_runs(runs)) else str(runs[0].folder)
        raise RunError(f"{path} has {len(runs)} runs: name one, as in {asr_command('errors', example)}.")
    (run,) = runs
    evaluation = _choose(run, split, decoder)
    rows = evaluation.rows()
    try:
        alignment = align(rows, evaluation.unit)
        levels = _levels(run, split, data) if read_audio else {}
    except ODD as error:
        raise RunError(f"{evaluation.folder} is not as it was written ({error!r}): evaluate again.") from None
    return RunErrors(run, evaluation, alignment, grouped(alignment.scores, levels), levels)


def _choose(run: Run, split: str, decoder: str | None) -> Evaluation:
    found = [evaluation for evaluation in run.evaluations if evaluation.split == split]
    if not found:
        known = ", ".join(sorted({evaluation.split for evaluation in run.evaluations}))
        raise RunError(
            f"{run.folder} has no evaluation of {split}{f', only of {known}' if known else ''}: run "
            f"{asr_command('evaluate', run.folder)}."
        )
    named = chosen(found, decoder)
    if named is None:
        names = ", ".join(evaluation.decoder for evaluation in found)
        raise RunError(f"{run.folder} has no evaluation of {split} with {decoder}, only with {names}: give --decoder.")
    return named


def _levels(run: Run, split: str, data: Path | None) -> dict[str, float]:
    folder = run.data(data)
    if folder is None or split not in SPLITS or not (folder / f"{split}.jsonl").is_file():
        return {}
    clips = make_clips(read_manifest(folder / f"{split}.jsonl"), AudioChoice.none, Path(), "")
    return {id: clip.level for id, clip in clips.items() if clip.level is not None}


def as_json(errors: RunErrors, pairs: int) -> str:
    """Everything as a JSON object; rates are fractions."""
    content = {
        "run": str(errors.run.folder),
        "split": errors.evaluation.split,
        "decoder": errors.evaluation.decoder,
        "results": dict(errors.evaluation.results),
        "groups": {name: [group.described() for group in groups] for name, groups in errors.groups.items()},
        "confusions": {
            name: [
                {"reference": pair.reference, "hypothesis": pair.hypothesis, "count": pair.count}
                for pair in most_frequent(found, pairs)
            ]
            for name, found in (("words", errors.alignment.words), ("characters", errors.alignment.characters))
        },
        "utterances": [
            {
                **{name: getattr(score, name) for name in ("id", "speaker", "duration")},
                f"{score.unit}s_per_second": speaking_rate(score),
                "speech_above_background_db": errors.levels.get(score.id),
                "reference": score.reference,
                "hypothesis": score.hypothesis,
                "steps": steps,
                **{name: getattr(score, name) for name in COUNTS},
            }
            for score, steps in zip(errors.alignment.scores, errors.alignment.steps, strict=True)
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def as_text(errors: RunErrors, worst_count: int, pairs: int) -> str:
    """Error rates, subgroups, top confusions and the worst utterances, for a terminal."""
    results, scores = errors.evaluation.results, errors.alignment.scores
    score, unit, other = total(scores), errors.evaluation.unit, errors.evaluation.unit.other
    rate, low, high = (_percent(results[f"{unit.rate}{end}"]) for end in ("", "_low", "_high"))
    wrong = sum(score.errors > 0 for score in scores)
    parts = [
        f"{errors.run.recipe} {errors.run.name}, {errors.evaluation.split}, {errors.evaluation.decoder} decoder",
        f"{unit.label} {rate} ({low} - {high}), {other.label} {_percent(results[other.rate])}: "
        f"{score.substitutions} substitutions, {score.deletions} deletions, "
        f"{score.insertions} insertions in {score.size} {unit}s; {wrong} of {score.utterances} utterances have errors.",
        *(_group_table(name, groups) for name, groups in errors.groups.items() if len(groups) > 1),
        _pair_table("words", most_frequent(errors.alignment.words, pairs)),
        _pair_table("characters", most_frequent(errors.alignment.characters, pairs)),
        *(_aligned(score) for score in worst(scores, worst_count) if score.errors),
    ]
    return "\n\n".join(part for part in parts if part)


def _group_table(name: str, groups: Sequence[Group]) -> str:
    shown, unit = groups[:SHOWN_SPEAKERS], groups[0].score.unit
    width = max(len(group.label) for group in shown)
    more = f", the worst {len(shown)} of {len(groups)}" if len(groups) > len(shown) else ""
    lines = [
        f"  {group.label:<{width}}  {_percent(group.rate):>8}  {group.score.errors:>5} errors in "
        f"{group.score.size:>5} {unit}s, {group.score.utterances} utterances"
        for group in shown
    ]
    return "\n".join([f"{unit.label} by {name}{more}", *lines])


def _pair_table(name: str, pairs: Sequence[Confusion]) -> str:
    if not pairs:
        return ""
    lines = [f"  {pair.count:>5}  {_shown(pair.reference)} -> {_shown(pair.hypothesis)}" for pair in pairs]
    return "\n".join([f"Top confusions of {name} (reference -> hypothesis, {NO_WORD} is nothing)", *lines])


def _shown(item: str) -> str:
    return NO_WORD if item == NOTHING else "(space)" if item == " " else item


def _aligned(score: UtteranceScore) -> str:
    speaker = f", speaker {score.speaker}" if score.speaker else ""
    heading = f"{score.id}{speaker}, {score.duration:.1f} s, {score.unit.label} {_percent(score.rate)}"
    return f"{heading}\n{aligned(score).rstrip()}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
