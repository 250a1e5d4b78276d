"""A missing package is named with the command that installs it."""

from __future__ import annotations

import json

import pytest

from lcdb_notebook.errors import MissingExtraError, optional


def test_an_installed_module_is_returned() -> None:
    assert optional.required("json", extra="parquet", needed_by="a test") is json


def test_a_missing_module_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(MissingExtraError, match="nowhere") as caught:
        optional.required("nowhere.to.be.found", extra="dask", needed_by="to_dask()")
    assert str(caught.value) == (
        "to_dask() needs the package nowhere, which is not installed; install it with: "
        'pip install "lcdb-notebook[dask]"'
    )
    assert isinstance(caught.value, ImportError)


def test_required_names_the_command_of_a_notebook_in_ipython() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.instance()
    try:
        with pytest.raises(MissingExtraError, match='with: %pip install "lcdb-notebook'):
            optional.required("nowhere", extra="dask", needed_by="to_dask()")
    finally:
        InteractiveShell.clear_instance()
