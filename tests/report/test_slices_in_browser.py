"""Slices, baseline, sweep and marks on the page, in a real browser."""

import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.helpers.sweep_page import make_sweep
from tests.helpers.watched import Watched

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sweep(tmp_path_factory.mktemp("sweep"))


GRAVE = ("critical", "serious")
UTTERANCE = "utterance?run=blstm-32-1e-3-1&split=test&decoder=greedy&id=0"


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_no_view_of_a_sweep_has_a_grave_fault_or_is_too_wide(
    browser: Browser, sweep: Path, width: int, scheme: str
) -> None:
    watched = Watched(browser, width, scheme)
    for view in ("settings", "runs?baseline=blstm-128-1e-3-1", "errors", "compare", "data", UTTERANCE):
        page = watched.open(sweep, view)
        page.wait_for_load_state()
        found = Axe().run(page).response["violations"]
        faults = [(one["id"], [node["html"][:150] for node in one["nodes"]]) for one in found if one["impact"] in GRAVE]
        assert faults == [], view
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
    watched.page.close()


def test_utterances_are_filtered_by_fields_that_the_address_keeps(watched: Watched, sweep: Path) -> None:
    page = watched.open(sweep, "errors")
    page.get_by_role("button", name=re.compile("^all ")).click()
    status = page.locator("#content .note[role=status]").first
    expect(status).to_have_text("24 utterances of 24")
    page.get_by_role("combobox", name=re.compile("^sex")).select_option("female")
    expect(status).to_have_text("12 utterances of 24")
    page.get_by_role("combobox", name=re.compile("^device")).select_option("phone")
    expect(status).to_have_text("6 utterances of 24")
    page.reload()
    expect(page.locator("#content .note[role=status]").first).to_have_text("6 utterances of 24")
    assert page.get_by_role("combobox", name=re.compile("^sex")).input_value() == "female"


def test_subgroups_of_fields_and_pairs_have_intervals(watched: Watched, sweep: Path) -> None:
    page = watched.open(sweep, "errors")
    by_both = page.locator('[data-measure="sex, device"]')
    expect(by_both.locator("tbody tr")).to_have_count(4)
    assert re.search(r"\d \u2013 \d", by_both.inner_text())
    page.locator('[data-measure="sex"]').get_by_role("button", name="female").click()
    expect(page.locator("#content .note[role=status]").first).to_have_text("12 utterances of 24")
    page.get_by_role("button", name="names").click()
    expect(page.get_by_role("button", name=re.compile("words: names"))).to_be_visible()


def test_the_utterances_of_women_that_a_wins(watched: Watched, sweep: Path) -> None:
    page = watched.open(sweep, "compare?which=better&field=sex%3Dfemale")
    rows = page.locator(".table .rows .row")
    expect(rows.first).to_be_visible()
    assert page.get_by_role("combobox", name=re.compile("^sex")).input_value() == "female"
    page.locator('[data-measure="sex"]').get_by_role("button", name="male", exact=True).click()
    assert page.get_by_role("combobox", name=re.compile("^sex")).input_value() == "male" and "sex%3Dmale" in page.url


def test_a_baseline_is_marked_and_kept_in_the_address(watched: Watched, sweep: Path) -> None:
    page = watched.open(sweep, "runs")
    page.get_by_label("Baseline").select_option("blstm-128-1e-3-1")
    expect(page.get_by_role("gridcell", name="baseline")).to_have_count(1)
    expect(page.get_by_role("gridcell", name=re.compile("^≠")).first).to_be_visible()
    page.reload()
    expect(page.get_by_role("gridcell", name="baseline")).to_have_count(1)
    for heading in ("Date", "Commit", "Host", "Tags", "Command"):
        expect(page.get_by_role("button", name=heading)).to_be_visible()


def test_a_sweep_tells_what_matters(watched: Watched, sweep: Path) -> None:
    page = watched.open(sweep, "settings")
    expect(page.locator("#content")).to_contain_text("model.hidden explains most")
    expect(page.locator(".parallel .run-line")).to_have_count(18)
    expect(page.locator(".sweep .dot")).to_have_count(18)
    expect(page.locator("#content")).to_contain_text("Seeds vary by ±")
    page.get_by_role("group", name="Filter by setting").get_by_label(re.compile("^model.hidden")).select_option("32")
    expect(page.locator(".parallel .run-line")).to_have_count(6)
    page.get_by_label("Colour by").select_option("seed")
    page.locator(".run-line").first.hover(force=True)
    page.reload()
    expect(page.locator(".parallel .run-line")).to_have_count(6)
    assert page.get_by_label("Colour by").input_value() == "seed"


def test_curves_are_coloured_by_a_setting_that_the_address_keeps(watched: Watched, sweep: Path) -> None:
    page = watched.open(sweep, "training?run=blstm-32-1e-3-1&run=blstm-32-1e-3-2&run=blstm-128-1e-3-1")
    page.get_by_label("Colour by").select_option("model.hidden")
    legend = page.locator('[data-chart="Dev WER"] .u-legend .u-series:has(svg)')
    expect(legend.first).to_contain_text("blstm-128-1e-3-1, model.hidden=128")
    colours = [legend.nth(place).locator("line").get_attribute("stroke") for place in range(3)]
    assert len(set(colours)) == 2 and "colour=model.hidden" in page.url


def test_references_are_marked_and_saved(watched: Watched, sweep: Path) -> None:
    page = watched.open(sweep, "data")
    expect(page.get_by_role("button", name="Play 1")).to_be_visible()
    page.get_by_label("Transcript of 1").fill("CALL THEM")
    page.get_by_label("Transcript of 1").press("Enter")
    page.goto(page.url.split("#")[0] + f"#{UTTERANCE}")
    page.get_by_role("group", name="Mark 0").get_by_role("button", name="leave out").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save marks.jsonl").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert sorted(map(json.loads, lines), key=lambda row: row["id"]) == [
        {"id": "0", "drop": True},
        {"id": "1", "text": "CALL THEM"},
    ]
