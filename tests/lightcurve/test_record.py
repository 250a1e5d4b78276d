"""The names of observations."""

from __future__ import annotations

from typing import Any

import pytest

from lcdb_notebook.lightcurve.record import ObservationData, observation_names

CCD_1, CCD_2 = ("TESS", "Camera 4", "CCD 1"), ("TESS", "Camera 4", "CCD 2")


def tess(id_: int, instrument: tuple[str, ...] = CCD_1, **fields: Any) -> ObservationData:
    return ObservationData(id_, "tess_observation", fields, instrument, ("sector", "orbit_number"))


@pytest.mark.parametrize(
    ("observations", "names"),
    [
        ([tess(3, sector=1, exptime=1800, author="QLP")], ["sector 1"]),
        (
            [tess(3, sector=1, orbit_number=9), tess(4, CCD_2, sector=2, orbit_number=11)],
            ["sector 1, orbit 9", "sector 2, orbit 11"],
        ),
        (
            [tess(3, sector=1, exptime=1800), tess(4, sector=1, exptime=120), tess(5, sector=2)],
            ["sector 1, 1800 s", "sector 1, 120 s", "sector 2"],
        ),
        (
            [tess(3, sector=1, author="QLP"), tess(4, sector=1, author="SPOC")],
            ["sector 1, QLP", "sector 1, SPOC"],
        ),
        (
            [tess(3, sector=1), tess(4, CCD_2, sector=1)],
            ["sector 1, Camera 4 CCD 1", "sector 1, Camera 4 CCD 2"],
        ),
        (
            [tess(3, sector=1, author=name) for name in ("QLP", "QLP")]
            + [tess(4, sector=1, author="SPOC")],
            ["sector 1, QLP", "sector 1, SPOC"],
        ),
        ([tess(3, sector=1), tess(4, sector=1)], ["sector 1 #3", "sector 1 #4"]),
        (
            [
                ObservationData(3, "kepler_observation", {"quarter": 4}, (), ("quarter",)),
                ObservationData(4, "observation", {}, ()),
            ],
            ["quarter 4", "observation 4"],
        ),
    ],
    ids=["one", "orbit", "exposure", "pipeline", "CCD", "repeated", "alike", "no fields"],
)
def test_observation_names_have_the_fields_that_distinguish_them(
    observations: list[ObservationData], names: list[str]
) -> None:
    assert list(observation_names(observations).values()) == names
