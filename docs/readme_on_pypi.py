"""Hatchling's metadata hook: README.md as PyPI shows it, with absolute links and pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def absolute_links(text: str, repository: str) -> str:
    """Return Markdown whose relative links lead to the repository.

    Parameters
    ----------
    text : str
        Markdown of a file at the top of the repository.
    repository : str
        Address of the repository.

    Returns
    -------
    str
        The same text; pictures are addressed by ``/raw/``, other files by ``/blob/``.

    Examples
    --------
    >>> absolute_links("![a](docs/a.png) [b](b.md#c) [d](https://d)", "https://r")
    '![a](https://r/raw/main/docs/a.png) [b](https://r/blob/main/b.md#c) [d](https://d)'
    """
    pattern = r"(!?)(\[[^]]*\]\()(?!\w+:|#)"
    return re.sub(
        pattern,
        lambda link: f"{link[1]}{link[2]}{repository}/{'raw' if link[1] else 'blob'}/main/",
        text,
    )


class ReadmeHook(MetadataHookInterface):
    """Adds the readme to the metadata of distributions."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme``; the repository is the URL ``Source`` of the project."""
        text = (Path(self.root) / "README.md").read_text("utf-8")
        repository = metadata["urls"]["Source"]
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute_links(text, repository),
        }
