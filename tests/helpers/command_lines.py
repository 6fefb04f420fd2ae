"""Whether a command line could be given: the command exists, with its flags, and its settings compose."""

import argparse
import functools
import re
import shlex
import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from asr.commands import cli
from asr.commands.help import COMMANDS, shipped_recipes
from asr.common.errors import ConfigError
from asr.settings.compose import check_overrides, compose, sweep
from asr.settings.recipe import RECIPES, Recipe
from tests.helpers.documented import ROOT
from tools.docs.commands import parser_of

OTHERS = {".", ".ci/run", "aws", "awk", "bible", "cat", "export", "ffmpeg", "hf", "ls", "ssh", "wandb"}
"""Programs that a page may call and that are not ours."""

USER_RECIPES = {"mine", "own"}
"""Names that stand for a recipe of the reader's own."""


class Parsed(Exception):
    """Carries what a command line was parsed to."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options


def fault_of(text: str) -> str | None:
    """What is wrong with a command, or nothing."""
    text = re.sub(r"\$\([^)]*\)", "PLACE", text.replace("\\\n", " "))
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    programs: list[list[str]] = [[]]
    for word in lexer:
        if word in ("|", "&&", ";"):
            programs.append([])
        elif word in ("<", ">"):
            break
        else:
            programs[-1].append(word)
    try:
        for words in programs:
            while words and re.match(r"[A-Z_]+=", words[0]):
                del words[0]
            _check(words)
    except (ConfigError, AssertionError) as error:
        return str(error) or repr(error)
    return None


def _check(words: Sequence[str]) -> None:
    program, *rest = words
    if program in ("torchrun", "srun"):
        place = words.index("asr")
        assert program == "srun" or words[place - 1] == "-m"
        _check_asr(words[place + 1 :])
    elif program == "sbatch":
        script = next(word for word in rest if word.endswith(".sbatch"))
        assert (ROOT / script).is_file(), f"{script} does not exist"
        _check_asr(["train", *rest[rest.index(script) + 1 :]])
    elif program in ("docker", "apptainer"):
        files = [word for word in rest if word.startswith("tools/")]
        assert all((ROOT / file).is_file() for file in files), f"one of {files} does not exist"
        images = [place for place, word in enumerate(words) if word.partition(":")[0] == "asr"]
        if rest[0] == "run":
            _check_asr(words[images[-1] + 1 :])
    elif program == "asr":
        _check_asr(rest)
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text()
        for word in rest:
            assert "=" in word or f"\n{word}:" in makefile, f"make has no target {word}"
    elif program == "python":
        _check_tool(rest)
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        (wanted,) = re.findall(r"asr\[(\w+)\]", " ".join(rest))
        assert wanted in extras, f"there is no extra {wanted}"
    else:
        assert program in OTHERS, f"{program} is neither ours nor known"


def _check_tool(words: Sequence[str]) -> None:
    module, *rest = words[1:] if words[0] == "-m" else words
    path = ROOT / (f"{module.replace('.', '/')}.py" if words[0] == "-m" else module)
    path = path if path.is_file() else path.with_suffix("") / "__main__.py"
    assert path.is_file(), f"{path} does not exist"
    source = path.read_text()
    for word in rest:
        assert not word.startswith("--") or f'"{word.partition("=")[0]}"' in source, f"{module} has no flag {word}"
    check_overrides(Recipe(RECIPES / "an4"), [word for word in rest if "=" in word and not word.startswith("-")])


def _check_asr(words: Sequence[str]) -> None:
    command, *rest = words
    if command in ("--help", "--version"):
        return
    assert command in COMMANDS, f"there is no command {command}"
    if "--help" in rest:
        return
    if command == "lm" and rest[0] == "train":
        _check_settings(rest[1:])
    elif command == "benchmark":
        assert rest[0] == "scaling", "asr benchmark measures scaling only"
        _check_settings(rest[1:])
    elif command == "compare":
        what = _parsed(command, rest).what
        if not what[0].startswith("runs/"):
            _check_settings([what[0], *what[1:]], multirun=True)
    elif parser_of(command) is not None:
        options = _parsed(command, rest)
        if hasattr(options, "overrides"):
            _check_settings([options.recipe, *options.overrides])
    else:
        flags = {"-m", "--cfg"} & set(rest)
        assert "--cfg" not in flags or rest[-2:] == ["--cfg", "job"]
        settings = [word for word in rest if word not in ("-m", "--cfg", "job")]
        assert not [word for word in settings if word.startswith("-")], "there is no such flag"
        _check_settings(settings, multirun="-m" in flags or command == "plan")


def _parsed(command: str, arguments: Sequence[str]) -> Any:
    """What the command line of a command is parsed to; the command itself does not run."""

    def stop(parse: Any) -> Any:
        @functools.wraps(parse)
        def stopping(*given: Any, **named: Any) -> None:
            raise Parsed(parse(*given, **named))

        return stopping

    parser = argparse.ArgumentParser
    with (
        mock.patch.object(parser, "parse_args", stop(parser.parse_args)),
        mock.patch.object(parser, "parse_intermixed_args", stop(parser.parse_intermixed_args)),
        mock.patch.object(cli, "log_to_stderr"),
        pytest.raises(Parsed) as parsed,
    ):
        import_module(f"asr.commands.{command}").main(arguments)
    return parsed.value.options


def _check_settings(words: Sequence[str], multirun: bool = False) -> None:
    assert words, "it does not say of which recipe or run"
    name, *overrides = words
    name = name.removeprefix("recipes/")
    named = name in shipped_recipes() or name in USER_RECIPES or name == "RECIPE"
    assert named or _names_a_run(name), f"there is neither a recipe nor a run {name}"
    recipe = RECIPES / (name if name in shipped_recipes() else "own")
    points = (
        sweep(Recipe(recipe), overrides)
        if multirun or any(override.startswith("sweep=") for override in overrides)
        else [overrides]
    )
    for point in (points[0], points[-1]):
        _compose(recipe, tuple(point))


@functools.cache
def _compose(recipe: Path, overrides: tuple[str, ...]) -> None:
    compose(Recipe(recipe), overrides)


def _names_a_run(name: str) -> bool:
    return bool(re.fullmatch(r"RUN|runs/[\w*-]+/[\w*-]+|[\w/-]+/best|[0-9a-f]{3,8}", name))
