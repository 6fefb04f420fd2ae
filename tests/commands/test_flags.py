"""The flags of commands on runs, models and files: anywhere on the line, and what messages take for the subject."""

from pathlib import Path

import pytest

from asr.commands import remedies
from asr.commands.flags import FlagParser


def parser() -> FlagParser:
    made = FlagParser("asr report")
    made.add_argument("runs", metavar="RUN", nargs="+")
    made.add_argument("--audio", choices=("embed", "none"))
    made.add_argument("--data")
    return made


@pytest.mark.parametrize(
    "line", ["a b --audio none", "a --audio none b", "--audio none a b", "--audio=none a b", "a --audio none -- b"]
)
def test_flags_stand_before_between_and_behind_what_they_are_for(line: str) -> None:
    options = parser().parse(line.split())
    assert (options.runs, options.audio) == (["a", "b"], "none")


@pytest.mark.parametrize(
    ("line", "advised"),
    [
        ("runs/an4/lstm-01234567", "`asr prepare runs/an4/lstm-01234567`"),
        ("runs/an4/lstm-01234567/model", "`asr prepare runs/an4/lstm-01234567/model`"),
        ("runs/an4 b", "`asr prepare runs/an4/lstm-01234567`"),
        ("an4/best --data /x", "`asr prepare an4/best paths.data=/x`"),
        ("0123", "`asr prepare 0123`"),
        ("model", "`asr prepare RECIPE`"),
    ],
)
def test_a_message_advises_what_other_commands_take(
    line: str, advised: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/an4/lstm-01234567", "model"):
        Path(folder).mkdir(parents=True)
        Path(folder, "settings" if folder == "model" else "config.yaml").touch()
    Path("runs/an4/lstm-01234567/model").mkdir()
    parser().parse(line.split())
    assert remedies.filled("`asr prepare RECIPE`") == advised
    assert remedies.filled("set paths.data=/y") == "set --data /y"
    remedies.give(remedies.RECIPE)
