"""Charts and tables that stay readable: of a run that diverged, of many runs, on a narrow page, and on paper."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from asr.commands.cli import main
from asr.scoring.results import evaluation_folder
from tests.helpers.reports import evaluate, metrics_rows, write_run, write_test_corpus
from tests.helpers.watched import Watched

pytestmark = pytest.mark.slow

RUNS = 20
HEBREW = "שלום עולם טוב"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty runs, the last of which diverged and recognizes nothing."""
    folder = tmp_path_factory.mktemp("charts")
    references = [*["ONE TWO THREE FOUR"] * 29, HEBREW]
    utterances = write_test_corpus(folder / "data", references)
    for number in range(RUNS):
        lost = number == RUNS - 1
        parts = {"time__data_wait_share": 0.1, "time__compute_share": 0.5}
        losses = {"train__loss": lambda epoch: 121 + 150 * epoch} if lost else {}
        name = f"{['gru', 'lstm'][number % 2]}-with-a-long-name-{number:02}"
        run = write_run(folder / "runs" / "yesno" / name, folder / "data", metrics_rows(5, **losses, **parts))
        right = 29 - number % 2
        hypotheses = [*references[:right], *["ONE"] * (29 - right), "שלום טוב"]
        evaluate(run, utterances, [""] * 30 if lost else hypotheses)
        results = evaluation_folder(run, "test", "greedy") / "results.json"
        figures = json.loads(results.read_text()) | {"real_time_factor": 0.0000123}
        results.write_text(json.dumps(figures))
    assert main(["report", str(folder / "runs" / "yesno"), "-o", str(folder / "page"), "--audio=none"]) == 0
    return folder / "page"


def boxes(page: Page, selector: str) -> Any:
    """Left, right, top and bottom of elements."""
    code = (
        "all => all.map(one => { const b = one.getBoundingClientRect(); return [b.left, b.right, b.top, b.bottom]; })"
    )
    return page.locator(selector).evaluate_all(code)


def test_one_run_that_diverged_does_not_flatten_the_others(watched: Watched, report: Path) -> None:
    names = [f"run={['gru', 'lstm'][number % 2]}-with-a-long-name-{number:02}" for number in (0, 1, 2, RUNS - 1)]
    page = watched.open(report, "training?" + "&".join(names))
    loss = page.locator("[data-chart='Training loss']")
    expect(loss.locator(".outside")).to_have_text("▲ Above this axis: lstm-with-a-long-name-19 (up to 871).")
    page.get_by_role("button", name="all values").click()
    expect(loss.locator("canvas")).to_be_visible()
    expect(loss.locator(".outside")).to_have_count(0)
    page.get_by_role("button", name="log", exact=True).click()
    page.reload()
    for name in ("log", "all values"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
    expect(loss.locator("canvas")).to_be_visible()
    highest = page.evaluate("[report.typicalHigh([[3, 1], [4, 2], [121, 872]]), report.typicalHigh([[9, 1], [30, 2]])]")
    assert highest == [4, None], "what most reach, unless all fit"


def test_every_run_and_every_part_has_its_own_mark(watched: Watched, report: Path) -> None:
    page = watched.open(report, "training")
    marks = page.locator(".chips .swatch line").evaluate_all(
        "all => all.map(one => one.getAttribute('stroke') + one.getAttribute('stroke-dasharray'))"
    )
    assert len(marks) == RUNS and len(set(marks)) == RUNS
    bar = page.locator(".split").first
    paint = "all => all.map(one => getComputedStyle(one).background)"
    parts, keys = (bar.locator(place).evaluate_all(paint) for place in (".bar .part", ".key"))
    assert len(set(parts)) == 3 and parts == keys, "what stands for waiting, computing and other is in the legend"


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_nothing_is_cut_or_overlaps(browser: Browser, report: Path, width: int) -> None:
    watched = Watched(browser, width)
    page = watched.open(report, "runs")
    page.wait_for_selector(".forest .tick")
    ticks = boxes(page, ".forest .tick")
    assert len(ticks) >= 2 and all(left[1] < right[0] for left, right in pairwise(ticks))
    (plot,) = boxes(page, ".forest svg")
    assert ticks[-1][1] - ticks[0][0] > 0.4 * (plot[1] - plot[0]), "the axis fills a good part of the page"
    texts = boxes(page, ".forest .result >> nth=0 >> text")
    assert texts[0][1] <= texts[1][0] or texts[0][3] <= texts[1][2], "a name does not run into its figures"
    assert page.locator(".forest .beyond").count() == 1, "the run that diverged is beyond the axis"
    expect(page.locator(".forest .figures").last).to_have_text(re.compile(r"^100\.00\s+\(no interval\)$"))
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"
    assert page.locator(".row .numeric, .head .numeric button").evaluate_all(cut) == []
    heading = boxes(page, ".head [data-key=seed]")[0]
    assert width < 1000 or heading[1] < width, "the seed is in sight"
    assert "1.2e-5" in page.locator(".rows .row").first.inner_text(), "a small real-time factor is not 0.00"
    for view in ("runs", "compare", "training", "errors", "data"):
        page = watched.open(report, view)
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
    watched.page.close()
    assert watched.troubles == []


def test_words_of_a_right_to_left_script_stand_from_right_to_left(watched: Watched, report: Path) -> None:
    page = watched.open(report, "errors?search=שלום")
    line = page.locator(".rows .aligned-line")
    words = boxes(page, ".rows .aligned-line bdi")
    assert len(words) == 3 and words[0][0] > words[1][0] > words[2][0]
    expect(line).to_have_attribute("dir", "rtl")
    assert page.evaluate("[report.direction('3 שלום A'), report.direction('A שלום'), report.direction('?')]") == [
        "rtl",
        "ltr",
        "ltr",
    ]


def test_figures_fit_on_paper(watched: Watched, report: Path) -> None:
    for view, figures in (
        ("compare", ".plot canvas"),
        ("runs", ".forest svg, .on-paper"),
        ("training", ".plot canvas"),
    ):
        page = watched.open(report, view)
        page.wait_for_selector(figures.split(",")[0])
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 700, "height": 900})
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        found = boxes(page, figures)
        assert found and all(right <= 701 for _, right, _, _ in found), view
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 1400, "height": 900})
