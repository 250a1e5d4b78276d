"""FITSFrame: one image of an observation, with the FITS keywords that describe it."""

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

    Missions can extend it with subclasses. No two frames of the same type have the same cadence.

    Attributes
    ----------
    id : int
        Assigned by the database.
    type : str
        The polymorphic identity of its class, "basefits" here; distinguishes science frames from
        calibration frames.
    cadence : int
        Cadence number, as in the observation's ``cadence_reference``.
    observation, observation_id : Observation, int
        The observation it belongs to; the frame is deleted together with it.
    simple : bool
        SIMPLE: whether the file conforms to the FITS standard.
    bitpix : int
        BITPIX: 8, 16, 32 or 64 bits per pixel; -32 or -64 for floating point.
    naxis : int
        NAXIS: number of image axes.
    naxis_values : numpy.ndarray of int32
        NAXIS1, NAXIS2 and so on, in pixels, of shape (naxis,).
    extended : bool
        EXTEND: whether the file may contain extensions.
    bscale, bzero : float
        BSCALE, BZERO: the physical value is ``bzero + bscale * stored value``.
    file_path : pathlib.Path or None
        Path of the FITS file; None if unknown.

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
            Options of :func:`astropy.io.fits.open`, such as ``memmap=False``.

        Returns
        -------
        astropy.io.fits.HDUList
            The open file. Use it in a ``with`` statement, which closes it.

        Raises
        ------
        FrameNotFoundError
            If the file does not exist, or the database has no path for it. This is also a
            ``FileNotFoundError``.
        """
        from astropy.io import fits

        which = f"frame {self.id} (type {self.type!r}, cadence {self.cadence})"
        if self.file_path is None:
            raise FrameNotFoundError(f"the database has no file path for {which}")
        try:
            return fits.open(self.file_path, **options)
        except FileNotFoundError:
            raise FrameNotFoundError(
                f"the file of {which} does not exist: {self.file_path}; it may have been moved, or "
                "its disk is not mounted on this machine"
            ) from None
