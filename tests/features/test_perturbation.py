"""Rooms, recordings behind the speech, telephones: pure functions of (seed, epoch, utterance id), for training."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from asr.batching.dataset import Dataset
from asr.checks.corpus import Requirements
from asr.commands.cli import main
from asr.common.errors import ConfigError, DataError
from asr.common.seeds import keys_of, uniform
from asr.features.noise_files import NoiseFiles, recordings_checksum
from asr.features.perturbation import Perturbation, active_folders, check_source, telephone
from asr.features.rooms import reverberate, simulate_room
from asr.settings.augment import AugmentConfig
from asr.settings.compose import compose
from asr.settings.hardware import Precision
from asr.settings.recipe import find_recipe
from asr.training.run_folder import find_run_folder
from tests.helpers.corpora import write_corpus, write_utterance

RATE = 16000
KEYS = keys_of([f"utterance-{number}" for number in range(400)])
OFF = compose(find_recipe("an4"), ["name=test", "augment=none"]).augment
NOISES = {"a.wav": 100.0, "deep/b.flac": 1000.0, "deep/er/c.wav": 3000.0}
"""The pitch of each of some recordings (Hz)."""


@pytest.fixture
def musan(tmp_path: Path) -> Path:
    """Folders as MUSAN has them, with notes beside the audio: a tone in each file, of another rate and channels too."""
    for part in ("noise", "speech"):
        for place, (name, pitch) in enumerate(NOISES.items()):
            path = tmp_path / "musan" / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            rate = (16000, 16000, 44100)[place]
            sound = np.sin(2 * np.pi * pitch * np.arange(rate // 2) / rate)
            soundfile.write(path, np.stack([sound, 0 * sound], axis=1) if place == 1 else 0.1 * sound, rate)
        (tmp_path / "musan" / part / "ANNOTATIONS").write_text("no audio")
    return tmp_path / "musan"


def speech(samples: int = 2 * RATE) -> Tensor:
    """Noise of its own, as no tone of the recordings."""
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(1))


def changed(config: AugmentConfig, key: int = 0, seed: int = 1, epoch: int = 0) -> Tensor:
    return Perturbation(config, seed)(speech(), RATE, int(KEYS[key]), epoch)


def background(musan: Path, snr_db: float = 10.0) -> AugmentConfig:
    noise = replace(OFF.background, probability=1.0, folders=[str(musan / "noise")])
    return replace(OFF, background=replace(noise, snr_low_db=snr_db, snr_high_db=snr_db))


def babble(musan: Path) -> AugmentConfig:
    folders = [str(musan / "speech")]
    return replace(OFF, babble=replace(OFF.babble, probability=1.0, folders=folders, snr_low_db=5, snr_high_db=5))


def pitches(sound: Tensor) -> list[float]:
    """The pitches that stand out of a sound (Hz)."""
    spectrum = torch.fft.rfft(sound * torch.hann_window(len(sound))).abs()
    return [pitch for pitch in NOISES.values() if spectrum[round(pitch * len(sound) / RATE)] > 0.1 * spectrum.max()]


@pytest.mark.parametrize("snr_db", [0.0, 15.0])
def test_a_recording_is_added_at_the_drawn_ratio(musan: Path, snr_db: float) -> None:
    found = []
    for key in range(20):
        added = changed(background(musan, snr_db), key) - speech()
        measured = 10 * torch.log10(speech().square().mean() / added.square().mean())
        assert measured.item() == pytest.approx(snr_db, abs=0.01)
        (pitch,) = pitches(added)
        found.append(pitch)
    # Each file in turn, the resampled one and the first of two channels at their own pitch; none is silent.
    assert set(found) == set(NOISES.values())


def test_a_recording_that_is_shorter_goes_on_and_one_that_is_longer_starts_anywhere(musan: Path) -> None:
    recordings = NoiseFiles([str(musan / "noise")], "augment.background.folders")
    short = recordings.segment(0.0, 0.25, 3 * RATE, RATE)
    file, _ = soundfile.read(musan / "noise" / "a.wav", dtype="float32")
    assert len(short) == 3 * RATE
    assert torch.equal(short, torch.from_numpy(np.resize(np.roll(file, -2000), 3 * RATE)))
    assert torch.equal(recordings.segment(0.0, 0.5, 100, RATE), torch.from_numpy(file[4000:4100]))
    assert torch.equal(recordings.segment(0.0, 0.999, 100, RATE), torch.from_numpy(np.roll(file, -7992)[:100]))
    for rate in (8000, 16000, 22050):
        assert len(recordings.segment(0.9, 0.7, 12345, rate)) == 12345


def test_several_voices_are_added_together(musan: Path) -> None:
    found = [len(pitches(changed(babble(musan), key) - speech())) for key in range(12)]
    assert {2, 3} <= set(found) or set(found) == {3}
    added = changed(babble(musan)) - speech()
    ratio = 10 * torch.log10(speech().square().mean() / added.square().mean())
    assert ratio.item() == pytest.approx(5, abs=0.01)


def draws(number: int) -> Callable[[str], float]:
    return lambda name: float(uniform(keys_of([f"room {number}"]), name)[0])


@pytest.mark.parametrize("rt60", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_simulated_room_fades_by_60_db_in_its_time(rt60: float, rate: int) -> None:
    times = []
    for number in range(10):
        energy = simulate_room(draws(number), rt60, rate).double().square().flip(0).cumsum(0).flip(0)
        decay = 10 * torch.log10(energy / energy[0])
        # After Schroeder: three times the time from -10 to -30 dB.
        times.append(3 * int(((decay < -10) & (decay > -30)).sum()) / rate)
    assert np.mean(times) == pytest.approx(rt60, rel=0.05)
    assert all(time == pytest.approx(rt60, rel=0.2) for time in times)


def test_a_room_leaves_length_level_and_the_time_of_the_words() -> None:
    sound = torch.zeros(RATE)
    sound[3000:5000] = speech(2000)
    for number in range(10):
        response = simulate_room(draws(number), 0.4, RATE)
        reverberant = reverberate(sound, response)
        assert len(reverberant) == len(sound)
        assert reverberant.square().mean().item() == pytest.approx(sound.square().mean().item(), rel=1e-4)
        assert reverberant[:2000].abs().max() < 1e-3 * reverberant.abs().max()
        assert reverberant[5500:8000].abs().max() > 0.01 * reverberant.abs().max()
    assert torch.equal(reverberate(torch.zeros(100), response), torch.zeros(100))


def test_recorded_rooms_take_the_place_of_simulated_ones(tmp_path: Path) -> None:
    response = np.zeros(1000)
    response[[200, 700]] = 0.5, 0.25
    (tmp_path / "rirs").mkdir()
    soundfile.write(tmp_path / "rirs" / "hall.wav", response, RATE, subtype="FLOAT")
    config = replace(OFF, reverb=replace(OFF.reverb, probability=1.0, folders=[str(tmp_path / "rirs")]))
    expected = speech() + 0.5 * torch.cat([torch.zeros(500), speech()[:-500]])
    reverberant = changed(config)
    assert torch.allclose(reverberant / reverberant.norm(), expected / expected.norm(), atol=1e-5)


def test_a_telephone_keeps_its_band_alone() -> None:
    time = torch.arange(RATE) / RATE
    levels = {}
    for pitch in (100, 1000, 3000, 5000):
        tone = 0.3 * torch.sin(2 * torch.pi * pitch * time)
        spectrum = torch.fft.rfft(telephone(tone, RATE)).abs()
        levels[pitch] = (spectrum[pitch] / torch.fft.rfft(tone).abs()[pitch]).item()
    assert levels[1000] == pytest.approx(1, abs=0.02) and levels[3000] == pytest.approx(1, abs=0.02)
    assert levels[100] < 0.01 and levels[5000] < 0.01
    assert len(telephone(1.7 * torch.ones(777), 8000)) == 777


def all_on(musan: Path) -> AugmentConfig:
    half = {
        name: replace(getattr(source, name), probability=0.5)
        for name, source in (
            ("background", background(musan)), ("babble", babble(musan)), ("reverb", OFF), ("telephone", OFF),
            ("noise", OFF), ("gain", OFF),
        )
    }  # fmt: skip
    return replace(OFF, **half)


def test_no_hidden_generator_takes_part(musan: Path) -> None:
    config = all_on(musan)
    first = changed(config, key=3, epoch=2)
    torch.manual_seed(5)
    np.random.seed(5)
    assert torch.equal(changed(config, key=3, epoch=2), first)
    many = [changed(config, key, seed, epoch) for key in (3, 4, 5) for seed in (1, 2) for epoch in (2, 3)]
    assert len({one.numpy().tobytes() for one in many}) == len(many)


@pytest.mark.parametrize("name", ["background", "babble", "reverb", "telephone"])
def test_the_share_of_changed_utterances_is_the_probability(musan: Path, name: str) -> None:
    config = all_on(musan)
    config = replace(OFF, **{name: replace(getattr(config, name), probability=0.3)})
    perturb = Perturbation(config, 1)
    sound = speech(800)
    share = np.mean([not torch.equal(perturb(sound, RATE, int(key), 0), sound) for key in KEYS[:300]])
    assert abs(share - 0.3) < 0.08
    assert torch.equal(Perturbation(OFF, 1)(sound, RATE, int(KEYS[0]), 0), sound)


def test_dev_and_test_are_never_changed_and_train_has_the_planned_length(musan: Path, tmp_path: Path) -> None:
    utterances = [write_utterance(tmp_path / f"{number}.wav", "YES NO", seed=number) for number in range(8)]
    config = replace(all_on(musan), tempo_factors=[0.8, 1.25], speed_factors=[0.9, 1.1])
    train, dev = Dataset(utterances, None, config, 1), Dataset(utterances, None, None, 1)
    for epoch in (0, 1):
        for number, utterance in enumerate(utterances):
            plain = soundfile.read(utterance.audio_filepath, dtype="float32")[0]
            assert np.array_equal(dev(number, epoch).numpy(), plain)
            assert len(train(number, epoch)) == pytest.approx(train.seconds(epoch)[number] * RATE, abs=2)
    lengths = {round(seconds / 0.8, 3) for seconds in train.seconds(0)}
    assert len(lengths) > 1


@pytest.mark.parametrize(
    "override",
    [
        "augment.reverb.probability=0.5", "augment.telephone.probability=0.1", "augment.tempo_factors=[0.9]",
        "augment.background={probability: 1.0, folders: [.]}", "augment.babble={probability: 1.0, folders: [.]}",
    ],
)  # fmt: skip
def test_stored_features_refuse_what_changes_waveforms(override: str) -> None:
    config = compose(find_recipe("an4"), ["name=test", override])
    with pytest.raises(ConfigError, match=rf"{override.split('=')[0]}.*set features\.source=online"):
        check_source(config.features, config.augment)
    online = compose(find_recipe("an4"), ["name=test", override, "features.source=online"])
    check_source(online.features, online.augment)


def test_recordings_that_are_not_there_are_one_sentence(musan: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs recordings: give augment\.babble\.folders, .*musan/speech"):
        active_folders(replace(OFF, babble=replace(OFF.babble, probability=0.5)))
    with pytest.raises(ConfigError, match=r"augment\.background\.folders: .*none/noise is not a folder"):
        changed(background(musan / "none"))
    (musan / "noise" / "z.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"z\.wav cannot be read .* remove it from its folder"):
        changed(background(musan))
    shutil.rmtree(musan / "noise")
    (musan / "noise").mkdir()
    with pytest.raises(ConfigError, match="contains no audio"):
        changed(background(musan))


def test_a_recording_that_vanishes_is_named(musan: Path) -> None:
    recordings = NoiseFiles([str(musan / "noise")], "key")
    (musan / "noise" / "a.wav").unlink()
    with pytest.raises(DataError, match=r"a\.wav cannot be read"):
        recordings.segment(0.0, 0.0, 100, RATE)


LOW = ["noise.snr_low_db=31", "gain.low_db=7", "babble.voices_low=8", "reverb.rt60_low_seconds=1"]


@pytest.mark.parametrize("low", LOW)
def test_a_lower_end_above_the_higher_one_is_refused(low: str) -> None:
    with pytest.raises(ConfigError, match=rf"augment\.{low.split('=')[0]} is .*, above augment\..*: change one"):
        compose(find_recipe("an4"), ["name=test", f"augment.{low}"])


def test_the_doctor_knows_the_fastest_speed_and_tempo(tmp_path: Path) -> None:
    utterance = write_utterance(tmp_path / "a.wav", "YES NO")

    def frames(split: str, tempos: str) -> int:
        config = compose(find_recipe("yesno"), ["name=test", f"augment.tempo_factors={tempos}"])
        return Requirements.of(config, [utterance]).output_frames(split, utterance)

    assert frames("train", "[1.0,2.0]") == pytest.approx(frames("train", "[1.0]") / 2, abs=2)
    assert frames("dev", "[1.0,2.0]") == frames("dev", "[1.0]") > frames("train", "[1.0]")


def test_runs_keep_their_names_until_it_is_on_and_follow_the_recordings(musan: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "an4", {"train": ["A B"], "dev": ["A"], "test": ["B"]})
    recipe = find_recipe("an4")

    def name(*overrides: str) -> str:
        config = compose(recipe, [f"paths.data={tmp_path}", "features.source=online", *overrides])
        return find_run_folder(recipe, config, Precision.fp32).path.name

    plain = name()
    assert name("augment.babble.voices_low=2", "augment.background.folders=[/nowhere]") == plain
    assert name("augment.reverb.probability=0.1") != plain and name("augment.tempo_factors=[0.9]") != plain
    assert name("augment.spec_augment.time_masks_per_second=4") != plain
    noisy = name("augment.background.probability=0.1", f"augment.background.folders=[{musan}/noise]")
    shutil.copytree(musan, tmp_path / "moved")
    moved = ["augment.background.probability=0.1", f"augment.background.folders=[{tmp_path}/moved/noise]"]
    assert noisy == name(*moved) != plain
    (tmp_path / "moved" / "noise" / "a.wav").unlink()
    assert name(*moved) != noisy
    assert recordings_checksum([str(musan / "noise")], "key") == recordings_checksum([str(musan / "speech")], "key")


def test_a_training_runs_with_all_of_it(musan: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "data" / "yesno", {"train": ["YES NO", "NO"] * 4, "dev": ["YES"], "test": ["NO"]}, 8000)
    settings = [
        f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}", "tracker=disabled", "model.hidden=8",
        "training.epochs=1", "hardware.workers=1", "features.source=online", "augment=rooms",
        "augment.tempo_factors=[0.9,1.1]", "augment.reverb.probability=1.0",
        f"augment.background={{probability: 1.0, folders: [{musan}/noise]}}",
        f"augment.babble={{probability: 1.0, folders: [{musan}/speech]}}",
    ]  # fmt: skip
    main(["train", "yesno", *settings])
    assert list((tmp_path / "runs").glob("yesno/*/model/model.safetensors"))
