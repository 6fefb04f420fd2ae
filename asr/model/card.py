"""The card of a model: README.md in its folder, as Hugging Face shows it.

It stands beside `asr.model.folder` because trainings and evaluations write it and what deploys a model reads it.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from asr.common.documents import read_json
from asr.common.errors import RunError
from asr.common.files import atomic_write_text
from asr.common.templates import render
from asr.model.acoustic import cells_of_layers
from asr.model.folder import CARD
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.provenance import kept_identity, kept_provenance
from asr.scoring.results import Results, read_results
from asr.settings.recipe import MODEL
from asr.settings.root import Config
from asr.settings.runs import is_language_model, recipe_and_root
from asr.settings.tokenizer import TokenizerKind

log = logging.getLogger(__name__)

FOLDER = "PATH/OF/THIS/FOLDER"
"""Where a card says how to load a model that may be anywhere."""
TRAINED_ON = "trained_on"
"""How much was trained on, in words, among what a run keeps of its identity."""
MARK = "<!-- Written by asr, and again by each evaluation and tuning. Delete this line to keep your changes. -->"
ENSEMBLE = re.compile(r"-(combined|pooled)\d+-")
"""In the names of decoders that other models have a share in."""
TOKENS = {TokenizerKind.char: "characters", TokenizerKind.bpe: "word pieces", TokenizerKind.phone: "phones"}
LICENSE_ID = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def write_card(run: Path, config: Config, evaluated: bool = True) -> None:
    """Writes the card of a run's model; one that somebody else wrote is left as it is.

    Args:
        config: Of the run.
        evaluated: Whether the results that the run keeps are those of this model.

    Raises:
        RunError: It cannot be written.
    """
    path = run / MODEL / CARD
    try:
        if is_own(path):
            atomic_write_text(path, render_card(run, config, evaluations_of(run) if evaluated else []))
        else:
            log.info("%s was changed by hand and is left as it is.", path)
    except OSError as error:
        raise RunError(f"The model card {path} cannot be written ({error.strerror}): make room there.") from None


def is_own(path: Path) -> bool:
    """Whether a card may be written again: it was written here and left as it was, or there is none.

    Raises:
        OSError: It cannot be read.
    """
    return not path.exists() or MARK in path.read_text(encoding="utf-8", errors="replace")


def evaluations_of(run: Path) -> list[Results]:
    """The evaluations of a run's model alone that can be read, dev first, the simplest decoder first."""
    found = []
    for path in sorted(run.glob("evaluation/*/*/results.json")):
        try:
            results = read_results(path.parent)
        except RunError:
            continue  # `asr runs` names it
        if not ENSEMBLE.search(results.decoder):
            found.append(results)
    return sorted(found, key=lambda one: (one.split, len(one.decoder), one.decoder))


def tuned_weights(run: Path) -> list[str]:
    """The weights that `asr tune` found, as settings, for each language model."""
    found = []
    for path in sorted(run.glob("tuning/*/weights.json")):
        try:
            weights = read_json(path)
            rates = [
                f"{unit.label} {100 * weights[key]:.2f} %"
                for unit in ErrorUnit
                if (key := f"dev_{unit.rate}") in weights
            ]
            settings = " ".join(
                f"decoder.{key}={value:g}" for key, value in weights.items() if not key.startswith("dev_")
            )
        except (OSError, ValueError, TypeError):
            continue  # decoding with them names it
        found.append(f"`{path.parent.name}`: `{settings}`, {' '.join(rates)}")
    return found


def render_card(run: Path, config: Config, results: Sequence[Results]) -> str:
    """The content of a card.

    Args:
        run: Its folder says what it is called, and what it keeps where it comes from.
        results: Of the model.
    """
    acoustic, recipe = not is_language_model(run, config), recipe_and_root(run, config)[0]
    name = f"{recipe} {run.name}"
    header = _header(name, recipe, config, acoustic, results)
    return render(
        "asr.model",
        "card.md",
        header=yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=120),
        mark=MARK,
        name=name,
        recipe=recipe,
        acoustic=acoustic,
        description=_description(config) if acoustic else _language_model(config),
        license=config.data.license and " ".join(config.data.license.split()),
        trained_on=kept_identity(run).get(TRAINED_ON),
        origin=_origin(run),
        results=results,
        tuned=tuned_weights(run),
        unit=(results[0].unit if results else ErrorUnit.word).label,
        limits=_limits(config),
        labels_frames=config.tokenizer.kind.labels_frames,
        units=(ErrorUnit.frame, ErrorUnit.segment)
        if config.tokenizer.kind.labels_frames
        else (ErrorUnit.word, ErrorUnit.character),
    )


def _header(name: str, recipe: str, config: Config, acoustic: bool, results: Sequence[Results]) -> dict[str, Any]:
    """The keys that Hugging Face reads: https://huggingface.co/docs/hub/model-cards."""
    header: dict[str, Any] = {"library_name": "asr"}
    if config.text.language:
        header["language"] = config.text.language.replace("_", "-")
    if config.data.license and LICENSE_ID.fullmatch(config.data.license):
        header["license"] = config.data.license
    elif config.data.license:
        header |= {"license": "other", "license_name": re.sub(r"\W+", "-", config.data.license.lower()).strip("-")}
    if not acoustic:
        return header | {"tags": ["language-model", config.lm.kind.name]}
    labels_frames = config.tokenizer.kind.labels_frames
    header["pipeline_tag"] = "voice-activity-detection" if labels_frames else "automatic-speech-recognition"
    cells = dict.fromkeys(cell.name for cell in cells_of_layers(config.model))
    streaming = [] if config.model.bidirectional else ["streaming"]
    if labels_frames:
        return header | {"tags": ["voice-activity-detection", *cells, *streaming]}
    header |= {"tags": ["ctc", *cells, *streaming], "metrics": ["wer", "cer"]}
    if results:
        header["model-index"] = [{"name": name, "results": [_result(recipe, one) for one in results]}]
    return header


def _result(recipe: str, results: Results) -> dict[str, Any]:
    rates = {unit.rate: results.rate_in(unit) for unit in (ErrorUnit.word, ErrorUnit.character)}
    return {
        "task": {"type": "automatic-speech-recognition", "name": "Speech recognition"},
        "dataset": {"type": recipe, "name": recipe, "split": results.split},
        "metrics": [
            {"type": kind, "value": round(100 * rate, 2), "name": f"{kind.upper()} ({results.decoder})"}
            for kind, rate in rates.items()
        ],
    }


def _origin(run: Path) -> Any:
    try:
        return kept_provenance(run)
    except RunError:
        return None


def _description(config: Config) -> str:
    model, features = config.model, config.features
    cells = " and ".join(dict.fromkeys(cell.name for cell in cells_of_layers(model)))
    direction = "in both directions" if model.bidirectional else "in one direction, so it recognizes streams too"
    if config.tokenizer.kind.labels_frames:
        direction = direction.replace("recognizes", "labels")
        return (
            f"Voice activity detection, trained with cross-entropy: {model.layers} recurrent layers ({cells}) of "
            f"{model.hidden} units, {direction}, over {features.kind.name} features at {config.data.sampling_rate} Hz. "
            f"It says of every {model.subsampling * features.hop_ms:g} ms how probable speech is."
        )
    return (
        f"A speech recognizer trained with CTC: {model.layers} recurrent layers ({cells}) of {model.hidden} units, "
        f"{direction}, over {features.kind.name} features at {config.data.sampling_rate} Hz. Its tokens are "
        f"{TOKENS[config.tokenizer.kind]}."
    )


def _language_model(config: Config) -> str:
    lm = config.lm
    return f"A recurrent language model of {lm.units.name}: {lm.layers} layers ({lm.kind.name}) of {lm.hidden} units."


def _limits(config: Config) -> list[str]:
    """What the configuration alone tells."""
    rate = config.data.sampling_rate
    if config.tokenizer.kind.labels_frames:
        return [
            "The rates are those of speech and noise like that of the corpus; other voices, singing and noises that "
            "it was not trained with may be taken for speech, and soft speech for none."
        ]
    return [
        "The rates are those of speech like that of the corpus: other speakers, microphones, rooms and words have "
        "higher ones. Measure on your own: `asr evaluate RUN` with a corpus of your own.",
        f"Recordings are converted to {rate} Hz and one channel"
        + (", which is telephone bandwidth." if rate < 16000 else ", so narrower ones, as of telephones, do worse."),
        "It writes only the characters of its training transcripts, without punctuation where these had none.",
        "It knows no speakers and no languages: words of another language become words of its own.",
    ]
