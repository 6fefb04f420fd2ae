"""The training of an acoustic model: CTC on augmented features, judged by the WER on dev."""

from pathlib import Path

import torch
from torch import Tensor, nn

from asr.config import Config
from asr.data.loader import Batch
from asr.features.augment import spec_augment
from asr.features.extractor import FeatureExtractor
from asr.features.front_end import FrontEnd
from asr.features.inputs import Inputs
from asr.model.acoustic import AcousticModel
from asr.model.folder import save_model
from asr.text.labels import labels_of_all
from asr.text.protocol import Tokenizer
from asr.training.compiling import compile_front
from asr.training.distributed import Ranks
from asr.training.hardware import Hardware
from asr.training.lost import LostUtterances
from asr.training.objective import Objective
from asr.training.progression import AUDIO
from asr.training.task import Validation
from asr.training.validation import choose_panel, decode_dev, dev_metrics


class AcousticTask:
    """See `asr.training.task.Task`.

    Args:
        train: Training utterances and how to read them.
        dev: Dev utterances and how to read them.
    """

    unit = AUDIO

    def __init__(
        self, config: Config, train: Inputs, dev: Inputs, tokenizer: Tokenizer, model: AcousticModel, hardware: Hardware
    ) -> None:
        self.config, self.train, self.dev, self.tokenizer, self.hardware = config, train, dev, tokenizer, hardware
        self.model = model.to(hardware.device, hardware.dtype)
        extractor = FeatureExtractor(config.features, config.data.sampling_rate).to(hardware.device)
        if config.hardware.compile:
            compile_front(self.model, extractor.dim, hardware)
        self.objective = Objective(self.model, config.training, hardware)
        self.front = FrontEnd(extractor, self.model.normalizer, hardware.dtype)
        self.labels = labels_of_all(tokenizer, train.utterances)

    def loss(self, objective: nn.Module, batch: Batch) -> Tensor:
        config = self.config
        with torch.no_grad(), self.hardware.in_float32():
            lengths = batch.lengths.to(self.hardware.device, non_blocking=True)
            features, lengths = self.front(batch.inputs, lengths)
            keys, masks = self.train.keys[batch.utterances], config.augment.spec_augment
            features = spec_augment(features, lengths, keys, masks, config.features.hop_ms, config.seed, batch.epoch)
            # Counted once more in main memory: to read those of the device would be to wait for it.
            frames = batch.lengths if batch.inputs.ndim == 3 else self.front.extractor.frames(batch.lengths)
        loss: Tensor = objective(features, frames, batch.labels, batch.label_lengths)
        return loss

    def no_loss(self, objective: nn.Module) -> Tensor:
        device, dim = self.hardware.device, self.front.extractor.dim
        silence = torch.zeros(1, 8, dim, device=device, dtype=self.hardware.dtype)
        one = torch.ones(1, dtype=torch.int64)
        loss: Tensor = objective(silence, torch.tensor([8]), one, one)
        return torch.zeros_like(loss) * loss

    def validate(self, model: AcousticModel, ranks: Ranks, lost: LostUtterances) -> Validation | None:
        with self.hardware.in_float32():
            decoded = decode_dev(self.config, self.dev, self.front, model, self.tokenizer, ranks, lost)
        if not decoded:
            return None
        metrics = dev_metrics(decoded, self.tokenizer)
        return Validation(
            score=metrics["dev/wer"],
            metrics=metrics,
            sentence=f"dev WER {100 * metrics['dev/wer']:.2f} %, CER {100 * metrics['dev/cer']:.2f} %",
            panel=choose_panel(decoded, self.config.tracker.panel_utterances),
        )

    def save(self, folder: Path, model: AcousticModel) -> None:
        save_model(folder, model, self.config, self.tokenizer)
