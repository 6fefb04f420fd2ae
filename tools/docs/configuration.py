"""Writes docs/configuration.md: every group and key, from the dataclasses and from conf/."""

import ast
import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any, cast, get_type_hints

import hydra
import yaml
from omegaconf import OmegaConf

from asr.commands.help import default_choices, group_choices
from asr.settings.aliases import ALIASES
from asr.settings.compose import HYDRA_VERSION, described, flattened
from asr.settings.recipe import CONF
from asr.settings.root import Config, PathsConfig

Values = dict[str, dict[str, Any]]
"""By choice of a group, the values of the whole configuration by their full key."""

PAGE = CONF.parent / "docs" / "configuration.md"

HEAD = """# Configuration

Made by `make docs` from the dataclasses of `asr/` and the values of `conf/`: change those, not this page.

A key is set on the command line (`asr train an4 model.hidden=512`) or in the `recipe.yaml` of a recipe; a group is
chosen as a whole (`model=gru`). Values are those of `conf/`, first those of the default choice of the group;
a recipe may set others, and `asr train RECIPE --cfg job` prints the result. `${environment:NAME,default}` is a variable
of the environment.

A value is taken as it is typed, once the shell has let it through: `tracker.notes=第一次` or `data.source=~/josé/rec`.
What [Hydra's grammar](https://hydra.cc/docs/advanced/override_grammar/basic/) can read keeps its meaning there:
quotes, `[lists]`, `{mappings}`, interpolations and, with `-m`, commas.
"""

KEY_TABLE = "| key | type | value | meaning |\n|---|---|---|---|"


def render() -> str:
    """The whole page."""
    defaults = default_choices()
    groups = [group for group in get_type_hints(Config) if group in defaults]
    return "\n".join([HEAD, *_top_level(), *(line for group in groups for line in _group(group, defaults[group]))])


def field_docs(owner: type) -> dict[str, str]:
    """The string that follows each field of a dataclass.

    Raises:
        ValueError: A field that is no dataclass itself has none.
    """
    body = _definition(owner).body
    docs = {}
    for field, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match following:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    docs[field.target.id] = " ".join(text.split())
                case _ if not dataclasses.is_dataclass(get_type_hints(owner)[field.target.id]):
                    raise ValueError(f"{owner.__name__}.{field.target.id} has no docstring.")
    return docs


def _definition(owner: type) -> ast.ClassDef:
    (definition,) = ast.parse(inspect.getsource(owner)).body
    assert isinstance(definition, ast.ClassDef)
    return definition


def _top_level() -> Iterator[str]:
    values = {"": _composed()}
    docs = field_docs(Config)
    yield from ("## Top level", "", KEY_TABLE)
    yield from (_row(name, get_type_hints(Config)[name], docs[name], values) for name in docs)
    yield from _rows(PathsConfig, "paths", values)
    yield ""


def _group(group: str, default: str) -> Iterator[str]:
    choices = sorted(group_choices()[group], key=lambda choice: (choice != default, choice))
    owner = get_type_hints(Config)[group]
    yield from (f"## {group}", "")
    if about := ast.get_docstring(_definition(owner)):
        yield from (about, "")
    yield from (f"- `{group}={choice}`{_comment(group, choice)}" for choice in choices)
    yield from ("", KEY_TABLE)
    yield from _rows(owner, group, {choice: _composed(f"{group}={choice}") for choice in choices})
    yield ""


def _rows(owner: type, prefix: str, values: Values) -> Iterator[str]:
    docs = field_docs(owner)
    for name, kind in get_type_hints(owner).items():
        if dataclasses.is_dataclass(kind):
            yield from _rows(cast(type, kind), f"{prefix}.{name}", values)
        else:
            yield _row(f"{prefix}.{name}", kind, docs[name], values)


def _row(key: str, kind: Any, doc: str, values: Values) -> str:
    usual, *others = (f"`{_as_yaml(composed[key])}`" for composed in values.values())
    differing = (f"{choice}: {other}" for choice, other in zip([*values][1:], others, strict=True) if other != usual)
    also = "".join(f" Also written `{alias}`." for alias, meant in ALIASES.items() if meant == key)
    return f"| `{key}` | {described(kind)} | {'; '.join([usual, *differing])} | {doc}{also} |"


def _as_yaml(value: Any) -> str:
    document: str = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return document.splitlines()[0]


def _comment(group: str, choice: str) -> str:
    """The comment that heads the file of a choice."""
    lines = (CONF / group / f"{choice}.yaml").read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if not line.startswith("# @package"))
    return f": {first.removeprefix('# ')}" if first.startswith("# ") else ""


def _composed(*overrides: str) -> dict[str, Any]:
    """The values of conf/ alone, by their full key."""
    with hydra.initialize_config_dir(str(CONF), version_base=HYDRA_VERSION):
        composed = hydra.compose("config", list(overrides))
    return flattened(cast(dict[str, Any], OmegaConf.to_container(composed)))


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
