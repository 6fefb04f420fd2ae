"""ARPA files, the text format of n-gram models that every toolkit reads."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from asr.common.errors import DataError
from asr.common.files import atomic_write
from asr.lm.counts import SPECIAL
from asr.lm.kneser_ney import NgramModel

BLOCK = 1 << 16
"""n-grams that are formatted together."""


def write_arpa(model: NgramModel, path: Path) -> None:
    """Writes a model, completely or not at all."""
    with atomic_write(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {order}={len(table.keys)}\n" for order, table in enumerate(model.tables, start=1))
        for order in range(1, model.order + 1):
            file.write(f"\n\\{order}-grams:\n")
            file.writelines(_lines(model, order))
        file.write("\n\\end\\\n")


def read_vocabulary(path: Path) -> list[str]:
    """The units of an ARPA file except <unk>, <s> and </s>, in its order.

    Raises:
        DataError: It cannot be read, or is not an ARPA file.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            if not any(line.strip() == "\\1-grams:" for line in lines):
                raise DataError(f"{path} is not an ARPA file: it has no \\1-grams. Give another one.")
            units = []
            for line in lines:
                fields = line.split()
                if not fields or fields[0].startswith("\\"):
                    break
                units.append(fields[1])
            return [unit for unit in units if unit not in SPECIAL]
    except (UnicodeDecodeError, IndexError):
        raise DataError(f"{path} is not an ARPA file: give one, which has the n-grams as text.") from None
    except OSError as error:
        raise DataError(f"The language model {path} cannot be read ({error.strerror}): give another.") from None


def _lines(model: NgramModel, order: int) -> Iterator[str]:
    table = model.tables[order - 1]
    vocabulary = np.array(model.vocabulary, dtype=object)
    for start in range(0, len(table.keys), BLOCK):
        block = slice(start, start + BLOCK)
        columns: list[Sequence[str]] = [vocabulary[table.last[block]].tolist()]
        contexts = table.contexts[block]
        for shorter in reversed(model.tables[: order - 1]):
            columns.append(vocabulary[shorter.last[contexts]].tolist())
            contexts = shorter.contexts[contexts]
        ngrams = map(" ".join, zip(*reversed(columns), strict=True))
        scores = table.log_probs[block].tolist()
        if order == model.order:
            yield from (f"{score:.7g}\t{ngram}\n" for score, ngram in zip(scores, ngrams, strict=True))
        else:
            backoffs = table.backoffs[block].tolist()
            yield from (
                f"{score:.7g}\t{ngram}\t{backoff:.7g}\n"
                for score, ngram, backoff in zip(scores, ngrams, backoffs, strict=True)
            )
