"""A thread for tasks: results in order, errors of tasks, and an end at any time."""

from __future__ import annotations

import threading
import time
from functools import partial
from itertools import count
from queue import Empty

import pytest

from lcdb_notebook.read import task_thread
from lcdb_notebook.read.task_thread import TaskThread, have_ended

from .interrupt_at import interrupt_at


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_results_come_in_the_order_of_the_tasks() -> None:
    with TaskThread[int]("test-tasks") as thread:
        for number in range(5):
            thread.submit(partial(pow, number, 2))
        assert [thread.result(60) for _ in range(5)] == [0, 1, 4, 9, 16]
        thread.submit(threading.get_ident)
        assert thread.result() != threading.get_ident()
    assert "test-tasks" not in names()


def test_result_raises_the_error_of_its_task_and_the_next_is_done() -> None:
    with TaskThread[float]("test-tasks") as thread:
        thread.submit(lambda: 1 / 0)
        thread.submit(lambda: 2.0)
        with pytest.raises(ZeroDivisionError):
            thread.result(60)
        assert thread.result(60) == 2.0


def test_result_raises_empty_while_the_task_runs() -> None:
    enough = threading.Event()
    with TaskThread[bool]("test-tasks") as thread:
        thread.submit(lambda: enough.wait(60))
        with pytest.raises(Empty):
            thread.result(0.01)
        enough.set()
        assert thread.result(60)


def test_end_leaves_out_the_tasks_that_have_not_begun() -> None:
    begun, enough = threading.Event(), threading.Event()
    done: list[int] = []

    def work(number: int) -> None:
        begun.set()
        enough.wait(60)
        done.append(number)

    thread = TaskThread[None]("test-tasks")
    for number in range(3):
        thread.submit(partial(work, number))
    assert begun.wait(60)
    thread.end()
    assert not have_ended([thread], 0.01)
    enough.set()
    assert have_ended([thread], 60)
    assert done == [0]


def test_an_interrupt_at_any_line_leaves_a_thread_that_ends() -> None:
    for place in count(1):
        thread = TaskThread[None]("test-tasks")
        with interrupt_at(place, task_thread.__file__) as interrupted:
            for _ in range(2):
                thread.submit(partial(time.sleep, 0.001))
            for _ in range(2):
                thread.result(60)
        thread.end()
        assert thread.join(60), interrupted
        if not interrupted:
            break
    assert place > 10
