"""`asr errors`: the recognition errors of a run, as text or as JSON."""

from collections.abc import Sequence
from pathlib import Path

from asr.commands.flags import RUN_HELP, FlagParser, add_format, whole_number
from asr.commands.subjects import find_runs_of
from asr.common.tables import TableFormat, chosen_format


def main(arguments: Sequence[str]) -> None:
    """Prints the errors of an evaluation of a run."""
    parser = FlagParser(
        prog="asr errors",
        description="Prints the recognition errors of a run: error rates by the fields of the manifest, speaker, "
        "length, speaking rate, estimated SNR and class of words, the top confusions of words and characters, and the "
        "alignments of the worst utterances.",
    )
    parser.add_argument("run", metavar="RUN", help=f"{RUN_HELP}; of a folder of runs, they are listed")
    parser.add_argument("--split", default="test", help="dev or test (test)")
    parser.add_argument("--decoder", help="of the evaluation (greedy, where there are several)")
    parser.add_argument(
        "--by",
        metavar="FIELD[,FIELD]",
        help="only the error rates by a field of the manifest, such as sex, by two of them together, or by speaker, "
        "length, speaking rate or estimated SNR",
    )
    parser.add_argument("--worst", type=whole_number, default=10, metavar="N", help="number of worst utterances (10)")
    parser.add_argument("--pairs", type=whole_number, default=20, metavar="N", help="number of confusions (20)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the corpus, if it has moved; replaces paths.data")
    parser.add_argument("--no-audio", action="store_true", help="skip the audio: no error rates by estimated SNR")
    parser.add_argument(
        "--sclite", type=Path, metavar="FOLDER", help="write references and hypotheses for sclite: trn, stm and ctm"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON, with all utterances")
    add_format(form)
    options = parser.parse(arguments)

    from asr.report.overview import as_table, readable_runs, summarize
    from asr.report.run_errors import as_json, as_subgroups, as_tables, as_text, examine_run
    from asr.report.runs import find_runs
    from asr.report.sclite import write_sclite

    path = find_runs_of(options.run)
    runs = find_runs([path])
    if len(runs) > 1 and not options.json and not options.format:
        print(as_table(summarize(readable_runs(runs), options.split, options.decoder)), flush=True)
    errors = examine_run(path, options.split, options.decoder, options.data, not options.no_audio, options.by)
    if options.sclite is not None:
        command = write_sclite(options.sclite, errors.alignment.scores)
        print(f"Written for sclite: {options.sclite}. To score it: {command}")
    elif options.json:
        print(as_json(errors, options.pairs))
    elif chosen_format() is not TableFormat.text:
        print(as_tables(errors, options.pairs, options.by))
    else:
        print(as_text(errors, options.worst, options.pairs) if options.by is None else as_subgroups(errors))
