"""Writes docs/reference/commands.md: every command with its flags, from the help that it prints itself."""

import argparse
import functools
import io
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from unittest import mock

from asr.commands import cli
from asr.commands.help import COMMANDS
from asr.settings.recipe import RECIPES

PAGE = RECIPES.parent / "docs" / "reference" / "commands.md"

HEAD = """# Commands

Made by `make docs` from the help texts of the commands: change those, not this page.

Commands on a RECIPE take settings as `key=value` ([configuration](../configuration.md)); commands on a RUN, a MODEL or
a FILE take flags. A command exits with 0 if it did its work, with 2 and one sentence for a user's mistake, and with
128 + n if signal n stopped it.

"""

SHOWN = "train"
"""The command whose help stands for that of all commands that take the same settings."""


def render() -> str:
    """The whole page."""
    return HEAD + "".join(f"{section}\n" for section in ("## asr\n", _block(_printed()), *map(_section, COMMANDS)))


@functools.cache
def parser_of(*arguments: str) -> argparse.ArgumentParser | None:
    """The parser whose help `asr ARGUMENTS --help` prints; None where that is a text of its own."""
    found: list[argparse.ArgumentParser] = []

    def keep(parser: argparse.ArgumentParser, file: object = None) -> None:
        found.append(parser)

    with mock.patch.object(argparse.ArgumentParser, "print_help", keep):
        _printed(*arguments)
    return found[0] if found else None


def _section(command: str) -> str:
    """What stands below the heading of a command."""
    heading = f"## asr {command}\n\n"
    parser = parser_of(command)
    if parser is not None:
        return heading + "\n".join(_parser(parser, command))
    text = _printed(command)
    if command != SHOWN and text == _printed(SHOWN).replace(f"asr {SHOWN} ", f"asr {command} ").replace(
        COMMANDS[SHOWN], COMMANDS[command]
    ):
        usage = text.splitlines()[0].removeprefix("Usage: ")
        return (
            f"{heading}{_block(usage)}\n{COMMANDS[command]} Settings and options as of [asr {SHOWN}](#asr-{SHOWN}).\n"
        )
    return heading + _block(text)


@functools.cache
def _printed(*arguments: str) -> str:
    output = io.StringIO()
    with redirect_stdout(output), suppress(SystemExit):
        cli.main([*arguments, "--help"])
    return output.getvalue()


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```\n"


def _parser(parser: argparse.ArgumentParser, command: str) -> Iterator[str]:
    """Usage, description and a table of arguments, in a form that no version of Python and no terminal changes."""
    subparsers = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not subparsers:
        yield _block(usage(parser))
    if parser.description:
        yield f"{' '.join(parser.description.split())}\n"
    if subparsers:
        for verb, part in subparsers[0].choices.items():
            yield f"### asr {command} {verb}\n"
            if verb == "train":  # its settings are read by Hydra
                yield _block(f"asr {command} {verb} RECIPE [key=value ...]")
            else:
                yield from _parser(part, command)
        return
    yield "| argument | meaning |\n|---|---|"
    yield from (f"| `{_name(action)}` | {_meaning(action)} |" for action in _arguments(parser))
    yield ""


def usage(parser: argparse.ArgumentParser) -> str:
    """The line of usage: flags first, as argparse would write it in a wide terminal."""
    arguments = _arguments(parser)
    flags = [_name(action).split(", ")[0] for action in arguments if action.option_strings]
    required = {_name(action).split(", ")[0] for action in arguments if action.required}
    places = [_name(action) for action in arguments if not action.option_strings]
    return " ".join([parser.prog, *(flag if flag in required else f"[{flag}]" for flag in flags), *places])


def _arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.dest != "help" and action.help != argparse.SUPPRESS]


def _name(action: argparse.Action) -> str:
    """As in `-o FOLDER, --output FOLDER` or `FILE ...`."""
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    if action.nargs == 0:
        value = ""
    repeated = {"+": f"{value} ...", "*": f"[{value} ...]", "?": f"[{value}]"}.get(str(action.nargs), str(value))
    return ", ".join(f"{flag} {repeated}".strip() for flag in action.option_strings) or repeated


def _meaning(action: argparse.Action) -> str:
    return " ".join((action.help or "").split()).replace("|", "\\|")
