"""`asr evaluate`: decodes splits with the best model of a run, perhaps in an ensemble, and scores them."""

from collections.abc import Sequence

from asr.common.errors import ConfigError, RunError
from asr.decoding.decoder import log_search
from asr.decoding.setup import DecodingSetup, decoder_name
from asr.inference.ensembles import open_ensemble
from asr.inference.evaluation import evaluate_split
from asr.inference.finished_run import FinishedRun
from asr.scoring.error_unit import recipe_unit, with_unit
from asr.scoring.results import EvaluatedSplit, results_table
from asr.settings.compose import plain
from asr.settings.evaluation import Combine
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.metrics import last_row
from asr.tracking.tracker import Tracker, add_figures, add_utterances, add_worst_utterances
from asr.tracking.wandb_run import Job
from asr.training.debugging import simplify
from asr.training.distributed import join_ranks
from asr.training.hardware import resolve_hardware
from asr.training.run_folder import RunFolder, find_run_folder
from asr.training.session import manifests, model_name, open_tracker


def run(recipe: Recipe, config: Config) -> None:
    """Evaluates the run of a configuration; under several ranks, only rank 0 does it."""
    config = simplify(config)
    config = with_unit(config, recipe_unit(recipe, config))
    hardware = resolve_hardware(config.hardware, trains=False)
    device = str(hardware.device)
    folder = find_run_folder(recipe, config, hardware.precision)
    if not folder.model.is_dir():
        raise RunError(f"The run {folder.path} has no model yet: `asr train` with the same settings makes it.")
    if not join_ranks(hardware.device, config.cluster.join_minutes).first:
        return
    splits = [split for split in config.evaluation.splits if split != "dev" or not config.training.with_dev]
    if not splits:
        raise ConfigError("The run was trained on dev, the only one of evaluation.splits: give another.")
    if config.evaluation.combine is Combine.hypotheses and not config.evaluation.models:
        raise ConfigError(
            "evaluation.combine=hypotheses combines those of several models: name the others in evaluation.models."
        )
    setup = DecodingSetup.of_run(recipe, config, folder.path, device)
    with folder.held():
        others = [FinishedRun.of_model(path, "evaluation.models") for path in config.evaluation.models]
        runs = [FinishedRun(folder.model), *others]
        with open_ensemble(setup, [each.recognizer(device) for each in runs]) as ensemble:
            log_search(ensemble.search, ensemble.rescorer, setup.tuned)
            evaluations = [
                evaluate_split(recipe, config, split, ensemble, folder.path, folder.config_hash) for split in splits
            ]
        where = _track(recipe, config, folder, evaluations)
    print(results_table([evaluation.results for evaluation in evaluations]))
    for evaluation in evaluations:
        if evaluation.results.per is not None:
            print(f"Phone error rate of {evaluation.results.split}: {100 * evaluation.results.per:.2f} %")
    print(f"Run: {folder.path}")
    print(f"Errors: {runs[0].evaluation(splits[-1], decoder_name(config)) / 'errors.txt'}")
    print(where)


def _track(recipe: Recipe, config: Config, folder: RunFolder, evaluations: Sequence[EvaluatedSplit]) -> str:
    """Adds the figures to the run in Weights & Biases, keeps every utterance in a run of the evaluation, and says how
    to see it."""
    with open_tracker(recipe, config, folder, last_row(folder.path)["step"]) as tracker:
        add_figures(tracker, evaluations)
        add_worst_utterances(tracker, recipe, config, evaluations[-1])
        where = tracker.where()
    job = Job(f"{folder.path.name} evaluated", recipe.name, plain(config), "evaluate")
    with Tracker(folder.path / "evaluation", config.tracker, job) as tracker:
        tracker.uses_manifests(manifests(recipe, config))
        tracker.uses_model(model_name(folder), folder.model)
        add_figures(tracker, evaluations)
        add_utterances(tracker, evaluations)
    return where
