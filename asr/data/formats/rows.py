"""Rows: what each format says about an utterance, and how rows become utterances."""

import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import soundfile

from asr.common.errors import DataError, faults_among
from asr.common.files import expanded
from asr.common.processes import map_blocks
from asr.data.audio_paths import AUDIO, MEDIA, foreign, is_there
from asr.data.headers import count_samples, length_fault
from asr.data.splits import SPLITS
from asr.data.utterance import LONGEST_LINE, Extra, OneChannel, Utterance, is_whole, quoted, text_fault

log = logging.getLogger(__name__)

ROUNDING_SECONDS = 0.011
"""Durations that differ from the file's by less were rounded, as to milliseconds or frames."""

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "valid", "validation", "val", "cv"), "dev"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""Names of the splits in other toolkits and corpora."""

AUDIO_ENDINGS = sorted(AUDIO)

LINE_BREAKS = re.compile(r"\s*[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]\s*")
"""In a transcript each is a space, so that an utterance stays one line in every format."""


class Place(NamedTuple):
    """Where a source says something; prints as `FILE, line 3`."""

    file: str
    number: int
    unit: str = "line"

    def __str__(self) -> str:
        return f"{self.file}, {self.unit} {self.number}"


@dataclass(frozen=True, slots=True)
class Row:
    """What a source says about one utterance; None is read from the file."""

    audio: Path
    text: str
    speaker: str = ""
    id: str | None = None
    """Where the source gives one that must be kept; else it is made of the name."""
    offset: float = 0.0
    """Where the utterance begins in the file (s)."""
    duration: float | None = None
    """In seconds; None is to the end of the file."""
    channel: int | None = None
    """The channel, counted from 0; None where the source names none."""
    place: Place | None = None
    """Where the source says all this; None where the file is all that there is."""
    name: str | None = None
    """The id, if no other row has this name; None is the name of the file."""
    alternative: str | None = None
    """The id, if another row has this name; None is the path below the source."""
    extra: Extra = ()
    """Further fields of the utterance."""

    @property
    def origin(self) -> str:
        """Where it comes from, with which messages about it begin."""
        return str(self.place or self.audio)


Rows = Mapping[str | None, Sequence[Row]]
"""The rows of each split; None holds those whose split the source does not say."""


def split_of(name: str) -> str | None:
    """The split that a file, a folder or a label is named after, as dev for cuts_validation.jsonl, else None."""
    found = {SPLIT_NAMES[word] for word in re.split("[^a-z]+", name.lower()) if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def read_by_split(
    files: Sequence[Path], read: Callable[[Path], Sequence[Row]], source: Path
) -> dict[str | None, list[Row]]:
    """Reads files that are a split each, or a single file with everything, which were found in a source.

    Raises:
        DataError: One of several files is not named after a split, nor in a folder below the source that is.
    """
    below = {file: source.is_dir() and file.parent != source for file in files}
    splits = {file: split_of(file.parent.name if below[file] else file.name) for file in files}
    if len(files) > 1 and None in splits.values():
        odd = next(file for file, split in splits.items() if split is None)
        raise DataError(
            f"{source} has {len(files)} files of one kind, and {odd.name} is not named after one of "
            f"{', '.join(SPLITS)}: set data.source to a single file, or name each after its split."
        )
    rows: dict[str | None, list[Row]] = {}
    for file, split in splits.items():
        rows.setdefault(split, []).extend(read(file))
    return rows


def utterances_of(rows: Rows, root: Path) -> dict[str | None, list[Utterance]]:
    """Reads the headers of all files, in parallel, and gives each utterance a unique id.

    Where names are not unique, ids are made from what the row says instead, else from the path below the root.

    Raises:
        DataError: Files are missing or not audio, which are named together, or two rows have the same id.
    """
    flat = [(split, row) for split, part in rows.items() for row in part]
    ids = _ids([row for _, row in flat], root)
    named = [replace(row, id=name) for (_, row), name in zip(flat, ids, strict=True)]
    utterances: dict[str | None, list[Utterance]] = {split: [] for split in rows}
    outcomes = map_blocks(_read_headers, named, 4096, "Reading headers", "files")
    if faults := [outcome for outcome in outcomes if isinstance(outcome, str)]:
        remedy = "rename or replace the file, or correct or remove its row"
        if len(faults) == len(flat) and (there := _found_elsewhere(flat[0][1].audio, root)) is not None:
            remedy = (
                f"such paths are seen from the folder of the file that names them, and {flat[0][1].audio.name} is at "
                f"{there}: move the file that names it, or correct the paths"
            )
        raise faults_among(faults, len(flat), f"utterances of {root}", remedy)
    for (split, _), outcome in zip(flat, outcomes, strict=True):
        assert isinstance(outcome, Utterance)
        utterances[split].append(outcome)
    return utterances


def _found_elsewhere(audio: Path, root: Path) -> Path | None:
    """Where a missing file below a root is, seen from a folder above the root or from one in it."""
    if not audio.is_relative_to(root) or is_there(audio):
        return None
    folders = (*root.parents[:3], *sorted(path for path in root.iterdir() if path.is_dir()))
    return next((path for folder in folders if is_there(path := folder / audio.relative_to(root))), None)


def _read_headers(rows: Sequence[Row]) -> list[Utterance | str]:
    return [_read_header(row) for row in rows]


def _read_header(row: Row) -> Utterance | str:
    """The utterance of a row, or what is wrong with it."""
    assert row.id is not None
    file = f"{row.place}: the audio file {row.audio}" if row.place else f"the audio file {row.audio}"
    if not is_whole(str(row.audio)):
        return f"the name of the audio file {row.audio} is not in UTF-8, as manifests are"
    if not is_there(row.audio):
        return f"{file} does not exist"
    if not row.audio.is_file():
        return f"{file} is {'a folder' if row.audio.is_dir() else 'a pipe or a device'} and no file"
    try:
        info = soundfile.info(row.audio)
        samples = count_samples(row.audio, info.frames)
        fault = length_fault(row.audio, samples)
    except (soundfile.LibsndfileError, OSError) as error:
        return f"{file} cannot be decoded ({error})"
    for name, value in (("id", row.id), ("text", row.text), ("speaker", row.speaker)):
        if odd := text_fault(name, value):
            return f"{row.origin}: its {name} {odd}"
        if len(value.encode()) > LONGEST_LINE // 2:
            return f"{row.origin}: its {name} has {len(value):,} characters, {quoted(value)}"
    if fault is not None:
        return f"{file}: {fault}"
    seconds = samples / info.samplerate
    rest = seconds - row.offset
    duration = rest if row.duration is None or abs(row.duration - rest) < ROUNDING_SECONDS else row.duration
    if not duration > 0:
        return f"{file} has {seconds:g} s, but utterance {row.id} starts at {row.offset:g} s and lasts {duration:g} s"
    if row.channel is not None and row.channel >= info.channels:
        return f"{file} has {info.channels} channels, but utterance {row.id} is channel {row.channel + 1}"
    fields = (row.id, row.audio, row.offset, duration, LINE_BREAKS.sub(" ", row.text), row.speaker, info.samplerate)
    if row.channel is not None and info.channels > 1:
        return OneChannel(*fields, row.channel, extra=row.extra)
    return Utterance(*fields, extra=row.extra)


def _ids(rows: Sequence[Row], root: Path) -> list[str]:
    """Given ids; else names, and where those repeat, alternatives, and where those do, with their offsets."""
    names = [row.id or row.name or row.audio.stem for row in rows]
    others = [row.alternative or _path_id(row, root) for row in rows]
    with_offsets = [f"{other}-{round(1000 * row.offset):07d}" for other, row in zip(others, rows, strict=True)]
    first = names
    for candidates in (others, with_offsets):
        counts = Counter(names)
        names = [
            name if row.id is not None or counts[name] == 1 else candidate
            for name, candidate, row in zip(names, candidates, rows, strict=True)
        ]
    _refuse_repeated(names, rows)
    changed = [n for n, row in enumerate(rows) if row.name is not None and names[n] != first[n]]
    if changed:
        log.info(
            "%d ids of %s repeat, as %r: those are made of where they stand, as %r.",
            len(changed), root, first[changed[0]], names[changed[0]],
        )  # fmt: skip
    return names


def _refuse_repeated(names: Sequence[str], rows: Sequence[Row]) -> None:
    count = len(names) - len(set(names))
    if not count:
        return
    places: dict[str, Row] = {}
    for name, row in zip(names, rows, strict=True):
        earlier = places.setdefault(name, row)
        if earlier is row:
            continue
        more = f"; {count:,} rows repeat others" if count > 1 else ""
        if row.place is None:
            raise DataError(
                f"{row.audio} and {earlier.audio} would both be {name!r}{more}: remove or rename one of them."
            )
        if (earlier.audio, earlier.offset) == (row.audio, row.offset):
            same = f"with the same audio, {row.audio} at {row.offset:g} s{more}"
            raise DataError(f"{row.origin}: it repeats {earlier.origin}, {same}: remove one of them.")
        raise DataError(
            f"{row.origin}: the id {name!r} occurs twice, first in {earlier.origin}{more}: correct one, or where "
            "data.columns names the id, leave it out there."
        )


def _path_id(row: Row, root: Path) -> str:
    below = Path(os.path.relpath(row.audio, root))
    return "-".join((*below.parts[:-1], below.stem)).lstrip(".-")


def audio_path(written: str, folder: Path, place: object = "", others: Sequence[Path] = ()) -> Path:
    """The audio path that a source writes: absolute, or relative to a folder, or to one of others where it is there.

    Letters with marks are found composed and decomposed, since macOS names files decomposed, whatever a table has;
    and a name without an ending stands for the audio file of that name, as in tables made for speech synthesis.

    Raises:
        DataError: It is an address, or a path of Windows; names the place.
    """
    fault, path = foreign(written), _below(folder, written)
    if not written.isascii() and not is_there(path):
        forms = (unicodedata.normalize(form, written) for form in ("NFC", "NFD"))
        path = next((there for form in forms if is_there(there := _below(folder, form))), path)
    if path.suffix.lower() not in MEDIA and not is_there(path):
        path = next((there for end in AUDIO_ENDINGS if is_there(there := path.with_name(path.name + end))), path)
    if (fault or others) and not is_there(path):
        path = next((there for other in others if is_there(there := _below(other, written))), path)
        if fault and not is_there(path):
            shown = written if written.isprintable() else repr(written)
            raise DataError(f"{place}: the audio file {shown} {fault}.")
    return path


def _below(folder: Path, written: str) -> Path:
    return Path(os.path.normpath(folder.absolute() / expanded(written)))


def real_folders(file: Path) -> list[Path]:
    """The folder of a file that names audio, as it really is, where the file is a link or below one."""
    real = Path(os.path.realpath(file)).parent
    return [] if real == file.absolute().parent else [real]


def label(value: object, what: str, place: object) -> str | None:
    """A name from JSON, which may be a number; None for an empty value.

    Raises:
        DataError: It is something else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{place}: {what} is {str(value)[:40]}; it must be a text or a number.")
    return str(value)


def number(value: object, what: str, place: object) -> float | None:
    """A number of seconds from a table or JSON; None for an empty value.

    Raises:
        DataError: It is not a number, or is negative.
    """
    if value is None or value == "":
        return None
    try:
        seconds = float(value)  # type: ignore[arg-type]  # anything but a number raises
    except (TypeError, ValueError, OverflowError):
        seconds = -1.0
    if isinstance(value, bool) or not 0 <= seconds < 1e9:
        raise DataError(f"{place}: {what} is {quoted(str(value))}; it must be a number of seconds.")
    return seconds
