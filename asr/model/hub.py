"""Model folders on the Hugging Face hub: `hf://OWNER/NAME`, or `hf://OWNER/NAME@REVISION`.

Only files that a caller names are read or written, and nothing of them is run. The hub's library has the token (`hf
auth login`, or the environment variable HF_TOKEN) and keeps what was downloaded; HF_ENDPOINT names another server.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asr.common.errors import RunError
from asr.common.optional import optional

log = logging.getLogger(__name__)

PREFIX = "hf:/"
"""Of an address as a path: there, two slashes are one."""
REPO = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
ADDRESS = re.compile(rf"hf://?(?P<repo>{REPO.pattern})(@(?P<revision>[\w-][\w./-]*))?", re.ASCII)


def is_address(path: str | Path) -> bool:
    """Whether a path is that of a model on the hub."""
    return str(path).startswith(PREFIX)


def shown(address: str | Path) -> str:
    """An address as it is written, whether or not it was a path meanwhile."""
    return re.sub(f"^{PREFIX}/?", f"{PREFIX}/", str(address))


def download(address: str | Path, files: Sequence[str]) -> Path:
    """The folder of a repository's files, downloaded where they are not yet; without a connection, as they were last.

    Args:
        files: Their names; those that the repository does not have are left out.

    Raises:
        ConfigError: The hub's library is not installed.
        RunError: It is no address, or the repository cannot be read.
    """
    found = ADDRESS.fullmatch(str(address))
    if found is None:
        raise RunError(f"{shown(address)} is no address of a model: write hf://OWNER/NAME or hf://OWNER/NAME@REVISION.")
    repo, revision, api = found["repo"], found["revision"], _api()
    with _as_sentences(f"The model hf://{repo}", revision):
        return Path(api.snapshot_download(repo, revision=revision, allow_patterns=list(files)))


def upload(repo: str, contents: Mapping[str, Path | bytes], stale: Sequence[str], public: bool) -> str:
    """Writes files into a repository in one commit; one that does not exist is made.

    Args:
        repo: OWNER/NAME.
        contents: Files or their contents, by name.
        stale: Files that are deleted if they are there.
        public: Whether everybody may read a repository that is made now; one that exists stays as it is.

    Returns:
        The address of the commit.

    Raises:
        ConfigError: The hub's library is not installed.
        RunError: It is no name, or the repository cannot be written.
    """
    check_repo(repo)
    hub, api = optional("huggingface_hub", "hub"), _api()
    with _as_sentences(f"The repository {repo}", None):
        api.create_repo(repo, private=not public, exist_ok=True)
        there = set(api.list_repo_files(repo))
        changes = [hub.CommitOperationAdd(name, content) for name, content in contents.items()]
        changes += [hub.CommitOperationDelete(name) for name in stale if name in there]
        return str(api.create_commit(repo, changes, commit_message="A model of asr").commit_url)


def check_repo(repo: str) -> None:
    """Raises RunError for what is no name of a repository."""
    if not REPO.fullmatch(repo):
        raise RunError(f"{repo!r} is no name of a repository: write OWNER/NAME.")


def _api() -> Any:
    # The library itself reads the variable only when it is imported.
    return optional("huggingface_hub", "hub").HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="asr")


@contextmanager
def _as_sentences(what: str, revision: str | None) -> Iterator[None]:
    """Makes the errors of the hub's library a RunError each."""
    errors = optional("huggingface_hub.errors", "hub")
    token = "`hf auth login`, or the environment variable HF_TOKEN, gives the token that it may need"
    try:
        yield
    except errors.HFValidationError:
        raise RunError(
            f"{what} has a name that the hub refuses: an owner and a name have letters, digits, _ and single . and -, "
            "and begin and end with none of the last two."
        ) from None
    except errors.RevisionNotFoundError:
        raise RunError(f"{what} has no revision {revision}: give a branch, a tag or a commit of it.") from None
    except errors.RepositoryNotFoundError:
        raise RunError(f"{what} does not exist, or is not yours to use: compare the name; {token}.") from None
    except (OSError, ValueError, errors.HTTPError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise RunError(f"{what} may not be used so (HTTP {status}): {token}, with the right to write.") from None
        reason = f"HTTP {status}" if status else type(error).__name__
        raise RunError(f"{what} cannot be reached ({reason}): is there a connection? Try again later.") from None
