"""What the figures of a comparison show, in sentences."""

from collections.abc import Sequence

from asr.comparison.summary import Comparison, shown_size
from asr.scoring.bootstrap import Difference


def findings(comparison: Comparison) -> list[str]:
    """A sentence on each pair of models, then on utterance length, cost and limits of the comparison."""
    rate, count = comparison.unit.label, len(comparison.pairs)
    pairs = [_pair(pair, count, rate) for pair in sorted(comparison.pairs, key=lambda pair: pair.p)]
    return [*pairs, *_long_utterances(comparison), *_cost(comparison), *_limits(comparison)]


def _pair(pair: Difference, pairs: int, rate: str) -> str:
    tested = f"p {p_value(pair.p, '= ')}" + (
        f", p {p_value(pair.p_corrected, '= ')} after correcting for {pairs} pairs" if pairs > 1 else ""
    )
    if pair.shown:
        better, worse = (pair.first, pair.second) if pair.mean < 0 else (pair.second, pair.first)
        low, high = sorted((abs(pair.low), abs(pair.high)))
        return (
            f"{better} beats {worse} by {100 * abs(pair.mean):.2f} points of {rate} "
            f"(95 % interval {100 * low:.2f} to {100 * high:.2f}; {tested})."
        )
    return (
        f"No difference between {pair.first} and {pair.second} could be shown: {pair.first} - {pair.second} is "
        f"{points(pair.mean)} points of {rate}, with a 95 % interval from {points(pair.low)} to {points(pair.high)} "
        f"({tested})."
    )


def _long_utterances(comparison: Comparison) -> list[str]:
    if len(comparison.lengths) < 2 or len(comparison.models) < 2:
        return []
    shortest, longest = comparison.lengths[0], comparison.lengths[-1]
    short, long = (
        _lowest([(model.by_length[place].mean, model.label) for model in comparison.models]) for place in (0, -1)
    )
    return [
        f"On the shortest utterances (up to {shortest.longest:.1f} s, {shown_size(shortest)}) {short[0]} the lowest "
        f"{comparison.unit.label}, {short[1]} %; on the longest (from {longest.shortest:.1f} s, {shown_size(longest)}) "
        f"{long[0]} it, {long[1]} %. These are the lowest of several figures and were not tested."
    ]


def _lowest(rates: Sequence[tuple[float, str]]) -> tuple[str, str]:
    """Who has the lowest rate as it is shown, as in "lstm has" or "lstm and gru share"; and that rate."""
    shown = percent(min(rates)[0])
    best = [label for rate, label in rates if percent(rate) == shown]
    return f"{_listed(best)} {'has' if len(best) == 1 else 'share'}", shown


def _cost(comparison: Comparison) -> list[str]:
    models = comparison.models
    if len(models) < 2:
        return []
    fastest = max(models, key=lambda model: model.audio_hours_per_hour.mean)
    slowest = min(models, key=lambda model: model.audio_hours_per_hour.mean)
    speeds = [model.audio_hours_per_hour.mean for model in (fastest, slowest)]
    sentences = [
        f"{fastest.label} trains fastest, at {speeds[0]:.0f}x real time, {speeds[0] / speeds[1]:.1f} times as fast as "
        f"{slowest.label} ({speeds[1]:.0f}x)."
        if f"{speeds[0] / speeds[1]:.1f}" != "1.0"
        else f"All models train about as fast, at {speeds[0]:.0f}x real time."
    ]
    timed = [(model.seconds_to_dev_wer.mean, model) for model in models if model.seconds_to_dev_wer is not None]
    rate = f"dev {comparison.unit.label}"
    if comparison.dev_wer >= 1:
        return [*sentences, f"No time to a {rate} is compared: not all models recognize anything of dev."]
    if timed:
        seconds = min(taken for taken, _ in timed)
        together = [model.label for taken, model in timed if f"{taken:.0f}" == f"{seconds:.0f}"]
        others = ", ".join(f"{model.label} {taken:.0f} s" for taken, model in timed if model.label not in together)
        reach = "reaches" if len(together) == 1 else "reach"
        sentences.append(
            f"{_listed(together)} {reach} a {rate} of {percent(comparison.dev_wer)} % first, after {seconds:.0f} s of "
            f"training ({others or ('alone' if len(together) == 1 else 'equally fast')})."
        )
    return sentences


def _limits(comparison: Comparison) -> list[str]:
    sentences = []
    single = [model.label for model in comparison.models if len(model.runs) == 1]
    if single:
        sentences.append(
            f"{_listed(single)} {'was' if len(single) == 1 else 'were'} trained with one seed only: the intervals do "
            "not include the variation between seeds."
        )
    if comparison.speakers < 2:
        sentences.append("The test split does not have several speakers: the intervals do not cover other speakers.")
    elif comparison.speakers < 20:
        sentences.append(
            f"The test split has {comparison.speakers} speakers: with so few, 95 % intervals are somewhat too narrow."
        )
    if comparison.failed:
        sentences.append(f"Missing because they failed: {'; '.join(comparison.failed)}.")
    return sentences


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def percent(rate: float) -> str:
    """A rate in per cent."""
    return f"{100 * rate:.2f}"


def points(difference: float) -> str:
    """A difference of rates in points."""
    return f"{100 * difference:+.2f}"


def p_value(p: float, equal: str = "") -> str:
    """A p-value, with a sign before it where it is not only below a bound."""
    return "< 0.001" if p < 0.001 else f"{equal}{p:.3f}"
