"""What a model says of an utterance depends neither on the batch it came in nor on its padding."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from asr.composition import compose
from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.utterance import Utterance
from asr.decoding.recognizer import load
from asr.model.folder import build_model, save_model
from asr.recipe import RECIPES, Recipe
from asr.text.tokenizer import build_tokenizer
from tests.corpora import load_prepare, mirrored, write_utterance

AN4 = Recipe(RECIPES / "an4")


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Utterance]:
    """Ten utterances of AN4, from the shortest to the longest; generated ones where no mirror has it."""
    folder = tmp_path_factory.mktemp("an4")
    try:
        mirrored("an4_sphere.tar.gz")
    except pytest.skip.Exception:
        texts = ["A", "AN", "FOUR", "FIVE SIX", "SEVEN EIGHT", "NINE TEN ONE", "TWO", "T W O", "O H", "ZERO ZERO ZERO"]
        return [write_utterance(folder / f"{number}.wav", text) for number, text in enumerate(texts)]
    load_prepare("an4").prepare(compose(AN4), folder / "archives", folder)
    by_length = sorted(read_manifest(folder / "test.jsonl"), key=lambda utterance: utterance.duration)
    return [by_length[number * (len(by_length) - 1) // 9] for number in range(10)]


@pytest.mark.parametrize("features", ["logmel", "mfcc", "spectrogram"])
@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "hybrid"])
def test_log_probabilities_do_not_depend_on_the_batch(
    model: str, features: str, utterances: Sequence[Utterance], tmp_path: Path
) -> None:
    config = compose(AN4, [f"model={model}", f"features={features}", "features.deltas=true"])
    tokenizer = build_tokenizer(config.tokenizer)
    torch.manual_seed(0)
    save_model(tmp_path, build_model(config, tokenizer.size), config, tokenizer)
    recognizer = load(tmp_path)

    waveforms = [read_waveform(utterance) for utterance in utterances]
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    together, frames = recognizer.log_probs(pad_sequence(waveforms, batch_first=True), lengths)
    for number, waveform in enumerate(waveforms):
        alone, (length,) = recognizer.log_probs(waveform[None], lengths[number : number + 1])
        assert length == frames[number]
        assert (alone[:length, 0] - together[:length, number]).abs().max() <= 1e-4
