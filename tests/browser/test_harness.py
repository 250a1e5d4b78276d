"""What the other tests of this folder rely on: a page, a kernel, and both seen at once."""

from __future__ import annotations

import os

import pytest

from .stage import KernelError, Stage


def test_one_process_starts_the_server_of_a_front_end(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Each process keeps its files below a separate folder, all of these in one folder.
    folder = tmp_path_factory.getbasetemp()
    every = folder.parent.glob("popen-*") if "PYTEST_XDIST_WORKER" in os.environ else [folder]
    assert len([own for own in every if (own / f"{stage.front_end.name}0").is_dir()]) == 1


def test_a_click_on_the_page_is_seen_in_the_kernel(stage: Stage) -> None:
    stage.set(
        "import ipywidgets\nbutton = ipywidgets.Button(description='Press')\nclicks = []\n"
        "button.on_click(lambda _: clicks.append(1))",
        "button",
    )
    stage.page.get_by_role("button", name="Press").click()
    assert stage.until("len(clicks)") == 1


def test_a_change_in_the_kernel_is_seen_on_the_page(stage: Stage) -> None:
    stage.set("import ipywidgets\nlabel = ipywidgets.Label('before')", "label")
    stage.page.get_by_text("before").wait_for()
    stage.run("label.value = 'after'")
    stage.page.get_by_text("after").wait_for()


def test_an_error_in_the_kernel_is_an_error_of_the_test(stage: Stage) -> None:
    with pytest.raises(KernelError, match="ZeroDivisionError"):
        stage.ask("1 / 0")


def test_a_request_that_would_leave_this_machine_is_noticed(stage: Stage) -> None:
    page_errors = stage.front_end.page_errors
    failed = stage.page.evaluate("fetch('http://example.org/').then(() => false, () => true)")
    assert failed
    assert page_errors.collect() == ["requested http://example.org/"]
