"""Utterances whose transcripts `asr check` found suspicious with a model, to be listened to and marked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr.checks.anomalies import RANKING
from asr.common.documents import json_object, read_text
from asr.data.utterance import Utterance
from asr.report.data_files import short_hash
from asr.report.runs import ODD
from asr.report.utterance_media import AudioChoice, make_clips

LISTED = 100
"""Of a corpus, the least fitting first."""
LEAST_SCORE = 0.3
"""Below it a transcript is not suspicious: a warning begins at `check.anomaly`, 0.5 by default."""


def suspicious_utterances(
    folder: Path, splits: Mapping[str, Sequence[Utterance]], audio: AudioChoice, report: Path
) -> list[dict[str, Any]]:
    """The utterances of the ranking beside the manifests whose transcripts are still the same; none where there is no
    ranking. Their audio goes into the report where that is wanted."""
    try:
        rows = [json_object(line) for line in read_text(folder / RANKING).split("\n") if line.strip()]
        named = {(row["split"], row["id"]): row for row in rows if row["score"] >= LEAST_SCORE}
    except ODD:
        return []
    found = [
        (split, utterance)
        for split, utterances in splits.items()
        for utterance in utterances
        if (split, utterance.id) in named and named[split, utterance.id]["text"] == utterance.text
    ]
    found = sorted(found, key=lambda place: -named[place[0], place[1].id]["score"])[:LISTED]
    # Ids of different splits may be the same.
    members = [replace(utterance, id=f"{split}/{utterance.id}") for split, utterance in found]
    place = f"audio/suspicious-{short_hash(str(folder), *(one.id for one in members))}"
    clips = make_clips(members, audio, report, place) if members else {}
    return [
        {
            "split": split,
            "id": utterance.id,
            "score": named[split, utterance.id]["score"],
            "text": utterance.text,
            "hypothesis": str(named[split, utterance.id]["hypothesis"]),
            "audio": clips[f"{split}/{utterance.id}"].source,
        }
        for split, utterance in found
    ]
