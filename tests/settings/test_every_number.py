"""Every number of the configuration, whatever is written in its place, is refused in one sentence or can be used."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch
from omegaconf import OmegaConf

from asr.common.errors import UserError
from asr.lm.recurrent import RecurrentLanguageModel
from asr.model.folder import build_model
from asr.settings.compose import compose, known_keys, plain, to_config
from asr.settings.recipe import find_recipe
from tests.helpers.built_settings import SMALL, TOKENS, build, with_value
from tests.helpers.refusals import threads  # noqa: F401  a fixture

VALUES = [
    -1,
    0,
    1,
    10**20,
    1e308,
    1e20,
    float("nan"),
    float("inf"),
    -float("inf"),
    "",
    "x",
    None,
    [],
    {},
    [10**20],
    True,
]


def has_number(kind: Any) -> bool:
    return kind in (int, float) or any(has_number(part) for part in get_args(kind))


NUMBERS = [key for key, kind in known_keys().items() if has_number(kind)]

HARDEST = [
    ("model.hidden", 100_000), ("model.projection", 10**20), ("model.lookahead", 10**20), ("model.blank_bias", -1e308),
    ("features.mels", 10**20), ("features.mels", 10_000), ("features.coefficients", 10**20),
    ("data.sampling_rate", 10**20), ("augment.spec_augment.time_masks", 10**20),
    ("augment.spec_augment.frequency_masks", 10**20), ("augment.spec_augment.time_width_ms", float("inf")),
    ("hardware.threads", 10**20), ("hardware.threads", 10**9), ("hardware.workers", 10**20),
    ("cluster.watchdog_minutes", 1e308), ("cluster.join_minutes", 1e308), ("training.epochs", 10**20),
    ("lm.hidden", 100_000), ("lm.prune", [10**20]), ("decoder.beam", 10**20), ("tokenizer.pieces", 10**20),
    ("optimizer.learning_rate", 1e308), ("optimizer.weight_decay", float("inf")),
]  # fmt: skip


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return plain(compose(find_recipe("yesno"), SMALL))


def refused_or_built(settings: dict[str, Any], key: str, value: Any) -> None:
    try:
        build(with_value(settings, key, value))
    except UserError as error:
        said = str(error)
        assert "\n" not in said and key.split(".")[0] in said, said


@pytest.mark.parametrize(("key", "value"), HARDEST)
def test_a_number_beyond_all_bounds_is_refused(key: str, value: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(UserError) as error:
        build(with_value(settings, key, value))
    assert key in str(error.value) and "\n" not in str(error.value)


def groups() -> Iterator[str]:
    yield from dict.fromkeys(key.partition(".")[0] for key in NUMBERS)


@pytest.mark.slow
@pytest.mark.parametrize("group", list(groups()))
def test_every_number_is_refused_in_one_sentence_or_can_be_used(group: str, settings: dict[str, Any]) -> None:
    for key in NUMBERS:
        if key.partition(".")[0] == group:
            for value in VALUES:
                try:
                    refused_or_built(settings, key, value)
                except Exception as error:
                    raise AssertionError(f"{key}={value!r}: {error!r}") from error


def test_counting_parameters_leaves_the_random_numbers_as_they_were(settings: dict[str, Any]) -> None:
    config = to_config(OmegaConf.create(settings))
    before = torch.get_rng_state()
    with torch.device("meta"):
        build_model(config, TOKENS)
        RecurrentLanguageModel(config.lm, TOKENS)
    assert torch.equal(torch.get_rng_state(), before)
