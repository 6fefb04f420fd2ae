"""One utterance: what belongs to which decoder, its alignments, its n-best list, and the picture."""

import re

import pytest
from playwright.sync_api import expect

from tests.helpers.made_up_page import REFERENCES, MadeUp
from tests.helpers.watched import Watched
from tests.report.test_page import data_of

pytestmark = pytest.mark.slow


def test_what_belongs_to_the_greedy_path_is_labelled_and_the_words_are_the_hypothesis(
    watched: Watched, made_up: MadeUp
) -> None:
    page = watched.open(made_up.page, made_up.utterance)
    expect(page.locator(".facts")).to_contain_text("confidence of the greedy path")
    legend = page.locator(".note", has_text="Log-mel spectrogram")
    expect(legend).to_contain_text("Vertical lines are the characters")
    expect(legend).to_contain_text("Boxes: the words of the hypothesis, and below them those of the reference")
    described = page.locator("canvas.picture").get_attribute("aria-label") or ""
    assert [word for word in described.split() if word.isupper()] == ["YES", "NO"]
    page = watched.open(made_up.page, made_up.utterance.replace("beam", "greedy"))
    expect(page.locator(".facts")).not_to_contain_text("greedy path")
    page = watched.open(made_up.page, "errors?run=lstm&split=test&decoder=beam")
    expect(page.locator(".head")).to_contain_text("Greedy confidence %")


def test_a_hypothesis_that_cannot_be_aligned_leaves_the_greedy_words(made_up: MadeUp) -> None:
    shown = data_of(made_up.page, "report")
    beam = next(one for one in shown["evaluations"] if one["decoder"] == "beam")
    outputs = [data_of(made_up.page, f"{beam['file']}-{place}") for place in (1, len(REFERENCES) - 1)]
    assert [[word["text"] for word in one["reference"]] for one in outputs] == [["YES"], []], "Hebrew has no tokens"
    assert all(one["of_hypothesis"] for one in outputs)


def test_the_n_best_list_stands_below_with_the_errors_of_each(watched: Watched, made_up: MadeUp) -> None:
    page = watched.open(made_up.page, made_up.utterance)
    rows = page.locator(".nbest tbody tr").all_inner_texts()
    assert [row.split("\t")[:3] for row in rows] == [["1", "-1.50", "1"], ["2", "-1.50", "0"], ["3", "-1.50", "1"]]
    steps = page.evaluate(
        "[['A B C', 'A C'], ['A', 'A B'], ['A B', 'C D'], ['', '']].map(([r, h]) => report.steps(r, h, 'word'))"
    )
    assert steps == ["=D=", "=I", "SS", ""]


def test_the_picture_is_zoomed_and_has_an_axis_of_frequencies(watched: Watched, made_up: MadeUp) -> None:
    page = watched.open(made_up.page, made_up.utterance)
    ink = "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, 200).data).size"
    assert page.locator("canvas.picture-axis").evaluate(ink) > 10, "ticks and their labels"
    width = page.locator("canvas.picture").evaluate("canvas => canvas.clientWidth")
    page.get_by_role("button", name=re.compile("^4")).click()
    page.reload()
    expect(page.get_by_role("button", name=re.compile("^4"))).to_have_attribute("aria-pressed", "true")
    expect(page.locator("canvas.picture")).to_have_js_property("clientWidth", 4 * width)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("canvas.picture").evaluate("canvas => canvas.clientWidth") < 680, "all of it fits on paper"


def test_the_reliability_of_confidences_is_drawn_where_it_was_measured(watched: Watched, made_up: MadeUp) -> None:
    page = watched.open(made_up.page, "errors?run=lstm&split=test&decoder=greedy")
    assert page.locator(".reliability circle").count() == 9
    expect(page.locator(".card", has_text="Reliability")).to_contain_text("expected calibration error 3.1 %")
    for other in ("run=lstm&split=test&decoder=beam", "run=gru&split=test&decoder=greedy"):
        page = watched.open(made_up.page, f"errors?{other}")
        assert page.locator(".reliability").count() == 0
