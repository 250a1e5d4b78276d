"""List the pipelines whose FITS files can be read; each has a file in this folder.

To add a pipeline, write a file with ``recognizes``, ``read``, ``COLUMNS`` and ``FLAGS``, as in
``tglc.py``, and add an entry to :data:`PIPELINES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.readers import (
    cdips,
    eleanor,
    everest,
    k2sff,
    kbonus,
    kepler,
    kepseismic,
    pathos,
    qlp,
    spoc,
    tasoc,
    tglc,
)
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn
from lcdb_notebook.ingest.readers.headers import Header
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.lightcurve.missions import ALL_QUARTERS, K2, KEPLER, KnownMission

__all__ = ["PIPELINES", "Pipeline", "by_author"]


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
    columns
        The flux columns by author.
    flags
        The column of each flag type, as lightkurve names it; for flags that are letters, one column
        for each bit.
    variant
        Return a word for the names of the processing from the table's header and the file's name.
    mission, observation_type
        If the headers do not name them.
    copied_cards
        Whether the headers were copied from another file, CHECKSUM included.
    sparse_headers
        Whether the headers may have no number of the sector, campaign, camera, CCD or channel.
    """

    name: str
    recognizes: Callable[[Header, Header], bool]
    read: Callable[[LightCurveTable], Product]
    columns: Mapping[str, Sequence[FluxColumn]]
    flags: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    variant: Callable[[Header, str], str] = lambda _header, _file_name: ""
    mission: KnownMission | None = None
    observation_type: str | None = None
    copied_cards: bool = False
    sparse_headers: bool = False


PIPELINES: tuple[Pipeline, ...] = (
    Pipeline("SPOC or TESS-SPOC", spoc.recognizes, spoc.read, spoc.COLUMNS, spoc.FLAGS),
    Pipeline("QLP", qlp.recognizes, qlp.read, qlp.COLUMNS),
    Pipeline("TGLC", tglc.recognizes, tglc.read, tglc.COLUMNS, tglc.FLAGS),
    Pipeline("Kepler or K2", kepler.recognizes, kepler.read, kepler.COLUMNS, kepler.FLAGS),
    Pipeline(
        "ELEANOR",
        eleanor.recognizes,
        eleanor.read,
        eleanor.COLUMNS,
        eleanor.FLAGS,
        copied_cards=True,
        sparse_headers=True,
    ),
    Pipeline(
        "PATHOS",
        pathos.recognizes,
        pathos.read,
        pathos.COLUMNS,
        pathos.FLAGS,
        sparse_headers=True,
    ),
    Pipeline("TASOC", tasoc.recognizes, tasoc.read, tasoc.COLUMNS, tasoc.FLAGS, tasoc.variant),
    Pipeline(
        "CDIPS", cdips.recognizes, cdips.read, cdips.COLUMNS, cdips.FLAGS, sparse_headers=True
    ),
    Pipeline(
        "K2SFF",
        k2sff.recognizes,
        k2sff.read,
        k2sff.COLUMNS,
        k2sff.FLAGS,
        mission=K2,
        copied_cards=True,
        sparse_headers=True,
    ),
    Pipeline(
        "EVEREST",
        everest.recognizes,
        everest.read,
        everest.COLUMNS,
        everest.FLAGS,
        mission=K2,
        copied_cards=True,
        sparse_headers=True,
    ),
    Pipeline(
        "KEPSEISMIC",
        kepseismic.recognizes,
        kepseismic.read,
        kepseismic.COLUMNS,
        kepseismic.FLAGS,
        kepseismic.variant,
        KEPLER,
        ALL_QUARTERS,
        sparse_headers=True,
    ),
    Pipeline(
        "KBONUS-BKG",
        kbonus.recognizes,
        kbonus.read,
        kbonus.COLUMNS,
        kbonus.FLAGS,
        mission=KEPLER,
        observation_type=ALL_QUARTERS,
        sparse_headers=True,
    ),
)
"""All kinds of FITS files that can be read, in the order in which they are tried."""


def by_author(author: str) -> Pipeline | None:
    """Return the pipeline of an author, or None.

    Examples
    --------
    >>> by_author("GSFC-ELEANOR-LITE").name
    'ELEANOR'
    """
    return next((pipeline for pipeline in PIPELINES if author in pipeline.columns), None)
