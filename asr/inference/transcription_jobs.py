"""Recordings that a user names, transcribed in one process or in several."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr.common.errors import ConfigError, DataError, UserError
from asr.common.files import atomic_write_text, lines_of
from asr.common.processes import worker_pool
from asr.common.progress import Progress
from asr.data.audio_paths import MEDIA, audio_below
from asr.data.recording import recording_seconds
from asr.decoding.beam import BeamDecoder
from asr.decoding.decoder import Decoder, log_search
from asr.decoding.search import read_tuned, resolve
from asr.decoding.setup import search_among
from asr.inference.confidence import read_confidence
from asr.inference.finished_run import FinishedRun
from asr.inference.recognizer import Recognizer
from asr.inference.speech_detector import ModelDetector
from asr.inference.transcript_formats import ENDINGS, formatted
from asr.inference.transcription import Transcriber, Transcript
from asr.lm.ngram import saved_language_model
from asr.settings.lm import LmUnits

STANDARD_INPUT = Path("-")
GROUP_SECONDS = 300.0
"""Audio that a process is given at a time; a recording is never divided between processes."""


def find_recordings(files: Sequence[str], listed: Path | None) -> list[Path]:
    """The recordings that the command line names, in its order, each once.

    Raises:
        ConfigError: There is none.
        DataError: A list cannot be read.
    """
    found: list[Path] = []
    for name in [*files, *([f"@{listed}"] if listed is not None else [])]:
        if name.startswith("@"):
            found += (Path(line.strip()) for _, line in lines_of(Path(name[1:])))
        elif name != "-" and Path(name).is_dir():
            inside = sorted(audio_below(Path(name), MEDIA))
            if not inside:
                raise ConfigError(f"The folder {name} holds no audio file (.wav, .flac, .mp3, ...): give another.")
            found += inside
        else:
            found.append(Path(name))
    if not found:
        raise ConfigError("There is nothing to transcribe: give audio files, folders, @LIST or - for standard input.")
    once: dict[str, Path] = {}
    for path in found:
        once.setdefault(os.path.normpath(path.absolute()), path)
    return list(once.values())


def output_places(paths: Sequence[Path], output: Path, formats: Sequence[str]) -> dict[Path, Path]:
    """Where the transcript of each recording goes, without its ending: in OUTPUT as in the folder that all recordings
    have in common.

    Raises:
        ConfigError: Two recordings differ only in their endings, or a file that is there would be lost.
    """
    whole = {path: Path(os.path.normpath(path.absolute())) for path in paths}
    common = Path(os.path.commonpath([path.parent for path in whole.values()]))
    places: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for path in paths:
        name = Path("stdin") if path == STANDARD_INPUT else whole[path].relative_to(common).with_suffix("")
        places[path] = output / name
        if places[path] in taken:
            raise ConfigError(f"{taken[places[path]]} and {path} would both become {places[path]}: rename one.")
        taken[places[path]] = path
        keep_references(path, places[path], formats)
    return places


def keep_references(recording: Path, place: Path, formats: Sequence[str]) -> None:
    """Refuses to write over what lies beside a recording under its name: it may be the reference.

    Args:
        place: That of the transcript, without its ending.

    Raises:
        ConfigError: There is such a file.
    """
    for written in (place.with_name(f"{place.name}.{ENDINGS[name]}") for name in formats):
        if recording != STANDARD_INPUT and written.exists() and written.parent.samefile(recording.parent):
            raise ConfigError(
                f"{written} lies beside {recording} already and may be its reference: give another folder for -o, or "
                "move the file."
            )


def transcribe_recordings(
    settings: "TranscriberSettings", paths: Sequence[Path], jobs: int
) -> Iterator[Transcript | DataError]:
    """The transcript of each recording, or why there is none, in their order, by a number of processes.

    Raises:
        RunError: There is no model.
        ConfigError: A setting does not fit.
    """
    lengths = [recording_seconds(path) for path in paths]
    groups = list(_groups(paths, lengths))
    jobs = min(jobs, len(groups))
    with Progress("Transcribing", sum(lengths), "s of audio") as progress:
        if jobs == 1:
            yield from settings.open(progress.advance)(paths)
            return
        with worker_pool(__name__, jobs, _start, (settings,)) as pool:
            for group in pool.map(_transcribe_group, groups):
                yield from group
                progress.advance(sum(one.seconds for one in group if not isinstance(one, DataError)))


def write_transcript(transcript: Transcript, place: Path, formats: Sequence[str]) -> None:
    """Writes a transcript in formats of `ENDINGS`, at a path without its ending."""
    for name in formats:
        atomic_write_text(place.with_name(f"{place.name}.{ENDINGS[name]}"), formatted(transcript, name))


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
class TranscriberSettings:
    """What a process needs to open a transcriber: the flags of `asr transcribe`."""

    model: Path
    device: str
    lm: Path | None
    lm_weight: float | None
    word_score: float | None
    beam: int | None
    hot_words: Sequence[str] | None
    hot_word_boost: float | None
    vad: Path | None

    def open(self, each: Callable[[float], None] = lambda seconds: None) -> Transcriber:
        """Loads the model and opens its decoder; `each` as of `Transcriber`.

        Raises:
            RunError: There is no model.
            ConfigError: A flag does not fit.
        """
        run = FinishedRun.of_model(self.model, "MODEL")
        recognizer, detector = run.recognizer(self.device), None
        if self.vad is not None:
            vad = FinishedRun.of_model(self.vad, "--vad").recognizer(self.device, labels_frames=True)
            detector = ModelDetector(vad, recognizer.config.data.sampling_rate)
        if self.lm is None:
            of_beams = ("lm_weight", "word_score", "beam", "hot_words", "hot_word_boost")
            if given := [f"--{name.replace('_', '-')}" for name in of_beams if getattr(self, name) is not None]:
                raise ConfigError(f"{given[0]} belongs to a beam search, which --lm asks for: give both or neither.")
            return Transcriber(recognizer, read_confidence(run.model), each=each, detector=detector)
        recognizer.decoder = self._beam_search(run, recognizer, self.lm)
        # confidence.json was fitted on greedy hypotheses.
        return Transcriber(recognizer, each=each, detector=detector)

    def _beam_search(self, run: FinishedRun, recognizer: Recognizer, path: Path) -> Decoder:
        """The search with a language model; its weights are those tuned for the run, unless flags set them."""
        lm, tokenizer, settings = saved_language_model(path), recognizer.tokenizer, recognizer.config.decoder
        by_words = lm.units is LmUnits.words
        if lm.vocabulary is None:
            raise ConfigError(f"{path} has no list of words, as no KenLM binary has: give the ARPA file to --lm.")
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
        tuned = read_tuned(run.path, lm.key)
        search = search_among(lm.vocabulary if by_words else None, settings, tokenizer, lm, resolve(settings, tuned))
        decoder = BeamDecoder(search, tokenizer, processes=1)
        log_search(search, None, tuned)
        return decoder


_opened: Transcriber | UserError | None = None
"""Of a worker process; or why there is none, which is raised with the first group."""


def _start(settings: TranscriberSettings) -> None:
    global _opened
    try:
        _opened = settings.open()
    except UserError as error:
        _opened = error


def _transcribe_group(paths: Sequence[Path]) -> list[Transcript | DataError]:
    if isinstance(_opened, UserError):
        raise _opened
    assert _opened is not None
    return list(_opened(paths))
