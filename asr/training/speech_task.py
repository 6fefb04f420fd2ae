"""The training of a model that labels frames as speech or not: cross-entropy, judged by the frame error on dev."""

from collections.abc import Sequence

import torch
from torch import Tensor

from asr.data.utterance import Utterance
from asr.inference.evaluation import read_batches, recognize_batches
from asr.inference.forced_alignment import frame_times
from asr.inference.recognizer import Recognizer
from asr.inference.speech import Labelled, frame_labels, label_utterances, output_frames, speech_figures
from asr.model.acoustic import AcousticModel
from asr.scoring.error_rates import total
from asr.scoring.results import error_figures
from asr.settings.root import Config
from asr.text.speech import read_spans
from asr.training.acoustic_task import BOOTSTRAP_SAMPLES, AcousticTask, Objective
from asr.training.distributed import Ranks
from asr.training.task import Validation
from asr.training.train_state import UnreadableUtterances


class FrameObjective(Objective):
    """The cross-entropy of the labels of frames, as one module."""

    def loss_of(self, log_probs: Tensor, lengths: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
        """See its base. At another speed a recording has other frames: each has the label of the one at its place."""
        device = log_probs.device
        frames, counts = lengths.to(device), label_lengths.to(device)
        place = torch.arange(len(log_probs), device=device)[:, None]
        source = torch.minimum((2 * place + 1) * counts // (2 * frames.clamp_min(1)), (counts - 1).clamp_min(0))
        targets = labels[(source + counts.cumsum(0) - counts).clamp_max(len(labels) - 1)]
        losses = -log_probs.gather(2, targets[:, :, None])[:, :, 0].double()
        of_utterances = losses.where(place < frames, 0.0).sum(dim=0)
        return (of_utterances * counts / frames.clamp_min(1)).sum()


class SpeechTask(AcousticTask):
    """See `asr.training.task.Task`."""

    objective_of = FrameObjective

    def labels_of(self, utterances: Sequence[Utterance]) -> Sequence[Sequence[int]]:
        return FrameLabels(self.config, utterances)

    def validate(self, model: AcousticModel, ranks: Ranks, unreadable: UnreadableUtterances) -> Validation | None:
        recognizer = Recognizer(model, self.config, self.tokenizer, self.hardware.device, self.front)
        batches = unreadable.watch(read_batches(self.dev, self.config, ranks.rank, ranks.size, tolerant=True))
        with self.hardware.in_float32():
            recognized = recognize_batches(recognizer, batches)
            labelled = ranks.gather(label_utterances(self.config, self.dev.utterances, recognized))
        if not labelled:
            return None
        labelled.sort(key=lambda one: one.number)
        score = total(one.score for one in labelled)
        rate = score.rate_in(score.unit.other)
        return Validation(
            score=score.rate,
            metrics=dev_metrics(labelled),
            sentence=f"dev {score.unit.label} {100 * score.rate:.2f} %, {score.unit.other.label} {100 * rate:.2f} %",
        )


class FrameLabels(Sequence[Sequence[int]]):
    """The labels of the output frames of each recording, made when they are used."""

    def __init__(self, config: Config, utterances: Sequence[Utterance]) -> None:
        self.config, self.utterances = config, utterances

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, number: int) -> list[int]:  # type: ignore[override]  # nobody slices them
        utterance = self.utterances[number]
        frames = output_frames(self.config, utterance.samples)
        labels = frame_labels(read_spans(utterance.text), frames, frame_times(self.config))
        return [int(label) for label in labels]


def dev_metrics(labelled: Sequence[Labelled]) -> dict[str, float]:
    """What is logged of the dev split after an epoch; rates are fractions, the loss is in nats per frame."""
    figures = error_figures([one.score for one in labelled], BOOTSTRAP_SAMPLES)
    figures |= {name: value for name, value in vars(speech_figures(labelled)).items() if value is not None}
    frames = sum(one.score.frames for one in labelled)
    return {f"dev/{name}": value for name, value in figures.items() if name != "substitutions"} | {
        "dev/loss": sum(one.loss for one in labelled) / frames
    }
