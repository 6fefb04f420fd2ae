"""`asr dashboard`: a workspace and a report in Weights & Biases for the runs of a recipe."""

from pathlib import Path

from asr.common.errors import ConfigError
from asr.scoring.error_unit import recipe_unit
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.dashboard import Dashboard, sections_of_panels
from asr.tracking.wandb_start import default_entity, goes_online


def run(recipe: Recipe, config: Config) -> None:
    """Creates or updates both; offline it writes what it would send."""
    sections_of_panels()  # fails before any network access if the package is missing
    folder = Path(config.paths.runs).absolute() / recipe.name / "dashboard"
    online = goes_online(config.tracker)
    entity = config.tracker.entity or (default_entity() if online else "")
    if entity is None:
        raise ConfigError("The account has no default team: set tracker.entity.")
    dashboard = Dashboard(recipe.name, config.tracker.project, entity, recipe_unit(recipe, config))
    if online:
        for name, address in dashboard.save(folder).items():
            print(f"The {name}: {address}")
    else:
        written = dashboard.write(folder)
        print(f"Offline, so it was written to {' and '.join(map(str, written))}; with tracker=online it is sent.")
