"""`asr calibrate`: fits the confidence of words on dev, and measures on any split how far it can be trusted."""

from collections.abc import Sequence
from pathlib import Path

from asr.commands.flags import RUN_HELP, FlagParser
from asr.commands.subjects import given_run


def main(arguments: Sequence[str]) -> None:
    """Fits the confidence on dev, keeps it in the run's model folder, and measures it on the splits."""
    parser = FlagParser(
        prog="asr calibrate",
        description="Fits the confidence of words on the greedy hypotheses of a run's dev split, and keeps it in "
        "RUN/model/confidence.json, for asr transcribe. For each split, RUN/calibration/SPLIT gets the words with "
        "times and confidences, figures and a reliability diagram.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help=RUN_HELP)
    parser.add_argument(
        "--splits", nargs="+", default=["dev", "test"], metavar="SPLIT", help="where it is measured (dev test)"
    )
    parser.add_argument("--data", metavar="FOLDER", help="the corpus, where it has moved: as paths.data")
    options = parser.parse(arguments)

    from asr.inference.calibration import calibrate_run
    from asr.inference.finished_run import FinishedRun

    run = FinishedRun.at(given_run(options.run), options.data)
    run.require_unseen_dev("calibrate")
    for found in calibrate_run(run, options.splits):
        words = found.calibration
        print(
            f"{found.split}: {words.words} words, {100 * words.right:.1f} % correct; expected calibration error "
            f"{100 * words.ece:.1f} %, normalized cross entropy {words.nce:.3f}; picture {found.picture}"
        )
    print(f"Kept in {run.model / 'confidence.json'}")
