"""Options of the whole suite."""

import sys
from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from asr.common.optional import BEAM
from asr.data.utterance import Utterance
from tests.helpers.programs import start_fork_server

SAYS_NO_BEAM = sys.version_info >= (3, 13)
"""Whether what needs the extra `beam` says that there is none for this Python: its tests are skipped."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a test that skips fails")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves the tests marked `gpu` out where there is none; the summary says so."""
    if not torch.cuda.is_available():
        items[:] = [item for item in items if not item.get_closest_marker("gpu")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not torch.cuda.is_available():
        terminalreporter.write_line("There is no GPU here: the tests of the CUDA path did not run.", yellow=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and SAYS_NO_BEAM and any(BEAM in " ".join(text.split()) for text in _said(report)):
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, f"Skipped: beam search: {BEAM}")
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("--no-skips"):
        report.outcome = "failed"
        report.longrepr = f"--no-skips: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and collector.config.getoption("--no-skips"):
        report.outcome = "failed"
        report.longrepr = f"--no-skips: {_reason(report)}"
    return report


def _said(report: pytest.TestReport) -> list[str]:
    return [report.longreprtext, *(text for _, text in report.sections)]


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> None:
    """Worker processes and programs of tests start from a process that has PyTorch and the package imported."""
    start_fork_server()


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    """Utterances of which archives of public corpora are built."""
    from tests.helpers.public_corpora import some_speech  # with all that trains a model, which few tests need

    return some_speech(tmp_path_factory.mktemp("speech"))


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty mirror, the only one, whose archives need not be the publishers'."""
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("ASR_ANY_CHECKSUM", "1")
    monkeypatch.setenv("ASR_MIRRORS", str(tmp_path / "mirror"))
    return tmp_path / "mirror"
