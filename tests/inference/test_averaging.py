"""Log-probabilities of several models are averaged frame by frame."""

import pytest
import torch

from asr.common.errors import ConfigError
from asr.inference.ensembles import FrameEnsemble, average
from tests.helpers.models import random_recognizer


def test_the_mean_is_of_logarithms_and_sums_to_one() -> None:
    one = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
    other = torch.tensor([[0.4, 0.6], [0.2, 0.8]]).log()
    found = average([one, other]).exp()
    roots = torch.tensor([[0.36, 0.06], [0.1, 0.4]]).sqrt()
    assert torch.allclose(found, roots / roots.sum(-1, keepdim=True))


def test_each_model_has_its_own_features() -> None:
    waveforms, lengths = torch.randn(2, 8000), torch.tensor([8000, 5000])
    models = [random_recognizer(overrides, [torch.randn(8000)]) for overrides in ([], ["features=mfcc", "model=gru"])]
    found, frames = FrameEnsemble(models, models[0].decoder).log_probs(waveforms, lengths)
    apart = [model.log_probs(waveforms, lengths) for model in models]
    assert torch.equal(frames, apart[0][1]) and torch.equal(frames, apart[1][1])
    assert torch.allclose(found, average([log_probs for log_probs, _ in apart]))


def test_models_of_which_one_mirrors_the_edges_are_refused() -> None:
    models = [random_recognizer(overrides, [torch.randn(8000)]) for overrides in ([], ["features=kaldi"])]
    with pytest.raises(ConfigError, match=r"other features\.kind than the run"):
        FrameEnsemble(models, models[0].decoder)
    same = [random_recognizer(["features=kaldi", model], [torch.randn(8000)]) for model in ("model=lstm", "model=gru")]
    log_probs, lengths = FrameEnsemble(same, same[0].decoder).log_probs(torch.randn(1, 8000), torch.tensor([8000]))
    assert lengths.tolist() == [len(log_probs)]


def test_other_tokens_are_refused() -> None:
    models = [random_recognizer(overrides, [torch.randn(8000)]) for overrides in ([], ["tokenizer.alphabet=' ABC'"])]
    with pytest.raises(ConfigError, match="other tokens than the run"):
        FrameEnsemble(models, models[0].decoder)
