"""Instrument: cameras and detectors, arranged as a tree."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models.orm.base import Base

if TYPE_CHECKING:
    from lcdb_notebook.models.observation import Observation


class Instrument(Base):
    """A detector, a camera, or a larger unit that contains them.

    An instrument that has parts or observations cannot be deleted.

    Attributes
    ----------
    id : uuid.UUID
        Generated when the row is stored.
    name : str
        Name such as "TESS", "Camera 1" or "CCD 2"; not unique, since every camera has a CCD 2.
    properties : dict
        Further properties as JSON (pixel scale, gain); ``{}`` by default.
    parent, parent_id : Instrument or None, uuid.UUID or None
        The instrument of which it is part; None at the root.
    children : list of Instrument
        Its parts.
    observations : list of Observation
        Its observations, without those of its parts.

    Examples
    --------
    >>> camera = Instrument(name="Camera 1")
    >>> Instrument(name="CCD 2", parent=camera).parent
    <Instrument new name='Camera 1'>
    """

    __tablename__ = "instrument"
    __shown__ = ("name", "id")

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True, default=uuid.uuid4)
    name: orm.Mapped[str] = orm.mapped_column(index=True)
    properties: orm.Mapped[dict[str, Any]] = orm.mapped_column(default=dict)
    parent_id: orm.Mapped[uuid.UUID | None] = orm.mapped_column(
        sa.ForeignKey("instrument.id"), index=True
    )

    parent: orm.Mapped[Instrument | None] = orm.relationship(
        back_populates="children", remote_side="Instrument.id"
    )
    # Deleting a parent must not make its parts roots; the database rejects the deletion.
    children: orm.Mapped[list[Instrument]] = orm.relationship(
        back_populates="parent", passive_deletes="all", order_by="Instrument.name, Instrument.id"
    )
    observations: orm.Mapped[list[Observation]] = orm.relationship(
        back_populates="instrument", passive_deletes="all", order_by="Observation.id"
    )
