"""Mistakes in overrides, recipes and the environment: a command ends with one sentence that names the key or line."""

from pathlib import Path

import pytest

from asr.common.errors import ConfigError
from asr.settings.bounds import BOUNDS
from asr.settings.compose import compose, flattened, known_keys, plain
from asr.settings.recipe import Recipe, find_recipe
from tests.helpers.refusals import Capture, refused, threads, write_recipe, write_tiny  # noqa: F401  a fixture among them


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data of the recipe `tiny`, which lies in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write_tiny(tmp_path)


@pytest.mark.parametrize("command", ["prepare", "check", "extract", "train", "evaluate", "run"])
@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.hiden=3", "There is no key model.hiden; did you mean model.hidden?"),
        ("seed=abc", "seed is 'abc', where a whole number belongs."),
        ("model.dropout=2", "model.dropout is 2.0; it must be at least 0 and below 1."),
        ("seed=1,2", "Ambiguous value for argument 'seed=1,2': add -m to run each, or write a [list]."),
    ],
)
def test_a_wrong_override(command: str, override: str, sentence: str, data: Path, capsys: Capture) -> None:
    assert refused(capsys, command, "tiny", override) == f"asr: {sentence}\n"


def test_every_bound_has_its_key_and_holds_for_every_recipe() -> None:
    assert BOUNDS.keys() <= known_keys().keys()
    for name in ("an4", "digits", "yesno"):
        values = flattened(plain(compose(find_recipe(name))))
        assert all(values[key] is None or bounds.hold(values[key]) for key, bounds in BOUNDS.items())


@pytest.mark.parametrize("value", ["[[1]]", "[{a: 1}]", "{a: [1]}", "{a: {b: 1}}"])
@pytest.mark.parametrize("key", ["model.cells", "lm.prune", "augment.speed_factors", "data.columns", "data.mixture"])
def test_values_within_values_are_refused(key: str, value: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose(find_recipe("yesno"), [f"{key}={value}"])
    assert key in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["seed", "model.subsampling", "compare.dev_wer", "augment.gain.low_db"])
def test_a_list_in_the_place_of_one_value_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key} is \[1, 2\], where"):
        compose(find_recipe("yesno"), [f"{key}=[1,2]"])


@pytest.mark.parametrize("digits", [400, 5000])
@pytest.mark.parametrize("form", ["{}={}", "++{}=[{}]", "{}={{a:{}}}"])
@pytest.mark.parametrize("key", ["seed", "compare.dev_wer", "augment.speed_factors", "data.mixture"])
def test_numbers_of_too_many_digits_are_one_short_sentence(key: str, form: str, digits: int) -> None:
    with pytest.raises(ConfigError) as error:
        compose(find_recipe("yesno"), [form.format(key, "9" * digits)])
    assert "\n" not in str(error.value) and len(str(error.value)) < 6000


@pytest.mark.parametrize("override", ["+seed=1", "+lm.order=3", "+model.hidden=3"])
def test_what_hydra_says_in_several_lines_is_one(override: str) -> None:
    with pytest.raises(ConfigError, match="An item is already at") as error:
        compose(find_recipe("yesno"), [override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.epochs=0", "from 1 to 1000000"),
        ("training.clip_norm=nan", "above 0 and at most 1e9"),
        ("training.early_stopping_epochs=0", "at least 1 and at most 1e9"),
        ("batching.global_seconds=0", "above 0 and at most 1e9"),
        ("model.hidden=-1", "from 1 to 100000"),
        ("model.subsampling=3", "2 or 4"),
        ("schedule.warmup=1", "at least 0 and below 1"),
        ("hardware.threads=0", "from 1 to 1024"),
        ("augment.speed_factors=[]", "one or more numbers, each from 0.5 to 2"),
        ("features.hop_ms=0", "from 1 to 1000"),
        ("name=a/b", "a file name with no slash and no leading dot"),
        ("name=''", "a file name with no slash and no leading dot"),
    ],
)
def test_a_value_out_of_its_bounds(override: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose(find_recipe("an4"), [override])
    key = override.split("=")[0]
    assert str(error.value).startswith(f"{key} is ") and str(error.value).endswith(f"; it must be {words}.")


def test_a_group_given_as_a_value(data: Path) -> None:
    write_recipe(Path("other"), settings="defaults: [/config, _self_]\nmodel: gru\n")
    with pytest.raises(ConfigError, match=r"^model is 'gru', where a group with the keys"):
        compose(Recipe(Path("other").absolute()))


def test_a_recipe_in_another_encoding(data: Path, capsys: Capture) -> None:
    (Path("tiny") / "recipe.yaml").write_bytes("tokenizer: {alphabet: ÄÖ}".encode("latin-1"))
    assert "recipe.yaml is not in UTF-8" in refused(capsys, "train", "tiny")


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "other", "paths.data=file"],
        ["run", "other", "paths.data=file"],
        ["train", "tiny", "paths.runs=file"],
        ["train", "tiny", "paths.runs=file", "-m"],
    ],
)
def test_a_file_where_a_folder_belongs(arguments: list[str], data: Path, capsys: Capture) -> None:
    Path("file").touch()
    write_recipe(Path("other"), "def prepare(config, archives, output): output.mkdir()\n")
    assert "Not a directory" in refused(capsys, *arguments)


def test_variables_of_a_launcher_that_are_no_numbers(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "x")
    assert "variables of torchrun or Slurm cannot be read" in refused(capsys, "train", "tiny")


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (None, "has no"),
        ("x = 1\n", "has no function prepare(config, archives, output)"),
        ("def prepare(config, archives, output): pass\n", "wrote no manifest for train, dev, test"),
        ("def prepare(config, archives, output): open('lost.txt')\n", "cannot be prepared in"),
        (
            "from asr.data.splits import write_splits\n"
            "def prepare(config, archives, output): write_splits(output, {'train': []})\n",
            "No utterance is left for train",
        ),
    ],
)
def test_a_recipe_that_prepares_nothing(prepare: str | None, sentence: str, data: Path, capsys: Capture) -> None:
    write_recipe(Path("other"), prepare)
    assert sentence in refused(capsys, "prepare", "other")
    assert not list(Path("data").glob("other/*.jsonl"))


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("def prepare(:\n", "prepare.py, line 1: SyntaxError"),
        ("import no_such_module\n", "prepare.py, line 1: ModuleNotFoundError"),
        ("prepare = 3\n", "has no function prepare(config, archives, output)"),
        (
            "def prepare(config, archives, output):\n    raise ValueError('odd')\n",
            "prepare.py, line 2: ValueError: odd",
        ),
    ],
)
def test_a_mistake_in_a_recipes_own_script_names_its_line(
    script: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path / "mine", script)
    assert sentence in refused(capsys, "prepare", "mine")
