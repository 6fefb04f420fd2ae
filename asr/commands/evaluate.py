"""`asr evaluate`: decodes dev and test with the best model of a run, and scores them."""

import time
from collections.abc import Sequence

import torch

from asr.commands.train import manifests, model_name, open_tracker
from asr.composition import plain
from asr.config import Config
from asr.data.audio import read_waveform
from asr.data.loader import evaluation_shares, load
from asr.data.manifest import read_manifest
from asr.data.utterance import Utterance
from asr.decoding.decoder import build_decoder
from asr.decoding.evaluation import decode_batches
from asr.decoding.recognizer import Recognizer
from asr.decoding.recognizer import load as load_recognizer
from asr.errors import RunError
from asr.features.inputs import Inputs
from asr.model.acoustic import count_parameters
from asr.progress import Progress
from asr.recipe import Recipe
from asr.scoring.alignment import worst
from asr.scoring.error_rates import UtteranceScore, total
from asr.scoring.intervals import bootstrap_interval
from asr.scoring.provenance import command, commit, hardware
from asr.scoring.results import Results, evaluation_folder, write_results
from asr.scoring.table import results_table
from asr.tracking.metrics import last_row
from asr.tracking.tracker import Tracker
from asr.tracking.worst import WorstUtterance
from asr.training.debugging import simplify
from asr.training.distributed import join_ranks
from asr.training.hardware import resolve_hardware
from asr.training.run_folder import RunFolder, find_run_folder

FIGURES = ("wer", "wer_low", "wer_high", "cer", "substitutions", "deletions", "insertions", "real_time_factor")
COLUMNS = (
    "id", "speaker", "duration", "wer", "cer", "ctc_loss_per_token", "confidence", "reference", "hypothesis",
    "alignment",
)  # fmt: skip


def run(recipe: Recipe, config: Config) -> None:
    """Evaluates the run of a configuration; under several ranks the first does it alone."""
    config = simplify(config)
    device = resolve_hardware(config.hardware)
    folder = find_run_folder(recipe, config, device.precision)
    if not folder.model.is_dir():
        raise RunError(f"The run {folder.path} has no model yet: `asr train` with the same settings makes it.")
    if not join_ranks(device.device, config.cluster.join_minutes).first:
        return
    splits = ("test",) if config.training.with_dev else ("dev", "test")
    with folder.held(config):
        recognizer = load_recognizer(folder.model, str(device.device))
        recognizer.decode = build_decoder(config.decoder, recognizer.tokenizer)
        evaluations = [_evaluate(recipe, config, split, recognizer, folder) for split in splits]
        where = _track(recipe, config, folder, evaluations)
        _track_evaluation(recipe, config, folder, evaluations)
    print(results_table([results for results, _ in evaluations]))
    print(f"Run: {folder.path}")
    print(f"Errors: {evaluation_folder(folder.path, 'test', config.decoder.kind.name) / 'errors.txt'}")
    print(where)


def _evaluate(
    recipe: Recipe, config: Config, split: str, recognizer: Recognizer, folder: RunFolder
) -> tuple[Results, list[UtteranceScore]]:
    utterances = read_manifest(recipe.manifest(config, split))
    inputs = Inputs(utterances, None, None, config.seed)
    shares = evaluation_shares(inputs.seconds(0), 0, 1, config.batching.max_device_seconds)
    began = time.perf_counter()
    batches = load(shares, inputs, [[]] * len(utterances), config.hardware.workers)
    scores: list[UtteranceScore] = []
    with Progress(f"Decoding {split}", len(utterances), "utterances") as progress:
        parts = (recognizer.front, recognizer.model, recognizer.decode, recognizer.tokenizer)
        for decoded in decode_batches(batches, utterances, *parts):
            scores.append(decoded.score)
            progress.advance()
    seconds, audio_seconds = time.perf_counter() - began, float(inputs.seconds(0).sum())
    places = {utterance.id: place for place, utterance in enumerate(utterances)}
    scores.sort(key=lambda scored: places[scored.id])
    score = total(scores)
    low, high = bootstrap_interval(scores)
    results = Results(
        recipe=recipe.name,
        run=folder.path.name,
        split=split,
        decoder=config.decoder.kind.name,
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
        parameters=count_parameters(recognizer.model),
        train_seconds=last_row(folder.path)["seconds"],
        audio_seconds=audio_seconds,
        real_time_factor=seconds / audio_seconds,
        hardware=hardware(),
        torch=torch.__version__,
        command=command(),
        commit=commit(),
        config_hash=folder.config_hash,
    )
    write_results(folder.path, results, scores)
    return results, scores


def _track(
    recipe: Recipe, config: Config, folder: RunFolder, evaluations: Sequence[tuple[Results, list[UtteranceScore]]]
) -> str:
    """Adds the results to the run in Weights & Biases; gives the sentence on how to see it."""
    with open_tracker(recipe, config, folder, last_row(folder.path)["step"]) as tracker:
        for results, _ in evaluations:
            tracker.summary(_figures(results))
        test = {utterance.id: utterance for utterance in read_manifest(recipe.manifest(config, "test"))}
        scores = worst(evaluations[-1][1], config.tracker.worst_utterances)
        tracker.worst_utterances([_with_audio(score, test[score.id]) for score in scores])
        return tracker.where()


def _track_evaluation(
    recipe: Recipe, config: Config, folder: RunFolder, evaluations: Sequence[tuple[Results, list[UtteranceScore]]]
) -> None:
    """Keeps the evaluation as a run of its own in Weights & Biases: what it read and every utterance."""
    with Tracker(
        folder.path / "evaluation",
        config.tracker,
        name=f"{folder.path.name} evaluated",
        recipe=recipe.name,
        settings=plain(config),
        job_type="evaluate",
        step=0,
    ) as tracker:
        tracker.uses_manifests(manifests(recipe, config))
        tracker.uses_model(model_name(folder), folder.model)
        for results, scores in evaluations:
            tracker.summary(_figures(results))
            rows = [[getattr(score, column) for column in COLUMNS] for score in scores]
            tracker.show_table(f"{results.split}/utterances", COLUMNS, rows)


def _figures(results: Results) -> dict[str, float | str]:
    return {f"{results.split}/{figure}": getattr(results, figure) for figure in FIGURES}


def _with_audio(score: UtteranceScore, utterance: Utterance) -> WorstUtterance:
    return WorstUtterance(score, read_waveform(utterance).numpy(), utterance.sampling_rate)
