"""Draws docs/images/layers.svg: the layers that pyproject.toml declares, each with what its package says it is."""

import ast
import tomllib
from html import escape

from asr.settings.recipe import RECIPES

ROOT = RECIPES.parent
PICTURE = ROOT / "docs" / "images" / "layers.svg"

WIDTH, ROW, GAP, TOP = 960, 34, 6, 30
FONT = 'font-family="sans-serif"'


def layers() -> list[str]:
    """The packages of asr/, the highest first, as import-linter checks them."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (one for one in declared["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    names: list[str] = contract["layers"]
    return names


def about(layer: str) -> str:
    """What a package is: the first line of its docstring."""
    text = (ROOT / "asr" / layer / "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").splitlines()[0]


def render() -> str:
    """The picture: one box a layer; what stands higher imports from what stands lower."""
    names = layers()
    height = TOP + len(names) * (ROW + GAP)
    title = "The layers of asr/: each package imports only from those below it"
    rows = "".join(_row(name, TOP + number * (ROW + GAP)) for number, name in enumerate(names))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="4" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#555555"/></marker></defs>\n'
        f'<text x="56" y="19" {FONT} font-size="13" fill="#555555">{title}</text>\n'
        f'<line x1="26" y1="{TOP}" x2="26" y2="{height - 14}" stroke="#555555" stroke-width="2" '
        f'marker-end="url(#tip)"/>\n'
        f'<text x="16" y="{height // 2}" {FONT} font-size="13" fill="#555555" '
        f'transform="rotate(-90 16 {height // 2})" text-anchor="middle">imports</text>\n{rows}</svg>\n'
    )


def _row(name: str, y: int) -> str:
    return (
        f'<rect x="50" y="{y}" width="{WIDTH - 60}" height="{ROW}" rx="4" fill="#eef2fb" stroke="#9db0d8"/>\n'
        f'<text x="64" y="{y + 22}" {FONT} font-size="15" font-weight="bold" fill="#1b2a4a">{name}</text>\n'
        f'<text x="180" y="{y + 22}" {FONT} font-size="13" fill="#333333">{escape(about(name))}</text>\n'
    )
