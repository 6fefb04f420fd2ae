"""Kaldi's data directories: wav.scp, text, and where there are any utt2spk and segments.

Source: https://kaldi-asr.org/doc/data_prep.html
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from asr.data.sources.folder import AUDIO
from asr.data.sources.rows import Row, audio_path, lines_of, number, split_of
from asr.errors import DataError

NEEDED = ("wav.scp", "text")
DECODERS = ("flac", "sph2pipe", "cat")
"""Programs in wav.scp that only decode a file, which libsndfile does as well: nothing that stands there is run."""


def matches(source: Path) -> bool:
    """Whether it is a data directory or a folder that holds some."""
    return bool(_folders(source))


def read(source: Path) -> dict[str | None, list[Row]]:
    """Reads a data directory, or each of several as the split that it is named after.

    Raises:
        DataError: An entry is incomplete, or made by a program; a directory is not named after a split.
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
            raise DataError(f"{path}, line {place}: {key} stands there twice.")
        if not rest.strip() and not may_be_empty:
            raise DataError(f"{path}, line {place}: nothing stands behind {key}.")
        table[key] = rest.strip()
    return table


def _segment(name: str, entry: str, folder: Path) -> tuple[str, float, float | None]:
    place = f"{folder / 'segments'}, utterance {name}"
    parts = entry.split()
    if len(parts) != 3:
        raise DataError(f"{place}: a recording, its beginning and its end belong there, not {entry!r}.")
    begin = number(parts[1], "the beginning", place) or 0.0
    if parts[2] == "-1":  # to the end of the recording
        return parts[0], begin, None
    end = number(parts[2], "the end", place) or 0.0
    if end <= begin:
        raise DataError(f"{place}: it ends at {end:g} s, before its beginning at {begin:g} s.")
    return parts[0], begin, end


def _file_and_channel(entry: str, folder: Path) -> tuple[Path, int | None]:
    """What an entry of wav.scp names, relative to where Kaldi is run: the folder above data/, or else this one."""
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
            f"{folder / 'wav.scp'}: {entry!r} is made by a program, and nothing that stands in data is run: write the "
            "audio to files and name those."
        )
    return _existing(files[0], folder), _channel(words, entry, folder) if program == "sph2pipe" else None


def _is_cut(program: str, words: Sequence[str]) -> bool:
    """Whether a decoder writes a part of the file alone."""
    if program == "sph2pipe":
        return any(word.startswith(("-t", "-s")) for word in words[1:])
    return program == "flac" and any(word.startswith(("--skip", "--until")) for word in words[1:])


def _channel(words: Sequence[str], entry: str, folder: Path) -> int | None:
    """The channel that sph2pipe's option -c names, from 0 on."""
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
