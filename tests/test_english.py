"""List phrases that are not plain English: in names, docstrings, messages, comments, documents.

Run it as a program on files and folders: ``python tests/test_english.py lcdb_notebook README.md``.

Names are those of functions and classes. Code in backticks, ``>>>`` lines, and indented or fenced
code in Markdown are not checked. A comment that ends in "english: ok" is not checked either.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# Each phrase, and what to write instead. A space matches any white space, line breaks included.
BANNED = {
    r"(?<!there\s)\b(?:is|are|was|were) no\b(?! longer| more| less| fewer| larger)": (
        "is not a ..., must be ..., does not exist"
    ),
    r"(?<!there\s)\b(?:is|are) (?-i:none)\b": "must be ..., there are no ...",
    r"\b(?:say|says|said|saying)\b": "state, name, report, contain, give the number",
    r"\b(?:tell|tells|told|telling)\b": "report, distinguish, name, show",
    r"\b(?:stands?|stood|standing)\b(?!-)": "is, is stored, appears, applies",
    r"\bof (?:its|their|one's|his|her|my|our|your|a \w+'s) own\b": "separate, own, custom",
    r"\bone's own\b": "custom, your own",
    r"(?<!far\s)(?<!long\s)(?<!soon\s)\bas (?:it is|they are|it was|they were|it stood)\b": (
        "unchanged, verbatim"
    ),
    r"\b(?:give|gives|gave|given|giving) back\b": "return",
    r"\b(?:give|gives|gave|giving|given) up\b": "stop, time out",
    r"\bmade of it\b": "the result, derived",
    r"\bmakes? of\b": "build from",
    r"\b(?:is|are|was|were) (?:there already|already there)\b": "already exists",
    r"\b(?:is|are|was|were) not there\b": "does not exist, is missing",
    r"\bthere twice\b": "repeated, duplicate",
    r"\ball of it\b": "everything",
    r"\bat home\b": "in the kernel's event loop, locally",
    r"\b(?:wanted|wants)\b": "requested, expected, needs",
    r"\basked\b": "requested, given",
    r"\basks? of\b": "requires, conditions on",
    r"\black(?:s|ed|ing)?\b": "has no, is missing",
    r"\b(?:nobody|whoever|whosoever|whomever|no one)\b": "name who, or use the passive",
    r"\b(?:is|are|be|was|were) had\b": "is available",
    r"\b(?:take|takes|taken|taking|took) in\b": "ingest, store, observed in",
    r"\b(?:go|goes|going|went) in\b": "is ingested, is stored",
    r"\bwent in\b": "was stored",
    r"\bwhat there (?:is|are|was|were)\b": "what exists, what is available",
    r"\bthat there (?:is|are|was|were)\b(?! (?:a|an|no|none|one|some)\b)": "that exist, available",
    r"\bknows (?:no|nothing|of|it|them|them all)\b": "has no, does not define",
    r"\bnothing against\b": "no flags set",
    r"\b(?:takes?|took) \S+ away\b": "removes",
    r"\btaken away\b": "removed",
    r"\banew\b": "again",
    r"\b(?:thereof|whereof|herein|therein|hitherto|heretofore|lest|whence|thence|hence)\b": (
        "plain words"
    ),
    r"\bin vain\b": "without effect",
    r"\bdie[sd]? of\b": "crashed because of",
    r"\b(?-i:none) that\b": "no ... that",
    r"\b(?:without|not|in) a word\b": "without a message",
    r"\bhow to go on\b": "next steps",
    r"\bgoes with\b": "is deleted with, accompanies",
    r"\bwhole or not at all\b": "completely or not at all",
    r"\b(?:in whose|by whose) (?:words|hands)\b": "plain words",
    r"\bis meant\b(?! (?:to|for|as)\b)": "is intentional, is used",
    r"\bhands? (?:it|them|on|over|every)\b|\bhanded on\b": "passes, delegates",
    r"\bcannot be had\b": "is not available",
    r"\bto its (?:right|due)\b": "plain words",
    r"\bdo(?:es)? not (?:yet )?know (?:of|any|what)\b": "does not support, has no",
    r"\blooks? after\b": "manages",
    r"\bhas to do with\b": "concerns",
    r"\bthe like\b": "similar",
    r"\bbe it\b": "whether",
    r"\bso as (?:it|they)\b": "the way",
    r"\bleft to itself\b": "by default",
    r"\bwhatever (?:else|the|its?|their|they|is|was|became)\b": "any, regardless of, even if",
    r"\bhowever (?:it|they)\b": "even if it, regardless of how it",
    r"\bin place of\b(?! when)": "instead of",
    r"\bif need be\b": "if necessary",
    r"\b(?:grows?|growing) with time\b": "increases with time",
    r"\bfrom the root down\b": "from the root",
    r"\bfrom (?:\d{2,}|1e\d|sector \d+) on\b": "of at least ..., from sector ...",
    r"\bwhere (?:there (?:is|are|was|were)|nothing|(?-i:none))\b": "if there is, for missing ...",
    r"\bwhat (?:is|was) stored\b": "the stored data",
    r"\bmeant\b(?! (?:to|for|as)\b)": "intended, suggested",
    r"\bof (?:no|little) use\b": "useless, not useful",
    r"\b(?:take|takes) away\b": "removes",
}
# In names of functions and classes, in addition. Underscores are read as spaces.
BANNED_IN_NAMES = {
    r"\b(?:gives?|gave)\b": "returns, yields, has",
    r"\b(?:whatever|however)\b": "any, every",
}
# A docstring begins with what the function does for its caller.
OPENINGS = r"\A\s*(?:Give|Gives|Let|Have|Ask|Lend|Hand)\b"


def _compiled(phrases: dict[str, str]) -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(pattern.replace(" ", r"[\s#]+"), re.IGNORECASE), hint)
        for pattern, hint in phrases.items()
    ]


def _any_of(phrases: dict[str, str]) -> re.Pattern[str]:
    """Combine phrases, each of which begins where a word does; nearly all texts contain none."""
    every = "|".join(phrases).replace(" ", r"[\s#]+")
    return re.compile(rf"\b(?=\w)(?:{every})", re.IGNORECASE)


COMPILED = _compiled(BANNED)
IN_NAMES = _compiled(BANNED | BANNED_IN_NAMES)
ANY = _any_of(BANNED)
ANY_IN_NAMES = _any_of(BANNED | BANNED_IN_NAMES)
OPENING = re.compile(OPENINGS)
OPENING_HINT = "begin with Return, Get, Check, Build, Read, Find, List, ..."
GENERATED = {"__pycache__", ".ipynb_checkpoints", "_build"}
# Not checked: names of parameters, code in backticks, doctests, links.
CODE = re.compile(
    r"^\s*[\w*]+(?:, [\w*]+)* : .*?$|``.*?``|`[^`\n]*`|^\s*(?:>>>|\.\.\. ).*?$|https?://\S+",
    re.DOTALL | re.MULTILINE,
)


# The module tokenize finds the same, but takes as long for it as all else together.
STRING_OR_COMMENT = re.compile(
    r"""(?P<comment>\#[^\n]*)
    | \"{3} (?:\\.|[^\\])*? \"{3} | '{3} (?:\\.|[^\\])*? '{3}
    | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class Offence:
    """A phrase to be rewritten."""

    file: Path
    line: int
    phrase: str
    text: str
    hint: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.phrase!r} in {self.text!r} (write: {self.hint})"


@dataclass(frozen=True)
class Prose:
    """A piece of English, the line where it begins, and whether it is a docstring or a name."""

    line: int
    text: str
    docstring: bool = False
    name: bool = False


def offences(path: Path) -> Iterator[Offence]:
    """Find the phrases in one file."""
    for prose in sorted(_prose(path), key=lambda piece: piece.line):
        text = CODE.sub(lambda match: re.sub(r"[^\n]", "_", match[0]), prose.text)
        text = re.sub(r"\n[ \t]+", "\n", text)
        found = []
        if (ANY_IN_NAMES if prose.name else ANY).search(text):
            phrases = IN_NAMES if prose.name else COMPILED
            found += [(match, hint) for regex, hint in phrases for match in regex.finditer(text)]
        if prose.docstring and (opening := OPENING.match(text)):
            found.append((opening, OPENING_HINT))
        for match, hint in sorted(found, key=lambda pair: pair[0].start()):
            line = prose.line + text.count("\n", 0, match.start())
            start = max(0, match.start() - 40)
            around = " ".join(text[start : match.end() + 40].split())
            yield Offence(path, line, " ".join(match[0].split()), around, hint)


def _prose(path: Path) -> Iterator[Prose]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from _of_python(text)
    elif path.suffix == ".ipynb":
        for cell in json.loads(text)["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                yield from _of_markdown(source)
            else:
                yield from _comments(re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE))
    elif path.suffix in (".js", ".mjs", ".css"):
        yield from _of_javascript(text)
    else:
        yield from _of_markdown(text)


def _of_python(text: str) -> Iterator[Prose]:
    yield from _comments(text)
    nodes = list(ast.walk(ast.parse(text)))
    documented = {}
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if not isinstance(node, ast.Module):
                yield Prose(node.lineno, node.name.replace("_", " "), name=True)
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                documented[first.value] = isinstance(node, ast.FunctionDef)
    inside = {part for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in nodes:
        if node in inside and not isinstance(node, ast.JoinedStr):
            continue
        if isinstance(node, ast.JoinedStr):
            # A value in braces is replaced by an underscore.
            words = [
                str(part.value) if isinstance(part, ast.Constant) else "_" for part in node.values
            ]
            yield Prose(node.lineno, "".join(words))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and (node in documented or (" " in node.value and "SELECT" not in node.value))
        ):
            yield Prose(node.lineno, node.value, documented.get(node, False))


def _comments(text: str) -> Iterator[Prose]:
    block: list[str] = []
    begin = line = end = 0
    for match in STRING_OR_COMMENT.finditer(text):
        comment = match["comment"]
        if comment is None or "english: ok" in comment:
            continue
        line += text.count("\n", end, match.start())
        end = match.start()
        follows = line == begin + len(block)
        alone = not text[text.rfind("\n", 0, end) + 1 : end].strip()
        if block and not (follows and alone):
            yield Prose(begin + 1, "\n".join(block))
            block = []
        if not block:
            begin = line
        block.append(comment)
    if block:
        yield Prose(begin + 1, "\n".join(block))


def _of_javascript(text: str) -> Iterator[Prose]:
    pattern = (
        r"/\*.*?\*/|(?:^\s*//[^\n]*\n)+|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`"
    )
    for match in re.finditer(pattern, text, re.DOTALL | re.MULTILINE):
        if " " in match[0]:
            words = match[0].replace("//", "  ").replace("`", '"').replace("\n *", "\n  ")
            yield Prose(text.count("\n", 0, match.start()) + 1, words)


def _of_markdown(text: str) -> Iterator[Prose]:
    block: list[str] = []
    begin, fenced = 1, False
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        if fence or fenced or line.startswith("    ") or not line.strip():
            if block:
                yield Prose(begin, "\n".join(block))
            block = []
            continue
        if not block:
            begin = number
        block.append(line)
    if block:
        yield Prose(begin, "\n".join(block))


def files(arguments: list[str]) -> Iterator[Path]:
    """List the files to read, in folders as well."""
    kinds = (".py", ".md", ".ipynb", ".js", ".mjs")
    for argument in map(Path, arguments):
        if argument.is_file():
            yield argument
        yield from sorted(
            path
            for path in argument.rglob("*")
            if path.suffix in kinds
            and not {"__pycache__", ".ipynb_checkpoints", "_build"} & {*path.parts}
        )


def main(arguments: list[str]) -> int:
    """Print the offences, and how often each kind occurs."""
    found = [offence for path in files(arguments) for offence in offences(path)]
    for offence in found:
        sys.stdout.write(f"{offence}\n")
    files_with = len({offence.file for offence in found})
    often = Counter(offence.phrase.lower() for offence in found).most_common(15)
    sys.stdout.write(f"{len(found)} phrases in {files_with} files: {often}\n")
    return bool(found)


ROOT = Path(__file__).parents[1]
PROSE = (
    "lcdb_notebook",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docs",
    "notebooks",
    "tests",
)


def test_prose_has_no_phrase_to_avoid() -> None:
    found = [
        str(offence)
        for path in files([str(ROOT / name) for name in PROSE])
        if path != Path(__file__)
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
        ("name.py", "def test_f_gives_what_is_asked():\n    pass\n", [1, 1]),
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


def test_each_phrase_begins_where_a_word_does() -> None:
    begin = re.compile(r"(?:\(\?<!\w+\\s\))*\\b[\w(]")
    assert not [phrase for phrase in BANNED | BANNED_IN_NAMES if not begin.match(phrase)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["lcdb_notebook", "README.md"]))
