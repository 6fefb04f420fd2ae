"""Measures `asr report` on made-up runs: how long it builds, how large it is, and how fast a browser shows it.

    python tools/benchmark/report.py [RUNS [UTTERANCES]]       # 20 runs, 5000 utterances of test

The texts, the errors and the curves are drawn; nothing was trained. Without audio and pictures, so the folder holds
tables and curves alone. The times in the browser (Chromium by Playwright) are until the view is painted.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from playwright.sync_api import Page, sync_playwright

from asr.commands.cli import main as asr
from asr.scoring.error_rates import UtteranceScore, score_texts
from asr.scoring.results import Results, split_figures, write_results
from asr.settings.compose import compose, plain
from asr.settings.recipe import find_recipe
from asr.tracking.metrics import panel_row

EPOCHS, STEPS = 60, 50
WORDS = [f"{left}{right}" for left in "BDFGKLMNPRST" for right in ("A", "EN", "IST", "OR", "UM", "ELL", "ICK", "OUND")]


def main() -> None:
    runs, utterances = _sizes()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(runs):
            _write_run(folder / "runs" / "an4" / f"run-{number:02}", number, utterances)
        began, computed = time.perf_counter(), time.process_time()
        asr(["report", str(folder / "runs" / "an4"), "-o", str(folder / "report"), "--audio=none"])
        built, computed = time.perf_counter() - began, time.process_time() - computed
        size = sum(path.stat().st_size for path in (folder / "report").rglob("*") if path.is_file())
        print(f"{runs} runs, {utterances} utterances: {size / 1e6:.1f} MB,")
        print(f"  built in {built:.1f} s, {computed:.1f} s of them on the processor")
        _look(folder / "report" / "index.html", utterances)


def _sizes() -> tuple[int, int]:
    runs, utterances = [*sys.argv[1:], *("20", "5000")[len(sys.argv) - 1 :]]
    return int(runs), int(utterances)


def _write_run(folder: Path, number: int, utterances: int) -> None:
    folder.mkdir(parents=True)
    settings = plain(compose(find_recipe("an4"), [f"seed={number}", f"model.hidden={256 + 16 * (number % 4)}"]))
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(settings)), encoding="utf-8")
    scores = _scores(number, utterances)
    with (folder / "metrics.jsonl").open("w") as metrics, (folder / "panel.jsonl").open("w") as panel:
        for step in range(1, EPOCHS * STEPS + 1):
            heading = {"step": step, "epoch": step / STEPS, "seconds": 0.5 * step}
            falling = 3 * 0.999**step
            layers = {f"train/gradient_norm_layer_{layer}": 1 + falling * layer for layer in range(5)}
            shares = {f"time/{part}_share": 0.2 for part in ("data_wait", "compute", "update", "ranks_wait")}
            row = {"train/loss": falling, "train/learning_rate": 1e-3, "train/gradient_norm": 1 + falling}
            metrics.write(json.dumps(heading | row | layers | shares) + "\n")
            if step % STEPS == 0:
                dev = {"dev/wer": falling / 4, "dev/cer": falling / 9, "dev/blank_share": 0.7, "dev/empty_share": 0.0}
                metrics.write(json.dumps(heading | dev) + "\n")
                panel.write(json.dumps(panel_row(step, step // STEPS, scores[:10])) + "\n")
    results = Results(
        **split_figures(scores, samples=1000), recipe="an4", run=folder.name, split="test", decoder="greedy",
        seed=number, parameters=4_000_000, train_seconds=1500.0, audio_seconds=2e4,
        real_time_factor=0.01, hardware="none", torch="none", command="made up", commit=None, config_hash="0" * 8,
    )  # fmt: skip
    write_results(folder, results, scores)


def _scores(number: int, utterances: int) -> list[UtteranceScore]:
    """The same references in every run; a tenth of the words are wrong."""
    texts, errors = np.random.default_rng(1), np.random.default_rng(number)
    scores = []
    for place in range(utterances):
        words = list(texts.choice(WORDS, size=texts.integers(4, 20)))
        written = [str(errors.choice(WORDS)) if errors.random() < 0.08 else word for word in words]
        written = [word for word in written if errors.random() > 0.02]
        duration = float(0.4 * len(words))
        scores.append(score_texts(f"utt-{place:05}", f"s{place % 40}", duration, " ".join(words), " ".join(written)))
    return scores


def _look(page_file: Path, utterances: int) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        for view in ("runs", "compare", "training", "errors", "data"):
            page.goto("about:blank")
            page.goto(f"{page_file.as_uri()}#{view}")
            page.wait_for_selector("#content[data-shown]")
            shown = page.evaluate("performance.getEntriesByName('shown')[0].startTime")
            print(f"  first view {view}: {shown:.0f} ms")
        page.goto("about:blank")
        page.goto(f"{page_file.as_uri()}#errors")
        page.wait_for_selector(".rows .row")
        page.get_by_role("button", name="all (").click()
        print(f"  search of {utterances} utterances: {_painted(page, _SEARCH):.0f} ms")
        print(f"  sorting them: {_painted(page, _SORT):.0f} ms")
        print(f"  scrolling to the end: {_painted(page, _SCROLL):.0f} ms")
        browser.close()


_SEARCH = (
    "const field = document.querySelector('[data-search]'); field.value = 'S7'; field.dispatchEvent(new Event('input'))"
)
_SORT = (
    "[...document.querySelectorAll('.row.head button')].find((one) => one.textContent.startsWith('Seconds')).click()"
)
_SCROLL = "const table = document.querySelector('.table'); table.scrollTop = table.scrollHeight"


def _painted(page: Page, action: str) -> float:
    """Milliseconds from an action until the next frame is painted."""
    code = f"() => new Promise((done) => {{ const began = performance.now(); {action}; "
    code += "requestAnimationFrame(() => setTimeout(() => done(performance.now() - began))); })"
    return float(page.evaluate(code))


if __name__ == "__main__":
    main()
