"""Names of exported files: readable, reproducible and unique."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Protocol

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.missions import MISSIONS
from lcdb_notebook.lightcurve.record import ObservationData

__all__ = ["file_name", "table_name"]

_LONGEST_WORD = 32

# As in file names of the missions: s0001, q01, c04.
_NUMBERED = {mission.field: mission.file_label for mission in MISSIONS.values()}
_NAMED_ELSEWHERE = ("author", "exptime")


class Named(Protocol):
    """The parts of a DataSet that are in the file name: a row of a search, or a record."""

    @property
    def dataset(self) -> DataSetId:
        """Id of the DataSet, which makes the name unique."""

    @property
    def target(self) -> int:
        """Number in the catalog."""

    @property
    def catalog(self) -> str:
        """Name of the catalog."""

    @property
    def photometry(self) -> str | None:
        """Name of the photometric source."""

    @property
    def processing(self) -> str | None:
        """Name of the processing method."""


def file_name(row: Named, mission: str, observation: ObservationData, ending: str) -> str:
    """Return the file name of a light curve.

    Parameters
    ----------
    row : Named
        The DataSet.
    mission : str
        Name of its mission.
    observation : ObservationData
        The observation of the DataSet.
    ending : str
        "fits", "fits.gz".

    Returns
    -------
    str
        Mission, target, observing run (or the observation's id), author, exposure time, photometry,
        processing and the DataSet's id, in lower-case ASCII letters, digits, "_" and "-". The id is
        unique, so names never collide, even if case is ignored. At most 240 characters.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> row = SimpleNamespace(
    ...     dataset=12, target=261136679, catalog="TIC", photometry="SPOC SAP", processing="PDCSAP"
    ... )
    >>> fields = {"sector": 1, "author": "SPOC", "exptime": 120}
    >>> observation = ObservationData(1, "tess_observation", fields, ("TESS",), ("sector",))
    >>> file_name(row, "TESS", observation, "fits")
    'tess_tic261136679_s0001_spoc_120s_spoc-sap_pdcsap_d12.fits'
    """
    words = _observed(row, mission, observation)
    words += [_word(row.photometry or "light"), _word(row.processing or "raw"), f"d{row.dataset}"]
    return f"{'_'.join(word for word in words if word)}.{ending}"


def table_name(row: Named, mission: str, observation: ObservationData, ending: str) -> str:
    """Return the file name of a table with all light curves of a target in an observation.

    Parameters
    ----------
    row : Named
        One of the light curves.
    mission : str
        Name of its mission.
    observation : ObservationData
        The observation of the DataSet.
    ending : str
        "fits", "hdf5".

    Returns
    -------
    str
        As :func:`file_name`, with the observation's id instead of the parts that name a light
        curve.
    """
    words = _observed(row, mission, observation)
    words = [*(word for word in words if not word.startswith("obs")), f"obs{observation.id}"]
    return f"{'_'.join(word for word in words if word)}.{ending}"


def _observed(row: Named, mission: str, observation: ObservationData) -> list[str]:
    fields = observation.fields
    words = [_word(mission), f"{_word(row.catalog)}{row.target}"]
    words += _when(observation)
    if fields.get("author") is not None:
        words.append(_word(fields["author"]))
    if fields.get("exptime") is not None:
        words.append(f"{_word(fields['exptime'])}s")
    return words


def _when(observation: ObservationData) -> list[str]:
    """Return the sector, quarter, campaign or orbit, or the id of the observation."""
    found = [
        _numbered(name, observation.fields)
        for name in dict.fromkeys((*observation.chronology, "orbit_number"))
        if name not in _NAMED_ELSEWHERE and observation.fields.get(name) is not None
    ]
    # At most two words, so that names of classes with many such columns stay short.
    return found[:2] or [f"obs{observation.id}"]


def _numbered(name: str, fields: Mapping[str, Any]) -> str:
    value = fields[name]
    if name in _NUMBERED and isinstance(value, int):
        return _NUMBERED[name].format(value)
    return _word(f"{name.removesuffix('_number')}{value}")


def _word(text: object) -> str:
    """Return a name as one word, without characters that are special to file systems or shells."""
    plain = unicodedata.normalize("NFKD", str(text)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")[:_LONGEST_WORD]
