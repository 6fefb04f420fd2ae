"""Composition: every shipped choice composes, and a mistake is one sentence that names the key and the remedy."""

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from omegaconf import OmegaConf

from asr.commands.help import group_choices, shipped_recipes
from asr.common.errors import ConfigError
from asr.settings.aliases import ALIASES
from asr.settings.compose import HYDRA_VERSION, compose, flattened, load_config, plain, sweep
from asr.settings.debug import DebugMode
from asr.settings.features import FeatureKind
from asr.settings.model import Cell
from asr.settings.recipe import CONF, Recipe, find_recipe

GROUPS = [group for group in group_choices() if group != "sweep"]
CHOICES = [(group, choice) for group in GROUPS for choice in group_choices()[group]]
RECIPES = shipped_recipes()
PAIRS = [
    pytest.param(
        *(name, group, choice),
        marks=[pytest.mark.slow] if place % len(RECIPES) != number else [],
        id=f"{name}-{group}-{choice}",
    )
    for place, (group, choice) in enumerate(CHOICES)
    for number, name in enumerate(RECIPES)
]
"""Each choice with one recipe at least among the quick tests, and each recipe with a few choices."""
MODELS = ", ".join(group_choices()["model"])


def write_recipe(folder: Path, text: str) -> Recipe:
    folder.mkdir()
    (folder / "recipe.yaml").write_text(f"defaults: [/config, _self_]\n{text}", encoding="utf-8")
    return Recipe(folder)


@pytest.mark.parametrize(("name", "group", "choice"), PAIRS)
def test_every_recipe_composes_with_every_choice(name: str, group: str, choice: str) -> None:
    assert compose(find_recipe(name), [f"{group}={choice}"]).seed == 1


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("group", GROUPS)
def test_a_recipe_sets_no_key_that_tells_the_choices_of_a_group_apart(name: str, group: str) -> None:
    by_choice = [values_of_conf(f"{group}={choice}") for choice in group_choices()[group]]
    telling = {key for key in by_choice[0] if any(values[key] != by_choice[0][key] for values in by_choice)}
    recipe = yaml.safe_load((find_recipe(name).folder / "recipe.yaml").read_text(encoding="utf-8"))
    leaves = {key for key, value in flattened(recipe).items() if not isinstance(value, dict)}
    assert not telling & leaves, f"these would silently win over the user's {group}=..."


@cache
def values_of_conf(override: str) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(CONF), version_base=HYDRA_VERSION):
        values = OmegaConf.to_container(hydra.compose("config", [override]))
    assert isinstance(values, dict)
    return {key: value for key, value in flattened(values).items() if not isinstance(value, dict)}  # type: ignore[arg-type]


def test_a_choice_of_the_user_wins() -> None:
    config = compose(find_recipe("an4"), ["model=hybrid", "model.hidden=64", "debug=overfit"])
    assert config.model.cells == [Cell.lstm, Cell.gru]
    assert (config.model.hidden, config.debug.mode, config.name) == (64, DebugMode.overfit, "hybrid")


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_sets_its_key_from_the_command_line_and_from_a_recipe(alias: str, tmp_path: Path) -> None:
    key = ALIASES[alias]
    group, _, name = alias.partition(".")
    value, other = ("true", "false") if key == "training.with_dev" else ("7", "8")
    expected = plain(compose(find_recipe("an4"), [f"{key}={value}"]))
    assert plain(compose(find_recipe("an4"), [f"{alias}={value}"])) == expected
    recipe = write_recipe(tmp_path / "an4", f"{group}: {{{name}: {value}}}\n")
    assert flattened(plain(compose(recipe)))[key] == flattened(expected)[key]
    for override in (key, alias):
        assert str(flattened(plain(compose(recipe, [f"{override}={other}"])))[key]).lower().removesuffix(".0") == other


def test_an_alias_swept_over_is_its_key() -> None:
    points = sweep(find_recipe("an4"), ["tokenizer.vocab_size=100,200"])
    assert points == [["tokenizer.pieces=100"], ["tokenizer.pieces=200"]]


def test_off_is_no_boolean() -> None:
    assert compose(find_recipe("an4"), ["debug=off"]).debug.mode is DebugMode.off


@pytest.mark.parametrize(("features", "mels"), [("logmel", 40), ("mfcc", 40), ("kaldi", 40), ("spectrogram", None)])
def test_telephone_speech_has_half_the_mel_bands(features: str, mels: int | None) -> None:
    config = compose(find_recipe("yesno"), [f"features={features}"])
    assert (config.features.kind, config.features.mels) == (FeatureKind[features], mels)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.hiden=3", "There is no key model.hiden; did you mean model.hidden?"),
        ("+model.hiden=3", "There is no key model.hiden; did you mean model.hidden?"),
        ("hidden=3", "There is no key hidden; did you mean model.hidden?"),
        ("modle=gru", "There is no key modle; did you mean model?"),
        ("+x=1", "There is no key x; see docs/configuration.md."),
        (
            "model=grru",
            f"There is no model=grru, only {MODELS}; did you mean gru?",
        ),
        (
            "model=3",
            f"There is no model=3, only {MODELS}.",
        ),
        ("model.hidden=many", "model.hidden is 'many', where a whole number belongs."),
        ("model.hidden=2.5", "model.hidden is 2.5, where a whole number belongs."),
        ("model.dropout=none", "model.dropout is 'none', where a number belongs."),
        ("training.restart=3.5", "training.restart is 3.5, where true or false belongs."),
        ("seed=null", "seed is null, where a whole number belongs."),
        (
            "hardware.precision=bf61",
            "hardware.precision is 'bf61', where one of auto, fp32, bf16, fp16, fp64 belongs; did you mean bf16?",
        ),
        (
            "model.cells=[lstm,gruu]",
            "model.cells is ['lstm', 'gruu'], where a list in brackets (each item one of rnn, lstm, gru, ligru) "
            "belongs; did you mean gru?",
        ),
        (
            "model.cells=gru",
            "model.cells is 'gru', where a list in brackets (each item one of rnn, lstm, gru, ligru) belongs.",
        ),
        ("~model.hidden", "model.hidden has no value: set it in recipe.yaml or as model.hidden=..."),
        ("~optimizer", "optimizer has no value: set it in recipe.yaml or as optimizer=..."),
        ("name='${nothing}'", "name: Interpolation key 'nothing' not found"),
        ("seed", "Cannot read 'seed': write key=value."),
    ],
)
def test_a_mistake_is_one_sentence(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose(find_recipe("an4"), [override])
    assert str(error.value) == sentence


@pytest.mark.parametrize("written", ["", "data: {source: mine}\n", "# nothing\n", "- a\n"])
def test_a_recipe_that_lacks_the_defaults_is_told_to_begin_with_them(written: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "corpus", "")
    (recipe.folder / "recipe.yaml").write_text(written)
    with pytest.raises(ConfigError, match=r": write `defaults: \[/config, _self_\]` at the top of recipe.yaml"):
        compose(recipe)


def test_a_misspelt_key_in_a_recipe_is_named(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "corpus", "model: {hiden: 3}\n")
    with pytest.raises(ConfigError, match=r"no key model\.hiden; did you mean model\.hidden\?"):
        compose(recipe)


def test_a_recipe_may_bring_choices_of_its_own(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "it's a corpus", "")
    (recipe.folder / "model").mkdir()
    (recipe.folder / "model" / "tiny.yaml").write_text("defaults: [lstm, _self_]\nhidden: 8\n")
    assert compose(recipe, ["model=tiny"]).model.hidden == 8


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    config = compose(find_recipe("yesno"), ["model=hybrid", "tracker.tags=[a,'off']", "debug=off"])
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(plain(config)), encoding="utf-8")
    assert load_config(path) == config
    assert dataclasses.is_dataclass(load_config(path).model)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("seed: 1\n", "name has no value"),
        ("sead: 1\n", "There is no key sead; did you mean seed?"),
        ("seed: !!python/object/apply:os.getcwd []\n", "has the tag tag:yaml.org,2002:python"),
        ("- seed\n", "it holds no keys"),
        ("seed\n", "it holds no keys"),
        ("1e999\n", "it holds no keys"),
        ("true\n", "it holds no keys"),
        ("# seed: 1\n", "it holds no keys"),
        ("seed: [\n", "while parsing"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert str(path) in str(error.value)
    assert found in str(error.value)


def test_a_model_of_an_earlier_version_is_read_with_what_came_later(tmp_path: Path) -> None:
    config = compose(find_recipe("an4"))
    values = plain(config)
    del values["lm"], values["hardware"]["tf32"], values["hardware"]["compile"]
    values["decoder"] = {"kind": "greedy"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 400, "9" * 5000, "0x" + "f" * 5000])
@pytest.mark.parametrize("key", ["seed", "compare.dev_wer", "augment.gain.low_db"])
def test_numbers_of_too_many_digits_are_no_settings(key: str, number: str, tmp_path: Path) -> None:
    values = plain(compose(find_recipe("yesno")))
    place = values
    for name in key.split(".")[:-1]:
        place = place[name]
    place[key.split(".")[-1]] = "THE NUMBER"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values).replace("THE NUMBER", number))
    with pytest.raises(ConfigError, match=r"config\.yaml cannot be used") as error:
        load_config(tmp_path / "config.yaml")
    assert "\n" not in str(error.value) and len(str(error.value)) < 1000


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No configuration at .*config\.yaml"):
        load_config(tmp_path / "config.yaml")
