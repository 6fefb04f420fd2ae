"""`asr calibrate`: fits the confidence of words on dev, and says how far it can be trusted on any split."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr.commands.flags import FlagParser
from asr.common.errors import DataError
from asr.common.figures import save_picture
from asr.training.opening import open_run

if TYPE_CHECKING:
    from asr.inference.confidence import Floats
    from asr.inference.recognizer import Recognizer
    from asr.scoring.calibration import Calibration
    from asr.settings.recipe import Recipe
    from asr.settings.root import Config


def main(arguments: Sequence[str]) -> None:
    """Fits on dev, keeps the map in the run's model folder, and examines the splits.

    Raises:
        ConfigError: The run was trained on dev.
        RunError: There is no such run.
        DataError: A split cannot be read, or has no wrong word to learn from.
    """
    parser = FlagParser(
        prog="asr calibrate",
        description="Learns from the dev split of a run how sure a word of its greedy hypotheses is, and keeps that in "
        "RUN/model/confidence.json, for asr transcribe. For each split, RUN/calibration/SPLIT gets the words with "
        "times and confidences, figures and a picture of their reliability.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a run, as runs/RECIPE/NAME-HASH")
    parser.add_argument(
        "--splits", nargs="+", default=["dev", "test"], metavar="SPLIT", help="what is examined (dev test)"
    )
    parser.add_argument("--data", metavar="FOLDER", help="the corpus, where it has moved: as paths.data")
    options = parser.parse_args(arguments)

    from asr.inference.confidence import fit_confidence, write_confidence
    from asr.inference.recognizer import load
    from asr.scoring.calibration import calibration
    from asr.tracking.metrics import replace_text

    (recipe, config), recognizer = open_run(options.run, options.data, "calibrate"), load(options.run / "model")
    dev = _hear(recipe, config, recognizer, "dev")
    fitted = fit_confidence(dev.evidence, dev.right)
    write_confidence(options.run / "model", fitted, f"dev of {recipe.name}: {len(dev.right)} words")
    for split in options.splits:
        heard = dev if split == "dev" else _hear(recipe, config, recognizer, split)
        if not len(heard.right):
            raise DataError(f"The model writes no word in {split}: there is nothing to be sure of.")
        confidences = fitted(heard.evidence)
        found = calibration(confidences, heard.right)
        folder = options.run / "calibration" / split
        folder.mkdir(parents=True, exist_ok=True)
        rows = (row | {"confidence": round(float(sure), 4)} for row, sure in zip(heard.rows, confidences, strict=True))
        replace_text(folder / "words.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        draw(found, split, folder / "reliability")
        replace_text(folder / "calibration.json", json.dumps(asdict(found), indent=1) + "\n")
        print(
            f"{split}: {found.words} words, {100 * found.right:.1f} % right; expected calibration error "
            f"{100 * found.ece:.1f} %, normalised cross entropy {found.nce:.3f}; picture {folder / 'reliability.png'}"
        )
    print(f"Kept in {options.run / 'model' / 'confidence.json'}")


def draw(found: "Calibration", split: str, path: Path) -> None:
    """Draws the share of right words over the confidence, as .svg and .png."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5.5), layout="constrained")
    reliability, amounts = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    sure = [one.confidence for one in found.bins]
    reliability.plot((0, 1), (0, 1), color="grey", linewidth=1, label="as sure as right")
    reliability.plot(sure, [one.right for one in found.bins], marker="o", label=f"{split}, {found.words} words")
    reliability.set(ylabel="share of words that are right", xlim=(0, 1), ylim=(0, 1.02))
    reliability.set_title(f"ECE {100 * found.ece:.1f} %, NCE {found.nce:.2f}")
    reliability.legend(loc="upper left")
    amounts.bar(sure, [one.words for one in found.bins], width=0.06)
    amounts.set(xlabel="confidence", ylabel="words", yscale="log")
    save_picture(figure, path)


@dataclass(frozen=True)
class _Heard:
    """The words of a split's greedy hypotheses."""

    rows: list[dict[str, object]]
    evidence: "Floats"
    right: "Floats"


def _hear(recipe: "Recipe", config: "Config", recognizer: "Recognizer", split: str) -> _Heard:
    import numpy as np
    import torch

    from asr.decoding.greedy import greedy
    from asr.inference.confidence import EVIDENCE, word_evidence
    from asr.inference.ensembles import Combination
    from asr.inference.evaluation import split_log_probs
    from asr.inference.forced_alignment import align, frame_times, word_spans
    from asr.scoring.error_rates import right_words

    times, tokenizer = frame_times(config), recognizer.tokenizer
    heard = split_log_probs(recipe, config, split, Combination([recognizer]))
    rows: list[dict[str, object]] = []
    evidence, right = [np.zeros((0, len(EVIDENCE)))], []
    for utterance, emission in zip(heard.utterances, heard.emissions, strict=True):
        log_probs, lengths = torch.from_numpy(emission)[:, None], torch.tensor([len(emission)])
        (alignment,) = align(log_probs, lengths, greedy(log_probs, lengths))
        assert alignment is not None  # what was written has fitted
        spans = word_spans(alignment, tokenizer)
        its_right = right_words(utterance.text, [span.text for span in spans])
        evidence.append(word_evidence(alignment, spans))
        right += its_right
        rows += (
            {"id": utterance.id, "word": word.text, "start": word.start, "end": word.end, "right": is_right}
            for word, is_right in zip(times.words(spans), its_right, strict=True)
        )
    return _Heard(rows, np.concatenate(evidence), np.array(right, dtype=np.float64))
