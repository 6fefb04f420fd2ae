"""Common Voice, LJ Speech and Speech Commands, from archives in the publishers' layout that are built of speech."""

import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.commands.cli import main
from asr.data.audio import read_waveform
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.settings.recipe import Recipe, find_recipe
from tests.helpers.public_corpora import SMALL, add, encoded, prepared

COLUMNS = (
    "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale segment"
)


Clips = Mapping[str, Sequence[tuple[Utterance, str]]]
"""The speech and the sentences of each split."""


def thirds(speech: Sequence[Utterance]) -> dict[str, list[tuple[Utterance, str]]]:
    """Sentences as people write them, whole speakers in each split."""
    order = sorted({one.speaker for one in speech})
    sentences = [(one, f"\u201c{one.text.capitalize()}!\u201d") for one in speech]
    return {split: [s for s in sentences if order.index(s[0].speaker) % 3 == n] for n, split in enumerate(SPLITS)}


def write_common_voice(archive: Path, language: str, clips: Clips, sampling_rate: int = 48000) -> None:
    root = f"cv-corpus-21.0-2025-03-14/{language}"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        number = 17_000_000
        for split, sentences in clips.items():
            lines = [COLUMNS.replace(" ", "\t")]
            for utterance, sentence in sentences:
                number += 1
                name = f"common_voice_{language}_{number}.mp3"
                add(tar, f"{root}/clips/{name}", encoded(utterance, "MP3", sampling_rate))
                lines.append(f"c0{utterance.speaker}\t{name}\tf3\t{sentence}\t\t2\t0\t\t\t\t\t{language}\t")
            add(tar, f"{root}/{split}.tsv", "\n".join(lines).encode() + b"\n")
        add(tar, f"{root}/invalidated.tsv", COLUMNS.replace(" ", "\t").encode() + b"\n")


def test_common_voice_from_the_publishers_archive(mirror: Path, speech: Sequence[Utterance], tmp_path: Path) -> None:
    clips = thirds(speech[:24])
    write_common_voice(mirror / "cv-en.tar.gz", "en", clips)
    splits = prepared("commonvoice", tmp_path / "data", "data.source=cv-en.tar.gz")
    for split, sentences in clips.items():
        assert [one.text for one in splits[split]] == [one.text.lower() for one, _ in sentences]
        assert [one.speaker for one in splits[split]] == [f"c0{one.speaker}" for one, _ in sentences]
        assert {one.sampling_rate for one in splits[split]} == {16000}
        for clip, (original, _) in zip(splits[split], sentences, strict=True):
            decoded, expected = read_waveform(clip).numpy(), read_waveform(original).numpy()
            # MP3 delays and pads what it encodes.
            assert 0 <= len(decoded) - len(expected) < 3000
            assert best_correlation(decoded, expected) > 0.95


def best_correlation(decoded: np.ndarray, expected: np.ndarray) -> float:
    size = 1 << (len(decoded) + len(expected)).bit_length()
    product = np.fft.irfft(np.fft.rfft(decoded, size) * np.fft.rfft(expected, size).conj(), size)
    return float(product.max() / np.linalg.norm(decoded) / np.linalg.norm(expected))


def test_the_language_of_the_archive_rules_its_letters(
    mirror: Path, speech: Sequence[Utterance], tmp_path: Path
) -> None:
    clips = {split: [(speech[place], "I\u015fIK, \u0130zmir\u2019de!")] for place, split in enumerate(SPLITS)}
    write_common_voice(mirror / "cv-tr.tar.gz", "tr", clips)
    splits = prepared("commonvoice", tmp_path / "data", "data.source=cv-tr.tar.gz")
    assert splits["test"][0].text == "\u0131\u015f\u0131k izmir'de"


def test_the_unpacked_folder_will_do_and_a_second_language_is_refused(
    mirror: Path, speech: Sequence[Utterance], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = {split: [(speech[place], "Ja.")] for place, split in enumerate(SPLITS)}
    write_common_voice(tmp_path / "cv.tar.gz", "de", clips)
    with tarfile.open(tmp_path / "cv.tar.gz") as tar:
        tar.extractall(tmp_path / "here", filter="data")
    folder = tmp_path / "here" / "cv-corpus-21.0-2025-03-14" / "de"
    assert prepared("commonvoice", tmp_path / "data", f"data.source={folder}")["dev"][0].text == "ja"
    with pytest.raises(SystemExit) as stop:
        main(["prepare", "commonvoice", f"paths.data={tmp_path / 'data'}", "data.source=cv-fr.tar.gz"])
    assert stop.value.code == 2 and "was prepared with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("null", "data.source is null: name the archive"),
        ("cv-xx.tar.gz", "put cv-xx.tar.gz into"),
        (".", "has no train.tsv"),
    ],
)
def test_a_language_that_is_not_there_is_one_sentence(
    source: str,
    sentence: str,
    mirror: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["prepare", "commonvoice", f"paths.data={tmp_path / 'data'}", f"data.source={source}"])
    assert stop.value.code == 2 and sentence in capsys.readouterr().err


@pytest.mark.slow
def test_common_voice_through_to_a_wer(mirror: Path, speech: Sequence[Utterance], tmp_path: Path) -> None:
    write_common_voice(mirror / "cv-en.tar.gz", "en", thirds(speech))
    paths = [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}"]
    # So little text has few pieces, and no letter is missing from a third of it.
    few = ["tokenizer.pieces=40", "hardware.workers=0", "tokenizer.alphabet=' abcdefghijklmnopqrstuvwxyz'"]
    main(["run", "commonvoice", "data.source=cv-en.tar.gz", *paths, *SMALL, *few])
    (results,) = (tmp_path / "runs").glob("commonvoice/*/evaluation/test/greedy/results.json")
    read = json.loads(results.read_text())
    assert read["words"] == sum(len(one.text.split()) for one, _ in thirds(speech)["test"]) and read["wer"] > 0


def test_lj_speech_from_the_publishers_archive(mirror: Path, speech: Sequence[Utterance], tmp_path: Path) -> None:
    texts = ["Mr. Blanc paid in caf\u00e9s, on the 3rd\u2014|Mr. Blanc paid in caf\u00e9s, on the third\u2014"]
    texts += [f'clip no. {place}|clip number "{one.text.lower()}"' for place, one in enumerate(speech)]
    sound = encoded(replace(speech[0], duration=0.4), "WAV", 22050)
    names = [f"LJ001-{number:04d}" for number in range(1002)]
    lines = [f"{name}|{texts[place % len(texts)]}" for place, name in enumerate(names)]
    with tarfile.open(mirror / "LJSpeech-1.1.tar.bz2", "w:bz2", compresslevel=1) as tar:
        add(tar, "LJSpeech-1.1/metadata.csv", "\n".join(lines).encode())
        for name in names:
            add(tar, f"LJSpeech-1.1/wavs/{name}.wav", sound)
    splits = prepared("ljspeech", tmp_path / "data", "data.convert=false")
    assert [len(splits[split]) for split in SPLITS] == [2, 500, 500]
    found = {one.id: one.text for split in SPLITS for one in splits[split]}
    assert found["LJ001-0000"] == "MR BLANC PAID IN CAFES ON THE THIRD"
    assert found["LJ001-0001"] == f"CLIP NUMBER {speech[0].text}" and sorted(found) == names


def test_lj_speech_is_converted_to_the_rate_of_the_recipe(
    mirror: Path, speech: Sequence[Utterance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(mirror / "LJSpeech-1.1.tar.bz2", "w:bz2", compresslevel=1) as tar:
        lines = [f"LJ001-{place:04d}|x|{one.text.title()}" for place, one in enumerate(speech[:3])]
        add(tar, "LJSpeech-1.1/metadata.csv", "\n".join(lines).encode())
        for place, one in enumerate(speech[:3]):
            add(tar, f"LJSpeech-1.1/wavs/LJ001-{place:04d}.wav", encoded(one, "WAV", 22050))
    module = find_recipe("ljspeech").script()
    monkeypatch.setattr(Recipe, "script", lambda self: module)
    monkeypatch.setattr(module, "HELD_OUT", {"test": 1, "dev": 1})
    splits = prepared("ljspeech", tmp_path / "data")
    for (one,) in splits.values():
        original = speech[int(one.id.removeprefix("LJ001-"))]
        assert one.text == original.text and one.sampling_rate == 16000
        assert best_correlation(read_waveform(one).numpy(), read_waveform(original).numpy()) > 0.99


def test_speech_commands_from_the_publishers_archive(mirror: Path, speech: Sequence[Utterance], tmp_path: Path) -> None:
    names = [f"{word}/{speaker}_nohash_{take}.wav" for word in ("yes", "off") for speaker in "abc" for take in (0, 1)]
    with tarfile.open(mirror / "speech_commands_v0.02.tar.gz", "w:gz") as tar:
        for name in (*names, "_background_noise_/pink_noise.wav"):
            add(tar, f"./{name}", encoded(speech[0], "WAV"))
        add(tar, "./validation_list.txt", b"yes/b_nohash_0.wav\nyes/b_nohash_1.wav\n")
        add(tar, "./testing_list.txt", b"yes/c_nohash_0.wav\noff/c_nohash_1.wav\n")
    splits = prepared("speechcommands", tmp_path / "data")
    assert {one.id for one in splits["dev"]} == {"yes-b_nohash_0", "yes-b_nohash_1"}
    assert {(one.id, one.text, one.speaker) for one in splits["test"]} == {
        ("yes-c_nohash_0", "YES", "c"), ("off-c_nohash_1", "OFF", "c"),
    }  # fmt: skip
    assert len(splits["train"]) == 8 and {one.text for one in splits["train"]} == {"YES", "OFF"}
    assert (tmp_path / "data/speechcommands/original/_background_noise_/pink_noise.wav").is_file()
    assert soundfile.info(splits["train"][0].audio_filepath).samplerate == 16000
