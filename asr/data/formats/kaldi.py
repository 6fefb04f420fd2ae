"""Kaldi's data directories: wav.scp, text, and optionally utt2spk and segments.

Source: https://kaldi-asr.org/doc/data_prep.html
"""

import logging
import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import soundfile

from asr.common.errors import DataError, listed
from asr.common.files import lines_of
from asr.data.audio_paths import AUDIO, entries
from asr.data.formats.kaldi_names import (
    ORIGINALS,
    RESERVED,
    Named,
    escaped,
    named,
    original_lines,
    read_originals,
    unprintable,
)
from asr.data.formats.rows import Place, Row, audio_path, number, split_of
from asr.data.utterance import Utterance

log = logging.getLogger(__name__)

NEEDED = ("wav.scp", "text")
MARKS = ("wav.scp", "feats.scp")
"""Files that only data directories of Kaldi have."""
ARCHIVE = re.compile(r"\.ark:\d+$")
DECODERS = ("flac", "sph2pipe", "cat")
"""Programs in wav.scp that only decode a file, which libsndfile does too: none of them is run."""


def matches(source: Path) -> bool:
    """Whether it is a data directory or a folder of data directories."""
    return bool(_folders(source))


def read(source: Path) -> dict[str | None, list[Row]]:
    """Reads a data directory, or each of several as the split that it is named after.

    Segments and recordings without a line in `text` are left out, and the log says how many.

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
    return [folder for folder in (source, *entries(source)) if any((folder / name).is_file() for name in MARKS)]


def _rows(folder: Path) -> list[Row]:
    if missing := [name for name in NEEDED if not (folder / name).is_file()]:
        raise DataError(
            f"{folder} is a data directory of Kaldi without {' and '.join(missing)}: write it; recordings come from "
            "wav.scp and transcripts from text, and the features in feats.scp are not read."
        )
    recordings, texts = _table(folder / "wav.scp"), _table(folder / "text", may_be_empty=True)
    files = {name: _file_and_channel(entry, folder, place) for name, (place, entry) in recordings.items()}
    speakers = _table(folder / "utt2spk") if (folder / "utt2spk").is_file() else {}
    genders = _table(folder / "spk2gender") if (folder / "spk2gender").is_file() else {}
    has_segments = (folder / "segments").is_file()
    entries_of_segments = _table(folder / "segments") if has_segments else {}
    originals = read_originals(folder)
    rows = []
    for name, (place, text) in texts.items():
        if not has_segments:
            recording, begin, end = name, 0.0, None
        elif name in entries_of_segments:
            recording, begin, end = _segment(*entries_of_segments[name])
        else:
            raise DataError(f"{place}: the utterance {name} has no line in segments: write or remove it.")
        if recording not in files:
            raise DataError(
                f"{folder / 'wav.scp'}: the recording {recording} of utterance {name} ({place}) is missing: write its "
                "line, or remove the utterance."
            )
        # Without speakers, Kaldi's recipes give every utterance its own.
        speaker = speakers[name][1] if name in speakers else name
        extra = (("gender", genders[speaker][1]),) if speaker in genders else ()
        id, speaker = originals.get(name, (name, "" if speaker == name else speaker))
        file, channel = files[recording]
        duration = None if end is None else end - begin
        rows.append(Row(file, text, speaker, id, begin, duration, channel, place, extra=extra))
    _tell_unused(folder, "segments" if has_segments else "wav.scp", entries_of_segments or recordings, texts, "text")
    if speakers:
        _tell_unused(folder, "text", texts, speakers, "utt2spk")
    return rows


def _tell_unused(folder: Path, name: str, there: Collection[str], used: Collection[str], by: str) -> None:
    if unused := [key for key in there if key not in used]:
        log.warning(
            "%s: %d of %d lines have none in %s: %s.", folder / name, len(unused), len(there), by, listed(unused)
        )


def _table(path: Path, may_be_empty: bool = False) -> dict[str, tuple[Place, str]]:
    """Lines of a key and the rest."""
    table: dict[str, tuple[Place, str]] = {}
    for number_of_line, line in lines_of(path):
        place = Place(str(path), number_of_line)
        key, _, rest = line.strip().replace("\t", " ", 1).partition(" ")
        if key in table:
            raise DataError(f"{place}: {key} occurs twice, first in line {table[key][0].number}: remove one of them.")
        if not rest.strip() and not may_be_empty:
            raise DataError(f"{place}: {key} has no value: write it, or remove the line.")
        table[key] = place, rest.strip()
    return table


def _segment(place: Place, entry: str) -> tuple[str, float, float | None]:
    parts = entry.split()
    if len(parts) != 3:
        raise DataError(f"{place}: expected a recording, its start and its end, not {entry!r}: correct the line.")
    begin = number(parts[1], "the start", place) or 0.0
    if parts[2] == "-1":  # to the end of the recording
        return parts[0], begin, None
    end = number(parts[2], "the end", place) or 0.0
    if end <= begin:
        raise DataError(f"{place}: it ends at {end:g} s, not after its start at {begin:g} s: correct the line.")
    return parts[0], begin, end


def _file_and_channel(entry: str, folder: Path, place: Place) -> tuple[Path, int | None]:
    """The file and channel of an entry in wav.scp.

    Paths are relative to the folder in which Kaldi runs, the one above data/, or else to the data directory.
    """
    if ARCHIVE.search(entry):
        raise DataError(f"{place}: {entry!r} is a place in an archive, which is not read: write the audio to files.")
    if not entry.endswith("|"):
        return _existing(entry, folder, place), None
    try:
        words = shlex.split(entry[:-1])
    except ValueError as error:
        raise DataError(f"{place}: {entry!r} cannot be read ({error}): correct the line.") from None
    program = Path(words[0]).name if words else ""
    files = [word for word in words[1:] if program == "cat" or Path(word).suffix.lower() in AUDIO]
    if program not in DECODERS or "|" in words or len(files) != 1 or _is_cut(program, words):
        raise DataError(
            f"{place}: {entry!r} is the output of a program, and programs in data are not run: write the audio to "
            "files and name those."
        )
    return _existing(files[0], folder, place), _channel(words, entry, place) if program == "sph2pipe" else None


def _is_cut(program: str, words: Sequence[str]) -> bool:
    """Whether a decoder writes only a part of the file."""
    if program == "sph2pipe":
        return any(word.startswith(("-t", "-s")) for word in words[1:])
    return program == "flac" and any(word.startswith(("--skip", "--until")) for word in words[1:])


def _channel(words: Sequence[str], entry: str, place: Place) -> int | None:
    """The channel that sph2pipe's option -c names, counted from 0."""
    for position, word in enumerate(words):
        if word.startswith("-c"):
            channel = word[2:] or " ".join(words[position + 1 : position + 2])
            if channel not in ("1", "2"):
                raise DataError(f"{place}: {entry!r} names the channel {channel!r}: sph2pipe has 1 and 2.")
            return int(channel) - 1
    return None


def _existing(written: str, folder: Path, place: Place) -> Path:
    above = (Path.cwd(), *folder.absolute().parents[:3], *folder.resolve().parents[:3])
    return audio_path(written, folder, place, above)


PROGRAMS = {".flac": "flac -c -d -s {} |", ".sph": "sph2pipe -f wav -p -c 1 {} |"}
"""How Kaldi reads formats other than WAV."""
MISREAD = re.compile(r"\s|\||:\d+$")
"""In a path, what ends a column for many scripts, or is a pipe or an offset into the file for Kaldi."""


def export(splits: Mapping[str, Sequence[Utterance]], folder: Path) -> None:
    """Writes SPLIT/{wav.scp,text,utt2spk,spk2utt,segments}, sorted by bytes as `LC_ALL=C sort` does.

    Ids and speakers that Kaldi does not take get other names, and utt2original, from which `read` has their own. There
    is no segments file where each utterance is a whole file.

    Raises:
        DataError: A transcript has what Kaldi's scripts refuse, or a file cannot be read.
    """
    for split, utterances in named(splits).items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        for name, lines in _tables(utterances).items():
            (folder / split / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            if not lines:  # nor one of an earlier export
                (folder / split / name).unlink()


def _tables(utterances: Sequence[Named]) -> dict[str, list[str]]:
    """The lines of each file of a data directory."""
    of_speaker = defaultdict(list)
    counts: dict[Path, int] = defaultdict(int)
    for one in utterances:
        of_speaker[one.speaker].append(one.name)
        counts[one.utterance.audio_filepath] += 1
    tables = {
        "text": [f"{one.name} {_text(one.utterance)}" for one in utterances],
        "utt2spk": [f"{one.name} {one.speaker}" for one in utterances],
        "spk2utt": [f"{speaker} {' '.join(names)}" for speaker, names in of_speaker.items()],
        ORIGINALS: original_lines(utterances),
        "segments": [],
    }
    if all(counts[one.utterance.audio_filepath] == 1 and _is_whole(one.utterance) for one in utterances):
        return tables | {"wav.scp": [f"{one.name} {_entry(one.utterance.audio_filepath)}" for one in utterances]}
    recordings = _recordings(counts)
    by_name = sorted((name.encode(), path) for path, name in recordings.items())
    return tables | {
        "wav.scp": [f"{name.decode()} {_entry(path)}" for name, path in by_name],
        "segments": [
            f"{one.name} {recordings[one.utterance.audio_filepath]} {one.utterance.offset:.6f} "
            f"{one.utterance.offset + one.utterance.duration:.6f}"
            for one in utterances
        ],
    }


def _text(utterance: Utterance) -> str:
    """A transcript, if utils/validate_data_dir.sh takes it."""
    odd = {c for c in utterance.text if (c.isspace() and c not in " \t") or unprintable(c)}
    found = [f"U+{ord(c):04X}" for c in sorted(odd)] + RESERVED.findall(utterance.text)
    if found:
        raise DataError(
            f"{utterance.place}: Kaldi refuses {', '.join(found)} in a transcript: correct it, or prepare the corpus "
            "with text.normalize=true."
        )
    return utterance.text


def _recordings(paths: Iterable[Path]) -> dict[Path, str]:
    """An id for each file: its name, numbered where names repeat."""
    taken: dict[str, int] = {}
    names = {}
    for path in paths:
        name = stem = escaped(path.stem.replace(" ", "_"))
        while name in taken:
            name, taken[stem] = f"{stem}.{taken[stem] + 1}", taken[stem] + 1
        taken[name] = 0
        names[path] = name
    return names


def _is_whole(utterance: Utterance) -> bool:
    try:
        frames = soundfile.info(utterance.audio_filepath).frames
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"The audio file {utterance.audio_filepath} cannot be read ({error}).") from None
    return utterance.offset == 0 and abs(frames - utterance.samples) <= 1


def _entry(path: Path) -> str:
    """How Kaldi reads a file: by its path, or where that would be misread by a program that gives its content."""
    if any(character in str(path) for character in "\n\r"):
        raise DataError(f"Kaldi allows no line break in the path {str(path)!r}: rename it.")
    program = PROGRAMS.get(path.suffix.lower())
    if program is None and not MISREAD.search(str(path)):
        return str(path)
    return (program or "cat {} |").format(shlex.quote(str(path)))
