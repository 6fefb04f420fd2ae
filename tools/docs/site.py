"""A hook of MkDocs: takes the READMEs outside docs/ into the site, and makes the links between them work there.

The same files read well in a repository browser, where a link is relative to the file. Here each page gets the place
that its path in the repository gives it: what is in docs/ moves to the top, everything else keeps its path.
"""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTSIDE = ("README.md", "CONTRIBUTING.md", "recipes/*/README.md")
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages outside docs/ and every other file that a page links to, such as a picture or a script."""
    outside = sorted(path for pattern in OUTSIDE for path in ROOT.glob(pattern))
    pages = [*outside, *(ROOT / "docs").rglob("*.md")]
    linked = {target for page in pages for target in _targets(page) if target.is_file()}
    for path in [*outside, *sorted(linked - {*pages})]:
        if not path.is_relative_to(ROOT / "docs"):
            files.append(File.generated(config, _place(path), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links into those between the places of the site."""
    path = ROOT / (page.file.src_uri if page.file.generated_by else f"docs/{page.file.src_uri}")
    if page.file.src_uri == "index.md":
        path = ROOT / "README.md"
    here = PurePosixPath(page.file.src_uri).parent

    def rewrite(match: re.Match[str]) -> str:
        target = _target(path, match[1])
        return relpath(_place(target), str(here)) if target.exists() else match[1]

    return LINK.sub(rewrite, markdown)


def _targets(page: Path) -> list[Path]:
    return [_target(page, link) for link in LINK.findall(page.read_text(encoding="utf-8"))]


def _target(page: Path, link: str) -> Path:
    """The file that a link means; of a folder its README, as in a repository browser."""
    target = Path(normpath(page.parent / link))
    return target / "README.md" if (target / "README.md").is_file() else target


def _place(path: Path) -> str:
    """Where a file of the repository stands in the site."""
    inside = path.relative_to(ROOT)
    if inside.parts[0] == "docs":
        return str(inside.relative_to("docs"))
    return "index.md" if str(inside) == "README.md" else str(inside)
