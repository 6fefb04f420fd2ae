"""Evaluations for sclite, and its own figures where it is installed."""

import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from asr.report.sclite import write_sclite
from asr.scoring.error_rates import UtteranceScore, score_texts, total

WORDS = ["ONE", "TWO", "THREE", "FOUR", "FIVE", "GRÜN", "T", "H", "RUBOUT", "ENTER", "JUNE"]
SCLITE = Path("/usr/lib/sctk/bin/sclite")


def scores_like_an4() -> list[UtteranceScore]:
    """A hundred utterances with errors of all kinds, some of ids that sclite would misread."""
    generator = random.Random(1)
    scores = []
    for number in range(100):
        reference = [generator.choice(WORDS) for _ in range(generator.randint(1, 8))]
        heard = [generator.choice(WORDS) if generator.random() < 0.06 else word for word in reference]
        heard = [word for word in heard if generator.random() > 0.05]
        if generator.random() < 0.1:
            heard.insert(generator.randint(0, len(heard)), "OH")
        id = f"an4_clstk/sp-{number % 7} (a)/utt_{number:03}"
        scores.append(score_texts(id, f"sp_{number % 7}-x", 2.0, " ".join(reference), " ".join(heard)))
    return scores


def test_each_file_has_every_utterance_once(tmp_path: Path) -> None:
    scores = [*scores_like_an4(), score_texts("empty", "", 1.0, "ONE", "")]
    write_sclite(tmp_path / "nist", scores)
    lines = {name: (tmp_path / "nist" / name).read_text().splitlines() for name in ("ref.trn", "hyp.trn", "ref.stm")}
    assert [len(content) for content in lines.values()] == [101, 101, 101]
    ids = [re.search(r"\(([\w.]+)-([\w.]+)\)$", line) for line in lines["ref.trn"]]
    assert all(ids) and len({found[0] for found in ids if found}) == 101
    assert lines["hyp.trn"][-1] == " (unknown-101.empty)"
    assert lines["ref.stm"][-1] == "101.empty A unknown 0.000 1.000 ONE"
    words = (tmp_path / "nist" / "hyp.ctm").read_text().splitlines()
    assert len(words) == sum(len(score.hypothesis.split()) for score in scores)
    assert words[0].split()[1:4] == ["A", "0.000", f"{2 / len(scores[0].hypothesis.split()):.3f}"]


def test_words_that_sclite_reads_in_its_own_way_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_sclite(tmp_path, [score_texts("a", "", 1.0, "{ONE} UH-", "TWO")])
    assert "UH-, {ONE}" in caplog.text


def summed(folder: Path, *arguments: str) -> list[int]:
    """Sentences, words, correct, substituted, deleted, inserted words, errors and wrong sentences."""
    program = shutil.which("sclite") or SCLITE
    command = [str(program), "-s", "-e", "utf-8", *arguments, "-o", "rsum", "stdout"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith("| Sum")]
    return [int(number) for number in re.findall(r"\d+", line)]


@pytest.mark.skipif(not SCLITE.exists() and shutil.which("sclite") is None, reason="sclite (Debian: sctk) is missing")
@pytest.mark.parametrize(
    "arguments",
    [
        ("-i", "spu_id", "-r", "ref.trn", "trn", "-h", "hyp.trn", "trn"),
        ("-r", "ref.stm", "stm", "-h", "hyp.ctm", "ctm"),
    ],
)
def test_sclite_counts_as_many_words_errors_and_wrong_utterances(arguments: Sequence[str], tmp_path: Path) -> None:
    scores = scores_like_an4()
    write_sclite(tmp_path, scores)
    ours = total(scores)
    sentences, words, correct, *kinds, errors, wrong = summed(tmp_path, *arguments)
    assert (sentences, words, errors) == (100, ours.words, ours.errors)
    assert wrong == sum(score.errors > 0 for score in scores)
    # Of alignments with as many errors it takes one with more correct words: a substitution costs it 4, others 3.
    counted = (ours.substitutions, ours.deletions, ours.insertions)
    assert sum(kinds) == errors and correct >= ours.correct
    assert all(abs(theirs - own) <= 2 for theirs, own in zip(kinds, counted, strict=True))
