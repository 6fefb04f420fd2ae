"""Files and names in the documentation exist, and pages keep to their purpose."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.helpers.documented import PAGES, ROOT

FILE = re.compile(r"(?<![\w/.<:-])((?:asr|conf|docs|recipes|tests|tools)/[\w./-]*\w)")
NAME = re.compile(r"`(asr(?:\.\w+)+)")
IN_FILE = re.compile(r"`(\w+)` in `((?:asr|tools|tests)/[\w/]+\.py)`")
ELSEWHERE = {"asr/conf", "asr/recipes"}
"""Places in the wheel."""
PLACEHOLDERS = re.compile(r"NAME|GROUP|FORMAT")

CODE = sorted(path for folder in ("asr", "recipes", "tools") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = {file for file in FILE.findall(text) if file not in ELSEWHERE and not PLACEHOLDERS.search(file)}
    assert [file for file in sorted(files) if not (ROOT / file).exists()] == []
    assert [name for name in sorted(set(NAME.findall(text))) if not _exists(name)] == []
    for name, file in IN_FILE.findall(text):
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text(encoding="utf-8")), f"{name} is not in {file}"


def test_pages_that_the_code_names_exist() -> None:
    for path in CODE:
        for page in re.findall(r"docs/[\w/-]+\.(?:md|json)", path.read_text(encoding="utf-8")):
            assert (ROOT / page).is_file(), f"{path} names {page}"


def test_a_missing_file_or_name_would_be_found() -> None:
    assert FILE.findall("see `asr/gone.py`, or conf/gone/x.yaml.") == ["asr/gone.py", "conf/gone/x.yaml"]
    assert not _exists("asr.data.gone") and not _exists("asr.data.splits.gone")


def test_the_architecture_is_told_in_1500_words() -> None:
    assert len((ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8").split()) <= 1500


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_a_file_of_the_package_has_350_lines_at_most() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "asr").rglob("*.py")}
    assert {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > 350} == {}


def _exists(name: str) -> bool:
    """Whether a dotted name is a module of the package, or stands in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        for module in (path.with_suffix(".py"), path / "__init__.py"):
            if module.is_file():
                source = module.read_text(encoding="utf-8")
                return all(re.search(rf"\b{part}\b", source) for part in parts[length:])
    return False
