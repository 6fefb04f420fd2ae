"""What messages advise works: every command in them can be given, every setting composes, and some are carried out."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.commands import remedies
from asr.commands.cli import main
from asr.common.errors import asr_command
from asr.settings.compose import compose, known_keys
from asr.settings.recipe import CONF, PACKAGE, find_recipe
from tests.helpers.command_lines import fault_of
from tests.helpers.corpora import write_corpus, write_utterance
from tests.helpers.refusals import Capture, refused, threads, write_recipe, write_tiny  # noqa: F401  a fixture
from tests.helpers.tracked import open_tracker

VALUE = "\ue000"
"""In a text, what a message puts in when it is printed."""
RUN = "runs/an4/lstm-0123abcd"
USAGE = " [key=value ...]"
GROUPS = [path.name for path in CONF.iterdir() if path.is_dir()]
SETTING = re.compile(rf"(?<![\w.,-])({'|'.join(GROUPS)}|[a-z_]+\.[a-z_.\d]+)=(\[[^]]*\]|[^\s,;:)(?`{VALUE}]+)")


def texts(tree: ast.AST) -> Iterator[str]:
    """Every text of a module except its docstrings, with VALUE for what is put in."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        if text and id(node) not in docs and (isinstance(node, ast.JoinedStr) or id(node) not in inside):
            yield text_of(node, VALUE)


def text_of(node: ast.AST, other: str) -> str:
    """A text, or another in the place of what is not known before the program runs."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part, VALUE) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else other


def calls(tree: ast.AST) -> Iterator[str]:
    """Every command that `asr_command` makes in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == asr_command.__name__:
            yield asr_command(*(text_of(part, RUN).replace(VALUE, "x") for part in node.args)).strip("`")


MODULES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
TEXTS = [(path, text) for path, tree in MODULES.items() for text in texts(tree)]
COMMANDS = {
    *((path, command) for path, text in TEXTS for command in re.findall(r"(?<![Bb]y )`(asr [a-z][^`]*)`", text)),
    *((path, command) for path, tree in MODULES.items() for command in calls(tree)),
}


def test_every_command_in_a_message_can_be_given() -> None:
    assert len(COMMANDS) > 25
    faults = ((path, text, fault_of(text.replace(USAGE, ""))) for path, text in COMMANDS)
    wrong = [f"{path.name}: {text}\n    {fault}" for path, text, fault in faults if fault]
    assert not wrong, "\n".join(wrong)


def test_a_command_in_a_message_names_what_it_is_for() -> None:
    """`asr evaluate` alone would only say that it needs a recipe."""
    bare = [f"{path.name}: {text}" for path, text in COMMANDS if len(shlex.split(text)) < 3]
    assert not bare, "\n".join(bare)


def test_every_setting_in_a_message_composes() -> None:
    """As many of them at a time as name different keys."""
    found = dict.fromkeys((key, value.rstrip(".'\"")) for _, text in TEXTS for key, value in SETTING.findall(text))
    # What is put into brackets is the name of a split, which has no such characters.
    known = ((key, value.replace(f"[{VALUE}]", "[dev]")) for key, value in found)
    left = [(key, value) for key, value in known if key != "sweep" and not key.startswith(("hydra", "args."))]
    assert len(left) > 40
    while left:
        together = dict(reversed(left))
        left = [one for one in left if one not in together.items()]
        compose(find_recipe("an4"), [f"{key}={value}" for key, value in together.items()])


@pytest.mark.parametrize(
    ("sentence", "printed"),
    [
        ("run `asr prepare RECIPE` first", "run `asr prepare 'my corpus' seed=2` first"),
        ("run `asr train RECIPE a=1`", "run `asr train 'my corpus' seed=2 a=1`"),
        ("`asr errors runs/RECIPE/best`", "`asr errors runs/RECIPE/best`"),
        ("give RECIPE", "give RECIPE"),
        ("set paths.data=/x", "set --data /x"),
        ("`asr prepare RECIPE paths.data=/x`", "`asr prepare 'my corpus' seed=2 paths.data=/x`"),
    ],
)
def test_a_sentence_is_filled_with_what_was_given(sentence: str, printed: str) -> None:
    remedies.give("my corpus", ["seed=2"], {"paths.data=": "--data "})
    assert remedies.filled(sentence) == printed
    remedies.give(remedies.RECIPE)
    assert remedies.filled(sentence) == sentence


def test_a_flag_stands_for_a_setting_and_for_no_part_of_a_path() -> None:
    remedies.give("an4", flags={"paths.data=": "--data "})
    for kept in ("/corpora/paths.data=1", "my-paths.data=1", "other.paths.data=1"):
        assert (
            remedies.filled(f"{kept} is missing: give paths.data=FOLDER.") == f"{kept} is missing: give --data FOLDER."
        )
    remedies.give(remedies.RECIPE)


def advised(printed: str) -> list[list[str]]:
    """The commands that a message advises, as a shell would split them."""
    return [shlex.split(command)[1:] for command in re.findall(r"`(asr [^`]*)`", printed)]


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table with odd names of columns, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rows = ["what sounds,who said,what was said"]
    for number, text in enumerate(["YES NO", "NO YES", "NO NO NO", "YES"] * 5):
        write_utterance(tmp_path / f"{number}.wav", text, seed=number)
        rows.append(f"{number}.wav,s{number % 10},{text}")
    (tmp_path / "odd.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.mark.usefixtures("corpus")
def test_a_new_recipe_is_advised_the_flags_that_it_takes(capsys: Capture) -> None:
    columns = {"audio": "what sounds", "text": "what was said"}
    given: list[str] = []
    for role, name in columns.items():
        printed = refused(capsys, "new", "odd/r1", "odd.csv", *(["--columns", ",".join(given)] if given else []))
        assert f"--columns {role}=NAME" in printed
        given.append(f"{role}={name}")
    assert main(["new", "odd/r1", "odd.csv", "--columns", ",".join(given)]) == 0
    assert "data.source" not in refused(capsys, "new", "other", "lost.csv")


@pytest.mark.parametrize("written", ["text=as said, in words", "audio=what sounds, text=as said, in words"])
def test_a_column_with_a_comma_in_its_name_can_be_named(written: str, corpus: Path) -> None:
    content = (corpus / "odd.csv").read_text().replace("what was said", '"as said, in words"')
    if "audio" not in written:
        content = content.replace("what sounds", "audio")
    (corpus / "odd.csv").write_text(content)
    assert main(["new", "mine", "odd.csv", "--columns", written]) == 0
    assert main(["prepare", "mine"]) == 0


def test_an_unprepared_corpus_is_prepared_as_advised(corpus: Path, capsys: Capture) -> None:
    columns = "audio=what sounds,text=what was said,speaker=who said"
    main(["new", "my recipes/r 1", "odd.csv", "--columns", columns])
    command = ["train", "my recipes/r 1", "paths.data=my data", "training.epochs=1"]
    (prepare,) = advised(refused(capsys, *command))
    assert prepare == ["prepare", "my recipes/r 1", "paths.data=my data", "training.epochs=1"]
    assert main(prepare) == 0
    assert (corpus / "my data" / "r 1" / "dev.jsonl").is_file()


def test_paths_with_spaces_are_quoted_in_what_is_printed_and_written(corpus: Path, capsys: Capture) -> None:
    main(["new", "my recipes/r 1", "odd.csv", "--columns", "audio=what sounds,text=what was said"])
    assert "Next: asr run 'my recipes/r 1'" in capsys.readouterr().out
    written = (corpus / "my recipes/r 1/README.md").read_text()
    assert {shlex.split(line, comments=True)[-1] for line in written.splitlines() if line.startswith("$ asr")} == {
        "my recipes/r 1"
    }
    main(["prepare", "my recipes/r 1"])
    capsys.readouterr()
    main(["pack", "my recipes/r 1", "pack.output=my shards"])
    (train,) = advised(capsys.readouterr().out)
    assert train == ["train", "my recipes/r 1", "pack.output=my shards", f"shards.source={corpus / 'my shards'}"]
    folder = corpus / "my runs" / "lstm"
    with open_tracker(folder, mode="disabled") as tracker:
        (follow,) = advised(tracker.follow())
    assert follow == ["report", str(folder), "-o", "report", "--serve"]


def test_the_other_formats_advise_the_key_of_their_columns_too(corpus: Path, capsys: Capture) -> None:
    printed = refused(capsys, "prepare", "own", "data.source=odd.csv")
    assert "data.columns.audio=NAME" in printed
    settings = ["data.columns.audio=what sounds", "data.columns.text=what was said"]
    assert main(["prepare", "own", "data.source=odd.csv", *settings]) == 0


def test_a_corpus_with_mistakes_is_corrected_as_advised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path / "mine", settings="defaults: [/config, _self_]\ntokenizer: {alphabet: ' ENOSY'}\n")
    texts = {"train": ["YES NO", "NÖ", "YES"], "dev": ["NO"], "test": ["YES"]}
    write_corpus(tmp_path / "data" / "mine", texts | {"train": ["YES NO", "NO 1", "YES"]})
    (fix,) = advised(refused(capsys, "check", "mine"))
    assert fix == ["check", "mine", "check.fix=true"]
    assert main(fix) == 0
    assert main(["check", "mine"]) == 0


def test_data_that_lies_prepared_elsewhere_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    write_tiny(tmp_path / "my project")
    for place in ("my project/notes/deep", "."):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(tmp_path / place)
        recipe = str(tmp_path / "my project" / "tiny")
        printed = refused(capsys, "check", recipe)
        (setting,) = re.findall(r"set (paths\.data=\S+ ?\S*?'),", printed)
        assert main(["check", recipe, *shlex.split(setting)]) == 0


def test_preparing_again_says_where_the_corpus_is_prepared(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    main(["new", "mine", "odd.csv", "--columns", "audio=what sounds,text=what was said"])
    main(["prepare", "mine"])
    (corpus / "elsewhere").mkdir()
    monkeypatch.chdir(corpus / "elsewhere")
    capsys.readouterr()
    assert main(["prepare", "../mine"]) == 0
    assert f"add paths.data={corpus / 'data'}." in capsys.readouterr().err


def test_every_key_of_a_flag_is_a_key() -> None:
    assert {"paths.data", "data.columns", "data.source"} <= known_keys().keys()
