"""A page that is watched: what goes wrong in it, and what it asks a network for."""

from pathlib import Path

from playwright.sync_api import Browser, Page


class Watched:
    """A page that notes what goes wrong in it and what it asks a network for."""

    def __init__(self, browser: Browser, width: int = 1400, scheme: str = "light") -> None:
        self.troubles: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]  # a str, not a Literal
        self.page.on("console", lambda message: self.troubles.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            self.troubles.append(f"request: {url}")

    def open(self, report: Path, address: str = "") -> Page:
        """Opens a view and waits for it."""
        self.page.goto(f"{(report / 'index.html').as_uri()}#{address}")
        self.page.reload()  # if only the fragment (#...) has changed, the browser does not load the page again
        self.page.wait_for_selector("#content[data-shown]")
        return self.page
