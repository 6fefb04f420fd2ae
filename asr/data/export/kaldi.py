"""Kaldi's data directories, in the order that its tools ask for.

Source: https://kaldi-asr.org/doc/data_prep.html
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import soundfile

from asr.data.utterance import Utterance
from asr.errors import DataError

PROGRAMS = {".flac": "flac -c -d -s {} |", ".sph": "sph2pipe -f wav -p -c 1 {} |"}
"""How Kaldi reads what is no WAV."""


def export(splits: Mapping[str, Sequence[Utterance]], folder: Path) -> None:
    """Writes SPLIT/{wav.scp,text,utt2spk,spk2utt,segments}, sorted by bytes as `LC_ALL=C sort` does.

    Kaldi wants the ids of utterances sorted by speaker too: an id that does not begin with its speaker gets it in
    front. An utterance without speaker is its own. There are no segments where each utterance is a whole file.

    Raises:
        DataError: An id, a speaker or a file has a space in it, or a file cannot be read.
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
    """An id for each file: its name, numbered where two are alike."""
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
