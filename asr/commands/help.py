"""The commands, and the help with groups, choices and recipes."""

from asr.settings.recipe import CONF, RECIPES

COMMANDS = {
    "prepare": "Fetches the corpus and writes the manifests of its splits.",
    "check": "Looks for mistakes in the prepared corpus before a training meets them.",
    "listen": "Writes augmented training utterances as audio and pictures: the input of the model.",
    "pack": "Packs the audio of the corpus into shards that are read from disk or a server.",
    "extract": "Computes the features of every utterance into a store.",
    "train": "Trains the model; the same command resumes an interrupted training.",
    "evaluate": "Decodes dev and test with the best model and scores them.",
    "run": "Runs prepare, check, extract, train and evaluate; resumes what was interrupted.",
    "plan": "Predicts time and memory of a training before it starts, for several models side by side.",
    "compare": "Trains models with several seeds each and tells which is better; or compares finished runs.",
    "runs": "Lists all runs with their error rates, settings and state, the best one marked.",
    "report": "Makes a page for reviewing runs: curves, comparisons, errors with audio. Opens offline in any browser.",
    "errors": "Prints the errors of a run, by word and by subgroup, as text or JSON.",
    "dashboard": "Makes or updates a workspace and a report in Weights & Biases for the runs of a recipe.",
    "new": "Writes a recipe folder for a corpus of your own: asr new NAME PATH.",
    "export": "Writes the manifests of a recipe for NeMo, Kaldi or lhotse.",
    "tune": "Tunes the weights of a run's beam search on dev and stores them for its evaluation.",
    "lm": "Trains language models, scores text with them, predicts the next words: asr lm train RECIPE.",
    "calibrate": "Calibrates the confidence of words on dev, and measures how reliable it is.",
    "transcribe": "Transcribes audio files of any format and length: text, subtitles, word times.",
    "align": "Aligns a given text with a recording of any length: the time of each word.",
    "deploy": "Takes a trained model to ONNX, sherpa-onnx or the Hugging Face hub: asr deploy RUN --to onnx -o FOLDER.",
    "benchmark": "Measures how training scales with the number of ranks: asr benchmark scaling RECIPE.",
}
"""The module asr.commands.NAME has `run(recipe, config)`; train returns the best dev WER to Hydra's sweepers."""


def general_help() -> str:
    """What `asr --help` prints."""
    lines = "\n".join(f"  {name:<11}{about}" for name, about in COMMANDS.items())
    return f"""Usage: asr COMMAND RECIPE [key=value ...]
       asr COMMAND RUN [key=value ...]
       asr report RUN ... -o FOLDER, asr errors RUN

Trains speech recognizers with recurrent networks and CTC, from a corpus archive to a word error rate.

Commands:
{lines}

RECIPE is a folder with a recipe.yaml, or one of the shipped: {", ".join(shipped_recipes())}.
RUN is the folder of a run, as in runs/an4/lstm-0123abcd, its hash or the beginning of it, as in 0123, or the run with
the lowest dev error rate, as in an4/best. In the place of a RECIPE it stands for its recipe with all its settings.

Examples:
  asr run an4                      from the archive to the WER of the test split
  asr train an4 model=gru seed=2   the same recipe with another model
  asr runs an4                     all runs of an4, the best one marked
  asr evaluate an4/best            that one again, with its settings
  asr report runs/an4 -o report    a page about all runs of an4
  asr train --help                 the groups and their choices"""


def command_help(command: str) -> str:
    """What `asr COMMAND --help` prints: the groups with their choices, and how to override keys."""
    defaults = default_choices()
    groups = "\n".join(
        f"  {group:<12}" + ", ".join(f"{choice}*" if choice == defaults.get(group) else choice for choice in choices)
        for group, choices in group_choices().items()
    )
    form = "\n  --format FORMAT  print the table only, as csv, md or latex" if command in ("evaluate", "run") else ""
    return f"""Usage: asr {command} RECIPE|RUN [key=value ...] [-m] [--cfg job]

{COMMANDS[command]}

RECIPE is a folder with a recipe.yaml, or one of the shipped: {", ".join(shipped_recipes())}.
RUN is a run, by its folder, its hash or as RECIPE/best: it stands for its recipe with all its settings.

Groups, chosen as in model=gru (* is the default):
{groups}

Keys, set as in model.hidden=512: docs/configuration.md explains them all.

Options:
  -m, --multirun   run every combination of listed values
  --cfg job        print the composed configuration and run nothing{form}

Examples:
  asr {command} an4 model=gru model.hidden=512
  asr {command} an4 -m model=lstm,gru seed=1,2,3
  asr {command} an4 sweep=cells"""


def group_choices() -> dict[str, list[str]]:
    """The groups of conf/ with their choices."""
    folders = sorted(path for path in CONF.iterdir() if path.is_dir())
    return {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in folders}


def default_choices() -> dict[str, str]:
    """The default choice of each group."""
    import yaml

    defaults = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))["defaults"]
    return {group: str(choice) for entry in defaults if isinstance(entry, dict) for group, choice in entry.items()}


def shipped_recipes() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(path.parent.name for path in RECIPES.glob("*/recipe.yaml"))


def version() -> str:
    """The version of the installed package."""
    import importlib.metadata

    return importlib.metadata.version("asr")
