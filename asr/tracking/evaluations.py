"""What Weights & Biases shows of evaluations: figures, the worst utterances with audio, a table of all utterances."""

from collections.abc import Sequence

from asr.data.manifest import read_manifest
from asr.data.shards.reader import open_audio
from asr.scoring.results import EvaluatedSplit, Results, worst
from asr.settings.decoder import DecoderKind
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_media import WorstUtterance

FIGURES = ("wer", "wer_low", "wer_high", "cer", "substitutions", "deletions", "insertions", "real_time_factor")
COLUMNS = (
    "id", "speaker", "duration", "wer", "cer", "ctc_loss_per_token", "confidence", "reference", "hypothesis",
    "alignment",
)  # fmt: skip


def add_figures(tracker: Tracker, evaluations: Sequence[EvaluatedSplit]) -> None:
    """Sets the figures of evaluations in the summary of a run."""
    for evaluation in evaluations:
        results = evaluation.results
        tracker.summary({f"{_place(results)}/{figure}": getattr(results, figure) for figure in FIGURES})


def add_worst_utterances(tracker: Tracker, recipe: Recipe, config: Config, evaluation: EvaluatedSplit) -> None:
    """Shows the worst utterances of a split with their audio.

    Raises:
        DataError: The split cannot be read.
    """
    manifest = recipe.manifest(config, evaluation.results.split)
    utterances = {utterance.id: utterance for utterance in read_manifest(manifest)}
    audio = open_audio(config.shards, recipe.data(config))
    tracker.worst_utterances(
        [
            WorstUtterance(score, audio.read(utterances[score.id]).numpy(), utterances[score.id].sampling_rate)
            for score in worst(evaluation.scores, config.tracker.worst_utterances)
        ]
    )


def add_utterances(tracker: Tracker, evaluations: Sequence[EvaluatedSplit]) -> None:
    """Shows every utterance of evaluations in tables."""
    for evaluation in evaluations:
        rows = [[getattr(score, column) for column in COLUMNS] for score in evaluation.scores]
        tracker.show_table(f"{_place(evaluation.results)}/utterances", COLUMNS, rows)


def _place(results: Results) -> str:
    """Where the figures of a split and a decoder are: test, which is greedy for all runs, or test/beam-ngram3-words."""
    greedy = results.decoder == DecoderKind.greedy.name
    return results.split if greedy else f"{results.split}/{results.decoder}"
