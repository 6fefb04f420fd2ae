"""Every view of the page passes axe-core, in both themes and on a narrow page."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.helpers.made_up_page import MadeUp
from tests.helpers.watched import Watched

pytestmark = pytest.mark.slow

GRAVE = ("critical", "serious")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_no_view_has_a_grave_fault(browser: Browser, made_up: MadeUp, width: int, scheme: str) -> None:
    watched = Watched(browser, width, scheme)
    for view in ("runs", "compare", "training", "errors", "data", made_up.utterance):
        page = watched.open(made_up.page, view)
        page.wait_for_load_state()
        found = Axe().run(page).response["violations"]
        faults = [(one["id"], [node["html"][:150] for node in one["nodes"]]) for one in found if one["impact"] in GRAVE]
        assert faults == [], view
        current = page.locator("#views [aria-current]")
        assert current.count() == 1 and current.get_attribute("aria-current") == "page", view
    watched.page.close()
