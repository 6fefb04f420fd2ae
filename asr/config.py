"""The root of the configuration: composed of the settings that each part owns. Values stand in `conf/` only."""

from dataclasses import dataclass

from asr.comparison.config import CompareConfig
from asr.data.config import BatchingConfig, CheckConfig, DataConfig, PackConfig, ShardsConfig
from asr.decoding.config import DecoderConfig, EvaluationConfig
from asr.features.config import AugmentConfig, FeaturesConfig, ListenConfig
from asr.lm.config import LmConfig
from asr.model.config import ModelConfig
from asr.planning.config import PlanConfig
from asr.text.config import TextConfig, TokenizerConfig
from asr.tracking.config import TrackerConfig
from asr.training.config import (
    ClusterConfig,
    DebugConfig,
    HardwareConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)


@dataclass
class PathsConfig:
    data: str
    """Manifests, unpacked corpora and feature stores: a folder for each recipe."""
    runs: str
    """Run folders: a folder for each recipe."""


@dataclass
class Config:
    seed: int
    """Every random draw follows from it."""
    name: str
    """Name of the run, the first part of its folder's name."""
    paths: PathsConfig
    data: DataConfig
    features: FeaturesConfig
    augment: AugmentConfig
    text: TextConfig
    tokenizer: TokenizerConfig
    model: ModelConfig
    batching: BatchingConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    training: TrainingConfig
    decoder: DecoderConfig
    lm: LmConfig
    evaluation: EvaluationConfig
    tracker: TrackerConfig
    hardware: HardwareConfig
    cluster: ClusterConfig
    debug: DebugConfig
    plan: PlanConfig
    compare: CompareConfig
    check: CheckConfig
    listen: ListenConfig
    pack: PackConfig
    shards: ShardsConfig
