"""What a comparison found, in plain language: nothing is claimed that the figures do not show."""

from asr.comparison.summary import Comparison, ModelSummary
from asr.scoring.paired import Difference


def findings(comparison: Comparison) -> list[str]:
    """A sentence on each pair of models, then on speed, size and what remains open."""
    sentences = [_pair(pair, len(comparison.pairs)) for pair in sorted(comparison.pairs, key=lambda pair: pair.p)]
    sentences += [*_long_utterances(comparison), *_cost(comparison), *_limits(comparison)]
    return sentences


def _pair(pair: Difference, pairs: int) -> str:
    corrected = f", {_p(pair.p_corrected)} after correcting for {pairs} pairs" if pairs > 1 else ""
    interval = f"{_points(pair.low)} to {_points(pair.high)}"
    if pair.shown:
        better, worse = (pair.first, pair.second) if pair.mean < 0 else (pair.second, pair.first)
        low, high = sorted((abs(pair.low), abs(pair.high)))
        return (
            f"{better} beats {worse} by {100 * abs(pair.mean):.2f} points of WER "
            f"(95 % interval {100 * low:.2f} to {100 * high:.2f}; {_p(pair.p)}{corrected})."
        )
    return (
        f"No difference between {pair.first} and {pair.second} could be shown: {pair.first} - {pair.second} is "
        f"{_points(pair.mean)} points of WER, with a 95 % interval from {interval} ({_p(pair.p)}{corrected})."
    )


def _long_utterances(comparison: Comparison) -> list[str]:
    if len(comparison.lengths) < 2 or len(comparison.models) < 2:
        return []
    shortest, longest = comparison.lengths[0], comparison.lengths[-1]
    best_short = min(comparison.models, key=lambda model: model.by_length[0].mean)
    best_long = min(comparison.models, key=lambda model: model.by_length[-1].mean)
    return [
        f"On the shortest utterances (up to {shortest.longest:.1f} s, {shortest.words} words) {best_short.label} has "
        f"the lowest WER, {_rate(best_short.by_length[0].mean)}; on the longest (from {longest.shortest:.1f} s, "
        f"{longest.words} words) {best_long.label} has it, {_rate(best_long.by_length[-1].mean)}. These are the lowest "
        "of several figures, and no test of them was made."
    ]


def _cost(comparison: Comparison) -> list[str]:
    models = comparison.models
    if len(models) < 2:
        return []
    fastest = max(models, key=lambda model: model.audio_hours_per_hour.mean)
    slowest = min(models, key=lambda model: model.audio_hours_per_hour.mean)
    speeds = [model.audio_hours_per_hour.mean for model in (fastest, slowest)]
    sentences = [
        f"{fastest.label} trains fastest, {speeds[0]:.0f} hours of audio an hour, {speeds[0] / speeds[1]:.1f} times as "
        f"fast as {slowest.label} ({speeds[1]:.0f})."
    ]
    timed = [(model.seconds_to_dev_wer.mean, model) for model in models if model.seconds_to_dev_wer is not None]
    if timed:
        seconds, first = min(timed, key=lambda pair: pair[0])
        sentences.append(
            f"{first.label} reaches a dev WER of {_rate(comparison.dev_wer)} first, after {seconds:.0f} s of training "
            f"({', '.join(f'{model.label} {taken:.0f} s' for taken, model in timed if model is not first) or 'alone'})."
        )
    return sentences


def _limits(comparison: Comparison) -> list[str]:
    sentences = []
    single = [model.label for model in comparison.models if len(model.runs) == 1]
    if single:
        sentences.append(
            f"Of {_listed(single)} there is one training only: the intervals leave out how much another seed changes."
        )
    if comparison.speakers < 2:
        sentences.append("The test split has no several speakers: the intervals say nothing of other speakers.")
    elif comparison.speakers < 20:
        sentences.append(
            f"The test split has {comparison.speakers} speakers: with so few, 95 % intervals come out somewhat narrow."
        )
    if comparison.failed:
        sentences.append(f"Missing, since they failed: {'; '.join(comparison.failed)}.")
    return sentences


def size_of(model: ModelSummary) -> str:
    """The layers of a model, as in "3 x 256 lstm"."""
    return f"{model.layers} x {model.hidden} {'-'.join(model.cells)}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _rate(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f}"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
