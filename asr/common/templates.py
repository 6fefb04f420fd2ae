"""Texts from the Jinja templates of a package."""

from typing import Any


def render(package: str, template: str, *, html: bool = False, **values: Any) -> str:
    """A template of a package's folder `templates` with its values, all of which it must be given.

    Args:
        html: Whether values are escaped for HTML.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # a training starts without it

    environment = Environment(
        loader=PackageLoader(package), autoescape=html, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=not html,
    )  # fmt: skip
    return environment.get_template(template).render(**values)
