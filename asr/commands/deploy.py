"""`asr deploy`: a trained model as a folder that runs without this package, or on the Hugging Face hub."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr.commands.flags import RUN_HELP, FlagParser
from asr.commands.subjects import find_given_model
from asr.common.errors import ConfigError

if TYPE_CHECKING:
    from asr.inference.finished_run import FinishedRun

OF_TARGETS = {"onnx": {"output", "int8"}, "sherpa-onnx": {"output"}, "hub": {"repo", "public", "dry_run"}}
"""What each is made for, with the options that belong to it."""
NEEDED = {"onnx": "output", "sherpa-onnx": "output", "hub": "repo"}


def main(arguments: Sequence[str]) -> None:
    """Writes the folder and says how well its graphs agree with PyTorch, or uploads the model."""
    parser = FlagParser(
        prog="asr deploy",
        description="Takes a trained model to where it is used. onnx: a folder that runs without this package, with "
        "graphs in ONNX from the waveform to the log-probabilities, tokens, a script that transcribes with "
        "onnxruntime, and a README. sherpa-onnx: a folder that sherpa-onnx loads, of a model trained with "
        "features=kaldi. Each graph is compared with PyTorch on utterances of dev first; a model of one direction also "
        "gets a graph for streams. Both need pip install 'asr[onnx]'. hub: the model folder with its card, uploaded to "
        "the Hugging Face hub, from where asr.load and asr transcribe take it as hf://OWNER/NAME; needs pip install "
        "'asr[hub]' and hf auth login.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help=f"{RUN_HELP}; or a model folder, or hf://OWNER/NAME")
    parser.add_argument("--to", choices=tuple(OF_TARGETS), required=True, help="where it is used")
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, help="a folder that is not there, or empty")
    parser.add_argument("--int8", action="store_true", help="also a graph with weights in 8 bits, of LSTM layers")
    parser.add_argument(
        "--repo", metavar="OWNER/NAME", help="the repository on the hub; it is made where it is missing"
    )
    parser.add_argument("--public", action="store_true", help="everybody may read a repository that is made now")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be uploaded")
    parser.add_argument("--data", metavar="FOLDER", help="the corpus, where it has moved: as paths.data")
    options = parser.parse(arguments)
    _check(options)

    from asr.inference.finished_run import FinishedRun
    from asr.model.folder import model_folder

    run = FinishedRun(model_folder(find_given_model(options.run), "RUN"), options.data)
    _upload(run, options) if options.to == "hub" else _write(run, options)


def _check(options: Namespace) -> None:
    """Refuses options of another target, and the lack of one that is needed."""
    flags = {"output": "-o", **{name: f"--{name.replace('_', '-')}" for name in ("int8", "repo", "public", "dry_run")}}
    for name, flag in flags.items():
        if vars(options)[name] and name not in OF_TARGETS[options.to]:
            others = [target for target, names in OF_TARGETS.items() if name in names]
            raise ConfigError(f"{flag} belongs to --to {' and '.join(others)}, not to --to {options.to}: leave it out.")
    needed = NEEDED[options.to]
    if not vars(options)[needed]:
        value = "OWNER/NAME" if needed == "repo" else "FOLDER"
        raise ConfigError(f"--to {options.to} needs {flags[needed]} {value}.")


def _write(run: "FinishedRun", options: Namespace) -> None:
    from asr.deploy.folder import Onnx, deploy
    from asr.deploy.sherpa_folder import SherpaOnnx

    made = deploy(run, options.output, Onnx(options.int8) if options.to == "onnx" else SherpaOnnx())
    for file, found in made.agreements.items():
        print(
            f"{options.output / file}: {made.files[file] / 1e6:.1f} MB; largest difference to PyTorch "
            f"{found.difference:.1e}, {found.same_texts} of {found.utterances} greedy texts the same"
        )
    print(f"Compared on {made.source}. How to use it: {options.output / 'README.md'}")


def _upload(run: "FinishedRun", options: Namespace) -> None:
    from asr.deploy.hub import contents_of, upload_model

    if options.dry_run:
        for name, content in contents_of(run, options.repo).items():
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            print(f"{name}: {size:,} bytes")
        print(f"Nothing was uploaded to {options.repo}: leave out --dry-run.")
        return
    address = upload_model(run, options.repo, options.public)
    print(f"Uploaded: {address}")
    print(f"`asr transcribe hf://{options.repo} FILE` uses it.")
