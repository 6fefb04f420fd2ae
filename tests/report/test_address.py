"""The state of a view is in the address of the page: Back, a reload and a link that was sent show the same."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from asr.commands.cli import main
from tests.helpers.reports import evaluate, metrics_rows, write_run, write_test_corpus
from tests.helpers.watched import Watched

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs, one of them decoded in two ways; 60 utterances of six speakers."""
    folder = tmp_path_factory.mktemp("address")
    references = [f"ONE TWO {['THREE', 'FOUR', 'FIVE'][number % 3]}" for number in range(60)]
    utterances = write_test_corpus(folder / "data", references)
    for name, word in {"gru": "FOUR", "lstm": "FIVE", "rnn": "SIX"}.items():
        run = write_run(folder / "runs" / "yesno" / name, folder / "data", metrics_rows(5))
        evaluate(run, utterances, [text.replace("THREE", word) for text in references])
        if name == "lstm":
            evaluate(run, utterances, [text.replace("FOUR", "FIVE") for text in references], decoder="beam")
    flags = ["--audio=none", "--pictures=0"]
    assert main(["report", str(folder / "runs" / "yesno"), "-o", str(folder / "page"), *flags]) == 0
    return folder / "page"


def again(page: Page) -> None:
    """Reloads the page, which keeps nothing but its address and its place in the history."""
    page.reload()
    page.wait_for_selector("#content[data-shown]")


def found(page: Page) -> str:
    return page.locator("#content [role=status]").last.inner_text()


def test_what_is_filtered_sorted_and_searched_stays(watched: Watched, report: Path) -> None:
    page = watched.open(report, "errors?run=gru&split=test&decoder=greedy")
    page.get_by_label("Search").fill("speaker 1")
    page.get_by_role("button", name=re.compile("^all ")).click()
    page.locator(".groups .link", has_text="speaker 1").click()
    page.locator(".groups .link", has_text="THREE").click()
    page.get_by_role("button", name="Seconds").click()
    shown = page.locator(".rows .row").all_inner_texts()
    assert 2 < len(shown) < 5
    again(page)
    assert page.locator(".rows .row").all_inner_texts() == shown
    assert page.get_by_label("Search").input_value() == "speaker 1" and page.locator(".filter").count() == 2
    expect(page.get_by_role("columnheader", name="Seconds")).to_have_attribute("aria-sort", "descending")
    page.locator(".rows .row a").first.click()
    page.wait_for_selector(".facts")
    again(page)
    expect(page.locator("#content .controls .note").first).to_have_text(f"1 of {len(shown)}")
    page.keyboard.press("u")
    expect(page.locator("#content")).to_have_attribute("data-view", "errors")
    assert page.locator(".rows .row").all_inner_texts() == shown
    page.get_by_label("Evaluation").select_option("rnn greedy, test")
    expect(page.locator(".lead")).to_contain_text("WER")
    assert page.get_by_label("Search").input_value() == "speaker 1", "another run is searched for the same"
    assert len(page.locator(".rows .row").all()) == 10 and page.locator(".filter").count() == 1, "it has no such pair"


def test_chosen_runs_stay_and_go_with_the_address(watched: Watched, report: Path) -> None:
    page = watched.open(report, "runs")
    for name in ("lstm greedy", "lstm beam"):
        page.get_by_label(f"Choose {name}").check()
    again(page)
    assert page.locator(".rows input:checked").count() == 2
    page.locator("#compare-chosen").click()
    expect(page.locator(".chip", has=page.locator("input:checked"))).to_have_text(["lstm beam", "lstm greedy"])
    page.get_by_role("button", name="steps").click()
    page.get_by_role("button", name=re.compile("^B has fewer")).click()
    page.get_by_label("Search").fill("three")
    again(page)
    for name in ("steps", re.compile("^B has fewer")):
        expect(page.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
    assert page.get_by_label("Search").input_value() == "three"
    page.keyboard.press("3")
    expect(page.locator(".chip", has=page.locator("input:checked"))).to_have_text(["lstm"])
    page.get_by_label("gru").check()
    page.locator("#smoothing").fill("0.2")
    again(page)
    assert page.locator(".chip input:checked").count() == 2 and page.locator("#smoothing").input_value() == "0.2"
    page.go_back()
    expect(page.locator("#content")).to_have_attribute("data-view", "compare")
    assert page.get_by_label("Search").input_value() == "three"


def test_back_and_reload_return_to_where_the_page_was(watched: Watched, report: Path) -> None:
    page = watched.open(report, "errors?which=all")
    page.locator(".table").evaluate("table => { table.scrollTop = 600; }")
    page.evaluate("scrollTo(0, 350)")
    page.wait_for_function("() => history.state && history.state.scroll === 350")
    page.locator(".rows .row a >> nth=20").evaluate("link => link.click()")
    page.wait_for_selector(".facts")
    assert page.evaluate("scrollY") == 0
    places = "[scrollY, document.querySelector('.table') && document.querySelector('.table').scrollTop]"
    for step in (page.go_back, page.reload):
        step()
        page.wait_for_function(f"() => String({places}) === '350,600'")


def test_runs_decoded_in_several_ways_are_rows_of_their_own(watched: Watched, report: Path) -> None:
    page = watched.open(report, "runs")
    assert "Decoder" in page.locator(".head").inner_text()
    decoders = page.locator(".rows .row > div:nth-child(3)").all_inner_texts()
    assert sorted(decoders) == ["beam", "greedy", "greedy", "greedy"]
    page = watched.open(report, "compare?run=lstm+greedy&run=lstm+beam")
    expect(page.locator(".sentences li")).to_contain_text("lstm greedy")
    assert page.locator("[data-chart='Dev WER']").get_attribute("data-chart") and found(page)
    page = watched.open(report, "errors?run=lstm&split=test&decoder=beam")
    expect(page.get_by_label("Evaluation").locator("option:checked")).to_have_text("lstm beam, test")
