"""DataSet, its two methods, and the hierarchy that tells which DataSet came from which."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import DataError
from lcdb_notebook.models.lineage_guard import refuse_circle
from lcdb_notebook.models.orm.alignment import placed, places
from lcdb_notebook.models.orm.array import NumpyArray
from lcdb_notebook.models.orm.base import Base

if TYPE_CHECKING:
    from lcdb_notebook.models.mission import Target
    from lcdb_notebook.models.observation import Observation


class PhotometricSource(Base):
    """How light was extracted: an aperture, a PSF fit.

    Attributes
    ----------
    id
        Chosen by the database.
    name
        Unique: "SAP", "QLP aperture 1".
    description
        Begins with the unit of the extracted light, in brackets as FITS writes units:
        ``[electron / s] Simple aperture photometry``. Without brackets it is dimensionless.
    datasets
        The light curves extracted so. They are deleted with their source.
    """

    __tablename__ = "photometric_source"
    __shown__ = ("id", "name")

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    description: orm.Mapped[str] = orm.mapped_column(default="")

    # No delete-orphan: a DataSet whose source or method is set to None is not to be deleted.
    datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        back_populates="photometry_source", cascade="all", passive_deletes=True
    )


class ProcessingMethod(Base):
    """What was done to a light curve after extraction.

    Attributes
    ----------
    id
        Chosen by the database.
    name
        Unique: "PDCSAP", "KSPSAP".
    description
        May begin with a unit in brackets, which then goes before the photometric source's.
    datasets
        The light curves so processed. They are deleted with their method.
    """

    __tablename__ = "processing_method"
    __shown__ = ("id", "name")

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    description: orm.Mapped[str] = orm.mapped_column(default="")

    datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        back_populates="processing_method", cascade="all", passive_deletes=True
    )


class DataSetHierarchy(Base):
    """One step of provenance, between two DataSets; it goes with either of them.

    Attributes
    ----------
    id
        Chosen by the database.
    source_dataset_id
        The DataSet that was processed.
    child_dataset_id
        The DataSet that came out.
    """

    __tablename__ = "datasethierarchy"
    __shown__ = ("id", "source_dataset_id", "child_dataset_id")

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    source_dataset_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("dataset.id", ondelete="CASCADE"), index=True
    )
    child_dataset_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("dataset.id", ondelete="CASCADE"), index=True
    )


class DataSet(Base):
    """A light curve: one target, in one observation, extracted and processed in one way.

    Attributes
    ----------
    id
        Chosen by the database.
    values
        float64 of shape (cadences,), in the order of the observation's ``cadence_reference``; NaN
        where nothing was measured. Its unit stands with the processing method, else with the
        photometric source.
    errors
        float64 of shape (cadences,), one standard deviation in the unit of ``values``; None where
        none are known.
    target, target_id
        Whose light it is.
    observation, observation_id
        When it was taken, and by what.
    photometry_source, photometric_method_id
        How it was extracted; None where nobody said.
    processing_method, processing_method_id
        What was done to it; None for raw photometry.
    source_datasets
        The DataSets that this one was derived from.
    derived_datasets
        The DataSets that were derived from this one. To append one that this DataSet descends from
        is a :class:`~lcdb_notebook.errors.LineageError`, at once where that is known and when the
        session flushes otherwise.

    Notes
    -----
    Both arrays are deferred: DataSets are listed without them, and each is fetched when it is first
    looked at. ``db.load(datasets)`` fetches those of many in one statement.
    """

    __tablename__ = "dataset"
    __table_args__ = (sa.Index(None, "target_id", "observation_id"),)
    __shown__ = ("id", "target", "observation", "photometry_source", "processing_method")

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    target_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("target.id", ondelete="CASCADE"))
    observation_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("observation.id", ondelete="CASCADE"), index=True
    )
    photometric_method_id: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("photometric_source.id", ondelete="CASCADE"), index=True
    )
    processing_method_id: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("processing_method.id", ondelete="CASCADE"), index=True
    )
    values: orm.Mapped[npt.NDArray[np.float64]] = orm.mapped_column(
        NumpyArray(np.float64), deferred=True
    )
    errors: orm.Mapped[npt.NDArray[np.float64] | None] = orm.mapped_column(
        NumpyArray(np.float64), deferred=True
    )

    target: orm.Mapped[Target] = orm.relationship(back_populates="datasets")
    observation: orm.Mapped[Observation] = orm.relationship(back_populates="datasets")
    photometry_source: orm.Mapped[PhotometricSource | None] = orm.relationship(
        back_populates="datasets"
    )
    processing_method: orm.Mapped[ProcessingMethod | None] = orm.relationship(
        back_populates="datasets"
    )
    source_datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        secondary="datasethierarchy",
        primaryjoin="DataSet.id == DataSetHierarchy.child_dataset_id",
        secondaryjoin="DataSet.id == DataSetHierarchy.source_dataset_id",
        back_populates="derived_datasets",
        passive_deletes=True,
    )
    derived_datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        secondary="datasethierarchy",
        primaryjoin="DataSet.id == DataSetHierarchy.source_dataset_id",
        secondaryjoin="DataSet.id == DataSetHierarchy.child_dataset_id",
        back_populates="source_datasets",
        passive_deletes=True,
    )

    def align_to_observation(self, cadences: npt.ArrayLike) -> None:
        """Place values and errors known at some cadences on the observation's reference.

        ``values`` and ``errors`` are replaced by arrays as long as the observation's
        ``cadence_reference``, with NaN where nothing is known.

        Parameters
        ----------
        cadences
            The cadence number of each element of ``values``, strictly ascending, of shape
            (len(values),).

        Raises
        ------
        DataError
            If there is no observation or there are no values yet, the lengths differ, or the
            cadences are unsorted, there twice or not in the reference. Nothing is changed then.

        Examples
        --------
        >>> from lcdb_notebook.models import Observation
        >>> dataset = DataSet(
        ...     observation=Observation(cadence_reference=[6, 7, 8, 9]), values=[0.5, 1.5]
        ... )
        >>> dataset.align_to_observation([7, 9])
        >>> dataset.values
        array([nan, 0.5, nan, 1.5])
        """
        # Reading is no reason to store a DataSet that is still being put together.
        session = orm.object_session(self.__dict__.get("observation") or self)
        with nullcontext() if session is None else session.no_autoflush:
            reference: npt.NDArray[np.int64] | None = getattr(
                self.observation, "cadence_reference", None
            )
            arrays = {"values": self.values, "errors": self.errors}
        if reference is None or arrays["values"] is None:
            raise DataError(f"{self!r} needs an observation and values before it can be aligned")
        where = places(cadences, reference)
        known = {name: array for name, array in arrays.items() if array is not None}
        for name, array in known.items():
            if array.size != where.size:
                raise DataError(f"{self!r} has {array.size} {name} for {where.size} cadences")
        for name, array in known.items():
            setattr(self, name, placed(array, where, reference.size))

    @orm.validates("source_datasets", "derived_datasets", include_backrefs=False)
    def _refuse_own_descendant(self, direction: str, other: DataSet) -> DataSet:
        if direction == "source_datasets":
            refuse_circle(other, self)
        else:
            refuse_circle(self, other)
        return other
