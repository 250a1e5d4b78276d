"""Messages, docstrings, comments and documents have no phrase of ``english.BANNED``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.english import files, offences

ROOT = Path(__file__).parents[1]
PROSE = (
    "lcdb_notebook",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docs",
    "notebooks",
)


def test_prose_has_no_phrase_to_avoid() -> None:
    found = [
        str(offence)
        for path in files([str(ROOT / name) for name in PROSE])
        for offence in offences(path)
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("message.py", 'raise ValueError(f"{name} is no\\n catalog number")', [1]),
        ("split.py", 'text = (\n    "the file says"\n    " nothing"\n)', [2]),
        ("docstring.py", 'def f():\n    """Read it.\n\n    It stands in a table.\n    """', [4]),
        ("opening.py", 'def f():\n    """Give the number."""', [2]),
        ("comment.py", "x = 1\n# What the server\n# tells about it.\n", [3]),
        ("page.md", "# Title\n\nA line.\nThe table lacks a column.\n", [4]),
        ("page.mjs", "// The picture\n// says so.\nconst a = 1;\n", [2]),
        ("plain.py", '"""Return the number."""\n\nx = "told"  # a key: `asked`\n', []),
        (
            "parameter.py",
            'def f():\n    """Read it.\n\n    asked : int\n        An id.\n    """',
            [],
        ),
        ("code.md", "Use `says`:\n\n    it says\n\n```\ntold\n```\n", []),
    ],
)
def test_offences_are_found_by_line(tmp_path: Path, name: str, text: str, lines: list[int]) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert [offence.line for offence in offences(path)] == lines
