"""`asr evaluate` with decoder=beam, splits and combinations of its own, and `asr tune`, on a corpus of tones."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from asr.commands import cli
from asr.comparison.measured_runs import read_run
from asr.decoding.setup import decoder_name
from asr.scoring.results import read_results
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from tests.helpers import programs
from tests.helpers.corpora import write_corpus
from tests.helpers.trainings import asr, run_folder

TEXTS = ["ONE TWO", "TWO THREE", "THREE ONE", "TWO TWO ONE", "ONE", "THREE", "TWO ONE", "THREE THREE"]
OVERRIDES = ["training.epochs=2", "model.layers=1"]
WORDS = {"ONE", "TWO", "THREE"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and a trained run."""
    folder = tmp_path_factory.mktemp("beam")
    write_corpus(folder / "data" / "an4", {"train": TEXTS * 2, "dev": TEXTS[:3], "test": TEXTS[3:]})
    assert asr("train", "an4", folder, OVERRIDES).returncode == 0
    return folder


def evaluate(folder: Path, *overrides: str) -> int:
    return asr("evaluate", "an4", folder, [*OVERRIDES, *overrides]).returncode


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_beam_search_writes_words_and_its_best_hypotheses(folder: Path) -> None:
    assert evaluate(folder, "decoder=beam", "decoder.nbest=3", "lm.order=2", "evaluation.splits=[test]") == 0
    place = run_folder(folder, "an4") / "evaluation/test/beam-ngram2-words"
    assert read_results(place).decoder == "beam-ngram2-words"
    assert not (place.parents[1] / "dev").exists(), "only the splits that were asked for"
    hypotheses, nbest = rows(place / "hypotheses.jsonl"), rows(place / "nbest.jsonl")
    assert [row["id"] for row in nbest] == [row["id"] for row in hypotheses]
    for best, several in zip(hypotheses, nbest, strict=True):
        texts = [item["text"] for item in several["hypotheses"]]
        assert texts[0] == best["hypothesis"] and 1 <= len(texts) <= 3
        assert all(set(text.split()) <= WORDS for text in texts)
    search = json.loads((place / "search.json").read_text())
    assert (search["beam"], search["lm_weight"]) == (50, 0.5) and "ngram2-words" in search["lm"]


def test_a_model_combined_with_itself_recognizes_the_same(folder: Path) -> None:
    run = run_folder(folder, "an4")
    assert evaluate(folder) == 0
    assert evaluate(folder, f"evaluation.models=[{run}]") == 0
    (name,) = (path.name for path in (run / "evaluation/test").glob("greedy-combined2-*"))
    alone, combined = (rows(run / f"evaluation/test/{each}/hypotheses.jsonl") for each in ("greedy", name))
    rounded = {"ctc_loss_per_token", "confidence"}  # a mean of two equal numbers may differ in its last bit
    for one, other in zip(alone, combined, strict=True):
        assert {key: one[key] for key in one if key not in rounded} == {
            key: other[key] for key in one if key not in rounded
        }
        assert [one[key] for key in rounded] == pytest.approx([other[key] for key in rounded], rel=1e-5)
    results = [read_results(run / f"evaluation/dev/{each}") for each in ("greedy", name)]
    assert results[1].parameters == 2 * results[0].parameters


def test_hypotheses_of_several_models_are_combined(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = run_folder(folder, "an4")
    combined = [f"evaluation.models=[{run}]", "evaluation.combine=hypotheses"]
    assert evaluate(folder, "decoder=beam", "decoder.nbest=2", *combined) == 0
    (place,) = (run / "evaluation/test").glob("beam-ngram3-words-pooled2-*")
    for row in rows(place / "nbest.jsonl"):
        scores = [item["score"] for item in row["hypotheses"]]
        assert 1 <= len(scores) <= 2 and scores == sorted(scores, reverse=True)
    for wrong, told in (
        ([], "add decoder=beam lm.units=words"),
        (["decoder=beam", "lm.units=tokens"], "add decoder=beam lm.units=words"),
        (["decoder=beam", "decoder.hot_words=[ONE]"], "scores hypotheses again"),
    ):
        assert evaluate(folder, *wrong, *combined) == 2
        assert told in capfd.readouterr().err
    assert evaluate(folder, "decoder=beam", combined[1]) == 2
    assert "name the others in evaluation.models" in capfd.readouterr().err


def test_an_evaluation_changes_nothing_that_others_read(folder: Path) -> None:
    run = run_folder(folder, "an4")
    kept = (run / "config.yaml").read_bytes(), (run / "provenance.json").read_bytes()
    assert evaluate(folder) == 0
    assert evaluate(folder, "decoder=beam", "lm.order=2", "lm.prune=[0,1]") == 0
    assert ((run / "config.yaml").read_bytes(), (run / "provenance.json").read_bytes()) == kept
    greedy = read_run(run).test
    (beam,) = (read_run(run, path.name).test for path in run.glob("evaluation/test/beam-ngram2-words-*"))
    for results, told in ((greedy, "evaluate"), (beam, "lm.order=2")):
        assert results.command.startswith("asr train an4") and told in results.evaluation_command
        assert results.commit == json.loads(kept[1])["commit"]
    summary = json.loads((run / "summary.json").read_text())
    assert summary["test/wer"] == greedy.wer and summary[f"test/{beam.decoder}/wer"] == beam.wer


def test_decoders_that_write_other_texts_have_other_names() -> None:
    def name(*overrides: str) -> str:
        return decoder_name(compose(find_recipe("an4"), overrides))

    assert (name(), name("decoder=beam"), name("decoder=beam", "lm=none")) == (
        "greedy",
        "beam-ngram3-words",
        "beam-words",
    )
    assert name("lm.texts=[a.txt]") == "greedy"
    assert name("decoder=beam", "lm.path=a.arpa", "lm.prune=[0,1]") == "beam-ngram-a-words"
    changed = [["lm.texts=[a.txt]"], ["lm.texts=[b.txt]"], ["lm.texts=[a.txt]", "lm.transcripts=false"]]
    names = [name("decoder=beam", *overrides) for overrides in [*changed, ["lm.prune=[0,1]"], ["lm.prune=[0,2]"]]]
    names += [name(f"evaluation.models=[{models}]") for models in ("runs/gru-1", "runs/gru-2", "runs/gru-1,runs/gru-2")]
    assert len(set(names)) == 8
    assert "-pooled2-" in name("decoder=beam", "evaluation.models=[runs/gru-1]", "evaluation.combine=hypotheses")
    assert all(re.fullmatch(r"(beam-ngram3-words|greedy-combined[23])-[0-9a-f]{8}", each) for each in names)
    assert name("evaluation.models=[runs/gru-2/model,runs/gru-1]") == names[-1]


def test_models_of_other_frames_are_not_combined(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "model"
    shutil.copytree(run_folder(folder, "an4") / "model", other)
    settings = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(settings.replace("hop_ms: 10.0", "hop_ms: 20.0"))
    assert evaluate(folder, f"evaluation.models=[{other}]") == 2
    assert "other features.hop_ms than the run" in capfd.readouterr().err
    assert evaluate(folder, f"evaluation.models=[{tmp_path / 'nowhere'}]") == 2
    assert "No trained model at" in capfd.readouterr().err


def test_a_word_score_without_words_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, "decoder=beam", "lm.units=tokens", "decoder.word_score=1") == 2
    assert "has no effect with lm.units=tokens" in capfd.readouterr().err


def test_a_run_is_tuned_once_and_evaluated_with_what_was_found(folder: Path) -> None:
    run = run_folder(folder, "an4")
    assert evaluate(folder, "decoder=beam", "lm.order=2", "evaluation.splits=[dev]") == 0
    arguments = ["tune", str(run), "--order", "2"]
    assert programs.run(cli.main, arguments).returncode == 0
    (tuned,) = (run / "tuning").glob("ngram2-words-*")
    weights = json.loads((tuned / "weights.json").read_text())
    assert (tuned / "surface.svg").is_file() and (tuned / "surface.png").is_file()
    card = (run / "model/README.md").read_text()
    assert f"- `{tuned.name}`: `decoder.beam={weights['beam']} decoder.lm_weight=" in card
    kept = (run / "tuning/dev.npz").stat().st_mtime_ns
    (tuned / "weights.json").write_text(json.dumps(weights | {"lm_weight": 0.123}))
    assert evaluate(folder, "decoder=beam", "lm.order=2", "evaluation.splits=[dev]") == 0
    search = json.loads((run / "evaluation/dev/beam-ngram2-words/search.json").read_text())
    assert (search["lm_weight"], search["beam"]) == (0.123, weights["beam"])
    assert programs.run(cli.main, arguments).returncode == 0
    assert (run / "tuning/dev.npz").stat().st_mtime_ns == kept, "log-probabilities are computed once"
