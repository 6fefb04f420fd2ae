"""The container: what its files say, and the installation that they share, in an empty virtual environment."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from tests.helpers.corpora import mirrored

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tools" / "container"
DOCKERFILE, DEFINITION, INSTALL = FOLDER / "Dockerfile", FOLDER / "asr.def", FOLDER / "install.sh"
COPY = re.compile(r"^COPY (?!--from)(.+) (/source\S*)$", re.MULTILINE)


def copied() -> dict[str, str]:
    """What the Dockerfile copies from the checkout, and where to."""
    found = {}
    for sources, target in COPY.findall(DOCKERFILE.read_text()):
        for source in sources.split():
            found[source] = target + Path(source).name if target.endswith("/") else target
    return found


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_no_image_runs_as_root() -> None:
    users = re.findall(r"^USER (\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert users and users[-1] not in ("0", "root")


def test_both_images_are_made_of_the_same_files() -> None:
    files = re.search(r"^%files\n((?: +.+\n)+)", DEFINITION.read_text(), re.MULTILINE)
    assert files is not None
    assert dict(line.split() for line in files[1].splitlines()) == copied()
    allowed = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    for source in copied():
        assert (ROOT / source).exists()
        assert f"!{source}" in allowed


@pytest.mark.parametrize(("device", "index"), [("cuda", []), ("cpu", ["--extra-index-url"]), ("", [])])
def test_the_device_chooses_the_index_of_pytorch(device: str, index: list[str], tmp_path: Path) -> None:
    _fake_python(tmp_path)
    command = ["sh", INSTALL, "/source", tmp_path / "venv", *([device] if device else [])]
    subprocess.run(command, check=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, timeout=60)
    options = (tmp_path / "said").read_text().splitlines()[-1].split()
    assert options[:3] == ["-m", "pip", "install"]
    assert options[3:-1][:1] == index
    assert options[-1].startswith("/source[")


def test_an_unknown_device_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", INSTALL, "/source", tmp_path / "venv", "tpu"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (2, "install.sh: tpu is no device: give cuda or cpu.\n")
    assert not (tmp_path / "venv").exists()


def test_the_job_of_kubernetes_starts_a_training() -> None:
    page = (ROOT / "docs" / "how-to" / "containers.md").read_text()
    job = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (job["kind"], pod["restartPolicy"]) == ("Job", "Never")
    assert f"--nproc-per-node={container['resources']['limits']['nvidia.com/gpu']}" in container["command"]
    start = container["command"].index("train")
    assert container["command"][start - 2 : start] == ["-m", "asr"]
    recipe, *overrides = container["command"][start + 1 :]
    compose(find_recipe(recipe), overrides)
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.slow
def test_what_the_image_installs_runs_a_recipe(tmp_path: Path) -> None:
    for source, target in copied().items():
        place = tmp_path / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, place)
    mirror = mirrored("waves_yesno.tar.gz").absolute().parent
    source, venv, work = tmp_path / "source", tmp_path / "venv", tmp_path / "work"
    subprocess.run([source / "install.sh", source, venv], check=True, timeout=900)
    shutil.rmtree(source)  # an image has what is installed alone
    work.mkdir()
    command = ["run", "yesno", "training.epochs=1", "model.hidden=8", "tracker=disabled", "evaluation.splits=[dev]"]
    variables = {"PATH": f"{venv / 'bin'}:{os.environ['PATH']}", "ASR_MIRRORS": str(mirror), "HOME": str(work)}
    subprocess.run(["asr", *command], cwd=work, env=variables, check=True, timeout=300)
    assert [*(work / "runs" / "yesno").glob("*/model/model.safetensors")]


def _fake_python(folder: Path) -> None:
    """A python3 that writes down what it is asked for, and puts itself into a virtual environment."""
    script = folder / "python3"
    script.write_text(
        f'#!/bin/sh\necho "$@" >> {folder}/said\n'
        f'if [ "$2" = venv ]; then mkdir -p "$3/bin" && ln -s {script} "$3/bin/python"; fi\n'
    )
    script.chmod(0o755)
