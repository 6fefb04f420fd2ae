"""Marks: what a person who listened says of utterances, to be left out or to get another transcript.

They stand in `marks.jsonl`, in the folder of the recipe or beside the manifests, a JSON object in each line:
{"id": "an251-fash-b", "drop": true} or {"id": "an253-fash-b", "text": "GO"}.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr.common.errors import DataError, listed
from asr.common.files import lines_of
from asr.data.manifest import read_manifest, require_all, write_manifest
from asr.data.utterance import Utterance, text_fault

log = logging.getLogger(__name__)

MARKS = "marks.jsonl"
LEFT_OUT = "left_out.jsonl"
"""Beside the manifests: what was removed from them, and why."""

Manifests = Mapping[str, Path]
"""By split."""


@dataclass(frozen=True)
class Mark:
    """What is to be done with an utterance."""

    text: str | None
    """Its transcript; None drops it."""
    place: str
    """The line that says so."""


def read_marks(folders: Sequence[Path]) -> dict[str, Mark]:
    """The marks in folders, by the ids of utterances; those of later folders replace those of earlier ones.

    Raises:
        DataError: A line is no mark, or an utterance is marked twice in a file.
    """
    marks: dict[str, Mark] = {}
    for path in dict.fromkeys(folder / MARKS for folder in folders):
        if path.is_file():
            marks |= _read(path)
    return marks


def _read(path: Path) -> dict[str, Mark]:
    marks: dict[str, Mark] = {}
    for number, line in lines_of(path):
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: not a JSON object ({error}): correct or remove the line.") from None
        name, text = (row.get("id"), row.get("text")) if isinstance(row, dict) else (None, None)
        drops = isinstance(row, dict) and row.get("drop") is True
        if not isinstance(name, str) or drops is (text is not None) or not isinstance(text, str | None):
            raise DataError(
                f'{place}: a mark is {{"id": "ID", "drop": true}} or {{"id": "ID", "text": "TRANSCRIPT"}}: correct the '
                "line."
            )
        if text is not None and (not text.strip() or text_fault("text", text) or len(text.splitlines()) > 1):
            raise DataError(
                f"{place}: the transcript of {name} is empty or not one line of text: write it, or drop it."
            )
        if name in marks:
            raise DataError(f"{place}: {name} is marked twice, first in {marks[name].place}: remove one of the lines.")
        marks[name] = Mark(text, place)
    return marks


def unapplied(manifests: Manifests, marks: Mapping[str, Mark]) -> list[tuple[str, str]]:
    """The split and the id of each marked utterance whose manifest does not follow its mark."""
    return [
        (split, utterance.id)
        for split, path in manifests.items()
        for utterance in read_manifest(path)
        if utterance.id in marks and marks[utterance.id].text != utterance.text
    ]


def apply_marks(manifests: Manifests, marks: Mapping[str, Mark]) -> list[tuple[str, str]]:
    """Rewrites manifests as marks ask for; each as it was stays beside it, as of `rewrite`.

    Returns:
        The split and the id of each utterance that is dropped or gets another transcript.

    Raises:
        DataError: Nothing would be left of a split; then nothing is written.
    """
    changes = unapplied(manifests, marks)
    if unknown := _unknown(manifests, marks):
        log.warning("%d marks are of no utterance of the manifests: %s.", len(unknown), listed(unknown))
    if not changes:
        return []
    splits = {split: read_manifest(path) for split, path in manifests.items()}
    dropped = {place: [f"dropped by {marks[place[1]].place}"] for place in changes if marks[place[1]].text is None}
    kept = {
        split: [
            _followed(utterance, marks.get(utterance.id))
            for utterance in utterances
            if (split, utterance.id) not in dropped
        ]
        for split, utterances in splits.items()
    }
    rewrite(manifests, splits, kept, dropped)
    return changes


def _followed(utterance: Utterance, mark: Mark | None) -> Utterance:
    return utterance if mark is None or mark.text is None else replace(utterance, text=mark.text)


def _unknown(manifests: Manifests, marks: Mapping[str, Mark]) -> list[str]:
    known = {utterance.id for path in manifests.values() for utterance in read_manifest(path)}
    originals = [path.with_name(f"{split}.original.jsonl") for split, path in manifests.items()]
    known |= {utterance.id for path in originals if path.is_file() for utterance in read_manifest(path)}
    return [name for name in marks if name not in known]


def rewrite(
    manifests: Manifests,
    before: Mapping[str, Sequence[Utterance]],
    after: Mapping[str, Sequence[Utterance]],
    reasons: Mapping[tuple[str, str], Sequence[str]],
) -> None:
    """Writes the manifests of the splits that change. Each as it was stays beside it as SPLIT.original.jsonl, and
    left_out.jsonl says what was removed and why.

    Args:
        manifests: Of all splits.
        before: Their utterances.
        after: What is left of them.
        reasons: Why an utterance, by its split and id, is removed.

    Raises:
        DataError: Nothing would be left of a split, or utterances are lost; then nothing is written.
    """
    for split, utterances in after.items():
        if not utterances:
            raise DataError(f"Every utterance of {split} is to be left out, which would leave nothing of it.")
        removed = sum(place == split for place, _ in reasons)
        require_all(len(before[split]) - removed, len(utterances), f"utterances left in {split}")
    for split, utterances in after.items():
        same = len(utterances) == len(before[split])
        if same and all(one == other for one, other in zip(utterances, before[split], strict=True)):
            continue
        path = manifests[split]
        original = path.with_name(f"{split}.original.jsonl")
        if not original.exists():
            require_all(len(before[split]), write_manifest(original, before[split]), f"lines of {original}")
        require_all(len(utterances), write_manifest(path, utterances), f"lines of {path}")
        log.info("%s: %d utterances, of %d before.", path, len(utterances), len(before[split]))
        with (path.parent / LEFT_OUT).open("a", encoding="utf-8") as lines:
            for (place, name), why in reasons.items():
                if place == split:
                    lines.write(json.dumps({"split": split, "id": name, "reasons": why}, ensure_ascii=False) + "\n")
