"""A model folder has a card that Hugging Face reads, with what its run knows, and loads whatever the card says."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from asr.commands import evaluate, train
from asr.inference.recognizer import load
from asr.model.card import CARD, MARK, render_card, write_card
from asr.model.folder import WEIGHTS
from asr.scoring.results import Results, evaluation_folder, read_results, results_json
from asr.settings.compose import compose, load_config
from asr.settings.hardware import Precision
from asr.settings.recipe import SETTINGS, find_recipe
from asr.training.run_folder import find_run_folder
from tests.helpers.configurations import composed
from tests.helpers.corpora import write_corpus
from tests.helpers.trainings import SMALL


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small training of AN4's recipe, evaluated on test."""
    folder = tmp_path_factory.mktemp("runs")
    write_corpus(folder / "data" / "an4", {"train": ["A B", "B A", "B"], "dev": ["A"], "test": ["B", "A B"]})
    paths = [f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]
    settings = ["hardware.workers=0", "hardware.precision=fp32", "training.epochs=1", "evaluation.splits=[test]"]
    recipe, config = find_recipe("an4"), compose(find_recipe("an4"), [*paths, *SMALL, *settings])
    threads = torch.get_num_threads()
    train.run(recipe, config)
    found = find_run_folder(recipe, config, Precision.fp32).path
    assert "Not evaluated yet." in (found / "model" / CARD).read_text()
    evaluate.run(recipe, config)
    torch.set_num_threads(threads)
    return found


def header_of(card: str) -> dict[str, object]:
    _, header, _ = card.split("---\n", 2)
    return dict(yaml.safe_load(header))


def test_a_training_writes_it_and_an_evaluation_adds_its_results(run: Path) -> None:
    card = (run / "model" / CARD).read_text()
    results = read_results(run / "evaluation/test/greedy")
    header = header_of(card)
    (index,) = header.pop("model-index")  # type: ignore[attr-defined]
    assert header == {
        "library_name": "asr",
        "language": "en",
        "license": "other",
        "license_name": "free-for-any-use-with-the-notice-of-carnegie-mellon-university",
        "pipeline_tag": "automatic-speech-recognition",
        "tags": ["ctc", "lstm"],
        "metrics": ["wer", "cer"],
    }
    assert index["name"] == f"an4 {run.name}"
    (found,) = index["results"]
    assert found["dataset"] == {"type": "an4", "name": "an4", "split": "test"}
    assert found["metrics"][0] == {"type": "wer", "value": round(100 * results.wer, 2), "name": "WER (greedy)"}
    assert f"| test | greedy | {100 * results.wer:.2f} |" in card
    for part in (results.command, "3 utterances, 0.00 h", results.torch, "asr.load(", "16000 Hz", "Carnegie Mellon"):
        assert part in card
    assert MARK in card and "Not evaluated" not in card


def test_hugging_face_reads_the_results(run: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="pip install 'asr[hub]' brings huggingface_hub")
    data = hub.ModelCard.load(run / "model" / CARD).data
    assert data.library_name == "asr" and data.pipeline_tag == "automatic-speech-recognition"
    results = read_results(run / "evaluation/test/greedy")
    assert [(one.dataset_split, one.metric_type, one.metric_value) for one in data.eval_results] == [
        ("test", "wer", round(100 * results.wer, 2)),
        ("test", "cer", round(100 * results.cer, 2)),
    ]


def test_a_folder_loads_with_a_card_of_its_own_one_of_others_and_none(run: Path) -> None:
    card, weights = run / "model" / CARD, load_file(run / "model" / WEIGHTS)
    kept = card.read_bytes()
    try:
        for content in (kept, b"# Mine\n", b"\xff---\n!!python/object:os.system {}\n---\n", None):
            card.unlink() if content is None else card.write_bytes(content)
            loaded = load(run).model.state_dict()
            assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    finally:
        card.write_bytes(kept)


def test_a_card_that_was_changed_by_hand_is_left_as_it_is(run: Path) -> None:
    card, config = run / "model" / CARD, load_config(run / SETTINGS)
    kept = card.read_bytes()
    try:
        card.write_text(kept.decode().replace(MARK, "Mine."))
        write_card(run, config)
        assert "Mine." in card.read_text()
        card.unlink()
        write_card(run, config)
        assert card.read_bytes() == kept
    finally:
        card.write_bytes(kept)


def results_of(run: Path, **changed: object) -> Results:
    return replace(read_results(run / "evaluation/test/greedy"), **changed)  # type: ignore[arg-type]


def test_each_split_and_decoder_has_its_line_and_ensembles_have_none(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "an4" / run.name
    (copy / "model").mkdir(parents=True)
    for split, decoder in (
        ("test", "greedy"),
        ("test", "beam-ngram3-words"),
        ("dev", "greedy"),
        ("test", "greedy-combined2-0123abcd"),
        ("test", "beam-ngram3-words-pooled3-0123abcd"),
    ):
        folder = evaluation_folder(copy, split, decoder)
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(results_json(results_of(run, split=split, decoder=decoder)))
    damaged = copy / "evaluation/dev/odd"
    damaged.mkdir()
    (damaged / "results.json").write_text("{")
    write_card(copy, load_config(run / SETTINGS))
    card = (copy / "model" / CARD).read_text()
    lines = [line.split(" | ")[:2] for line in card.splitlines() if line.startswith(("| dev", "| test"))]
    assert lines == [["| dev", "greedy"], ["| test", "greedy"], ["| test", "beam-ngram3-words"]]


def test_tuned_weights_stand_in_it(run: Path, tmp_path: Path) -> None:
    for key, content in (
        ("ngram3-words-01234567", '{"beam": 50, "lm_weight": 0.7, "word_score": -0.5, "dev_wer": 0.125}'),
        ("damaged", "{"),
    ):
        folder = tmp_path / "an4/lstm-01234567/tuning" / key
        folder.mkdir(parents=True)
        (folder / "weights.json").write_text(content)
    card = render_card(tmp_path / "an4/lstm-01234567", load_config(run / SETTINGS), [])
    expected = "decoder.beam=50 decoder.lm_weight=0.7 decoder.word_score=-0.5"
    assert f"- `ngram3-words-01234567`: `{expected}`, WER 12.50 %\n" in card and "damaged" not in card


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["data.license=cc-by-4.0"], {"license": "cc-by-4.0"}),
        (["data.license=null", "text.language=pt_BR"], {"language": "pt-BR"}),
        (["data.license='Mine: ask #me'"], {"license": "other", "license_name": "mine-ask-me"}),
        (["model=gru_streaming"], {"tags": ["ctc", "gru", "streaming"]}),
        (["model=hybrid"], {"tags": ["ctc", "lstm", "gru"]}),
    ],
)
def test_the_header_says_what_the_configuration_does(overrides: list[str], expected: dict[str, object]) -> None:
    config = composed("an4", *overrides)
    header = header_of(render_card(Path("runs/an4/any-01234567"), config, []))
    assert {key: header.get(key) for key in expected} == expected
    assert ("license" in header) == (config.data.license is not None)
    assert "model-index" not in header


def test_a_language_model_has_a_card_of_its_own_kind() -> None:
    config = composed("an4", "lm=gru", "lm.units=words")
    card = render_card(Path("runs/an4/lm/gru-words-01234567"), config, [])
    assert header_of(card)["tags"] == ["language-model", "gru"]
    assert "decoder.recurrent" in card and "Results" not in card and "# an4 gru-words-01234567" in card
