"""Model folders for the Hugging Face hub, with a card that says how to load them from there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr.inference.finished_run import FinishedRun
from asr.model.card import FOLDER, evaluations_of, is_own, render_card
from asr.model.folder import CARD, FILES, load_model
from asr.model.hub import check_repo, upload
from asr.settings.recipe import SETTINGS


@dataclass(frozen=True)
class Contents:
    """What is uploaded."""

    files: Mapping[str, Path | bytes]
    """Files or their contents, by name."""

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each."""
        return {
            name: len(content) if isinstance(content, bytes) else content.stat().st_size
            for name, content in self.files.items()
        }


def contents_of(run: FinishedRun, repo: str) -> Contents:
    """The files of a model folder that are uploaded to OWNER/NAME: those that a model folder may have, no others. The
    card of a run has its newest results.

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
        return Contents(files)
    return Contents(files | {CARD: card.replace(FOLDER, f"hf://{repo}").encode()})


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
    files = contents_of(run, repo).files
    return upload(repo, files, [name for name in FILES if name not in files and name != CARD], public)
