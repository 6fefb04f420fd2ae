"""A page is sent on: what it shows of this machine's folders is only their names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ABSOLUTE = re.compile(r"(?<![\w.~:/\\-])(?:file://|…)?~?/(?:[^\s/'\"`,;:()\[\]{}]+/)+(?=[^\s/'\"`,;:()\[\]{}])")
"""All of an absolute path except its last part."""


class LocalPaths:
    """Leaves the absolute paths out of what is shown.

    Args:
        folders: Those that may have names which look like no path, with blanks.
    """

    def __init__(self, *folders: Path) -> None:
        known = {Path.home(), Path.cwd(), *(folder.absolute() for folder in folders)}
        self._known = sorted({f"{path}/" for path in known if len(path.parts) > 1}, key=len, reverse=True)

    def without(self, value: Any) -> Any:
        """The value, in texts of which an absolute path is only its last part, after "…/"."""
        if isinstance(value, str):
            for prefix in self._known:
                value = value.replace(prefix, "…/")
            return ABSOLUTE.sub("…/", value)
        if isinstance(value, Mapping):
            return {key: self.without(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.without(item) for item in value]
        return value
