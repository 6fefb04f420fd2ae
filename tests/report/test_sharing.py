"""What is sent on from the page: tables as files, and notes."""

import csv
import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.helpers.made_up_page import MadeUp
from tests.helpers.watched import Watched

pytestmark = pytest.mark.slow


def exported(page: Page, label: str, button: str) -> str:
    """The file that a table is exported as."""
    export = page.locator(".export", has=page.locator(f"summary[aria-label='Export: {label}']"))
    if export.get_attribute("open") is None:
        export.locator("summary").click()
    with page.expect_download() as download:
        export.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def test_every_table_is_exported(watched: Watched, made_up: MadeUp) -> None:
    page = watched.open(made_up.page, "errors?run=lstm&split=test&decoder=beam&which=all&search=עולם")
    rows = list(csv.DictReader(exported(page, "Utterances", "CSV").splitlines()))
    assert [(row["Reference"], row["Hypothesis"], row["Errors"]) for row in rows] == [("שלום עולם", "NO", "2")]
    assert exported(page, "Confusions of words", "Markdown").startswith(
        "| count | reference → hypothesis |\n| --- | --- |"
    )
    page = watched.open(made_up.page, "runs")
    runs = list(csv.DictReader(exported(page, "Runs", "CSV").splitlines()))
    assert sorted((row["Run"], row["Decoder"]) for row in runs) == [
        ("gru", "greedy"),
        ("lstm", "beam"),
        ("lstm", "greedy"),
    ]
    written = exported(page, "Runs", "LaTeX")
    assert written.startswith("\\begin{tabular}{l") and "WER \\%" in written
    for view in ("runs", "compare", "training", "errors", "data", made_up.utterance):
        page = watched.open(made_up.page, view)
        page.wait_for_load_state()
        tables = page.locator("#content .table, #content table.plain:not(.panel table)").count()
        assert page.locator("#content .export").count() == tables, view


def test_notes_of_a_page_on_disk_are_kept_and_sent_on(watched: Watched, made_up: MadeUp, tmp_path: Path) -> None:
    page = watched.open(made_up.page, made_up.utterance)
    page.get_by_label("Note on 1").fill("the end is cut off")
    page.get_by_label("Note on 1").blur()
    expect(page.locator(".note-field [role=status]")).to_contain_text("Kept in this browser")
    page = watched.open(made_up.page, "training?run=gru")
    page.get_by_label("Note on gru").fill("the baseline")
    page.get_by_label("Note on gru").blur()
    page = watched.open(made_up.page, "runs")
    expect(page.locator(".rows")).to_contain_text("the baseline")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download notes").click()
    notes = {"runs": {"yesno/gru": "the baseline"}, "utterances": {"yesno/test/1": "the end is cut off"}}
    assert json.loads(Path(download.value.path()).read_text()) == notes
    (tmp_path / "notes.json").write_text(json.dumps({"utterances": {"yesno/test/2": "fine"}}))
    page.get_by_label("Load notes").set_input_files(tmp_path / "notes.json")
    expect(page.get_by_text("1 note loaded.")).to_be_visible()
    page = watched.open(made_up.page, "errors?which=all&sort=-note")
    assert page.locator(".rows .row").filter(has_text="fine").count() == 1
    page.evaluate("localStorage.clear()")
