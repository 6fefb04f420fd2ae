"""Modules that have moved: the old names that a prepare.py elsewhere may import still import, with a warning.

A finder behind all others makes an old module of the names of the new ones, so nothing here is read before an import
would have failed.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED: dict[str, tuple[str, ...]] = {
    "asr.cli": ("asr.commands.cli",),  # in the jobs that an earlier version gave to Slurm
    "asr.cluster": ("asr.training.cluster",),
    "asr.composition": ("asr.settings.compose",),
    "asr.config": ("asr.settings.root",),
    "asr.errors": ("asr.common.errors",),
    "asr.progress": ("asr.common.progress",),
    "asr.recipe": ("asr.settings.recipe",),
    "asr.data.checks": (),
    "asr.data.checks.across": ("asr.checks.duplicates",),
    "asr.data.checks.findings": ("asr.checks.findings",),
    "asr.data.checks.headers": ("asr.checks.audio_quality",),
    "asr.data.checks.listening": ("asr.checks.audio_quality",),
    "asr.data.checks.pace": ("asr.checks.transcripts",),
    "asr.data.checks.repair": ("asr.checks.findings",),
    "asr.data.checks.transcripts": ("asr.checks.transcripts",),
    "asr.data.config": (
        "asr.settings.batching", "asr.settings.check", "asr.settings.data", "asr.settings.pack", "asr.settings.shards",
    ),
    "asr.data.corpus": ("asr.data.splits",),
    "asr.data.doctor": ("asr.checks.corpus", "asr.checks.findings"),
    "asr.data.draws": ("asr.common.seeds",),
    "asr.data.examples": ("asr.batching.loader",),
    "asr.data.export": (),
    "asr.data.export.kaldi": ("asr.data.formats.kaldi",),
    "asr.data.export.lhotse": ("asr.data.formats.lhotse",),
    "asr.data.export.nemo": ("asr.data.formats.nemo",),
    "asr.data.folders": ("asr.common.files",),
    "asr.data.indexing": ("asr.data.manifest",),
    "asr.data.lines": ("asr.data.utterance",),
    "asr.data.loader": ("asr.batching.loader",),
    "asr.data.parallel": ("asr.common.processes",),
    "asr.data.plan": ("asr.batching.batch_plan",),
    "asr.data.sequences": ("asr.data.utterance",),
    "asr.data.shards.audio": ("asr.data.shards.reader",),
    "asr.data.shards.cache": ("asr.data.shards.reader",),
    "asr.data.shards.members": ("asr.data.shards.packing",),
    "asr.data.sources": (),
    "asr.data.sources.extras": ("asr.common.optional",),
    "asr.data.sources.folder": ("asr.data.formats.audio_folder",),
    "asr.data.sources.huggingface": ("asr.data.formats.huggingface",),
    "asr.data.sources.kaldi": ("asr.data.formats.kaldi",),
    "asr.data.sources.lhotse_cuts": ("asr.data.formats.lhotse",),
    "asr.data.sources.nemo": ("asr.data.formats.nemo",),
    "asr.data.sources.reading": ("asr.data.formats.reading",),
    "asr.data.sources.rows": ("asr.data.formats.rows", "asr.common.files"),
    "asr.data.sources.table": ("asr.data.formats.table",),
    "asr.data.splitting": ("asr.data.splits",),
    "asr.data.store": ("asr.features.store",),
    "asr.data.synthesis": ("digit_synthesis",),
    "asr.features.config": ("asr.settings.features", "asr.settings.augment", "asr.settings.listen"),
    "asr.features.inputs": ("asr.batching.dataset",),
    "asr.features.recordings": ("asr.features.noise_files",),
    "asr.features.normalizer": ("asr.features.front_end",),
    "asr.text.alphabet": ("asr.text.char",),
    "asr.text.config": ("asr.settings.text", "asr.settings.tokenizer"),
    "asr.text.identity": ("asr.text.tokenizer",),
    "asr.text.lexicon": ("asr.text.pronunciation",),
}  # fmt: skip
"""The new modules of each old one; packages that are gone have none."""

RENAMED = {
    "asr.data.checks.findings.Complaint": "Problem",
    "asr.data.checks.listening.Listening": "AudioCheck",
    "asr.data.checks.listening.listen": "check_audio",
    "asr.data.checks.listening.sound_complaints": "signal_problems",
    "asr.data.checks.transcripts.transcript_complaints": "transcript_problems",
    "asr.data.draws.mix": "derive_seed",
    "asr.data.indexing.Indexed": "IndexedManifest",
    "asr.data.indexing.LineIndex": "ManifestIndex",
    "asr.data.folders.alone": "file_lock",
    "asr.data.folders.appearing": "atomic_folder",
    "asr.data.folders.appearing_file": "atomic_write",
    "asr.features.inputs.Inputs": "Dataset",
    "asr.features.recordings.Recordings": "NoiseFiles",
}
"""What an old name is called in the new module."""

SCRIPTS = {"digit_synthesis": "digits"}
"""Modules that now belong to a recipe, and which."""


class OldNames(MetaPathFinder, Loader):
    """Finds and makes the modules of `MOVED`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of an old module; None for all others."""
        if name not in MOVED:
            return None
        return ModuleSpec(name, self, is_package=any(other.startswith(f"{name}.") for other in MOVED))

    def exec_module(self, module: ModuleType) -> None:
        """Fills a module with what its names stand for now, and warns once, at the line that imports it."""
        name = module.__name__
        for new in MOVED[name]:
            vars(module).update({key: value for key, value in vars(_load(new)).items() if not key.startswith("__")})
        renamed = {key.removeprefix(f"{name}."): new for key, new in RENAMED.items() if key.rpartition(".")[0] == name}
        vars(module).update({old: getattr(module, new) for old, new in renamed.items()})
        if MOVED[name]:
            names = "".join(f"; {old} is {new} there" for old, new in renamed.items())
            # Level 2 is the importing line: warnings pass over the frames of importlib.
            warnings.warn(f"{name} is now {', '.join(MOVED[name])}{names}.", DeprecationWarning, stacklevel=2)


def _load(name: str) -> ModuleType:
    if name in SCRIPTS:
        from asr.settings.recipe import RECIPES

        folder = str(RECIPES / SCRIPTS[name])
        if folder not in sys.path:
            sys.path.append(folder)
    return import_module(name)


def install() -> None:
    """Lets old names be found, behind everything that is found by itself."""
    sys.meta_path.append(OldNames())
