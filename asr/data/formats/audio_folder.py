"""A folder of recordings: x.wav with its transcript in x.txt, optionally in folders of splits and speakers; or with
LibriSpeech's files of transcripts."""

import logging
from pathlib import Path

from asr.common.errors import DataError, listed
from asr.common.files import lines_of, read_text
from asr.data.audio_paths import AUDIO, MEDIA, audio_below, files_below
from asr.data.formats.rows import Row, split_of

log = logging.getLogger(__name__)

OF_CHAPTERS = ".trans.txt"
"""Ends the names of LibriSpeech's transcripts, a line for each recording beside them: its name, and what is said."""


def matches(source: Path) -> bool:
    """Whether it is a folder with audio."""
    return source.is_dir() and next(audio_below(source, MEDIA), None) is not None


def read(source: Path) -> dict[str | None, list[Row]]:
    """Reads SPLIT/SPEAKER/ID.wav with ID.txt, where SPLIT and SPEAKER may be left out, or with a line in *.trans.txt.

    Raises:
        DataError: Audio has no transcript or is of a kind that is not read, or a transcript cannot be read.
    """
    texts: dict[Path, Path] = {}
    """The file of each transcript by its usual name: TIMIT has them as .TXT."""
    media: list[Path] = []
    for path in files_below(source):
        if path.suffix.lower() == ".txt":
            texts[path.with_suffix(".txt")] = path
        elif path.suffix.lower() in MEDIA:
            media.append(path)
    lines: dict[Path, str] = {}
    """The transcripts in files of several, by what the file of each alone would be."""
    alone = {path.with_suffix(".txt") for path in media}
    for path in [path for path in texts if path.name.endswith(OF_CHAPTERS) and path not in alone]:
        lines |= _lines(texts.pop(path))
    rows: dict[str | None, list[Row]] = {}
    without = []
    for path in sorted(path for path in media if path.suffix.lower() in AUDIO):
        transcript = path.with_suffix(".txt")
        if transcript not in texts and transcript not in lines:
            without.append(path)
            continue
        text = " ".join(read_text(texts[transcript]).split()) if transcript in texts else lines[transcript]
        folders = path.relative_to(source).parts[:-1]
        split = split_of(folders[0]) if folders else None
        within = folders[1:] if split else folders
        rows.setdefault(split, []).append(Row(path, text, speaker=within[0] if within else ""))
    for row in (row for part in rows.values() for row in part):
        texts.pop(row.audio.with_suffix(".txt"), None)
    if unread := sorted(path for path in media if path.with_suffix(".txt") in texts):
        raise DataError(
            f"{source}: {len(unread)} recordings with transcripts are of kinds that are not read here: "
            f"{listed(unread)}: convert them to WAV or FLAC."
        )
    if without:
        raise DataError(
            f"{source}: {len(without)} audio files have no transcript beside them: {listed(without)}: write each, as "
            f"{without[0].with_suffix('.txt').name}, or remove the audio; if a table names them, set data.source to it."
        )
    if texts:
        log.info("%s: %d texts have no audio beside them: %s.", source, len(texts), listed(sorted(texts.values())))
    if unused := sorted(lines.keys() - alone):
        names = listed([str(path.with_suffix("")) for path in unused])
        log.warning("%s: %d lines of *%s have no audio beside them: %s.", source, len(unused), OF_CHAPTERS, names)
    return rows


def _lines(path: Path) -> dict[Path, str]:
    """The transcripts of a file of several."""
    lines: dict[Path, str] = {}
    for number, line in lines_of(path):
        name, *words = line.split()
        own = path.with_name(f"{name}.txt")
        if own in lines:
            raise DataError(f"{path}, line {number}: {name} occurs twice: remove one of the lines.")
        lines[own] = " ".join(words)
    return lines
