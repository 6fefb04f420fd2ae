"""Archives of public corpora in their publishers' layout, built of real speech in the publishers' audio formats."""

import io
import tarfile
from pathlib import Path

import pytest
import soundfile
import torch
from torchaudio.functional import resample

from asr.commands.cli import main
from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from tests.helpers.corpora import load_prepare, mirrored, write_corpus

SMALL = ["model.hidden=16", "model.channels=4", "model.layers=1", "training.epochs=1", "tracker=disabled"]


def some_speech(folder: Path) -> list[Utterance]:
    """Sixty utterances of AN4 of many speakers, or tones in their place."""
    try:
        mirrored("an4_sphere.tar.gz")
    except pytest.skip.Exception:
        words = [f"{first} {second}" for first in ("ONE", "SIX", "TEN") for second in "ABCDEFGHIJKLMNOPQRST"]
        return write_corpus(folder, {"train": words, "dev": ["A"], "test": ["B"]})["train"]
    load_prepare("an4").prepare(compose(find_recipe("an4")), folder / "archives", folder)
    every = read_manifest(folder / "train.jsonl")
    return [one for one in every if one.duration > 1.5][::8][:60]


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def encoded(utterance: Utterance, format: str, sampling_rate: int = 16000) -> bytes:
    """The file of an utterance in another format, as FLAC, WAV or MP3."""
    file = io.BytesIO()
    waveform = read_waveform(utterance)
    if sampling_rate != utterance.sampling_rate:
        waveform = resample(waveform, utterance.sampling_rate, sampling_rate)
    subtype = None if format == "MP3" else "PCM_16"
    soundfile.write(file, torch.clip(waveform, -1, 1).numpy(), sampling_rate, format=format, subtype=subtype)
    return file.getvalue()


def prepared(recipe: str, data: Path, *overrides: str) -> dict[str, list[Utterance]]:
    main(["prepare", recipe, f"paths.data={data}", *overrides])
    config = compose(find_recipe(recipe), [f"paths.data={data}", "name=test"])
    return {split: read_manifest(find_recipe(recipe).manifest(config, split)) for split in SPLITS}
