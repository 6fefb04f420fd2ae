"""n-gram models on the disk: estimated once, and kept beside the data that they were estimated from."""

import codecs
import gzip
import hashlib
import json
import logging
import shutil
import subprocess
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr.common.documents import read_json
from asr.common.errors import ConfigError, DataError
from asr.common.files import GZIP, UTF_16, atomic_folder, atomic_write, lines_of
from asr.data.manifest import manifest_checksum, read_manifest
from asr.lm.kneser_ney import NgramModel, estimate, perplexity
from asr.lm.text import (
    SPECIAL,
    Split,
    held_out_checksum,
    held_out_sentences,
    number_known,
    number_units,
    split_into,
    training_sentences,
)
from asr.settings.lm import LmConfig, LmKind, LmUnits
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.tokenizer import build_tokenizer, tokenizer_identity


def lm_name(lm: LmConfig) -> str:
    """Names a language model in results and folders: ngram3-words, lstm-tokens, or by its file."""
    if lm.kind.recurrent:
        return f"{lm.kind.name}-{lm.units.name}"
    if lm.path is not None:
        return given_name(Path(lm.path), lm.units)
    return f"{lm.kind.name}{lm.order}-{lm.units.name}"


def given_name(path: Path, units: LmUnits) -> str:
    """Names an n-gram model that was estimated elsewhere, by its file: ngram-big-words."""
    return f"{LmKind.ngram.name}-{Path(path.name.removesuffix('.gz')).stem}-{units.name}"


log = logging.getLogger(__name__)

ARPA, BINARY, REPORT = "lm.arpa", "lm.binary", "report.json"
ARPA_BEGINNING = b"\\data\\"
KENLM_BEGINNING = b"mmap lm http://kheafield.com/code"
"""Of its binaries."""
HELD_OUT_TEXT = "held_out_text"
"""In report.json, the checksum of the text on which its perplexity was measured."""
LMPLZ_UNITS = 50_000_000
"""Longer texts are estimated by KenLM's lmplz, which sorts on the disk, where it is installed."""
PACKED = (b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"7z\xbc\xaf")
"""How files begin that bzip2, xz, zstd, zip and 7-Zip pack."""


@dataclass(frozen=True)
class LanguageModel:
    """An n-gram model on the disk."""

    file: Path
    """What KenLM loads: an ARPA file or a binary."""
    vocabulary: list[str] | None
    """Its units except the special ones; None for a binary, which has no list of them."""
    units: LmUnits
    key: str
    """Differs between models, as ngram3-words-0123abcd."""


def language_model(recipe: Recipe, config: Config) -> LanguageModel | None:
    """The language model of a configuration, estimated now if it was not before; None for lm=none.

    Raises:
        ConfigError: There is no file at lm.path.
        DataError: A text cannot be used.
    """
    lm = config.lm
    if lm.kind is LmKind.none:
        return None
    if lm.kind.recurrent:
        raise ConfigError(
            f"decoder=beam searches with lm=ngram, or lm=none; a model of lm={lm.kind.name} rescores what it finds: "
            "decoder.recurrent=FOLDER."
        )
    if lm.path is not None:
        return _given(Path(lm.path), lm.units)
    folder = lm_folder(recipe, config)
    if not (folder / REPORT).is_file():
        build_ngram(recipe, config, folder)
    return _estimated(folder, lm.units)


def saved_language_model(path: Path) -> LanguageModel:
    """The n-gram model at a place: a folder of `asr lm train`, or a file over words.

    Raises:
        ConfigError: There is none.
        DataError: It cannot be read.
    """
    if not path.is_dir():
        return _given(path, LmUnits.words)
    try:
        report = read_json(path / REPORT)
        units = LmUnits[report["settings"]["units"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f"No n-gram model at {path}: `asr lm train RECIPE` makes one and says where.") from None
    return _estimated(path, units)


def lm_folder(recipe: Recipe, config: Config) -> Path:
    """`paths.data/RECIPE/lm/NAME-HASH`, by the settings that determine the model and the checksum of its text.

    Raises:
        ConfigError: There is no such lexicon.
        DataError: A text cannot be read.
    """
    lm = config.lm
    identity: dict[str, Any] = {
        "settings": [lm.units.name, lm.order, lm.prune, lm.fallback_discounts],
        **texts_identity(recipe, config),
    }
    if lm.units is LmUnits.tokens:
        identity["tokenizer"] = [*tokenizer_identity(config.tokenizer).values()]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
    return recipe.data(config) / "lm" / f"{lm_name(lm)}-{digest}"


def texts_identity(recipe: Recipe, config: Config) -> dict[str, Any]:
    """The checksums of the text that a language model is estimated from.

    Raises:
        DataError: A file cannot be read.
    """
    train = manifest_checksum(recipe.manifest(config, "train")) if config.lm.transcripts else None
    return {"train": train, "texts": [_checksum(Path(path)) for path in config.lm.texts]}


def build_ngram(recipe: Recipe, config: Config, folder: Path) -> None:
    """Estimates the n-gram model of a configuration into a folder: lm.arpa, lm.binary where KenLM's build_binary is
    installed, and report.json with its size, discounts and perplexity.

    Raises:
        DataError: A text cannot be used.
    """
    lm = config.lm
    split = unit_split(recipe, config)
    text = number_units(training_sentences(recipe, config), split)
    log.info("Estimating %s from %d %s.", folder.name, (text.places > 0).sum(), lm.units.name)
    with atomic_folder(folder) as place:
        if len(text.units) > LMPLZ_UNITS and (lmplz := shutil.which("lmplz")):
            sentences = (" ".join(split(sentence)) for sentence in training_sentences(recipe, config))
            discounts, prune = map(str, lm.fallback_discounts), map(str, lm.prune[: lm.order])
            options = ["-o", str(lm.order), "--prune", *prune, "--discount_fallback", *discounts]
            _run([lmplz, *options, "--arpa", str(place / ARPA)], sentences)
            report: dict[str, Any] = {"estimated_by": lmplz}
        else:
            if len(text.units) > LMPLZ_UNITS:
                log.warning("So large a text needs a lot of memory here; with KenLM's lmplz installed it would not.")
            model = estimate(text, lm.order, lm.prune, lm.fallback_discounts)
            for order in model.fallbacks:
                log.warning(
                    "The %d-grams are too few or too regular for discounts; lm.fallback_discounts are used.", order
                )
            write_arpa(model, place / ARPA)
            held_out = number_known(held_out_sentences(recipe, config), split, model.vocabulary)
            report = {
                "estimated_by": "asr",
                "ngrams": [len(table.keys) for table in model.tables],
                "discounts": [list(amounts) for amounts in model.discounts],
                "fallback_orders": list(model.fallbacks),
                "held_out": asdict(perplexity(model, held_out)),
                HELD_OUT_TEXT: held_out_checksum(recipe, config),
            }
        if build_binary := shutil.which("build_binary"):
            _run([build_binary, str(place / ARPA), str(place / BINARY)])
        settings = {"order": lm.order, "units": lm.units.name, "prune": lm.prune, "texts": lm.texts}
        content = {"settings": settings, "training_units": int((text.places > 0).sum())} | report
        (place / REPORT).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def training_words(recipe: Recipe, config: Config) -> list[str]:
    """The words of the training transcripts, sorted."""
    return sorted({word for row in read_manifest(recipe.manifest(config, "train")) for word in row.text.split()})


def _estimated(folder: Path, units: LmUnits) -> LanguageModel:
    binary = folder / BINARY
    file = binary if binary.is_file() else folder / ARPA
    return LanguageModel(file, read_vocabulary(folder / ARPA), units, folder.absolute().name)


def _given(path: Path, units: LmUnits) -> LanguageModel:
    if path.is_dir():
        there = f"give the file in it, as {path / ARPA}" if (path / ARPA).is_file() else "give an ARPA file"
        raise ConfigError(f"The language model {path} is a folder: {there}.")
    if not path.is_file():
        raise ConfigError(f"No language model at {path}: give an ARPA file or a KenLM binary.")
    vocabulary = read_vocabulary(path) if is_arpa(path) else None
    return LanguageModel(path, vocabulary, units, f"{given_name(path, units)}-{_checksum(path)[:8]}")


def unit_split(recipe: Recipe, config: Config) -> Split:
    """How the sentences of a language model become its units."""
    words = config.lm.units is LmUnits.words
    tokenizer = None if words else build_tokenizer(config.tokenizer, tokenizer_texts(recipe, config))
    return split_into(config.lm.units, tokenizer)


def tokenizer_texts(recipe: Recipe, config: Config) -> list[str]:
    """The texts that the tokenizer of a language model is trained on: as for the acoustic model the transcripts, where
    these are part of its text."""
    if not config.lm.transcripts:
        return list(training_sentences(recipe, config))
    return [utterance.text for utterance in read_manifest(recipe.manifest(config, "train"))]


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"The text {path} cannot be read ({error.strerror}): give another.") from None


def _run(command: list[str], lines: Iterable[str] = ()) -> None:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None and process.stderr is not None
    try:
        for line in lines:
            process.stdin.write(line.encode() + b"\n")
        process.stdin.close()
    except BrokenPipeError:
        pass  # its stderr is reported below
    errors = process.stderr.read().decode(errors="replace").strip()
    if process.wait():
        raise DataError(f"{command[0]} failed ({errors.splitlines()[-1] if errors else process.returncode}).")


BLOCK = 1 << 16
"""n-grams that are formatted together."""


def write_arpa(model: NgramModel, path: Path) -> None:
    """Writes a model, completely or not at all."""
    with atomic_write(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {order}={len(table.keys)}\n" for order, table in enumerate(model.tables, start=1))
        for order in range(1, model.order + 1):
            file.write(f"\n\\{order}-grams:\n")
            file.writelines(_lines(model, order))
        file.write("\n\\end\\\n")


def is_arpa(path: Path) -> bool:
    """Whether a language model is an ARPA file, which may be gzipped; else it may be a KenLM binary.

    Raises:
        DataError: It cannot be read, or not by KenLM, as it is neither, or encoded or compressed in another way.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(256)
        if begin.startswith(GZIP):
            with gzip.open(path) as unpacked:
                begin = unpacked.read(256)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"The language model {path} cannot be read ({error}): give another.") from None
    if begin.startswith((codecs.BOM_UTF8, *UTF_16)):
        raise DataError(
            f"{path} begins with a byte order mark, which KenLM does not read: save it without one, in UTF-8."
        )
    if begin.startswith(PACKED):
        raise DataError(f"{path} is compressed, and only gzip is read: unpack it, and give the ARPA file.")
    arpa = begin.lstrip().startswith(ARPA_BEGINNING)
    if not arpa and not begin.startswith(KENLM_BEGINNING):
        raise DataError(f"{path} is no language model: give an ARPA file or a KenLM binary.")
    return arpa


def read_vocabulary(path: Path) -> list[str]:
    """The units of an ARPA file except <unk>, <s> and </s>, in its order.

    Raises:
        DataError: It cannot be read, or is not an ARPA file.
    """
    if not is_arpa(path):
        raise DataError(f"{path} is not an ARPA file: give one, which has the n-grams as text.")
    lines = (line for _, line in lines_of(path))
    if not any(line.strip() == "\\1-grams:" for line in lines):
        raise DataError(f"{path} is not an ARPA file: it has no \\1-grams. Give another one.")
    units = []
    for line in lines:
        fields = line.split()
        if len(fields) < 2:  # the next section
            break
        units.append(fields[1])
    return [unit for unit in units if unit not in SPECIAL]


def _lines(model: NgramModel, order: int) -> Iterator[str]:
    table = model.tables[order - 1]
    vocabulary = np.array(model.vocabulary, dtype=object)
    for start in range(0, len(table.keys), BLOCK):
        block = slice(start, start + BLOCK)
        columns: list[Sequence[str]] = [vocabulary[table.last[block]].tolist()]
        contexts = table.contexts[block]
        for shorter in reversed(model.tables[: order - 1]):
            columns.append(vocabulary[shorter.last[contexts]].tolist())
            contexts = shorter.contexts[contexts]
        ngrams = map(" ".join, zip(*reversed(columns), strict=True))
        scores = table.log_probs[block].tolist()
        if order == model.order:
            yield from (f"{score:.7g}\t{ngram}\n" for score, ngram in zip(scores, ngrams, strict=True))
        else:
            backoffs = table.backoffs[block].tolist()
            yield from (
                f"{score:.7g}\t{ngram}\t{backoff:.7g}\n"
                for score, ngram, backoff in zip(scores, ngrams, backoffs, strict=True)
            )
