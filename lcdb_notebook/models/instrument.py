"""Instrument: a tree of cameras and detectors."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models.orm.base import Base

if TYPE_CHECKING:
    from lcdb_notebook.models.observation import Observation


class Instrument(Base):
    """A camera, a detector, or whatever holds them.

    One that has parts or observations cannot be deleted.

    Attributes
    ----------
    id
        Made when the row is stored.
    name
        "TESS", "Camera 1", "CCD 2"; not unique, since every camera has a CCD 2.
    properties
        Anything that JSON can say of it (pixel scale, gain); ``{}`` unless given.
    parent, parent_id
        What it is part of; None at the root.
    children
        Its parts.
    observations
        What it took by itself; its parts have their own.

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
    # Not to be made roots of their own when what holds them is deleted: the database refuses that.
    children: orm.Mapped[list[Instrument]] = orm.relationship(
        back_populates="parent", passive_deletes="all"
    )
    observations: orm.Mapped[list[Observation]] = orm.relationship(
        back_populates="instrument", passive_deletes="all"
    )
