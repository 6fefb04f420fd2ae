"""Beam search over CTC log-probabilities: torchaudio's decoder, which is flashlight's, with KenLM."""

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr.common.errors import ConfigError, RunError
from asr.common.optional import BEAM
from asr.common.processes import worker_pool
from asr.decoding.decoder import Decoder
from asr.decoding.search import Hypothesis, Rescorer, Search
from asr.lm.scores import not_loaded
from asr.lm.text import UNKNOWN
from asr.lm.trained import load_language_model
from asr.text.protocol import BLANK, BLANK_SYMBOL, SPACE_SYMBOL, Tokenizer

IMPOSSIBLE = -1e9
BOUNDARY = "<boundary>"
"""A token of no frame: flashlight asks for one between words."""
FEWEST_FOR_PROCESSES = 4
"""Fewer utterances are searched in this process."""

Emission = npt.NDArray[np.float32]


class BeamDecoder(Decoder):
    """Beam search in several processes.

    flashlight keeps a word at the end of the audio only when its spelling is complete, so every utterance gets one more
    frame, in which the words end. With word pieces nothing marks the end of a word, and flashlight cannot write the
    last piece of a word for several frames; so consecutive frames with the same best piece are merged into one.

    Args:
        processes: Utterances that are searched at the same time.
        rescorer: Rescores the hypotheses.
        keep: How many of the rescored hypotheses are returned; None returns all.

    Raises:
        ConfigError: A package is not installed.
    """

    search: Search

    def __init__(
        self,
        search: Search,
        tokenizer: Tokenizer,
        processes: int,
        rescorer: Rescorer | None = None,
        keep: int | None = None,
    ) -> None:
        self.search, self.tokenizer, self.processes = search, tokenizer, processes
        self.rescorer, self.keep = rescorer, keep
        self._pool: ProcessPoolExecutor | None = None
        self._own: _Searcher | None = None
        require_packages()

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def nbest(self, log_probs: Tensor, lengths: Tensor) -> list[list[Hypothesis]]:
        """See `Decoder.nbest`."""
        return self.search_emissions(
            [log_probs[:length, number].float().cpu().numpy() for number, length in enumerate(lengths.tolist())]
        )

    def search_emissions(self, emissions: Sequence[Emission]) -> list[list[Hypothesis]]:
        """As `nbest`, from the log-probabilities (frames, tokens) of each utterance."""
        found = [self._as_texts(items) for items in self._search(emissions)]
        return found if self.rescorer is None else [items[: self.keep] for items in self.rescorer(found)]

    def _search(self, emissions: Sequence[Emission]) -> Iterator["list[_Found]"]:
        if self.processes == 1 or len(emissions) < FEWEST_FOR_PROCESSES:
            self._own = self._own or _Searcher(self.search)
            return map(self._own, emissions)
        if self._pool is None:
            self._pool = worker_pool(__name__, self.processes, _start, (self.search,))
        return iter(self._pool.map(_search_in_process, emissions))

    def _as_texts(self, found: "list[_Found]") -> list[Hypothesis]:
        best: dict[str, Hypothesis] = {}
        for words, tokens, score in found:
            text = " ".join((" ".join(words) if self.search.lexicon else self.tokenizer.decode(tokens)).split())
            best.setdefault(text, Hypothesis(text, score))
        return list(best.values())[: self.search.nbest] or [Hypothesis("", -math.inf)]


def require_packages() -> None:
    """Makes sure that the packages of the extra `beam` are installed.

    Raises:
        ConfigError: One is not.
    """
    try:
        import kenlm  # noqa: F401 - the next import works without it, and fails later
        from flashlight.lib.text.decoder.kenlm import KenLM  # noqa: F401 - whether it is there
    except ImportError as error:
        raise ConfigError(f"decoder=beam needs {error.name or 'flashlight-text'}: {BEAM}.") from None


_Found = tuple[list[str], list[int], float]
"""Words, tokens and score of a hypothesis."""

_searcher: "_Searcher | RunError | None" = None
"""Of a worker process; or why there is none, raised with the first utterance."""


def _start(search: Search) -> None:
    global _searcher
    try:
        _searcher = _Searcher(search)
    except RunError as error:
        _searcher = error


def _search_in_process(emission: Emission) -> list[_Found]:
    if isinstance(_searcher, RunError):
        raise _searcher
    assert _searcher is not None
    return _searcher(emission)


class _Searcher:
    """One process's decoder."""

    def __init__(self, search: Search) -> None:
        self.search = search
        mark = SPACE_SYMBOL if search.lexicon is None else search.lexicon.separator
        self.boundary = search.symbols.index(mark) if mark in search.symbols else len(search.symbols)
        self.ends_words = search.lexicon is not None and mark is not None
        self.merges = search.lexicon is not None and mark is None
        self.decoder = _flashlight(search, self.boundary)

    def __call__(self, emission: Emission) -> list[_Found]:
        if self.merges:
            emission = merge_repeats(emission)
        if self.boundary == emission.shape[1]:
            emission = np.pad(emission, ((0, 0), (0, 1)), constant_values=IMPOSSIBLE)
        if self.ends_words:
            end = np.full((1, emission.shape[1]), IMPOSSIBLE, dtype=np.float32)
            end[0, self.boundary] = 0.0
            emission = np.concatenate([emission, end])
        if not len(emission):
            return []
        (hypotheses,) = self.decoder(torch.from_numpy(np.ascontiguousarray(emission))[None])
        size = len(self.search.symbols)
        return [
            (found.words, [token for token in found.tokens.tolist() if token < size], float(found.score))
            for found in hypotheses
        ]


def merge_repeats(emission: Emission) -> Emission:
    """Merges consecutive frames whose best token is the same, and not the blank, into one, adding up each token's
    log-probabilities: (frames or fewer, tokens)."""
    best = emission.argmax(axis=1)
    starts = np.flatnonzero((best != np.roll(best, 1)) | (best == BLANK) | (np.arange(len(best)) == 0))
    merged: Emission = np.add.reduceat(emission, starts, axis=0) if len(starts) else emission
    return merged


def _flashlight(search: Search, boundary: int) -> Any:
    """torchaudio's decoder, or RunError where KenLM cannot load the language model."""
    from torchaudio.models.decoder import ctc_decoder

    symbols = [*search.symbols, *([BOUNDARY] if boundary == len(search.symbols) else [])]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "lexicon.txt"
        if search.lexicon is not None:
            lines = (f"{word} {' '.join(spelled)}\n" for word, spelled in search.lexicon.spellings)
            path.write_text("".join(lines), encoding="utf-8")
        try:
            return ctc_decoder(
                lexicon=str(path) if search.lexicon is not None else None,
                tokens=symbols,
                lm=_language_model(search, symbols, path),
                # Several hypotheses may have the same text.
                nbest=1 if search.nbest == 1 else search.beam,
                beam_size=search.beam,
                beam_size_token=search.beam_tokens,
                beam_threshold=search.beam_threshold,
                # KenLM's logarithms are to the base 10.
                lm_weight=1.0 if search.composite else search.lm_weight * math.log(10),
                word_score=search.word_score,
                log_add=search.log_add,
                blank_token=BLANK_SYMBOL,
                sil_token=symbols[boundary],
            )
        except (RuntimeError, OSError, UnicodeDecodeError) as error:
            if search.lm is None:
                raise
            raise not_loaded(search.lm, error) from None


def _language_model(search: Search, symbols: Sequence[str], lexicon: Path) -> Any:
    """The language model of torchaudio's decoder; the file of the lexicon is there where the search has one."""
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary, create_word_dict, load_words

    from asr.decoding.fusion import FusedLanguageModel, HotWords, Speller

    by_words = search.lexicon is not None
    if by_words and not search.composite:
        return search.lm
    # Given a path, torchaudio would number the symbols in the order of a hash table and score the wrong ones.
    units = create_word_dict(load_words(str(lexicon))) if by_words else Dictionary([*symbols, UNKNOWN])
    ngram = None if search.lm is None else KenLM(search.lm, units)
    if not search.composite:
        return ngram
    hot = HotWords([[units.get_index(unit) for unit in phrase] for phrase in search.hot], search.hot_boost)
    weight = search.lm_weight * math.log(10)
    if search.recurrent is None:
        return FusedLanguageModel(ngram, weight, None, 0.0, lambda unit, first: (), hot)
    trained = load_language_model(Path(search.recurrent))
    spell = Speller(trained.tokenizer, units, by_words)
    return FusedLanguageModel(ngram, weight, trained.model, search.recurrent_weight, spell, hot)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides what KenLM prints on stderr while it loads."""
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
