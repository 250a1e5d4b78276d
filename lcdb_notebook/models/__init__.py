"""The ORM classes of a LightcurveDB, under the names of its schema."""

from __future__ import annotations

from lcdb_notebook.models import lineage_guard as _lineage_guard  # noqa: F401
from lcdb_notebook.models.dataset import (
    DataSet,
    DataSetHierarchy,
    PhotometricSource,
    ProcessingMethod,
)
from lcdb_notebook.models.frame import FITSFrame
from lcdb_notebook.models.instrument import Instrument
from lcdb_notebook.models.mission import Mission, MissionCatalog, Target
from lcdb_notebook.models.missions import (
    K2Observation,
    KeplerMissionObservation,
    KeplerObservation,
    TESSObservation,
)
from lcdb_notebook.models.observation import Observation, TargetSpecificTime
from lcdb_notebook.models.orm.array import NumpyArray
from lcdb_notebook.models.orm.base import Base
from lcdb_notebook.models.quality import QualityFlagArray

__all__ = [
    "Base",
    "DataSet",
    "DataSetHierarchy",
    "FITSFrame",
    "Instrument",
    "K2Observation",
    "KeplerMissionObservation",
    "KeplerObservation",
    "Mission",
    "MissionCatalog",
    "NumpyArray",
    "Observation",
    "PhotometricSource",
    "ProcessingMethod",
    "QualityFlagArray",
    "TESSObservation",
    "Target",
    "TargetSpecificTime",
]


def __dir__() -> list[str]:
    return list(__all__)
