"""The digits corpus: drawn from a seed, spoken by voices that no two splits share."""

import dataclasses
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.common import processes as parallel
from asr.common.errors import DataError
from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.splits import SPLITS
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from tests.helpers.corpora import load_prepare

digits = load_prepare("digits")

from digit_synthesis import Prompt, Synthesizer, Voice, coloured_noise, record, synthesize  # noqa: E402  # beside prepare.py

PROMPT = Prompt(
    id="a",
    text="one, two three",
    voice=Voice("en-us", "f2"),
    words_per_minute=150,
    pitch=50,
    pitch_range=50,
    silence=(0.1, 0.2),
    snr_db=20.0,
    noise_slope=0.0,
    noise_seed=1,
    peak=0.5,
)


def test_no_voice_is_heard_in_two_splits() -> None:
    for one, other in combinations(SPLITS, 2):
        assert not set(digits.VARIANTS[one]) & set(digits.VARIANTS[other])


def test_a_prompt_depends_only_on_the_seed_and_its_id() -> None:
    small = dataclasses.replace(digits.CORPUS, utterances={"train": 5})
    prompts = digits.draw_prompts(digits.CORPUS, "train")
    assert digits.draw_prompts(small, "train") == prompts[:5]
    assert digits.draw_prompts(dataclasses.replace(small, seed=2), "train") != prompts[:5]
    assert len({(prompt.text, prompt.voice, prompt.noise_seed) for prompt in prompts}) == len(prompts)


def test_all_digits_lengths_and_voices_occur() -> None:
    prompts = digits.draw_prompts(digits.CORPUS, "train")
    transcripts = [digits.transcript(prompt).split() for prompt in prompts]
    assert {len(words) for words in transcripts} == {3, 4, 5, 6, 7}
    assert {word for words in transcripts for word in words} == set(digits.WORDS)
    assert {prompt.voice.variant for prompt in prompts} == set(digits.VARIANTS["train"])
    assert {prompt.voice.accent for prompt in prompts} == set(digits.ACCENTS)


def test_every_voice_speaks_the_same_words_differently() -> None:
    pytest.importorskip("espeakng_loader")
    synthesizer = Synthesizer()
    voices = [
        Voice(accent, variant)
        for variants in digits.VARIANTS.values()
        for number, variant in enumerate(variants)
        for accent in (digits.ACCENTS if number == 0 else digits.ACCENTS[:1])
    ]
    spoken = {synthesizer.speak(dataclasses.replace(PROMPT, voice=voice)).samples.tobytes() for voice in voices}
    assert len(spoken) == len(voices)
    assert all(np.abs(np.frombuffer(samples, dtype=np.float32)).max() > 0.1 for samples in spoken)


def test_an_unknown_voice_is_named() -> None:
    pytest.importorskip("espeakng_loader")
    synthesizer = Synthesizer()
    for voice in (Voice("en-us", "nobody"), Voice("xx", "f2")):
        with pytest.raises(DataError, match=f"no voice {voice.accent}.{voice.variant}"):
            synthesizer.speak(dataclasses.replace(PROMPT, voice=voice))


def test_without_the_synthesizer_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(DataError, match=r"pip install 'asr\[digits\]'"):
        synthesize([PROMPT], tmp_path, 16000)


def test_a_recording_has_the_silence_noise_and_level_of_its_prompt() -> None:
    speech = np.sin(np.arange(16000) * 0.3).astype(np.float32)
    recording = record(PROMPT, speech, 16000)
    assert recording.shape == (16000 + 1600 + 3200,)
    assert np.abs(recording).max() == pytest.approx(0.5)
    noise = recording[-3200:]
    signal = recording[1600:-3200]
    assert 10 * np.log10(np.mean(signal**2) / np.mean(noise**2)) == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_falls_with_frequency(slope: float) -> None:
    noise = coloured_noise(1 << 18, slope, seed=3)
    assert np.mean(noise**2) == pytest.approx(1)
    power = np.abs(np.fft.rfft(noise)) ** 2
    low, high = power[1000:2000].mean(), power[16000:32000].mean()
    assert np.log2(low / high) / 4 == pytest.approx(slope, abs=0.1)


def test_any_number_of_cores_makes_the_same_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader")
    recipe, corpus = find_recipe("digits"), {"train": 110, "dev": 3, "test": 4}
    monkeypatch.setattr(digits, "CORPUS", dataclasses.replace(digits.CORPUS, utterances=corpus))
    read = []
    for folder, cores in ((tmp_path / "one", 2), (tmp_path / "two", 1)):
        monkeypatch.setattr(parallel, "cores", lambda cores=cores: cores)
        config = compose(recipe, [f"paths.data={folder}", "name=test"])
        digits.prepare(config, tmp_path, recipe.data(config))
        splits = {split: read_manifest(recipe.manifest(config, split)) for split in SPLITS}
        assert {split: len(utterances) for split, utterances in splits.items()} == corpus
        utterances = [utterance for split in SPLITS for utterance in splits[split]]
        info = soundfile.info(utterances[0].audio_filepath)
        assert (info.samplerate, info.subtype, info.channels) == (16000, "PCM_16", 1)
        read.append([(utterance.text, read_waveform(utterance).numpy().tobytes()) for utterance in utterances])
        assert sorted(path.name for path in (folder / "digits").iterdir()) == [
            "audio", "dev.jsonl", "test.jsonl", "train.jsonl",
        ]  # fmt: skip
    assert read[0] == read[1]


def test_the_synthesizer_tells_when_each_word_begins(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    prompt = dataclasses.replace(PROMPT, text="two, three, four", snr_db=80.0)
    ((first, second, third),) = synthesize([prompt], tmp_path, 16000)
    assert first == PROMPT.silence[0]
    recording, _ = soundfile.read(tmp_path / "a.wav")
    loud = np.abs(recording[: len(recording) // 160 * 160]).reshape(-1, 160).max(axis=1) > 0.02  # each 10 ms
    for start in (second, third):
        frame = round(100 * start)
        # A pause lies before the word, and it begins within 50 ms.
        assert not loud[frame - 10 : frame].any() and loud[frame : frame + 5].any()


def test_a_failure_leaves_no_audio_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(prompts: object, folder: Path, sampling_rate: int) -> None:
        (folder / "half.wav").touch()
        raise DataError("failed")

    monkeypatch.setattr(digits, "synthesize", fail)
    monkeypatch.setattr(digits, "CORPUS", dataclasses.replace(digits.CORPUS, utterances=dict.fromkeys(SPLITS, 1)))
    config = compose(find_recipe("digits"), ["name=test"])
    with pytest.raises(DataError, match="failed"):
        digits.prepare(config, tmp_path, tmp_path / "digits")
    assert list((tmp_path / "digits").iterdir()) == []
