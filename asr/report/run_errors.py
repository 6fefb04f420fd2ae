"""The errors of one evaluation, for `asr errors`: as text and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from asr.common.errors import ConfigError, RunError, asr_command
from asr.common.tables import table
from asr.data.manifest import read_manifest
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.report.error_analysis import (
    NOTHING,
    Alignment,
    Confusion,
    WordClass,
    align,
    by_word_class,
    classify,
    most_frequent,
    with_fields,
)
from asr.report.overview import best_run, chosen, readable_runs
from asr.report.runs import ODD, Evaluation, Run, corpus_words, find_runs
from asr.report.subgroups import SNR, Group, grouped, speaking_rate
from asr.report.utterance_media import AudioChoice, make_clips
from asr.scoring.aligned_errors import NO_WORD, aligned, worst
from asr.scoring.bootstrap import shown_interval
from asr.scoring.error_rates import UtteranceScore, total

SHOWN_SPEAKERS = 20
NO_INTERVAL = "no interval can be given, since no utterance differs from another"
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
    classes: list[WordClass]


def examine_run(
    path: Path, split: str, decoder: str | None, data: Path | None, read_audio: bool, by: str | None = None
) -> RunErrors:
    """Analyses an evaluation of a run.

    Args:
        path: The run's folder.
        split: Which split.
        decoder: Which decoder; None takes greedy search where there are several.
        data: Replaces `paths.data` of the run.
        read_audio: Read the audio, for the error rates by estimated SNR.
        by: The only measure of subgroups that is wanted, such as a field of the manifest, or two: `sex,device`.

    Raises:
        RunError: There is no such run or evaluation.
        ConfigError: Its utterances have no such field.
    """
    runs = find_runs([path])
    if len(runs) > 1:
        example = f"{path}/best" if best_run(readable_runs(runs)) else str(runs[0].folder)
        raise RunError(f"{path} has {len(runs)} runs: name one, as in {asr_command('errors', example)}.")
    (run,) = runs
    evaluation = _choose(run, split, decoder)
    rows = evaluation.rows()
    try:
        utterances = _utterances(run, split, data)
        alignment = with_fields(align(rows, evaluation.unit), {one.id: one for one in utterances})
        wants_audio = read_audio and by in (None, SNR)
        clips = make_clips(utterances, AudioChoice.none, Path(), "") if wants_audio and utterances else {}
        levels = {id: clip.level for id, clip in clips.items() if clip.level is not None}
        words = corpus_words(run, data)
        references = [score.reference for score in alignment.scores]
        classes = by_word_class(alignment, classify(references, words.classes, words.vocabulary))
    except ODD as error:
        raise RunError(f"{evaluation.folder} is not as it was written ({error!r}): evaluate again.") from None
    groups = grouped(alignment.scores, levels)
    return RunErrors(run, evaluation, alignment, groups if by is None else _only(groups, by), levels, classes)


def _only(groups: Mapping[str, list[Group]], by: str) -> dict[str, list[Group]]:
    """The subgroups of a measure, whose fields may stand in any order."""
    wanted = sorted(part.strip() for part in by.split(","))
    for measure, found in groups.items():
        if found and sorted(measure.split(", ")) == wanted:
            return {measure: found}
    known = ", ".join(measure for measure, found in groups.items() if found and ", " not in measure)
    raise ConfigError(f"--by is {by}, and the utterances are told apart by {known}: give one of them, or two fields.")


def _choose(run: Run, split: str, decoder: str | None) -> Evaluation:
    found = [evaluation for evaluation in run.evaluations if evaluation.split == split]
    if not found:
        known = ", ".join(sorted({evaluation.split for evaluation in run.evaluations}))
        raise RunError(
            f"{run.folder} has no evaluation of {split}{f', only of {known}' if known else ''}: run "
            f"{asr_command('evaluate', run.folder, f'evaluation.splits=[{split}]')}."
        )
    named = chosen(found, decoder)
    if named is None:
        names = ", ".join(evaluation.decoder for evaluation in found)
        raise RunError(f"{run.folder} has no evaluation of {split} with {decoder}, only with {names}: give --decoder.")
    return named


def _utterances(run: Run, split: str, data: Path | None) -> Sequence[Utterance]:
    folder = run.data(data)
    if folder is None or split not in SPLITS or not (folder / f"{split}.jsonl").is_file():
        return []
    return read_manifest(folder / f"{split}.jsonl")


def as_json(errors: RunErrors, pairs: int) -> str:
    """Everything as a JSON object; rates are fractions."""
    content = {
        "run": str(errors.run.folder),
        "split": errors.evaluation.split,
        "decoder": errors.evaluation.decoder,
        "results": dict(errors.evaluation.results),
        "groups": {name: [group.described() for group in groups] for name, groups in errors.groups.items()},
        "word_classes": [{k: v for k, v in asdict(one).items() if k != "places"} for one in errors.classes],
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
                "fields": dict(score.fields),
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


def as_subgroups(errors: RunErrors) -> str:
    """The error rates by the measure that was asked for, for a terminal."""
    return "\n\n".join([_heading(errors), *(_group_table(name, groups) for name, groups in errors.groups.items())])


def _heading(errors: RunErrors) -> str:
    return f"{errors.run.recipe} {errors.run.name}, {errors.evaluation.split}, {errors.evaluation.decoder} decoder"


def as_text(errors: RunErrors, worst_count: int, pairs: int) -> str:
    """Error rates, subgroups, top confusions and the worst utterances, for a terminal."""
    results, scores = errors.evaluation.results, errors.alignment.scores
    score, unit, other = total(scores), errors.evaluation.unit, errors.evaluation.unit.other
    low, high = (results[f"{unit.rate}{end}"] for end in ("_low", "_high"))
    interval = NO_INTERVAL if low == high else f"{shown_interval(low, high)} %"
    wrong = sum(score.errors > 0 for score in scores)
    parts = [
        _heading(errors),
        f"{unit.label} {_percent(results[unit.rate])} ({interval}), {other.label} {_percent(results[other.rate])}: "
        f"{score.substitutions} substitutions, {score.deletions} deletions, "
        f"{score.insertions} insertions in {score.size} {unit}s; {wrong} of {score.utterances} utterances have errors.",
        *(_group_table(name, groups) for name, groups in errors.groups.items() if len(groups) > 1),
        _class_table(errors.classes),
        _pair_table("words", most_frequent(errors.alignment.words, pairs)),
        _pair_table("characters", most_frequent(errors.alignment.characters, pairs)),
        *(_aligned(score) for score in worst(scores, worst_count) if score.errors),
    ]
    return "\n\n".join(part for part in parts if part)


def as_tables(errors: RunErrors, pairs: int, by: str | None) -> str:
    """The tables alone, in the chosen format: subgroups, classes of words, top confusions; or one measure."""
    unit = errors.evaluation.unit
    heads = [f"{unit.label} %", "95 % interval", "errors", f"{unit}s", "utterances"]
    tables = [
        table(
            [name, *heads],
            [
                [
                    group.label,
                    _figure(group.rate),
                    "" if group.interval is None else shown_interval(*group.interval),
                    group.score.errors,
                    group.score.size,
                    group.score.utterances,
                ]
                for group in groups
            ],
            "lrlr",
            f"{unit.label} by {name}",
        )
        for name, groups in errors.groups.items()
    ]
    if by is not None:
        return "\n\n".join(tables)
    if errors.classes:
        rows = [[one.label, _figure(one.wer), one.errors, one.words] for one in errors.classes]
        tables.append(table(["class of words", "wrong %", "errors", "words"], rows, title="Classes of words"))
    for name, found in (("words", errors.alignment.words), ("characters", errors.alignment.characters)):
        rows = [[_shown(one.reference), _shown(one.hypothesis), one.count] for one in most_frequent(found, pairs)]
        tables.append(table(["reference", "hypothesis", "count"], rows, "llr", f"Top confusions of {name}"))
    return "\n\n".join(tables)


def _figure(share: float) -> str:
    return f"{100 * share:.2f}"


def _group_table(name: str, groups: Sequence[Group]) -> str:
    shown, unit = groups[:SHOWN_SPEAKERS], groups[0].score.unit
    width = max(len(group.label) for group in shown)
    more = f", the worst {len(shown)} of {len(groups)}" if len(groups) > len(shown) else ""
    intervals = [_interval(group) for group in shown]
    wide = max(map(len, intervals))
    lines = [
        f"  {group.label:<{width}}  {_percent(group.rate):>8}  {interval:<{wide}}{group.score.errors:>5} errors in "
        f"{group.score.size:>5} {unit}s, {group.score.utterances} utterances"
        for group, interval in zip(shown, intervals, strict=True)
    ]
    return "\n".join([f"{unit.label} by {name}{more}", *lines])


def _interval(group: Group) -> str:
    return "" if group.interval is None else f"({shown_interval(*group.interval)})  "


def _class_table(classes: Sequence[WordClass]) -> str:
    if len(classes) < 2:
        return ""
    width = max(len(one.label) for one in classes)
    lines = [
        f"  {one.label:<{width}}  {_percent(one.wer):>8}  {one.errors:>5} of {one.words:>5} words" for one in classes
    ]
    return "\n".join(["Substituted and deleted words by class of words", *lines])


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
