"""`asr tune`: finds the weights of a run's beam search on dev, and keeps them for its evaluation."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.commands.flags import RUN_HELP, FlagParser
from asr.commands.subjects import given_run
from asr.common.errors import ConfigError

if TYPE_CHECKING:
    from asr.inference.tuning import Tuning


def main(arguments: Sequence[str]) -> None:
    """Tries weights on the dev split, draws the errors, and keeps the best in the folder of the run."""
    parser = FlagParser(
        prog="asr tune",
        description="Finds decoder.lm_weight, decoder.word_score and decoder.beam of a run on its dev split, from "
        "log-probabilities that are computed once, and keeps them in RUN/tuning/: evaluations with decoder=beam and "
        "the same language model use them unless the command line sets others.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help=RUN_HELP)
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
    options = parser.parse(arguments)

    from asr.inference.finished_run import FinishedRun
    from asr.inference.tuning import tune_run
    from asr.model.card import write_card
    from asr.settings.bounds import check_bounds
    from asr.settings.compose import flattened, plain
    from asr.settings.decoder import DecoderKind
    from asr.settings.lm import LmKind, LmUnits

    run = FinishedRun.at(given_run(options.run), options.data)
    run.require_unseen_dev("tune")
    config = run.config
    changed = {"order": options.order, "texts": options.texts, "path": options.lm}
    changed |= {"units": options.units and LmUnits[options.units]}
    if given := {key: value for key, value in changed.items() if value is not None}:
        config.lm = replace(config.lm, kind=LmKind.ngram, **given)
    if config.lm.kind is not LmKind.ngram:
        raise ConfigError(
            f"This run has lm={config.lm.kind.name} in its settings, and the weight that is tuned is that of n-grams: "
            "say which, as --order 3; --recurrent adds a recurrent language model."
        )
    untuned = replace(config.decoder, beam=None, lm_weight=None, word_score=None)
    config.decoder = replace(untuned, kind=DecoderKind.beam, nbest=1, hot_words=[], recurrent=options.recurrent)
    check_bounds(flattened(plain(config)))
    ngrams, *recurrent = tune_run(run, config)
    write_card(run.path, run.config)
    weights = ngrams.taken.weights
    print(f"Language model: {ngrams.language_model}")
    print(
        f"decoder.lm_weight={weights.lm_weight:g} decoder.word_score={weights.word_score:g} "
        f"decoder.beam={weights.beam}: {_rate(ngrams)}"
    )
    for found in recurrent:
        weights = found.taken.weights
        print(f"Recurrent language model: {found.language_model}")
        print(
            f"decoder.recurrent_weight={weights.recurrent_weight:g} "
            f"decoder.recurrent_word_score={weights.recurrent_word_score:g}: {_rate(found)}"
        )
    surface = [ngrams, *recurrent][-1].folder / "surface.png"
    print(f"Kept for the run's evaluation with decoder=beam; the surface is in {surface}")


def _rate(tuning: "Tuning") -> str:
    score = tuning.taken.score
    return f"{score.unit.label} {100 * score.rate:.2f} % on dev"
