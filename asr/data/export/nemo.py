"""Manifests of NVIDIA NeMo: JSON lines."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr.data.utterance import Utterance


def export(splits: Mapping[str, Sequence[Utterance]], folder: Path) -> None:
    """Writes SPLIT.json with absolute audio paths; NeMo leaves fields that it does not know alone."""
    for split, utterances in splits.items():
        with (folder / f"{split}.json").open("w", encoding="utf-8") as lines:
            for utterance in utterances:
                row = {
                    "audio_filepath": str(utterance.audio_filepath),
                    "offset": utterance.offset,
                    "duration": utterance.duration,
                    "text": utterance.text,
                    "speaker": utterance.speaker,
                    "id": utterance.id,
                }
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
