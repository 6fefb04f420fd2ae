"""Small corpora for tests: real ones from a mirror, else generated."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from asr.data.archives import mirrors
from asr.data.manifest import read_manifest
from asr.data.splits import whole_file, write_splits
from asr.data.utterance import Utterance
from asr.settings.compose import compose
from asr.settings.recipe import RECIPES, Recipe

CHARACTER_SECONDS = 0.1


def mirrored(archive: str) -> Path:
    """A corpus archive from a mirror; the test skips where there is none."""
    for mirror in mirrors():
        if (mirror / archive).is_file():
            return mirror / archive
    pytest.skip(f"{archive} is on no mirror (ASR_MIRRORS)")


def load_prepare(recipe: str) -> ModuleType:
    """The prepare.py of a shipped recipe as a module."""
    return Recipe(RECIPES / recipe).script()


def an4_utterances(folder: Path) -> list[Utterance]:
    """Ten utterances of AN4 from the shortest, under a second, to about six seconds.

    Generated ones where no mirror has it.
    """
    try:
        mirrored("an4_sphere.tar.gz")
    except pytest.skip.Exception:
        texts = ["A", "AN", "FOUR", "FIVE SIX", "SEVEN EIGHT", "NINE TEN ONE", "TWO", "T W O", "O H", "ZERO " * 11]
        return [
            write_utterance(folder / f"{number}.wav", text.strip(), seed=number) for number, text in enumerate(texts)
        ]
    load_prepare("an4").prepare(compose(Recipe(RECIPES / "an4")), folder / "archives", folder)
    every = [utterance for split in ("train", "test") for utterance in read_manifest(folder / f"{split}.jsonl")]
    wanted = np.linspace(min(utterance.duration for utterance in every), 6, 10)
    return [min(every, key=lambda utterance: abs(utterance.duration - seconds)) for seconds in wanted]


def tones(text: str, sampling_rate: int = 16000, seed: int = 0) -> npt.NDArray[np.float32]:
    """Audio from which a text can be learnt: each character is 0.1 s of its own pitch, a space is silence."""
    time = np.arange(round(CHARACTER_SECONDS * sampling_rate)) / sampling_rate
    pitches = [0 if character == " " else 150 + 90 * (ord(character) - ord("A")) for character in text]
    clean = [0.3 * np.hanning(len(time)) * np.sin(2 * np.pi * pitch * time) for pitch in pitches]
    noise = 0.01 * np.random.default_rng(seed).standard_normal(len(time) * (len(text) + 2))
    silence = np.zeros(len(time))
    return np.concatenate([silence, *clean, silence]).astype(np.float32) + noise.astype(np.float32)


def write_utterance(path: Path, text: str, speaker: str = "", sampling_rate: int = 16000, seed: int = 0) -> Utterance:
    """Writes the tones of a text as a WAV file and gives its utterance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tones(text, sampling_rate, seed), sampling_rate, subtype="PCM_16")
    return whole_file(path, text, speaker)


def write_corpus(
    folder: Path, texts: Mapping[str, Sequence[str]], sampling_rate: int = 16000
) -> dict[str, list[Utterance]]:
    """Writes audio and manifests of a corpus into a folder such as DATA/RECIPE.

    Args:
        folder: Gets audio/ and SPLIT.jsonl.
        texts: Transcripts for each of train, dev and test; a speaker for each two of them.
        sampling_rate: Of the audio (Hz).

    Returns:
        The utterances of each split, in the order of the texts.
    """
    splits = {
        split: [
            write_utterance(
                folder / "audio" / f"{split}-{number}.wav",
                text,
                speaker=f"{split[:2]}-speaker-{number // 2}",  # a folder named train would be a split
                sampling_rate=sampling_rate,
                seed=1000 * place + number,
            )
            for number, text in enumerate(lines)
        ]
        for place, (split, lines) in enumerate(texts.items())
    }
    write_splits(folder, splits)
    return splits
