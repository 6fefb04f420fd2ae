"""The root of the configuration: its groups, in the order of the documentation. Values stand in conf/ only."""

from dataclasses import dataclass

from asr.settings.augment import AugmentConfig
from asr.settings.batching import BatchingConfig
from asr.settings.check import CheckConfig
from asr.settings.cluster import ClusterConfig
from asr.settings.compare import CompareConfig
from asr.settings.data import DataConfig
from asr.settings.debug import DebugConfig
from asr.settings.decoder import DecoderConfig
from asr.settings.evaluation import EvaluationConfig
from asr.settings.features import FeaturesConfig
from asr.settings.hardware import HardwareConfig
from asr.settings.listen import ListenConfig
from asr.settings.lm import LmConfig
from asr.settings.model import ModelConfig
from asr.settings.optimizer import OptimizerConfig
from asr.settings.pack import PackConfig
from asr.settings.plan import PlanConfig
from asr.settings.schedule import ScheduleConfig
from asr.settings.scoring import ScoringConfig
from asr.settings.shards import ShardsConfig
from asr.settings.text import TextConfig
from asr.settings.tokenizer import TokenizerConfig
from asr.settings.tracker import TrackerConfig
from asr.settings.training import TrainingConfig


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
    scoring: ScoringConfig
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
