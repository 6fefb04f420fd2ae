"""Settings, of which a training builds everything: several odd values at a time, and odd overrides."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from omegaconf import OmegaConf

from asr.common import processes
from asr.settings.compose import compose, known_keys, plain, to_config
from asr.settings.recipe import find_recipe
from tests.helpers.built_settings import SMALL, build
from tools.fuzz.cases import MEMORY, Subject, Use
from tools.fuzz.mutations import odd, shown

NUMBERS = (
    -1, 0, 1, 2, 3, 7, 64, 100, 1000, 10**4, 10**5, 10**6, 10**9, 10**20, 0.1, 0.5, 0.999, 1.5, 1e-3, 1e-30, 1e30
)  # fmt: skip
FORMS = (
    "{}={}", "+{}={}", "++{}={}", "~{}", "{}", "{}=", "{}={},{}", "{}=[{}]", "{}={{a:{}}}", "{}@x={}", "'{}={}",
    "{}={}'", " {} = {} ",
)  # fmt: skip


class Settings(Subject):
    """Settings of a recipe."""

    name = "settings"
    kinds = ("values", "values", "values", "overrides")

    def make(self) -> None:
        self.settings = plain(compose(find_recipe("yesno"), SMALL))
        # Models may be as large as the memory allows, which is less than the machine's here.
        limit = Path("memory").resolve()
        limit.write_text(str(MEMORY // 4))
        processes.LIMITS = (str(limit), str(limit))

    def take(self, kind: str, good: Path) -> Use:
        self.composed, self.overrides = OmegaConf.create(self.settings), list[str]()
        calls: dict[str, Callable[[], object]] = {
            "values": lambda: build(to_config(self.composed)),
            "overrides": lambda: compose(find_recipe("yesno"), self.overrides),
        }
        return Use(calls[kind])

    def spoil(self, kind: str, draw: Random, outside: Path) -> list[str]:
        said = []
        for _ in range(draw.choice((1, 1, 2, 3, 5))):
            key = draw.choice(list(known_keys()))
            value: Any = odd(draw) if draw.random() < 0.4 else draw.choice(NUMBERS)
            if draw.random() < 0.1:
                value = [value] * draw.randrange(4)
            if kind == "values":
                try:
                    OmegaConf.update(self.composed, key, value, merge=False)
                except Exception as error:  # no configuration can hold it
                    said.append(f"{key} cannot be {shown(value)}: {type(error).__name__}")
                else:
                    said.append(f"{key} is {shown(value)}")
            else:
                form = draw.choice(FORMS)
                value = (
                    None if isinstance(value, list) and len(value) > 100 else value
                )  # Hydra takes seconds for long lists
                self.overrides.append(form.format(key, value, draw.choice(NUMBERS)))
                said.append(shown(self.overrides[-1]))
        return said
