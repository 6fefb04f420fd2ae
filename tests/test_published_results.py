"""The figures in the READMEs are those of the stored results."""

import pytest

from asr.recipe import RECIPES
from tools.publish_results import overview, results_section

PUBLISHED = sorted(path.parent.name for path in RECIPES.glob("*/results"))


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_the_readme_holds_the_stored_figures(recipe: str) -> None:
    assert (RECIPES / recipe / "README.md").read_text(encoding="utf-8").endswith(results_section(recipe))


def test_the_overview_holds_the_stored_figures() -> None:
    assert overview() in (RECIPES.parent / "README.md").read_text(encoding="utf-8")
