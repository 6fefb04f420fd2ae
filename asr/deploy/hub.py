"""Model folders for the Hugging Face hub, with a card that says how to load them from there."""

from pathlib import Path

from asr.inference.finished_run import FinishedRun
from asr.model.card import FOLDER, evaluations_of, is_own, render_card
from asr.model.folder import CARD, FILES, load_model
from asr.model.hub import check_repo, upload
from asr.settings.recipe import SETTINGS


def contents_of(run: FinishedRun, repo: str) -> dict[str, Path | bytes]:
    """The files of a model folder that are uploaded to OWNER/NAME: those that a model folder may have, no others. The
    card of a run has its newest results.

    Returns:
        Files or their contents, by name.

    Raises:
        RunError: The model is damaged or the name is none.
    """
    check_repo(repo)
    load_model(run.model)
    files: dict[str, Path | bytes] = {name: run.model / name for name in FILES if (run.model / name).is_file()}
    if (run.path / SETTINGS).is_file() and is_own(run.model / CARD):
        card = render_card(run.path, run.config, evaluations_of(run.path))
    elif CARD in files:
        card = (run.model / CARD).read_text(encoding="utf-8", errors="replace")
    else:
        return files
    return files | {CARD: card.replace(FOLDER, f"hf://{repo}").encode()}


def upload_model(run: FinishedRun, repo: str, public: bool) -> str:
    """Uploads a model folder.

    Args:
        repo: OWNER/NAME, which is made where it is missing.
        public: Whether everybody may read it if it is made now.

    Returns:
        The address of the commit.

    Raises:
        ConfigError: The hub's library is not installed.
        RunError: The model is damaged, or cannot be uploaded.
    """
    files = contents_of(run, repo)
    return upload(repo, files, [name for name in FILES if name not in files and name != CARD], public)
