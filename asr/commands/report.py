"""`asr report`: a page for reviewing runs."""

from collections.abc import Sequence
from pathlib import Path

from asr.commands.flags import RUN_HELP, FlagParser
from asr.commands.subjects import find_runs_of
from asr.common.errors import ConfigError

AUDIO = ("embed", "link", "none")
PORT = 8000


def main(arguments: Sequence[str]) -> None:
    """Writes the page, and serves it if that is wanted."""
    parser = FlagParser(
        prog="asr report",
        description="Makes a page for reviewing runs: one folder that opens in any browser, offline. It shows results "
        "with their intervals, learning curves, training diagnostics, every utterance with its errors, its audio and "
        "the output of the model over time, comparisons of models, and the corpus.",
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help=f"{RUN_HELP}, or a folder of runs")
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True, help="where the page is written")
    parser.add_argument(
        "--audio",
        choices=AUDIO,
        default="embed",
        help="embed copies the audio of evaluated splits into the page; link refers to the original files, in formats "
        "that browsers play; none leaves it out (embed)",
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=300,
        metavar="N",
        help="utterances that get a picture of spectrogram, tokens and words: divided among the evaluations, those "
        "with the most errors first (300)",
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the corpus, if it has moved; replaces paths.data")
    parser.add_argument(
        "--serve", action="store_true", help="serve the page on this machine and update it while runs are training"
    )
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"for --serve; 0 is any ({PORT})")
    options = parser.parse(arguments)
    if options.pictures < 0:
        raise ConfigError(f"--pictures is {options.pictures}; it must be at least 0.")
    if not 0 <= options.port <= 65535:
        raise ConfigError(f"--port is {options.port}; it must be from 0 to 65535.")
    if options.serve and options.audio == "link":
        raise ConfigError("--serve shows no files from outside the page: use --audio embed or --audio none with it.")

    from asr.report.page import Report, ReportOptions
    from asr.report.serve import serve
    from asr.report.utterance_media import AudioChoice

    audio, live = AudioChoice(options.audio), options.serve
    runs = [find_runs_of(run) for run in options.runs]
    report = Report(ReportOptions(runs, options.output, audio, options.pictures, options.data, live))
    if options.serve:
        serve(report, options.port)
    else:
        report.build()
        print(f"Open {options.output / 'index.html'} in a browser.")
