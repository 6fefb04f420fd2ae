"""The commands of the README and of the tutorials do what these say, one after the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr.commands.help import COMMANDS
from tests.helpers.corpora import mirrored
from tests.helpers.documented import ROOT, TUTORIALS, Command, commands
from tests.helpers.programs import PATIENCE
from tools.docs.commands import parser_of

SMALL = ["tracker=disabled", "hardware.device=cpu", "hardware.threads=1", "hardware.workers=0"]
"""Settings of every training here; those of a page stand above its blocks."""


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_the_commands_of_a_tutorial_work(page: Path, tmp_path: Path) -> None:
    wanted = [command for command in commands(page) if command.not_run is None]
    if wanted:
        mirrored("an4_sphere.tar.gz")
        mirrored("waves_yesno.tar.gz")
    _put_on_path(tmp_path / "bin")
    environment = os.environ | {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "ASR_MIRRORS": _mirrors()
    }  # fmt: skip
    for command in wanted:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", _small(command, tmp_path)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_what_is_not_run_says_why() -> None:
    for page in TUTORIALS:
        for command in commands(page):
            assert command.not_run != "", f"{command} does not say why it is not run"


def _small(command: Command, folder: Path) -> str:
    """The command with the overrides of its page, where it takes settings."""
    words = command.text.split()
    settings = [*command.overrides, *SMALL]
    if words[:2] == ["make", "demo"]:
        environment = Path(sys.executable).parent.parent
        settings += [f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]
        made = f"make -C {ROOT} VENV={environment} -o {environment / '.installed'}"
        return f"{made} demo DEMO='{' '.join(settings)}'"
    if words[0] == "asr" and words[1] in COMMANDS and parser_of(words[1]) is None:
        return " ".join([command.text, *settings])
    return command.text


def _put_on_path(folder: Path) -> None:
    """Makes `asr` the package of this checkout."""
    folder.mkdir()
    (folder / "asr").write_text(f'#!/bin/sh\nexec {sys.executable} -m asr "$@"\n')
    (folder / "asr").chmod(0o755)


def _mirrors() -> str:
    from asr.data.archives import mirrors

    return ":".join(str(mirror.absolute()) for mirror in mirrors())
