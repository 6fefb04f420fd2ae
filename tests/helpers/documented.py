"""The commands that stand in the pages of the documentation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("recipes/*/*.md")])
TUTORIALS = [ROOT / "README.md", *sorted(ROOT.glob("docs/get-started/*.md"))]

NOTE = re.compile(r"<!-- (test|not run): (.*) -->")
INDENTED = re.compile(r"    ((?:asr|python|pip) .*)")
COMMENT = re.compile(r"\s+# .*$")


@dataclass(frozen=True)
class Command:
    """A command as somebody would type it."""

    page: Path
    line: int
    text: str
    overrides: list[str] = field(default_factory=list)
    """Of its settings, for a test that runs it: from `<!-- test: key=value ... -->` above its block."""
    not_run: str | None = None
    """Why no test runs it: from `<!-- not run: why -->` above its block."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.text}"


def commands(page: Path) -> Iterator[Command]:
    """Those of its `console` and `sh` blocks, and of indented lines that begin as a command does, in their order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    block, note = None, None
    whole, start = "", 0
    for number, line in enumerate(lines, start=1):
        if whole:
            whole += "\n" + line
        elif line.startswith("```"):
            note = NOTE.fullmatch(lines[number - 2]) if block is None and number > 1 else note
            block = line.removeprefix("```") if block is None else None
            continue
        elif block == "console" and line.startswith("$ "):
            whole, start = line.removeprefix("$ "), number
        elif block == "sh" and line:
            whole, start = line, number
        elif block is None and (found := INDENTED.fullmatch(line)):
            whole, start, note = found[1], number, None
        if whole and not whole.endswith("\\") and whole.count("'") % 2 == 0:
            text = COMMENT.sub("", whole)
            kind, value = (note[1], note[2]) if note else ("", "")
            yield Command(
                page, start, text, value.split() if kind == "test" else [], value if kind == "not run" else None
            )
            whole = ""
