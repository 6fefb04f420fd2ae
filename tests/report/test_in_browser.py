"""The page for reviewing runs in a real browser, opened from disk, with real trainings."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from asr.commands.cli import main
from asr.scoring.error_unit import ErrorUnit
from tests.helpers.reports import evaluate, metrics_rows, write_panel, write_run, write_test_corpus
from tests.helpers.watched import Watched
from tests.report.test_page import HOSTILE

pytestmark = pytest.mark.slow

MINUS = "\u2212"
VIEWS = ("runs", "compare", "training", "errors", "data", "settings")


def column(page: Page, place: int) -> list[str]:
    """The texts of a column of the first table, as far as it is drawn."""
    return page.locator(f".table >> nth=0 >> .rows .row > div:nth-child({place})").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 800])
def test_every_view_fits_and_has_no_trouble(browser: Browser, an4_report: Path, scheme: str, width: int) -> None:
    watched = Watched(browser, width, scheme)
    for view in VIEWS:
        page = watched.open(an4_report, view)
        expect(page.locator("#content")).to_have_attribute("data-view", view)
        expect(page.locator("h2").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is wider than the window"
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    watched.page.close()
    assert watched.troubles == []


def test_runs_are_sorted_and_lead_to_their_errors(watched: Watched, an4_report: Path) -> None:
    page = watched.open(an4_report, "runs")
    assert page.locator(".forest .result").count() == 2
    rates = [float(text) for text in column(page, 4)]
    assert rates == sorted(rates)
    page.get_by_role("button", name=re.compile("^WER %")).click()
    assert [float(text) for text in column(page, 4)] == sorted(rates, reverse=True)
    expect(page.locator(".differs").first).to_be_visible()
    page.locator(".forest .result").first.click()
    expect(page.locator("#content")).to_have_attribute("data-view", "errors")


def test_errors_are_sorted_searched_and_filtered(watched: Watched, an4_report: Path) -> None:
    page = watched.open(an4_report, "errors")
    page.get_by_role("button", name=re.compile("^all ")).click()
    status = page.locator("#content [role=status]")
    expect(status).to_have_text("130 utterances of 130")
    page.get_by_role("button", name="Seconds").click()
    seconds = [float(text) for text in column(page, 6)]
    assert seconds == sorted(seconds, reverse=True) and len(seconds) < 60, "not every row is drawn"
    page.keyboard.press("/")
    page.keyboard.type("fcaw")
    expect(status).to_have_text("13 utterances of 130")
    assert set(column(page, 5)) == {"fcaw"}
    page.get_by_label("Search").fill("")
    page.locator(".groups .link").filter(has_text="mjwl").click()
    expect(status).to_have_text("13 utterances of 130")
    page.locator(".filter").click()
    expect(status).to_have_text("130 utterances of 130")
    confusion = page.locator(".card", has_text="Top confusions").locator("tbody tr").first
    confusion.locator(".link").click()
    assert 0 < int(status.inner_text().split()[0]) < 130


def test_a_table_is_walked_with_the_keys(watched: Watched, an4_report: Path) -> None:
    page = watched.open(an4_report, "errors")
    table = page.get_by_role("grid", name="Utterances")
    table.focus()
    for key in ("ArrowDown", "ArrowDown", "End", "Home", "PageDown"):
        page.keyboard.press(key)
    expect(table.locator(".active")).to_be_in_viewport()
    chosen = table.locator(".active a").inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("h2").first).to_have_text(chosen)
    assert f"id={chosen}" in page.url
    page.keyboard.press("u")
    expect(page.locator("#content")).to_have_attribute("data-view", "errors")
    page.keyboard.press("1")
    expect(page.locator("#content")).to_have_attribute("data-view", "runs")


def test_an_utterance_shows_its_words_and_plays(watched: Watched, an4_report: Path) -> None:
    page = watched.open(an4_report, "errors")
    page.locator(".rows .row a").first.click()
    page.wait_for_selector("audio")
    expect(page.locator(".aligned-columns").first.locator(".pair").first).to_be_visible()
    signs = (
        page.locator(".aligned-columns").first.locator(".step-S .sign, .step-D .sign, .step-I .sign").all_inner_texts()
    )
    assert signs and set(signs) <= {"≠", MINUS, "+"}
    ink = page.locator("canvas.picture").evaluate(
        "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size"
    )
    assert ink > 50, "the picture is empty"
    seconds = page.locator("audio").evaluate("audio => audio.duration")
    shown = page.locator(".facts div", has_text="duration").locator("dd").inner_text()
    assert seconds == pytest.approx(float(shown.split()[0]), abs=0.02)
    page.locator("canvas.picture").click(position={"x": 300, "y": 60})
    page.wait_for_function(
        "document.querySelector('audio').currentTime > 0.2 && !document.querySelector('audio').paused"
    )
    page.keyboard.press(" ")
    page.wait_for_function("document.querySelector('audio').paused")
    first = page.locator("h2").first.inner_text()
    page.keyboard.press("n")
    expect(page.locator("h2").first).not_to_have_text(first)
    assert page.locator(".other").count() == 1


def test_the_theme_switches_and_stays(watched: Watched, an4_report: Path) -> None:
    page = watched.open(an4_report, "training")
    page.wait_for_selector("canvas")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("#theme").click()
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(ground) != light
    page.reload()
    page.wait_for_selector("#content[data-shown]")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_two_runs_are_compared(watched: Watched, an4_report: Path) -> None:
    page = watched.open(an4_report, "runs")
    for box in page.locator(".rows input").all():
        box.check()
    page.locator("#compare-chosen").click()
    page.wait_for_selector(".plot canvas")
    assert page.locator(".plot canvas").count() == 2
    sentence = page.locator(".sentences li").first.inner_text()
    assert re.search(rf"points of WER \(95 % interval [+{MINUS}]?[\d.]+ to [+{MINUS}]?[\d.]+; p [=<] 0\.\d+", sentence)
    page.wait_for_selector("[aria-label='Per-utterance comparison']")
    counts = {}
    for kind in ("A has fewer errors", "B has fewer errors", "all"):
        button = page.get_by_role("button", name=re.compile(rf"^{kind} \("))
        button.click()
        counts[kind] = int(re.search(r"\d+", button.inner_text())[0])  # type: ignore[index]  # None fails, too
        expect(page.locator("#content [role=status]")).to_have_text(re.compile(f"^{counts[kind]} utterance"))
    assert counts["all"] == 130 and 0 < counts["A has fewer errors"] + counts["B has fewer errors"] <= 130
    page.get_by_label("Search").fill("mjwl")
    expect(page.locator("#content [role=status]")).to_have_text("13 utterances")


def test_curves_are_smoothed_over_steps_epochs_and_minutes(watched: Watched, an4_report: Path) -> None:
    page = watched.open(an4_report, "training")
    for axis in ("steps", "minutes", "epochs"):
        page.get_by_role("button", name=axis).click()
        expect(page.locator("[data-chart='Training loss'] canvas")).to_be_visible()
    page.locator("#smoothing").fill("0")
    expect(page.locator("[data-chart='Gradient norm'] canvas")).to_be_visible()
    assert page.locator(".diagnostics").count() == 2
    assert page.locator("[data-chart='Training loss'] .plot").get_attribute("aria-label").startswith("Training loss: ")  # type: ignore[union-attr]  # None fails, too


def test_layers_and_the_panel_of_a_real_training_are_shown(watched: Watched, an4_report: Path) -> None:
    page = watched.open(an4_report, "training")
    for chart in ("Dev blank share", "Dev empty hypotheses", "Gradient norm by layer: layer 1", "Update ratio"):
        expect(page.locator(f"[data-chart='{chart}'] canvas")).to_be_visible()
    page.locator(".chips input").first.uncheck()
    expect(page.locator("[data-chart='Gradient norm by layer'] canvas")).to_be_visible()
    described = page.locator("[data-chart='Gradient norm by layer'] .plot").get_attribute("aria-label")
    assert described is not None and all(layer in described for layer in ("subsampling", "layer 1", "layer 2", "head"))
    panel = page.locator(".card", has_text="Hypotheses by epoch")
    utterances = panel.locator("option").all_inner_texts()
    assert len(utterances) == 10
    first = panel.locator(".panel p").inner_text()
    panel.locator("select").select_option(utterances[-1])
    expect(panel.locator(".panel p")).not_to_have_text(first)
    epochs = panel.locator("tbody tr td:first-child").all_inner_texts()
    assert epochs[0] == "1" and epochs[-1] == "6"
    expect(panel.locator("tbody .faint, tbody .step").first).to_be_visible()


def test_every_row_of_a_table_is_printed(watched: Watched, an4_report: Path, tmp_path: Path) -> None:
    page = watched.open(an4_report, "errors")
    page.get_by_role("button", name=re.compile("^all ")).click()
    drawn = "document.querySelectorAll('.rows .row').length"
    assert page.evaluate(drawn) < 100
    printed = "document.querySelectorAll('.on-paper tbody tr').length"
    page.evaluate("addEventListener('beforeprint', () => { window.printed = " + printed + "; })")
    page.pdf(path=tmp_path / "errors.pdf")
    assert page.evaluate("window.printed") == 130
    pages = re.findall(rb"/Type\s*/Page\b(?!s)", (tmp_path / "errors.pdf").read_bytes())
    assert len(pages) >= 3, "what is in sight would fill one"
    expect(page.locator(".rows .row").first).to_be_visible()
    assert page.evaluate(drawn) < 100


def test_what_stands_in_transcripts_is_shown_as_text(watched: Watched, tmp_path: Path) -> None:
    utterances = write_test_corpus(tmp_path / "data", HOSTILE, name="<b onclick=hacked()>{}&\u202e")
    for number, name in enumerate(("<i>first", "<script>second")):
        run = write_run(tmp_path / "runs" / "yesno" / name, tmp_path / "data", metrics_rows(4), [f"seed={number}"])
        evaluate(run, utterances, [f"{text} <u>" for text in HOSTILE])
        write_panel(run, [[f"{text} <u>" for text in HOSTILE]], HOSTILE)
    assert main(["report", str(tmp_path / "runs" / "yesno"), "-o", str(tmp_path / "report")]) == 0
    page = watched.open(tmp_path / "report", "errors")
    shown = "\n".join(column(page, 4))
    for text in HOSTILE[:4]:
        for word in text.split():
            assert word in shown
    for row in range(len(HOSTILE)):
        page = watched.open(tmp_path / "report", "errors")
        page.locator(".rows .row a").nth(row).click()
        page.wait_for_selector(".aligned-columns")
        page.keyboard.press(" ")
    for view in VIEWS:
        page = watched.open(tmp_path / "report", view)
        assert page.evaluate("window.hacked === undefined")
        assert page.locator("#content b[onclick], #content img, #content i, #content u, #content script").count() == 0
    page = watched.open(tmp_path / "report", "errors")
    page.locator(".rows .row a", has_text="2&").click()
    assert page.locator(".aligned-columns").first.get_attribute("dir") == "rtl"


def test_a_script_without_spaces_is_shown_by_its_characters(watched: Watched, tmp_path: Path) -> None:
    references = ["今天天气很好", "我们去公园散步吧", "ထမင်းစားပြီးပြီလား", "วันนี้อากาศดีมาก"]
    utterances = write_test_corpus(tmp_path / "data", references)
    for name, hypotheses in {
        "lstm": [text[1:] for text in references],
        "gru": [text[:2] for text in references],
    }.items():
        rows = metrics_rows(3, dev__cer_low=0.1, dev__cer_high=0.3)
        run = write_run(tmp_path / "runs" / "yesno" / name, tmp_path / "data", rows, ["scoring.unit=character"])
        write_panel(run, [["今"], ["今天天气"]], references[:1], ErrorUnit.character)
        evaluate(run, utterances, hypotheses, unit=ErrorUnit.character)
    report = tmp_path / "report"
    assert main(["report", str(tmp_path / "runs" / "yesno"), "-o", str(report)]) == 0
    said = {view: watched.open(report, view).locator("#content").inner_text() for view in VIEWS}
    assert "Character error rate" in said["runs"] and "has the lowest test CER of yesno" in said["runs"]
    page = watched.open(report, "runs")
    rates = [float(text) for text in column(page, 4)]
    assert rates == sorted(rates) and rates[0] < 50
    assert "CER differences" in said["compare"] and "points of CER" in said["compare"]
    assert "WER differences" not in said["compare"] and "Dev CER" in said["compare"]
    assert "Dev CER with 95 % interval" in said["training"]
    assert "CER by subgroup" in said["errors"] and "Characters/s" in said["errors"] and "WER 100.00 %" in said["errors"]
    page = watched.open(report, "errors")
    page.locator(".rows .row a").first.click()
    page.wait_for_selector(".aligned-columns")
    assert page.locator(".aligned-columns").first.locator(".step-D").count() > 1
    assert page.locator(".aligned-columns").first.locator(".step-\\=").count() == 1, "correct ones stay together"
