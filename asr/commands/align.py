"""`asr align`: when each word of a given text is said in a recording."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr.commands.flags import FlagParser
from asr.commands.transcribe import FORMATS
from asr.common.errors import DataError

if TYPE_CHECKING:
    from asr.text.protocol import Tokenizer

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> None:
    """Aligns a text with a recording and writes the words with their times.

    Raises:
        RunError: There is no model.
        DataError: The recording or the text cannot be read or does not fit.
    """
    parser = FlagParser(
        prog="asr align",
        description="Finds when each word of a given text is said in a recording of any format and length: the most "
        "probable path of CTC that writes exactly this text.",
    )
    parser.add_argument("model", metavar="RUN", type=Path, help="the folder of a run, or a model folder")
    parser.add_argument("audio", metavar="AUDIO", type=Path, help="the recording, or - (stdin)")
    parser.add_argument("text", metavar="TEXT", type=Path, help="a text file: all that is said, in UTF-8")
    parser.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        default=["ctm"],
        metavar="FORMAT",
        help=f"one of {', '.join(FORMATS)}, or several with -o (ctm)",
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, help="where the files go (standard output)")
    parser.add_argument(
        "--normalize",
        action="store_true",
        help="leave out the punctuation of the text, and write it in the case of the model",
    )
    parser.add_argument("--device", default="cpu", help="where the model computes, as torch names it (cpu)")
    options = parser.parse_args(arguments)
    if options.output is None and len(options.format) > 1:
        parser.error(f"--format gives {len(options.format)} formats for standard output: name a folder with -o")

    from asr.inference.recognizer import load
    from asr.inference.transcript_formats import ENDINGS, written
    from asr.inference.transcription import align_recording
    from asr.model.folder import model_folder
    from asr.tracking.metrics import replace_text

    recognizer = load(model_folder(options.model, "MODEL"), options.device)
    text = _read(options.text)
    if options.normalize:
        text = normalized(text, recognizer.tokenizer)
    try:
        recognizer.tokenizer.encode(" ".join(text.split()))
    except DataError as error:
        raise DataError(f"{options.text}: {error} --normalize leaves out punctuation and mends the case.") from None
    transcript, score = align_recording(recognizer, options.audio, text)
    log.info("%d words, log-probability %.2f per token.", len(transcript.words), score)
    if options.output is None:
        print(written(transcript, options.format[0]), end="")
        return
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.format:
        replace_text(options.output / f"{options.audio.stem}.{ENDINGS[name]}", written(transcript, name))
    log.info("The words of %s are in %s.", options.audio, options.output)


def normalized(text: str, tokenizer: "Tokenizer") -> str:
    """A text without punctuation, in the case of the tokens if they have one alone."""
    from asr.settings.text import Case, TextConfig
    from asr.text.normalization import normalize

    letters = "".join(tokenizer.symbols[1:])
    case = Case.upper if letters == letters.upper() else Case.lower if letters == letters.lower() else Case.keep
    return normalize(text, TextConfig(normalize=True, language=None, case=case, numbers=False))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"The text {path} cannot be read ({error.strerror}): correct the path.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"The text {path} is not in UTF-8 ({error.reason}): save it as such.") from None
