"""Language models that were made elsewhere: an ARPA file may be gzipped; what KenLM does not read is named."""

import gzip
import lzma
from bz2 import compress
from collections.abc import Callable
from pathlib import Path

import pytest

from asr.common.errors import DataError
from asr.lm.ngram import saved_language_model
from asr.lm.scores import next_units, open_model
from asr.settings.lm import LmUnits
from tests.helpers.emissions import CHARACTERS, language_model


@pytest.fixture
def arpa(tmp_path: Path) -> str:
    return language_model(tmp_path, ["GO ON", "GO BACK"], LmUnits.words, CHARACTERS).read_text()


READABLE: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "plain": ("big.arpa", str.encode),
    "gzipped": ("big.arpa.gz", lambda text: gzip.compress(text.encode())),
    "gzipped under another name": ("big.lm", lambda text: gzip.compress(text.encode())),
    "Windows' line ends": ("big.arpa", lambda text: text.replace("\n", "\r\n").encode()),
    "a blank first line": ("big.arpa", lambda text: f"\n{text}".encode()),
}


@pytest.mark.parametrize("kind", READABLE)
def test_an_arpa_file_is_read_also_gzipped(kind: str, arpa: str, tmp_path: Path) -> None:
    name, change = READABLE[kind]
    (tmp_path / name).write_bytes(change(arpa))
    model = saved_language_model(tmp_path / name)
    assert set(model.vocabulary or ()) == {"GO", "ON", "BACK"} and model.key.startswith("ngram-big-words-")
    assert open_model(model.file).score("GO ON") > open_model(model.file).score("ON GO")
    assert {unit for unit, _ in next_units(tmp_path / name, "GO", 2)} == {"ON", "BACK"}


REFUSED: dict[str, tuple[Callable[[str], bytes], str]] = {
    "a byte order mark": (
        lambda text: text.encode("utf-8-sig"),
        "begins with a byte order mark, which KenLM does not read",
    ),
    "UTF-16": (lambda text: text.encode("utf-16"), "begins with a byte order mark, which KenLM does not read"),
    "a gzipped byte order mark": (
        lambda text: gzip.compress(text.encode("utf-8-sig")),
        "begins with a byte order mark",
    ),
    "bzip2": (lambda text: compress(text.encode()), "is compressed, and only gzip is read"),
    "xz": (lambda text: lzma.compress(text.encode()), "is compressed, and only gzip is read"),
    "half of gzip": (lambda text: gzip.compress(text.encode())[:20], "cannot be read (Compressed file ended"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_kenlm_does_not_read_is_named(kind: str, arpa: str, tmp_path: Path) -> None:
    change, sentence = REFUSED[kind]
    (tmp_path / "big.arpa").write_bytes(change(arpa))
    for read in (saved_language_model, open_model):
        with pytest.raises(DataError) as caught:
            read(tmp_path / "big.arpa")
        assert str(tmp_path / "big.arpa") in str(caught.value) and sentence in str(caught.value)


def test_a_file_of_another_kind_is_no_language_model(tmp_path: Path) -> None:
    for content in (b"\xff\xfa binary", b"words\n", b""):
        (tmp_path / "big.arpa").write_bytes(content)
        with pytest.raises(DataError, match="is no language model"):
            open_model(tmp_path / "big.arpa")
