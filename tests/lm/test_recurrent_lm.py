"""Recurrent language models: exact in any batch, trained as acoustic models are, scored and completed."""

import math
from pathlib import Path

import pytest
import torch

from asr.commands import cli
from asr.lm.recurrent import BOUNDARY, RecurrentLanguageModel, token_log_probs
from asr.lm.scores import total_perplexity
from asr.lm.text import WordTokenizer
from asr.lm.trained import load_language_model, next_words, score_text
from asr.settings.compose import compose
from asr.settings.lm import LmUnits
from asr.settings.recipe import find_recipe
from tests.helpers.corpora import write_corpus
from tests.helpers.trainings import asr, last_checkpoint, metrics

TEXTS = ["GO ON", "GO BACK", "GO ON AND ON", "RUN BACK", "GO ON", "RUN ON AND GO BACK", "STOP"] * 4
LM = ["lm.epochs=3", "lm.hidden=16", "lm.batch_units=40", "lm.dropout=0.2", "training.log_every_steps=3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    write_corpus(folder / "data" / "an4", {"train": TEXTS, "dev": ["GO BACK", "RUN ON"], "test": ["GO"]})
    return folder


def train(folder: Path, *overrides: str, **environment: str) -> int:
    return asr("lm train", "an4", folder, [*LM, *overrides], **environment).returncode


def lm_run(folder: Path) -> Path:
    (run,) = (folder / "runs/an4/lm").iterdir()
    return run


def random_model(kind: str, tokens: int = 11) -> RecurrentLanguageModel:
    config = compose(find_recipe("an4"), [f"lm={kind}", "lm.hidden=24", "lm.layers=2"]).lm
    torch.manual_seed(1)
    return RecurrentLanguageModel(config, tokens).eval()


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_sentence_scores_the_same_alone_in_a_batch_and_token_by_token(kind: str) -> None:
    model = random_model(kind)
    sentences = [[1, 2, 3], [4], [], [5, 6, 7, 8, 9, 10, 1, 2]]
    together = token_log_probs(model, sentences)
    for sentence, found in zip(sentences, together, strict=True):
        (alone,) = token_log_probs(model, [sentence])
        torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-6)
        states, one_by_one = None, []
        with torch.inference_mode():
            for token, following in zip([BOUNDARY, *sentence], [*sentence, BOUNDARY], strict=True):
                (log_probs,), states = model.follow(torch.tensor([token]), states)
                one_by_one.append(log_probs[following])
        torch.testing.assert_close(found, torch.stack(one_by_one), rtol=1e-4, atol=1e-5)


def test_unknown_words_count_as_such() -> None:
    tokenizer = WordTokenizer.build(TEXTS, min_count=8)
    assert "STOP" not in tokenizer.symbols and "GO" in tokenizer.symbols
    model = random_model("lstm", tokenizer.size)
    found = total_perplexity(score_text(model, tokenizer, LmUnits.words, ["GO STOP", "GO"]))
    assert (found.units, found.unknown) == (5, 1) and found.including != found.excluding


@pytest.mark.parametrize("signal", ["DIE_AT", pytest.param("TERMINATE_AT", marks=pytest.mark.slow)])
def test_a_training_that_was_killed_ends_as_one_that_never_was(signal: str, folder: Path, tmp_path: Path) -> None:
    settings = ["lm=gru", "lm.units=words"]
    if not (folder / "runs").exists():
        assert train(folder, *settings) == 0
    write_corpus(tmp_path / "data" / "an4", {"train": TEXTS, "dev": ["GO BACK", "RUN ON"], "test": ["GO"]})
    assert train(tmp_path, *settings, **{signal: "5"}) != 0
    assert train(tmp_path, *settings) == 0
    run, other = lm_run(tmp_path), lm_run(folder)
    assert run.name == other.name and metrics(run) == metrics(other)
    assert (run / "model/model.safetensors").read_bytes() == (other / "model/model.safetensors").read_bytes()
    state, whole = last_checkpoint(run), last_checkpoint(other)
    assert all(torch.equal(state["model"][name], whole["model"][name]) for name in whole["model"])
    rows = [row for row in metrics(run) if "dev/perplexity" in row]
    assert rows[-1]["dev/perplexity"] == pytest.approx(math.exp(rows[-1]["dev/loss"]))


@pytest.mark.slow
def test_ranks_train_what_one_process_trains(folder: Path, tmp_path: Path) -> None:
    losses = []
    for ranks, name in ((1, "one"), (2, "two")):
        write_corpus(tmp_path / name / "data" / "an4", {"train": TEXTS, "dev": ["GO BACK"], "test": ["GO"]})
        settings = ["lm=lstm", "lm.units=tokens", "hardware.precision=fp64", "lm.dropout=0.0", "lm.epochs=1"]
        assert asr("lm train", "an4", tmp_path / name, [*LM[1:], *settings], ranks).returncode == 0
        losses.append([row["train/loss"] for row in metrics(lm_run(tmp_path / name)) if "train/loss" in row])
    assert losses[0] == pytest.approx(losses[1], rel=1e-9) and len(losses[0]) > 1


def test_text_is_learnt_scored_and_completed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = tmp_path / "more.txt"
    more.write_text("\n".join(TEXTS * 8))
    for units in ("tokens", "words"):
        runs = [f"paths.data={folder / 'data'}", f"paths.runs={tmp_path / units}", "tracker=disabled"]
        settings = ["lm=lstm", f"lm.units={units}", "lm.transcripts=false", f"lm.texts=[{more}]", f"lm.held_out={more}"]
        sizes = ["tokenizer=char", "lm.hidden=32", "lm.dropout=0.0", "lm.batch_units=200", "lm.learning_rate=1e-2"]
        sizes += ["lm.epochs=30", "hardware.threads=1", "hardware.workers=0"]
        assert cli.main(["lm", "train", "an4", *runs, *settings, *sizes]) == 0
        (run,) = (tmp_path / units / "an4/lm").iterdir()
        capsys.readouterr()
        trained = load_language_model(run)
        followers = next_words(trained, "GO", 5)
        assert [word for word, _ in followers[:2]] == ["ON", "BACK"], "after GO at the beginning 3 of 4 and 1 of 4"
        assert sum(probability for _, probability in followers) == pytest.approx(1, abs=0.1)
        assert next_words(trained, "STOP", 1)[0][0] == "</s>"
        assert next_words(trained, "", 1)[0][0] == "GO"
        cli.main(["lm", "complete", str(run), "GO", "--number", "1"])
        assert capsys.readouterr().out.endswith("\tON\n")
        text = tmp_path / "text.txt"
        text.write_text("GO ON\nON GO\n")
        cli.main(["lm", "score", str(run / "model"), str(text), "--each"])
        likely, unlikely, total = capsys.readouterr().out.splitlines()
        assert float(likely.split("\t")[0]) > float(unlikely.split("\t")[0]) and "for each word" in total


def test_texts_that_cannot_be_used_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_text("ONE TWO\n")
    base = ["lm", "train", "an4", "lm=lstm", "lm.transcripts=false", f"paths.runs={tmp_path}"]
    for overrides, sentence in (
        ([f"lm.texts=[{text}]", "lm.held_out=nowhere.txt"], "nowhere.txt cannot be read"),
        ([f"lm.texts=[{text}]", f"lm.held_out={text}", "lm.units=words"], "No word of the text occurs lm.min_count=2"),
        ([f"lm.held_out={text}", "tokenizer=char", "lm.units=tokens"], "There is no text: give lm.texts"),
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main([*base, *overrides])
        assert ended.value.code == 2 and sentence in capsys.readouterr().err
