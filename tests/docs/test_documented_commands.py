"""Every command in the documentation exists, with its flags, and its settings compose."""

from pathlib import Path

import pytest

from tests.helpers.command_lines import fault_of
from tests.helpers.documented import PAGES, ROOT, commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_can_be_given(page: Path) -> None:
    wrong = [f"{command}\n    {fault}" for command in commands(page) if (fault := fault_of(command.text))]
    assert not wrong, "\n".join(wrong)


def test_what_a_page_must_not_say_is_found() -> None:
    for text in (
        "asr trian an4",
        "asr train an5",
        "asr train an4 model=lsmt",
        "asr train an4 model.hiden=3",
        "asr train an4 -m model=lstm,gruu",
        "asr train an4 model.dropout=3",
        "asr transcribe MODEL a.wav --fromat srt",
        "asr transcribe MODEL a.wav --format srtt",
        "asr lm train an4 lm.ordr=3",
        "asr lm scor model",
        "asr compare runs/a runs/b --decodr x",
        "asr benchmark an4",
        "make tset",
        "torchrun --nproc-per-node=2 -m asr train an4 seeds=2",
        "sbatch --nodes=2 tools/slurm/trian.sbatch an4",
        "python tools/benchmark/training.py --qick",
        "python -m tools.kill",
        "pip install 'asr[bean]'",
        "asrr run an4",
    ):
        assert fault_of(text), text


def test_blocks_comments_and_continued_lines_are_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n<!-- test: seed=2 -->\n```console\n$ asr run an4  # all of it\n...\n"
        "$ asr train an4 \\\n    seed=3\n```\n\n```python\nasr.load()\n```\n\n"
        "<!-- not run: why -->\n```sh\nasr run b\n```\n\n    asr run c\n"
    )
    assert [(command.line, command.text, command.overrides, command.not_run) for command in commands(page)] == [
        (5, "asr run an4", ["seed=2"], None),
        (7, "asr train an4 \\\n    seed=3", ["seed=2"], None),
        (17, "asr run b", [], "why"),
        (20, "asr run c", [], None),
    ]
