"""`asr align`: when each word of a given text is spoken in a recording."""

import logging
from collections.abc import Sequence
from pathlib import Path

from asr.commands.flags import FlagParser
from asr.commands.subjects import find_given_model
from asr.commands.transcribe import FORMATS
from asr.data.audio_paths import MEDIA

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> None:
    """Aligns a text with a recording and writes the words with their times."""
    parser = FlagParser(
        prog="asr align",
        description="Finds when each word of a given text is spoken in a recording of any format and length: the most "
        "probable CTC path of exactly this text.",
    )
    parser.add_argument("model", metavar="RUN", type=Path, help="the folder of a run, or a model folder")
    parser.add_argument("audio", metavar="AUDIO", type=Path, help="the recording, or - (stdin)")
    parser.add_argument("text", metavar="TEXT", type=Path, help="a text file in UTF-8: the whole transcript")
    formats = f"one of {', '.join(FORMATS)}, or several with -o (ctm)"
    parser.add_argument("--format", nargs="+", choices=FORMATS, default=["ctm"], metavar="FORMAT", help=formats)
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, help="where the files go (standard output)")
    normalize = "leave out the punctuation of the text, and write it in the case of the model"
    parser.add_argument("--normalize", action="store_true", help=normalize)
    parser.add_argument("--device", default="cpu", help="where the model computes, as torch names it (cpu)")
    options = parser.parse(arguments)
    if options.output is None and len(options.format) > 1:
        parser.error(f"--format gives {len(options.format)} formats for standard output: name a folder with -o")

    if options.text.suffix.lower() in MEDIA:
        parser.error(f"the TEXT {options.text} is a recording, which comes first: AUDIO TEXT")

    from asr.inference.finished_run import FinishedRun
    from asr.inference.transcript_formats import formatted
    from asr.inference.transcription import align_recording, read_text_to_align
    from asr.inference.transcription_jobs import keep_references, write_transcript

    place = None if options.output is None else options.output / options.audio.stem
    if place is not None:
        keep_references(options.audio, place, options.format)
    recognizer = FinishedRun.of_model(find_given_model(options.model), "MODEL").recognizer(options.device)
    language = recognizer.config.text.language
    text = read_text_to_align(options.text, recognizer.tokenizer, normalized=options.normalize, language=language)
    transcript, score = align_recording(recognizer, options.audio, text)
    log.info("%d words, log-probability %.2f per token.", len(transcript.words), score)
    if place is None:
        print(formatted(transcript, options.format[0]), end="")
        return
    write_transcript(transcript, place, options.format)
    log.info("The words of %s are in %s.", options.audio, options.output)
