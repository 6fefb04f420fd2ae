"""Kaldi's data directories: wav.scp, text, and optionally utt2spk and segments.

Source: https://kaldi-asr.org/doc/data_prep.html
"""

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import soundfile

from asr.common.errors import DataError
from asr.common.files import lines_of
from asr.data.formats.audio_folder import AUDIO
from asr.data.formats.rows import Row, audio_path, number, split_of
from asr.data.utterance import Utterance

NEEDED = ("wav.scp", "text")
DECODERS = ("flac", "sph2pipe", "cat")
"""Programs in wav.scp that only decode a file, which libsndfile does too: none of them is run."""


def matches(source: Path) -> bool:
    """Whether it is a data directory or a folder of data directories."""
    return bool(_folders(source))


def read(source: Path) -> dict[str | None, list[Row]]:
    """Reads a data directory, or each of several as the split that it is named after.

    Raises:
        DataError: An entry is incomplete or needs a program, or a directory is not named after a split.
    """
    rows: dict[str | None, list[Row]] = {}
    folders = _folders(source)
    for folder in folders:
        split = split_of(folder.name)
        if split is None and len(folders) > 1:
            raise DataError(f"{folder} is not named after train, dev or test: set data.source to it, or rename it.")
        rows.setdefault(split, []).extend(_rows(folder))
    return rows


def _folders(source: Path) -> list[Path]:
    return [
        folder for folder in (source, *sorted(source.glob("*"))) if all((folder / name).is_file() for name in NEEDED)
    ]


def _rows(folder: Path) -> list[Row]:
    files = {name: _file_and_channel(entry, folder) for name, entry in _table(folder / "wav.scp").items()}
    texts = _table(folder / "text", may_be_empty=True)
    speakers = _table(folder / "utt2spk") if (folder / "utt2spk").is_file() else {}
    places: dict[str, tuple[str, float, float | None]]
    if not (folder / "segments").is_file():
        places = {name: (name, 0.0, None) for name in texts}
    else:
        places = {name: _segment(name, entry, folder) for name, entry in _table(folder / "segments").items()}
    rows = []
    for name, text in texts.items():
        if name not in places:
            raise DataError(f"{folder / 'text'}: the utterance {name} has no line in segments: write or remove it.")
        recording, begin, end = places[name]
        if recording not in files:
            raise DataError(f"{folder / 'wav.scp'}: the recording {recording} of utterance {name} is missing.")
        # Without speakers, Kaldi's recipes give every utterance its own.
        speaker = "" if speakers.get(name, name) == name else speakers[name]
        file, channel = files[recording]
        rows.append(Row(file, text, speaker, name, begin, None if end is None else end - begin, channel))
    return rows


def _table(path: Path, may_be_empty: bool = False) -> dict[str, str]:
    """Lines of a key and the rest."""
    table: dict[str, str] = {}
    for place, line in lines_of(path):
        key, _, rest = line.strip().replace("\t", " ", 1).partition(" ")
        if key in table:
            raise DataError(f"{path}, line {place}: {key} occurs twice.")
        if not rest.strip() and not may_be_empty:
            raise DataError(f"{path}, line {place}: {key} has no value.")
        table[key] = rest.strip()
    return table


def _segment(name: str, entry: str, folder: Path) -> tuple[str, float, float | None]:
    place = f"{folder / 'segments'}, utterance {name}"
    parts = entry.split()
    if len(parts) != 3:
        raise DataError(f"{place}: expected a recording, its start and its end, not {entry!r}.")
    begin = number(parts[1], "the start", place) or 0.0
    if parts[2] == "-1":  # to the end of the recording
        return parts[0], begin, None
    end = number(parts[2], "the end", place) or 0.0
    if end <= begin:
        raise DataError(f"{place}: it ends at {end:g} s, not after its start at {begin:g} s.")
    return parts[0], begin, end


def _file_and_channel(entry: str, folder: Path) -> tuple[Path, int | None]:
    """The file and channel of an entry in wav.scp.

    Paths are relative to the folder in which Kaldi runs, the one above data/, or else to the data directory.
    """
    if not entry.endswith("|"):
        return _existing(entry, folder), None
    try:
        words = shlex.split(entry[:-1])
    except ValueError as error:
        raise DataError(f"{folder / 'wav.scp'}: {entry!r} cannot be read ({error}): correct the line.") from None
    program = Path(words[0]).name if words else ""
    files = [word for word in words[1:] if Path(word).suffix.lower() in AUDIO]
    if program not in DECODERS or "|" in words or len(files) != 1 or _is_cut(program, words):
        raise DataError(
            f"{folder / 'wav.scp'}: {entry!r} is the output of a program, and programs in data are not run: write the "
            "audio to files and name those."
        )
    return _existing(files[0], folder), _channel(words, entry, folder) if program == "sph2pipe" else None


def _is_cut(program: str, words: Sequence[str]) -> bool:
    """Whether a decoder writes only a part of the file."""
    if program == "sph2pipe":
        return any(word.startswith(("-t", "-s")) for word in words[1:])
    return program == "flac" and any(word.startswith(("--skip", "--until")) for word in words[1:])


def _channel(words: Sequence[str], entry: str, folder: Path) -> int | None:
    """The channel that sph2pipe's option -c names, counted from 0."""
    for place, word in enumerate(words):
        if word.startswith("-c"):
            number = word[2:] or " ".join(words[place + 1 : place + 2])
            if number not in ("1", "2"):
                raise DataError(f"{folder / 'wav.scp'}: {entry!r} names the channel {number!r}: sph2pipe has 1 and 2.")
            return int(number) - 1
    return None


def _existing(written: str, folder: Path) -> Path:
    candidates = [audio_path(written, place) for place in (folder, Path.cwd(), *folder.absolute().parents[:3])]
    return next((path for path in candidates if path.is_file()), candidates[0])


PROGRAMS = {".flac": "flac -c -d -s {} |", ".sph": "sph2pipe -f wav -p -c 1 {} |"}
"""How Kaldi reads formats other than WAV."""


def export(splits: Mapping[str, Sequence[Utterance]], folder: Path) -> None:
    """Writes SPLIT/{wav.scp,text,utt2spk,spk2utt,segments}, sorted by bytes as `LC_ALL=C sort` does.

    Kaldi requires utterance ids to sort by speaker too: an id that does not begin with its speaker is prefixed with it.
    An utterance without speaker is its own speaker. There is no segments file where each utterance is a whole file.

    Raises:
        DataError: An id, a speaker or a path contains a space, or a file cannot be read.
    """
    for split, utterances in splits.items():
        (folder / split).mkdir(exist_ok=True)
        _write(sorted(((_id(utterance), utterance) for utterance in utterances), key=_bytes), folder / split)


def _write(named: Sequence[tuple[str, Utterance]], folder: Path) -> None:
    speakers = {name: utterance.speaker or name for name, utterance in named}
    of_speaker = defaultdict(list)
    for name, speaker in speakers.items():
        of_speaker[speaker].append(name)
    counts: dict[Path, int] = defaultdict(int)
    for _, utterance in named:
        counts[utterance.audio_filepath] += 1
    tables = {
        "text": [f"{name} {utterance.text}" for name, utterance in named],
        "utt2spk": [f"{name} {speaker}" for name, speaker in speakers.items()],
        "spk2utt": [f"{speaker} {' '.join(names)}" for speaker, names in sorted(of_speaker.items(), key=_bytes)],
    }
    if all(counts[utterance.audio_filepath] == 1 and _is_whole(utterance) for _, utterance in named):
        tables["wav.scp"] = [f"{name} {_entry(utterance.audio_filepath)}" for name, utterance in named]
    else:
        recordings = _recordings(counts)
        tables["wav.scp"] = [
            f"{name} {_entry(path)}" for path, name in sorted(recordings.items(), key=lambda x: x[1].encode())
        ]
        tables["segments"] = [
            f"{name} {recordings[utterance.audio_filepath]} {utterance.offset:.6f} "
            f"{utterance.offset + utterance.duration:.6f}"
            for name, utterance in named
        ]
    for name, lines in tables.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _id(utterance: Utterance) -> str:
    for what, value in (("id", utterance.id), ("speaker", utterance.speaker)):
        if value.split() not in ([], [value]):
            raise DataError(f"Utterance {utterance.id}: Kaldi allows no space in its {what} {value!r}: rename it.")
    own = utterance.id.startswith(utterance.speaker)
    return utterance.id if own else f"{utterance.speaker}-{utterance.id}"


def _bytes(item: tuple[str, object]) -> bytes:
    return item[0].encode()


def _recordings(paths: Mapping[Path, int]) -> dict[Path, str]:
    """An id for each file: its name, numbered where names repeat."""
    taken: dict[str, int] = {}
    names = {}
    for path in paths:
        name = path.stem.replace(" ", "_")
        number = taken.get(name, 0)
        taken[name] = number + 1
        names[path] = f"{name}.{number}" if number else name
    return names


def _is_whole(utterance: Utterance) -> bool:
    try:
        frames = soundfile.info(utterance.audio_filepath).frames
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"The audio file {utterance.audio_filepath} cannot be read ({error}).") from None
    return utterance.offset == 0 and abs(frames - utterance.samples) <= 1


def _entry(path: Path) -> str:
    if " " in str(path):
        raise DataError(f"Kaldi allows no space in the path {path}: move the audio.")
    return PROGRAMS.get(path.suffix.lower(), "{}").format(path)
