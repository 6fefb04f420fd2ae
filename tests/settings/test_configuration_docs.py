"""docs/configuration.md says what the dataclasses and conf/ say."""

from asr.settings.compose import known_keys
from tools.docs.configuration import PAGE, render


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `make docs`"


def test_the_page_has_every_key() -> None:
    page = PAGE.read_text(encoding="utf-8")
    groups = {key.rpartition(".")[0] for key in known_keys()}
    for key in known_keys():
        assert key in groups or f"| `{key}` |" in page
