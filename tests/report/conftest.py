"""A real browser, and reports of real trainings to look at."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from tests.helpers.corpora import load_prepare, mirrored
from tests.helpers.made_up_page import MadeUp, make_up
from tests.helpers.trainings import asr
from tests.helpers.watched import Watched

SETTINGS = [
    "model.hidden=64", "model.layers=2", "model.channels=16", "model.dropout=0.1", "augment=none",
    "training.epochs=6", "optimizer.learning_rate=6e-3", "batching.global_seconds=30", "hardware.workers=0",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A watched page, which must have had no trouble in the end."""
    watched = Watched(browser)
    yield watched
    watched.page.close()
    assert watched.troubles == []


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> MadeUp:
    """A small page with everything that a report can show."""
    return make_up(tmp_path_factory.mktemp("made-up"))


@pytest.fixture(scope="session")
def an4_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short trainings on AN4, evaluated."""
    mirrored("an4_sphere.tar.gz")
    folder = tmp_path_factory.mktemp("an4")
    recipe = find_recipe("an4")
    load_prepare("an4").prepare(compose(recipe), folder / "archives", folder / "data" / "an4")
    for model in ("lstm", "gru"):
        for command in ("train", "evaluate"):
            assert asr(command, "an4", folder, [f"model={model}", *SETTINGS]).returncode == 0
    return folder / "runs" / "an4"


@pytest.fixture(scope="session")
def an4_report(an4_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of both."""
    from asr.commands.cli import main

    folder = tmp_path_factory.mktemp("report")
    assert main(["report", str(an4_runs), "-o", str(folder), "--pictures", "600"]) == 0
    return folder
