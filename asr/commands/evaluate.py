"""`asr evaluate`: decodes splits with the best model of a run, perhaps in an ensemble, and scores them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from asr.commands.remedies import filled
from asr.common.documents import read_text
from asr.common.errors import ConfigError, RunError
from asr.common.files import atomic_write_text
from asr.common.tables import print_beside, table
from asr.decoding.decoder import log_search
from asr.decoding.setup import DecodingSetup, decoder_name
from asr.inference.delay import aligner_of
from asr.inference.ensembles import open_ensemble
from asr.inference.evaluation import evaluate_split
from asr.inference.finished_run import FinishedRun
from asr.model.card import write_card
from asr.scoring.bootstrap import shown_interval
from asr.scoring.error_unit import ErrorUnit, recipe_unit, with_unit
from asr.scoring.results import EvaluatedSplit, Results, evaluation_folder, read_results
from asr.settings.decoder import DecoderKind
from asr.settings.evaluation import Combine
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.metrics import last_row
from asr.tracking.tracker import Tracker, add_figures, add_utterances, add_worst_utterances
from asr.tracking.wandb_run import Job
from asr.training.debugging import simplify
from asr.training.distributed import join_ranks
from asr.training.hardware import resolve_hardware
from asr.training.run_folder import REPORTED, RunFolder, find_run_folder, no_model
from asr.training.session import manifests, model_name, open_tracker, tracked_name, tracked_settings


def run(recipe: Recipe, config: Config) -> None:
    """Evaluates the run of a configuration; under several ranks, only rank 0 does it."""
    _evaluate(recipe, config, again=True)


def run_once(recipe: Recipe, config: Config) -> None:
    """As `run`, but where the same models were decoded in the same way before it only prints their results."""
    _evaluate(recipe, config, again=False)


def _evaluate(recipe: Recipe, config: Config, again: bool) -> None:
    config = simplify(config)
    config = with_unit(config, recipe_unit(recipe, config))
    hardware = resolve_hardware(config.hardware, trains=False)
    device = str(hardware.device)
    folder = find_run_folder(recipe, config, hardware.precision)
    if not folder.model.is_dir():
        raise no_model(recipe, config, folder)
    if not join_ranks(hardware.device, config.cluster.join_minutes).first:
        return
    splits = [split for split in config.evaluation.splits if split != "dev" or not config.training.with_dev]
    if not splits:
        raise ConfigError("The run was trained on dev, the only one of evaluation.splits: give another.")
    if config.evaluation.combine is Combine.hypotheses and not config.evaluation.models:
        raise ConfigError(
            "evaluation.combine=hypotheses combines those of several models: name the others in evaluation.models."
        )
    labels_frames = config.tokenizer.kind.labels_frames
    if labels_frames and config.decoder.kind is not DecoderKind.greedy:
        raise ConfigError("decoder=beam searches words, and with tokenizer=speech frames are labelled: leave it out.")
    aligner_of(config)  # refused before anything is decoded
    setup = DecodingSetup.of_run(recipe, config, folder.path, device)
    others = [FinishedRun.of_model(path, "evaluation.models") for path in config.evaluation.models]
    runs = [FinishedRun(folder.model), *others]
    places = {split: runs[0].evaluation(split, decoder_name(config)) for split in splits}
    identities = {places[split] / REPORTED: setup.identity(split, [each.model for each in runs]) for split in splits}
    if not again and (kept := _kept(places.values(), identities)):
        _print(folder, kept)
        print_beside(filled("Already evaluated; `asr evaluate RECIPE` decodes again."))
        return
    with folder.held():
        with open_ensemble(setup, [each.recognizer(device, labels_frames=labels_frames) for each in runs]) as ensemble:
            log_search(ensemble.search, ensemble.rescorer, setup.tuned)
            evaluations = [
                evaluate_split(recipe, config, split, ensemble, folder.path, folder.config_hash) for split in splits
            ]
        write_card(folder.path, config)
        where = _track(recipe, config, folder, evaluations)
        for path, identity in identities.items():
            atomic_write_text(path, identity)
    _print(folder, [evaluation.results for evaluation in evaluations])
    print_beside(where)


def _kept(places: Iterable[Path], identities: Mapping[Path, str]) -> list[Results]:
    """The results of all splits, where these were decoded as now and tracked; else none."""
    try:
        same = all(read_text(path) == identity for path, identity in identities.items())
        return [read_results(place) for place in places] if same else []
    except (OSError, ValueError, RunError):
        return []


def _print(folder: RunFolder, results: Sequence[Results]) -> None:
    print(results_table(results))
    for one in results:
        if one.per is not None:
            print_beside(f"Phone error rate of {one.split}: {100 * one.per:.2f} %")
        if (speech := one.speech) is not None:
            known = "-" if speech.delay is None else f"{speech.delay:.2f} s"
            print_beside(
                f"Segments of {one.split}: precision {100 * speech.precision:.1f} %, recall "
                f"{100 * speech.recall:.1f} %, delay {known}; area under the curve {speech.area_under_curve:.4f}"
            )
        if (delay := one.delay) is not None:
            print_beside(
                f"Delay of the words of {one.split} in a stream: median {delay.median:.2f} s, 90 % within "
                f"{delay.percentile_90:.2f} s ({delay.words} correct words, whose ends are by {delay.aligned_by})"
            )
    print_beside(f"Run: {folder.path}")
    print_beside(f"Errors: {evaluation_folder(folder.path, results[-1].split, results[-1].decoder) / 'errors.txt'}")


def _track(recipe: Recipe, config: Config, folder: RunFolder, evaluations: Sequence[EvaluatedSplit]) -> str:
    """Adds the figures to the run in Weights & Biases, keeps every utterance in a run of the evaluation, and says how
    to see it."""
    with open_tracker(recipe, config, folder, last_row(folder.path)["step"]) as tracker:
        add_figures(tracker, evaluations)
        add_worst_utterances(tracker, recipe, config, evaluations[-1])
        where = tracker.where()
    job = Job(f"{tracked_name(config, folder)} evaluated", recipe.name, tracked_settings(config), "evaluate")
    with Tracker(folder.path / "evaluation", config.tracker, job) as tracker:
        tracker.uses_manifests(manifests(recipe, config))
        tracker.uses_model(model_name(folder), folder.model)
        tracker.lowest_of(folder.path)
        add_figures(tracker, evaluations)
        add_utterances(tracker, evaluations)
    return where


def results_table(results: Sequence[Results]) -> str:
    """A line for each of the results under a line of headings, and one for its normalized words; a table for each unit
    that errors are counted in; rates in per cent, training time as h:mm:ss."""
    results = [line for one in results for line in ([one] if one.normalized is None else [one, one.of_normalized])]
    return "\n".join(
        table(_headings(unit), [_table_row(result) for result in results if result.unit is unit], align="llllr")
        for unit in dict.fromkeys(result.unit for result in results)
    )


def _headings(unit: ErrorUnit) -> tuple[str, ...]:
    rates = (f"{unit.label} %", "95 % interval", f"{unit.other.label} %", "SER %", "corr %")
    return ("recipe", "run", "split", "decoder", *rates, "sub", "del", "ins", "utterances", "training", "parameters")


def _table_row(results: Results) -> tuple[str, ...]:
    low, high = results.interval
    return (
        results.recipe,
        results.run,
        results.split,
        results.decoder,
        f"{results.rate * 100:.2f}",
        shown_interval(low, high),
        f"{results.rate_in(results.unit.other) * 100:.2f}",
        "-" if results.ser is None else f"{results.ser * 100:.2f}",
        f"{(results.size - results.substitutions - results.deletions) / results.size * 100:.2f}",
        str(results.substitutions),
        str(results.deletions),
        str(results.insertions),
        str(results.utterances),
        str(timedelta(seconds=round(results.train_seconds))),
        f"{results.parameters / 1e6:.2f} M",
    )
