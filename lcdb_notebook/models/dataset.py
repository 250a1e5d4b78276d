"""DataSet, its photometric source and processing method, and the links between DataSets."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import DataError, LineageError
from lcdb_notebook.models.orm.alignment import cadence_indices, fill_at
from lcdb_notebook.models.orm.array import NumpyArray
from lcdb_notebook.models.orm.base import Base

if TYPE_CHECKING:
    from lcdb_notebook.models.mission import Target
    from lcdb_notebook.models.observation import Observation


def refuse_circle(source: DataSet, child: DataSet) -> None:
    """Refuse a link that closes a circle with loaded links, without a query.

    Raises
    ------
    LineageError
        If ``source`` is ``child`` or descends from it.
    """
    for start, goal, direction in (
        (child, source, "derived_datasets"),
        (source, child, "source_datasets"),
    ):
        seen, ahead = {start}, [start]
        while ahead:
            dataset = ahead.pop()
            if dataset is goal:
                raise LineageError(
                    f"{child!r} cannot be derived from {source!r}, which is "
                    + ("the same DataSet" if child is source else "derived from it")
                )
            # Reading the dictionary of the instance does not start a query.
            new = [d for d in dataset.__dict__.get(direction, ()) if d not in seen]
            seen.update(new)
            ahead += new


class PhotometricSource(Base):
    """A way of extracting light, for example an aperture or a PSF fit.

    Attributes
    ----------
    id : int
        Assigned by the database.
    name : str
        Unique name, such as "SAP" or "QLP aperture 1".
    description : str
        Begins with the unit of the extracted light in brackets, in FITS notation:
        ``[electron / s] Simple aperture photometry``. Without brackets it is dimensionless.
    datasets : list of DataSet
        The light curves extracted in this way, deleted together with the source.
    """

    __tablename__ = "photometric_source"
    __shown__ = ("id", "name")

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    description: orm.Mapped[str] = orm.mapped_column(default="")

    # No delete-orphan, because a DataSet whose source or method is set to None must be kept.
    datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        back_populates="photometry_source",
        cascade="all",
        passive_deletes=True,
        order_by="DataSet.id",
    )


class ProcessingMethod(Base):
    """The processing of a light curve after extraction.

    Attributes
    ----------
    id : int
        Assigned by the database.
    name : str
        Unique name, such as "PDCSAP" or "KSPSAP".
    description : str
        May begin with a unit in brackets, which takes precedence over that of the photometric
        source.
    datasets : list of DataSet
        The light curves processed in this way, deleted together with the method.
    """

    __tablename__ = "processing_method"
    __shown__ = ("id", "name")

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    description: orm.Mapped[str] = orm.mapped_column(default="")

    datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        back_populates="processing_method",
        cascade="all",
        passive_deletes=True,
        order_by="DataSet.id",
    )


class DataSetHierarchy(Base):
    """A link from a DataSet to one derived from it, deleted together with either of them.

    Attributes
    ----------
    id : int
        Assigned by the database.
    source_dataset_id : int
        The DataSet that was processed.
    child_dataset_id : int
        The resulting DataSet.
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
    """A light curve of one target in one observation, extracted and processed in one way.

    Attributes
    ----------
    id : int
        Assigned by the database.
    values : numpy.ndarray of float64
        Flux or magnitude, of shape (cadences,), in the order of the observation's
        ``cadence_reference``; NaN for missing measurements. The unit is part of the description of
        the processing method, or else of the photometric source.
    errors : numpy.ndarray of float64 or None
        Standard deviations of shape (cadences,) in the unit of ``values``; None if unknown.
    target, target_id : Target, int
        The observed target.
    observation, observation_id : Observation, int
        The observation in which it was measured.
    photometry_source, photometric_method_id : PhotometricSource or None, int or None
        The extraction of the light; None if unknown.
    processing_method, processing_method_id : ProcessingMethod or None, int or None
        The processing; None for raw photometry.
    source_datasets : list of DataSet
        The DataSets from which this one was derived.
    derived_datasets : list of DataSet
        The DataSets derived from this one. Appending one that this DataSet descends from raises
        :class:`~lcdb_notebook.errors.LineageError`: immediately if the links in between are loaded,
        otherwise when the session is flushed.

    Notes
    -----
    Both arrays are deferred: a query for DataSets does not fetch them, and each is fetched on first
    access. ``db.load(datasets)`` fetches the arrays of many DataSets in one statement.
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
        order_by="DataSet.id",
    )
    derived_datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        secondary="datasethierarchy",
        primaryjoin="DataSet.id == DataSetHierarchy.source_dataset_id",
        secondaryjoin="DataSet.id == DataSetHierarchy.child_dataset_id",
        back_populates="source_datasets",
        passive_deletes=True,
        order_by="DataSet.id",
    )

    def align_to_observation(self, cadences: npt.ArrayLike) -> None:
        """Align values and errors at some cadences with all cadences of the observation.

        ``values`` and ``errors`` are replaced by arrays of the length of the observation's
        ``cadence_reference``, with NaN at all other cadences.

        Parameters
        ----------
        cadences : array_like of int
            Cadence number of each element of ``values``, strictly increasing, of shape
            (len(values),).

        Raises
        ------
        DataError
            If the DataSet has no observation or no values yet, the lengths differ, or the cadences
            are unsorted, repeated or not in the reference. Nothing is changed in that case.

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
        # Accessing attributes must not flush a DataSet that is still being filled in.
        session = orm.object_session(self.__dict__.get("observation") or self)
        with nullcontext() if session is None else session.no_autoflush:
            reference: npt.NDArray[np.int64] | None = getattr(
                self.observation, "cadence_reference", None
            )
            arrays = {"values": self.values, "errors": self.errors}
        if reference is None or arrays["values"] is None:
            raise DataError(f"{self!r} needs an observation and values before it can be aligned")
        where = cadence_indices(cadences, reference)
        known = {name: array for name, array in arrays.items() if array is not None}
        for name, array in known.items():
            if array.size != where.size:
                raise DataError(f"{self!r} has {array.size} {name} for {where.size} cadences")
        for name, array in known.items():
            setattr(self, name, fill_at(where, array, reference.size))

    @orm.validates("source_datasets", "derived_datasets", include_backrefs=False)
    def _refuse_own_descendant(self, direction: str, other: DataSet) -> DataSet:
        if direction == "source_datasets":
            refuse_circle(other, self)
        else:
            refuse_circle(self, other)
        return other
