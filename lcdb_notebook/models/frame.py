"""FITSFrame: one image of an observation, and the header words that describe it."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import FrameNotFoundError
from lcdb_notebook.models.orm.array import NumpyArray
from lcdb_notebook.models.orm.base import Base
from lcdb_notebook.models.orm.extending import Extensible

if TYPE_CHECKING:
    from astropy.io.fits import HDUList

    from lcdb_notebook.models.observation import Observation


class FITSFrame(Extensible, Base):
    """A FITS image taken at one cadence, with the primary keywords of the FITS standard.

    Missions may extend it with classes of their own. No two frames of one type have the same
    cadence.

    Attributes
    ----------
    id
        Chosen by the database.
    type
        The polymorphic identity of its class, "basefits" here; keeps science frames and
        calibration frames apart.
    cadence
        Cadence number, as in the observation's ``cadence_reference``.
    observation, observation_id
        What it is an image of; deleted with it.
    simple
        SIMPLE: whether the file conforms to the FITS standard.
    bitpix
        BITPIX: 8, 16, 32 or 64 bits a pixel; -32 or -64 for floating point.
    naxis
        NAXIS: how many axes the image has.
    naxis_values
        NAXIS1, NAXIS2 and so on, in pixels: int32 of shape (naxis,).
    extended
        EXTEND: whether extensions may follow.
    bscale, bzero
        BSCALE, BZERO: a physical value is ``bzero + bscale * stored value``.
    file_path
        Where the file is, if anywhere.

    References
    ----------
    FITS Standard 4.0, section 4.4.1.
    """

    __tablename__ = "fits_frame"
    __mapper_args__ = {  # noqa: RUF012
        "polymorphic_identity": "basefits",
        "polymorphic_on": "type",
    }
    __table_args__ = (sa.UniqueConstraint("type", "cadence"),)
    __shown__ = ("id", "type", "cadence", "observation")

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    type: orm.Mapped[str] = orm.mapped_column(index=True)
    cadence: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, index=True)
    observation_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("observation.id", ondelete="CASCADE"), index=True
    )
    simple: orm.Mapped[bool] = orm.mapped_column(default=True)
    bitpix: orm.Mapped[int]
    naxis: orm.Mapped[int]
    naxis_values: orm.Mapped[npt.NDArray[np.int32]] = orm.mapped_column(NumpyArray(np.int32))
    extended: orm.Mapped[bool] = orm.mapped_column(default=False)
    bscale: orm.Mapped[float] = orm.mapped_column(default=1.0)
    bzero: orm.Mapped[float] = orm.mapped_column(default=0.0)
    file_path: orm.Mapped[pathlib.Path | None]

    observation: orm.Mapped[Observation] = orm.relationship(back_populates="fits_frames")

    def open(self, **options: Any) -> HDUList:
        """Open the file with astropy.

        Parameters
        ----------
        **options
            For :func:`astropy.io.fits.open`, such as ``memmap=False``.

        Returns
        -------
        astropy.io.fits.HDUList
            Usable as a ``with`` block, which closes it.

        Raises
        ------
        FrameNotFoundError
            If there is no such file, or none is known; also a ``FileNotFoundError``.
        """
        from astropy.io import fits

        which = f"frame {self.id} (type {self.type!r}, cadence {self.cadence})"
        if self.file_path is None:
            raise FrameNotFoundError(f"the database knows no file of {which}")
        try:
            return fits.open(self.file_path, **options)
        except FileNotFoundError:
            raise FrameNotFoundError(
                f"the file of {which} is not there: {self.file_path}; perhaps it was moved, or its "
                "disk is not mounted on this machine"
            ) from None
