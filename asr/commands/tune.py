"""`asr tune`: finds the weights of a run's beam search on dev, and keeps them for its evaluation."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.commands.flags import FlagParser
from asr.common.errors import ConfigError
from asr.common.figures import save_picture
from asr.training.opening import open_run

if TYPE_CHECKING:
    from asr.decoding.search import Search
    from asr.inference.ensembles import Combination
    from asr.inference.evaluation import HeardSplit
    from asr.inference.tuning import Trial
    from asr.lm.ngram import LanguageModel
    from asr.settings.recipe import Recipe
    from asr.settings.root import Config

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> None:
    """Tries weights on the dev split, draws what they give, and writes the best beside the run.

    Raises:
        ConfigError: The settings have no language model, or cannot be used.
        RunError: There is no such run.
        DataError: The dev split cannot be read.
    """
    parser = FlagParser(
        prog="asr tune",
        description="Finds decoder.lm_weight, decoder.word_score and decoder.beam of a run on its dev split, from "
        "log-probabilities that are computed once, and keeps them in RUN/tuning/: evaluations with decoder=beam and "
        "the same language model take them where the command line gives no others.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a run, as runs/RECIPE/NAME-HASH")
    lm = parser.add_argument_group("language model (as the run has it in its settings)")
    lm.add_argument("--order", type=int, metavar="N", help="lm.order")
    lm.add_argument("--units", choices=("words", "tokens"), help="lm.units")
    lm.add_argument("--texts", nargs="+", metavar="FILE", help="lm.texts")
    lm.add_argument("--lm", metavar="FILE", help="lm.path")
    parser.add_argument(
        "--recurrent",
        metavar="FOLDER",
        help="a recurrent language model, whose decoder.recurrent_weight and decoder.recurrent_word_score are found "
        "too, for rescoring",
    )
    parser.add_argument("--data", metavar="FOLDER", help="the corpus, where it has moved: as paths.data")
    options = parser.parse_args(arguments)

    from asr.inference.ensembles import Combination
    from asr.inference.recognizer import load
    from asr.model.folder import model_folder
    from asr.settings.bounds import check_bounds
    from asr.settings.compose import flattened, plain
    from asr.settings.decoder import DecoderKind
    from asr.settings.lm import LmKind, LmUnits

    recipe, config = open_run(options.run, options.data, "tune")
    changed = {"order": options.order, "texts": options.texts, "path": options.lm}
    changed |= {"units": options.units and LmUnits[options.units]}
    if given := {key: value for key, value in changed.items() if value is not None}:
        config.lm = replace(config.lm, kind=LmKind.ngram, **given)
    if config.lm.kind is not LmKind.ngram:
        raise ConfigError(
            f"This run has lm={config.lm.kind.name} in its settings, and what is tuned is the weight of n-grams: say "
            "which, as --order 3; --recurrent adds a network."
        )
    config.decoder = replace(config.decoder, kind=DecoderKind.beam, nbest=1, hot_words=[], recurrent=options.recurrent)
    check_bounds(flattened(plain(config)))
    recognizer = load(model_folder(options.run, "RUN"))
    _tune(recipe, config, options.run, Combination([recognizer]))


def draw(
    trials: "Sequence[Trial]", beams: "Sequence[Trial]", taken: "Trial", path: Path, keys: tuple[str, str]
) -> None:
    """Draws the WER over two weights, and over beams where there are any, as .svg and .png.

    Args:
        keys: Of the weights.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    surface, *others = figure.subplots(1, 2, width_ratios=(2, 1)) if beams else [figure.subplots()]
    wer = {trial.place(keys): 100 * trial.score.wer for trial in trials}
    weights, scores = (sorted({place[axis] for place in wer}) for axis in (0, 1))
    values = [[wer[weight, score] for weight in weights] for score in scores]
    # What is far worse than the best shall not hide what is near it.
    image = surface.imshow(values, origin="lower", aspect="auto", cmap="viridis_r", vmax=2 * min(wer.values()) + 0.1)
    for column, weight in enumerate(weights):
        for line, score in enumerate(scores):
            value = wer[weight, score]
            color = "black" if value < 1.5 * min(wer.values()) else "white"
            surface.text(column, line, f"{value:.1f}", ha="center", va="center", fontsize=8, color=color)
    place = (weights.index(taken.place(keys)[0]), scores.index(taken.place(keys)[1]))
    surface.scatter(*place, s=900, marker="s", facecolors="none", edgecolors="red", linewidths=2)
    surface.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
    surface.set_yticks(range(len(scores)), [f"{score:g}" for score in scores])
    surface.set(xlabel=f"decoder.{keys[0]}", ylabel=f"decoder.{keys[1]}", title="WER on dev (%)")
    figure.colorbar(image, ax=surface, extend="max")
    for sizes in others:
        sizes.plot([trial.weights.beam for trial in beams], [100 * trial.score.wer for trial in beams], marker="o")
        sizes.axvline(taken.weights.beam, color="red", linewidth=1)
        sizes.set(xscale="log", xlabel="decoder.beam", title="WER on dev (%)", ylim=(0, None))
        sizes.set_xticks([trial.weights.beam for trial in beams], [str(trial.weights.beam) for trial in beams])
        sizes.minorticks_off()
    save_picture(figure, path)


def _tune(recipe: "Recipe", config: "Config", run: Path, heard: "Combination") -> None:
    from asr.common.processes import cores
    from asr.common.progress import Progress
    from asr.decoding.decoder import beam_search
    from asr.decoding.weights import UNTUNED, tuning_folder
    from asr.inference.tuning import BEAMS, LM_WEIGHTS, SEARCH_KEYS, WORD_SCORES, Trial, search_weights
    from asr.lm.ngram import language_model
    from asr.settings.lm import LmUnits

    lm = language_model(recipe, config)
    assert lm is not None
    tokenizer = heard.recognizers[0].tokenizer
    search = beam_search(recipe, config, tokenizer, lm, UNTUNED)
    split = _dev(recipe, config, run, heard)
    word_scores = WORD_SCORES if config.lm.units is LmUnits.words else (0.0,)
    number = len(LM_WEIGHTS) * len(word_scores) + len(BEAMS)
    with Progress(f"Tuning {lm.key}", number, "trials") as progress:

        def each(trial: Trial) -> None:
            progress.advance(note=f"WER {100 * trial.score.wer:.2f} %")

        processes = config.hardware.threads or cores()
        grid, beams, taken = search_weights(search, tokenizer, split, processes, word_scores=word_scores, each=each)
    folder = tuning_folder(run, lm.key)
    _keep(folder, [*grid, *beams], taken)
    draw(grid, beams, taken, folder / "surface", SEARCH_KEYS)
    weights = taken.weights
    print(f"Language model: {lm.file}")
    print(
        f"decoder.lm_weight={weights.lm_weight:g} decoder.word_score={weights.word_score:g} "
        f"decoder.beam={weights.beam}: WER {100 * taken.score.wer:.2f} % on dev"
    )
    if config.decoder.recurrent is not None:
        folder = _tune_recurrent(config, run, lm, replace(search, nbest=config.decoder.recurrent_nbest), split, taken)
    print(f"Kept for the run's evaluation with decoder=beam; the surface is in {folder / 'surface.png'}")


def _tune_recurrent(
    config: "Config", run: Path, lm: "LanguageModel", search: "Search", split: "HeardSplit", first: "Trial"
) -> Path:
    """Weighs the recurrent language model on the best hypotheses of the first search; gives the folder of it all."""
    from asr.common.processes import cores
    from asr.decoding.beam import BeamDecoder
    from asr.decoding.rescoring import language_model_scores
    from asr.decoding.weights import tuning_folder, tuning_key
    from asr.inference.tuning import RECURRENT_KEYS, search_recurrent_weights
    from asr.lm.recurrent_folder import load_language_model
    from asr.text.tokenizer import load_tokenizer

    weights, tokenizer = first.weights, load_tokenizer(run / "model")
    recurrent = load_language_model(Path(str(config.decoder.recurrent)))
    weighted = replace(search, beam=weights.beam, lm_weight=weights.lm_weight, word_score=weights.word_score)
    with BeamDecoder(weighted, tokenizer, config.hardware.threads or cores()) as decoder:
        found = decoder.search_emissions(split.emissions)
    log_probs = language_model_scores(recurrent, [item.text for items in found for item in items])
    grid, taken = search_recurrent_weights(split.utterances, found, log_probs, weights)
    folder = tuning_folder(run, str(tuning_key(lm, recurrent)))
    _keep(folder, grid, taken)
    draw(grid, [], taken, folder / "surface", RECURRENT_KEYS)
    print(f"Recurrent language model: {recurrent.folder}")
    print(
        f"decoder.recurrent_weight={taken.weights.recurrent_weight:g} "
        f"decoder.recurrent_word_score={taken.weights.recurrent_word_score:g}: "
        f"WER {100 * taken.score.wer:.2f} % on dev"
    )
    return folder


def _keep(folder: Path, trials: "Sequence[Trial]", taken: "Trial") -> None:
    """Writes trials.json and weights.json."""
    from asr.tracking.metrics import replace_text

    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(trial.weights) | {"wer": trial.score.wer, "errors": trial.score.errors} for trial in trials]
    replace_text(folder / "trials.json", json.dumps(rows, indent=1) + "\n")
    replace_text(folder / "weights.json", json.dumps(asdict(taken.weights) | {"dev_wer": taken.score.wer}) + "\n")


def _dev(recipe: "Recipe", config: "Config", run: Path, heard: "Combination") -> "HeardSplit":
    """The log-probabilities of dev, kept in the run's folder for the next tuning."""
    from asr.data.manifest import manifest_checksum
    from asr.inference.evaluation import kept_log_probs
    from asr.training.fine_tuning import weights_checksum

    key = weights_checksum(str(run / "model")) + manifest_checksum(recipe.manifest(config, "dev"))
    return kept_log_probs(recipe, config, "dev", heard, run / "tuning" / "dev.npz", key)
