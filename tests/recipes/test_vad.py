"""The recipe vad: noises, room tone and recordings with known speech, made of AN4."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from asr.data.manifest import read_manifest
from asr.settings.compose import compose
from asr.settings.recipe import RECIPES, Recipe
from asr.text.speech import read_spans
from tests.helpers.corpora import load_prepare, mirrored, write_utterance


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    return load_prepare("vad")


def test_noises_are_as_loud_as_each_other_and_the_same_each_time(recipe: ModuleType) -> None:
    assert not recipe.TRAINING.keys() & recipe.HELD_OUT.keys()
    for kind in (*recipe.TRAINING, *recipe.HELD_OUT):
        noise, again = (recipe.make_noise(kind, recipe.random(kind), 48000, 16000) for _ in range(2))
        assert np.array_equal(noise, again) and np.isfinite(noise).all(), kind
        assert np.square(noise).mean() == pytest.approx(1, rel=1e-3), kind


def test_recordings_have_pauses_that_sound_like_the_room_and_speech_where_it_is(
    recipe: ModuleType, tmp_path: Path
) -> None:
    utterances = [write_utterance(tmp_path / f"{text}.wav", text, "one", seed=7) for text in ("ABCDE", "FGHIJ", "KLM")]
    spans = {one.id: [(0.1, one.duration - 0.1)] for one in utterances}
    first, second = recipe.recordings(utterances, spans, "train")
    for (_, speaker, sound, speech), count in ((first, 2), (second, 1)):
        assert speaker == "one" and len(speech) == count
        labels = np.zeros(len(sound), dtype=bool)
        for begin, end in speech:
            labels[round(begin * 16000) : round(end * 16000)] = True
        power = np.square(sound)
        assert power[labels].mean() > 50 * power[~labels].mean()
        # The noise of the tones has a deviation of 0.01.
        assert np.sqrt(power[~labels].mean()) == pytest.approx(0.01, rel=0.3)


def test_noise_is_mixed_in_at_a_level_below_the_speech(recipe: ModuleType, tmp_path: Path) -> None:
    time = np.arange(48000) / 16000
    sound = (0.1 * np.sin(2 * np.pi * 440 * time) * (time < 1)).astype(np.float32)
    for snr_db in (0.0, 10.0):
        made = recipe.noisy(tmp_path, "test", ("one", "", sound, [(0.0, 1.0)]), recipe.HELD_OUT, snr_db)
        mixed, _ = soundfile.read(made.audio_filepath)
        noise = mixed - sound
        found = 10 * np.log10(np.square(sound[:16000]).mean() / np.square(noise).mean())
        assert found == pytest.approx(snr_db, abs=0.1)
        assert read_spans(made.text) == [(0.0, 1.0)] and dict(made.extra)["noise"] in recipe.HELD_OUT


@pytest.mark.slow
def test_the_corpus_has_its_splits_and_speech_in_about_half_of_it(tmp_path: Path) -> None:
    mirrored("an4_sphere.tar.gz")
    found = Recipe(RECIPES / "vad")
    config = compose(found, [f"paths.data={tmp_path}"])
    found.prepare(config, tmp_path / "archives")
    speakers: dict[str, set[str]] = {}
    for split, count in (("train", 480), ("dev", 56), ("test", 70), ("test_0db", 70), ("test_20db", 70)):
        utterances = read_manifest(found.manifest(config, split))
        assert len(utterances) == count
        spoken = sum(end - begin for one in utterances for begin, end in read_spans(one.text))
        assert 0.2 < spoken / sum(one.duration for one in utterances) < 0.6
        speakers[split] = {one.speaker for one in utterances} - {""}
    assert not speakers["train"] & speakers["dev"] and not speakers["train"] & speakers["test"]
