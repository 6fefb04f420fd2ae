"""`asr evaluate`: decodes splits with the best model of a run, alone or with others, and scores them."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from asr.batching.dataset import Dataset
from asr.batching.loader import evaluation_batches, load
from asr.common.errors import ConfigError, RunError
from asr.common.progress import Progress
from asr.data.audio import Audio
from asr.data.manifest import read_manifest
from asr.data.shards.reader import open_audio
from asr.data.utterance import Utterance
from asr.decoding.beam import BeamDecoder
from asr.decoding.decoder import open_decoder, say_weights
from asr.decoding.naming import GREEDY, decoder_name
from asr.decoding.rescoring import Rescorer
from asr.decoding.search import Hypothesis, Search
from asr.decoding.weights import Weights, read_tuned, tuning_key
from asr.inference.ensembles import Combination, FramesHeard, Hearing, open_pool
from asr.inference.evaluation import Measures, measure, phone_error_rate, with_measures
from asr.inference.recognizer import load as load_recognizer
from asr.lm.ngram import language_model
from asr.lm.recurrent_folder import load_language_model
from asr.model.acoustic import count_parameters
from asr.model.folder import model_folder
from asr.scoring.alignment import worst
from asr.scoring.error_rates import UtteranceScore, score_utterance, total
from asr.scoring.intervals import bootstrap_interval
from asr.scoring.provenance import kept_provenance, provenance
from asr.scoring.results import Results, evaluation_folder, results_table, write_results
from asr.settings.compose import plain
from asr.settings.decoder import DecoderKind
from asr.settings.evaluation import Combine
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.protocol import labels_of
from asr.tracking.metrics import last_row, replace_text
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_media import WorstUtterance
from asr.training.debugging import simplify
from asr.training.distributed import join_ranks
from asr.training.hardware import resolve_hardware
from asr.training.run_folder import RunFolder, find_run_folder
from asr.training.session import manifests, model_name, open_tracker

log = logging.getLogger(__name__)

FIGURES = ("wer", "wer_low", "wer_high", "cer", "substitutions", "deletions", "insertions", "real_time_factor")
COLUMNS = (
    "id", "speaker", "duration", "wer", "cer", "ctc_loss_per_token", "confidence", "reference", "hypothesis",
    "alignment",
)  # fmt: skip


def run(recipe: Recipe, config: Config) -> None:
    """Evaluates the run of a configuration; under several ranks the first does it alone."""
    config = simplify(config)
    device = resolve_hardware(config.hardware, trains=False)
    folder = find_run_folder(recipe, config, device.precision)
    if not folder.model.is_dir():
        raise RunError(f"The run {folder.path} has no model yet: `asr train` with the same settings makes it.")
    if not join_ranks(device.device, config.cluster.join_minutes).first:
        return
    splits = [split for split in config.evaluation.splits if split != "dev" or not config.training.with_dev]
    if not splits:
        raise ConfigError("The run was trained on dev, the only one of evaluation.splits: give another.")
    if config.evaluation.combine is Combine.hypotheses and not config.evaluation.models:
        raise ConfigError(
            "evaluation.combine=hypotheses pools those of several models: name the others in evaluation.models."
        )
    lm = language_model(recipe, config) if config.decoder.kind is DecoderKind.beam else None
    recurrent = None
    if config.decoder.recurrent is not None:
        recurrent = load_language_model(Path(config.decoder.recurrent), str(device.device))
    tuned = _tuned(config, folder, tuning_key(lm, recurrent))
    with folder.held():
        others = [model_folder(path, "evaluation.models") for path in config.evaluation.models]
        recognizers = [load_recognizer(model, str(device.device)) for model in (folder.model, *others)]
        with ExitStack() as opened:
            hearing: Hearing
            if config.evaluation.combine is Combine.hypotheses:
                hearing = opened.enter_context(open_pool(recipe, config, recognizers, lm, recurrent, tuned))
            else:
                combination, tokenizer = Combination(recognizers), recognizers[0].tokenizer
                decoder = opened.enter_context(open_decoder(recipe, config, tokenizer, lm, recurrent, tuned))
                hearing = FramesHeard(combination, decoder)
            say_weights(hearing.decoder, hearing.rescorer, tuned)
            evaluations = [_evaluate(recipe, config, split, hearing, folder) for split in splits]
        where = _track(recipe, config, folder, evaluations)
        _track_evaluation(recipe, config, folder, evaluations)
    print(results_table([results for results, _ in evaluations]))
    for results, _ in evaluations:
        if results.per is not None:
            print(f"Phone error rate of {results.split}: {100 * results.per:.2f} %")
    print(f"Run: {folder.path}")
    print(f"Errors: {evaluation_folder(folder.path, splits[-1], decoder_name(config)) / 'errors.txt'}")
    print(where)


def _tuned(config: Config, folder: RunFolder, key: str | None) -> Weights | None:
    """What `asr tune` found for the run, or for that of decoder.weights_from.

    Raises:
        ConfigError: It did not look there.
    """
    other = config.decoder.weights_from
    found = None if key is None else read_tuned(folder.path if other is None else Path(other), key)
    if other is not None and found is None:
        raise ConfigError(f"decoder.weights_from={other} was not tuned with {key or 'lm=none'}: `asr tune` does it.")
    return found


def _evaluate(
    recipe: Recipe, config: Config, split: str, hearing: Hearing, folder: RunFolder
) -> tuple[Results, list[UtteranceScore]]:
    utterances = read_manifest(recipe.manifest(config, split))
    audio = open_audio(config.shards, recipe.data(config))
    inputs = Dataset(utterances, None, None, config.seed, audio=audio)
    shares = evaluation_batches(inputs.seconds(0), 0, 1, config.batching.max_device_seconds)
    began = time.perf_counter()
    batches = load(shares, inputs, [[]] * len(utterances), config.hardware.workers)
    tokenizer = hearing.recognizers[0].tokenizer
    found: dict[int, list[Hypothesis]] = {}
    measured: dict[int, Measures] = {}
    with Progress(f"Decoding {split}", len(utterances), "utterances") as progress:
        for batch in batches:
            numbers = [int(number) for number in batch.utterances]
            heard = hearing(batch.inputs, batch.lengths)
            found |= zip(numbers, heard.hypotheses, strict=True)
            labels = [labels_of(tokenizer, utterances[number].text) for number in numbers]
            measured |= zip(numbers, measure(heard.log_probs, heard.lengths, labels), strict=True)
            progress.advance(len(numbers))
    scores = [
        with_measures(measured[place], score_utterance(utterance, found[place][0].text))
        for place, utterance in enumerate(utterances)
    ]
    seconds, audio_seconds = time.perf_counter() - began, float(inputs.seconds(0).sum())
    score = total(scores)
    here = provenance()
    origin = kept_provenance(folder.path) or here
    low, high = bootstrap_interval(scores)
    results = Results(
        recipe=recipe.name,
        run=folder.path.name,
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
        parameters=sum(count_parameters(recognizer.model) for recognizer in hearing.recognizers),
        train_seconds=last_row(folder.path)["seconds"],
        audio_seconds=audio_seconds,
        real_time_factor=seconds / audio_seconds,
        hardware=origin.hardware,
        torch=origin.torch,
        command=origin.command,
        commit=origin.commit,
        config_hash=folder.config_hash,
        per=phone_error_rate(tokenizer, scores),
        evaluated=None if here == origin else here,
    )
    place = write_results(folder.path, results, scores)
    if isinstance(hearing.decoder, BeamDecoder):
        nbest = found if config.decoder.nbest > 1 else {}
        _write_search(place, hearing.decoder.search, hearing.rescorer, utterances, nbest)
    return results, scores


def _write_search(
    place: Path,
    search: Search,
    rescorer: Rescorer | None,
    utterances: Sequence[Utterance],
    nbest: Mapping[int, list[Hypothesis]],
) -> None:
    """Writes search.json, with the weights, and nbest.jsonl where the best hypotheses were asked for."""
    names = ("lm", "beam", "lm_weight", "word_score", "beam_tokens", "beam_threshold", "log_add", "hot", "hot_boost")
    said = {name: getattr(search, name) for name in names}
    said |= {"recurrent": search.recurrent, "recurrent_weight": search.recurrent_weight}
    if rescorer is not None:
        said |= {"recurrent": str(rescorer.trained.folder), "recurrent_weight": rescorer.weight}
        said |= {"recurrent_word_score": rescorer.word_score}
    replace_text(place / "search.json", json.dumps(said, indent=1) + "\n")
    (place / "nbest.jsonl").unlink(missing_ok=True)
    if nbest:
        rows = (
            {"id": utterance.id, "hypotheses": [asdict(item) for item in nbest[number]]}
            for number, utterance in enumerate(utterances)
        )
        replace_text(place / "nbest.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _track(
    recipe: Recipe, config: Config, folder: RunFolder, evaluations: Sequence[tuple[Results, list[UtteranceScore]]]
) -> str:
    """Adds the results to the run in Weights & Biases; gives the sentence on how to see it."""
    with open_tracker(recipe, config, folder, last_row(folder.path)["step"]) as tracker:
        for results, _ in evaluations:
            tracker.summary(_figures(results))
        last = recipe.manifest(config, evaluations[-1][0].split)
        utterances = {utterance.id: utterance for utterance in read_manifest(last)}
        scores = worst(evaluations[-1][1], config.tracker.worst_utterances)
        audio = open_audio(config.shards, recipe.data(config))
        tracker.worst_utterances([_with_audio(score, utterances[score.id], audio) for score in scores])
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
            tracker.show_table(f"{_place(results)}/utterances", COLUMNS, rows)


def _figures(results: Results) -> dict[str, float | str]:
    return {f"{_place(results)}/{figure}": getattr(results, figure) for figure in FIGURES}


def _place(results: Results) -> str:
    """Where figures stand in Weights & Biases: test, which is greedy for all runs, or test/beam-ngram3-words."""
    return results.split if results.decoder == GREEDY else f"{results.split}/{results.decoder}"


def _with_audio(score: UtteranceScore, utterance: Utterance, audio: Audio) -> WorstUtterance:
    return WorstUtterance(score, audio.read(utterance).numpy(), utterance.sampling_rate)
