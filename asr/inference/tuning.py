"""Finds the weights of a run's beam search on the log-probabilities of its dev split."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from asr.common.files import atomic_write_text, require_own, save_picture
from asr.common.processes import worker_pool
from asr.common.progress import Progress
from asr.data.manifest import manifest_checksum
from asr.data.utterance import Utterance
from asr.decoding.beam import BeamDecoder
from asr.decoding.search import Hypothesis, Search, Weights, language_model_scores, rescored, tuning_key
from asr.decoding.setup import DecodingSetup
from asr.inference.evaluation import SplitLogProbs, cached_log_probs
from asr.inference.finished_run import FinishedRun
from asr.lm.ngram import language_model
from asr.lm.trained import load_language_model
from asr.model.folder import weights_checksum
from asr.scoring.error_rates import Score, score_utterance, total
from asr.scoring.error_unit import ErrorUnit
from asr.settings.lm import LmUnits
from asr.settings.root import Config
from asr.text.protocol import Tokenizer

RECURRENT_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5)
RECURRENT_WORD_SCORES = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
SEARCH_KEYS = ("lm_weight", "word_score")
RECURRENT_KEYS = ("recurrent_weight", "recurrent_word_score")
GRID_BEAM = 50
"""The beam while the weights are searched; which beam does as well is tried afterwards."""


@dataclass(frozen=True)
class Grid:
    """What is tried."""

    lm_weights: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
    word_scores: Sequence[float] = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0)
    beams: Sequence[int] = (5, 10, 20, 50, 100, 200)

    def __len__(self) -> int:
        """How many trials it takes."""
        return len(self.lm_weights) * len(self.word_scores) + len(self.beams)


@dataclass(frozen=True)
class Trial:
    """Weights and the errors that they lead to."""

    weights: Weights
    score: Score

    def place(self, keys: tuple[str, str]) -> tuple[float, float]:
        """Its place on a grid of two of the weights."""
        return getattr(self.weights, keys[0]), getattr(self.weights, keys[1])


@dataclass(frozen=True)
class Tuning:
    """What was found for the weights of a language model."""

    language_model: Path
    taken: Trial
    folder: Path
    """Where it is kept."""


def tune_run(run: FinishedRun, config: Config) -> list[Tuning]:
    """Tries weights on the dev split, draws the errors, and keeps the best weights in the folder of the run.

    Args:
        config: The settings of the run, with decoder=beam, lm=ngram and perhaps decoder.recurrent.

    Returns:
        First what was found for n-grams, then for the recurrent language model if there is one.

    Raises:
        RunError: There is no such run.
        ConfigError: There is no such language model, or it does not fit.
        DataError: The dev split cannot be read.
    """
    require_own(run.path)
    recipe, recognizer = run.recipe, run.recognizer()
    lm = language_model(recipe, config)
    assert lm is not None
    setup = DecodingSetup(recipe, config, lm)
    search, processes = setup.search(recognizer.tokenizer), setup.processes
    key = weights_checksum(run.model) + manifest_checksum(recipe.manifest(config, "dev"))
    split = cached_log_probs(recipe, config, "dev", recognizer, run.tuning("dev.npz"), key)
    grid = Grid() if config.lm.units is LmUnits.words else Grid(word_scores=(0.0,))
    with Progress(f"Tuning {lm.key}", len(grid), "trials") as progress:

        def each(trial: Trial) -> None:
            progress.advance(note=f"{split.unit.label} {100 * trial.score.rate:.2f} %")

        pairs, beams, taken = search_weights(search, recognizer.tokenizer, split, processes, grid, each)
    first = Tuning(lm.file, taken, run.tuning(lm.key))
    _keep(first, pairs, beams, SEARCH_KEYS)
    if config.decoder.recurrent is None:
        return [first]
    weights = taken.weights
    recurrent = load_language_model(Path(config.decoder.recurrent))
    several = _weighted(search, weights, config.decoder.recurrent_nbest)
    with BeamDecoder(several, recognizer.tokenizer, processes) as decoder:
        found = decoder.search_emissions(split.emissions)
    log_probs = language_model_scores(recurrent, [item.text for items in found for item in items])
    trials, taken = search_recurrent_weights(split.utterances, found, log_probs, weights, split.unit)
    second = Tuning(recurrent.folder, taken, run.tuning(str(tuning_key(lm, recurrent))))
    _keep(second, trials, [], RECURRENT_KEYS)
    return [first, second]


def _keep(tuning: Tuning, trials: Sequence[Trial], beams: Sequence[Trial], keys: tuple[str, str]) -> None:
    """Writes trials.json and weights.json, and draws the surface."""
    folder, taken = tuning.folder, tuning.taken
    folder.mkdir(parents=True, exist_ok=True)
    rate = taken.score.unit.rate
    rows = [asdict(one.weights) | {rate: one.score.rate, "errors": one.score.errors} for one in [*trials, *beams]]
    atomic_write_text(folder / "trials.json", json.dumps(rows, indent=1) + "\n")
    found = asdict(taken.weights) | {f"dev_{rate}": taken.score.rate}
    atomic_write_text(folder / "weights.json", json.dumps(found) + "\n")
    draw_trials(trials, beams, taken, folder / "surface", keys)


def search_weights(
    search: Search,
    tokenizer: Tokenizer,
    split: SplitLogProbs,
    processes: int,
    grid: Grid,
    each: Callable[[Trial], None] = lambda trial: None,
) -> tuple[list[Trial], list[Trial], Trial]:
    """Tries every pair of weights on a split, then beams with the best pair.

    Of pairs with as few errors as the best the one is taken whose neighbours have the fewest: a split has few errors,
    and a lone minimum is chance. Of the beams the smallest with as few errors as the largest.

    Args:
        processes: How many pairs are tried at the same time.
        each: Called with every trial.

    Returns:
        The trials of the pairs, those of the beams, and the one that is taken.
    """
    pairs = [
        Weights(GRID_BEAM, lm_weight, word_score) for lm_weight in grid.lm_weights for word_score in grid.word_scores
    ]
    _start(search, tokenizer, split)
    several = processes > 1
    with worker_pool(__name__, processes, _start, (search, tokenizer, split)) if several else nullcontext() as pool:
        attempt = map if pool is None else pool.map

        def trials(tried: Iterable[Weights]) -> Iterator[Trial]:
            for trial in attempt(_try, tried):
                each(trial)
                yield trial

        pair_trials = list(trials(pairs))
        best = robust_best(pair_trials, grid.lm_weights, grid.word_scores)
        beam_trials = list(trials(replace(best.weights, beam=beam) for beam in grid.beams))
    enough = beam_trials[-1].score.errors
    taken = next(trial for trial in beam_trials if trial.score.errors <= enough)
    return pair_trials, beam_trials, taken


def search_recurrent_weights(
    utterances: Sequence[Utterance],
    found: Sequence[Sequence[Hypothesis]],
    log_probs: Mapping[str, float],
    weights: Weights,
    unit: ErrorUnit = ErrorUnit.word,
) -> tuple[list[Trial], Trial]:
    """Tries pairs of `recurrent_weight` and `recurrent_word_score` on the best hypotheses of a search.

    Args:
        found: The hypotheses of each utterance by the search with `weights`.
        log_probs: Of the recurrent language model (natural), by text.
        unit: What errors are counted in.

    Returns:
        All trials, and the one that is taken, as in `search_weights`.
    """
    scores = [
        {item.text: score_utterance(utterance, item.text, unit) for item in items}
        for utterance, items in zip(utterances, found, strict=True)
    ]

    def attempt(weight: float, word_score: float) -> Trial:
        def score_of(item: Hypothesis) -> float:
            return rescored(item, log_probs[item.text], weight, word_score)

        chosen = [by_text[max(items, key=score_of).text] for by_text, items in zip(scores, found, strict=True)]
        tried = replace(weights, recurrent_weight=weight, recurrent_word_score=word_score)
        return Trial(tried, total(chosen))

    grid = [attempt(weight, score) for weight in RECURRENT_WEIGHTS for score in RECURRENT_WORD_SCORES]
    return grid, robust_best(grid, RECURRENT_WEIGHTS, RECURRENT_WORD_SCORES, RECURRENT_KEYS)


def robust_best(
    grid: Sequence[Trial],
    lm_weights: Sequence[float],
    word_scores: Sequence[float],
    keys: tuple[str, str] = SEARCH_KEYS,
) -> Trial:
    """Of the trials with the fewest errors the one whose neighbours on the grid have the fewest on average; of those
    the first. The values are those of the two weights, by their keys, that make the grid."""
    errors = {trial.place(keys): trial.score.errors for trial in grid}

    def around(trial: Trial) -> float:
        weight, word_score = trial.place(keys)
        near = list(_neighbours(lm_weights, weight))
        pairs = [(one, other) for one in near for other in _neighbours(word_scores, word_score)]
        return sum(errors[pair] for pair in pairs) / len(pairs)

    fewest = min(errors.values())
    return min((trial for trial in grid if trial.score.errors == fewest), key=around)


def _neighbours(values: Sequence[float], value: float) -> Iterator[float]:
    place = values.index(value)
    yield from values[max(place - 1, 0) : place + 2]


def _weighted(search: Search, weights: Weights, nbest: int) -> Search:
    return replace(search, beam=weights.beam, lm_weight=weights.lm_weight, word_score=weights.word_score, nbest=nbest)


_tried: tuple[Search, Tokenizer, SplitLogProbs] | None = None
"""What a process tries weights on."""


def _start(search: Search, tokenizer: Tokenizer, split: SplitLogProbs) -> None:
    global _tried
    _tried = search, tokenizer, split


def _try(weights: Weights) -> Trial:
    assert _tried is not None
    search, tokenizer, split = _tried
    with BeamDecoder(_weighted(search, weights, nbest=1), tokenizer, processes=1) as decoder:
        found = decoder.search_emissions(split.emissions)
    scores = (
        score_utterance(utterance, hypotheses[0].text, split.unit)
        for utterance, hypotheses in zip(split.utterances, found, strict=True)
    )
    return Trial(weights, total(scores))


def draw_trials(
    trials: Sequence[Trial], beams: Sequence[Trial], taken: Trial, path: Path, keys: tuple[str, str]
) -> None:
    """Draws the error rate over two weights, and over beams where there are any, as .svg and .png."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    surface, *others = figure.subplots(1, 2, width_ratios=(2, 1)) if beams else [figure.subplots()]
    title = f"{taken.score.unit.label} on dev"
    rates = {trial.place(keys): 100 * trial.score.rate for trial in trials}
    weights, scores = (sorted({place[axis] for place in rates}) for axis in (0, 1))
    values = [[rates[weight, score] for weight in weights] for score in scores]
    # Values far above the best do not set the scale, so that those near it can be distinguished.
    image = surface.imshow(values, origin="lower", aspect="auto", cmap="viridis_r", vmax=2 * min(rates.values()) + 0.1)
    for column, weight in enumerate(weights):
        for line, score in enumerate(scores):
            value = rates[weight, score]
            color = "black" if value < 1.5 * min(rates.values()) else "white"
            surface.text(column, line, f"{value:.1f}", ha="center", va="center", fontsize=8, color=color)
    place = (weights.index(taken.place(keys)[0]), scores.index(taken.place(keys)[1]))
    surface.scatter(*place, s=900, marker="s", facecolors="none", edgecolors="red", linewidths=2)
    surface.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
    surface.set_yticks(range(len(scores)), [f"{score:g}" for score in scores])
    surface.set(xlabel=f"decoder.{keys[0]}", ylabel=f"decoder.{keys[1]}", title=f"{title} (%)")
    figure.colorbar(image, ax=surface, extend="max")
    for sizes in others:
        sizes.plot([trial.weights.beam for trial in beams], [100 * trial.score.rate for trial in beams], marker="o")
        sizes.axvline(taken.weights.beam, color="red", linewidth=1)
        sizes.set(xscale="log", xlabel="decoder.beam", title=f"{title} (%)", ylim=(0, None))
        sizes.set_xticks([trial.weights.beam for trial in beams], [str(trial.weights.beam) for trial in beams])
        sizes.minorticks_off()
    save_picture(figure, path)
