"""Overrides with values that Hydra's grammar cannot read: they are taken as they were typed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from asr.common.errors import ConfigError
from asr.settings.compose import as_yaml, check_overrides, compose, flattened, load_config, plain, sweep
from asr.settings.overrides import quoted
from asr.settings.recipe import find_recipe
from asr.settings.sweeps import expand_sweep
from tests.settings.test_composition import write_recipe

RECIPE = find_recipe("an4")


def value_of(override: str) -> Any:
    """The value that Hydra reads."""
    return OverridesParser.create().parse_override(*check_overrides(RECIPE, [override])).value()


def composed(override: str, key: str | None = None) -> Any:
    """The value in the configuration."""
    return flattened(plain(compose(RECIPE, [override])))[key or override.partition("=")[0]]


@pytest.mark.parametrize(
    "value",
    [
        "josé/rec",
        "第一次",
        "a#1",
        "cost $5 (net)",
        "/x/$y/z",
        "/data/rec [old]/a",
        "[old]",
        "{old}",
        "take 2: it's better",
        'a "quoted" word',
        "one, two",
        "a,b",
        "x=y",
        "~",
        "a~b",
        "1;2",
        "copy(2)",
        "<b>&",
        "100 %!",
        "line\none",
        "back\\slash é",
        "ends in é\\",
        "'",
        "^caret`",
    ],
)
def test_a_text_is_taken_as_it_was_typed(value: str) -> None:
    assert value_of(f"tracker.notes={value}") == value


@pytest.mark.parametrize("value", ["josé/第一次 #1, it's", "line\ntwo"])
def test_a_text_reaches_the_configuration_and_its_file(value: str, tmp_path: Path) -> None:
    config = compose(RECIPE, [f"tracker.notes={value}"])
    assert config.tracker.notes == value
    (tmp_path / "config.yaml").write_text(as_yaml(config), encoding="utf-8")
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("tracker.notes='with, comma'", "with, comma"),
        ('tracker.notes="a: b"', "a: b"),
        (r"tracker.notes=a\,b", "a,b"),
        ("tracker.notes=with the new lexicon", "with the new lexicon"),
        ("tracker.notes=", ""),
        ("tracker.notes=null", None),
        ("tracker.notes=${name}", "${name}"),
        ("tracker.notes=lauf é ${name}", "lauf é ${name}"),
        ("tracker.tags=[a,'b c']", ["a", "b c"]),
        ("training.epochs=7", 7),
        ("name=gru", "gru"),
    ],
)
def test_what_hydra_can_read_keeps_its_meaning(override: str, value: Any) -> None:
    assert value_of(override) == value


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("tracker.tags=[第一次,quick]", ["第一次", "quick"]),
        ("tracker.tags=[a#1, it's, 'x, y']", ["a#1", "it's", "x, y"]),
        ("lm.texts=[/x/josé.txt,/y z/(1).txt]", ["/x/josé.txt", "/y z/(1).txt"]),
        ("+data.columns={audio: 音频, text: Satz #1}", {"audio": "音频", "text": "Satz #1"}),
    ],
)
def test_items_of_lists_and_mappings_too(override: str, value: Any) -> None:
    assert value_of(override) == value


def test_a_key_of_a_mapping_and_an_interpolation_reach_the_configuration_too() -> None:
    config = compose(RECIPE, ["data.columns.audio=Übung 1", "tracker.notes=lauf é ${name}"])
    assert (config.data.columns, config.tracker.notes) == ({"audio": "Übung 1"}, "lauf é lstm")


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("tracker.notes=第一次,第二次", ["第一次", "第二次"]),
        ("tracker.notes=a#1,'b, c',plain", ["a#1", "b, c", "plain"]),
        ("lm.texts=[josé.txt],[a.txt,b(1).txt]", [["josé.txt"], ["a.txt", "b(1).txt"]]),
    ],
)
def test_a_sweep_keeps_its_commas(override: str, values: list[Any]) -> None:
    points = sweep(RECIPE, [override])
    assert [value_of(text) for (text,) in points] == values


def test_a_sweep_file_may_hold_any_text(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "mine", "")
    (recipe.folder / "sweep").mkdir()
    values = ["第一次", "a, b", "(1)"]
    content = yaml.safe_dump({"parameters": {"tracker.notes": {"values": values}}})
    (recipe.folder / "sweep" / "notes.yaml").write_text(content)
    overrides, _ = expand_sweep(recipe, check_overrides(recipe, ["sweep=notes"]))
    assert overrides == [f"tracker.notes={','.join(map(quoted, values))}"]
    assert [value_of(text) for (text,) in sweep(recipe, overrides)] == values


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("seed=ü", "seed is 'ü', where a whole number belongs."),
        ("model=ü", "There is no model=ü, only"),
        ("lm.texts=é.txt", "lm.texts is 'é.txt', where a list in brackets"),
        ("seed", "Cannot read 'seed': write key=value."),
        ("tracker.notes=${5 é", "tracker.notes is '${5 é', which has ${"),
        ("ü=1", "Cannot read 'ü=1': write key=value."),
        ("=1", "Cannot read '=1': write key=value."),
        ("===", "Cannot read '===': write key=value."),
        ("+=1", "Cannot read '+=1': write key=value."),
        ("sweep=[cells,size]", "sweep takes one name: run one sweep after the other."),
    ],
)
def test_a_mistake_is_still_named(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose(RECIPE, [override])
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("data.source=~/corpus", "/home/anna/corpus"),
        ("paths.data=~", "/home/anna"),
        ("paths.runs=~/my runs", "/home/anna/my runs"),
        ("lm.texts=[~/a.txt,/b.txt]", ["/home/anna/a.txt", "/b.txt"]),
        ("evaluation.models=[~/m#1]", ["/home/anna/m#1"]),
        ("data.source=~nobody-of-this-name/x", "~nobody-of-this-name/x"),
        ("tracker.notes=~/x", "~/x"),
    ],
)
def test_a_path_may_begin_in_the_home(override: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert composed(override) == value


def test_a_recipe_may_name_the_home_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    recipe = write_recipe(tmp_path / "mine", "data: {source: ~/corpus}\n")
    assert compose(recipe).data.source == "/home/anna/corpus"
