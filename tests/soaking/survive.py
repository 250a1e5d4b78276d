"""What a client of the soak does with its calls: interrupt them, make them in forked processes."""

from __future__ import annotations

import faulthandler
import gc
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from lcdb_notebook.errors import ConnectionFailedError

PATIENCE = 60.0
"""Seconds within which a call has to succeed, whatever happens."""

PROMPT = 60.0
"""Seconds within which an interrupt has to end a call on a machine as busy as that of a soak."""

_SLOW_PROMPT = 5.0
"""After so many seconds, the tracebacks of a call that was interrupted are printed."""

_INTERRUPTS, _FORKS = 0.05, 0.05


class Survivor:
    """Makes calls until they succeed, and counts what happened to them.

    Parameters
    ----------
    chance : random.Random
        Decides.
    name : str
        Of the connections of forked processes.
    """

    def __init__(self, chance: random.Random, name: str) -> None:
        self._chance = chance
        self._name = name
        self.forks = self.interrupts = self.losses = 0
        #: The longest time from an interrupt to the prompt, in seconds.
        self.slowest_prompt = 0.0

    def make(self, call: Callable[[], object]) -> None:
        """Make a call, before it perhaps an interrupted one, or one in a forked process.

        Parameters
        ----------
        call : callable
            Raises an AssertionError if it finds something wrong.
        """
        if self._chance.random() < _INTERRUPTS:
            self._interrupt(call)
        if self._chance.random() < _FORKS:
            self._fork(call)
        self.losses += until_it_succeeds(call)

    def _interrupt(self, call: Callable[[], object]) -> None:
        after = self._chance.uniform(0, 0.1)
        pressed = 0.0
        took_until = 0.0
        back = threading.Event()
        # Where it was raised, in case that something swallows it.
        raised: list[str] = []

        def press() -> None:
            nonlocal pressed
            time.sleep(after)
            pressed = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)
            if not back.wait(_SLOW_PROMPT):
                sys.stderr.write(
                    f"An interrupt that is not over yet was raised at\n{''.join(raised[-1:])}\n"
                )
                faulthandler.dump_traceback()

        def stop(_signal: int, frame: FrameType | None) -> None:
            raised.append("".join(traceback.format_stack(frame)))
            raise KeyboardInterrupt

        thread = threading.Thread(target=press)
        signal.signal(signal.SIGINT, stop)
        with suppress(KeyboardInterrupt, ConnectionFailedError):
            try:
                thread.start()
                call()
            finally:
                took_until = time.monotonic()
                back.set()
                # The interrupt may come only now.
                thread.join()
                time.sleep(0)
        self.interrupts += 1
        took = max(0.0, took_until - pressed)
        self.slowest_prompt = max(self.slowest_prompt, took)
        assert took < PROMPT, f"an interrupt took {took:.0f} s"

    def _fork(self, call: Callable[[], object]) -> None:
        behave = self._chance.choice((_read, _read_and_collect, _die_while_reading, _die))
        after = self._chance.uniform(0, 0.2)
        deadline = time.monotonic() + PATIENCE + 10
        child = os.fork()
        if not child:
            status = 1
            try:
                # Its connections are counted by themselves.
                os.environ["PGAPPNAME"] = f"{self._name}, forked"
                behave(call, after)
                status = 0
            except BaseException as error:
                os.write(2, f"in a forked process, {behave.__name__}: {error!r}\n".encode())
            finally:
                os._exit(status)
        self.forks += 1
        ended, status = os.waitpid(child, os.WNOHANG)
        while not ended:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                raise AssertionError(f"a forked process hangs ({behave.__name__})")
            time.sleep(0.01)
            ended, status = os.waitpid(child, os.WNOHANG)
        assert os.waitstatus_to_exitcode(status) == 0, "a forked process found something wrong"


def until_it_succeeds(call: Callable[[], object]) -> int:
    """Make a call until the server answers; return how often the connection failed."""
    deadline = time.monotonic() + PATIENCE
    failed = 0
    while True:
        try:
            call()
        except ConnectionFailedError as error:
            failed += 1
            if time.monotonic() > deadline:
                raise AssertionError("the server cannot be reached any more") from error
            time.sleep(0.05)
        else:
            return failed


def _read(call: Callable[[], object], _: float) -> None:
    until_it_succeeds(call)


def _read_and_collect(call: Callable[[], object], _: float) -> None:
    until_it_succeeds(call)
    gc.collect()


def _die_while_reading(call: Callable[[], object], after: float) -> None:
    threading.Timer(after, os._exit, (0,)).start()
    until_it_succeeds(call)


def _die(_call: Callable[[], object], _: float) -> None:
    os._exit(0)
