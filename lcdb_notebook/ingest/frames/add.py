"""FITS images into the table of frames: headers only, the pixels stay in their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ConfigurationError, IngestError, LCDBError
from lcdb_notebook.ingest.frames.headers import CADENCE_CARDS, FrameFile, read_frame
from lcdb_notebook.ingest.readers.find_files import AnyPath, find_files
from lcdb_notebook.models import FITSFrame, Instrument, NumpyArray, Observation, TESSObservation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["add_frames"]

_COLUMNS = ("path", "status", "frame", "type", "cadence", "observation", "reason")


@dataclass(eq=False)
class _Fate:
    """What becomes of one file."""

    path: str
    file: FrameFile | None = None
    cadence: int | None = None
    observation: int | None = None
    frame: FITSFrame | None = None
    status: str = "added"
    reason: str = ""


def add_frames(
    connection: sa.Connection,
    paths: AnyPath | Iterable[AnyPath],
    *,
    observation: int | Observation | None = None,
    cadence: int | Sequence[int] | None = None,
    frame_class: type[FITSFrame] = FITSFrame,
    on_error: str = "raise",
) -> pd.DataFrame:
    """Read the headers of FITS images into the table of frames.

    A file that is there already changes nothing.

    Parameters
    ----------
    connection
        In the caller's transaction; nothing is committed here.
    paths
        Files, folders (searched recursively) and glob patterns.
    observation
        An Observation or its id. None finds it by the sector, camera and CCD in the headers (the
        sector may stand in the file's name, as MAST writes it), and among several of those takes
        the one that has the frame's cadence.
    cadence
        Cadence number, or one for each file, for files whose headers have none (FFIINDEX, CADENCE).
    frame_class
        Class of the frames. No two frames of one class have the same cadence, so each CCD of a
        mission wants a class of its own; fields that it adds are read from the header cards of the
        same name.
    on_error
        "raise" at the first bad file and add nothing, or "skip" bad files and say why.

    Returns
    -------
    pandas.DataFrame
        One row a file: ``path``, ``status`` ("added", "unchanged" or "skipped"), ``frame`` (its
        id), ``type``, ``cadence``, ``observation``, ``reason``.

    Raises
    ------
    IngestError
        If a file is no FITS image, its cadence or observation cannot be told, or another frame of
        that type has its cadence.
    """
    import pandas as pd

    if on_error not in ("skip", "raise"):
        raise ConfigurationError(f"on_error is 'skip' or 'raise', not {on_error!r}")
    if not isinstance(sa.inspect(frame_class, raiseerr=False), orm.Mapper):
        raise ConfigurationError(
            f"frame_class is a class derived from FITSFrame, not {frame_class!r}"
        )
    fates = _read(paths, cadence)
    # Two writers would otherwise both find that a frame is not there yet.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('lcdb_notebook.frames'))"))
    with orm.Session(connection, expire_on_commit=False) as session:
        _find_observations(session, [f for f in fates if not f.reason], observation)
        _compare(session, [f for f in fates if not f.reason], frame_class)
        refused = next((fate for fate in fates if fate.reason), None)
        if refused is not None and on_error == "raise":
            raise IngestError(f"{refused.path}: {refused.reason}")
        session.add_all(f.frame for f in fates if f.frame is not None and f.status == "added")
        session.flush()
        session.expunge_all()
    type_ = sa.inspect(frame_class).polymorphic_identity
    rows = [
        (
            fate.path,
            "skipped" if fate.reason else fate.status,
            None if fate.frame is None else fate.frame.id,
            type_,
            *(fate.cadence, fate.observation, fate.reason),
        )
        for fate in fates
    ]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    # Whole numbers, also where some are missing.
    return table.astype(dict.fromkeys(("frame", "cadence", "observation"), "Int64"))


def _read(paths: AnyPath | Iterable[AnyPath], cadence: int | Sequence[int] | None) -> list[_Fate]:
    found = find_files(paths)
    fates = [_Fate(path, reason=reason) for path, reason in found.problems]
    given = _given_cadences(cadence, len(found.files))
    for path, number in zip(found.files, given, strict=True):
        fate = _Fate(str(path))
        fates.append(fate)
        try:
            fate.file = read_frame(path)
            fate.cadence = _cadence(fate.file, number)
        except IngestError as error:
            fate.reason = str(error).removeprefix(f"{path}: ")
    return fates


def _given_cadences(cadence: int | Sequence[int] | None, files: int) -> list[int | None]:
    if cadence is None:
        return [None] * files
    several = np.atleast_1d(np.asarray(cadence))
    if several.ndim != 1 or several.dtype.kind not in "iu" or (several < 0).any():
        raise IngestError(f"cadence= takes cadence numbers, not {cadence!r}")
    if several.size != files:
        raise IngestError(f"cadence= has {several.size} numbers for {files} files; give one a file")
    return [int(number) for number in several]


def _cadence(file: FrameFile, given: int | None) -> int:
    if file.cadence is None and given is None:
        raise IngestError(
            f"its headers have no cadence number ({', '.join(CADENCE_CARDS)}); give cadence="
        )
    if None not in (file.cadence, given) and file.cadence != given:
        raise IngestError(f"its headers say cadence {file.cadence}, but cadence={given} was given")
    number = given if file.cadence is None else file.cadence
    assert number is not None
    return number


def _find_observations(
    session: orm.Session, fates: Sequence[_Fate], given: int | Observation | None
) -> None:
    if given is not None:
        # None: not stored yet.
        id_: int | None = given.id if isinstance(given, Observation) else given
        if id_ is None or session.scalar(sa.select(Observation.id).filter_by(id=id_)) is None:
            raise IngestError(f"there is no observation {id_}; db.observations() lists them")
        for fate in fates:
            fate.observation = int(id_)
        return
    candidates = _tess_observations(session, fates)
    doubtful = [id_ for ids in candidates.values() if len(ids) > 1 for id_ in ids]
    references = _references(session, doubtful)
    for fate in fates:
        assert fate.file is not None
        place = fate.file.place
        if place is None:
            fate.reason = (
                "its headers do not say which observation it belongs to (TELESCOP TESS, SECTOR, "
                "CAMERA, CCD); give observation="
            )
            continue
        ids = candidates.get(place, [])
        if len(ids) > 1:
            ids = [id_ for id_ in ids if (references[id_] == fate.cadence).any()] or ids
        if len(ids) == 1:
            fate.observation = ids[0]
            continue
        sector, camera, ccd = place
        where = f"sector {sector}, camera {camera}, CCD {ccd}"
        fate.reason = (
            f"observations {', '.join(map(str, ids))} are of {where}; give observation="
            if ids
            else f"there is no observation of {where}; give observation="
        )


def _tess_observations(
    session: orm.Session, fates: Sequence[_Fate]
) -> dict[tuple[int, int, int], list[int]]:
    """Find the observations of CCDs in sectors, in one statement."""
    places = {fate.file.place for fate in fates if fate.file is not None and fate.file.place}
    if not places:
        return {}
    part, whole = orm.aliased(Instrument), orm.aliased(Instrument)
    rows = session.execute(
        sa.select(TESSObservation.id, TESSObservation.sector, whole.name, part.name)
        .join(part, part.id == TESSObservation.instrument_id)
        .join(whole, whole.id == part.parent_id)
        .where(TESSObservation.sector.in_({sector for sector, _, _ in places}))
        .order_by(TESSObservation.id)
    )
    named = {(s, f"Camera {camera}", f"CCD {ccd}"): (s, camera, ccd) for s, camera, ccd in places}
    found: dict[tuple[int, int, int], list[int]] = {}
    for id_, sector, camera_name, ccd_name in rows:
        place = named.get((sector, camera_name, ccd_name))
        if place is not None:
            found.setdefault(place, []).append(id_)
    return found


def _references(session: orm.Session, ids: Sequence[int]) -> Mapping[int, Any]:
    if not ids:
        return {}
    rows = session.execute(
        sa.select(Observation.id, Observation.cadence_reference).where(Observation.id.in_(ids))
    )
    return {row.id: row.cadence_reference for row in rows}


def _compare(session: orm.Session, fates: Sequence[_Fate], frame_class: type[FITSFrame]) -> None:
    """Make the frames that are new, and recognise those that are there already."""
    type_ = sa.inspect(frame_class).polymorphic_identity
    fates = [fate for fate in fates if not fate.reason]
    numbers = sorted({fate.cadence for fate in fates if fate.cadence is not None})
    is_wanted = FITSFrame.cadence == sa.any_(sa.literal(numbers, NumpyArray("int64")))
    stored = session.scalars(sa.select(FITSFrame).where(FITSFrame.type == type_, is_wanted))
    taken = {frame.cadence: frame for frame in stored}
    for fate in fates:
        assert fate.file is not None
        assert fate.cadence is not None
        there = taken.get(fate.cadence)
        if there is not None:
            fate.status = "unchanged"
            fate.frame = there
            differing = _differing(there, fate)
            if differing:
                fate.frame = None
                fate.reason = (
                    f"a frame of type {type_!r} has cadence {fate.cadence} already, "
                    f"{f'number {there.id} ' if there.id else ''}({there.file_path}), with another "
                    f"{' and '.join(differing)}; frames of one cadence want a frame_class= each"
                )
            continue
        try:
            further = _further_fields(frame_class, fate.file)
        except LCDBError as error:
            fate.reason = str(error)
            continue
        fate.frame = taken[fate.cadence] = frame_class(
            cadence=fate.cadence,
            observation_id=fate.observation,
            file_path=fate.file.path,
            **{**fate.file.columns, "naxis_values": np.array(fate.file.columns["naxis_values"])},
            **further,
        )


def _differing(there: FITSFrame, fate: _Fate) -> list[str]:
    assert fate.file is not None
    differing = []
    if there.file_path is None or there.file_path.resolve() != fate.file.path.resolve():
        differing.append("file")
    if there.observation_id != fate.observation:
        differing.append("observation")
    said = fate.file.columns
    return differing + [n for n in said if not np.array_equal(getattr(there, n), said[n])]


def _further_fields(frame_class: type[FITSFrame], file: FrameFile) -> dict[str, Any]:
    """Read the fields that a class adds, from the cards of the same name."""
    own = set(sa.inspect(FITSFrame).column_attrs.keys())
    fields = {}
    for name in sa.inspect(frame_class).column_attrs.keys():  # noqa: SIM118
        if name in own:
            continue
        found = file.card(name.upper())
        if found is not None:
            fields[name] = found
        elif name in frame_class.__required__:
            raise IngestError(
                f"{frame_class.__name__} needs {name}, but no header has a card {name.upper()}"
            )
    return fields
