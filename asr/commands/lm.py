"""`asr lm`: estimates language models, scores text with them, and predicts the next words."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr.commands.flags import FlagParser, whole_number
from asr.common.errors import ConfigError, DataError

if TYPE_CHECKING:
    from asr.settings.recipe import Recipe
    from asr.settings.root import Config

log = logging.getLogger(__name__)


def run(recipe: "Recipe", config: "Config") -> float:
    """`asr lm train RECIPE`: makes the model of a configuration, or finds it, and prints its report.

    Returns:
        The perplexity of held-out text.
    """
    from asr.lm.ngram import REPORT, build_ngram, lm_folder
    from asr.lm.scores import ngram_report, report_lines
    from asr.lm.text import held_out_sentences
    from asr.settings.lm import LmKind

    if config.lm.kind is LmKind.none or config.lm.path is not None:
        raise ConfigError("asr lm train makes lm=ngram, lstm or gru; lm=none and lm.path name no model to be made.")
    if config.lm.kind.recurrent:
        from asr.training.language_model_task import LanguageModelTraining
        from asr.training.launch import find_launch
        from asr.training.session import train

        training = LanguageModelTraining(recipe, config)
        perplexity = train(training)
        if find_launch().rank == 0:
            print(f"Language model: {training.folder.path}")
        return perplexity
    folder = lm_folder(recipe, config)
    if config.training.restart or not (folder / REPORT).is_file():
        build_ngram(recipe, config, folder)
    report = ngram_report(recipe, config, folder)
    words = sum(len(sentence.split()) for sentence in held_out_sentences(recipe, config))
    for line in report_lines(report, words):
        print(line)
    print(f"Language model: {folder}")
    return float(report["held_out"]["including"])


def main(arguments: Sequence[str]) -> None:
    """`asr lm score` and `asr lm complete`; `train`, which takes key=value, is the command line's."""
    parser = FlagParser(
        prog="asr lm",
        description="Language models: `asr lm train RECIPE [key=value ...]` makes one from the training "
        "transcripts and lm.texts (lm.order=4, lm=lstm, lm.units=tokens, ...: docs/how-to/language-models.md) and says "
        "where it is.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="train | score | complete")
    verbs.add_parser("train", help="make a model: asr lm train RECIPE [key=value ...]")
    score = verbs.add_parser("score", help="the perplexity of text")
    score.add_argument("model", metavar="MODEL", type=Path, help="what asr lm train made, an ARPA file or a binary")
    score.add_argument("texts", metavar="FILE", nargs="*", type=Path, help="sentences, one a line (standard input)")
    score.add_argument("--each", action="store_true", help="also print log10 of the probability of each sentence")
    complete = verbs.add_parser("complete", help="the most probable next words")
    complete.add_argument("model", metavar="MODEL", type=Path, help="what asr lm train made, or an ARPA file")
    complete.add_argument("beginning", metavar="TEXT", help='the beginning of a sentence, as in "RUBOUT G M"')
    complete.add_argument("--number", type=whole_number, default=5, metavar="N", help="how many (5)")
    options = parser.parse_args(arguments)
    if options.verb == "score":
        _score(options.model, options.texts, options.each)
    elif options.verb == "complete":
        _complete(options.model, options.beginning, options.number)


def _score(path: Path, texts: Sequence[Path], each: bool) -> None:
    from asr.common.files import decoded_lines
    from asr.lm.scores import perplexity_line, total_perplexity
    from asr.lm.text import read_sentences
    from asr.lm.trained import open_scorer

    score = open_scorer(path)
    if texts:
        lines = [line for text in texts for line in read_sentences(text)]
    else:
        given = decoded_lines(sys.stdin.buffer, "standard input")
        lines = [line.strip() for _, line in given if line.strip()]
    if not lines:
        raise DataError("There is no sentence to score: give a file with one a line.")
    scores = score(lines)
    if each:
        for sentence in scores:
            print(f"{sentence.log10_prob:.4f}\t{sentence.text}")
    words = sum(len(line.split()) for line in lines)
    print(perplexity_line("All text", vars(total_perplexity(scores)), words))


def _complete(path: Path, beginning: str, number: int) -> None:
    from asr.lm.trained import most_probable_next

    if number < 1:
        raise ConfigError(f"--number is {number}; it must be at least 1.")
    for unit, probability in most_probable_next(path, beginning, number):
        print(f"{probability:.4f}\t{unit}")
