"""The evaluation of a run on a split: decoded, scored, and kept in the folder of the run."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from asr.common.files import atomic_write_text
from asr.decoding.decoder import search_settings
from asr.decoding.naming import decoder_name
from asr.inference.evaluation import Decoded, decode_utterances, open_split, phone_error_rate, read_batches
from asr.inference.recognition import BatchRecognizer
from asr.scoring.error_rates import total
from asr.scoring.intervals import bootstrap_interval
from asr.scoring.provenance import kept_provenance, provenance
from asr.scoring.results import EvaluatedSplit, Results, write_results
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.metrics import last_row


def evaluate_split(
    recipe: Recipe, config: Config, split: str, recognizer: BatchRecognizer, run: Path, config_hash: str
) -> EvaluatedSplit:
    """Decodes a split, scores it, and writes the results into the folder of the run.

    Args:
        config: That of the evaluation.
        recognizer: The model of the run, or an ensemble with others.
        config_hash: Of the run.

    Raises:
        DataError: The split cannot be read.
    """
    inputs = open_split(recipe, config, split)
    began = time.perf_counter()
    decoded = decode_utterances(recognizer, inputs.utterances, read_batches(inputs, config), f"Decoding {split}")
    seconds, audio_seconds = time.perf_counter() - began, float(inputs.seconds(0).sum())
    scores = [one.score for one in decoded]
    score, (low, high) = total(scores), bootstrap_interval(scores)
    here = provenance()
    origin = kept_provenance(run) or here
    results = Results(
        recipe=recipe.name,
        run=run.name,
        split=split,
        decoder=decoder_name(config),
        utterances=score.utterances,
        words=score.words,
        wer=score.wer,
        wer_low=low,
        wer_high=high,
        cer=score.cer,
        substitutions=score.substitutions,
        deletions=score.deletions,
        insertions=score.insertions,
        seed=config.seed,
        parameters=recognizer.parameters,
        train_seconds=last_row(run)["seconds"],
        audio_seconds=audio_seconds,
        real_time_factor=seconds / audio_seconds,
        hardware=origin.hardware,
        torch=origin.torch,
        command=origin.command,
        commit=origin.commit,
        config_hash=config_hash,
        per=phone_error_rate(recognizer.tokenizer, scores),
        evaluated=None if here == origin else here,
    )
    folder = write_results(run, results, scores)
    if recognizer.search is not None:
        settings = search_settings(recognizer.search, recognizer.rescorer)
        atomic_write_text(folder / "search.json", json.dumps(settings, indent=1) + "\n")
        _write_nbest(folder / "nbest.jsonl", decoded if config.decoder.nbest > 1 else [])
    return EvaluatedSplit(results, scores)


def _write_nbest(file: Path, decoded: Sequence[Decoded]) -> None:
    """Writes the best hypotheses of each utterance; without any utterance, removes those of an earlier evaluation."""
    file.unlink(missing_ok=True)
    if decoded:
        rows = ({"id": one.score.id, "hypotheses": [asdict(item) for item in one.hypotheses]} for one in decoded)
        atomic_write_text(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
