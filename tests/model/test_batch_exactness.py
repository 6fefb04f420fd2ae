"""What a model says of an utterance, and what it learns from it, depends neither on its batch nor on its padding."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.data.audio import read_waveform
from asr.data.utterance import Utterance
from asr.model.kernel import library
from asr.settings.hardware import Precision
from asr.training.acoustic_task import Objective
from asr.training.hardware import Hardware, allow_tf32
from tests.helpers.corpora import an4_utterances
from tests.helpers.models import random_recognizer

OPTIONS = ["model.projection=20", "model.residual=true", "model.intermediate_layer=1", "model.orthogonal=true"]
MODELS = {
    "rnn": ["model=rnn"],
    "lstm": ["model=lstm"],
    "gru": ["model=gru"],
    "ligru": ["model=ligru"],
    "hybrid": ["model=hybrid"],
    "hybrid_reverse": ["model=hybrid_reverse"],
    "hybrid_alternating": ["model=hybrid_alternating"],
    "every cell": ["model.cells=[ligru,gru,lstm,rnn]", "model.layers=4", *OPTIONS],
    "every cell, one direction": ["model=lstm_streaming", "model.cells=[rnn,lstm,gru,ligru]", "model.layers=4"],
    "one direction with options": ["model=gru_streaming", *OPTIONS],
    "mfcc": ["features=mfcc", "features.deltas=true"],
    "kaldi": ["features=kaldi"],
    "spectrogram": ["features=spectrogram", "features.deltas=true"],
}


BY_PYTORCH = ["every cell", "every cell, one direction"]
"""Those that run without the project's kernel too."""


@pytest.fixture(autouse=True)
def kernel_again() -> Iterator[None]:
    yield
    library.enable(True)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    return an4_utterances(tmp_path_factory.mktemp("an4"))[::3]


@pytest.mark.parametrize(
    ("model", "by"),
    [
        *((model, "kernel") for model in MODELS),
        *((model, "PyTorch") for model in BY_PYTORCH),
        *(pytest.param(model, "CUDA", marks=pytest.mark.gpu) for model in MODELS),
    ],
)
def test_neither_log_probabilities_nor_gradients_depend_on_the_batch(
    model: str, by: str, utterances: list[Utterance]
) -> None:
    library.enable(by == "kernel")
    device = torch.device("cuda" if by == "CUDA" else "cpu")
    allow_tf32(False)
    waveforms = [read_waveform(utterance) for utterance in utterances]
    waveforms[0] = waveforms[0][:8000]  # half a second; AN4 has none as short
    recognizer = random_recognizer([*MODELS[model], "model.dropout=0"], waveforms, str(device))
    recognizer.model.train()  # cuDNN goes backward in no other state
    objective = Objective(
        recognizer.model, recognizer.config.training, Hardware(device, Precision.fp32)
    ).requires_grad_()
    parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]

    def learn(numbers: list[int]) -> list[Tensor]:
        padded = pad_sequence([waveforms[number] for number in numbers], batch_first=True)
        samples = torch.tensor([len(waveforms[number]) for number in numbers])
        features, lengths = recognizer.front(padded.to(device), samples.to(device))
        labels = [torch.tensor(recognizer.tokenizer.encode(utterances[number].text)) for number in numbers]
        label_lengths = torch.tensor([len(item) for item in labels])
        loss = objective(features, lengths.cpu(), torch.cat(labels), label_lengths)
        return list(torch.autograd.grad(loss, parameters))

    everyone = list(range(len(utterances)))
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    together, frames = recognizer.log_probs(pad_sequence(waveforms, batch_first=True), lengths)
    sums = [torch.zeros_like(parameter) for parameter in parameters]
    for number in everyone:
        alone, (length,) = recognizer.log_probs(waveforms[number][None], lengths[number : number + 1])
        assert length == frames[number]
        assert (alone[:length, 0] - together[:length, number]).abs().max() <= 1e-4
        sums = [total + gradient for total, gradient in zip(sums, learn([number]), strict=True)]
    for whole, total in zip(learn(everyone), sums, strict=True):
        assert (whole - total).norm() <= 1e-4 * total.norm()
