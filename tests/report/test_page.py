"""The folder of the page for reviewing runs; test_in_browser.py tests how it looks."""

import json
import re
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from asr.commands.cli import main
from asr.model.folder import build_model, save_model
from asr.report import evaluations
from asr.report.page import ASSETS, SCRIPTS
from asr.report.utterance_media import estimated_snr
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.text.tokenizer import build_tokenizer
from tests.helpers.reports import RATE, evaluate, metrics_rows, write_panel, write_run, write_test_corpus

HOSTILE = [
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "שלום עולם",
    "cafe\u0301 a\u0308\u0323",
    "\u202eRIGHT TO LEFT \u2028 LINE",
    "\U0001d518 \x00\x1b[31m",
]


def data_of(report: Path, name: str) -> Any:
    """The value that a data file passes to the page."""
    text = (report / "data" / f"{name}.js").read_text(encoding="utf-8")
    match = re.fullmatch(r'report\.receive\("([^"]+)",(.*)\);\n', text, re.DOTALL)
    assert match is not None and match[1] == name
    return json.loads(match[2])


def stopped(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two evaluated runs and one in training."""
    texts = ["YES NO YES", "NO NO", "YES", "NO YES"]
    utterances = write_test_corpus(tmp_path / "data", texts)
    folder = tmp_path / "runs" / "yesno"
    for name, hypotheses in {
        "lstm-1": ["YES NO", "NO NO", "YES", "NO YES"],
        "gru-1": ["NO", "", "YES YES", "NO"],
    }.items():
        run = write_run(
            folder / name,
            tmp_path / "data",
            metrics_rows(10),
            [f"model.hidden={64 + len(name)}", f"check.lines={len(name)}", f"hardware.threads={len(name)}"],
        )
        evaluate(run, utterances, hypotheses)
    write_run(folder / "rnn-1", tmp_path / "data", metrics_rows(2))
    return folder


def build(runs: Path | Sequence[Path], report: Path, *flags: str) -> Any:
    """The content of a report."""
    paths = [runs] if isinstance(runs, Path) else runs
    assert main(["report", *map(str, paths), "-o", str(report), *flags]) == 0
    return data_of(report, "report")


def test_a_report_shows_every_run_finished_or_not(runs: Path, tmp_path: Path) -> None:
    content = build(runs, tmp_path / "report")
    assert [(run["name"], run["epoch"]) for run in content["runs"]] == [("gru-1", 10), ("lstm-1", 10), ("rnn-1", 2)]
    assert [round(one["wer"], 3) for one in content["evaluations"]] == [0.75, 0.125]
    assert content["differences"] == ["model.hidden"], "the others do not determine the weights"
    (pair,) = content["pairs"]
    assert pair["mean"] == pytest.approx(0.625) and pair["low"] <= pair["mean"] <= pair["high"]


def test_of_many_evaluations_the_best_are_tested_in_pairs(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "gru-1", runs / "gru-2")
    monkeypatch.setattr("asr.report.evaluations.MOST_TESTED", 2)
    content = build(runs, tmp_path / "report")
    files = {content["runs"][one["run"]]["name"]: one["file"] for one in content["evaluations"]}
    (pair,) = content["pairs"]
    assert {pair["first"], pair["second"]} == {files["lstm-1"], files["gru-1"]} and len(files) == 3
    assert "Of 3 evaluations of the same utterances of test, the 2 with the lowest" in capsys.readouterr().err


def test_the_panel_of_a_run_is_there_epoch_by_epoch(runs: Path, tmp_path: Path) -> None:
    write_panel(runs / "gru-1", [["", "X"], ["YES", "NO X"], ["YES NO", "NO"]], ["YES NO", "NO"])
    content = build(runs, tmp_path / "report")
    panels = {run["name"]: run["panel"] for run in content["runs"]}
    assert panels["lstm-1"] is None
    rows = data_of(tmp_path / "report", panels["gru-1"])
    assert [[one["alignment"] for one in row["utterances"]] for row in rows] == [["DD", "S"], ["=D", "=I"], ["==", "="]]


def test_confidence_and_loss_of_every_utterance_are_shown_where_they_are_known(runs: Path, tmp_path: Path) -> None:
    path = runs / "gru-1" / "evaluation" / "test" / "greedy" / "hypotheses.jsonl"
    rows = [
        json.loads(line) | {"confidence": 0.5, "ctc_loss_per_token": 1.25} for line in path.read_text().splitlines()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    content = build(runs, tmp_path / "report")
    shown = [data_of(tmp_path / "report", one["file"]) for one in content["evaluations"]]
    assert [(one["confidence"], one["loss"]) for one in shown] == [([0.5] * 4, [1.25] * 4), (None, None)]


def test_the_page_needs_nothing_from_outside(runs: Path, tmp_path: Path) -> None:
    build(runs, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {f"assets/js/{script}.js" for script in SCRIPTS} <= set(addresses)
    files = [address for address in addresses if not address.startswith(("#", "data:"))]
    assert all((tmp_path / "report" / file).is_file() for file in files)
    ours = [*ASSETS.glob("js/*.js"), ASSETS / "report.css"]
    assert not [file for file in ours if re.search(r"https?://(?!www\.w3\.org/2000/svg)", file.read_text())]
    assert sorted(file.stem for file in ASSETS.glob("js/*.js")) == sorted(SCRIPTS)
    assert "Permission is hereby granted" in (ASSETS / "uplot" / "LICENSE").read_text()


def test_a_page_that_is_sent_on_has_no_absolute_path(runs: Path, tmp_path: Path) -> None:
    settings = runs / "rnn-1" / "config.yaml"
    settings.write_text(
        settings.read_text() + f"other: ['{tmp_path}/my files/a b.txt', ~/models/x, s3://a/b, and/or]\n"
    )
    results = runs / "lstm-1" / "evaluation" / "test" / "greedy" / "results.json"
    command = f"asr run yesno paths.data={tmp_path}/data -o /scratch/me/out"
    results.write_text(json.dumps(json.loads(results.read_text()) | {"command": command}))
    (tmp_path / "data/yesno/audio/2.wav").unlink()  # the corpus check names it
    (runs / "broken-1").mkdir()
    (runs / "broken-1" / "config.yaml").write_text("seed: [")
    content = build(runs, tmp_path / "report")
    written = "".join(path.read_text() for path in (tmp_path / "report").rglob("*") if path.suffix in (".js", ".html"))
    assert str(tmp_path) not in written and "/scratch" not in written and "/models" not in json.dumps(content["runs"])
    other = content["runs"][2]["settings"]["other"]
    assert other[0].startswith("…/") and other[0].endswith("a b.txt") and other[1:] == ["…/x", "s3://a/b", "and/or"]
    assert "paths.data=…/data" in content["evaluations"][1]["command"]
    assert "…/2.wav" in json.dumps(content["corpora"][0]["findings"], ensure_ascii=False)
    assert "…/config.yaml cannot be read" in content["unreadable"][0]["sentence"]
    assert "……" not in json.dumps(content, ensure_ascii=False)


def test_no_script_of_the_page_makes_html_of_text() -> None:
    for script in ASSETS.glob("js/*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script.read_text()), (
            script
        )


def test_whatever_stands_in_transcripts_and_names_arrives_as_it_is(tmp_path: Path) -> None:
    utterances = write_test_corpus(tmp_path / "data", HOSTILE, name="<b>{}&\u202e")
    run = write_run(tmp_path / "runs" / "yesno" / "<i>&'\"", tmp_path / "data", metrics_rows(4))
    evaluate(run, utterances, [f"{text} <u>" for text in HOSTILE])
    content = build(run, tmp_path / "report")
    for file in tmp_path.glob("report/data/*.js"):
        assert "<" not in file.read_text() and "\u2028" not in file.read_text()
    (evaluation,) = content["evaluations"]
    split = data_of(tmp_path / "report", evaluation["utterances_file"])
    assert split["reference"] == HOSTILE
    assert data_of(tmp_path / "report", evaluation["file"])["hypothesis"] == [f"{text} <u>" for text in HOSTILE]
    assert split["id"][0] == "<b>0&\u202e"
    assert re.fullmatch(r"audio/[-\w]+/0\.flac", split["audio"][0])
    assert content["runs"][0]["name"] == "<i>&'\""


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    write_test_corpus(tmp_path / "data", ["YES"])
    rows = metrics_rows(3, train__loss=float("nan"))
    content = build(write_run(tmp_path / "yesno" / "lstm-1", tmp_path / "data", rows), tmp_path / "report")
    assert set(data_of(tmp_path / "report", content["runs"][0]["file"])["train/loss"]) == {None}
    assert [one["kind"] for one in content["runs"][0]["diagnostics"]] == ["diverging"]


def test_audio_is_copied_linked_or_left_out(runs: Path, tmp_path: Path) -> None:
    def sources(*flags: str) -> list[str | None]:
        report = tmp_path / "-".join(["report", *flags])
        content = build(runs, report, *flags)
        split = data_of(report, content["evaluations"][0]["utterances_file"])
        assert all(level > 0 for level in split["level"])
        return [source and str((report / source).resolve()) for source in split["audio"]]

    embedded = sources()
    assert all(source and source.endswith(".flac") for source in embedded)
    original, copy = soundfile.read(tmp_path / "data/yesno/audio/1.wav"), soundfile.read(embedded[1])
    assert original[1] == copy[1] and (original[0] == copy[0]).all()
    assert sources("--audio=link") == [str(tmp_path / f"data/yesno/audio/{number}.wav") for number in range(4)]
    assert sources("--audio=none") == [None] * 4


def test_a_report_without_its_corpus_still_shows_every_error(runs: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    content = build(runs, tmp_path / "report")
    assert content["corpora"] == []
    split = data_of(tmp_path / "report", content["evaluations"][0]["utterances_file"])
    assert split["reference"][0] == "YES NO YES" and split["audio"] == [None] * 4


def test_the_worst_utterances_have_a_picture_with_tokens_and_words(runs: Path, tmp_path: Path) -> None:
    config = compose(find_recipe("yesno"), ["model.hidden=8", "model.channels=4", "tokenizer=char"])
    tokenizer = build_tokenizer(config.tokenizer, [])
    torch.manual_seed(1)
    model = build_model(config, tokenizer.size)
    model.normalizer.fit([torch.randn(50, config.features.mels or 0)])
    save_model(runs / "gru-1" / "model", model, config, tokenizer)
    content = build(runs, tmp_path / "report", "--pictures=4")
    evaluation = content["evaluations"][0]
    assert data_of(tmp_path / "report", evaluation["file"])["pictured"] == [0, 1]
    picture = data_of(tmp_path / "report", f"{evaluation['utterances_file']}-1")
    assert picture["height"] == 40 and picture["width"] == 28  # whole windows of 25 ms in 0.3 s, every 10 ms
    output = data_of(tmp_path / "report", f"{evaluation['file']}-1")
    assert output["frame_seconds"] == pytest.approx(0.04) and output["frames"] == 7
    assert all(0.05 < token["probability"] <= 1 and 0 <= token["frame"] < 7 for token in output["tokens"])


def test_the_corpus_check_and_out_of_vocabulary_words_are_in_the_data_view(runs: Path, tmp_path: Path) -> None:
    (corpus,) = build(runs, tmp_path / "report")["corpora"]
    assert corpus["splits"]["test"]["unknown"] == [["NO", 4]]
    assert corpus["splits"]["test"]["utterances"] == 4 == sum(corpus["splits"]["test"]["histogram"])
    (tmp_path / "data/yesno/audio/2.wav").unlink()
    (corpus,) = build(runs, tmp_path / "again")["corpora"]
    assert any("the audio file is missing" in finding["message"] for finding in corpus["findings"])


def test_a_run_whose_settings_are_of_another_version_is_shown(runs: Path, tmp_path: Path) -> None:
    settings = runs / "gru-1" / "config.yaml"
    settings.write_text(settings.read_text() + "forgotten:\n  key: 3\n")
    content = build(runs, tmp_path / "report")
    assert content["runs"][0]["settings"]["forgotten.key"] == 3
    assert "forgotten.key" in content["differences"]


def test_a_folder_with_other_files_is_not_written_into(runs: Path, tmp_path: Path, capsys: Any) -> None:
    assert stopped("report", str(runs), "-o", str(runs)) == 2
    assert "has other files" in capsys.readouterr().err
    assert not (runs / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["report", "nowhere", "-o", "x"], "asr: No run at nowhere: a run folder has a config.yaml"),
        (["report", "nowhere"], "asr: asr report: the following arguments are required: -o/--output"),
        (["report", "nowhere", "-o", "x", "--audio=loud"], "asr: asr report: argument --audio: invalid choice: 'loud'"),
        (["report", "nowhere", "-o", "x", "--serve", "--audio=link"], "asr: --serve shows no files from outside"),
        (["report", "nowhere", "-o", "x", "--port=70000"], "asr: --port is 70000; it must be from 0 to 65535."),
        (["errors", "nowhere"], "asr: No run at nowhere"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], sentence: str, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert stopped(*arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(sentence) and printed.count("\n") == 1


@pytest.mark.parametrize("folder", ["new", "not/there/yet", "empty"])
@pytest.mark.parametrize("fault", ["no run", "settings", "corpus", "port"])
def test_a_report_that_fails_leaves_nothing(fault: str, folder: str, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    of_one = fault in ("settings", "corpus")
    arguments = [str(runs / "gru-1" if of_one else runs), "-o", str(tmp_path / folder)]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        match fault:
            case "no run":
                arguments[0] = str(tmp_path)
            case "settings":
                (runs / "gru-1" / "config.yaml").write_text("seed: [")
            case "corpus":
                (runs / "gru-1" / "metrics.jsonl").write_text("{}\n")
            case "port":
                arguments += ["--serve", "--port", str(taken.getsockname()[1])]
        before = sorted(tmp_path.rglob("*"))
        assert stopped("report", *arguments) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_report_that_fails_leaves_an_earlier_one(runs: Path, tmp_path: Path) -> None:
    main(["report", str(runs / "gru-1"), "-o", str(tmp_path / "report")])
    (runs / "gru-1" / "config.yaml").write_text("seed: [")
    before = sorted(path for path in (tmp_path / "report").rglob("*"))
    assert stopped("report", str(runs / "gru-1"), "-o", str(tmp_path / "report")) == 2
    assert sorted((tmp_path / "report").rglob("*")) == before


def test_noise_lowers_the_estimated_snr() -> None:
    speech = torch.sin(torch.arange(RATE) / 3).numpy() * (torch.arange(RATE) > RATE // 2).numpy()
    noise = torch.randn(RATE, generator=torch.Generator().manual_seed(1)).numpy()
    levels = [estimated_snr((speech + loudness * noise).astype("float32"), RATE) for loudness in (0.001, 0.01, 0.1)]
    assert levels == sorted(levels, reverse=True)
    assert levels[1] == pytest.approx(37, abs=1.5)  # a sine of power 1/2 over noise of 1e-4


def test_text_and_marks_have_enough_contrast() -> None:
    style = (ASSETS / "report.css").read_text()
    for theme in ("light", "dark"):
        block = style[style.index(f'[data-theme="{theme}"]') :].split("}")[0]
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        backgrounds = ["page", "card", "hover", "mark"]
        texts = [("ink", background) for background in [*backgrounds, "substituted", "deleted", "inserted", "word"]]
        texts += [
            (name, background) for name in ("faint", "link", "good", "warn", "bad") for background in ("page", "card")
        ]
        texts += [("link", "hover"), ("on-accent", "accent")]
        marks = [(f"series-{number}", background) for number in range(8) for background in ("card", "page")]
        marks += [("token", "card"), ("cursor", "card"), ("accent", "card")]
        for least, pairs in ((4.5, texts), (3.0, marks)):
            for name, background in pairs:
                assert contrast(colours[name], colours[background]) >= least, (theme, name, background)


def contrast(one: str, other: str) -> float:
    """As in the Web Content Accessibility Guidelines 2.2, 1.4.3."""

    def luminance(colour: str) -> float:
        shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.slow
def test_much_text_is_aligned_in_several_processes_with_the_same_result(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = []
    for size in (evaluations.MUCH_TEXT, 0):
        monkeypatch.setattr(evaluations, "MUCH_TEXT", size)
        main(["report", str(runs), "-o", str(tmp_path / f"page-{size}"), "--audio", "none", "--pictures", "0"])
        data = tmp_path / f"page-{size}" / "data"
        pages.append({path.name: path.read_bytes() for path in data.glob("[eu]*.js")})
    assert len(pages[0]) == 3 and pages[0] == pages[1]
