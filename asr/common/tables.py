"""Tables in plain text, for the console and logs, and in Markdown."""

from collections.abc import Sequence


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], align: str = "lr") -> str:
    """A line of headings and a line for each row, in columns that are two spaces apart.

    Args:
        headings: One for each column.
        rows: The cells of each row, already formatted; anything but a string is written as `str` does.
        align: A letter for each column, l for left (text) or r for right (numbers); the last one also stands for all
            columns after it.

    Raises:
        ValueError: A row has more or fewer cells than there are headings.
    """
    lines = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = [align[min(column, len(align) - 1)] == "l" for column in range(len(widths))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in lines
    )


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column being text and the others numbers."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
