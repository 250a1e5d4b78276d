"""List the pipelines whose FITS files can be read; each has a file in this folder.

To add a pipeline, write a file with ``recognizes`` and ``read``, as in ``tglc.py``, and add an
entry to :data:`PIPELINES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.readers import kepler, qlp, spoc, tglc
from lcdb_notebook.ingest.readers.headers import Header
from lcdb_notebook.ingest.readers.table import LightCurveTable

__all__ = ["PIPELINES", "Pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """One kind of file, with functions that recognize and read it.

    Parameters
    ----------
    name
        Name of the pipeline, for messages.
    recognizes
        Return whether a file with this primary header and this table header is of this kind.
    read
        Read the :class:`Product`; raise IngestError if the file is irregular.
    """

    name: str
    recognizes: Callable[[Header, Header], bool]
    read: Callable[[LightCurveTable], Product]


PIPELINES: tuple[Pipeline, ...] = (
    Pipeline("SPOC or TESS-SPOC", spoc.recognizes, spoc.read),
    Pipeline("QLP", qlp.recognizes, qlp.read),
    Pipeline("TGLC", tglc.recognizes, tglc.read),
    Pipeline("Kepler or K2", kepler.recognizes, kepler.read),
)
"""All kinds of FITS files that can be read, in the order in which they are tried."""
