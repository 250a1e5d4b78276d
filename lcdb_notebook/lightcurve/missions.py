"""Facts about TESS, Kepler and K2, in one record per mission."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from lcdb_notebook.lightcurve.clock import Clock

__all__ = [
    "ALL_QUARTERS",
    "CATALOGS",
    "K2",
    "KEPLER",
    "MISSIONS",
    "TESS",
    "KnownMission",
    "by_telescope",
    "catalog_key",
    "named",
]


@dataclass(frozen=True)
class KnownMission:
    """Facts about a mission that do not depend on the database or a file.

    Parameters
    ----------
    name : str
        Name in the header card MISSION and in lightkurve: "TESS", "Kepler" or "K2".
    telescope : str
        Name in the header card TELESCOP and of the ``Mission`` row; "Kepler" for K2.
    description : str
        Description of the telescope, for its ``Mission`` row.
    clock : Clock
        Epoch, unit and scale of the times.
    catalog : str
        Short name of its target catalog: "TIC".
    catalog_key : str
        Header card of the catalog number: "TICID".
    observation_type : str
        Polymorphic identity of its observations.
    field : str
        The observation field that numbers its observing runs: "sector".
    field_range : tuple of int
        Lowest and highest number of such a run.
    file_label : str
        Format string of the number in file names, such as "s{:04d}".
    longest_days : float
        Length of the longest run, in days. A longer light curve must have been stitched.
    flag_type : str
        Type of the spacecraft's quality flags.
    quality_column : str
        Column of these flags in the mission's own files.
    instrument : tuple of (str, str or None)
        Levels of the instrument tree from the root, with the header cards of their numbers.
    exposures : mapping of float to int
        Nominal exposure times by the seconds between two cadences.
    start, end : float, float or None
        Julian dates between which all observations lie; ``end`` is None while it observes.
    """

    name: str
    telescope: str
    description: str
    clock: Clock
    catalog: str
    catalog_key: str
    observation_type: str
    field: str
    field_range: tuple[int, int]
    file_label: str
    longest_days: float
    flag_type: str
    quality_column: str
    instrument: tuple[tuple[str, str | None], ...]
    exposures: Mapping[float, int]
    start: float
    end: float | None = None

    @property
    def field_key(self) -> str:
        """Header card of :attr:`field`: "SECTOR".

        Examples
        --------
        >>> KEPLER.field_key
        'QUARTER'
        """
        return self.field.upper()


# Epoch and header cards: TESS Science Data Products Description Document (EXP-TESS-ARC-ICD-0014),
# sections 3 and 5. A sector has two orbits of 13.7 days; from sector 97, it has four.
TESS = KnownMission(
    name="TESS",
    telescope="TESS",
    description="Transiting Exoplanet Survey Satellite",
    clock=Clock("btjd", "d", Decimal(2_457_000), "jd", "tdb"),
    catalog="TIC",
    catalog_key="TICID",
    observation_type="tess_observation",
    field="sector",
    field_range=(1, 9999),
    file_label="s{:04d}",
    longest_days=32.0,
    flag_type="tess_quality_flag",
    quality_column="QUALITY",
    instrument=(("TESS", None), ("Camera", "CAMERA"), ("CCD", "CCD")),
    # Target pixels every 20 s and 120 s, full-frame images every 200 s, 600 s or 1800 s: TESS
    # Archive Manual, https://outerspace.stsci.edu/display/TESS.
    exposures=MappingProxyType({20.0: 20, 120.0: 120, 200.0: 200, 600.0: 600, 1800.0: 1800}),
    start=2_458_226.5,  # 2018-04-18, the launch
)

_KEPLER_CLOCK = Clock("bkjd", "d", Decimal(2_454_833), "jd", "tdb")
# 58.85 s and 29.424 min (Kepler Archive Manual, KDMC-10008-006) are called 60 s and 1800 s by MAST
# and therefore by lightkurve (`exptime` of lightkurve.search).
_KEPLER_EXPOSURES = MappingProxyType({58.85: 60, 1765.46: 1800})

# Kepler Archive Manual (KDMC-10008-006), sections 1 and 2.3: quarters of 93 days.
KEPLER = KnownMission(
    name="Kepler",
    telescope="Kepler",
    description="Kepler and K2",
    clock=_KEPLER_CLOCK,
    catalog="KIC",
    catalog_key="KEPLERID",
    observation_type="kepler_observation",
    field="quarter",
    field_range=(0, 17),
    file_label="q{:02d}",
    longest_days=100.0,
    flag_type="kepler_quality_flag",
    quality_column="SAP_QUALITY",
    instrument=(("Kepler", None), ("Channel", "CHANNEL")),
    exposures=_KEPLER_EXPOSURES,
    start=2_454_897.5,  # 2009-03-07, the launch
    end=2_456_520.5,  # 2013-08-15, three months after the last quarter
)

ALL_QUARTERS = "kepler_mission_observation"
"""Polymorphic identity of Kepler light curves that were stitched from several quarters."""

# As Kepler; campaigns of 80 days, of which 9 to 11 were split into parts numbered 91 to 112.
K2 = KnownMission(
    name="K2",
    telescope="Kepler",
    description="Kepler and K2",
    clock=_KEPLER_CLOCK,
    catalog="EPIC",
    catalog_key="KEPLERID",
    observation_type="k2_observation",
    field="campaign",
    field_range=(0, 112),
    file_label="c{:02d}",
    longest_days=100.0,
    flag_type="kepler_quality_flag",
    quality_column="SAP_QUALITY",
    instrument=(("Kepler", None), ("Channel", "CHANNEL")),
    exposures=_KEPLER_EXPOSURES,
    start=2_456_692.5,  # 2014-02-04, the test before campaign 0
    end=2_458_421.5,  # 2018-10-30, a month after campaign 19
)

MISSIONS: Mapping[str, KnownMission] = MappingProxyType(
    {mission.name: mission for mission in (TESS, KEPLER, K2)}
)
"""Every known mission by its name."""

CATALOGS: Mapping[str, str] = MappingProxyType(
    {
        "TIC": "TESS Input Catalog",
        "KIC": "Kepler Input Catalog",
        "EPIC": "Ecliptic Plane Input Catalog (K2)",
        "Gaia DR2": "Gaia data release 2, source_id",
        "Gaia DR3": "Gaia data release 3, source_id",
        "DEMO": "Synthetic targets of lcdb_notebook.demo",
    }
)
"""Descriptions of catalogs by their names."""


def named(*names: object) -> KnownMission | None:
    """Return the mission of the first known name, ignoring case; None if all are unknown.

    Parameters
    ----------
    *names : object
        Values of MISSION or TELESCOP, in order of precedence; None is skipped.

    Examples
    --------
    >>> named(None, "KEPLER ").name
    'Kepler'
    >>> named("HST") is None
    True
    """
    for name in names:
        lowered = str(name).strip().lower()
        for mission in MISSIONS.values():
            if mission.name.lower() == lowered:
                return mission
    return None


def catalog_key(catalog: str) -> str | None:
    """Return the header card for numbers of a catalog; None if no mission has it.

    Examples
    --------
    >>> catalog_key("EPIC")
    'KEPLERID'
    """
    return next((m.catalog_key for m in MISSIONS.values() if m.catalog == catalog), None)


def by_telescope(telescope: str, catalog: str | None = None) -> KnownMission | None:
    """Return the mission of a ``Mission`` row, or None.

    Parameters
    ----------
    telescope : str
        Name of the row, such as "TESS" or "Kepler".
    catalog : str, optional
        Name of the target catalog, which separates K2 from Kepler.

    Examples
    --------
    >>> by_telescope("Kepler").name, by_telescope("Kepler", "EPIC").name
    ('Kepler', 'K2')
    """
    found = [mission for mission in MISSIONS.values() if mission.telescope == telescope]
    return next((mission for mission in found if mission.catalog == catalog), (*found, None)[0])
