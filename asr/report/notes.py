"""Notes on runs and utterances, in notes.json in the folder of a report."""

import json
import logging
from pathlib import Path
from typing import Any

from asr.common.documents import read_json
from asr.common.files import atomic_write_text
from asr.report.data_files import write_data

log = logging.getLogger(__name__)

NOTES = "notes.json"
KINDS = ("runs", "utterances")
LONGEST = 10_000
"""Characters of a note."""

Notes = dict[str, dict[str, str]]
"""The text of each note by its kind and the key of what it is on: RECIPE/RUN, or RECIPE/SPLIT/ID."""


def read_notes(report: Path) -> Notes:
    """The notes in the folder of a report; none, with a warning, where the file is damaged."""
    try:
        return _read(report)
    except ValueError as error:
        log.warning("%s The page has no notes.", error)
        return {kind: {} for kind in KINDS}


def publish_notes(report: Path) -> None:
    """Makes the notes a part of the page."""
    write_data(report, "notes", read_notes(report))


def save_note(report: Path, note: Any) -> None:
    """Keeps a note, {"kind": ..., "key": ..., "text": ...}; an empty text removes it.

    Raises:
        ValueError: It is no such note, or the file of the others is damaged.
    """
    known = isinstance(note, dict) and all(isinstance(note.get(name), str) for name in ("kind", "key", "text"))
    if not known or note["kind"] not in KINDS or not note["key"] or len(note["text"]) > LONGEST:
        raise ValueError(f"A note has a kind ({' or '.join(KINDS)}), a key and a text of {LONGEST} characters at most.")
    notes = _read(report)
    notes[note["kind"]][note["key"]] = note["text"]
    kept = {kind: {key: text for key, text in found.items() if text} for kind, found in notes.items()}
    atomic_write_text(report / NOTES, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    publish_notes(report)


def _read(report: Path) -> Notes:
    path = report / NOTES
    try:
        read: Any = read_json(path)
        notes = {kind: dict(read.get(kind, {})) for kind in KINDS}
    except FileNotFoundError:
        return {kind: {} for kind in KINDS}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} has no notes that can be read ({error}): correct or remove it.") from None
    if not all(isinstance(text, str) for found in notes.values() for text in found.values()):
        raise ValueError(f"{path} has a note that is no text: correct or remove it.")
    return notes
