"""The corpus check names each mistake before a training meets it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.checks.corpus import Requirements, ctc_frames, examine, refuse_mistakes
from asr.checks.findings import Finding, Severity
from asr.commands import check
from asr.common.errors import DataError
from asr.data.manifest import write_manifest
from asr.data.splits import whole_file
from asr.data.utterance import Utterance
from asr.settings.recipe import Recipe, find_recipe
from asr.settings.root import Config
from tests.helpers.configurations import composed
from tests.helpers.corpora import tones, write_corpus

TEXTS = {"train": ["ONE", "TWO", "SIX"], "dev": ["NINE", "FIVE"], "test": ["ZERO", "TEN"]}
Corpus = dict[str, list[Utterance]]


@pytest.fixture
def recipe() -> Recipe:
    return find_recipe("an4")


@pytest.fixture
def config(recipe: Recipe, tmp_path: Path) -> Config:
    config = composed(recipe.name, "name=test", "tokenizer=char")
    config.paths.data = str(tmp_path)
    return config


@pytest.fixture
def corpus(recipe: Recipe, config: Config) -> Corpus:
    return write_corpus(recipe.data(config), TEXTS)


def change(corpus: Corpus, **fields: object) -> Utterance:
    """Changes the second training utterance."""
    corpus["train"][1] = dataclasses.replace(corpus["train"][1], **fields)  # type: ignore[arg-type]
    return corpus["train"][1]


def rewrite(utterance: Utterance, edit: Callable[[bytes], bytes]) -> None:
    utterance.audio_filepath.write_bytes(edit(utterance.audio_filepath.read_bytes()))


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    assert "\n" not in str(findings[0])
    return findings[0]


def test_a_sound_corpus_has_no_findings(corpus: Corpus, config: Config) -> None:
    assert examine(corpus, Requirements.of(config, [])) == []


@pytest.mark.parametrize("decode", [True, False])
class TestMistakesOfOneUtterance:
    def found(self, corpus: Corpus, config: Config, decode: bool) -> str:
        finding = only(examine(corpus, Requirements.of(config, []), decode))
        assert (finding.severity, finding.split, finding.utterance) == (Severity.error, "train", "train-1")
        assert "train-1" in finding.message
        return finding.message

    def test_a_file_that_is_missing(self, corpus: Corpus, config: Config, decode: bool) -> None:
        corpus["train"][1].audio_filepath.unlink()
        assert "missing" in self.found(corpus, config, decode)

    def test_a_file_of_no_bytes(self, corpus: Corpus, config: Config, decode: bool) -> None:
        rewrite(corpus["train"][1], lambda content: b"")
        assert "cannot be decoded" in self.found(corpus, config, decode)

    def test_a_file_without_samples(self, corpus: Corpus, config: Config, decode: bool) -> None:
        soundfile.write(corpus["train"][1].audio_filepath, np.zeros(0), 16000)
        assert "ends after 0 of" in self.found(corpus, config, decode)

    def test_a_file_that_is_truncated(self, corpus: Corpus, config: Config, decode: bool) -> None:
        rewrite(corpus["train"][1], lambda content: content[: len(content) // 2])
        assert "truncated" in self.found(corpus, config, decode)

    def test_a_file_that_was_cut_before_its_duration_was_read(
        self, corpus: Corpus, config: Config, decode: bool
    ) -> None:
        rewrite(corpus["train"][1], lambda content: content[: len(content) // 2])
        change(corpus, duration=soundfile.info(corpus["train"][1].audio_filepath).duration)
        assert "truncated" in self.found(corpus, config, decode)

    def test_another_rate_in_the_file(self, corpus: Corpus, config: Config, decode: bool) -> None:
        soundfile.write(corpus["train"][1].audio_filepath, np.zeros(16000), 8000)
        message = self.found(corpus, config, decode)
        assert "8000 Hz" in message and "16000 Hz" in message

    def test_a_file_of_two_channels(self, corpus: Corpus, config: Config, decode: bool) -> None:
        soundfile.write(corpus["train"][1].audio_filepath, np.zeros((16000, 2)), 16000)
        assert "2 channels" in self.found(corpus, config, decode)

    def test_a_character_outside_the_alphabet(self, corpus: Corpus, config: Config, decode: bool) -> None:
        change(corpus, text="CAFÉ")
        assert "U+00C9" in self.found(corpus, config, decode)

    @pytest.mark.parametrize("text", ["", "  "])
    def test_a_transcript_without_words(self, corpus: Corpus, config: Config, decode: bool, text: str) -> None:
        change(corpus, text=text)
        assert "transcript is empty" in self.found(corpus, config, decode)

    def test_too_short_for_ctc(self, corpus: Corpus, config: Config, decode: bool) -> None:
        change(corpus, text="TWO " * 20)
        assert "CTC needs 80" in self.found(corpus, config, decode)


def test_another_rate_in_the_whole_corpus(recipe: Recipe, config: Config) -> None:
    corpus = write_corpus(recipe.data(config), TEXTS, sampling_rate=8000)
    findings = examine(corpus, Requirements.of(config, []), decode=False)
    assert len(findings) == 7
    assert all("8000 Hz" in finding.message and "16000 Hz" in finding.message for finding in findings)


def test_samples_that_are_not_finite_are_found_by_decoding(corpus: Corpus, config: Config) -> None:
    samples = np.zeros(corpus["train"][1].samples, dtype=np.float32)
    samples[100] = np.nan
    soundfile.write(corpus["train"][1].audio_filepath, samples, 16000, subtype="FLOAT")
    assert "not finite" in only(examine(corpus, Requirements.of(config, []))).message


def test_audio_shared_between_splits_is_an_error(corpus: Corpus, config: Config) -> None:
    corpus["test"][0].audio_filepath.write_bytes(corpus["train"][0].audio_filepath.read_bytes())
    corpus["test"][0] = dataclasses.replace(corpus["test"][0], duration=corpus["train"][0].duration)
    finding = only(examine(corpus, Requirements.of(config, [])))
    assert (finding.severity, finding.split, finding.utterance) == (Severity.error, "test", "test-0")
    assert "train-0" in finding.message


def test_speakers_shared_between_splits_are_a_warning(corpus: Corpus, config: Config) -> None:
    corpus["dev"][0] = dataclasses.replace(corpus["dev"][0], speaker="tr-speaker-1")
    finding = only(examine(corpus, Requirements.of(config, []), decode=False))
    assert (finding.severity, finding.split) == (Severity.warning, "dev")
    assert "tr-speaker-1" in finding.message


def test_unknown_speakers_are_not_shared(corpus: Corpus, config: Config) -> None:
    for utterances in corpus.values():
        utterances[:] = [dataclasses.replace(utterance, speaker="") for utterance in utterances]
    assert examine(corpus, Requirements.of(config, []), decode=False) == []


def test_only_training_utterances_are_played_faster(corpus: Corpus, config: Config) -> None:
    """1.01 s are 99 frames, at 1.1 times the speed 90: 50 and 45 frames after subsampling."""
    config.augment.speed_factors, config.model.subsampling = [0.9, 1.0, 1.1], 2
    output_frames = Requirements.of(config, []).output_frames
    utterance = dataclasses.replace(corpus["train"][0], duration=1.01)
    assert output_frames("train", utterance) == 45
    assert output_frames("test", utterance) == 50


def test_ctc_needs_a_blank_between_equal_labels() -> None:
    assert ctc_frames([]) == 0
    assert ctc_frames([1, 2, 1]) == 3
    assert ctc_frames([1, 1, 1, 2, 2]) == 8


def test_many_utterances_are_decoded_in_processes(corpus: Corpus, config: Config) -> None:
    sound = [dataclasses.replace(corpus["train"][0], id=f"copy-{number}") for number in range(200)]
    sound[150] = dataclasses.replace(sound[150], audio_filepath=Path("nowhere.wav"))
    finding = only(examine({"train": sound}, Requirements.of(config, [])))
    assert finding.utterance == "copy-150"


def test_check_prints_findings_and_fails_on_errors(
    corpus: Corpus, recipe: Recipe, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    check.run(recipe, config)
    assert capsys.readouterr().out == "an4: 7 utterances examined, 0 errors, 0 warnings.\n"
    change(corpus, text="")
    write_manifest(recipe.manifest(config, "train"), corpus["train"])
    with pytest.raises(DataError, match="1 error, "):
        check.run(recipe, config)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "train-1" in lines[0] and "1 error, 0 warnings" in lines[1]
    with pytest.raises(DataError, match="1 error, "):
        refuse_mistakes(recipe, config)


def test_a_training_does_not_look_at_the_test_split(recipe: Recipe, corpus: Corpus, config: Config) -> None:
    recipe.manifest(config, "test").unlink()
    refuse_mistakes(recipe, config)
    with pytest.raises(DataError, match="No manifest at"):
        check.run(recipe, config)


SEGMENTS: dict[str, tuple[list[tuple[float, float]], bool]] = {
    "the whole of it": ([(0.0, 3.0)], False),
    "the first half": ([(0.0, 1.5)], True),
    "two halves": ([(0.0, 1.5), (1.5, 1.5)], False),
    "three parts with pauses": ([(0.0, 0.7), (1.0, 0.7), (2.0, 0.7)], False),
    "parts out of order": ([(1.5, 1.5), (0.0, 1.5)], False),
}


@pytest.mark.parametrize("kind", SEGMENTS)
def test_the_rest_of_a_file_is_missed_only_where_no_other_utterance_has_it(
    kind: str, corpus: Corpus, config: Config, tmp_path: Path
) -> None:
    places, missed = SEGMENTS[kind]
    path = tmp_path / "long.wav"
    soundfile.write(path, tones("ONE TWO TEN NINE " * 2)[:48000], 16000)
    for number, (offset, duration) in enumerate(places):
        corpus["train"].append(Utterance(f"part-{number}", path, offset, duration, TEXTS["train"][number], "", 16000))
    findings = examine(corpus, Requirements.of(config, []))
    kinds = [finding.kind for finding in findings if finding.utterance.startswith("part")]
    assert ("duration" in kinds) == missed


@pytest.mark.parametrize(
    ("rate", "channels", "found"),
    [(48000, 1, "48000 Hz, the conf"), (16000, 2, "2 channels"), (8000, 1, "8000 Hz, the")],
)
def test_audio_of_another_kind_is_told_that_preparing_converts_it(
    rate: int, channels: int, found: str, corpus: Corpus, config: Config, tmp_path: Path
) -> None:
    path = tmp_path / "other.wav"
    soundfile.write(path, np.tile(tones("ONE TWO", rate)[:, None], channels), rate)
    corpus["train"].append(whole_file(path, "ONE TWO", ""))
    findings = examine(corpus, Requirements.of(config, []))
    (finding,) = (one for one in findings if one.utterance == "other")
    assert found in finding.message
    assert "prepare it again with data.convert=true" in finding.message
