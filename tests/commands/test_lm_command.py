"""`asr lm`: estimates a model once, scores text, predicts what comes next, and names what it cannot use."""

import io
import json
from pathlib import Path

import pytest

from asr.commands import cli
from asr.lm.ngram import lm_folder
from asr.settings.compose import compose
from asr.settings.hardware import Precision
from asr.settings.recipe import find_recipe
from asr.training.run_folder import find_lm_folder
from tests.helpers.corpora import write_corpus

TEXTS = {"train": ["GO ON", "GO BACK", "GO ON", "RUN ON"], "dev": ["GO ON", "GO HOME"], "test": ["GO"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_corpus(folder / "an4", TEXTS)
    return folder


def train(data: Path, *overrides: str) -> Path:
    """Runs `asr lm train`; gives the model's folder."""
    settings = [f"paths.data={data}", *overrides]
    assert cli.main(["lm", "train", "an4", *settings]) == 0
    return lm_folder(find_recipe("an4"), compose(find_recipe("an4"), settings))


def test_a_model_is_estimated_once_and_reported(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = train(data, "lm.order=2")
    said = capsys.readouterr().out
    assert "(given, not estimated)" in said, "so small a text tells no discounts"
    assert "2 sentences, 6 units with their ends, 1 unknown (16.67%)" in said
    assert f"Language model: {folder}" in said
    made = (folder / "lm.arpa").stat().st_mtime_ns
    assert train(data, "lm.order=2") == folder
    assert (folder / "lm.arpa").stat().st_mtime_ns == made
    report = json.loads((folder / "report.json").read_text())
    assert report["ngrams"] == [7, 7] and report["training_units"] == 12


def test_another_text_is_another_model(data: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("GO HOME\n\n")
    folder = train(data, "lm.order=2", f"lm.texts=[{more}]")
    assert json.loads((folder / "report.json").read_text())["held_out"]["unknown"] == 0
    more.write_text("GO AWAY\n")
    assert train(data, "lm.order=2", f"lm.texts=[{more}]") != folder


@pytest.mark.slow
def test_the_perplexity_is_that_of_the_text_that_is_held_out_now(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for units in ("words", "tokens"):
        settings = ["lm.order=2", f"lm.units={units}", "tokenizer=char", "lm.prune=[0,1]"]
        folder = train(data, *settings)
        of_dev = json.loads((folder / "report.json").read_text())["held_out"]
        other = tmp_path / "other.txt"
        for text, sentences in (("GO ON\nGO ON\nRUN ON\n", 3), ("GO ON\n", 1)):
            other.write_text(text)
            capsys.readouterr()
            assert train(data, *settings, f"lm.held_out={other}") == folder
            assert f"{sentences} sentences" in capsys.readouterr().out
        assert train(data, *settings) == folder
        again = json.loads((folder / "report.json").read_text())["held_out"]
        assert again == pytest.approx(of_dev, rel=1e-5), "KenLM says what the estimate said"


def test_an_edited_lexicon_is_another_model(data: Path, tmp_path: Path) -> None:
    lexicon = tmp_path / "lexicon"
    lexicon.write_text("GO G OW\nON AA N\nBACK B AE K\nRUN R AH N\nHOME HH OW M\n")
    recipe = find_recipe("an4")

    def folders(*overrides: str) -> tuple[Path, Path]:
        settings = ["lm.units=tokens", "tokenizer=phone", f"tokenizer.lexicon={lexicon}", "tokenizer.g2p=null"]
        config = compose(recipe, [f"paths.data={data}", f"paths.runs={tmp_path}", *settings, *overrides])
        return lm_folder(recipe, config), find_lm_folder(recipe, config, Precision.fp32).path

    first, of_g2p = folders(), folders("tokenizer.g2p=en-us")
    lexicon.write_text(lexicon.read_text().replace("AA", "AO"))
    edited, without = folders(), folders("lm.units=words")
    lexicon.write_text(lexicon.read_text().replace("AO", "AA"))
    assert all(len({*each}) == 3 for each in zip(first, of_g2p, edited, strict=True))
    assert folders() == first and folders("lm.units=words") == without
    assert folders("hardware.tf32=true")[1] != first[1]


def test_tokens_are_units_too(data: Path) -> None:
    folder = train(data, "lm.units=tokens", "lm.order=4", "tokenizer=char")
    assert "G O ▁ O" in (folder / "lm.arpa").read_text(encoding="utf-8")
    pieces = train(data, "lm.units=tokens", "lm.order=2", "tokenizer=bpe", "tokenizer.pieces=32")
    assert "▁GO" in (pieces / "lm.arpa").read_text(encoding="utf-8")


def test_text_is_scored_and_completed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("kenlm", reason="pip install 'asr[beam]' brings kenlm")
    folder = train(data, "lm.order=2")
    capsys.readouterr()
    cli.main(["lm", "complete", str(folder), "GO", "--number", "2"])
    (first, second) = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert (first[1], second[1]) == ("ON", "BACK") and float(first[0]) > float(second[0]) > 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"GO ON\nON GO\n")))
    cli.main(["lm", "score", str(folder), "--each"])
    likely, unlikely, total = capsys.readouterr().out.splitlines()
    assert float(likely.split("\t")[0]) > float(unlikely.split("\t")[0])
    assert total.startswith("All text: perplexity") and "2 sentences, 6 units" in total


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lm"], "asr lm: the following arguments are required"),
        (["lm", "score", "nowhere"], "No language model at nowhere"),
        (["lm", "score", __file__], "is no language model"),
        (["lm", "train", "an4", "lm=none"], "lm=none and lm.path name no model"),
        (["lm", "train", "an4", "lm.order=7"], "lm.order is 7; it must be from 2 to 6, the orders that KenLM reads."),
        (["lm", "train", "an4", "lm.prune=[1,0]"], "none less than the one before"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and sentence in said and len(said.splitlines()) == 1
