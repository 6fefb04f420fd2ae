"""Writes a corpus in the formats of other toolkits, by their own libraries where there are any."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from asr.data.audio import read_waveform
from asr.data.utterance import Utterance

Splits = Mapping[str, Sequence[Utterance]]
"""Or a single one under an empty name, where the source shall not say to which split it belongs."""


def write_folder(splits: Splits, folder: Path) -> Path:
    for split, utterances in splits.items():
        for utterance in utterances:
            path = folder / split / utterance.speaker / f"{utterance.id}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, read_waveform(utterance).numpy(), utterance.sampling_rate, subtype="PCM_16")
            path.with_suffix(".txt").write_text(utterance.text + "\n")
    return folder


def write_csv(splits: Splits, folder: Path) -> Path:
    """One table with a column of splits, and names of columns that must be given."""
    return _write_table(splits, folder, "corpus.csv", ",", ("my file", "what", "who", "name", "split"))


def write_tsv(splits: Splits, folder: Path) -> Path:
    """The columns of Common Voice, with a quote in one of them."""
    return _write_table(splits, folder, "corpus.tsv", "\t", ("path", "sentence", "client_id", "id", "split"))


def _write_table(splits: Splits, folder: Path, name: str, delimiter: str, columns: Sequence[str]) -> Path:
    write_folder(splits, folder / "audio")
    with (folder / name).open("w", newline="") as file:
        table = csv.writer(file, delimiter=delimiter)
        table.writerow(columns)
        for split, utterances in splits.items():
            for utterance in utterances:
                path = Path("audio", split, utterance.speaker, f"{utterance.id}.wav")
                table.writerow([path, utterance.text, utterance.speaker, utterance.id, split])
    return folder / name


def write_nemo(splits: Splits, folder: Path) -> Path:
    """Durations to the millisecond, as they are often written."""
    write_folder(splits, folder)
    for split, utterances in splits.items():
        lines = [
            {
                "audio_filepath": str(Path(split, utterance.speaker, f"{utterance.id}.wav")),
                "duration": round(utterance.duration, 3),
                "text": utterance.text,
                "speaker": utterance.speaker,
            }
            for utterance in utterances
        ]
        name = f"{split or 'all'}_manifest.json"
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def write_kaldi(splits: Splits, folder: Path) -> Path:
    """A recording for each speaker, in which the utterances are segments behind half a second of noise."""
    for split, utterances in splits.items():
        data = folder / "data" / (split or "all")
        data.mkdir(parents=True)
        tables: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": [], "segments": []}
        for speaker in sorted({utterance.speaker for utterance in utterances}):
            sound, end = [], 0.0
            for utterance in (utterance for utterance in utterances if utterance.speaker == speaker):
                rate, waveform = utterance.sampling_rate, read_waveform(utterance).numpy()
                sound += [0.01 * np.random.default_rng(1).standard_normal(rate // 2), waveform]
                start, end = end + 0.5, end + 0.5 + len(waveform) / rate
                tables["segments"].append(f"{utterance.id} rec-{speaker} {start:.6f} {end:.6f}")
                tables["text"].append(f"{utterance.id} {utterance.text}")
                tables["utt2spk"].append(f"{utterance.id} {speaker}")
            path = folder / "wav" / f"{speaker}.flac"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, np.concatenate(sound), rate, subtype="PCM_16")
            tables["wav.scp"].append(f"rec-{speaker} flac -c -d -s wav/{speaker}.flac |")
        for name, lines in tables.items():
            (data / name).write_text("".join(f"{line}\n" for line in sorted(lines)))
    return folder / "data"


def write_lhotse(splits: Splits, folder: Path) -> Path:
    import lhotse

    write_folder(splits, folder)
    for split, utterances in splits.items():
        cuts = []
        for utterance in utterances:
            path = folder / split / utterance.speaker / f"{utterance.id}.wav"
            recording = lhotse.Recording.from_file(path)
            supervision = lhotse.SupervisionSegment(
                utterance.id, recording.id, 0, recording.duration, text=utterance.text, speaker=utterance.speaker
            )
            cuts.append(lhotse.MonoCut(f"cut-{utterance.id}", 0, recording.duration, 0, [supervision], None, recording))
        lhotse.CutSet.from_cuts(cuts).to_file(folder / f"an4_cuts_{split or 'all'}.jsonl.gz")
    return folder


def write_huggingface(splits: Splits, folder: Path) -> Path:
    """With the audio inside, as `datasets` keeps what it was given as bytes."""
    import datasets

    parts = {}
    for split, utterances in splits.items():
        write_folder({split: utterances}, folder / "audio")
        items: list[dict[str, Any]] = []
        for utterance in utterances:
            path = folder / "audio" / split / utterance.speaker / f"{utterance.id}.wav"
            audio = {"bytes": path.read_bytes(), "path": path.name}
            items.append({"audio": audio, "sentence": utterance.text, "speaker_id": utterance.speaker})
        features = datasets.Features(
            {"audio": datasets.Audio(), "sentence": datasets.Value("string"), "speaker_id": datasets.Value("string")}
        )
        raw = datasets.Features(
            features | {"audio": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}}
        )
        parts["validation" if split == "dev" else split or "all"] = datasets.Dataset.from_list(
            items, features=raw
        ).cast(features)
    whole = next(iter(parts.values())) if [*splits] == [""] else datasets.DatasetDict(parts)
    whole.save_to_disk(str(folder / "dataset"))
    return folder / "dataset"


WRITERS: dict[str, Callable[[Splits, Path], Path]] = {
    "folder": write_folder,
    "csv": write_csv,
    "tsv": write_tsv,
    "nemo": write_nemo,
    "kaldi": write_kaldi,
    "lhotse": write_lhotse,
    "huggingface": write_huggingface,
}

COLUMNS = {"csv": "data.columns={audio: 'my file', text: what, speaker: who, id: name}"}
"""What must be said of the columns of a format."""
