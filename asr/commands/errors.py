"""`asr errors`: what a run gets wrong, as text or as JSON."""

from collections.abc import Sequence
from pathlib import Path

from asr.commands.flags import FlagParser, whole_number


def main(arguments: Sequence[str]) -> None:
    """Prints the errors of an evaluation of a run.

    Raises:
        RunError: There is no such run or evaluation.
    """
    parser = FlagParser(
        prog="asr errors",
        description="Prints what a run gets wrong: error rates by speaker, length, speaking rate and noise, the most "
        "frequent confusions of words and characters, and the worst utterances, aligned.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a run, as runs/RECIPE/NAME-HASH")
    parser.add_argument("--split", default="test", help="dev or test (test)")
    parser.add_argument("--decoder", help="where the split was evaluated with several decoders")
    parser.add_argument(
        "--worst", type=whole_number, default=10, metavar="N", help="how many utterances are aligned (10)"
    )
    parser.add_argument(
        "--pairs", type=whole_number, default=20, metavar="N", help="how many confusions are printed (20)"
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the corpus, where it has moved: as paths.data")
    parser.add_argument("--no-audio", action="store_true", help="do not listen, so no error rates by noise")
    parser.add_argument("--json", action="store_true", help="print JSON, with every utterance")
    options = parser.parse_args(arguments)

    from asr.report.listing import as_json, as_text, examine_run

    errors = examine_run(options.run, options.split, options.decoder, options.data, listens=not options.no_audio)
    print(as_json(errors, options.pairs) if options.json else as_text(errors, options.worst, options.pairs))
