"""`asr transcribe`: the words of audio files of any format and length."""

import logging
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from asr.commands.flags import FlagParser, whole_number
from asr.commands.subjects import find_given_model
from asr.common.errors import ConfigError, DataError

log = logging.getLogger(__name__)

FORMATS = ("txt", "json", "srt", "vtt", "ctm", "textgrid")


def main(arguments: Sequence[str]) -> None:
    """Transcribes files; those that cannot be transcribed are an error after all others."""
    options = _parser().parse(arguments)
    formats = options.format or ["txt"]
    if options.output is None and len(formats) > 1:
        raise ConfigError(f"--format gives {len(formats)} formats for standard output: name a folder with -o.")
    if options.jobs < 1:
        raise ConfigError(f"--jobs is {options.jobs}; it must be at least 1.")

    from asr.inference.transcript_formats import formatted
    from asr.inference.transcription_jobs import (
        STANDARD_INPUT,
        TranscriberSettings,
        find_recordings,
        output_places,
        transcribe_recordings,
        write_transcript,
    )

    paths = find_recordings(options.files, options.list)
    if options.jobs > 1 and STANDARD_INPUT in paths:
        raise ConfigError("Standard input is read by one process: leave out --jobs, or give files.")
    places = output_places(paths, options.output, formats) if options.output is not None else {}
    options.model = find_given_model(options.model)
    options.vad = options.vad and find_given_model(options.vad)
    settings = TranscriberSettings(**{field.name: vars(options)[field.name] for field in fields(TranscriberSettings)})
    failed = 0
    for path, transcript in zip(paths, transcribe_recordings(settings, paths, options.jobs), strict=True):
        if isinstance(transcript, DataError):
            failed += 1
            log.warning("%s", transcript)
            continue
        if transcript.note is not None:
            log.info("%s.", transcript.note)
        if options.output is not None:
            write_transcript(transcript, places[path], formats)
        else:
            named = f"{path}\t" if formats == ["txt"] and len(paths) > 1 else ""
            print(f"{named}{formatted(transcript, formats[0])}", end="", flush=True)
    if options.output is not None and failed < len(paths):
        log.info("%d transcripts are in %s.", len(paths) - failed, options.output)
    if failed:
        raise DataError(f"{failed} of {len(paths)} files could not be transcribed; they are named above.")


def _parser() -> FlagParser:
    parser = FlagParser(
        prog="asr transcribe",
        description="Transcribes audio files of any format that libsndfile or, where it is installed, "
        "FFmpeg reads, of any length, sampling rate and number of channels.",
    )
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help="a model folder, or that of a run; or hf://OWNER/NAME"
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="*", help="audio files, folders, @LIST (a file with a path a line), or - (stdin)"
    )
    parser.add_argument("--list", metavar="FILE", type=Path, help="as @FILE")
    parser.add_argument(
        "--format", nargs="+", choices=FORMATS, metavar="FORMAT", help=f"one or several of {', '.join(FORMATS)} (txt)"
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, help="where the files go (standard output)")
    parser.add_argument("--jobs", type=whole_number, default=1, metavar="N", help="processes that share the files (1)")
    parser.add_argument(
        "--vad",
        metavar="MODEL",
        type=Path,
        help="cut where this model, of tokenizer=speech, finds no speech, and recognize none there (where it is quiet)",
    )
    parser.add_argument("--device", default="cpu", help="where the model computes, as torch names it (cpu)")
    beam = parser.add_argument_group("beam search (greedy without a language model)")
    beam.add_argument("--lm", type=Path, metavar="PATH", help="a folder of asr lm train, or an ARPA file over words")
    beam.add_argument("--lm-weight", type=float, metavar="X", help="as decoder.lm_weight (as tuned, or 0.5)")
    beam.add_argument("--word-score", type=float, metavar="X", help="as decoder.word_score (as tuned, or 0)")
    beam.add_argument("--beam", type=whole_number, metavar="N", help="as decoder.beam (as tuned, or 50)")
    beam.add_argument("--hot-words", nargs="+", metavar="PHRASE", help='words and phrases to favour, as RUBOUT "G M"')
    beam.add_argument("--hot-word-boost", type=float, metavar="X", help="as decoder.hot_word_boost (as the run has it)")
    return parser
