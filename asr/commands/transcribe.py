"""`asr transcribe`: what is said in audio files of any format and length."""

import logging
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.commands.flags import FlagParser, whole_number
from asr.common.errors import ConfigError, DataError, UserError

if TYPE_CHECKING:
    from asr.decoding.decoder import Decoder
    from asr.inference.recognizer import Recognizer
    from asr.inference.transcription import Transcriber, Transcript

log = logging.getLogger(__name__)

STANDARD_INPUT = Path("-")
FORMATS = ("txt", "json", "srt", "vtt", "ctm", "textgrid")
AUDIO = (
    "wav", "flac", "ogg", "oga", "opus", "mp3", "sph", "aif", "aiff", "aifc", "au", "snd", "caf", "w64", "rf64", "wve",
    "m4a", "mp4", "aac", "wma", "webm", "mkv", "mov", "avi", "amr", "3gp",
)  # fmt: skip
"""Endings of what is taken of a folder."""
GROUP_SECONDS = 300.0
"""Audio that a process is given at once; one recording is never shared."""


def main(arguments: Sequence[str]) -> None:
    """Transcribes files.

    Raises:
        ConfigError: Flags contradict each other, or two files would be written to the same place.
        RunError: There is no model.
        DataError: Some file cannot be transcribed, after all others are.
    """
    options = _parser().parse_args(arguments)
    formats = options.format or ["txt"]
    if options.output is None and len(formats) > 1:
        raise ConfigError(f"--format gives {len(formats)} formats for standard output: name a folder with -o.")
    if options.jobs < 1:
        raise ConfigError(f"--jobs is {options.jobs}; it must be at least 1.")
    paths = find_recordings(options.files, options.list)
    if options.jobs > 1 and STANDARD_INPUT in paths:
        raise ConfigError("Standard input is read by one process: leave out --jobs, or give files.")
    places = _places(paths, options.output) if options.output is not None else {}

    from asr.inference.transcript_formats import ENDINGS, written
    from asr.tracking.metrics import replace_text

    failed = 0
    for path, transcript in zip(paths, _transcripts(options, paths), strict=True):
        if isinstance(transcript, DataError):
            failed += 1
            log.warning("%s", transcript)
            continue
        if transcript.note is not None:
            log.info("%s.", transcript.note)
        if options.output is not None:
            for name in formats:
                place = places[path].with_name(f"{places[path].name}.{ENDINGS[name]}")
                place.parent.mkdir(parents=True, exist_ok=True)
                replace_text(place, written(transcript, name))
        else:
            named = f"{path}\t" if formats == ["txt"] and len(paths) > 1 else ""
            print(f"{named}{written(transcript, formats[0])}", end="", flush=True)
    if options.output is not None and failed < len(paths):
        log.info("%d transcripts are in %s.", len(paths) - failed, options.output)
    if failed:
        raise DataError(f"{failed} of {len(paths)} files could not be transcribed; they are named above.")


def _parser() -> FlagParser:
    parser = FlagParser(
        prog="asr transcribe",
        description="Writes what is said in audio files of any format that libsndfile or, where it is installed, "
        "FFmpeg reads, of any length, rate and number of channels.",
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a model folder, or that of a run")
    parser.add_argument(
        "files", metavar="FILE", nargs="*", help="audio files, folders, @LIST (a file with a path a line), or - (stdin)"
    )
    parser.add_argument("--list", metavar="FILE", type=Path, help="as @FILE")
    parser.add_argument(
        "--format", nargs="+", choices=FORMATS, metavar="FORMAT", help=f"one or several of {', '.join(FORMATS)} (txt)"
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, help="where the files go (standard output)")
    parser.add_argument("--jobs", type=whole_number, default=1, metavar="N", help="processes that share the files (1)")
    parser.add_argument("--device", default="cpu", help="where the model computes, as torch names it (cpu)")
    beam = parser.add_argument_group("beam search (greedy without a language model)")
    beam.add_argument("--lm", type=Path, metavar="PATH", help="a folder of asr lm train, or an ARPA file over words")
    beam.add_argument("--lm-weight", type=float, metavar="X", help="as decoder.lm_weight (what asr tune found, or 0.5)")
    beam.add_argument("--word-score", type=float, metavar="X", help="as decoder.word_score (what was found, or 0)")
    beam.add_argument("--beam", type=whole_number, metavar="N", help="as decoder.beam (what was found, or 50)")
    beam.add_argument("--hot-words", nargs="+", metavar="PHRASE", help='words and phrases to favour, as RUBOUT "G M"')
    beam.add_argument("--hot-word-boost", type=float, metavar="X", help="as decoder.hot_word_boost (as the run has it)")
    return parser


def find_recordings(files: Sequence[str], listed: Path | None) -> list[Path]:
    """The recordings that the command line names, in its order, each once.

    Raises:
        ConfigError: There is none, or a list cannot be read.
    """
    found: list[Path] = []
    for name in [*files, *([f"@{listed}"] if listed is not None else [])]:
        if name.startswith("@"):
            try:
                lines = Path(name[1:]).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"The list {name[1:]} cannot be read ({error}): give a file of paths.") from None
            found += (Path(line.strip()) for line in lines if line.strip())
        elif name != "-" and Path(name).is_dir():
            inside = sorted(path for path in Path(name).rglob("*") if path.suffix.lower().lstrip(".") in AUDIO)
            if not inside:
                raise ConfigError(f"The folder {name} holds no audio file ({', '.join(AUDIO[:6])}, ...): give another.")
            found += inside
        else:
            found.append(Path(name))
    if not found:
        raise ConfigError("There is nothing to transcribe: give audio files, folders, @LIST or - for standard input.")
    return list(dict.fromkeys(found))


def _places(paths: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Where the transcript of each recording goes, without its ending: below the folder that all recordings share.

    Raises:
        ConfigError: Two recordings differ in their ending alone.
    """
    whole = {path: path.absolute() for path in paths}
    shared = Path(os.path.commonpath([path.parent for path in whole.values()]))
    places: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for path in paths:
        name = Path("stdin") if path == STANDARD_INPUT else whole[path].relative_to(shared).with_suffix("")
        places[path] = output / name
        if places[path] in taken:
            raise ConfigError(f"{taken[places[path]]} and {path} would both become {places[path]}: rename one.")
        taken[places[path]] = path
    return places


def _transcripts(options: Namespace, paths: Sequence[Path]) -> "Iterator[Transcript | DataError]":
    """The transcript of each recording, or why there is none, in their order."""
    from asr.common.processes import worker_pool
    from asr.common.progress import Progress
    from asr.data.recording import recording_seconds

    settings = Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})
    lengths = [recording_seconds(path) for path in paths]
    groups = list(_groups(paths, lengths))
    jobs = min(options.jobs, len(groups))
    with Progress("Transcribing", round(sum(lengths)), "s of audio") as progress:
        if jobs == 1:
            transcriber = settings.open()
            transcriber.each = lambda seconds: progress.advance(round(seconds))
            yield from transcriber(paths)
            return
        with worker_pool(__name__, jobs, _start, (settings,)) as pool:
            for group in pool.map(_transcribe_group, groups):
                yield from group
                progress.advance(round(sum(one.seconds for one in group if not isinstance(one, DataError))))


def _groups(paths: Iterable[Path], lengths: Iterable[float]) -> Iterator[list[Path]]:
    group: list[Path] = []
    seconds = 0.0
    for path, length in zip(paths, lengths, strict=True):
        if group and seconds + length > GROUP_SECONDS:
            yield group
            group, seconds = [], 0.0
        group.append(path)
        seconds += length
    yield group


@dataclass(frozen=True)
class Settings:
    """What a process makes a transcriber of."""

    model: Path
    device: str
    lm: Path | None
    lm_weight: float | None
    word_score: float | None
    beam: int | None
    hot_words: Sequence[str] | None
    hot_word_boost: float | None

    def open(self) -> "Transcriber":
        """Loads the model and opens its decoder.

        Raises:
            RunError: There is no model.
            ConfigError: A flag does not fit.
        """
        from asr.inference.confidence import read_confidence
        from asr.inference.recognizer import load
        from asr.inference.transcription import Transcriber
        from asr.model.folder import model_folder

        folder = model_folder(self.model, "MODEL")
        recognizer = load(folder, self.device)
        if self.lm is None:
            given = {
                "--lm-weight": self.lm_weight,
                "--word-score": self.word_score,
                "--beam": self.beam,
                "--hot-words": self.hot_words,
                "--hot-word-boost": self.hot_word_boost,
            }
            useless = [name for name, value in given.items() if value is not None]
            if useless:
                raise ConfigError(f"{useless[0]} belongs to a beam search, which --lm asks for: give both or neither.")
            return Transcriber(recognizer, read_confidence(folder))
        recognizer.decode = self._beam_search(recognizer, self.lm, folder.absolute().parent)
        # The map of confidence.json was fitted to greedy hypotheses.
        return Transcriber(recognizer)

    def _beam_search(self, recognizer: "Recognizer", path: Path, run: Path) -> "Decoder":
        """Searches with a language model, by what was tuned with it for the run where no flag says otherwise."""
        from asr.decoding.beam import BeamDecoder
        from asr.decoding.decoder import say_weights, search_among
        from asr.decoding.weights import read_tuned, resolve
        from asr.lm.ngram import saved_language_model
        from asr.settings.lm import LmUnits

        lm, tokenizer, settings = saved_language_model(path), recognizer.tokenizer, recognizer.config.decoder
        by_words = lm.units is LmUnits.words
        if lm.vocabulary is None:
            raise ConfigError(f"{path} does not tell its words, as no KenLM binary does: give the ARPA file to --lm.")
        if not by_words and not set(lm.vocabulary) <= set(tokenizer.symbols):
            raise ConfigError(f"{path} is over other tokens than the model writes: give another to --lm.")
        settings = replace(
            settings,
            beam=self.beam,
            lm_weight=self.lm_weight,
            word_score=self.word_score,
            hot_words=list(self.hot_words or []),
            hot_word_boost=settings.hot_word_boost if self.hot_word_boost is None else self.hot_word_boost,
            nbest=1,
        )
        tuned = read_tuned(run, lm.key)
        search = search_among(lm.vocabulary if by_words else None, settings, tokenizer, lm, resolve(settings, tuned))
        decoder = BeamDecoder(search, tokenizer, processes=1)
        say_weights(decoder, None, tuned)
        return decoder


_opened: "Transcriber | UserError | None" = None
"""Of a worker process; or why there is none, which is raised with the first group."""


def _start(settings: Settings) -> None:
    global _opened
    try:
        _opened = settings.open()
    except UserError as error:
        _opened = error


def _transcribe_group(paths: Sequence[Path]) -> "list[Transcript | DataError]":
    if isinstance(_opened, UserError):
        raise _opened
    assert _opened is not None
    return list(_opened(paths))
