"""A corpus without faults, one utterance of which tests break, and the recipe that reads it."""

import dataclasses
from pathlib import Path

import pytest
import soundfile

from asr.checks.corpus import Requirements, examine
from asr.checks.findings import Finding
from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest, write_manifest
from asr.data.splits import SPLITS, whole_file
from asr.data.utterance import Utterance
from asr.settings.compose import compose
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from tests.helpers.corpora import load_prepare, mirrored, write_corpus

Corpus = dict[str, list[Utterance]]
VICTIM = 7
"""The number of the training utterance that is broken."""

RECIPE = """
defaults: [/config, override /tracker: disabled, _self_]
tokenizer: {alphabet: null}
features: {source: online}
model: {hidden: 16, channels: 4}
training: {epochs: 1}
hardware: {threads: 1, workers: 0}
"""


def sound_corpus(folder: Path) -> Corpus:
    """Forty, ten and ten utterances of AN4 with different sentences, or tones in their place; all WAV."""
    try:
        mirrored("an4_sphere.tar.gz")
    except pytest.skip.Exception:
        words = [f"{first} {second}" for first in ("ONE", "SIX", "TEN") for second in "ABCDEFGHIJKLMNOPQRST"]
        return write_corpus(folder, {"train": words[:40], "dev": words[40:50], "test": words[50:]})
    load_prepare("an4").prepare(compose(Recipe(Path("recipes/an4").absolute())), folder / "archives", folder)
    corpus: Corpus = {}
    texts: set[str] = set()
    for split, count in (("train", 40), ("dev", 10), ("test", 10)):
        corpus[split] = []
        for one in read_manifest(folder / f"{split}.jsonl"):
            if one.text not in texts and 1.5 < one.duration < 5 and len(corpus[split]) < count:
                texts.add(one.text)
                path = folder / "audio" / f"{one.id}.wav"
                path.parent.mkdir(exist_ok=True)
                soundfile.write(path, read_waveform(one).numpy(), 16000, subtype="PCM_16")
                corpus[split].append(whole_file(path, one.text, one.speaker))
    return corpus


def with_a_victim(sound: Corpus, folder: Path) -> Corpus:
    """The sound corpus, with a copy of the victim's file to break."""
    copy = {split: list(utterances) for split, utterances in sound.items()}
    victim = copy["train"][VICTIM]
    path = folder / "victim.wav"
    path.write_bytes(victim.audio_filepath.read_bytes())
    copy["train"][VICTIM] = dataclasses.replace(victim, audio_filepath=path)
    return copy


def write_recipe(folder: Path) -> Recipe:
    """Writes the recipe `tiny` into a folder."""
    (folder / "tiny").mkdir()
    (folder / "tiny" / "recipe.yaml").write_text(RECIPE)
    return Recipe(folder / "tiny")


def paths(folder: Path) -> list[str]:
    """Overrides by which data and runs are in a folder."""
    return [f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]


def write_manifests(corpus: Corpus, recipe: Recipe, config: Config) -> None:
    """Writes the manifests where the recipe has them."""
    for split in SPLITS:
        write_manifest(recipe.manifest(config, split), corpus[split])


def findings_of(corpus: Corpus, config: Config) -> list[Finding]:
    return examine(corpus, Requirements.of(config, corpus["train"]))


def change(corpus: Corpus, **fields: object) -> Utterance:
    """Changes what the manifest says of the victim."""
    corpus["train"][VICTIM] = dataclasses.replace(corpus["train"][VICTIM], **fields)  # type: ignore[arg-type]
    return corpus["train"][VICTIM]


def of_another(corpus: Corpus, split: str, number: int) -> None:
    """The victim has the audio of another utterance."""
    other = corpus[split][number]
    change(corpus, audio_filepath=other.audio_filepath, duration=other.duration)
