"""The phone tokenizer: a lexicon, eSpeak NG for what it lacks, and the way back to words."""

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from asr.commands.cli import main
from asr.common.errors import ConfigError, DataError, RunError
from asr.decoding.beam import BeamDecoder, Search
from asr.decoding.decoder import GreedyDecoder
from asr.decoding.search import lexicon_of
from asr.scoring.error_rates import phone_error_rate, score_texts
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.settings.tokenizer import TokenizerConfig, TokenizerKind
from asr.text.char import CharTokenizer
from asr.text.phone import PhoneTokenizer
from asr.text.pronunciation import pronounce, read_lexicon
from asr.text.protocol import BLANK
from asr.text.tokenizer import build_tokenizer, load_tokenizer
from asr.training.hardware import Precision
from asr.training.run_folder import find_run_folder
from tests.helpers.corpora import write_corpus
from tests.text.test_normalization import SCRIPTS

CMU = """;;; of the publisher
# and of another
HELLO  HH AH0 L OW1
HELLO(1)  HH EH0 L OW1
TOO  T UW1
TWO  T UW1 # a number
A(2)  EY1
A  AH0
<UNK>  SPN
!SIL SIL
DON'T D OW1 N T
"""


@pytest.fixture
def cmu(tmp_path: Path) -> Path:
    (tmp_path / "cmu.dict").write_text(CMU)
    return tmp_path / "cmu.dict"


def config_of(lexicon: Path | None, g2p: str | None) -> TokenizerConfig:
    return TokenizerConfig(TokenizerKind.phone, None, 0, lexicon=None if lexicon is None else str(lexicon), g2p=g2p)


def phones(lexicon: Path | None, texts: list[str], g2p: str | None = None) -> PhoneTokenizer:
    return PhoneTokenizer.build(config_of(lexicon, g2p), texts)


def test_a_lexicon_gives_each_word_its_first_pronunciation_without_stress(cmu: Path) -> None:
    assert read_lexicon(cmu) == {
        "HELLO": ("HH", "AH", "L", "OW"), "TOO": ("T", "UW"), "TWO": ("T", "UW"), "A": ("EY",),
        "DON'T": ("D", "OW", "N", "T"),
    }  # fmt: skip


def test_digits_that_are_no_stress_stay(tmp_path: Path) -> None:
    (tmp_path / "pinyin").write_text("ni n i3\nhao h ao3\nha h ao0\n")
    assert read_lexicon(tmp_path / "pinyin")["ni"] == ("n", "i3")


@pytest.mark.parametrize(("content", "sentence"), [("A  AH0\nB\n", "line 2: the word 'B' has no"), ("\n", "no words")])
def test_a_damaged_lexicon_is_one_sentence(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "lexicon").write_text(content)
    with pytest.raises(DataError, match=sentence):
        phones(tmp_path / "lexicon", ["A"])


def test_a_missing_lexicon_or_none_at_all_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No lexicon at tokenizer\.lexicon="):
        phones(tmp_path / "none", ["A"])
    with pytest.raises(ConfigError, match=r"needs tokenizer\.lexicon, tokenizer\.g2p or both"):
        phones(None, ["A"])


def test_words_become_phones_with_a_token_between_words_and_back(cmu: Path) -> None:
    tokenizer = phones(cmu, ["HELLO TWO", "TWO DON'T"])
    tokens = tokenizer.encode("HELLO TWO")
    assert [tokenizer.symbols[token] for token in tokens] == ["HH", "AH", "L", "OW", "\u2581", "T", "UW"]
    assert tokenizer.decode(tokens) == "HELLO TWO" and all(BLANK < token < tokenizer.size for token in tokens)
    assert tokenizer.decode([BLANK, *tokens[:4], BLANK]) == "HELLO"


def test_of_words_that_sound_alike_the_more_frequent_one_is_written_then_the_first(cmu: Path) -> None:
    for texts, written in ((["TWO"], "TWO"), (["TOO TWO TOO"], "TOO"), (["HELLO"], "TOO")):
        tokenizer = phones(cmu, texts)
        assert tokenizer.decode(tokenizer.encode("TWO")) == written


def test_what_no_word_sounds_like_is_written_in_phones_and_read_as_such(cmu: Path) -> None:
    tokenizer = phones(cmu, ["HELLO"])
    tokens = tokenizer.encode("HELLO TWO")
    text = tokenizer.decode([*tokens[:3], *tokens[4:]])
    assert text == "/HH\u00b7AH\u00b7L/ TOO"
    assert tokenizer.encode(text) == [*tokens[:3], *tokens[4:]]


def test_the_lexicon_is_written_in_the_case_of_the_transcripts(cmu: Path) -> None:
    assert phones(cmu, ["hello two"]).encode("don't") == phones(cmu, ["HELLO"]).encode("DON'T")


def test_a_word_without_a_pronunciation_is_refused_by_its_name(cmu: Path) -> None:
    with pytest.raises(DataError, match=r"'RUBOUT' is not in the lexicon: add it .* or set tokenizer\.g2p"):
        phones(cmu, ["HELLO RUBOUT"]).encode("HELLO RUBOUT")


ENGLISH = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("RUBOUT", "R UW B AW T"), ("CHILDREN", "CH IH L D R AH N"), ("FIRE", "F AY ER"), ("LITTLE", "L IH T AH L"),
        ("BUTTON", "B AH T AH N"), ("NORTH", "N AO R TH"), ("KING", "K IH NG"), ("JUDGE", "JH AH JH"),
    ],
)  # fmt: skip
def test_espeak_says_in_arpabet_what_such_a_lexicon_lacks(word: str, sounds: str, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    (tmp_path / "lexicon").write_text("".join(f"W{phone} {phone}\n" for phone in ENGLISH.split()))
    tokenizer = phones(tmp_path / "lexicon", ["WAA"], "en-us")
    assert tokenizer.pronunciation(word) == sounds
    assert load_saved(tokenizer, tmp_path).pronunciation(word) == sounds


def test_a_phone_that_the_lexicon_does_not_have_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    (tmp_path / "lexicon").write_text("hallo h a l o:\n")
    with pytest.raises(DataError, match=r"'stra\u00dfe' .* has the phone .* in eSpeak NG, which no known word has"):
        phones(tmp_path / "lexicon", ["hallo"], "de").encode("stra\u00dfe")


def test_espeak_gets_words_in_the_case_of_their_language() -> None:
    pytest.importorskip("espeakng_loader")
    assert pronounce("ISPARTA", "tr") == pronounce("ısparta", "tr") != pronounce("isparta", "tr")
    assert pronounce("İZMİR", "tr") == pronounce("izmir", "tr")


def test_a_language_that_espeak_does_not_know_is_refused() -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(ConfigError, match=r"tokenizer\.g2p=nowhere is not a language"):
        phones(None, ["A"], "nowhere")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ru", "привет ёлка"), ("tr", "ışık İzmir"), ("he", "שלום עולם"), ("ar", "سلام صباح"),
        ("hi", "नमस्ते दुनिया"), ("el", "βαφής ψημένη"), ("cmn", "你好 世界"),
    ],
)  # fmt: skip
def test_without_a_lexicon_every_language_of_espeak_comes_back(language: str, text: str, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    text = unicodedata.normalize("NFC", text)
    tokenizer = phones(None, [text], language)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert not {"\u02c8", "\u02cc", " ", ""} & set("".join(tokenizer.phones)) and len(tokenizer.phones) > 3
    assert load_saved(tokenizer, tmp_path).decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("script", SCRIPTS)
def test_any_script_comes_back_as_it_was(script: str, tmp_path: Path) -> None:
    """Right-to-left, marks that combine, joiners and letters beyond the first plane, from a lexicon of letters."""
    texts = [unicodedata.normalize("NFC", text) for text in SCRIPTS[script]]
    words = {word for text in texts for word in text.split()}
    lexicon = "".join(f"{word} {' '.join(f'U{ord(letter):04X}' for letter in word)}\n" for word in words)
    (tmp_path / "lexicon").write_text(lexicon, encoding="utf-8")
    tokenizer = phones(tmp_path / "lexicon", texts)
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert load_saved(tokenizer, tmp_path).decode(tokenizer.encode(text)) == text


def load_saved(tokenizer: PhoneTokenizer, folder: Path) -> PhoneTokenizer:
    tokenizer.save(folder)
    loaded = load_tokenizer(folder)
    assert isinstance(loaded, PhoneTokenizer) and loaded.symbols == tokenizer.symbols
    return loaded


@pytest.mark.parametrize(
    "change", [{"phones": ["T"]}, {"phones": "T"}, {"g2p": 5}, {"words": ["A"]}, {"words": None}, {"words": {"A": 1}}]
)
def test_a_damaged_file_is_refused(change: dict[str, object], cmu: Path, tmp_path: Path) -> None:
    phones(cmu, ["HELLO"]).save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunError, match="is not a tokenizer"):
        load_tokenizer(tmp_path)


def spoken(tokenizer: PhoneTokenizer, tokens: list[int]) -> tuple[Tensor, Tensor]:
    """Log-probabilities that say tokens, each in a frame, with a blank behind."""
    frames = [frame for token in tokens for frame in (token, BLANK)]
    probabilities = torch.full((len(frames), 1, tokenizer.size), 0.001)
    probabilities[torch.arange(len(frames)), 0, frames] = 0.9
    return probabilities.log(), torch.tensor([len(frames)])


def test_greedy_writes_words_and_the_beam_search_words_alone(cmu: Path) -> None:
    pytest.importorskip("flashlight.lib.text.decoder")
    tokenizer = phones(cmu, ["HELLO TOO"])
    hello, too = tokenizer.encode("HELLO"), tokenizer.encode("TOO")
    right, cut = [*hello, 1, *too], [*hello[:3], 1, *too]
    assert GreedyDecoder(tokenizer)(*spoken(tokenizer, right)) == ["HELLO TOO"]
    assert GreedyDecoder(tokenizer)(*spoken(tokenizer, cut)) == ["/HH\u00b7AH\u00b7L/ TOO"]
    lexicon = lexicon_of(["HELLO", "TOO", "A"], tokenizer)
    assert lexicon.separator == "\u2581"
    search = Search(
        symbols=tuple(tokenizer.symbols), lexicon=lexicon, lm=None, beam=20, lm_weight=0.0, word_score=0.0,
        beam_tokens=None, beam_threshold=50.0, log_add=True, nbest=1,
    )  # fmt: skip
    with BeamDecoder(search, tokenizer, 1) as decoder:
        assert decoder(*spoken(tokenizer, right)) == ["HELLO TOO"]
        assert decoder(*spoken(tokenizer, cut)) == ["HELLO TOO"]


def test_the_phone_error_rate_counts_phones_and_no_word_boundaries(cmu: Path) -> None:
    tokenizer = phones(cmu, ["HELLO TWO"])
    pairs = [("HELLO TWO", "/HH\u00b7AH\u00b7L/ TOO"), ("TWO", "/T/ /UW/"), ("A", ""), ("UNKNOWN", "A")]
    scores = [score_texts("", "", 1.0, *pair) for pair in pairs]
    assert phone_error_rate(tokenizer, scores) == pytest.approx(2 / 9)
    assert phone_error_rate(CharTokenizer(" A"), scores) is None


def test_the_name_of_a_run_follows_the_lexicon_and_others_keep_theirs(cmu: Path, tmp_path: Path) -> None:
    texts = {"train": ["A HELLO", "TWO A"], "dev": ["A"], "test": ["TWO"]}
    write_corpus(tmp_path / "an4", texts)
    recipe, paths = find_recipe("an4"), [f"paths.data={tmp_path}"]

    def name(*overrides: str) -> str:
        return find_run_folder(recipe, compose(recipe, [*paths, *overrides]), Precision.fp32).path.name

    assert name() == name("tokenizer.lexicon=elsewhere", "tokenizer.g2p=de")
    spelled = ["tokenizer=phone", f"tokenizer.lexicon={cmu}"]
    first = name(*spelled)
    (tmp_path / "copy").write_text(CMU)
    assert name("tokenizer=phone", f"tokenizer.lexicon={tmp_path / 'copy'}") == first
    cmu.write_text(CMU + "B  B IY1\n")
    assert name(*spelled) != first


def test_a_model_of_phones_is_trained_and_scored(cmu: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {"train": ["HELLO TWO", "TWO A", "DON'T HELLO"] * 3, "dev": ["A TWO", "HELLO A"], "test": ["TWO HELLO"]}
    write_corpus(tmp_path / "data" / "tiny", texts)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "recipe.yaml").write_text(
        "defaults: [/config, override /tracker: disabled, override /tokenizer: phone, _self_]\n"
        "model: {hidden: 16, channels: 4}\ntraining: {epochs: 1}\nhardware: {threads: 1, workers: 0}\n"
    )
    paths = [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}"]
    settings = [*paths, f"tokenizer.lexicon={cmu}", "tokenizer.g2p=null"]
    main(["train", str(tmp_path / "tiny"), *settings])
    main(["evaluate", str(tmp_path / "tiny"), *settings])
    assert "Phone error rate of test: " in capsys.readouterr().out
    (results,) = (tmp_path / "runs").glob("tiny/*/evaluation/test/greedy/results.json")
    assert json.loads(results.read_text())["per"] >= 0
    rows = [json.loads(line) for line in next((tmp_path / "runs").glob("tiny/*/metrics.jsonl")).open()]
    assert any("dev/per" in row for row in rows)


def test_another_tokenizer_reads_neither(cmu: Path) -> None:
    config = replace(config_of(cmu, "klingon"), kind=TokenizerKind.char, alphabet=" AB")
    assert build_tokenizer(config, []).size == 4
