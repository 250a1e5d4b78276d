"""``lcdb-notebook completion``: print a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lcdb_notebook.cli.options import LAYOUT
from lcdb_notebook.cli.output import print_output
from lcdb_notebook.errors.optional import required

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "run"]

# Names of arguments in the help, and what a shell completes for them.
_COMPLETED = {"FILE": "FILE", "PATH": "FILE", "FOLDER": "DIRECTORY"}


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "completion",
        help="print a script that completes commands in your shell",
        formatter_class=LAYOUT,
        description="Print a script that completes commands and options with the Tab key.",
        epilog="examples:\n"
        "  lcdb-notebook completion bash >> ~/.bash_completion\n"
        "  lcdb-notebook completion zsh > ~/.zfunc/_lcdb-notebook",
    )
    command.add_argument("shell", choices=("bash", "zsh"), help="the shell")
    command.add_argument("--debug", action="store_true", help="print the traceback of an error")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    shtab = required("shtab", extra="completion", needed_by="the command completion")
    for action in _actions(given.parser):
        kind = _COMPLETED.get(str(action.metavar))
        if kind is not None:
            action.complete = getattr(shtab, kind)  # type: ignore[attr-defined]
    print_output(shtab.complete(given.parser, given.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
