"""n-gram models: what Chen & Goodman's formulas give by hand, what KenLM reads, and distributions that sum to one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from asr.common.errors import DataError, UserError
from asr.data.manifest import read_manifest
from asr.lm.kneser_ney import NgramModel, count_ngrams, discounts, estimate, log_probs, perplexity
from asr.lm.ngram import read_vocabulary, saved_language_model, write_arpa
from asr.lm.scores import open_model, score_sentences, total_perplexity
from asr.lm.text import BEGIN_ID, number_known, number_units, read_sentences
from asr.settings.compose import compose
from asr.settings.recipe import RECIPES, Recipe
from tests.helpers.corpora import load_prepare, mirrored

FALLBACK = (0.5, 1.0, 1.5)
SENTENCES = ["a b", "a c"]
"""Too few to tell discounts."""


def model_of(sentences: list[str], order: int, prune: tuple[int, ...] = (0,)) -> NgramModel:
    return estimate(number_units(sentences, str.split), order, prune, FALLBACK)


def probability(model: NgramModel, sentence: str) -> list[float]:
    """Of each word of a sentence and of its end."""
    scores: list[float] = (10 ** log_probs(model, number_known([sentence], str.split, model.vocabulary))).tolist()
    return scores


def test_a_bigram_model_is_what_the_formulas_give_by_hand() -> None:
    """Before a, b and c stands one word each, before the end two: 5 bigrams.

    The unigrams keep (1 - 0.5) / 5 and (2 - 1) / 5 and share the other 2.5 / 5 with <unk>: 0.1 for each of five.
    So a, b and c have 0.2, the end 0.3, <unk> 0.1. Two sentences begin with a: (2 - 1) / 2 + 1 / 2 x 0.2. After a:
    (1 - 0.5) / 2 + 1 / 2 x 0.2. After b: (1 - 0.5) / 1 + 0.5 x 0.3.
    """
    model = model_of(SENTENCES, order=2)
    assert model.fallbacks == [1, 2]
    assert probability(model, "a b") == pytest.approx([0.6, 0.35, 0.65])
    # Not seen: a after a leaves 1 / 2, an unknown word after <s> 1 / 2, and nothing after an unknown word.
    assert probability(model, "a a") == pytest.approx([0.6, 0.5 * 0.2, 0.5 * 0.3])
    assert probability(model, "x b") == pytest.approx([0.5 * 0.1, 0.2, 0.65])


def test_pruning_gives_what_it_takes_to_the_shorter_ngrams() -> None:
    """Without the bigrams that occur once, a leaves all to the unigrams; <s> a stays."""
    model = model_of(SENTENCES, 2, prune=(0, 1))
    assert [len(table.keys) for table in model.tables] == [6, 1]
    assert probability(model, "a b") == pytest.approx([0.6, 0.2, 0.3])


def test_lower_orders_count_what_stands_before_and_not_how_often() -> None:
    text = number_units(["x a b", "x a b", "x a b", "y a b", "a b"], str.split)
    unigrams, bigrams, trigrams = count_ngrams(text, 3)
    counts = dict(zip(text.vocabulary, unigrams.adjusted.tolist(), strict=True))
    assert counts == {"<unk>": 0, "<s>": 0, "</s>": 1, "x": 1, "a": 3, "b": 1, "y": 1}
    pairs = [(text.vocabulary[key // 7], text.vocabulary[key % 7]) for key in bigrams.keys.tolist()]
    adjusted = dict(zip(pairs, bigrams.adjusted.tolist(), strict=True))
    assert adjusted["a", "b"] == 3  # after x, y and <s>
    assert adjusted["<s>", "x"] == 3  # nothing stands before <s>: occurrences
    assert sorted(trigrams.adjusted.tolist()) == [1, 1, 1, 3, 3, 5]


def test_discounts_follow_the_counts_of_counts() -> None:
    """n1 to n4 are 10, 5, 4, 3: Y is 10 / 20."""
    adjusted = np.repeat([1, 2, 3, 4, 9], [10, 5, 4, 3, 7])
    assert discounts(adjusted) == pytest.approx((1 - 2 * 0.5 * 0.5, 2 - 3 * 0.5 * 0.8, 3 - 4 * 0.5 * 0.75))
    assert discounts(np.repeat([1, 2, 3], 4)) is None, "no n-gram has the count 4"
    assert discounts(np.repeat([1, 2, 3, 4], [10, 50, 1, 1])) is not None
    assert discounts(np.repeat([1, 2, 3, 4], [1, 1, 9, 1])) is None, "the second would be below 0"


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.text("abc ", min_size=1, max_size=8).filter(str.strip), min_size=1, max_size=12),
    st.integers(2, 4),
    st.lists(st.integers(0, 2), min_size=1, max_size=4).map(lambda counts: (0, *sorted(counts))),
)
def test_every_context_shares_out_exactly_one(sentences: list[str], order: int, prune: tuple[int, ...]) -> None:
    try:
        model = model_of(sentences, order, prune)
    except DataError:
        reject()  # all was pruned
    words = [word for word in model.vocabulary if word not in ("<s>", "</s>", "<unk>")]
    for context in ("", "a", "b c", "a b c", "unseen"):
        following = [*words, "unseen"]
        total = sum(probability(model, f"{context} {word}")[-2] for word in following)
        total += probability(model, context)[-1] if context else 0
        if not context:  # an empty sentence has no words to number
            end = number_known(["a"], str.split, model.vocabulary)
            end = type(end)(end.vocabulary, np.array([BEGIN_ID, 2]), np.array([0, 1]))
            total += float(10 ** log_probs(model, end)[0])
        assert total == pytest.approx(1)


def test_kenlm_reads_the_file_and_says_the_same(tmp_path: Path) -> None:
    sentences = ["x a b", "x a b a", "y a", "b b a x", "a"]
    model = model_of(sentences, 3)
    write_arpa(model, tmp_path / "lm.arpa")
    read = open_model(tmp_path / "lm.arpa")
    assert read.order == 3
    assert sorted(read_vocabulary(tmp_path / "lm.arpa")) == ["a", "b", "x", "y"]
    sentences = ["x a b", "a y unseen b", "b b b b"]
    for sentence in sentences:
        theirs = [10**score for score, _, _ in read.full_scores(sentence)]
        assert theirs == pytest.approx(probability(model, sentence), rel=1e-5)
    ours = perplexity(model, number_known(sentences, str.split, model.vocabulary))
    theirs_in_all = total_perplexity(score_sentences(read, sentences))
    assert (ours.sentences, ours.units, ours.unknown) == (3, 14, 1)
    assert vars(theirs_in_all) == pytest.approx(vars(ours), rel=1e-5)


def test_an4_has_the_perplexity_that_lmplz_gives(tmp_path: Path) -> None:
    """tools/benchmark/language_models.py made the figures with KenLM's lmplz."""
    mirrored("an4_sphere.tar.gz")
    recipe = Recipe(RECIPES / "an4")
    load_prepare("an4").prepare(compose(recipe), tmp_path / "archives", tmp_path)
    train, dev = ([row.text for row in read_manifest(tmp_path / f"{split}.jsonl")] for split in ("train", "dev"))
    for order, prune, wanted in ((3, (0,), 19.5263), (4, (0,), 18.4612), (4, (0, 0, 1), 18.8468)):
        model = model_of(train, order, prune)
        found = perplexity(model, number_known(dev, str.split, model.vocabulary)).including
        assert found == pytest.approx(wanted, rel=1e-4)


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has <s>, which is reserved"):
        number_units(["a <s> b"], str.split)
    with pytest.raises(DataError, match=r"lower lm\.prune"):
        model_of(["a b"], 2, prune=(0, 1))
    with pytest.raises(DataError, match="has no word"):
        model_of(["  "], 2)
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt is not in UTF-8"):
        list(read_sentences(tmp_path / "latin.txt"))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_sentences(tmp_path / "none.txt"))


ARPA_START = b"\\data\\\nngram 1=2\nngram 2=1\n\n\\1-grams:\n"
WRONG_FILES = {
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10,
    "empty.arpa": b"",
    "page.html": b"<html>not found</html>",
    "text.txt": b"ONE TWO THREE\n",
    "zeros.binary": bytes(5000),
    "cut.arpa": ARPA_START + b"-1.0\t<s>\t-0.3\n",
    "bytes.arpa": ARPA_START + b"-1.0\t\xff\xfe\t-0.3\n-1\t<unk>\n\n\\2-grams:\n\\end\\\n",
    "huge.arpa": ARPA_START.replace(b"1=2", b"1=99999999999"),
    "cut.binary": b"mmap lm http://kheafield.com/code format version 5\n\0" + bytes(200),
    "cut.arpa.gz": b"\x1f\x8b\x08\0\0\0",
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_file_that_is_no_language_model_is_one_sentence_without_the_lines_of_kenlm(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(WRONG_FILES[name])

    def use() -> None:
        saved_language_model(path)
        open_model(path)

    for step in (use, lambda: open_model(path)):
        with pytest.raises(UserError) as error:
            step()
        said = str(error.value)
        assert name in said and said.endswith(".") and "\n" not in said
        assert not [word for word in (".cc:", "lm::", "threw", "std::", "codec") if word in said]
