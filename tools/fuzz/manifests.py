"""Manifests and their audio: read, checked, planned in batches, extracted and loaded."""

import shutil
import struct
from contextlib import suppress
from pathlib import Path
from random import Random

import soundfile

from asr.batching import loader
from asr.batching.batch_plan import plan_epoch, split_batch
from asr.batching.dataset import Dataset
from asr.commands import check, extract
from asr.common.errors import UserError
from asr.common.seeds import keys_of
from asr.data.manifest import make_index, read_manifest
from asr.settings.compose import compose
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from tests.helpers.corpora import tones, write_corpus
from tests.helpers.refusals import write_recipe
from tools.fuzz.cases import Subject, Use, command
from tools.fuzz.files import LARGE, replace_file, spoil_folder
from tools.fuzz.mutations import spoil_bytes

TEXTS = {"train": ["YES NO", "NO YES", "NO NO NO", "YES"], "dev": ["YES NO", "NO"], "test": ["NO YES YES"]}
FORMATS = ("flac", "ogg", "mp3", "aiff", "au", "caf", "w64", "wav")
DATA = Path("data/tiny")
VALUES = (0, 1, 2, 3, 7, 8, 16, 255, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Manifests(Subject):
    """The corpus of a small recipe."""

    name = "manifests"
    kinds = (*("read",) * 8, *("check",) * 6, *("extract",) * 4, *("index",) * 2, *("fix",) * 2, "train")

    def make(self) -> None:
        loader.RETRY_SECONDS = (0.0, 0.0)  # a file that cannot be read stays so
        write_recipe(Path("tiny"))
        write_corpus(DATA, TEXTS)
        self.recipe = Recipe(Path("tiny").resolve())
        self.configs = {
            source: compose(
                self.recipe,
                [f"features.source={source}", "augment=noise"] if source == "online" else [f"features.source={source}"],
            )
            for source in ("online", "store")
        }
        self.configs["fix"] = compose(self.recipe, ["check.fix=true"])

    def take(self, kind: str, good: Path) -> Use:
        shutil.copytree(good, ".", dirs_exist_ok=True)
        online, store = self.configs["online"], self.configs["store"]
        return {
            "read": Use(lambda: read(online)),
            "check": Use(lambda: check.run(self.recipe, online), ["data/tiny"]),
            "fix": Use(lambda: check.run(self.recipe, self.configs["fix"]), ["data/tiny"]),
            "extract": Use(lambda: extract.run(self.recipe, store), ["data/tiny"]),
            "index": Use(indexed, ["data/tiny"]),
            "train": command("train", "tiny", writes=["data", "runs"]),
        }[kind]

    def spoil(self, kind: str, draw: Random, outside: Path) -> list[str]:
        said = spoil_folder(draw, DATA, outside, [".jsonl"]) if draw.random() < 0.75 else []
        if not said or draw.random() < 0.2:
            paths = [
                path for path in sorted((DATA / "audio").glob("*.wav")) if path.is_file() and not path.is_symlink()
            ]
            if paths:
                path = draw.choice(paths)
                said.append(f"{path.name}: {_spoil_audio(draw, path, outside)}")
        return said


def read(config: Config) -> None:
    """What a training does with manifests: reads them, plans batches, and loads them."""
    for split in TEXTS:
        utterances = read_manifest(DATA / f"{split}.jsonl")
        dataset = Dataset(utterances, None, config.augment if split == "train" else None, config.seed)
        seconds = dataset.seconds(1)
        for batch in plan_epoch(seconds, dataset.keys, config.batching, config.seed, 1):
            split_batch(seconds[batch], 2, config.batching.max_device_seconds)
        for number in range(len(utterances)):
            with suppress(UserError):
                dataset(number, 1)
        batches = loader.evaluation_batches(seconds, 0, 1, config.batching.max_device_seconds)
        for _ in loader.load(batches, dataset, [[]] * len(utterances), 0, dataset.ids):
            pass
        keys_of(list(dataset.ids))


def indexed() -> None:
    """Reads manifests through their indices."""
    for split in TEXTS:
        path = DATA / f"{split}.jsonl"
        make_index(path)
        utterances = read_manifest(path)
        assert [utterance.id for utterance in utterances] == [
            utterances[number].id for number in range(len(utterances))
        ]


def _spoil_audio(draw: Random, path: Path, outside: Path) -> str:
    kind = draw.random()
    if kind < 0.15:
        return replace_file(draw, path, [path], outside)
    said = "wav"
    if path.stat().st_size > LARGE:
        return "huge before"
    if kind < 0.45:
        said, rate = draw.choice(FORMATS), draw.choice((16000, 16000, 8000, 44100))
        path.unlink()
        soundfile.write(path, tones("YES NO", rate), rate, format=said.upper())
    content = bytearray(path.read_bytes())
    if draw.random() < 0.5:
        how, spoiled = spoil_bytes(draw, bytes(content))
    else:
        place = draw.randrange(min(120, len(content) - 4))
        size = draw.choice("HI")
        value = draw.choice(VALUES) & (0xFFFF if size == "H" else 0xFFFFFFFF)
        struct.pack_into(f"{draw.choice('<>')}{size}", content, place, value)
        how, spoiled = f"{value} at {place}", bytes(content)
    path.write_bytes(spoiled)
    return f"{said}: {how}"
