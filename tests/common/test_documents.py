"""Files that a stranger wrote are data of a bounded size, or one sentence."""

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from asr.common.documents import MOST_YAML_BYTES, from_json, json_object, read_bytes, read_json, read_yaml


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "link", tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            read_json(path)


def test_no_more_is_read_than_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"123456")
    assert read_bytes(tmp_path / "file", 6) == b"123456"
    with pytest.raises(ValueError, match="larger than"):
        read_bytes(tmp_path / "file", 5)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[" * 100_000, "too deeply"),
        ('{"a": ' * 40 + "1" + "}" * 40, "too deeply"),
        ("[]", "no object"),
        ("1", "no object"),
        ('{"a": "\\ud800"}', "surrogates"),
        ('{"\\udc00": 1}', "surrogates"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
        ("{", "Expecting"),
    ],
)
def test_json_that_could_hurt_later_is_refused_at_once(text: str, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        json_object(text)


BILLION_LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (BILLION_LAUGHS, "line 1 has an anchor"),
        ("a: 1\nb: *a\n", "line 2 has an anchor or an alias"),
        ("a: !!python/object/apply:os.getcwd []\n", "has the tag"),
        ("a: !!str 1\n", "has the tag"),
        ("a: 1\nb: ${oc.env:HOME}\n", "line 2 has an interpolation"),
        ("${a}: 1\n", "has an interpolation"),
        ("a: " + "[" * 100, "too deeply"),
        ("- " * 100_000, "too deeply"),
        ("#" * (MOST_YAML_BYTES + 1), "larger than"),
    ],
)
def test_settings_are_plain(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=found):
        read_yaml(tmp_path / "config.yaml")


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "a: 1\na: 2\n", "a: \a", 'a: "\\ud800"', "a: =", "[a]: 1"])
def test_what_no_settings_are_is_no_yaml(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(yaml.YAMLError):
        read_yaml(tmp_path / "config.yaml")


TEXT = "date: 2026-01-01\nrate: 1e-4\nlow: -1.e+2\ndebug: off\nnone:\nten: 1_0\ntext: '1e-4'\nlist: [a, ~]\nwide: é\n"


def test_values_are_read_as_omegaconf_reads_them(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(TEXT, encoding="utf-8")
    values = read_yaml(tmp_path / "config.yaml")
    assert values == OmegaConf.to_container(OmegaConf.create(TEXT))
    assert (values["date"], values["rate"], values["debug"]) == ("2026-01-01", 0.0001, False)


class Color(Enum):
    red = "red"


@dataclass(frozen=True)
class Part:
    numbers: list[float]
    color: Color = Color.red


@dataclass(frozen=True)
class Whole:
    name: str
    count: int
    rate: float
    part: Part | None
    names: dict[str, str]


GOOD = {"name": "a", "count": 1, "rate": 1, "part": {"numbers": [1, 2.5]}, "names": {"a": "b"}}


def test_a_dataclass_is_read_back_and_later_keys_are_ignored() -> None:
    assert from_json(Whole, GOOD | {"later": 1}) == Whole("a", 1, 1, Part([1, 2.5]), {"a": "b"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 1}, {"name": None}, {"count": "1"}, {"count": True}, {"count": 1.5}, {"rate": "x"}, {"rate": []},
        {"part": 5}, {"part": {"numbers": 5}}, {"part": {"numbers": ["x"]}}, {"names": []}, {"names": {"a": 1}},
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        from_json(Whole, GOOD | wrong)


def test_what_is_missing_or_not_a_choice_is_named() -> None:
    with pytest.raises(KeyError, match="count"):
        from_json(Whole, {"name": "a"})
    with pytest.raises(ValueError, match="green"):
        from_json(Part, {"numbers": [], "color": "green"})
