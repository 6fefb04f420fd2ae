"""Tables for the console."""

import pytest

from asr.common.tables import table


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
