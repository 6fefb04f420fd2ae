"""The command line: what runs, what is printed where, and the exit codes."""

import errno
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from omegaconf import DictConfig

from asr.commands.cli import Job, main
from asr.commands.help import COMMANDS, group_choices, shipped_recipes
from asr.common.errors import DataError, Interrupted
from asr.scoring import provenance
from asr.settings.compose import as_yaml, compose
from asr.settings.recipe import SHIPPED, Recipe, find_recipe
from asr.settings.root import Config
from tests.helpers.programs import PATIENCE

MODELS = ", ".join(group_choices()["model"])
SHIPPED_NAMES = ", ".join(shipped_recipes())
HEAVY = ("torch", "torchaudio", "hydra", "omegaconf", "wandb", "jinja2", "jiwer", "numpy")


@dataclass
class Training:
    """Stands for asr.commands.train: keeps the configurations that it was called with."""

    configs: list[Config] = field(default_factory=list)
    act: Callable[[], float] = lambda: 0.5

    def run(self, recipe: Recipe, config: Config) -> float:
        self.configs.append(config)
        logging.getLogger("asr.training").info("training %s", recipe.name)
        logging.getLogger("asr.training").warning("slow disk")
        return self.act()


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Training:
    stand_in = Training()
    module = ModuleType("asr.commands.train")
    module.run = stand_in.run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "asr.commands.train", module)
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.chdir(tmp_path)
    return stand_in


def stopped(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {command}" in printed and about in printed for command, about in COMMANDS.items())


@pytest.mark.parametrize("arguments", [["train", "--help"], ["train", "an4", "-h"]])
def test_help_of_a_command_lists_groups_and_choices(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    for group, choices in group_choices().items():
        (line,) = (line for line in printed.splitlines() if line.startswith(f"  {group} "))
        assert [choice.rstrip("*") for choice in line.split(None, 1)[1].split(", ")] == choices


def test_help_imports_nothing_heavy() -> None:
    program = f"""
import sys
from contextlib import suppress
from asr.commands.cli import main
for arguments in (["--help"], ["train", "--help"], ["report", "--help"], ["errors", "--help"]):
    with suppress(SystemExit):
        main(arguments)
sys.exit(' '.join(sorted(set({HEAVY!r}) & set(sys.modules))) or 0)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert finished.returncode == 0, finished.stderr


def test_the_module_is_the_command_line_too() -> None:
    def printed(*start: str) -> str:
        return subprocess.run([*start, "--help"], capture_output=True, text=True, check=True, timeout=PATIENCE).stdout

    assert printed(sys.executable, "-m", "asr") == printed(str(Path(sys.executable).parent / "asr")) != ""


def test_a_command_gets_the_composed_configuration(training: Training) -> None:
    assert main(["train", "yesno", "model=gru", "debug=off", "seed=7"]) == 0
    (config,) = training.configs
    assert (config.name, config.seed, config.data.sampling_rate) == ("gru", 7, 8000)


def test_the_command_line_is_read_without_the_parser_of_hydra(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydra._internal.utils.get_args_parser", lambda: pytest.fail("it fails on Python 3.14"))
    main(["train", "an4", "-m", "seed=1,2"])
    assert [config.seed for config in training.configs] == [1, 2]


def test_a_recipe_may_lie_anywhere(training: Training, tmp_path: Path) -> None:
    shutil.copytree(find_recipe("an4").folder, tmp_path / "my corpus")
    main(["train", "my corpus"])
    assert len(training.configs) == 1


def test_multirun_runs_every_combination(training: Training, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "an4", "-m", "model=lstm,gru", "seed=1,2"])
    assert [(config.name, config.seed) for config in training.configs] == [
        ("lstm", 1), ("lstm", 2), ("gru", 1), ("gru", 2),
    ]  # fmt: skip
    assert "Job 2: model=gru seed=1" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["override", "recipe", "choice of its own", "run"])
def test_a_cluster_is_submitted_to_wherever_it_is_chosen(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, training: Training
) -> None:
    submitted: list[str] = []
    monkeypatch.setattr(Hydra, "multirun", lambda self, name, job, overrides: submitted.append(job.subject))
    recipe = tmp_path / "mine"
    recipe.mkdir()
    chosen = "override /cluster: slurm, " if place == "recipe" else ""
    (recipe / "recipe.yaml").write_text(f"defaults: [/config, {chosen}_self_]\n")
    subject, overrides = "mine", ["cluster=slurm"] if place in ("override", "run") else []
    if place == "choice of its own":
        (recipe / "cluster").mkdir()
        (recipe / "cluster" / "ours.yaml").write_text("# @package _global_\ndefaults: [slurm, _self_]\n")
        overrides = ["cluster=ours"]
    if place == "run":
        subject = "runs/mine/lstm-01234567"
        (tmp_path / subject).mkdir(parents=True)
        (tmp_path / subject / "config.yaml").write_text(as_yaml(compose(Recipe(recipe))))
    main(["train", subject, *overrides])
    assert submitted == [subject] and not training.configs
    main(["train", subject, *overrides, "seed=1,2"])
    assert submitted == [subject] * 2
    if overrides:
        main(["train", subject])
        assert len(training.configs) == 1


def test_a_configuration_is_composed_once(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[object] = []
    load = ConfigLoaderImpl.load_configuration
    monkeypatch.setattr(
        ConfigLoaderImpl, "load_configuration", lambda self, *a, **b: (composed.append(b), load(self, *a, **b))[1]
    )
    main(["train", "an4", "cluster=local", "hydra.verbose=false"])
    assert len(composed) == len(training.configs) == 1


def test_a_job_can_be_sent_to_another_machine() -> None:
    job = Job("train", find_recipe("an4"), arguments=("train", "an4"))
    assert pickle.loads(pickle.dumps(job)) == job


def test_a_submitted_job_names_the_command_that_submitted_it(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []

    def name() -> float:
        commands.append(provenance.command())
        return 0.5

    training.act = name
    monkeypatch.setattr(sys, "argv", ["/bin/asr", "train", "an4", "cluster=slurm"])
    call = Job.__call__

    def elsewhere(self: Job, composed: DictConfig) -> float | None:
        """As submitit's worker calls it."""
        sys.argv = ["/site-packages/submitit/core/_submit.py", "/runs/.multirun/.submitit/1"]
        os.environ["SUBMITIT_EXECUTOR"] = "slurm"
        return call(pickle.loads(pickle.dumps(self)), composed)

    monkeypatch.setenv("SUBMITIT_EXECUTOR", "")
    monkeypatch.setattr(Job, "__call__", elsewhere)
    main(["train", "an4"])
    assert commands == ["asr train an4 cluster=slurm"]


def test_cfg_prints_and_runs_nothing(training: Training, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "an4", "model=gru", "--cfg", "job"])
    assert "cells:\n  - gru" in capsys.readouterr().out
    assert not training.configs


def test_an_ordinary_run_leaves_no_files_of_hydra(training: Training, tmp_path: Path) -> None:
    main(["train", "an4"])
    assert list(tmp_path.iterdir()) == []


def test_logs_are_bare_lines_on_stderr(training: Training, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "an4"])
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "training an4\nwarning: slow disk\n")


@pytest.mark.parametrize(("rank", "calls"), [("0", 1), ("1", 0)])
def test_of_several_ranks_the_first_prepares(
    rank: str, calls: int, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    module = ModuleType("asr.commands.prepare")
    module.run = lambda recipe, config: called.append(recipe.name)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "asr.commands.prepare", module)
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    main(["prepare", "an4"])
    assert len(called) == calls


def test_only_rank_0_says_what_it_does(
    training: Training, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    main(["train", "an4"])
    assert capsys.readouterr().err == "warning: slow disk\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian", "an4"], f"There is no command 'trian', only {', '.join(COMMANDS)}; did you mean train?"),
        (["train"], f"asr train needs a RECIPE: a folder, or one of {SHIPPED_NAMES}; or the folder of "
                   "a run."),
        (["train", "seed=1"], f"asr train needs a RECIPE: a folder, or one of {SHIPPED_NAMES}; or the folder of "
                   "a run."),
        (["train", "an5"], "No recipe at 'an5': give a folder with a recipe.yaml, or one of the shipped: "
                           f"{SHIPPED_NAMES}; or a run, by its folder, its hash, or as RECIPE/best."),
        (["train", "an4", "--epochs", "3"], "asr train takes key=value and no --epochs; "
                                            "did you mean training.epochs?"),
        (["train", "an4", "-m", "--cfg", "job"], "asr train: -m runs and --cfg only prints; give one of the two."),
        (["train", "an4", "modle=gru"], "There is no key modle; did you mean model?"),
        (["train", "an4", "model=grru"], f"There is no model=grru, only {MODELS}; did you mean gru?"),
        (["train", "an4", "seed=x"], "seed is 'x', where a whole number belongs."),
        (["train", "an4", "model=[lstm,gru]"], "model takes one of its choices: to run each, write model=lstm,gru and "
                                               "add -m."),
        (["train", "an4", "cluster.sbatch={qos:null}"], "cluster.sbatch.qos is null, where a text belongs."),
        (["train", "an4", "--resolve"], "asr train: --resolve goes with --cfg job."),
        (["train", "an4", "--info"], "asr train takes key=value and no --info; see asr train --help."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], sentence: str, training: Training, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stopped(*arguments) == 2
    assert capsys.readouterr().err == f"asr: {sentence}\n"
    assert not training.configs


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("a.wav is cut\nshort."), 2, "asr: a.wav is cut short."),
        (Interrupted("Saved at step 3.", signal.SIGTERM), 143, "asr: Saved at step 3."),
        (KeyboardInterrupt(), 130, "asr: interrupted."),
        (OSError(errno.ENOSPC, "", "/data"), 2, "asr: The disk is full at /data: free space and try again."),
    ],
)
@pytest.mark.parametrize("flags", [[], ["-m"]])
def test_what_ends_a_command_is_one_line(
    error: BaseException,
    code: int,
    line: str,
    flags: list[str],
    training: Training,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> float:
        raise error

    training.act = fail
    assert stopped("train", "an4", *flags) == code
    printed = capsys.readouterr().err.splitlines()
    assert printed[-2:] == ["warning: slow disk", line]


def test_a_defect_keeps_its_traceback(training: Training) -> None:
    training.act = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        main(["train", "an4"])


def test_a_reader_that_leaves_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    finished = subprocess.run(
        [sys.executable, "-m", "asr", "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    os.close(write)
    assert (finished.returncode, finished.stderr) == (141, "")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no build folder appears in the checkout."""
    copy, folder = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in ("asr", "conf", "recipes"):
        shutil.copytree(SHIPPED / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(SHIPPED / name, copy)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(copy)], check=True, timeout=PATIENCE)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_carries_every_file(wheel: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        path.relative_to(SHIPPED).as_posix()
        for path in (SHIPPED / "asr").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    shipped = {
        f"asr/{path.relative_to(SHIPPED).as_posix()}"
        for folder in ("conf", "recipes")
        for path in (SHIPPED / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert modules | shipped <= carried


@pytest.mark.slow
def test_the_wheel_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    site_packages = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site_packages)
    # What the package depends on comes from the environment of the tests; the wheel comes first.
    dependencies = {str(Path(module.__file__ or "").parents[1]) for module in map(__import__, ("hydra", "yaml"))}
    program = "import asr.commands.cli; print(asr.__file__); asr.commands.cli.main(['train', 'yesno', '--cfg', 'job'])"
    finished = subprocess.run(
        [python, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": os.pathsep.join([str(site_packages), *dependencies])},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    first_line, configuration = finished.stdout.split("\n", 1)
    assert Path(first_line).is_relative_to(site_packages)
    assert "sampling_rate: 8000" in configuration
