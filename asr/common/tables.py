"""Tables for the console, in plain text unless `--format` chose CSV, Markdown or LaTeX; and Markdown for pages."""

import csv
import io
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from enum import StrEnum


class TableFormat(StrEnum):
    """How tables are printed."""

    text = "text"
    csv = "csv"
    md = "md"
    latex = "latex"


_chosen = ContextVar("_chosen", default=TableFormat.text)

ESCAPED = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "\N{MINUS SIGN}": "$-$",
        "<": "$<$",
        ">": "$>$",
    }
    | {character: f"\\{character}" for character in "&%$#_{}"}
)
"""What characters are in LaTeX."""


def choose_format(name: str) -> None:
    """Has this process print its tables in a format.

    Raises:
        ValueError: There is no such format.
    """
    _chosen.set(TableFormat(name))


def chosen_format() -> TableFormat:
    """The format of printed tables."""
    return _chosen.get()


def print_beside(line: str) -> None:
    """Prints a line that is no table: to stderr where stdout is to hold tables only."""
    print(line, file=sys.stdout if chosen_format() is TableFormat.text else sys.stderr)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], align: str = "lr", title: str = "") -> str:
    """A line of headings and a line for each row, in the chosen format.

    Args:
        headings: One for each column.
        rows: The cells of each row, already formatted; anything but a string is written as `str` does.
        align: A letter for each column, l for left (text) or r for right (numbers); the last one also stands for all
            columns after it.
        title: A line above it.

    Raises:
        ValueError: A row has more or fewer cells than there are headings.
    """
    lines = [[str(cell) for cell in row] for row in (headings, *rows)]
    columns = list(zip(*lines, strict=True))
    letters = [align[min(column, len(align) - 1)] for column in range(len(columns))]
    match chosen_format():
        case TableFormat.csv:
            return "\n".join(csv_lines(part).rstrip("\n") for part in ([[title]] if title else [], lines) if part)
        case TableFormat.md:
            heading = [f"**{title}**\n"] if title else []
            return "\n".join([*heading, markdown_table(lines[0], lines[1:], "".join(letters))])
        case TableFormat.latex:
            return _latex(lines, letters, title)
    widths = [max(map(len, column)) for column in columns]
    shown = (
        "  ".join(
            cell.ljust(width) if letter == "l" else cell.rjust(width)
            for cell, width, letter in zip(line, widths, letters, strict=True)
        ).rstrip()
        for line in lines
    )
    return "\n".join([*([title] if title else []), *shown])


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]], align: str = "lr") -> str:
    """A Markdown table; `align` as of `table`."""
    rules = ["---" if align[min(column, len(align) - 1)] == "l" else "---:" for column in range(len(headings))]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in (headings, rules, *rows))
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def csv_lines(lines: Sequence[Sequence[object]]) -> str:
    """Lines of cells as CSV."""
    output = io.StringIO()
    csv.writer(output, lineterminator="\n").writerows(lines)
    return output.getvalue()


def _latex(lines: Sequence[Sequence[str]], letters: Sequence[str], title: str) -> str:
    """A tabular with the rules of the package booktabs."""
    headings, *rows = [f"{' & '.join(cell.translate(ESCAPED) for cell in line)} \\\\" for line in lines]
    begin = f"\\begin{{tabular}}{{{''.join(letters)}}}"
    parts = [begin, "\\toprule", headings, "\\midrule", *rows, "\\bottomrule", "\\end{tabular}"]
    return "\n".join([*([f"% {title}"] if title else []), *parts])
