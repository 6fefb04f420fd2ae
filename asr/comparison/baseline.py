"""Runs against a baseline: by how many points they are better or worse, and whether that is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.common.errors import ConfigError, RunError
from asr.common.tables import TableFormat, chosen_format, table
from asr.comparison.measured_runs import read_scores
from asr.decoding.setup import GREEDY
from asr.report.runs import Run
from asr.scoring.bootstrap import Difference, Estimate, differences, estimate, resampled_rates, shown_interval
from asr.scoring.error_rates import UtteranceScore
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.results import Results, evaluation_folder, read_results


@dataclass(frozen=True)
class Judged:
    """A model and the baseline."""

    label: str
    seeds: list[int]
    rate: Estimate
    difference: Difference | None
    """Its error rate less that of the baseline; None for the baseline itself."""

    def is_worse(self, points: float) -> bool:
        """Whether it is worse by more than that many points, and significantly so."""
        return self.difference is not None and self.difference.shown and 100 * self.difference.mean > points

    @property
    def sentence(self) -> str:
        """By how much it is better or worse."""
        found = self.difference
        if found is None:
            return f"{self.label} is the baseline."
        side = "worse" if found.mean > 0 else "better"
        sure = "significant" if found.shown else "not significant: chance makes differences this large"
        return (
            f"{self.label} is {abs(100 * found.mean):.2f} points {side} than the baseline (95 % interval "
            f"{_points(found.low)} to {_points(found.high)}, p {found.p_corrected:.2g}), {sure}."
        )


@dataclass(frozen=True)
class Judgement:
    """Models against a baseline, which is the first."""

    split: str
    unit: ErrorUnit
    models: list[Judged]

    def worse(self, points: float) -> list[Judged]:
        """The models that are worse by more than that many points, and significantly so."""
        return [model for model in self.models if model.is_worse(points)]

    def text(self) -> str:
        """A table and a sentence for each model, for a terminal."""
        label = self.unit.label
        headings = ("model", "seeds", f"{label} %", "95 % interval", "points", "95 % interval", "p")
        rows = table(
            headings,
            [_row(model) for model in self.models],
            align="llrlrlr",
            title=f"{self.split} {label} against the baseline",
        )
        if chosen_format() is not TableFormat.text:
            return rows
        return "\n".join([rows, *(one.sentence for one in self.models[1:])])


@dataclass(frozen=True)
class _Evaluated:
    run: Run
    results: Results
    scores: list[UtteranceScore]


def against_baseline(baseline: Path, runs: Sequence[Path], split: str, decoder: str | None) -> Judgement:
    """Tests runs against a baseline, paired by utterance; runs that differ in the seed only are one model.

    The p-values are corrected for the number of models (Holm).

    Args:
        baseline: Its run folder.
        runs: Other run folders.
        split: The split whose evaluations are compared.
        decoder: Their decoder; None is greedy search.

    Raises:
        RunError: A run has no such evaluation, or they are of other utterances or in other units.
        ConfigError: A run is the baseline.
    """
    if repeated := [path for path in runs if path.resolve() == baseline.resolve()]:
        raise ConfigError(f"{repeated[0]} is the baseline itself: give another run.")
    first = _read(baseline, split, decoder)
    groups: dict[str, list[_Evaluated]] = {}
    for one in (_read(path, split, decoder) for path in dict.fromkeys(runs)):
        groups.setdefault(_model(one), []).append(one)
    members = [[first], *groups.values()]
    unit = first.results.unit
    if odd := [one for group in members for one in group if one.results.unit is not unit]:
        raise RunError(
            f"Errors are counted in {unit}s ({baseline.name}) and in {odd[0].results.unit}s ({odd[0].run.name}): "
            "evaluate both with the same scoring.unit."
        )
    if len(rules := {one.results.decoder for group in members for one in group}) > 1:
        raise RunError(
            f"The runs were scored by several rules ({', '.join(sorted(rules))}): evaluate all with the same "
            "scoring.normalizer."
        )
    labels = _labels(members)
    scores = {label: [one.scores for one in group] for label, group in zip(labels, members, strict=True)}
    drawn = resampled_rates(scores)
    tested = {one.first: one for one in differences(scores, drawn, against=labels[0])}
    models = []
    for label, group in zip(labels, members, strict=True):
        seeds = sorted(one.results.seed for one in group)
        models.append(Judged(label, seeds, estimate(scores[label], drawn[label]), tested.get(label)))
    return Judgement(split, unit, models)


def _read(path: Path, split: str, decoder: str | None) -> _Evaluated:
    folder = evaluation_folder(path, split, decoder or GREEDY)
    raw = read_results(folder)
    scores = read_scores(folder, raw.unit, normalized=raw.normalized is not None)
    return _Evaluated(Run(path.absolute()), raw.of_normalized, scores)


def _model(one: _Evaluated) -> str:
    """What a model is: its settings without the seed, and the code that trained it."""
    return f"{one.run.model_key} {one.results.commit}"


def _labels(members: Sequence[Sequence[_Evaluated]]) -> list[str]:
    """The shortest ends of the folders' paths that tell the models apart, each by its first run."""
    paths = [group[0].run.folder for group in members]
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _row(model: Judged) -> tuple[str, ...]:
    rate, found = model.rate, model.difference
    spread = "" if rate.deviation is None else f" ± {100 * rate.deviation:.2f}"
    shown = ("baseline", "", "") if found is None else (
        _points(found.mean), f"{_points(found.low)} to {_points(found.high)}", f"{found.p_corrected:.2g}",
    )  # fmt: skip
    return (
        model.label,
        ", ".join(map(str, model.seeds)),
        f"{100 * rate.mean:.2f}{spread}",
        shown_interval(rate.low, rate.high),
        *shown,
    )


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"
