"""`asr deploy`: a trained model as a folder that runs without this package."""

from collections.abc import Sequence
from pathlib import Path

from asr.commands import remedies
from asr.commands.flags import RUN_HELP, FlagParser
from asr.commands.subjects import find_given_model

TARGETS = ("onnx",)


def main(arguments: Sequence[str]) -> None:
    """Writes the folder and says how well its graphs agree with PyTorch."""
    parser = FlagParser(
        prog="asr deploy",
        description="Writes a trained model into a folder that runs without this package: graphs in ONNX from the "
        "waveform to the log-probabilities, tokens, a script that transcribes with onnxruntime, and a README. Each "
        "graph is compared with PyTorch on utterances of dev first. A model of one direction also gets a graph for "
        "streams. Needs pip install 'asr[onnx]'.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help=f"{RUN_HELP}; or a model folder, or hf://OWNER/NAME")
    parser.add_argument("--to", choices=TARGETS, required=True, help="what it runs with")
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", type=Path, required=True, help="a folder that is not there, or empty"
    )
    parser.add_argument("--int8", action="store_true", help="also a graph with weights in 8 bits, of LSTM layers")
    parser.add_argument("--data", metavar="FOLDER", help="the corpus, where it has moved: as paths.data")
    options = parser.parse_args(arguments)

    from asr.deploy.folder import deploy
    from asr.inference.finished_run import FinishedRun
    from asr.model.folder import model_folder

    remedies.give_run(options.run, options.data)
    made = deploy(
        FinishedRun(model_folder(find_given_model(options.run), "RUN"), options.data), options.output, options.int8
    )
    for file, found in made.agreements.items():
        print(
            f"{options.output / file}: {made.files[file] / 1e6:.1f} MB; largest difference to PyTorch "
            f"{found.difference:.1e}, {found.same_texts} of {found.utterances} greedy texts the same"
        )
    print(f"Compared on {made.source}. How to use it: {options.output / 'README.md'}")
