"""`asr report`: a page for reviewing runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr.commands.flags import FlagParser
from asr.common.errors import ConfigError

if TYPE_CHECKING:
    from asr.checks.findings import Finding
    from asr.data.utterance import Utterance
    from asr.report.runs import Run

AUDIO = ("embed", "link", "none")
PORT = 8000


def main(arguments: Sequence[str]) -> None:
    """Writes the page, and serves it where that is wanted.

    Raises:
        ConfigError: The flags contradict each other.
        RunError: There is no run at a path, or the folder of the page holds something else.
    """
    parser = FlagParser(
        prog="asr report",
        description="Makes a page for reviewing runs: one folder that opens in any browser, offline. It shows results "
        "with their intervals, curves and what they say of each training, every utterance with its errors, its sound "
        "and what the model wrote when, comparisons of models, and the corpus.",
    )
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", type=Path, help="a run folder, as runs/RECIPE/NAME-HASH, or a folder of them"
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True, help="where the page is written")
    parser.add_argument(
        "--audio",
        choices=AUDIO,
        default="embed",
        help="embed copies the audio of evaluated splits into the page; link refers to where it lies, in formats that "
        "browsers play; none leaves it out (embed)",
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=300,
        metavar="N",
        help="how many utterances get a picture of what was written when: shared out over the evaluations, those "
        "with the most errors first (300)",
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the corpus, where it has moved: as paths.data")
    parser.add_argument(
        "--serve", action="store_true", help="serve the page to this machine and refresh it while runs are training"
    )
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"for --serve; 0 is any ({PORT})")
    options = parser.parse_args(arguments)
    if options.pictures < 0:
        raise ConfigError(f"--pictures is {options.pictures}; it must be at least 0.")
    if not 0 <= options.port <= 65535:
        raise ConfigError(f"--port is {options.port}; it must be from 0 to 65535.")
    if options.serve and options.audio == "link":
        raise ConfigError("--serve shows nothing from outside the page: use --audio embed or --audio none with it.")

    from asr.report.clips import AudioChoice
    from asr.report.page import Report, ReportOptions
    from asr.report.serve import serve

    report = Report(
        ReportOptions(
            paths=options.runs,
            folder=options.output,
            audio=AudioChoice(options.audio),
            pictures=options.pictures,
            data=options.data,
            doctor=_examine,
            live=options.serve,
        )
    )
    if options.serve:
        serve(report, options.port)
    else:
        report.build()
        print(f"Open {options.output / 'index.html'} in a browser.")


def _examine(run: "Run", splits: "Mapping[str, Sequence[Utterance]]") -> "Sequence[Finding]":
    from asr.checks.corpus import examine
    from asr.checks.requirements import Requirements
    from asr.report.runs import SETTINGS
    from asr.settings.compose import load_config

    return examine(splits, Requirements.of(load_config(run.folder / SETTINGS), splits["train"]), decode=False)
