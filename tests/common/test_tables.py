"""Tables for the console."""

from collections.abc import Iterator

import pytest

from asr.common.tables import choose_format, print_beside, table


@pytest.fixture(autouse=True)
def text() -> Iterator[None]:
    choose_format("text")
    yield
    choose_format("text")


def test_text_is_aligned_left_and_numbers_right():
    assert table(("run", "WER %"), [("lstm", "9.50"), ("bigger-lstm", "10.25")]) == (
        "run          WER %\nlstm          9.50\nbigger-lstm  10.25"
    )


def test_the_last_alignment_holds_for_further_columns():
    lines = table(("a", "b", "c", "d"), [("long", "long", 1000, 1000), ("x", "y", 2, 3)], align="llr").splitlines()
    assert lines == ["a     b        c     d", "long  long  1000  1000", "x     y        2     3"]


def test_no_line_ends_with_spaces():
    assert table(("kind", "example"), [("a", "much longer than its heading"), ("b", "c")], align="l").endswith(
        "\nb     c"
    )


def test_headings_stand_alone_without_rows():
    assert table(("a", "b"), []) == "a  b"


def test_a_row_with_a_missing_cell_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        table(("a", "b"), [("only one",)])


ROWS = [("50 % of a_b", "9.50 ± 0.10"), ("a|b, c", "1")]


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("csv", 'Title\nrun & more,WER %\n50 % of a_b,9.50 ± 0.10\n"a|b, c",1'),
        (
            "md",
            "**Title**\n\n| run & more | WER % |\n| --- | ---: |\n| 50 % of a_b | 9.50 ± 0.10 |\n| a\\|b, c | 1 |\n",
        ),
        (
            "latex",
            "% Title\n\\begin{tabular}{lr}\n\\toprule\nrun \\& more & WER \\% \\\\\n\\midrule\n"
            "50 \\% of a\\_b & 9.50 $\\pm$ 0.10 \\\\\na|b, c & 1 \\\\\n\\bottomrule\n\\end{tabular}",
        ),
    ],
)
def test_a_table_is_printed_in_the_chosen_format(name: str, printed: str) -> None:
    choose_format(name)
    assert table(("run & more", "WER %"), ROWS, title="Title") == printed


def test_what_is_no_table_leaves_stdout_to_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_beside("Run: here")
    choose_format("csv")
    print_beside("Run: there")
    assert capsys.readouterr() == ("Run: here\n", "Run: there\n")
